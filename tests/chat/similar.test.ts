import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { toCuratedKey, toLearnedKey, toQuestionDigest } from '../../src/chat/answer-keys.ts';
import type { ChatRequest } from '../../src/chat/request.ts';
import {
  type IndexedQuestion,
  similarityOf,
  toCuratedEntry,
  toLearnedEntry,
} from '../../src/chat/similarity.ts';
import { memoryAnswers } from '../helpers/cache.ts';
import { createManualClock, settle } from '../helpers/manual-clock.ts';
import { chatRequest, question } from '../helpers/requests.ts';
import { startSimilar, type Trouble, vectorAt } from '../helpers/similar.ts';

const ASKED = 'Explain a cage to me';
const CAGE = 'what is a cage';
const NEAR = { [CAGE]: 1, 'explain a cage to me': 0.98, 'what is a motor': 0.9, 'what is cage 7': 0.99 };
const caching = { ...chatRequest().caching, similarThreshold: 0.97 };
const asking = (changes: Partial<ChatRequest> = {}) =>
  chatRequest({ model: 'some-model', caching, ...changes });
const bob = { ...question.caller, tenant: 'bob' };
const never = new AbortController().signal;

function setUp() {
  const clock = createManualClock();
  const { answers, rows } = memoryAnswers(clock.now);
  const search = startSimilar(NEAR, answers, clock);
  const curate = (text: string, answer: string) => {
    rows.set(toCuratedKey(text), { origin: 'curated', text: answer, reasoning: '' });
    search.entries.push(
      toCuratedEntry(toCuratedKey(text), vectorAt(NEAR[toCuratedKey(text) as typeof CAGE] ?? 0)),
    );
  };
  const learn = async (request: ChatRequest, text: string, answer: string) => {
    await answers.learn(toLearnedKey(request, text), learned(answer), 60);
    const vector = vectorAt(NEAR[toCuratedKey(text) as typeof CAGE] ?? 0);
    search.entries.push(toLearnedEntry(request, text, vector, clock.now() / 1000));
  };
  const find = (text = ASKED, request = asking(), signal = never) =>
    search.similar(request, text)?.find(signal);
  return { clock, answers, rows, ...search, curate, learn, find };
}

const learned = (text: string) => ({ origin: 'learned', model: 'some-model', text, reasoning: '' }) as const;

const finding = suite('a question in other words');

finding('is answered as an operator answered the near one', async () => {
  const { curate, find } = setUp();
  curate('What is a cage?', 'A cage.');
  assert.equal(await find(), { origin: 'similar', text: 'A cage.', reasoning: '' });
});

finding('is answered as a model answered the near one, for the same tenant', async () => {
  const { learn, find } = setUp();
  await learn(asking(), 'What is a cage?', 'Metal.');
  assert.equal(await find(), { ...learned('Metal.'), origin: 'similar' });
});

finding('has no answer below the threshold, and has one at it', async () => {
  const { curate, find } = setUp();
  curate('What is a cage?', 'A cage.');
  assert.is(await find('What is a motor?'), undefined);
  const at = (similarThreshold: number) => asking({ caching: { ...caching, similarThreshold } });
  assert.is((await find('What is a motor?', at(0.9 - 1e-12)))?.text, 'A cage.');
  assert.is(await find('What is a motor?', at(0.901)), undefined);
  assert.is((await find('What is a cage', at(1)))?.text, 'A cage.');
});

finding('has the answer of the nearest of several', async () => {
  const { curate, entries, find } = setUp();
  curate('What is a cage?', 'A cage.');
  curate('Explain a cage to me', 'Nearest.');
  entries.reverse();
  assert.is((await find())?.text, 'Nearest.');
});

finding('has the next one’s where the nearest has lost its answer', async () => {
  const { curate, rows, find } = setUp();
  curate('What is a cage?', 'A cage.');
  curate('Explain a cage to me', 'Gone.');
  rows.delete('explain a cage to me');
  assert.is((await find())?.text, 'A cage.');
});

finding('has no answer where numbers differ, however near it is', async () => {
  const { curate, find } = setUp();
  curate('What is a cage?', 'A cage.');
  assert.is(await find('What is cage 7?'), undefined);
});

finding('has no answer of an operator’s where the caller told the model something himself', async () => {
  const { curate, find, lies, entries } = setUp();
  curate('What is a cage?', 'A cage.');
  const told = asking({ caching: { ...caching, curated: false } });
  assert.is(await find(ASKED, told), undefined);
  lies.hits = entries;
  assert.is(await find(ASKED, told), undefined);
});

finding('is not looked for where the setting is off, or where it is too long or blank', () => {
  const { similar, seen } = setUp();
  assert.is(similar(chatRequest(), ASKED), undefined);
  assert.is(similar(asking(), 'x'.repeat(1_501)), undefined);
  assert.is(similar(asking(), ' ?'.repeat(0)), undefined);
  assert.equal(seen.embedded, []);
});

finding('is embedded once for each tenant, however often it is asked', async () => {
  const { find, seen } = setUp();
  for (const text of [ASKED, 'explain  a CAGE to me?', ASKED]) await find(text);
  assert.equal(seen.embedded, ['explain a cage to me']);
  assert.is(seen.wanted.length, 3);
  await find(ASKED, asking({ caller: bob }));
  assert.is(seen.embedded.length, 2, 'how soon an answer is there must not tell what others ask');
});

finding('is as near as can be to itself, also where the index has its vector rounded', async () => {
  const { answers, rows, clock } = setUp();
  rows.set(CAGE, { origin: 'curated', text: 'A cage.', reasoning: '' });
  const rounded = (nearness: number) => vectorAt(nearness).map(Math.fround);
  const isLess = (nearness: number) => similarityOf(vectorAt(nearness), rounded(nearness)) < 1;
  const nearness = Array.from({ length: 99 }, (_, n) => n / 100).find(isLess) ?? Number.NaN;
  const { similar, entries } = startSimilar({ [CAGE]: nearness }, answers, clock);
  entries.push(toCuratedEntry(CAGE, rounded(nearness)));
  const request = asking({ caching: { ...caching, similarThreshold: 1 } });
  assert.is((await similar(request, CAGE)?.find(never))?.text, 'A cage.');
});

finding('has whoever runs it told of an answer that was altered', async () => {
  const { curate, find, answers, seen } = setUp();
  curate('What is a cage?', 'A cage.');
  answers.find = async () => ({ wasAltered: true });
  assert.is(await find(), undefined);
  assert.equal(seen.notices, ['answer-altered']);
});

finding('keeps the vectors of the latest 500 questions', async () => {
  const { find, seen } = setUp();
  for (let n = 0; n < 501; n++) await find(`question ${n}`);
  await find('question 1');
  assert.is(seen.embedded.length, 501);
  await find('question 0');
  assert.is(seen.embedded.length, 502);
});

finding.run();

// ---

const others = suite('what was learned for somebody else');

const same = 'What is a cage?';
const foreign: Record<string, Partial<ChatRequest>> = {
  'another tenant': { caller: bob },
  'another model': { model: 'other-model' },
  'another system prompt': { system: ['Be brief.'] },
  'another temperature': { inference: { ...asking().inference, temperature: 1 } },
  'a guardrail': { guardrail: { id: 'g', version: '1' } },
};
for (const [who, changes] of Object.entries(foreign)) {
  others(`serves no similar question of ${who}, also at similarity 1`, async () => {
    const { learn, find } = setUp();
    await learn(asking(), same, 'Secret.');
    assert.is((await find(same))?.text, 'Secret.');
    assert.is(await find(same, asking(changes)), undefined);
  });

  others(`does not serve ${who} where the index says that it is theirs`, async () => {
    const { learn, find, lies, entries } = setUp();
    await learn(asking(), same, 'Secret.');
    const own = toLearnedEntry(asking(changes), same, vectorAt(1), 1_000);
    lies.hits = [...entries.map(({ question: digest }) => ({ ...own, question: digest })), ...entries];
    assert.is(await find(same, asking(changes)), undefined);
  });
}

others('is looked for in the index with the tenant and the time inside the query', async () => {
  const { find, seen, clock } = setUp();
  await find(ASKED, asking({ caller: bob }));
  assert.equal(seen.wanted[0]?.tenants, ['*', 'bob']);
  assert.is(seen.wanted[0]?.audiences.length, 2);
  assert.is(seen.wanted[0]?.now, clock.now() / 1000);
});

others('stays with its tenant also where exact answers are shared', async () => {
  const { learn, find } = setUp();
  const shared = { caching: { ...caching, scope: 'shared' as const } };
  await learn(asking(shared), same, 'Hers.');
  assert.is((await find(ASKED, asking(shared)))?.text, 'Hers.');
  assert.is(await find(ASKED, asking({ ...shared, caller: bob })), undefined);
});

const truth: IndexedQuestion = toCuratedEntry(CAGE, vectorAt(1));
const untrue: Record<string, Partial<IndexedQuestion>> = {
  tenant: { tenant: 'bob' },
  audience: { audience: 'f'.repeat(64) },
  numbers: { question: 'what is cage 7' },
  'an end that has come': { expires: 1_000 },
  'a vector far away': { vector: [0, 1] },
  'a vector of no length': { vector: [] },
  'a key that a learned answer has': { question: 'learned#1' },
};
for (const [what, changes] of Object.entries(untrue)) {
  others(`is not found through an entry that has another ${what}`, async () => {
    const { curate, rows, find, lies } = setUp();
    curate('What is a cage?', 'A cage.');
    rows.set('learned#1', learned('Secret.'));
    rows.set('what is cage 7', { origin: 'curated', text: 'Another.', reasoning: '' });
    lies.hits = [truth];
    assert.is((await find())?.text, 'A cage.');
    lies.hits = [{ ...truth, ...changes }];
    assert.is(await find(), undefined);
  });
}

others('is not found through an entry of its own that has another number', async () => {
  const { learn, find, lies, entries } = setUp();
  await learn(asking(), 'What is a cage?', 'Metal.');
  lies.hits = entries.map((entry) => ({ ...entry, figures: '7' }));
  assert.is(await find(), undefined);
});

others('serves nobody else, whatever the index says', async () => {
  const { answers, clock, lies, find } = setUp();
  await answers.learn(toLearnedKey(asking(), same), learned('Secret.'), 60);
  const field = (...values: string[]) => fc.constantFrom(...values);
  const own = toLearnedEntry(asking({ caller: bob }), same, [], clock.now() / 1000);
  const hers = toLearnedEntry(asking(), same, [], clock.now() / 1000);
  const entry = fc.record({
    tenant: field('alice', 'bob', '*', ''),
    audience: field(own.audience, hers.audience, 'curated', ''),
    question: field(own.question, toLearnedKey(asking(), same), CAGE, toQuestionDigest(same)),
    figures: fc.constant(''),
    expires: fc.constant(Number.MAX_SAFE_INTEGER),
    vector: fc.constant(vectorAt(1)),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(entry, { maxLength: 5 }), async (hits) => {
      lies.hits = hits;
      assert.is(await find(same, asking({ caller: bob })), undefined);
    }),
  );
});

others.run();

// ---

const adding = suite('a question whose answer was learned');

const learnedOnce = async ({ similar }: ReturnType<typeof setUp>, text = ASKED, request = asking()) => {
  const search = similar(request, text);
  const answer = await search?.find(never);
  search?.add(never);
  await search?.added();
  return answer;
};

adding('is in the index from then on, with the vector that was made to look for it', async () => {
  const stage = setUp();
  await learnedOnce(stage);
  assert.equal(stage.entries, [toLearnedEntry(asking(), ASKED, vectorAt(0.98), stage.clock.now() / 1000)]);
  assert.is(stage.seen.embedded.length, 1);
});

adding('is not added twice', async () => {
  const stage = setUp();
  await learnedOnce(stage);
  await learnedOnce(stage);
  assert.is(stage.entries.length, 1);
});

adding('is added beside others that are near', async () => {
  const stage = setUp();
  await learnedOnce(stage, 'What is a cage?');
  await learnedOnce(stage);
  assert.is(stage.entries.length, 2);
});

adding('is added for each tenant, and again when the entry before it has ended', async () => {
  const stage = setUp();
  await learnedOnce(stage);
  await learnedOnce(stage, ASKED, asking({ caller: bob }));
  assert.is(stage.entries.length, 2);
  await stage.clock.advance(caching.ttlSeconds * 1000);
  await learnedOnce(stage);
  assert.is(stage.entries.length, 3);
});

adding('is added again when the entry before it lasts less than half of its time', async () => {
  const stage = setUp();
  await learnedOnce(stage);
  await stage.clock.advance(caching.ttlSeconds * 500);
  await learnedOnce(stage);
  assert.is(stage.entries.length, 1);
  await stage.clock.advance(1_000);
  await learnedOnce(stage);
  assert.is(stage.entries.length, 2);
});

adding('is added without a look where nobody has looked, as when an answer is refreshed', async () => {
  const stage = setUp();
  for (const _ of [1, 2]) {
    const search = stage.similar(asking(), ASKED);
    search?.add(never);
    await search?.added();
  }
  assert.is(stage.entries.length, 1);
});

adding('is not added twice by one process, though the index finds it only after a while', async () => {
  const stage = setUp();
  stage.lies.hits = [];
  await learnedOnce(stage);
  await learnedOnce(stage);
  assert.is(stage.entries.length, 1);
  await learnedOnce(stage, ASKED, asking({ caller: bob }));
  assert.is(stage.entries.length, 2);
  await stage.clock.advance(caching.ttlSeconds * 501);
  await learnedOnce(stage);
  assert.is(stage.entries.length, 3);
});

adding('remembers the latest thousand', async () => {
  const stage = setUp();
  stage.lies.hits = [];
  const words = (n: number) => String(n).replace(/\d/g, (digit) => 'abcdefghij'[Number(digit)] ?? '');
  for (let n = 0; n <= 1_000; n++) await learnedOnce(stage, words(n));
  await learnedOnce(stage, words(1));
  assert.is(stage.entries.length, 1_001);
  await learnedOnce(stage, words(0));
  assert.is(stage.entries.length, 1_002);
});

adding('says nothing of how adding goes where it is there already', async () => {
  const stage = setUp();
  await learnedOnce(stage);
  stage.trouble.add = new Error('down');
  const words = ['one', 'two', 'three', 'four', 'five', 'six', 'seven'];
  for (const word of words) {
    await learnedOnce(stage, word);
    await learnedOnce(stage);
  }
  assert.is(stage.seen.failures.length, 5);
});

adding('is not added where the look before failed', async () => {
  const stage = setUp();
  stage.trouble.nearest = new Error('down');
  const search = stage.similar(asking(), ASKED);
  await search?.find(never);
  stage.trouble.nearest = undefined;
  search?.add(never);
  await search?.added();
  assert.equal(stage.entries, []);
  assert.is(stage.seen.wanted.length, 1);
});

adding.run();

// ---

const failing = suite('a search that is in trouble');

const troubles: Record<string, Trouble> = { down: new Error('down'), slow: 10_000, silent: 'hang' };
for (const [how, what] of Object.entries(troubles)) {
  for (const part of ['embed', 'nearest'] as const) {
    failing(`costs at most 300 ms where ${part} is ${how}, and whoever runs it is told`, async () => {
      const { find, trouble, seen, clock } = setUp();
      trouble[part] = what;
      let answer: unknown = 'none yet';
      find()?.then((found) => (answer = found));
      await clock.advance(300);
      assert.is(answer, undefined);
      assert.equal(seen.failures, [what instanceof Error ? what : undefined]);
      assert.is(clock.armed, what === 10_000 ? 1 : 0);
      assert.is(seen.letGo, what instanceof Error ? 0 : 1);
    });
  }
}

failing('costs at most 300 ms together with adding what was learned', async () => {
  const { similar, trouble, clock, entries } = setUp();
  trouble.nearest = 200;
  trouble.add = 'hang';
  const search = similar(asking(), ASKED);
  let isOver = false;
  search
    ?.find(never)
    .then(() => {
      search.add(never);
      return search.added();
    })
    .then(() => (isOver = true));
  await clock.advance(200);
  assert.not(isOver);
  await clock.advance(100);
  assert.ok(isOver);
  assert.equal(entries, []);
});

failing('goes on finding where it can no more be added to, and waits for that no more', async () => {
  const { similar, trouble, clock, curate, seen } = setUp();
  curate('What is a cage?', 'A cage.');
  trouble.add = 'hang';
  const waits: number[] = [];
  for (let n = 0; n < 7; n++) {
    const search = similar(
      asking(),
      `question ${n}`.replace(/\d/, (digit) => 'abcdefg'[Number(digit)] ?? ''),
    );
    await search?.find(never);
    search?.add(never);
    const beganAt = clock.now();
    let isOver = false;
    search?.added().then(() => {
      isOver = true;
      waits.push(clock.now() - beganAt);
    });
    while (!isOver) await clock.advance(10);
  }
  assert.equal(
    waits.map((ms) => ms > 0),
    [true, true, true, true, true, false, false],
  );
  assert.is(seen.failures.length, 5);
  assert.is((await similar(asking(), ASKED)?.find(never))?.text, 'A cage.');
});

failing('is not asked any more after five failures on end, for half a minute', async () => {
  const { find, trouble, seen, clock, curate } = setUp();
  curate('What is a cage?', 'A cage.');
  trouble.nearest = new Error('down');
  for (let n = 0; n < 8; n++) await find();
  assert.is(seen.wanted.length, 5);
  assert.is(seen.failures.length, 5);
  trouble.nearest = undefined;
  await clock.advance(29_999);
  assert.is(await find(), undefined);
  await clock.advance(1);
  assert.is((await find())?.text, 'A cage.');
  assert.is((await find())?.text, 'A cage.');
  assert.is(seen.wanted.length, 7);
});

failing('waits for nothing once it is not asked any more', async () => {
  const { find, trouble, clock } = setUp();
  trouble.embed = 'hang';
  for (let n = 0; n < 5; n++) {
    find(`question ${n}`);
    await clock.advance(300);
  }
  const before = clock.now();
  assert.is(await find('another question'), undefined);
  assert.is(clock.now(), before);
});

failing('is left at once by whoever leaves, which counts as no failure', async () => {
  const { find, trouble, seen, curate } = setUp();
  curate('What is a cage?', 'A cage.');
  trouble.nearest = 'hang';
  for (let n = 0; n < 10; n++) {
    const abort = new AbortController();
    const answer = find(ASKED, asking(), abort.signal);
    await settle();
    abort.abort();
    assert.is(await answer, undefined);
  }
  assert.equal(seen.failures, []);
  trouble.nearest = undefined;
  assert.is((await find())?.text, 'A cage.');
});

failing('is not begun for whoever has left before', async () => {
  const { find, seen } = setUp();
  assert.is(await find(ASKED, asking(), AbortSignal.abort()), undefined);
  assert.equal(seen.embedded, []);
});

failing('may be the table’s, which counts the same', async () => {
  const { curate, find, answers, seen } = setUp();
  curate('What is a cage?', 'A cage.');
  answers.find = async () => {
    throw new Error('table down');
  };
  assert.is(await find(), undefined);
  assert.is(seen.failures.length, 1);
});

failing.run();
