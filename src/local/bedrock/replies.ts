/**
 * What the Bedrock simulator sends, as data: a reply is a status, headers and a list of steps, so that a fault is
 * only another list. Here the steps become Amazon event-stream frames and go out at the model's pace.
 */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { EventStreamCodec } from '@smithy/eventstream-codec';

/** The JSON of a frame. */
export type Payload = Readonly<Record<string, unknown>>;

/** One step of a reply. After the last one the body ends as HTTP says it should. */
export type Step =
  /** A frame of the answer; `tokens` is how many tokens' time the model takes for it. */
  | { readonly kind: 'event'; readonly type: string; readonly payload: Payload; readonly tokens: number }
  | { readonly kind: 'exception'; readonly type: string; readonly payload: Payload }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  /** Silence, in milliseconds of real time whatever the pace. */
  | { readonly kind: 'wait'; readonly ms: number }
  /** Sends the status and headers now instead of with the first bytes. */
  | { readonly kind: 'headers' }
  /** TCP RST: the connection breaks. */
  | { readonly kind: 'reset' }
  /** TCP FIN in the middle of the body: the last chunk never comes. */
  | { readonly kind: 'hang-up' };

/** An HTTP response: nothing goes out before the first step that sends something. */
export type Reply = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly steps: readonly Step[];
};

/** A wait that ends only when the client leaves (the longest that a Node timer can do, 24.8 days). */
export const FOREVER_MS = 2 ** 31 - 1;

/** A frame of an answer that takes the model `tokens` tokens' time. */
export function event(type: string, payload: Payload, tokens = 0): Step {
  return { kind: 'event', type, payload, tokens };
}

/** Thrown where a request is read or answered; the caller is told with `refusal`. */
export class ServiceException extends Error {
  override readonly name: string;
  readonly status: number;

  constructor(status: number, name: string, message: string) {
    super(message);
    this.status = status;
    this.name = name;
  }
}

/** The error of a request that Bedrock will not take. */
export function invalid(message: string): ServiceException {
  return new ServiceException(400, 'ValidationException', message);
}

/** How Bedrock passes on what a model says of a request. */
export const modelErrors = (what: string) => `The model returned the following errors: ${what}`;

/** The error of a request that the model behind Bedrock will not take. */
export function rejected(what: string): ServiceException {
  return invalid(modelErrors(what));
}

/** An answer as one JSON body. */
export function jsonReply(status: number, value: unknown, headers: Reply['headers'] = {}): Reply {
  const bytes = Buffer.from(JSON.stringify(value));
  const length = String(bytes.length);
  return {
    status,
    headers: { 'content-type': 'application/json', 'content-length': length, ...headers },
    steps: [{ kind: 'bytes', bytes }],
  };
}

/** An error before the stream; the SDKs take the exception's name from the header, up to the colon. */
export function refusal({ status, name, message }: ServiceException): Reply {
  const errorType = `${name}:http://internal.amazon.com/coral/com.amazon.bedrock/`;
  return jsonReply(status, { message }, { 'x-amzn-errortype': errorType });
}

/** An event stream with these steps. */
export function streamReply(steps: readonly Step[]): Reply {
  return { status: 200, headers: { 'content-type': 'application/vnd.amazon.eventstream' }, steps };
}

const codec = new EventStreamCodec(
  (bytes) => Buffer.from(bytes).toString('utf8'),
  (text) => Buffer.from(text, 'utf8'),
);

/** The frame of an event or of an exception, with both checksums; a string is taken as it is, JSON or not. */
export function encodeFrame(kind: 'event' | 'exception', type: string, payload: Payload | string): Buffer {
  const text = (value: string) => ({ type: 'string' as const, value });
  const frame = codec.encode({
    headers: {
      [`:${kind}-type`]: text(type),
      ':content-type': text('application/json'),
      ':message-type': text(kind),
    },
    body: Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload)),
  });
  return Buffer.from(frame);
}

const PADDING = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';

/** Adds Bedrock's `p`, the start of the alphabet up to some letter: it hides how long the text is from who sees sizes. */
function padded(payload: Payload): Payload {
  const length = 1 + ((JSON.stringify(payload).length * 7) % PADDING.length);
  return { ...payload, p: PADDING.slice(0, length) };
}

const BREAK_AFTER_MS = 10;

/** How fast to play a reply, and when to stop: `gone` aborts once the client has left. */
export type Pace = { readonly tokensPerSecond: number; readonly gone: AbortSignal };

/** Sends a reply. Rejects when the client leaves first; resolves when all was done, breaking off included. */
export async function play(reply: Reply, response: ServerResponse, pace: Pace): Promise<void> {
  const { tokensPerSecond, gone } = pace;
  const send = async (bytes: Uint8Array) => {
    gone.throwIfAborted();
    if (!response.write(bytes)) await once(response, 'drain', { signal: gone });
  };
  // Tokens are due on a timetable, so that late timers do not add up.
  let due = performance.now();
  response.writeHead(reply.status, reply.headers);
  for (const step of reply.steps) {
    switch (step.kind) {
      case 'event': {
        due += (step.tokens * 1000) / tokensPerSecond;
        const early = due - performance.now();
        if (early > 0) await setTimeout(early, undefined, { signal: gone });
        await send(encodeFrame('event', step.type, padded(step.payload)));
        break;
      }
      case 'exception':
        await send(encodeFrame('exception', step.type, step.payload));
        break;
      case 'bytes':
        await send(step.bytes);
        break;
      case 'wait':
        await setTimeout(step.ms, undefined, { signal: gone });
        due = performance.now();
        break;
      case 'headers':
        response.flushHeaders();
        break;
      case 'reset':
      case 'hang-up':
        // A reset drops what the other side has not read yet, so that has a moment to arrive.
        await setTimeout(BREAK_AFTER_MS, undefined, { signal: gone });
        if (step.kind === 'reset') response.socket?.resetAndDestroy();
        else response.socket?.end();
        return;
    }
  }
  response.end();
}
