import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Answers } from '../../src/chat/answers.ts';
import { GatewayError } from '../../src/chat/errors.ts';
import { isTerminal } from '../../src/chat/events.ts';
import { begin, end, text, usage } from '../helpers/app.ts';
import {
  endOf,
  type Hearing,
  memoryAnswers,
  modelOf,
  type Step,
  startProcess,
  textOf,
} from '../helpers/cache.ts';
import { createManualClock } from '../helpers/manual-clock.ts';

const WHOLE = 'A cage of metal.';
const slowly: Step[] = [100, begin, 400, text('A ca'), 400, text('ge of '), 400, text('metal.'), 100, end];
const failure = new GatewayError('upstream_error', 'Not now.');

const ms = fc.constantFrom(0, 0, 1, 30, 300);
const pieces = fc.constantFrom(['A cage ', 'of metal.'], ['A ca', 'ge of', ' metal.'], [WHOLE]);
const answer = fc
  .record({
    pieces,
    waits: fc.array(ms, { minLength: 5, maxLength: 5 }),
    at: fc.option(fc.nat(4), { nil: undefined, freq: 2 }),
    breaks: fc.constantFrom('fail', 'crash', 'stop', 'hang'),
  })
  .map(({ pieces, waits, at, breaks }): readonly Step[] => {
    const events = [begin, ...pieces.map(text), end];
    const steps = events.flatMap((event, n): Step[] => [waits[n] ?? 0, event]);
    if (at === undefined) return steps;
    const broken = {
      fail: [failure],
      crash: [new Error('crash')],
      stop: [],
      hang: ['hang'],
    } satisfies Record<string, Step[]>;
    return [...steps.slice(0, at * 2), ...broken[breaks]];
  });
const mishap = fc.constantFrom('no', 'no', 'no', 'no', 'before', 'after', 'slow');
const script = fc.record({
  answers: fc.array(answer, { minLength: 1, maxLength: 6 }),
  askers: fc.array(
    fc.record({
      process: fc.nat(1),
      atMs: fc.oneof(fc.constant(0), fc.nat(1_000)),
      leavesAfterMs: fc.option(fc.nat(900), { nil: undefined }),
    }),
    { minLength: 1, maxLength: 8 },
  ),
  calls: fc.array(fc.record({ ms, mishap }), { minLength: 1, maxLength: 12 }),
});

type Script = typeof script extends fc.Arbitrary<infer T> ? T : never;

async function play({ answers: scripts, askers, calls }: Script) {
  const clock = createManualClock();
  const memory = memoryAnswers(clock.now);
  const pause = (ms: number) => new Promise<void>((resolve) => clock.after(ms, resolve));
  let call = 0;
  const through = async <T>(run: () => Promise<T>): Promise<T> => {
    const { ms, mishap } = calls[call++ % calls.length] ?? { ms: 0, mishap: 'no' };
    if (ms > 0) await pause(ms);
    if (mishap === 'before') throw new Error('down');
    const result = await run();
    if (mishap === 'slow') await pause(1_200);
    if (mishap === 'after') throw new Error('lost');
    return result;
  };
  const stored = memory.answers;
  const answers: Answers = {
    find: (...given) => through(() => stored.find(...given)),
    claim: (...given) => through(() => stored.claim(...given)),
    // What is lost here ends with its time.
    release: (...given) => stored.release(...given),
    learn: (...given) => through(() => stored.learn(...given)),
  };
  const model = modelOf(clock, ...scripts);
  const processes = [0, 1].map(() => startProcess(model, answers, clock));
  const hearings: (Hearing & { hasLeft: boolean })[] = [];
  for (const { process, atMs, leavesAfterMs } of askers) {
    clock.after(atMs, () => {
      const hearing = processes[process]?.hear();
      if (!hearing) return;
      const heard = { ...hearing, hasLeft: false };
      hearings.push(heard);
      if (leavesAfterMs === undefined) return;
      clock.after(leavesAfterMs, () => {
        heard.hasLeft = true;
        hearing.leave();
      });
    });
  }
  await clock.advance(200_000);
  await Promise.all(hearings.map(({ over }) => over));
  return { hearings, processes, clock, claims: memory.claims() };
}

const always = suite('whoever asks, leaves and fails');

always('all who stay hear the whole answer or why not, and nothing stays open', async () => {
  const reached = new Map<string, number>();
  const note = (what: string) => reached.set(what, (reached.get(what) ?? 0) + 1);
  await fc.assert(
    fc.asyncProperty(script, async (plot) => {
      const { hearings, processes, clock, claims } = await play(plot);
      for (const hearing of hearings) {
        const last = hearing.events.at(-1);
        assert.is(hearing.events.filter(isTerminal).length, 1);
        assert.ok(WHOLE.startsWith(textOf(hearing)), 'nothing but the answer, once');
        if (last?.type === 'done') assert.is(textOf(hearing), WHOLE, 'no cut answer ends as whole');
        if (last?.type === 'cancelled') assert.ok(hearing.hasLeft);
        const codes = [
          'upstream_error',
          'internal_error',
          'upstream_truncated',
          'upstream_timeout',
          'upstream_stalled',
        ];
        if (last?.type === 'error') assert.ok(codes.includes(last.code), last.code);
        note(endOf(hearing) ?? 'nothing');
        note(hearing.statuses.join());
      }
      const paid = hearings.filter(({ events }) => {
        const last = events.at(-1);
        return last?.type === 'done' && last.usage?.inputTokens === usage.inputTokens;
      });
      const asked = processes.flatMap((process) => process.asked);
      assert.ok(paid.length <= asked.length, 'nobody pays twice');
      assert.is(processes.map(({ openCalls }) => openCalls()).join(), '0,0', 'no call is open');
      assert.is(clock.armed, 0);
      assert.equal(claims, []);
    }),
    { numRuns: 400 },
  );
  for (const what of ['done', 'cancelled', 'upstream_error', 'miss', 'hit', 'bypass', 'miss,hit']) {
    assert.ok(reached.has(what), `${what} was never reached`);
  }
});

always(
  'with a model and tables that do not fail all who stay hear the whole answer, from one call',
  async () => {
    const plots = script.map(
      ({ askers }): Script => ({
        askers: askers.map((asker, n) => (n === 0 ? { ...asker, atMs: 0, leavesAfterMs: undefined } : asker)),
        answers: [slowly],
        calls: [{ ms: 0, mishap: 'no' }],
      }),
    );
    await fc.assert(
      fc.asyncProperty(plots, async (plot) => {
        const { hearings, processes } = await play(plot);
        for (const hearing of hearings) {
          if (!hearing.hasLeft) assert.equal([textOf(hearing), endOf(hearing)], [WHOLE, 'done']);
        }
        const calls = processes.flatMap((process) => process.asked).length;
        const isLeft = hearings.some(({ hasLeft }) => hasLeft);
        if (!isLeft) assert.is(calls, 1);
      }),
      { numRuns: 100 },
    );
  },
);

always.run();
