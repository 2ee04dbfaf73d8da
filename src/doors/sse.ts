/**
 * Events as a server-sent event stream. Written by hand, because what is at stake is when to write and when to wait: one
 * chunk for all that arrived in one turn, nothing read ahead for a slow reader, a ping when it is quiet, and an error event
 * rather than a silent end.
 */
import { setImmediate } from 'node:timers';
import type { Clock } from '../chat/clock.ts';
import { toGatewayError } from '../chat/errors.ts';
import type { ChatEvent } from '../chat/events.ts';
import { toWireEvent } from './answer.ts';
import { toEnvelope } from './envelope.ts';

/** How long a stream may be silent before a comment shows that it is alive; proxies cut at 30 s and more. */
export const HEARTBEAT_MS = 15_000;

/** How much may lie ready for a reader who does not read, in bytes, before the model is left to wait. */
const READ_AHEAD_BYTES = 16 * 1024;

export const sseHeaders = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
} as const;

/** JSON holds no line break, so an event is always one `data:` line, whatever the model wrote. */
const toSse = (name: string, data: object) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;

/** `event: delta\ndata: {"text":"A Faraday"}\n\n`, or an empty string for what this API has no word for. */
export function encodeSse(event: ChatEvent, requestId: string): string {
  const wire = toWireEvent(event, requestId);
  return wire ? toSse(wire.name, wire.data) : '';
}

type Source = {
  /** The first event, which somebody may already be waiting for. */
  readonly first: Promise<IteratorResult<ChatEvent, void>>;
  readonly events: AsyncIterator<ChatEvent, void>;
  readonly requestId: string;
  readonly clock: Clock;
  /** Called when nobody reads on; the events must end soon after. */
  readonly abort: () => void;
};

export function streamSse({ first, events, requestId, clock, abort }: Source): ReadableStream<Uint8Array> {
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
        write(encodeSse(next.value, requestId));
        while (isFull()) await new Promise<void>((resolve) => (hungry = resolve));
      }
    } catch (error) {
      abort();
      write(toSse('error', toEnvelope(toGatewayError(error), requestId)));
    }
    heart.stop();
    flush();
    if (!gone) controller.close();
  };

  return new ReadableStream<Uint8Array>(
    {
      start: (controller) => void run(controller),
      pull: () => hungry(),
      cancel() {
        gone = true;
        hungry();
        abort();
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
