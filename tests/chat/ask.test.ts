import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createAsk, type Model } from '../../src/chat/ask.ts';
import { GatewayError } from '../../src/chat/errors.ts';
import { type ChatEvent, isTerminal, type ModelEvent } from '../../src/chat/events.ts';
import { createManualClock, type ManualClock, settle } from '../helpers/manual-clock.ts';
import { chatRequest } from '../helpers/requests.ts';

const begin: ModelEvent = { type: 'begin', model: 'some-model' };
const usage = { inputTokens: 5, outputTokens: 2, cacheReadTokens: 0, cacheWriteTokens: 0 };
const end: ModelEvent = { type: 'end', stopReason: 'end_turn', usage };
const text = (piece: string): ModelEvent => ({ type: 'text-delta', block: 0, text: piece });

const modelOf = (...events: (ModelEvent | Error)[]): Model =>
  async function* model() {
    for (const event of events) {
      if (event instanceof Error) throw event;
      yield event;
    }
  };

type Conversation = { clock: ManualClock; abort: AbortController; events: ChatEvent[]; over: Promise<void> };

function converse(model: Model, lifeMs = 900_000): Conversation {
  const clock = createManualClock();
  const abort = new AbortController();
  const events: ChatEvent[] = [];
  const ask = createAsk({ model });
  const over = (async () => {
    const options = { signal: abort.signal, deadline: clock.now() + lifeMs, clock };
    for await (const event of ask(chatRequest(), options)) events.push(event);
  })();
  return { clock, abort, events, over };
}

const typesOf = (events: readonly ChatEvent[]) => events.map(({ type }) => type);
const lastCode = (events: readonly ChatEvent[]) => {
  const last = events.at(-1);
  return last?.type === 'error' ? last.code : last?.type;
};

const answering = suite('createAsk');

answering('a whole answer is start, deltas and done', async () => {
  const { events, over } = converse(modelOf(begin, text('A '), text('cage'), end));
  await over;
  assert.equal(events, [
    { type: 'start', requestId: 'request-1', model: 'some-model', cached: false },
    { type: 'text-delta', block: 0, text: 'A ' },
    { type: 'text-delta', block: 0, text: 'cage' },
    { type: 'done', stopReason: 'end_turn', usage, saved: false, timing: { firstEventMs: 0, totalMs: 0 } },
  ]);
});

answering('an answer that merely stops is upstream_truncated', async () => {
  const { events, over } = converse(modelOf(begin, text('A ')));
  await over;
  assert.equal(typesOf(events), ['start', 'text-delta', 'error']);
  assert.is(lastCode(events), 'upstream_truncated');
});

answering('a failure before the first event is the only event', async () => {
  const { events, over } = converse(
    modelOf(new GatewayError('upstream_throttled', 'Slow down.', { retryAfterSeconds: 7 })),
  );
  await over;
  const [only] = events;
  assert.is(events.length, 1);
  assert.ok(only?.type === 'error' && only.retryable);
  assert.is(only.retryAfterSeconds, 7);
});

answering('a foreign error becomes internal_error and its text stays inside', async () => {
  const { events, over } = converse(modelOf(new Error('secret arn:aws:iam::123456789012:role/x')));
  await over;
  const [only] = events;
  assert.ok(only?.type === 'error');
  assert.is(only.code, 'internal_error');
  assert.not.match(only.message, 'arn');
});

answering('events in an order that no model has are upstream_protocol_error', async () => {
  for (const events of [[text('early')], [begin, begin], [end]]) {
    const conversation = converse(modelOf(...events));
    await conversation.over;
    assert.is(lastCode(conversation.events), 'upstream_protocol_error');
  }
});

answering('a request that is cancelled before it is asked makes no call', async () => {
  let calls = 0;
  const ask = createAsk({
    model: async function* () {
      calls++;
      yield begin;
    },
  });
  const clock = createManualClock();
  const events = await Array.fromAsync(
    ask(chatRequest(), { signal: AbortSignal.abort(), deadline: clock.now() + 1, clock }),
  );
  assert.equal(events, [
    {
      type: 'cancelled',
      usage: { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0 },
      estimated: true,
    },
  ]);
  assert.is(calls, 0);
});

answering.run();

// ---

/** A model that says these things and then nothing more, and notices when it is called off. */
function silentAfter(...events: ModelEvent[]) {
  const seen = { aborted: false };
  const model: Model = async function* (_request, signal) {
    signal.addEventListener('abort', () => (seen.aborted = true));
    yield* events;
    await new Promise(() => {});
  };
  return { model, seen };
}

const waiting = suite('deadlines and cancellation');

waiting('a model that does not begin is given up after first-event-timeout', async () => {
  const { model, seen } = silentAfter();
  const { clock, events, over } = converse(model);
  await clock.advance(59_999);
  assert.equal(events, []);
  await clock.advance(1);
  await over;
  assert.is(lastCode(events), 'upstream_timeout');
  assert.ok(seen.aborted);
});

waiting('a model that falls silent midway is given up after idle-timeout', async () => {
  const { model, seen } = silentAfter(begin, text('A '));
  const { clock, events, over } = converse(model);
  await clock.advance(29_999);
  assert.equal(typesOf(events), ['start', 'text-delta']);
  await clock.advance(1);
  await over;
  assert.is(lastCode(events), 'upstream_stalled');
  assert.ok(seen.aborted);
});

waiting('the deadline ends an answer however lively it is', async () => {
  const { clock, events, over } = converse(async function* () {
    yield begin;
    for (;;) {
      await new Promise<void>((resolve) => clock.after(10_000, resolve));
      yield text('more ');
    }
  }, 45_000);
  await clock.advance(45_000);
  await over;
  assert.is(lastCode(events), 'deadline_exceeded');
  assert.is(events.filter(({ type }) => type === 'text-delta').length, 4);
});

waiting('an abort without a reason ends as cancelled, with an estimate of what it cost', async () => {
  const { model, seen } = silentAfter(begin, text('twelve chars'));
  const { abort, events, over } = converse(model);
  await settle();
  abort.abort();
  await over;
  const last = events.at(-1);
  assert.ok(last?.type === 'cancelled' && last.estimated);
  assert.is(last.usage.outputTokens, 3);
  assert.is(last.usage.inputTokens, 6);
  assert.ok(seen.aborted);
});

waiting('an abort whose reason is a failure ends as that failure', async () => {
  const { model } = silentAfter(begin);
  const { abort, events, over } = converse(model);
  await settle();
  abort.abort(new GatewayError('overloaded', 'The gateway is stopping.'));
  await over;
  assert.is(lastCode(events), 'overloaded');
});

waiting('a reader who walks away calls the model off', async () => {
  const { model, seen } = silentAfter(begin, text('A '));
  const clock = createManualClock();
  const signal = new AbortController().signal;
  for await (const event of createAsk({ model })(chatRequest(), {
    signal,
    deadline: clock.now() + 1000,
    clock,
  })) {
    if (event.type === 'text-delta') break;
  }
  assert.ok(seen.aborted);
  assert.is(clock.armed, 0);
});

waiting('the deadline calls the model off even while nobody reads', async () => {
  const { model, seen } = silentAfter(begin);
  const clock = createManualClock();
  const signal = new AbortController().signal;
  const events = createAsk({ model })(chatRequest(), { signal, deadline: clock.now() + 1000, clock });
  await events.next();
  await clock.advance(1000);
  assert.ok(seen.aborted);
  await events.return();
});

waiting.run();

// ---

type Step = { readonly delayMs: number; readonly does: ModelEvent | 'stop' | 'fail' | 'crash' | 'hang' };
type Outside = { readonly atMs: number; readonly does: 'cancel' | 'shut down' };

const step: fc.Arbitrary<Step> = fc.record({
  delayMs: fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, fc.integer({ min: 0, max: 70_000 })),
  does: fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom<ModelEvent>(text('a'), text('bb')) },
    fc.constantFrom<Step['does']>(begin, end, { type: 'tool-end', block: 1 }),
    fc.constantFrom<Step['does']>('stop', 'fail', 'crash', 'hang'),
  ),
});

const script = fc.record({
  steps: fc.array(step, { maxLength: 12 }).map((steps) => [{ delayMs: 5, does: begin }, ...steps]),
  outside: fc.array(
    fc.record({
      atMs: fc.integer({ min: 0, max: 90_000 }),
      does: fc.constantFrom<Outside['does']>('cancel', 'shut down'),
    }),
    { maxLength: 3 },
  ),
  lifeMs: fc.integer({ min: 1, max: 120_000 }),
  /** A model that does not notice when it is called off. */
  isDeaf: fc.boolean(),
  readerPauseMs: fc.constantFrom(0, 0, 7_000),
});

type Script = typeof script extends fc.Arbitrary<infer T> ? T : never;

async function play({ steps, outside, lifeMs, isDeaf, readerPauseMs }: Script) {
  const clock = createManualClock(0);
  const abort = new AbortController();
  const seen = { ended: false, aborted: false, said: '' };
  const model: Model = async function* (_request, signal) {
    signal.addEventListener('abort', () => (seen.aborted = true));
    for (const { delayMs, does } of steps) {
      await new Promise<void>((resolve, reject) => {
        const disarm = clock.after(does === 'hang' ? 1e9 : delayMs, resolve);
        signal.addEventListener('abort', () => {
          if (isDeaf) return;
          disarm();
          reject(new Error('called off'));
        });
      });
      if (does === 'stop' || does === 'hang') return;
      if (does === 'fail') throw new GatewayError('upstream_error', 'The model failed.');
      if (does === 'crash') throw new Error('crash');
      if (does.type === 'end') seen.ended = true;
      if (does.type === 'text-delta') seen.said += does.text;
      yield does;
    }
  };
  for (const { atMs, does } of outside) {
    const reason = does === 'cancel' ? undefined : new GatewayError('overloaded', 'The gateway is stopping.');
    clock.after(atMs, () => abort.abort(reason));
  }
  const events: ChatEvent[] = [];
  const over = (async () => {
    const options = { signal: abort.signal, deadline: lifeMs, clock };
    for await (const event of createAsk({ model })(chatRequest(), options)) {
      events.push(event);
      if (readerPauseMs > 0) await new Promise<void>((resolve) => clock.after(readerPauseMs, resolve));
    }
  })();
  await clock.advance(2_000_000);
  await over;
  return { events, seen, abort };
}

const always = suite('whatever happens');

always(
  'every answer is start, deltas and exactly one terminal event, and the model is called off',
  async () => {
    const codes = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(script, async (plot) => {
        const { events, seen, abort } = await play(plot);
        const types = typesOf(events);
        const last = events.at(-1);
        codes.set(String(lastCode(events)), (codes.get(String(lastCode(events))) ?? 0) + 1);

        assert.is(events.filter(isTerminal).length, 1, 'one terminal');
        assert.ok(last && isTerminal(last), 'the terminal is last');
        if (types.length > 1) assert.is(types.indexOf('start'), 0);
        assert.ok(types.lastIndexOf('start') <= 0, 'one start at most');
        assert.ok(seen.aborted, 'the model was called off');

        const told = events.map((event) => (event.type === 'text-delta' ? event.text : '')).join('');
        assert.ok(seen.said.startsWith(told), 'what was told is what was said');
        if (last.type === 'done') assert.ok(seen.ended, 'done only when the model said so');
        if (last.type === 'done') assert.is(told, seen.said, 'done only with everything told');
        if (last.type === 'cancelled') assert.ok(abort.signal.aborted);
        if (last.type === 'error') assert.is.not(last.code, 'cancelled');
      }),
      { numRuns: 400 },
    );
    const reached = [
      'done',
      'cancelled',
      'overloaded',
      'deadline_exceeded',
      'upstream_stalled',
      'upstream_truncated',
    ];
    for (const code of reached) assert.ok(codes.has(code), `${code} was never reached`);
  },
);

always.run();
