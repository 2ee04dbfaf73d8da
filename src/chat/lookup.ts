/**
 * One question held against the answers that are kept: told again when there is one, awaited when another process is asking, else asked
 * of the model and learned.
 */
import { randomUUID } from 'node:crypto';
import type { AnswerKeys, Answers, Found, KeptAnswer } from './answers.ts';
import type { CacheStatus, Model } from './ask.ts';
import { type Clock, within } from './clock.ts';
import type { ModelEvent } from './events.ts';
import { createRecorder, replay } from './replay.ts';
import type { ChatRequest } from './request.ts';
import type { Similar, SimilarSearch } from './similar.ts';

/** What an operator may want to know. */
export type CacheNotice = {
  readonly type:
    | 'cache-unavailable'
    | 'answer-altered'
    | 'answer-not-learned'
    | 'similar-unavailable'
    | 'question-not-indexed';
  readonly cause?: unknown;
};

export type CacheParts = {
  readonly answers: Answers;
  /** Nothing where only the same question has the same answer. */
  readonly similar?: Similar | undefined;
  readonly clock: Clock;
  readonly notify: (notice: CacheNotice) => void;
};

/** An answer, and how it was come by before it. */
export type Leg = ModelEvent | { readonly type: 'cache'; readonly status: CacheStatus };

type Lookup = {
  readonly request: ChatRequest;
  readonly keys: AnswerKeys;
  readonly signal: AbortSignal;
  /** Among questions in other words. */
  readonly search?: SimilarSearch | undefined;
};

/** How long other processes wait for the one that asks, in milliseconds; then they ask for themselves. */
const LEASE_MS = 30_000;

/** How often they look whether its answer is there. */
const LOOK_MS = 250;

/** An item of the table holds 400 KB. */
const MAX_ANSWER_BYTES = 350 * 1024;

export async function* lookUp(model: Model, parts: CacheParts, lookup: Lookup): AsyncGenerator<Leg> {
  const { request, signal } = lookup;
  const owner = randomUUID();
  const found = await findOrClaim(parts, lookup, owner);
  if (!found) {
    yield { type: 'cache', status: 'bypass' };
    yield* model(request, signal);
    return;
  }
  const isOurs = found.asking === owner;
  let isLearned = false;
  try {
    let { answer } = found;
    if (!answer) yield { type: 'cache', status: 'miss' };
    if (found.asking && !isOurs) answer = await follow(parts, lookup);
    if (signal.aborted) return;
    if (answer) {
      yield { type: 'cache', status: 'hit' };
      yield* replay(answer, request.model);
    } else {
      yield* askAndLearn(model, parts, lookup, () => {
        isLearned = true;
      });
    }
  } finally {
    if (isOurs && !isLearned) await release(parts, lookup, owner);
  }
}

/** What there is, or the owner's own claim where there is nothing; nothing at all when the table is down or slow. */
async function findOrClaim(parts: CacheParts, lookup: Lookup, owner: string): Promise<Found | undefined> {
  const { answers, clock, notify } = parts;
  const { request, keys, signal, search } = lookup;
  let leftMs = request.caching.timeoutMs;
  const inTime = async (finding: Promise<Found>) => {
    const beganAt = clock.now();
    const found = await timely(parts, leftMs, finding, 'cache-unavailable');
    leftMs -= Math.max(0, clock.now() - beganAt);
    return found;
  };
  const found = await inTime(answers.find(keys));
  if (found?.wasAltered) notify({ type: 'answer-altered' });
  if (!found || found.answer) return found;
  if (found.asking && request.store) return found;
  const answer = await search?.find(signal);
  // Whoever may not keep an answer has nothing to offer to those who would wait for it, and need not wait himself.
  if (answer || !request.store || signal.aborted) return answer ? { answer } : {};
  const claiming = answers.claim(keys.learned, owner, clock.now() + LEASE_MS);
  const claimed = await inTime(claiming);
  // It may be in the table all the same, or get there yet, and nobody should wait for whoever learns nothing.
  if (!claimed) claiming.catch(() => undefined).then(() => release(parts, lookup, owner));
  return claimed;
}

/** Whoever waits for the owner's answer waits no longer. */
async function release({ answers, clock }: CacheParts, { request, keys }: Lookup, owner: string) {
  const releasing = answers.release(keys.learned, owner).catch(() => undefined);
  await within(request.caching.timeoutMs, releasing, clock);
}

/** What the promise comes to. Nothing when it fails or takes longer, and then whoever runs the gateway is told. */
async function timely<T>(
  { clock, notify }: CacheParts,
  ms: number,
  promise: Promise<T>,
  type: CacheNotice['type'],
): Promise<T | undefined> {
  try {
    const result = await within(ms, promise, clock);
    if (result === undefined) notify({ type });
    return result;
  } catch (cause) {
    notify({ type, cause });
    return undefined;
  }
}

/** The answer that another process is asking for, when it comes in time and before whoever waits would give up. */
async function follow(
  { answers, clock }: CacheParts,
  { request, keys: { learned }, signal }: Lookup,
): Promise<KeptAnswer | undefined> {
  const giveUpAt = clock.now() + request.patience.firstEventMs / 2;
  while (clock.now() < giveUpAt && !signal.aborted) {
    await new Promise<void>((resolve) => clock.after(LOOK_MS, resolve));
    const looking = answers.find({ learned }).catch(() => undefined);
    const found = await within(request.caching.timeoutMs, looking, clock);
    if (found?.answer || !found?.asking) return found?.answer;
  }
  return undefined;
}

/** Asks the model, and keeps its answer before its end is told: whoever hears it and asks again is answered. */
export async function* askAndLearn(
  model: Model,
  parts: CacheParts,
  { request, keys: { learned }, signal, search }: Lookup,
  onLearned?: () => void,
): AsyncGenerator<ModelEvent> {
  const recorder = createRecorder();
  for await (const event of model(request, signal)) {
    recorder.note(event);
    // Beside the answer, so that nobody waits for it. What is not learned then has an entry without an answer.
    if (event.type === 'begin' && request.store && event.model === request.model) search?.add(signal);
    if (event.type === 'end' && (await learn())) onLearned?.();
    yield event;
  }

  async function learn(): Promise<boolean> {
    const answer = recorder.answer();
    // What another model said in its place is not what this one would say.
    if (!answer || !request.store || answer.model !== request.model) return false;
    if (Buffer.byteLength(answer.text + answer.reasoning) > MAX_ANSWER_BYTES) return false;
    const { timeoutMs, ttlSeconds } = request.caching;
    const learning = parts.answers.learn(learned, answer, ttlSeconds).then(() => true);
    const [isKept = false] = await Promise.all([
      timely(parts, timeoutMs, learning, 'answer-not-learned'),
      search?.added(),
    ]);
    return isKept;
  }
}
