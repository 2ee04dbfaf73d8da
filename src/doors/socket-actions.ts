/**
 * What a client asks of the gateway over a WebSocket, done: a question is checked, stored and left to a worker, since a route must return
 * within seconds.
 */
import { createRequest } from '../chat/create-request.ts';
import { GatewayError } from '../chat/errors.ts';
import type { RequestKey } from '../chat/lease.ts';
import type { Caller } from '../chat/request.ts';
import { notRunning } from './cancel.ts';
import { toFrame } from './frames.ts';
import { parseChat } from './question.ts';
import type { RequestRecord } from './record.ts';
import { parseMessage } from './socket-message.ts';
import type { SocketParts, Waiting } from './socket-parts.ts';

/** What one connection may do. */
export const connectionLimits = { messagesPerSecond: 10, running: 8 };

/** How long a question waits for its worker. Lambda hands it over in milliseconds, or within its maximum event age of a minute. */
const WAITING_MS = 90_000;

/** How long a question counts as running at most: until its worker's time is over. */
const RUNNING_MS = WAITING_MS + 15 * 60_000;

/** Who said it, and over which connection. */
export type Sender = {
  readonly connectionId: string;
  readonly caller: Caller;
  /** The same when the same message is delivered again. */
  readonly messageId: string;
};

/**
 * Does what the message says, and notes in the record which request it was about.
 *
 * @throws `GatewayError` for what the client is to be told
 */
export async function act(
  parts: SocketParts,
  text: string,
  sender: Sender,
  record: RequestRecord,
): Promise<void> {
  const { requests, addPart, sockets } = parts;
  const { connectionId, caller } = sender;
  const message = parseMessage(text);
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
      if (whole === undefined) return;
      await submit(parts, whole, () => readWhole(whole, requestId), sender, requestId);
      return;
    }
    case 'chat':
      record.request_id = await submit(parts, text, () => message.body, sender, sender.messageId);
  }
}

/** What the parts make together is a chat, and bears their id if any. */
function readWhole(text: string, requestId: string): object {
  const message = parseMessage(text);
  if (message.action === 'chat') {
    const { request_id: own = requestId }: { readonly request_id?: unknown } = message.body;
    if (own === requestId) return message.body;
  }
  const rule = 'The parts must make a message with the action "chat" and their own request_id together.';
  throw new GatewayError('invalid_request', rule, { param: 'data' });
}

/** Checks the question and hands it to a worker; `read` parses what is not too long. Resolves with its id. */
async function submit(
  parts: SocketParts,
  text: string,
  read: () => object,
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
  const { question } = parseChat(read(), caller, ownId);
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
  const isOpen = await connections.isOpen(connectionId).catch(() => true);
  if (!isOpen) await requests.cancel(key).catch(() => undefined);
  return true;
}

export const tooMany = (limit: string) =>
  new GatewayError('rate_limited', `A connection may have at most ${limit}; send it again a little later.`, {
    retryAfterSeconds: 1,
  });
