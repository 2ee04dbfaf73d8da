/**
 * The WebSocket door. API Gateway hands each message to a function that must return within seconds, so a question is checked, stored and
 * left to a worker; everything that is said to the client goes to the connection that the event came from, and to no other.
 */
import type { Clock } from '../chat/clock.ts';
import { createRequest } from '../chat/create-request.ts';
import { errorKinds, GatewayError, toGatewayError } from '../chat/errors.ts';
import type { Lease, RequestKey, RequestRegistry } from '../chat/lease.ts';
import type { Caller } from '../chat/request.ts';
import type { Settings } from '../chat/settings.ts';
import { findHeader, findSubprotocols, SUBPROTOCOL } from './api-key.ts';
import { identify } from './caller.ts';
import { notRunning } from './cancel.ts';
import { toEnvelope } from './envelope.ts';
import { type PostResult, toFrame } from './frames.ts';
import { parseChat } from './question.ts';
import { type Log, noteError, type RequestRecord, toPrincipalName } from './record.ts';
import type { SocketEvent, SocketReply } from './socket-event.ts';
import { findNames, parseMessage, type SocketMessage } from './socket-message.ts';

/** What one connection may do. */
export const connectionLimits = { messagesPerSecond: 10, running: 8 };

/** How long a question waits for its worker. Lambda hands it over in milliseconds, or within its maximum event age of a minute. */
const WAITING_MS = 90_000;

/** How long a question counts as running at most: until its worker's time is over. */
const RUNNING_MS = WAITING_MS + 15 * 60_000;

/** A question that waits for its worker, by the connection that the answer goes to. */
export type Waiting = {
  readonly text: string;
  readonly caller: Caller;
  readonly connectionId: string;
  /** What it takes of the connection's limit. */
  readonly slot: string;
  readonly messageId: string;
};

/** What the worker is told. Only ids: the question must not lie in a queue or in the record of a failure. */
export type Job = RequestKey & { readonly connectionId: string };

export type Connections = {
  add(connectionId: string, caller: Caller, expiresAt: number): Promise<void>;
  enter(
    connectionId: string,
  ): Promise<{ readonly caller: Caller; readonly expiresAt: number } | 'busy' | undefined>;
  reserve(connectionId: string, requestId: string, until: number): Promise<string | undefined>;
  isOpen(connectionId: string): Promise<boolean>;
  release(connectionId: string, slots: readonly string[]): Promise<void>;
  remove(connectionId: string): Promise<readonly RequestKey[]>;
};

export type Sockets = {
  /** Never rejects, nor does `close`. */
  post(connectionId: string, text: string): Promise<PostResult>;
  close(connectionId: string): Promise<void>;
};

export type SocketParts = {
  readonly loadSettings: () => Promise<Settings>;
  /** Origins whose pages may connect, or `*`. */
  readonly allowedOrigins: readonly string[];
  readonly clock: Clock;
  readonly log: Log;
  readonly connections: Connections;
  readonly sockets: Sockets;
  readonly requests: RequestRegistry & {
    /** Nothing when the same message was stored before. */
    store(key: RequestKey, waiting: Waiting, until: number): Promise<Lease | undefined>;
  };
  /** Resolves with the whole text when no part is missing any more. */
  readonly addPart: (
    key: RequestKey,
    part: {
      readonly connectionId: string;
      readonly n: number;
      readonly of: number;
      readonly data: string;
    },
  ) => Promise<string | undefined>;
  readonly startWorker: (job: Job) => Promise<void>;
};

const ok: SocketReply = { statusCode: 200 };

/** `parts` is called at the first event and not before: importing an entry point does nothing. */
export function createWebSocketDoor(parts: () => SocketParts): (event: SocketEvent) => Promise<SocketReply> {
  return async function answerEvent(event) {
    const { clock, log } = parts();
    const { eventType, routeKey, requestId, messageId } = event.requestContext;
    const began = clock.now();
    const record: RequestRecord = {
      request_id: toId(messageId ?? requestId),
      method: eventType,
      route: routeKey,
      door: 'websocket',
    };
    try {
      if (eventType === 'CONNECT') return await connect(parts(), event, record);
      if (eventType === 'MESSAGE') await receive(parts(), event, record);
      else await forgetConnection(parts(), event.requestContext.connectionId);
      return ok;
    } catch (thrown) {
      noteError(thrown, record);
      return { statusCode: errorKinds[toGatewayError(thrown).code].status };
    } finally {
      record.total_ms = clock.now() - began;
      log(record);
    }
  };
}

/** Cancels what the connection waited for: nobody is there to hear it. */
export async function forgetConnection(
  { connections, requests }: Pick<SocketParts, 'connections' | 'requests'>,
  connectionId: string,
): Promise<void> {
  const running = await connections.remove(connectionId);
  await Promise.all(running.map((key) => requests.cancel(key)));
}

/** @throws `unauthorized`, `forbidden`, `storage_unavailable`, and what settings throw */
async function connect(
  { loadSettings, allowedOrigins, clock, connections }: SocketParts,
  { requestContext, headers = {} }: SocketEvent,
  record: RequestRecord,
): Promise<SocketReply> {
  const caller = identify(requestContext.identity, 'websocket');
  if (!caller) throw new GatewayError('unauthorized', 'The connection has no identity.');
  record.tenant = toPrincipalName(caller.tenant);
  const origin = findHeader(headers, 'origin');
  if (origin !== undefined && !allowedOrigins.includes('*') && !allowedOrigins.includes(origin)) {
    throw new GatewayError('forbidden', 'Pages of this origin may not connect.');
  }
  const { connectionMaxAgeSeconds } = await loadSettings();
  await connections.add(requestContext.connectionId, caller, clock.now() + connectionMaxAgeSeconds * 1000);
  record.status = ok.statusCode;
  const isOffered = findSubprotocols(headers).includes(SUBPROTOCOL);
  return isOffered ? { ...ok, headers: { 'Sec-WebSocket-Protocol': SUBPROTOCOL } } : ok;
}

/** Whatever is wrong with a message, its connection hears of it. */
async function receive(parts: SocketParts, event: SocketEvent, record: RequestRecord): Promise<void> {
  const { clock, connections, sockets } = parts;
  const { connectionId } = event.requestContext;
  const messageId = record.request_id;
  const text = event.body ?? '';
  try {
    const connection = await connections.enter(connectionId);
    if (connection === 'busy') throw tooMany(`${connectionLimits.messagesPerSecond} messages a second`);
    if (!connection || connection.expiresAt <= clock.now()) throw tooOld();
    const { caller } = connection;
    record.tenant = toPrincipalName(caller.tenant);
    await dispatch(parts, parseMessage(text), text, { connectionId, caller, messageId }, record);
    record.status = 200;
  } catch (thrown) {
    noteError(thrown, record);
    const error = toGatewayError(thrown);
    record.status = errorKinds[error.code].status;
    const { requestId = record.request_id, n } = findNames(text);
    record.request_id = requestId;
    const data = { ...(n !== undefined && { n }), ...toEnvelope(error, requestId) };
    const result = await sockets.post(connectionId, toFrame({ name: 'error', data }, requestId));
    if (error.code === 'unauthorized') await sockets.close(connectionId);
    if (result === 'gone') await forgetConnection(parts, connectionId);
  }
}

type Sender = {
  readonly connectionId: string;
  readonly caller: Caller;
  /** The same when the same message is delivered again. */
  readonly messageId: string;
};

async function dispatch(
  parts: SocketParts,
  message: SocketMessage,
  text: string,
  sender: Sender,
  record: RequestRecord,
): Promise<void> {
  const { requests, addPart, sockets } = parts;
  const { connectionId, caller } = sender;
  switch (message.action) {
    case 'ping':
      await sockets.post(connectionId, toFrame({ name: 'pong', data: {} }));
      return;
    case 'cancel': {
      record.request_id = message.request_id;
      const isTaken = await requests.cancel({ tenant: caller.tenant, requestId: message.request_id });
      if (!isTaken) throw notRunning();
      return;
    }
    case 'part': {
      const { request_id: requestId, n, of, data } = message;
      record.request_id = requestId;
      const whole = await addPart({ tenant: caller.tenant, requestId }, { connectionId, n, of, data });
      if (whole !== undefined) await submit(parts, readWhole(whole, requestId), whole, sender, requestId);
      return;
    }
    case 'chat':
      record.request_id = await submit(parts, message.body, text, sender, sender.messageId);
  }
}

/** What the parts make together is a chat, and bears their id if any. */
function readWhole(text: string, requestId: string): object {
  const message = parseMessage(text);
  const isFitting = message.action === 'chat' && (findNames(text).requestId ?? requestId) === requestId;
  if (isFitting) return message.body;
  const rule = 'The parts must make a message with the action "chat" and their own request_id together.';
  throw new GatewayError('invalid_request', rule, { param: 'data' });
}

/** Checks the question and hands it to a worker. Resolves with its id. */
async function submit(
  parts: SocketParts,
  body: object,
  text: string,
  sender: Sender,
  ownId: string,
): Promise<string> {
  const { loadSettings, clock, connections } = parts;
  const { connectionId, caller } = sender;
  const settings = await loadSettings();
  if (Buffer.byteLength(text) > settings.bodyLimitBytes) {
    throw new GatewayError(
      'payload_too_large',
      `The message must be at most ${settings.bodyLimitBytes} bytes.`,
    );
  }
  const { question } = parseChat(body, caller, ownId);
  const { requestId } = question;
  createRequest(question, settings);
  const slot = await connections.reserve(connectionId, requestId, clock.now() + RUNNING_MS);
  if (slot === undefined) throw tooMany(`${connectionLimits.running} requests at once`);
  let isStarted = false;
  try {
    isStarted = await handOver(parts, { tenant: caller.tenant, requestId }, { text, slot, ...sender });
  } finally {
    if (!isStarted) await connections.release(connectionId, [slot]).catch(() => undefined);
  }
  return requestId;
}

/** Stores the question and starts its worker, unless the same message did so before. */
async function handOver(
  { clock, connections, requests, startWorker }: SocketParts,
  key: RequestKey,
  waiting: Waiting,
): Promise<boolean> {
  const { connectionId } = waiting;
  const lease = await requests.store(key, waiting, clock.now() + WAITING_MS);
  if (!lease) return false;
  try {
    await startWorker({ ...key, connectionId });
  } catch (error) {
    await lease.end('error').catch(() => undefined);
    throw error;
  }
  // Who left before the question was stored could cancel nothing.
  if (!(await connections.isOpen(connectionId).catch(() => true))) await requests.cancel(key);
  return true;
}

/** API Gateway's ids, which end in `=`, as ids of requests. */
const toId = (id: string) => id.replace(/[^A-Za-z0-9_-]/g, '').slice(0, 128);

const tooMany = (limit: string) =>
  new GatewayError('rate_limited', `A connection may have at most ${limit}; send it again a little later.`, {
    retryAfterSeconds: 1,
  });

const tooOld = () =>
  new GatewayError('unauthorized', 'The identity of this connection has expired; connect again.');
