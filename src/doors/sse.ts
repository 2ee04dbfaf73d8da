/**
 * Events as a server-sent event stream. Written by hand, because what is at stake is when to write and when to wait: one
 * chunk for all that arrived in one turn, nothing read ahead for a slow reader, a ping when it is quiet, and an error event
 * rather than a silent end.
 */
import { setImmediate } from 'node:timers';
import type { Clock } from '../chat/clock.ts';
import { type GatewayError, toGatewayError } from '../chat/errors.ts';
import type { ChatEvent } from '../chat/events.ts';

/** How long a stream may be silent before a comment shows that it is alive; proxies cut at 30 s and more. */
export const HEARTBEAT_MS = 15_000;

/** How much may lie ready for a reader who does not read, in bytes, before the model is left to wait. */
const READ_AHEAD_BYTES = 16 * 1024;

export const sseHeaders = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
} as const;

/** How an API writes the events of one answer as text of the stream; an empty text for what it has no word for. */
export type SseWriter = {
  encode(event: ChatEvent): string;
  /** In place of the end that did not come. */
  encodeFailure(error: GatewayError): string;
};

type Source = {
  /** The first event, which somebody may already be waiting for. */
  readonly first: Promise<IteratorResult<ChatEvent, void>>;
  readonly events: AsyncIterator<ChatEvent, void>;
  readonly writer: SseWriter;
  readonly clock: Clock;
  /** Called when nobody reads on; the events must end soon after. */
  readonly abort: () => void;
};

export function streamSse({ first, events, writer, clock, abort }: Source): ReadableStream<Uint8Array> {
  const bytes = new TextEncoder();
  let pending = '';
  let gone = false;
  let hungry = () => {};
  let flushing = false;

  const run = async (controller: ReadableStreamDefaultController<Uint8Array>) => {
    const flush = () => {
      flushing = false;
      if (pending !== '' && !gone) controller.enqueue(bytes.encode(pending));
      pending = '';
    };
    const write = (text: string) => {
      pending += text;
      if (!flushing) setImmediate(flush);
      flushing = true;
    };
    const isFull = () => !gone && (controller.desiredSize ?? 0) <= pending.length;
    const heart = startHeartbeat(clock, () => isFull() || write(': ping\n\n'));
    try {
      for (let next = await first; !next.done; next = await events.next()) {
        heart.rest();
        write(writer.encode(next.value));
        while (isFull()) await new Promise<void>((resolve) => (hungry = resolve));
      }
    } catch (error) {
      abort();
      write(writer.encodeFailure(toGatewayError(error)));
    }
    heart.stop();
    flush();
    if (!gone) controller.close();
  };

  let running = Promise.resolve();
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        running = run(controller);
      },
      pull: () => hungry(),
      /** Until the end is written down: a process may be frozen as soon as nobody waits. */
      cancel() {
        gone = true;
        hungry();
        abort();
        return running;
      },
    },
    new ByteLengthQueuingStrategy({ highWaterMark: READ_AHEAD_BYTES }),
  );
}

/** Beats whenever `HEARTBEAT_MS` pass without a `rest()`. */
function startHeartbeat(clock: Clock, beat: () => void) {
  let restedAt = clock.now();
  let stop = () => {};
  const wait = (ms: number) => {
    stop = clock.after(ms, () => {
      const quietMs = clock.now() - restedAt;
      if (quietMs >= HEARTBEAT_MS) {
        beat();
        restedAt = clock.now();
      }
      wait(HEARTBEAT_MS - (clock.now() - restedAt));
    });
  };
  wait(HEARTBEAT_MS);
  return { rest: () => (restedAt = clock.now()), stop: () => stop() };
}
