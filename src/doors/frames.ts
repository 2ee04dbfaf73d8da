/**
 * Events as the frames of a WebSocket. Frames are posted one after another, since nobody promises their order otherwise; what the model
 * says while a post is on its way leaves together. Every frame bears the next `seq` of its request, so a client sees a gap or a double.
 */
import type { Clock } from '../chat/clock.ts';
import { toGatewayError } from '../chat/errors.ts';
import type { ChatEvent } from '../chat/events.ts';
import { toWireEvent, type WireEvent } from './answer.ts';
import { toEnvelope } from './envelope.ts';
import { createFrameQueue, type FrameQueue } from './frame-queue.ts';

/** API Gateway takes 32 KB in a frame, and counts messages in units of 32 KB. */
const MAX_FRAME_BYTES = 28 * 1024;

/** Whoever finds this too large will find everything too large. */
const MIN_FRAME_BYTES = 1024;

/** How often a post may fail that may also have arrived. */
const MAX_TRIES = 3;

/** Pauses between two tries: at least the first, doubled up to the second, and some of it by chance. */
const MIN_PAUSE_MS = 50;
const MAX_PAUSE_MS = 2_000;

/** How long a client may refuse to read. */
const THROTTLED_MS = 30_000;

/** What became of a post: `failed` when it may have arrived or not; nothing was delivered by the others but `sent`. */
export type PostResult = 'sent' | 'gone' | 'throttled' | 'too-large' | 'forbidden' | 'failed';

export type FrameOptions = {
  readonly requestId: string;
  readonly post: (text: string) => Promise<PostResult>;
  /** How long after a frame of deltas the next one leaves, at the earliest. */
  readonly gapMs: number;
  readonly clock: Clock;
  /** From 0 up to 1. */
  readonly random: () => number;
  /** Called when nothing can be delivered any more; the events must end soon after. */
  readonly abort: () => void;
  /** @defaultValue 0 */
  readonly firstSeq?: number;
};

/** A frame without `seq`: of no answer, such as the refusal of a message. */
export const toFrame = ({ name, data }: WireEvent, requestId?: string): string =>
  JSON.stringify({ type: name, ...(requestId !== undefined && { request_id: requestId }), ...data });

/** Sends all events as frames, and reads them to their end in any case. Resolves with what became of the last post; never rejects. */
export async function sendFrames(
  events: AsyncIterable<ChatEvent>,
  options: FrameOptions,
): Promise<PostResult> {
  const queue = createFrameQueue(options.requestId, options.firstSeq);
  const sending = send(queue, options);
  void sending.then((result) => result !== 'sent' && options.abort());
  try {
    for await (const event of events) {
      const wire = toWireEvent(event, options.requestId);
      if (wire) queue.push(wire);
      await queue.room();
    }
  } catch (error) {
    options.abort();
    queue.push({ name: 'error', data: toEnvelope(toGatewayError(error), options.requestId) });
  }
  queue.end();
  return await sending;
}

async function send(queue: FrameQueue, { post, gapMs, clock, random }: FrameOptions): Promise<PostResult> {
  let leftAt = Number.NEGATIVE_INFINITY;
  let result: PostResult = 'sent';
  while (result === 'sent' && (await queue.ready())) {
    if (queue.isDelta) {
      await queue.gather(leftAt + gapMs - clock.now(), clock);
      leftAt = clock.now();
    }
    result = await deliver(queue, post, clock, random);
  }
  queue.discard();
  return result;
}

/** Posts the next frame until it is there. A frame that may have arrived is repeated as it was; any other takes along what has come since. */
async function deliver(
  queue: FrameQueue,
  post: FrameOptions['post'],
  clock: Clock,
  random: () => number,
): Promise<PostResult> {
  const giveUpAt = clock.now() + THROTTLED_MS;
  let maxBytes = MAX_FRAME_BYTES;
  let pauseMs = 2 * MIN_PAUSE_MS;
  let tries = 0;
  let frame = queue.next(maxBytes);
  for (;;) {
    const result = await post(frame.text);
    if (result === 'sent') frame.remove();
    if (result === 'failed') tries++;
    if (result === 'too-large') maxBytes = Math.floor(maxBytes / 2);
    const isHopeless = tries >= MAX_TRIES || clock.now() >= giveUpAt || maxBytes < MIN_FRAME_BYTES;
    const mayTryAgain = result === 'failed' || result === 'throttled' || result === 'too-large';
    if (!mayTryAgain || isHopeless) return result;
    if (result !== 'too-large') await sleep(pauseMs * (0.5 + random() / 2), clock);
    pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS);
    // What is too large has not arrived, even if an earlier try of it failed.
    if (tries === 0 || result === 'too-large') frame = queue.next(maxBytes);
  }
}

const sleep = (ms: number, clock: Clock) => new Promise<void>((resolve) => clock.after(ms, resolve));
