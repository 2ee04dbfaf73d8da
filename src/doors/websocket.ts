/**
 * The WebSocket door: who may connect, and what becomes of his messages. Everything that is said to a client goes to the connection that
 * the event came from, and to no other.
 */
import { errorKinds, GatewayError, toGatewayError } from '../chat/errors.ts';
import { findHeader, findSubprotocols, SUBPROTOCOL } from './api-key.ts';
import { identify } from './caller.ts';
import { toEnvelope } from './envelope.ts';
import { toFrame } from './frames.ts';
import { noteError, type RequestRecord, toPrincipalName } from './record.ts';
import { act, connectionLimits, tooMany } from './socket-actions.ts';
import type { SocketEvent, SocketReply } from './socket-event.ts';
import { findNames } from './socket-message.ts';
import type { SocketParts } from './socket-parts.ts';

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
    await act(parts, text, { connectionId, caller, messageId }, record);
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

/** API Gateway's ids, which end in `=`, as ids of requests. */
const toId = (id: string) => id.replace(/[^A-Za-z0-9_-]/g, '').slice(0, 128);

const tooOld = () =>
  new GatewayError('unauthorized', 'The identity of this connection has expired; connect again.');
