import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createAnswers } from '../../src/aws/answers.ts';
import type { Answers } from '../../src/chat/answers.ts';
import { GatewayError } from '../../src/chat/errors.ts';
import type { ModelEvent } from '../../src/chat/events.ts';
import type { ChatRequest } from '../../src/chat/request.ts';
import type { Fault } from '../../src/local/dynamodb/server.ts';
import { modelThat, say } from '../helpers/app.ts';
import { endOf, memoryAnswers, modelOf, startProcess, textOf } from '../helpers/cache.ts';
import { createManualClock, settle } from '../helpers/manual-clock.ts';
import { chatRequest } from '../helpers/requests.ts';
import { inTables } from '../helpers/tables.ts';

const [begin, text, end] = say('A cage') as [ModelEvent, ModelEvent, ModelEvent];
const { caching } = chatRequest();
const with_ = (changes: Partial<ChatRequest['caching']>) => ({ caching: { ...caching, ...changes } });
const never = () => new Promise<never>(() => {});

/** Over answers in memory, changed as the test needs it. */
function build(
  events: readonly (ModelEvent | Error)[],
  change: (answers: Answers) => Partial<Answers> = () => ({}),
) {
  const clock = createManualClock();
  const memory = memoryAnswers(clock.now);
  const answers = { ...memory.answers, ...change(memory.answers) };
  return { clock, ...memory, ...startProcess(modelThat(...events), answers, clock) };
}

const learning = suite('what is learned');

const stopped = (stopReason: string): ModelEvent => ({ type: 'end', stopReason, usage: null });
const passing: [what: string, events: (ModelEvent | Error)[], changes?: Partial<ChatRequest>][] = [
  ['an answer that was cut at max_tokens', [begin, text, stopped('max_tokens')]],
  ['one that a stop sequence ended', [begin, text, stopped('stop_sequence')]],
  ['one that a guardrail changed', [begin, text, stopped('guardrail_intervened')]],
  ['one that was filtered', [begin, text, stopped('content_filtered')]],
  ['one that merely stopped', [begin, text]],
  ['one that failed', [begin, text, new GatewayError('upstream_error', 'It failed.')]],
  ['one without text', [begin, end]],
  ['one with a tool', [begin, text, { type: 'tool-end', block: 1 }, end]],
  ['the answer of another model', [{ type: 'begin', model: 'fallback' }, text, end]],
  ['one that is not to be stored', [begin, text, end], { store: false }],
  [
    'one that is not to be stored, refreshed',
    [begin, text, end],
    { store: false, ...with_({ mode: 'refresh' }) },
  ],
  ['one of more than 350 KB', say('é'.repeat(175 * 1024), '!')],
  [
    'one of more than 350 KB with its reasoning',
    [begin, { type: 'reasoning-delta', block: 0, text: 'x'.repeat(350 * 1024) }, text, end],
  ],
];
for (const [what, events, changes] of passing) {
  learning(`is not ${what}`, async () => {
    const { ask, asked, rows, claims, notices } = build(events);
    const first = await ask(changes);
    await settle();
    assert.equal(
      [...rows.values()].filter((row) => 'origin' in row),
      [],
    );
    assert.equal(claims(), []);
    const second = await ask(changes);
    assert.equal(second.events, first.events);
    assert.is(asked.length, 2);
    assert.equal(notices, []);
  });
}

learning('is an answer of 350 KB', async () => {
  const { ask, asked } = build(say('é'.repeat(175 * 1024)));
  const first = await ask();
  assert.is((await ask()).text, first.text);
  assert.is(asked.length, 1);
});

learning('is there before the end is told', async () => {
  let release = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  const { hear } = build(say('A cage'), (answers) => ({
    learn: (...given) => held.then(() => answers.learn(...given)),
  }));
  const hearing = hear();
  await settle();
  assert.equal([textOf(hearing), endOf(hearing)], ['A cage', 'text-delta']);
  release();
  await hearing.over;
  assert.is(endOf(hearing), 'done');
});

learning('serves a request that is not stored itself, and which awaits and claims nothing', async () => {
  const { ask, asked, rows, clock, answers } = build(say('A cage'));
  await ask({ store: false });
  assert.is(rows.size, 0);
  await ask();
  assert.is((await ask({ store: false })).cached, 'learned');
  const [learned = ''] = rows.keys();
  rows.delete(learned);
  await answers.claim(learned, 'somebody', clock.now() + 30_000);
  assert.equal((await ask({ store: false })).statuses, ['miss']);
  assert.is(asked.length, 3);
});

learning('stays when a refresh fails', async () => {
  const clock = createManualClock();
  const { answers, rows } = memoryAnswers(clock.now);
  const failure = new GatewayError('upstream_error', 'It failed.');
  const { ask } = startProcess(modelOf(clock, say('A cage'), [begin, failure]), answers, clock);
  await ask();
  const before = [...rows.values()];
  assert.is((await ask(with_({ mode: 'refresh' }))).end, 'upstream_error');
  assert.equal([...rows.values()], before);
});

learning.run();

// ---

const failing = suite('a table in trouble');

for (const fault of [{ type: 'down' }, { type: 'throttled' }, { type: 'unprocessed' }] as const) {
  failing(
    `that is ${fault.type} is passed by: the answer comes, nothing is learned, and it is told`,
    inTables(async ({ answers, faults }) => {
      const calls: string[] = [];
      const spoil = (name: string): Fault => {
        calls.push(name);
        return fault;
      };
      const process = startProcess(modelThat(...say('A cage')), createAnswers(answers), createManualClock());
      faults.next = spoil;
      const { text: told, end: last, statuses } = await process.ask();
      assert.equal([told, last, statuses], ['A cage', 'done', ['bypass']]);
      assert.equal(process.notices, ['cache-unavailable']);
      assert.equal(new Set(calls), new Set(['BatchGetItem']));
    }),
  );
}

failing('that is slow is passed by when cache-timeout-ms is over', async () => {
  const { hear, clock, notices, asked, rows } = build(say('A cage'), () => ({ find: never }));
  const hearing = hear(with_({ timeoutMs: 300 }));
  await clock.advance(299);
  assert.equal([hearing.statuses, asked.length], [[], 0]);
  await clock.advance(1);
  await hearing.over;
  assert.equal([textOf(hearing), hearing.statuses], ['A cage', ['bypass']]);
  assert.equal(notices, ['cache-unavailable']);
  assert.is(rows.size, 0);
});

failing('that is slow with both of its calls is passed by when that time is over once', async () => {
  const { hear, clock, notices } = build(say('A cage'), (answers) => ({
    find: async (keys) => {
      await new Promise<void>((resolve) => clock.after(200, resolve));
      return await answers.find(keys);
    },
    claim: never,
  }));
  const hearing = hear(with_({ timeoutMs: 300 }));
  await clock.advance(299);
  assert.equal(hearing.statuses, []);
  await clock.advance(1);
  await hearing.over;
  assert.equal([textOf(hearing), hearing.statuses], ['A cage', ['bypass']]);
  assert.equal(notices, ['cache-unavailable']);
});

for (const how of ['late', 'not at all'] as const) {
  failing(`whose claim is heard of ${how} lets nobody wait`, async () => {
    const { hear, clock, claims } = build(say('A cage'), (answers) => ({
      claim: async (...given) => {
        const found = await answers.claim(...given);
        await new Promise<void>((resolve) => clock.after(500, resolve));
        if (how === 'late') return found;
        throw new Error('The reply was lost.');
      },
    }));
    const hearing = hear(with_({ timeoutMs: 300 }));
    await clock.advance(300);
    await hearing.over;
    assert.is(claims().length, 1);
    await clock.advance(200);
    assert.equal(claims(), []);
  });
}

failing('that cannot learn changes nothing about the answer, and it is told', async () => {
  const { ask, notices, claims } = build(say('A cage'), () => ({
    learn: () => Promise.reject(new Error('The table is down.')),
  }));
  const { text: told, end: last, statuses } = await ask();
  assert.equal([told, last, statuses], ['A cage', 'done', ['miss']]);
  await settle();
  assert.equal([notices, claims()], [['answer-not-learned'], []]);
});

failing('that is slow to learn holds the end back for cache-timeout-ms at most', async () => {
  for (const mode of ['use', 'refresh'] as const) {
    const { hear, clock, notices, claims } = build(say('A cage'), () => ({ learn: never }));
    const hearing = hear(with_({ mode, timeoutMs: 300 }));
    await clock.advance(299);
    assert.is(endOf(hearing), 'text-delta');
    await clock.advance(1);
    await hearing.over;
    assert.is(endOf(hearing), 'done');
    assert.equal([notices, claims()], [['answer-not-learned'], []]);
    assert.equal([clock.armed], [0]);
  }
});

failing('that does not let go of a claim holds a failure back for cache-timeout-ms at most', async () => {
  for (const release of [never, () => Promise.reject(new Error('The table is down.'))]) {
    const { hear, clock } = build([begin, new GatewayError('upstream_error', 'It failed.')], () => ({
      release,
    }));
    const hearing = hear(with_({ timeoutMs: 300 }));
    await clock.advance(300);
    await hearing.over;
    assert.is(endOf(hearing), 'upstream_error');
  }
});

failing('that hands out an altered answer as it is claimed is asked for nothing more', async () => {
  const { ask, asked } = build(say('A cage'), () => ({ claim: async () => ({ wasAltered: true }) }));
  assert.is((await ask()).text, 'A cage');
  assert.is((await ask()).cached, 'learned');
  assert.is(asked.length, 1);
});

failing.run();

// ---

const leaving = suite('a question that is left');

leaving('while it is claimed leaves no claim behind, and asks no model', async () => {
  const clock = createManualClock();
  const { answers, claims } = memoryAnswers(clock.now);
  const slow: Answers = {
    ...answers,
    claim: async (...given) => {
      const found = await answers.claim(...given);
      await new Promise<void>((resolve) => clock.after(100, resolve));
      return found;
    },
  };
  const process = startProcess(modelOf(clock, [begin, 'hang']), slow, clock);
  const hearing = process.hear();
  await clock.advance(50);
  assert.is(claims().length, 1);
  hearing.leave();
  await hearing.over;
  await clock.advance(50);
  assert.equal(claims(), []);
  assert.is(process.asked.length, 0);
});

leaving.run();
