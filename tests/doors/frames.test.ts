import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Clock } from '../../src/chat/clock.ts';
import { GatewayError } from '../../src/chat/errors.ts';
import type { ChatEvent } from '../../src/chat/events.ts';
import { type PostResult, sendFrames, toFrame } from '../../src/doors/frames.ts';
import { usage } from '../helpers/app.ts';
import { createManualClock, settle } from '../helpers/manual-clock.ts';

const MAX_BYTES = 28 * 1024;
const start: ChatEvent = { type: 'start', requestId: 'r', model: 'm', cached: false };
const text = (piece: string): ChatEvent => ({ type: 'text-delta', block: 0, text: piece });
const reasoning = (piece: string): ChatEvent => ({ type: 'reasoning-delta', block: 0, text: piece });
const timing = { firstEventMs: 3, totalMs: 8 };
const done: ChatEvent = { type: 'done', stopReason: 'end_turn', usage, saved: false, timing };
const cancelled: ChatEvent = { type: 'cancelled', usage, estimated: true };
const failure = new GatewayError('upstream_error', 'It failed.');
const failed: ChatEvent = {
  type: 'error',
  code: 'upstream_error',
  message: 'It failed.',
  retryable: true,
  cause: failure,
};

type Frame = { type: string; request_id: string; seq: number; text?: string; reasoning?: string };
type Reply = { readonly result: PostResult; readonly ms: number };
type Posted = Reply & { readonly at: number; readonly raw: string; readonly frame: Frame };
type Step = number | ChatEvent;

type Setup = {
  readonly gapMs?: number;
  readonly random?: number;
  /** What API Gateway says to the n-th post, and after how long. */
  readonly reply?: (n: number, raw: string) => Partial<Reply>;
};

/** More than is read ahead. */
const endless = Array.from({ length: 200 }, () => text('x'.repeat(1_000)));

const sleep = (clock: Clock, ms: number) => new Promise<void>((resolve) => clock.after(ms, resolve));

/** Plays events; a number is a pause in milliseconds. */
function build(steps: Iterable<Step>, { gapMs = 50, random = 0, reply = () => ({}) }: Setup = {}) {
  const clock = createManualClock(0);
  const posted: Posted[] = [];
  const seen = { aborts: 0, pulled: 0, isDrained: false, isPosting: false };
  const events = async function* () {
    for (const step of steps) {
      if (typeof step === 'number') await sleep(clock, step);
      else {
        seen.pulled++;
        yield step;
      }
    }
    seen.isDrained = true;
  };
  const post = async (raw: string): Promise<PostResult> => {
    assert.not(seen.isPosting, 'two posts at once');
    seen.isPosting = true;
    const at = clock.now();
    const { result = 'sent', ms = 0 } = reply(posted.length, raw);
    posted.push({ at, raw, frame: JSON.parse(raw), result, ms });
    if (ms > 0) await sleep(clock, ms);
    seen.isPosting = false;
    return result;
  };
  const abort = () => seen.aborts++;
  const over = sendFrames(events(), { requestId: 'r', post, gapMs, clock, random: () => random, abort });
  return { clock, posted, seen, over };
}

async function play(steps: Iterable<Step>, setup: Setup = {}) {
  const { clock, posted, seen, over } = build(steps, setup);
  await clock.advance(120_000);
  const result = await over;
  assert.is(clock.armed, 0, 'nothing is armed');
  assert.ok(seen.isDrained, 'the events were read to their end');
  return { result, posted, seen };
}

const said = (frames: readonly { readonly frame: Frame }[]) =>
  frames.map(({ frame }) => frame.text ?? frame.reasoning ?? frame.type);
const times = (posted: readonly Posted[]) => posted.map(({ at }) => at);
const joined = (frames: readonly { readonly frame: Frame }[]) =>
  frames.map(({ frame }) => frame.text ?? '').join('');

const sending = suite('sendFrames');

sending('frames bear the next seq from 0, and the words of the contract', async () => {
  const { posted, result, seen } = await play([start, text('A '), reasoning('hm'), done]);
  const head = (type: string, seq: number) => `{"type":"${type}","request_id":"r","seq":${seq}`;
  assert.equal(
    posted.map(({ raw }) => raw),
    [
      `${head('start', 0)},"model":"m","cached":false}`,
      `${head('delta', 1)},"text":"A "}`,
      `${head('delta', 2)},"reasoning":"hm"}`,
      `${head('done', 3)},"stop_reason":"end_turn","usage":{"input_tokens":5,"output_tokens":2,"cache_read_tokens":0,"cache_write_tokens":0},"saved":false,"timing":{"first_event_ms":3,"total_ms":8}}`,
    ],
  );
  assert.is(result, 'sent');
  assert.is(seen.aborts, 0);
});

sending('what comes while a post is on its way leaves together, text and reasoning apart', async () => {
  const pieces = [text('a'), text('b'), reasoning('x'), reasoning('y'), text('c'), text('d')];
  const { posted } = await play([start, ...pieces, done], { gapMs: 0, reply: () => ({ ms: 10 }) });
  assert.equal(said(posted), ['start', 'ab', 'xy', 'cd', 'done']);
  assert.equal(times(posted), [0, 10, 20, 30, 40]);
});

sending('the first delta leaves at once, and the next when the gap since it left is over', async () => {
  const steps = [start, 5, text('a'), 1, text('b'), 10, text('c'), 60, text('d'), 300, text('e'), 5, done];
  const { posted } = await play(steps, { reply: () => ({ ms: 2 }) });
  assert.equal(said(posted), ['start', 'a', 'bc', 'd', 'e', 'done']);
  assert.equal(times(posted), [0, 5, 55, 105, 376, 381]);
});

sending('the end does not wait for the gap, nor does what must leave before it', async () => {
  for (const last of [done, failed, cancelled]) {
    const steps = [start, text('a'), 1, text('b'), 1, last];
    const { clock, posted, over } = build(steps, { gapMs: 1_000 });
    await clock.advance(2);
    await over;
    assert.is(clock.armed, 0);
    assert.equal(said(posted), ['start', 'a', 'b', last.type]);
    assert.is(posted.at(-1)?.at, 2);
  }
});

sending('no frame has more than 28 KB, no pair is cut, and no character is changed', async () => {
  const lone = '\ude00\ud83d\ud83d';
  for (const unit of ['x', 'é', '😀', 'x😀', '"\\\n', '\u0001', '\u2028', lone]) {
    const whole = unit.repeat(Math.ceil(70_000 / unit.length));
    const { posted } = await play([start, text(whole), done], { gapMs: 0 });
    assert.ok(posted.every(({ raw }) => Buffer.byteLength(raw) <= MAX_BYTES));
    const deltas = posted.filter(({ frame }) => frame.type === 'delta');
    if (unit !== lone) assert.ok(deltas.every(({ frame }) => frame.text?.isWellFormed()));
    assert.ok(
      deltas.slice(0, -1).every(({ raw }) => Buffer.byteLength(raw) > MAX_BYTES - 16),
      'frames are full',
    );
    assert.ok(joined(deltas) === whole);
  }
});

sending('a connection that is gone or forbidden gets one post, and the events are called off', async () => {
  for (const result of ['gone', 'forbidden'] as const) {
    const steps = [start, 10, ...endless, 10, cancelled];
    const { clock, posted, seen, over } = build(steps, { reply: () => ({ result }) });
    await settle();
    assert.is(seen.aborts, 1);
    assert.not(seen.isDrained);
    await clock.advance(20);
    assert.is(await over, result);
    assert.is(posted.length, 1);
    assert.ok(seen.isDrained);
  }
});

sending('whoever refuses to read for 30 seconds is given up, after pauses of 50 ms to 2 s', async () => {
  for (const random of [0, 0.999_999]) {
    const { posted, result, seen } = await play([start, ...endless, done], {
      random,
      reply: () => ({ result: 'throttled' }),
    });
    assert.is(result, 'throttled');
    assert.is(seen.aborts, 1);
    const pauses = posted.slice(1).map(({ at }, n) => at - (posted[n]?.at ?? 0));
    assert.is(Math.round(pauses[0] ?? 0), random === 0 ? 50 : 100);
    assert.ok(pauses.every((ms) => ms >= 50 && ms <= 2_000));
    assert.ok(
      pauses.slice(0, 5).every((ms, n) => n === 0 || ms > (pauses[n - 1] ?? 0)),
      'they grow',
    );
    const lastAt = posted.at(-1)?.at ?? 0;
    assert.ok(lastAt >= 30_000 && lastAt <= 32_000, `${lastAt}`);
    assert.ok(posted.length < 50, `${posted.length} posts`);
  }
});

sending('a throttled frame takes along what came meanwhile', async () => {
  const steps = [start, text('a'), 20, text('b'), 20, text('c'), 500, done];
  const { posted } = await play(steps, { reply: (n) => (n === 1 ? { result: 'throttled' } : {}) });
  assert.equal(said(posted), ['start', 'a', 'abc', 'done']);
  assert.equal(
    posted.map(({ frame }) => frame.seq),
    [0, 1, 1, 2],
  );
});

sending('a frame that may have arrived is repeated as it was, three times at most', async () => {
  const steps = [start, text('a'), 20, text('b'), 500, done];
  const failing = await play(steps, { reply: (n) => (n > 0 ? { result: 'failed' } : {}) });
  assert.is(failing.result, 'failed');
  assert.is(failing.seen.aborts, 1);
  assert.equal(said(failing.posted), ['start', 'a', 'a', 'a']);
  const results: PostResult[] = ['sent', 'failed', 'throttled', 'failed', 'throttled'];
  const shaky = await play(steps, { reply: (n) => ({ result: results[n] ?? 'sent' }) });
  assert.equal(said(shaky.posted), ['start', 'a', 'a', 'a', 'a', 'a', 'b', 'done']);
  assert.is(new Set(shaky.posted.slice(1, 6).map(({ raw }) => raw)).size, 1);
});

sending('a frame that is too large leaves in pieces, until even 1 KB is too large', async () => {
  const whole = '😀'.repeat(5_000);
  const limit = (bytes: number) => ({
    reply: (_n: number, raw: string) =>
      Buffer.byteLength(raw) > bytes ? ({ result: 'too-large' } as const) : {},
  });
  const split = await play([start, text(whole), done], { gapMs: 0, ...limit(2_000) });
  const delivered = split.posted.filter(({ result }) => result === 'sent');
  assert.is(split.result, 'sent');
  assert.ok(joined(delivered) === whole);
  assert.is(split.posted.at(-1)?.at, 0, 'without a pause');
  assert.ok(delivered.every(({ frame }) => frame.text === undefined || frame.text.isWellFormed()));
  const hopeless = await play([start, text(whole), done], limit(500));
  assert.is(hopeless.result, 'too-large');
  assert.is(hopeless.seen.aborts, 1);
  assert.ok(hopeless.posted.length <= 7, `${hopeless.posted.length} posts`);
});

sending('while nobody reads, no more than 64 K characters are read ahead', async () => {
  const { clock, seen, posted, over } = build([start, ...endless, done], {
    reply: (n) => (n > 0 && n < 10 ? { result: 'throttled' } : {}),
  });
  await clock.advance(1_500);
  assert.ok(seen.pulled > 60 && seen.pulled <= 68, `${seen.pulled} pulled`);
  await clock.advance(20_000);
  assert.is(await over, 'sent');
  const delivered = posted.filter(({ result }) => result === 'sent');
  assert.is(joined(delivered).length, 200_000);
});

sending('events that break become an error frame and never a silent end', async () => {
  const broken = (function* () {
    yield start;
    yield text('a');
    throw new Error('secret');
  })();
  const { clock, posted, seen, over } = build(broken);
  await clock.advance(100);
  assert.is(await over, 'sent');
  assert.equal(said(posted), ['start', 'a', 'error']);
  assert.match(posted[2]?.raw ?? '', /"seq":2,"error":\{"code":"internal_error"/);
  assert.not.match(posted[2]?.raw ?? '', 'secret');
  assert.is(seen.aborts, 1);
});

sending('at the speed of models, frames are few and the end is early', async () => {
  for (const perSecond of [100, 200]) {
    for (const postMs of [15, 50]) {
      const tokens = Array.from({ length: 400 }, (_, n) => [1000 / perSecond, text(` token${n}`)]).flat();
      const { posted } = await play([start, ...tokens, done], { reply: () => ({ ms: postMs }) });
      const name = `${perSecond} tokens/s, posts of ${postMs} ms`;
      const lastTokenAt = (400 / perSecond) * 1_000;
      const last = posted.at(-1);
      assert.is(joined(posted), Array.from({ length: 400 }, (_, n) => ` token${n}`).join(''), name);
      assert.is(last?.frame.type, 'done', name);
      assert.ok((last?.at ?? 0) <= lastTokenAt + 2 * postMs + 50, name);
      assert.ok(posted.length <= 100, `${name}: ${posted.length} posts`);
    }
  }
});

sending.run();

// ---

type Piece = { readonly kind: 'text' | 'reasoning'; readonly unit: string; readonly times: number };

const kind = fc.constantFrom<Piece['kind']>('text', 'text', 'reasoning');
const character = fc.constantFrom(
  'a',
  ' ',
  '"',
  '\\',
  '\n',
  '\u0000',
  '\u007f',
  'é',
  '\u2028',
  '😀',
  '\u{10ffff}',
);
const few = fc.array(character, { maxLength: 12 }).map((characters) => characters.join(''));
const short = fc.record({ kind, unit: few, times: fc.constant(1) });
const long = fc.record({
  kind,
  unit: fc.constantFrom('x', '"', '\u0001', 'é', '😀', 'x😀\n'),
  times: fc.integer({ min: 1_000, max: 12_000 }),
});
const pause = fc.integer({ min: 0, max: 120 });
const step = fc.oneof({ weight: 8, arbitrary: short }, long, { weight: 4, arbitrary: pause });
const script = fc.record({
  steps: fc.array(step, { maxLength: 25 }),
  last: fc.constantFrom(done, failed, cancelled),
  /** The most bytes that are taken. */
  limit: fc.constantFrom(MAX_BYTES, MAX_BYTES, 9_000, 2_500),
  replies: fc.array(
    fc.record({
      result: fc.constantFrom('sent', 'throttled', 'lost', 'failed'),
      ms: fc.integer({ min: 0, max: 90 }),
    }),
    { maxLength: 14 },
  ),
  gapMs: fc.constantFrom(0, 50),
  random: fc.double({ min: 0, max: 0.99, noNaN: true }),
});

type Script = typeof script extends fc.Arbitrary<infer T> ? T : never;

/** A client that is told of each frame that arrives, the doubles too; two failures of one frame, and it gets through. */
async function listen({ steps, last, limit, replies, gapMs, random }: Script) {
  const heard: { raw: string; frame: Frame; isDouble: boolean; result: PostResult }[] = [];
  const failures = new Map<number, number>();
  const reply = (n: number, raw: string): Partial<Reply> => {
    const frame: Frame = JSON.parse(raw);
    const { result, ms } = replies[n] ?? { result: 'sent', ms: 1 };
    const tries = failures.get(frame.seq) ?? 0;
    const mayFail = tries < 2;
    if ((result === 'lost' || result === 'failed') && mayFail) failures.set(frame.seq, tries + 1);
    if (result === 'lost' && mayFail) return { result: 'failed', ms };
    if (result === 'throttled') return { result, ms };
    if (Buffer.byteLength(raw) > limit) return { result: 'too-large', ms };
    const told = result === 'failed' && mayFail ? 'failed' : 'sent';
    heard.push({ raw, frame, isDouble: frame.seq === heard.at(-1)?.frame.seq, result: told });
    return { result: told, ms };
  };
  const toStep = (given: Piece | number): Step =>
    typeof given === 'number' ? given : { text, reasoning }[given.kind](given.unit.repeat(given.times));
  const played = await play([start, ...steps.map(toStep), last], { gapMs, random, reply });
  return { ...played, heard };
}

/** What was said, in its order, however it was cut. */
function merge(pieces: Iterable<readonly [kind: string, text: string]>): string[] {
  const merged: [string, string][] = [];
  for (const [kind, text] of pieces) {
    const before = merged.at(-1);
    if (before?.[0] === kind) before[1] += text;
    else if (text !== '') merged.push([kind, text]);
  }
  return merged.map((piece) => piece.join(': '));
}

const always = suite('whatever happens');

always('a client that drops doubles by seq reads exactly the answer and one end', async () => {
  const reached = { doubles: 0, throttled: 0, split: 0 };
  await fc.assert(
    fc.asyncProperty(script, async (plot) => {
      const { result, posted, seen, heard } = await listen(plot);
      assert.is(result, 'sent');
      assert.is(seen.aborts, 0);
      assert.ok(
        posted.every(({ raw }) => Buffer.byteLength(raw) <= MAX_BYTES),
        'none is too large',
      );

      const frames = heard.filter(({ isDouble }) => !isDouble).map(({ frame }) => frame);
      assert.ok(
        frames.every(({ seq }, n) => seq === n),
        'no gap',
      );
      for (const [n, { raw, isDouble }] of heard.entries()) {
        if (!isDouble) continue;
        assert.is(heard[n - 1]?.result, 'failed', 'a double follows a failure only');
        assert.ok(raw === heard[n - 1]?.raw, 'a double is the same');
      }
      assert.is(frames.at(-1)?.type, plot.last.type, 'the end is last');
      assert.is(frames.filter(({ type }) => type !== 'start' && type !== 'delta').length, 1, 'one end');
      assert.ok(frames.every(({ text = '', reasoning = '' }) => (text + reasoning).isWellFormed()));

      const read = frames.flatMap(({ text, reasoning }) =>
        Object.entries({ text, reasoning }).flatMap(([kind, said]) => (said ? [[kind, said] as const] : [])),
      );
      const given = plot.steps.flatMap((step) =>
        typeof step === 'number' ? [] : [[step.kind, step.unit.repeat(step.times)] as const],
      );
      assert.ok(merge(read).join() === merge(given).join(), 'exactly what was said');

      reached.doubles += heard.filter(({ isDouble }) => isDouble).length;
      reached.throttled += posted.filter(({ result }) => result === 'throttled').length;
      reached.split += posted.filter(({ result }) => result === 'too-large').length;
    }),
    { numRuns: 200 },
  );
  assert.ok(
    Object.values(reached).every((count) => count > 100),
    JSON.stringify(reached),
  );
});

always.run();

// ---

const single = suite('toFrame');

single('a frame of no answer has no seq, and an id only where there is one', () => {
  assert.is(toFrame({ name: 'pong', data: {} }), '{"type":"pong"}');
  assert.is(toFrame({ name: 'error', data: { a: 1 } }, 'r'), '{"type":"error","request_id":"r","a":1}');
});

single.run();
