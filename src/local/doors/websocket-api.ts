/**
 * A stand-in for API Gateway's WebSocket API: asks the authorizer, checks the key, chooses the route of a
 * message, and runs the function. It decides what API Gateway decides, and nothing else.
 *
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-overview.html
 */
import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { APIGatewayAuthorizerResult, APIGatewayRequestAuthorizerEvent } from 'aws-lambda';
import { type WebSocket, WebSocketServer } from 'ws';
import { errorKinds, GatewayError } from '../../chat/errors.ts';
import type { SocketEvent, SocketReply } from '../../doors/socket-event.ts';
import type { FindTenant } from '../keys.ts';
import { Connection, type Connections } from './connections.ts';
import { requireLocalHost } from './http-door.ts';
import { TimeLimitError, withinTime } from './time-limit.ts';
import * as events from './websocket-event.ts';
import { defaultSocketLimits, type SocketLimits } from './websocket-limits.ts';

export type WebSocketApiParts = {
  readonly handler: (event: SocketEvent) => Promise<SocketReply>;
  readonly authorizer: (event: APIGatewayRequestAuthorizerEvent) => Promise<APIGatewayAuthorizerResult>;
  readonly findTenant: FindTenant;
  readonly limits?: Partial<SocketLimits>;
};

export type WebSocketApi = {
  /** For the `upgrade` event of an HTTP server: the API lies at `/ws`. Never throws. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  readonly connections: Connections;
  /** From now on new connections are 503, and messages are not handed on. */
  drain(): void;
  /** Closes all connections with 1001. Resolves when they are closed and `$disconnect` was told of each. */
  closeAll(): Promise<void>;
};

/** Messages with another `action`, or none, are `$default`. */
const routes = ['chat', 'sendmessage', 'part', 'cancel', 'ping'];

export function createWebSocketApi(parts: WebSocketApiParts): WebSocketApi {
  const { handler, authorizer, findTenant } = parts;
  const limits = { ...defaultSocketLimits, ...parts.limits };
  const { messageBytes: maxPayload, farewellMs: closeTimeout } = limits;
  const options = { noServer: true, clientTracking: false, maxPayload, closeTimeout };
  const server = new WebSocketServer(options);
  const connections = new Map<string, Connection>();
  let opening = 0;
  let isDraining = false;
  let isClosing = false;

  const invoke = (event: SocketEvent) => withinTime(limits.integrationMs, async () => handler(event));

  /** @throws Refusal 401, 403 */
  const authorize = async (client: events.Client, request: IncomingMessage): Promise<string> => {
    const event = events.toAuthorizerEvent(client, request);
    const policy = await withinTime(limits.integrationMs, () => authorizer(event)).catch(() => {
      throw new Refusal(401);
    });
    // API Gateway answers nothing else to a key that it does not know.
    return findTenant(policy.usageIdentifierKey ?? '') ?? refuse(403);
  };

  /** What `$connect` replies to one who may connect. @throws Refusal, or what `$connect` throws */
  const admit = async (client: events.Client, request: IncomingMessage): Promise<SocketReply> => {
    if (isDraining || connections.size + opening > limits.connections) refuse(503);
    checkHandshake(request);
    const tenant = await authorize(client, request);
    const reply = await invoke(events.toConnectEvent(client, request, tenant));
    if (Math.floor(reply.statusCode / 100) !== 2) refuse(reply.statusCode);
    return reply;
  };

  const receive = async ({ client }: Connection, text: string) => {
    if (isDraining) return;
    const event = events.toMessageEvent(client, selectRoute(text), text);
    await invoke(event).catch((error) => {
      const { requestId } = event.requestContext;
      connections.get(client.connectionId)?.send(describeRefusal(toStatus(error), client, requestId));
    });
  };

  const disconnect = async (client: events.Client, code: number, reason: string) => {
    connections.delete(client.connectionId);
    await invoke(events.toDisconnectEvent(client, code, reason)).catch(() => {});
  };

  const open = (socket: WebSocket, client: events.Client) => {
    const connection: Connection = new Connection({
      socket,
      client,
      limits,
      onMessage: (text) => receive(connection, text),
      onClose: (code, reason) => disconnect(client, code, reason),
    });
    connections.set(client.connectionId, connection);
    if (isClosing) connection.goAway();
  };

  const upgrade = async (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const client = events.toClient(request);
    socket.on('error', () => socket.destroy());
    opening++;
    try {
      selectProtocol(request, await admit(client, request));
      let isOpen = false;
      server.handleUpgrade(request, socket, head, (opened) => {
        isOpen = true;
        open(opened, client);
      });
      // Gone while it was admitted.
      if (!isOpen) await disconnect(client, 1006, '');
    } catch (error) {
      sendRefusal(socket, toStatus(error), client, limits);
    } finally {
      opening--;
    }
  };

  return {
    upgrade,
    connections,
    drain: () => void (isDraining = true),
    async closeAll() {
      isDraining = true;
      isClosing = true;
      const all = [...connections.values()];
      for (const connection of all) connection.goAway();
      await Promise.all(all.map(({ ended }) => ended));
    },
  };
}

class Refusal extends Error {
  readonly status: number;
  constructor(status: number) {
    super();
    this.status = status;
  }
}

function refuse(status: number): never {
  throw new Refusal(status);
}

/** @throws what refuses a Host, Refusal 400, 403 */
function checkHandshake(request: IncomingMessage) {
  requireLocalHost(request);
  const { method, url = '', headers } = request;
  if (url.split('?')[0] !== '/ws') refuse(403);
  const isWebSocket = method === 'GET' && headers.upgrade?.toLowerCase() === 'websocket';
  const isKey = /^[+/0-9a-z]{22}==$/i.test(headers['sec-websocket-key'] ?? '');
  if (!isWebSocket || !isKey || headers['sec-websocket-version'] !== '13') refuse(400);
}

/** `ws` takes the first protocol that is offered, so that only the one of the reply is left. */
function selectProtocol(request: IncomingMessage, { headers = {} }: SocketReply) {
  const isProtocol = ([name]: [string, string]) => name.toLowerCase() === 'sec-websocket-protocol';
  const [, selected] = Object.entries(headers).find(isProtocol) ?? [];
  delete request.headers['sec-websocket-protocol'];
  if (selected) request.headers['sec-websocket-protocol'] = selected;
}

function selectRoute(text: string): string {
  try {
    const { action } = Object(JSON.parse(text)) as { readonly action?: unknown };
    return routes.find((route) => route === action) ?? '$default';
  } catch {
    return '$default';
  }
}

/** A function that throws is a bad gateway, and one that takes too long a gateway's timeout. */
function toStatus(error: unknown): number {
  if (error instanceof TimeLimitError) return 504;
  if (error instanceof GatewayError) return errorKinds[error.code].status;
  if (!(error instanceof Refusal)) return 502;
  return error.status >= 400 && error.status <= 599 ? error.status : 502;
}

const messages: Readonly<Record<number, string>> = {
  500: 'Internal server error',
  502: 'Internal server error',
  504: 'Endpoint request timed out',
};

const describeRefusal = (status: number, { connectionId }: events.Client, requestId: string) =>
  JSON.stringify({ message: messages[status] ?? STATUS_CODES[status], connectionId, requestId });

function sendRefusal(socket: Duplex, status: number, client: events.Client, { farewellMs }: SocketLimits) {
  const body = describeRefusal(status, client, events.newId());
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nContent-Type: application/json`;
  socket.end(`${head}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`);
  // To close on a caller who is still sending would reset the connection before he reads the refusal.
  socket.resume();
  setTimeout(() => socket.destroy(), farewellMs).unref();
}
