import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createAsk, type Model } from '../../src/chat/ask.ts';
import type { Clock } from '../../src/chat/clock.ts';
import { GatewayError } from '../../src/chat/errors.ts';
import { type ChatEvent, isTerminal, type ModelEvent } from '../../src/chat/events.ts';
import { type Lease, underLease } from '../../src/chat/lease.ts';
import { modelThat, say, usage } from '../helpers/app.ts';
import { createManualClock, settle } from '../helpers/manual-clock.ts';
import { memoryRegistry } from '../helpers/registry.ts';
import { chatRequest } from '../helpers/requests.ts';

const key = { tenant: 'alice', requestId: 'request-1' };
const [begin, piece] = say('twelve chars') as [ModelEvent, ModelEvent];
const down = () => Promise.reject(new GatewayError('storage_unavailable', 'The table is down.'));
const sleep = (clock: Clock, ms: number) => new Promise<void>((resolve) => clock.after(ms, resolve));

/** Says these and then nothing more. */
const silentAfter = (...events: ModelEvent[]): Model =>
  async function* () {
    yield* events;
    await new Promise(() => {});
  };

async function build(model: Model, change: (lease: Lease, clock: Clock) => Partial<Lease> = () => ({})) {
  const clock = createManualClock();
  const registry = memoryRegistry(clock.now);
  const abort = new AbortController();
  const opened = await registry.open(key, clock.now() + 900_000);
  const seen = { looks: 0, calls: 0 };
  const count =
    <Given extends unknown[], Result>(name: keyof typeof seen, run: (...given: Given) => Result) =>
    (...given: Given) => {
      seen[name]++;
      return run(...given);
    };
  const changed: Lease = { ...opened, ...change(opened, clock) };
  const lease: Lease = { ...changed, isCancelled: count('looks', changed.isCancelled) };
  const ask = createAsk({ model: count('calls', model) });
  const options = { signal: abort.signal, deadline: clock.now() + 900_000, clock, lease };
  const answer = underLease(ask)(chatRequest(), options);
  return { clock, registry, abort, seen, answer };
}

async function collect(answer: AsyncIterable<ChatEvent>) {
  const events: ChatEvent[] = [];
  const over = (async () => {
    for await (const event of answer) events.push(event);
  })();
  await settle();
  return { events, over };
}

const leasing = suite('underLease');

leasing(
  'an answer that nobody cancels passes unchanged, and its end is stored before it is told',
  async () => {
    const { answer, registry, clock } = await build(modelThat(...say('A ', 'cage')));
    const types: string[] = [];
    for await (const event of answer) {
      types.push(event.type);
      assert.is(registry.stateOf(key), isTerminal(event) ? 'done' : 'running');
    }
    assert.equal(types, ['start', 'text-delta', 'text-delta', 'done']);
    assert.is(clock.armed, 0);
  },
);

leasing('it looks every 500 ms while the answer runs, and never after', async () => {
  const { answer, clock, seen, abort } = await build(silentAfter(begin));
  const { over } = await collect(answer);
  await clock.advance(499);
  assert.is(seen.looks, 0);
  await clock.advance(1);
  assert.is(seen.looks, 1);
  await clock.advance(9 * 500);
  assert.is(seen.looks, 10);
  abort.abort();
  await over;
  assert.is(clock.armed, 0);
  await clock.advance(60_000);
  assert.is(seen.looks, 10);
});

leasing('a cancel ends the answer at the next look, and a look that failed does not matter', async () => {
  let looks = 0;
  const { answer, clock, registry } = await build(silentAfter(begin, piece), (lease) => ({
    isCancelled: () => (++looks === 2 ? down() : lease.isCancelled()),
  }));
  const { events, over } = await collect(answer);
  await clock.advance(600);
  assert.ok(await registry.cancel(key));
  await clock.advance(500);
  assert.equal(
    events.map(({ type }) => type),
    ['start', 'text-delta'],
  );
  await clock.advance(400);
  await over;
  assert.equal(events.at(-1), {
    type: 'cancelled',
    usage: { ...usage, inputTokens: 6, outputTokens: 3 },
    estimated: true,
  });
  assert.is(registry.stateOf(key), 'cancelled');
  assert.not(await registry.cancel(key));
  assert.is(clock.armed, 0);
});

leasing('a cancel that came just before the end overrules it; what Bedrock counted is kept', async () => {
  for (const last of [say()[1] as ModelEvent, new GatewayError('upstream_error', 'It failed.')]) {
    const { answer, registry } = await build(modelThat(begin, piece, last));
    const events: ChatEvent[] = [];
    for await (const event of answer) {
      events.push(event);
      if (event.type === 'text-delta') assert.ok(await registry.cancel(key));
    }
    const counted = last instanceof Error ? { ...usage, inputTokens: 6, outputTokens: 3 } : usage;
    assert.equal(events.slice(2), [{ type: 'cancelled', usage: counted, estimated: true }]);
    assert.is(registry.stateOf(key), 'cancelled');
  }
});

leasing('an end that cannot be stored within four seconds is told all the same', async () => {
  const slow = await build(modelThat(...say('A')), (lease, clock) => ({
    end: (outcome) => sleep(clock, 5_000).then(() => lease.end(outcome)),
  }));
  const { events, over } = await collect(slow.answer);
  await slow.clock.advance(3_999);
  assert.is(events.length, 2);
  assert.is(slow.seen.looks, 0);
  await slow.clock.advance(1);
  await over;
  assert.is(events.at(-1)?.type, 'done');
  const failing = await build(modelThat(...say('A')), () => ({ end: down }));
  const told = await Array.fromAsync(failing.answer);
  assert.is(told.at(-1)?.type, 'done');
  assert.is(failing.clock.armed, 0);
});

leasing('a reader who walks away leaves the request cancelled', async () => {
  const { answer, registry, clock } = await build(silentAfter(begin, piece));
  for await (const event of answer) if (event.type === 'text-delta') break;
  assert.is(registry.stateOf(key), 'cancelled');
  assert.is(clock.armed, 0);
});

leasing('an abort ends the answer as its reason says, and makes no call when it came first', async () => {
  const { answer, abort, registry, seen } = await build(silentAfter(begin));
  abort.abort(new GatewayError('overloaded', 'The gateway is stopping.'));
  const events = await Array.fromAsync(answer);
  assert.equal(
    events.map((event) => event.type === 'error' && event.code),
    ['overloaded'],
  );
  assert.is(registry.stateOf(key), 'error');
  assert.is(seen.calls, 0);
});

leasing.run();

// ---

type Fault = {
  readonly beforeMs: number;
  readonly afterMs: number;
  readonly fails: 'no' | 'before' | 'after';
};

const ms = (max: number) => fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, fc.integer({ min: 0, max }));
const fault: fc.Arbitrary<Fault> = fc.record({
  beforeMs: ms(400),
  afterMs: ms(700),
  fails: fc.constantFrom('no', 'no', 'no', 'before', 'after'),
});
const script = fc.record({
  pieces: fc.array(ms(900), { maxLength: 8 }),
  ends: fc.constantFrom('end', 'end', 'fail', 'hang'),
  cancels: fc.array(fc.record({ atMs: fc.integer({ min: 0, max: 3_000 }), fault }), { maxLength: 3 }),
  looks: fc.array(fault, { maxLength: 6 }),
  end: fault,
  leavesAfter: fc.option(fc.integer({ min: 1, max: 6 }), { nil: undefined }),
});

const well: Fault = { beforeMs: 0, afterMs: 0, fails: 'no' };
type Script = typeof script extends fc.Arbitrary<infer T> ? T : never;

/** A cancel that comes between the end of a whole answer and its being stored. */
const overruled: Script = {
  pieces: [0],
  ends: 'end',
  cancels: [{ atMs: 100, fault: well }],
  looks: [],
  end: { ...well, beforeMs: 400 },
  leavesAfter: undefined,
};

/** The store reaches the row between two delays, and may fail before or after. */
async function through<T>(clock: Clock, { beforeMs, afterMs, fails }: Fault, run: () => Promise<T>) {
  if (beforeMs > 0) await sleep(clock, beforeMs);
  if (fails === 'before') return down();
  const result = await run();
  if (afterMs > 0) await sleep(clock, afterMs);
  return fails === 'after' ? down() : result;
}

async function play({ pieces, ends, cancels, looks, end, leavesAfter }: Script) {
  const seenByModel = { aborts: 0 };
  const faults = [...looks];
  const model: Model = async function* (_request, signal) {
    signal.addEventListener('abort', () => seenByModel.aborts++);
    yield begin;
    for (const delayMs of pieces) {
      if (delayMs > 0) await sleep(clock, delayMs);
      yield piece;
    }
    if (ends === 'hang') await new Promise(() => {});
    if (ends === 'fail') throw new Error('crash');
    yield { type: 'end', stopReason: 'end_turn', usage };
  };
  const { answer, clock, registry, seen } = await build(model, (lease, time) => ({
    isCancelled: () => through(time, faults.pop() ?? well, () => lease.isCancelled()),
    end: (outcome) => through(time, end, () => lease.end(outcome)),
  }));
  let taken = 0;
  for (const { atMs, fault } of cancels) {
    clock.after(atMs, async () => {
      if (await through(clock, fault, () => registry.cancel(key)).catch(() => false)) taken++;
    });
  }
  const events: ChatEvent[] = [];
  let looksAtEnd = 0;
  const over = (async () => {
    for await (const event of answer) if (events.push(event) === leavesAfter) break;
    looksAtEnd = seen.looks;
  })();
  await clock.advance(60_000);
  await over;
  return { events, registry, clock, ...seenByModel, taken, isQuiet: seen.looks === looksAtEnd };
}

const always = suite('whatever happens');

always('a cancel that was taken ends as cancelled, and what is stored is what was told', async () => {
  const reached = new Map<string, number>();
  const note = (name: string) => void reached.set(name, (reached.get(name) ?? 0) + 1);
  await fc.assert(
    fc.asyncProperty(script, async (plot) => {
      const { events, registry, clock, aborts, taken, isQuiet } = await play(plot);
      const stored = registry.stateOf(key);
      const last = events.at(-1);
      const isHeard = plot.end.fails === 'no' && plot.end.beforeMs + plot.end.afterMs < 4_000;

      assert.is(clock.armed, 0, 'nothing is armed');
      assert.ok(isQuiet, 'no look after the end');
      assert.is(aborts, 1, 'the model was called off');
      assert.ok(taken <= 1, 'one cancel at most was taken');
      assert.is(stored === 'running', plot.end.fails === 'before', 'the end was stored');
      if (taken > 0 && stored !== 'running') assert.is(stored, 'cancelled');
      if (!last || !isTerminal(last)) return note('left');
      assert.is(events.filter(isTerminal).length, 1, 'one terminal');
      if (isHeard) assert.is(stored, last.type, 'what is stored is what was told');
      if (isHeard && taken > 0) assert.is(last.type, 'cancelled');
      const wasWhole = plot.ends === 'end' && events.length === plot.pieces.length + 2;
      note(wasWhole && last.type === 'cancelled' ? 'overruled' : isHeard ? last.type : 'unstored');
    }),
    // By chance alone it comes in one run of a hundred.
    { numRuns: 500, examples: [[overruled]] },
  );
  for (const name of ['done', 'error', 'cancelled', 'overruled', 'unstored', 'left']) {
    assert.ok(reached.has(name), `${name} was never reached`);
  }
});

always.run();
