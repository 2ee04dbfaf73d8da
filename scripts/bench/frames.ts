/**
 * A long answer over a WebSocket: as the gateway sends it, and as one post for each token, awaited. The posts go nowhere and take as long
 * as API Gateway would.
 */
import type { ChatEvent } from '../../src/chat/events.ts';
import { parseSettings } from '../../src/chat/settings.ts';
import { toWireEvent } from '../../src/doors/answer.ts';
import { sendFrames, toFrame } from '../../src/doors/frames.ts';
import { systemClock } from '../../src/wire.ts';
import { type BenchOptions, percentile, sleep } from './figures.ts';

const TOKENS = 400;
const gapMs = parseSettings(new Map()).frameGapMs;

/** Of the lognormal time of a post, whose median is the case's `postMs`. */
const SIGMA = 0.5;

/** Timers are late by a little. */
const TIMER_MS = 5;

type Case = { readonly tokensPerSecond: number; readonly postMs: number };
const cases: readonly Case[] = [100, 200].flatMap((tokensPerSecond) =>
  [15, 50].map((postMs) => ({ tokensPerSecond, postMs })),
);

type Send = (events: AsyncIterable<ChatEvent>, post: (text: string) => Promise<'sent'>) => Promise<unknown>;
const ways: Readonly<Record<string, Send>> = {
  gateway(events, post) {
    const { random } = Math;
    return sendFrames(events, { requestId: 'r', post, gapMs, clock: systemClock, random, abort() {} });
  },
  async 'one per token'(events, post) {
    for await (const event of events) {
      const wire = toWireEvent(event, 'r');
      if (wire) await post(toFrame(wire, 'r'));
    }
  },
};

/** Each round measures all cases side by side, first one way and then the other. */
export async function benchFrames({ rounds }: BenchOptions): Promise<void> {
  const runs = new Map<string, Run[]>();
  for (let round = 1; round <= rounds; round++) {
    for (const [way, send] of Object.entries(ways)) {
      await Promise.all(
        cases.map(async (at) => {
          const name = `${at.tokensPerSecond}/s, ${at.postMs} ms, ${way}`;
          runs.set(name, [...(runs.get(name) ?? []), await measure(send, at)]);
        }),
      );
    }
    console.log(`round ${round} of ${rounds} is over`);
  }
  console.log(
    `${TOKENS} tokens at so many a second, posts of so many milliseconds, ${gapMs} ms between frames;`,
  );
  console.log(`medians of ${rounds} rounds, and from the least to the most`);
  console.table(Object.fromEntries([...runs].sort().map(([name, all]) => [name, toRow(all)])));
  judge([...runs].filter(([name]) => name.endsWith('gateway')).flatMap(([, all]) => all));
}

type Run = Awaited<ReturnType<typeof measure>>;

async function measure(send: Send, { tokensPerSecond, postMs }: Case) {
  const tokens = Array.from({ length: TOKENS }, (_, n) => ` tök€n${n}`);
  const began = performance.now();
  const dueAt = (n: number) => began + ((n + 1) * 1000) / tokensPerSecond;
  const posts: { readonly begunAt: number; readonly endedAt: number; readonly text: string }[] = [];
  const delays: number[] = [];
  await send(say(tokens, dueAt), async (raw) => {
    const begunAt = performance.now();
    await sleep(postMs * Math.exp(SIGMA * drawNormal()));
    const { text = '' } = JSON.parse(raw) as { readonly text?: string };
    const endedAt = performance.now();
    posts.push({ begunAt, endedAt, text });
    for (const _ of text.matchAll(/ /g)) delays.push(endedAt - dueAt(delays.length));
    return 'sent';
  });
  const lastAt = dueAt(TOKENS - 1);
  const endedAt = posts.at(-1)?.endedAt ?? Number.NaN;
  const lastTwoMs = posts.slice(-2).reduce((sum, post) => sum + post.endedAt - post.begunAt, 0);
  const donePosts = posts.filter(({ begunAt }) => begunAt >= lastAt).length;
  return {
    ratio: (endedAt - began) / (lastAt - began),
    posts: posts.length,
    delayMs: delays.reduce((sum, delay) => sum + delay, 0) / TOKENS,
    delayP99Ms: percentile(delays, 99),
    doneMs: endedAt - lastAt,
    donePosts,
    isSoon: donePosts <= 2 && endedAt - lastAt <= lastTwoMs + gapMs + TIMER_MS,
    isEqual: posts.map(({ text }) => text).join('') === tokens.join(''),
  };
}

/** The model's timetable does not wait for whoever is late. */
async function* say(tokens: readonly string[], dueAt: (n: number) => number): AsyncGenerator<ChatEvent> {
  yield { type: 'start', requestId: 'r', model: 'm', cached: false };
  for (const [n, text] of tokens.entries()) {
    const early = dueAt(n) - performance.now();
    if (early > 0) await sleep(early);
    yield { type: 'text-delta', block: 0, text };
  }
  const timing = { firstEventMs: 0, totalMs: 0 };
  yield { type: 'done', stopReason: 'end_turn', usage: null, saved: false, timing };
}

const drawNormal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());

function toRow(runs: readonly Run[]) {
  const show = (pick: (run: Run) => number, digits = 0) => {
    const [least, median, most] = [0, 50, 100].map((at) => percentile(runs.map(pick), at).toFixed(digits));
    return least === most ? median : `${median} (${least}–${most})`;
  };
  return {
    'total ÷ ideal': show(({ ratio }) => ratio, 2),
    posts: show(({ posts }) => posts),
    'a token': show(({ posts }) => posts / TOKENS, 2),
    'delay ms': show(({ delayMs }) => delayMs),
    'p99 ms': show(({ delayP99Ms }) => delayP99Ms),
    'done ms': show(({ doneMs }) => doneMs),
    'done posts': show(({ donePosts }) => donePosts),
    'text equal': runs.every(({ isEqual }) => isEqual) ? 'yes' : 'NO',
  };
}

/** Says of each promise in how many runs it held. */
function judge(runs: readonly Run[]) {
  const promises: readonly (readonly [string, (run: Run) => boolean])[] = [
    ['the text is equal, byte for byte', ({ isEqual }) => isEqual],
    ['at most one post for four tokens', ({ posts }) => posts <= TOKENS / 4],
    ['at most two posts after the last token, done being one of them', ({ donePosts }) => donePosts <= 2],
    [`done within those posts and ${gapMs} ms of the last token`, ({ isSoon }) => isSoon],
  ];
  for (const [promise, isKept] of promises) {
    const broken = runs.filter((run) => !isKept(run)).length;
    console.log(
      broken ? `BROKEN in ${broken} of ${runs.length} runs: ${promise}` : `kept in all runs: ${promise}`,
    );
  }
  if (runs.every(({ isSoon }) => isSoon)) return;
  console.log(
    `Late is what found a post on its way that took over ${gapMs} ms more: frames leave one after another.`,
  );
}
