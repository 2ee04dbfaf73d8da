import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { toCuratedKey } from '../../src/chat/answer-keys.ts';
import type { ChatRequest } from '../../src/chat/request.ts';
import { toCuratedEntry } from '../../src/chat/similarity.ts';
import { begin, end, text } from '../helpers/app.ts';
import { endOf, memoryAnswers, modelOf, type Step, startProcess, textOf } from '../helpers/cache.ts';
import { createManualClock, settle } from '../helpers/manual-clock.ts';
import { chatRequest, question } from '../helpers/requests.ts';
import { startSimilar, type Trouble, vectorAt } from '../helpers/similar.ts';

const NEAR = { 'what is a faraday cage': 0.98, 'explain a faraday cage': 1, 'what is a motor': 0.9 };
const PARAPHRASE = 'Explain a Faraday cage.';

const saying = (prompt: string): Partial<ChatRequest> => ({
  messages: [{ role: 'user', content: [{ type: 'text', text: prompt }] }],
});
const { caching: plain } = chatRequest();
const caching = { ...plain, similarThreshold: 0.97 };
const bob = { ...question.caller, tenant: 'bob' };
const whole: readonly Step[] = [begin, text('A cage'), text(' of metal.'), end];

function setUp(...scripts: (readonly Step[])[]) {
  const clock = createManualClock();
  const memory = memoryAnswers(clock.now);
  const search = startSimilar(NEAR, memory.answers, clock);
  const process = startProcess(modelOf(clock, ...scripts), memory.answers, clock, search.similar);
  const ask = (changes: Partial<ChatRequest> = {}) => process.ask({ caching, ...changes });
  const hear = (changes: Partial<ChatRequest> = {}) => process.hear({ caching, ...changes });
  const curate = (pk: keyof typeof NEAR, answer: string) => {
    memory.rows.set(toCuratedKey(pk), { origin: 'curated', text: answer, reasoning: '' });
    search.entries.push(toCuratedEntry(pk, vectorAt(NEAR[pk])));
  };
  return { ...memory, ...search, ...process, ask, hear, curate, clock };
}

const similar = suite('a question that was asked before in other words');

similar(
  'is a hit, called similar, which asks no model, costs nothing and leaves nothing behind',
  async () => {
    const { ask, curate, asked, rows, entries } = setUp(whole);
    curate('what is a faraday cage', 'A cage.');
    const { text: told, cached, statuses, events } = await ask(saying(PARAPHRASE));
    assert.equal([told, cached, statuses], ['A cage.', 'similar', ['hit']]);
    const last = events.at(-1);
    assert.is(last?.type === 'done' && last.usage?.inputTokens, 0);
    assert.is(events[0]?.type === 'start' && events[0].model, 'some-model');
    assert.equal([asked.length, rows.size, entries.length], [0, 1, 1]);
  },
);

similar('is a miss where nothing is near enough', async () => {
  const { ask, curate, asked } = setUp(whole);
  curate('what is a faraday cage', 'A cage.');
  const { cached, statuses } = await ask(saying('What is a motor?'));
  assert.equal([cached, statuses, asked.length], [false, ['miss'], 1]);
});

similar('is answered as was learned before, for the same tenant only', async () => {
  const { ask, asked } = setUp(whole);
  await ask();
  assert.is((await ask(saying(PARAPHRASE))).cached, 'similar');
  assert.is((await ask({ ...saying(PARAPHRASE), caller: bob })).cached, false);
  assert.is(asked.length, 2);
});

similar('is not searched where the same question has an answer', async () => {
  const { ask, curate, seen } = setUp(whole);
  curate('what is a faraday cage', 'A cage.');
  assert.is((await ask()).cached, 'curated');
  assert.equal(seen.embedded, []);
});

similar('is not searched where another process is asking the same, whose answer is awaited', async () => {
  const stage = setUp([100, ...whole]);
  const other = startProcess(modelOf(stage.clock, whole), stage.answers, stage.clock, stage.similar);
  const first = stage.hear();
  await stage.clock.advance(1);
  const second = other.hear({ caching });
  await stage.clock.advance(1_000);
  await Promise.all([first.over, second.over]);
  assert.is(textOf(second), 'A cage of metal.');
  assert.is(stage.seen.embedded.length, 1);
  assert.is(other.asked.length, 0);
});

similar('is searched once for all who ask the same at once', async () => {
  const { hear, seen, clock, curate } = setUp(whole);
  curate('what is a faraday cage', 'A cage.');
  const all = Array.from({ length: 50 }, () => hear(saying(PARAPHRASE)));
  await clock.advance(1);
  await Promise.all(all.map(({ over }) => over));
  assert.equal(new Set(all.map(textOf)), new Set(['A cage.']));
  assert.is(seen.wanted.length, 1);
});

similar('is answered so also where nothing is to be kept, and then nothing is', async () => {
  const { ask, curate, rows, entries } = setUp(whole);
  curate('what is a faraday cage', 'A cage.');
  assert.is((await ask({ ...saying(PARAPHRASE), store: false })).cached, 'similar');
  assert.is((await ask({ ...saying('What is a motor?'), store: false })).cached, false);
  assert.equal([rows.size, entries.length], [1, 1]);
});

similar('is asked of the model, learned and indexed where the answer is to be refreshed', async () => {
  const { ask, curate, entries } = setUp(whole);
  curate('what is a faraday cage', 'A cage.');
  const refresh = { caching: { ...caching, mode: 'refresh' as const } };
  assert.is((await ask({ ...saying(PARAPHRASE), ...refresh })).cached, false);
  assert.is(entries.length, 2);
});

similar('is neither searched nor indexed where the request is not to touch the cache', async () => {
  const { ask, curate, seen, entries } = setUp(whole);
  curate('what is a faraday cage', 'A cage.');
  assert.is((await ask({ ...saying(PARAPHRASE), caching: { ...caching, mode: 'off' } })).cached, false);
  assert.equal([seen.embedded.length, entries.length], [0, 1]);
});

similar('is indexed while it is answered, and nobody waits for that', async () => {
  const { hear, entries, trouble, clock } = setUp([begin, text('A cage'), 250, end]);
  trouble.nearest = 200;
  trouble.add = 240;
  const hearing = hear();
  await clock.advance(460);
  await hearing.over;
  assert.equal([endOf(hearing), entries.length], ['done', 1]);
});

similar('is indexed before its end is told, where that takes no longer than may be waited', async () => {
  const { hear, entries, trouble, clock } = setUp(whole);
  trouble.add = 100;
  const hearing = hear();
  await clock.advance(99);
  assert.equal([endOf(hearing), entries.length], ['text-delta', 0]);
  await clock.advance(2);
  assert.equal([endOf(hearing), entries.length], ['done', 1]);
});

similar('is not indexed where another model answers in its place', async () => {
  const { ask, entries } = setUp([{ type: 'begin', model: 'other-model' }, text('A cage'), end]);
  await ask();
  assert.equal(entries, []);
});

similar('asks no model and claims nothing for whoever leaves while it is searched', async () => {
  const { hear, trouble, answers, asked, clock, seen } = setUp(whole);
  trouble.nearest = 'hang';
  let claims = 0;
  answers.claim = async (_, owner) => {
    claims += 1;
    return { asking: owner };
  };
  const hearing = hear(saying(PARAPHRASE));
  await clock.advance(10);
  hearing.leave();
  await hearing.over;
  await settle();
  assert.equal([claims, asked.length, seen.letGo], [0, 0, 1]);
  assert.is(endOf(hearing), 'cancelled');
});

similar('leaves to the table the time that it had, however long the search took', async () => {
  const { answers, hear, trouble, clock, notices } = setUp(whole);
  trouble.nearest = 'hang';
  const { claim } = answers;
  answers.claim = async (...given) => {
    await new Promise<void>((resolve) => clock.after(90, resolve));
    return await claim(...given);
  };
  const hearing = hear({ caching: { ...caching, timeoutMs: 100 } });
  await clock.advance(500);
  await hearing.over;
  assert.equal(notices, []);
  assert.equal(hearing.statuses, ['miss']);
});

similar.run();

// ---

const trouble = suite('a search in trouble');

const what: fc.Arbitrary<Trouble> = fc.oneof(
  fc.constantFrom<Trouble>(undefined, undefined, 'hang', new Error('down')),
  fc.nat(400),
);
const answer = fc.constantFrom<readonly Step[]>(
  whole,
  [100, ...whole],
  [begin, text('A ca'), 'hang'],
  [begin, text('A ca'), new Error('broken')],
  [new Error('broken')],
);

/** What is heard, and when it is over; nothing where it is not over within a minute. */
async function play(script: readonly Step[], troubles: Record<'embed' | 'nearest' | 'add', Trouble> | 'off') {
  const stage = setUp(script);
  if (troubles !== 'off') Object.assign(stage.trouble, troubles);
  const hearing = stage.hear({ caching: troubles === 'off' ? plain : caching });
  let tookMs: number | undefined;
  const beganAt = stage.clock.now();
  hearing.over.then(() => (tookMs = stage.clock.now() - beganAt));
  await stage.clock.advance(60_000);
  return { text: textOf(hearing), end: endOf(hearing), statuses: hearing.statuses, tookMs };
}

trouble('changes nothing that is heard, and nothing comes more than 300 ms later', async () => {
  await fc.assert(
    fc.asyncProperty(answer, what, what, what, async (script, embed, nearest, add) => {
      const { tookMs: withoutMs = 0, ...without } = await play(script, 'off');
      const { tookMs = Number.POSITIVE_INFINITY, ...heard } = await play(script, { embed, nearest, add });
      assert.equal(heard, without);
      assert.ok(tookMs <= withoutMs + 300, `${tookMs} ms in place of ${withoutMs}`);
    }),
    { numRuns: 300 },
  );
});

trouble.run();
