/**
 * The HTTP doors on Lambda: an event of API Gateway or of a Function URL in, a streamed response out. It writes the prelude even
 * when the body is empty, waits for a slow reader, lets go when the reader is gone, and never writes an error as raw text nor lets
 * one of a request reach the runtime. What is no event of these doors fails as an invocation.
 */
import type { Context } from 'aws-lambda';
import type { Clock } from '../chat/clock.ts';
import { toGatewayError } from '../chat/errors.ts';
import { toCaller } from './caller.ts';
import type { Edge } from './edge.ts';
import { toErrorResponse } from './envelope.ts';
import { doorOf, type HttpEvent, methodOf, toRequest } from './lambda-event.ts';
import { type Log, noteError, type RequestRecord, toPrincipalName } from './record.ts';

/** What is left of the function's time when an answer must be over, so that its end can still be told. */
export const CLOSING_MS = 5_000;

/** How long a reader may leave a full buffer unread before the answer is given up. */
const READER_STALL_MS = 60_000;

/** The part of Lambda's response stream that this door uses; the real one is no `Writable` either. */
export type ResponseStream = {
  write(chunk: string | Uint8Array): boolean;
  end(): void;
  on(event: 'close' | 'drain' | 'error', listener: () => void): unknown;
  off(event: 'close' | 'drain' | 'error', listener: () => void): unknown;
};

/** `awslambda.HttpResponseStream`: the first `write` after `from` sends the metadata as JSON and 8 NUL bytes. */
export type Prelude = { from(stream: ResponseStream, metadata: object): ResponseStream };

/** The global `awslambda` of the Lambda runtime. `streamifyResponse` marks the function and returns it. */
export type LambdaRuntime = {
  streamifyResponse<Handler>(handler: Handler): Handler;
  readonly HttpResponseStream: Prelude;
};

export type LambdaDoorParts = {
  readonly app: { fetch(request: Request, edge: Edge): Response | Promise<Response> };
  readonly clock: Clock;
  readonly log: Log;
  readonly newRequestId: () => string;
  /** Aborts when the process is about to end; its reason, a `GatewayError`, is what running answers end with. */
  readonly stopping: AbortSignal;
};

export type LambdaDoor = (
  event: HttpEvent,
  responseStream: ResponseStream,
  context: Pick<Context, 'getRemainingTimeInMillis'>,
) => Promise<void>;

/** `parts` is called at the first event and not before: importing an entry point does nothing. */
export function createLambdaDoor(prelude: Prelude, parts: () => LambdaDoorParts): LambdaDoor {
  return async function answerEvent(event, responseStream, context) {
    const { app, clock, log, newRequestId, stopping } = parts();
    const began = clock.now();
    const record: RequestRecord = { request_id: newRequestId(), method: methodOf(event) };
    const left = new AbortController();
    const leave = () => left.abort();
    responseStream.on('close', leave);
    responseStream.on('error', leave);
    try {
      const edge: Edge = {
        door: doorOf(event),
        caller: toCaller(event),
        deadline: began + context.getRemainingTimeInMillis() - CLOSING_MS,
        signal: AbortSignal.any([left.signal, stopping]),
        record,
      };
      record.door = edge.door;
      if (edge.caller) record.tenant = toPrincipalName(edge.caller.tenant);
      const response = await respond(app, event, edge);
      await send(response.body, prelude.from(responseStream, toMetadata(response)), left.signal, clock);
    } finally {
      record.total_ms = clock.now() - began;
      log(record);
    }
  };
}

async function respond(app: LambdaDoorParts['app'], event: HttpEvent, edge: Edge): Promise<Response> {
  try {
    return await app.fetch(toRequest(event), edge);
  } catch (thrown) {
    noteError(thrown, edge.record);
    const error = toGatewayError(thrown);
    // What no request can carry never comes to the app, which knows what each path takes.
    const isMethod = error.code === 'method_not_allowed';
    const headers: Record<string, string> = isMethod ? { allow: 'GET, POST, DELETE' } : {};
    const response = toErrorResponse(error, edge.record.request_id, headers);
    edge.record.status = response.status;
    response.headers.set('x-request-id', edge.record.request_id);
    return response;
  }
}

const toMetadata = ({ status, headers }: Response) => ({
  statusCode: status,
  headers: Object.fromEntries(headers),
});

/** Writes the body at the reader's pace, to its end or until `left` aborts, and waits until what makes it has ended too. Never rejects. */
async function send(
  body: Response['body'],
  out: ResponseStream,
  left: AbortSignal,
  clock: Clock,
): Promise<void> {
  const reader = body?.getReader();
  let ending: Promise<void> | undefined;
  const giveUp = () => {
    ending ??= reader?.cancel().catch(() => undefined);
  };
  left.addEventListener('abort', giveUp, { once: true });
  try {
    // Only `write` sends the prelude: without it an empty body would lose status and headers.
    out.write('');
    while (reader && !left.aborted) {
      const { done, value } = await reader.read();
      if (done) break;
      if (!out.write(value) && !(await drained(out, left, clock))) break;
    }
  } catch {
    // A body of ours ends with an event that says what went wrong; there is nothing to add to one that broke.
  } finally {
    giveUp();
    out.end();
    await ending;
  }
}

/** Whether the reader took what was written: not when he left, nor when he let it lie too long. */
function drained(out: ResponseStream, left: AbortSignal, clock: Clock): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (isDrained: boolean) => {
      out.off('drain', onDrain);
      left.removeEventListener('abort', onLeft);
      disarm();
      resolve(isDrained);
    };
    const onDrain = () => settle(true);
    const onLeft = () => settle(false);
    const disarm = clock.after(READER_STALL_MS, onLeft);
    out.on('drain', onDrain);
    left.addEventListener('abort', onLeft, { once: true });
    if (left.aborted) onLeft();
  });
}
