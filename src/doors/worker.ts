/**
 * The worker of the WebSocket door: takes a stored question once, asks, and streams the answer as frames to the connection that the
 * question came from.
 */
import type { Context } from 'aws-lambda';
import { type Ask, toFailure } from '../chat/ask.ts';
import { createRequest } from '../chat/create-request.ts';
import { GatewayError, toGatewayError } from '../chat/errors.ts';
import { toCancelled } from '../chat/estimate.ts';
import { type ChatEvent, isTerminal } from '../chat/events.ts';
import type { Lease, RequestKey } from '../chat/lease.ts';
import type { ChatRequest } from '../chat/request.ts';
import { toEnvelope } from './envelope.ts';
import { type FrameOptions, sendFrames, toFrame } from './frames.ts';
import { CLOSING_MS } from './lambda.ts';
import { parseChat } from './question.ts';
import { noteAnswer, noteError, type RequestRecord, toPrincipalName } from './record.ts';
import { parseMessage } from './socket-message.ts';
import type { Job, SocketParts, Waiting } from './socket-parts.ts';
import { forgetConnection } from './websocket.ts';

type Claimed = Omit<Waiting, 'messageId'> & {
  /** `isLost`: whether somebody else has ended the request, who tells of it too. Known once `end` was called. */
  readonly lease: Lease & { isLost(): boolean };
  /** Whether somebody cancelled while it waited. */
  readonly isCancelled: boolean;
};

export type WorkerParts = Pick<SocketParts, 'loadSettings' | 'clock' | 'log' | 'connections' | 'sockets'> & {
  readonly ask: Ask;
  readonly random: () => number;
  /** As for the HTTP doors: its reason is what running answers end with. */
  readonly stopping: AbortSignal;
  readonly requests: SocketParts['requests'] & {
    /** Nothing when the question was taken before, or has waited too long. */
    claim(key: RequestKey, until: number): Promise<Claimed | undefined>;
  };
};

export type Worker = (job: Job, context: Pick<Context, 'getRemainingTimeInMillis'>) => Promise<void>;

/** `parts` is called at the first job and not before. The worker never rejects: Lambda would try again what has been told already. */
export function createWorker(parts: () => WorkerParts): Worker {
  return async function work({ tenant, requestId, connectionId }, context) {
    const { clock, log, requests, sockets } = parts();
    const began = clock.now();
    const endsAt = began + context.getRemainingTimeInMillis();
    const record: RequestRecord = {
      request_id: requestId,
      method: 'WORK',
      door: 'websocket',
      tenant: toPrincipalName(tenant),
    };
    try {
      const claimed = await requests.claim({ tenant, requestId }, endsAt);
      if (!claimed) return;
      await answer(parts(), claimed, { requestId, deadline: endsAt - CLOSING_MS, record });
    } catch (thrown) {
      noteError(thrown, record);
      const data = toEnvelope(toGatewayError(thrown), requestId);
      await sockets.post(connectionId, toFrame({ name: 'error', data }, requestId));
    } finally {
      record.total_ms = clock.now() - began;
      log(record);
    }
  };
}

type Work = { readonly requestId: string; readonly deadline: number; readonly record: RequestRecord };

async function answer(parts: WorkerParts, claimed: Claimed, work: Work): Promise<void> {
  const { ask, clock, loadSettings, stopping } = parts;
  const { connectionId, lease, slot } = claimed;
  const { requestId, deadline, record } = work;
  const left = new AbortController();
  const signal = AbortSignal.any([left.signal, stopping]);
  const prepared = await prepare(loadSettings, claimed, requestId).catch(toGatewayError);
  // What was cancelled while it waited makes no call.
  if (claimed.isCancelled) left.abort();
  const isRefused = prepared instanceof GatewayError;
  const events = isRefused
    ? refuse(prepared, lease)
    : ask(prepared.request, { signal, deadline, clock, lease, onCache: (status) => (record.cache = status) });
  await tell(parts, noteAnswer(unlessLost(events, lease), record), {
    connectionId,
    slot,
    record,
    gapMs: isRefused ? 0 : prepared.gapMs,
    abort: () => left.abort(),
  });
}

/** Whoever ends a request in its table says so to the client, and nobody else does. */
async function* unlessLost(events: AsyncIterable<ChatEvent>, lease: Claimed['lease']) {
  for await (const event of events) {
    if (isTerminal(event) && lease.isLost()) return;
    yield event;
  }
}

type Telling = Pick<Waiting, 'connectionId' | 'slot'> &
  Pick<FrameOptions, 'gapMs' | 'abort' | 'firstSeq'> & { readonly record: RequestRecord };

/** Sends the events to the connection, which has room for another request then; one that is gone is forgotten. Never rejects. */
export async function tell(
  parts: Pick<SocketParts, 'clock' | 'connections' | 'requests' | 'sockets'> & Pick<WorkerParts, 'random'>,
  events: AsyncIterable<ChatEvent>,
  { connectionId, slot, record, ...options }: Telling,
): Promise<void> {
  const { clock, random, connections, sockets } = parts;
  const result = await sendFrames(events, {
    ...options,
    requestId: record.request_id,
    post: (frame) => sockets.post(connectionId, frame),
    clock,
    random,
  });
  if (result !== 'sent') record.delivery = result;
  const isGone = result === 'gone';
  const tidy = isGone ? forgetConnection(parts, connectionId) : connections.release(connectionId, [slot]);
  // The answer has been told; what a table keeps of it expires.
  await tidy.catch(() => undefined);
}

/** The settings may have changed since the question was taken. */
async function prepare(
  loadSettings: WorkerParts['loadSettings'],
  { text, caller }: Claimed,
  requestId: string,
): Promise<{ readonly request: ChatRequest; readonly gapMs: number }> {
  const settings = await loadSettings();
  const message = parseMessage(text);
  const { question } = parseChat(message.action === 'chat' ? message.body : {}, caller, requestId);
  return { request: createRequest(question, settings), gapMs: settings.frameGapMs };
}

/** A failure before the model was asked. */
async function* refuse(error: GatewayError, lease: Lease): AsyncGenerator<ChatEvent> {
  const outcome = await lease.end('error').catch(() => undefined);
  yield outcome === 'cancelled' ? toCancelled(undefined, 0) : toFailure(error);
}
