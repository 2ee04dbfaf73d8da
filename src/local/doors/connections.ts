/**
 * The open connections of the WebSocket API, and the management API by which a function reaches them.
 *
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html
 */
import type { RequestListener } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { AwsRefusal, type AwsReply, createAwsListener, readSigned, type SecretOf } from './aws-call.ts';
import { type Client, STAGE } from './websocket-event.ts';
import { defaultSocketLimits, type SocketLimits } from './websocket-limits.ts';

type ConnectionParts = {
  readonly socket: WebSocket;
  readonly client: Client;
  readonly limits: SocketLimits;
  readonly onMessage: (text: string) => void;
  readonly onClose: (code: number, reason: string) => Promise<void>;
};

export class Connection {
  readonly client: Client;
  /** When the last message came or left, in milliseconds since the epoch. */
  lastActiveAt = Date.now();
  /** Resolves when the connection is closed and `onClose` is done. */
  readonly ended: Promise<void>;
  readonly #socket: WebSocket;
  readonly #limits: SocketLimits;
  #idle: NodeJS.Timeout | undefined;
  #unread: NodeJS.Timeout | undefined;
  #isAnswering = true;
  /** Why this side closed it. */
  #closing: readonly [code: number, reason: string] | undefined;

  constructor({ socket, client, limits, onMessage, onClose }: ConnectionParts) {
    this.client = client;
    this.#socket = socket;
    this.#limits = limits;
    this.#touch();
    const life = setTimeout(() => this.goAway(), limits.lifeMs);
    const heartbeat = setInterval(() => this.#ping(), limits.pingMs);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    limitFrames(socket, limits);
    socket.on('message', (data, isBinary) => {
      if (!this.isOpen) return;
      if (isBinary) return this.close(1003, '');
      this.#touch();
      onMessage(String(data));
    });
    socket.on('pong', () => (this.#isAnswering = true));
    socket.on('error', ({ code = '' }: NodeJS.ErrnoException) => {
      if (code.startsWith('WS_ERR_')) this.#closing ??= [faults[code] ?? 1002, ''];
    });
    socket.on('close', (code, reason) => {
      for (const timer of [this.#idle, life, heartbeat, this.#unread]) clearTimeout(timer);
      resolve(onClose(...(this.#closing ?? [code, String(reason)])));
    });
  }

  /** False from the moment on at which either side begins to close. */
  get isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  /** Whether there was room for the message. A client who leaves too much unread for too long is cut off. */
  send(text: string): boolean {
    if (this.#isFull) {
      this.#unread ??= setTimeout(() => {
        this.#unread = undefined;
        if (this.#isFull) this.#socket.terminate();
      }, this.#limits.unreadMs);
      return false;
    }
    this.#touch();
    this.#socket.send(text);
    return true;
  }

  close(code: number, reason: string) {
    if (this.isOpen) this.#closing = [code, reason];
    this.#socket.close(code, reason);
  }

  goAway() {
    this.close(1001, 'Going away');
  }

  get #isFull(): boolean {
    return this.#socket.bufferedAmount > this.#limits.bufferedBytes;
  }

  #touch() {
    this.lastActiveAt = Date.now();
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.goAway(), this.#limits.idleMs);
  }

  #ping() {
    if (!this.#isAnswering) return this.#socket.terminate();
    this.#isAnswering = false;
    if (this.isOpen) this.#socket.ping();
  }
}

/** What `ws` closes with when it does not like what it reads; the rest is 1002. */
const faults: Readonly<Record<string, number>> = {
  WS_ERR_UNSUPPORTED_MESSAGE_LENGTH: 1009,
  WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH: 1009,
  WS_ERR_INVALID_UTF8: 1007,
};

/**
 * `ws` limits messages, not frames. Its receiver looks at the limit at the head of each frame, when the frame
 * is already added to its message: where it is too long, the limit is one byte.
 */
function limitFrames(socket: WebSocket, { frameBytes, messageBytes }: SocketLimits) {
  const { _receiver: receiver } = socket as unknown as { _receiver: { readonly _payloadLength: number } };
  Object.defineProperty(receiver, '_maxPayload', {
    get: () => (receiver._payloadLength > frameBytes ? 1 : messageBytes),
  });
}

/** By connection id. */
export type Connections = ReadonlyMap<string, Connection>;

/** What goes wrong on request. */
export type ConnectionFault =
  | { readonly status: keyof typeof refusals }
  | { readonly delayMs: number }
  /** The client gets the message, and the caller's connection ends before the reply. */
  | { readonly lost: true };

export type ConnectionsApiOptions = {
  readonly secretOf: SecretOf;
  /** Milliseconds since the epoch. @defaultValue Date.now */
  readonly now?: () => number;
  /** Asked for each call that is signed well. */
  readonly fault?: (method: string, connectionId: string, body: Buffer) => ConnectionFault | undefined;
};

/**
 * Answers POST (sends the body as one text message), GET (who is connected, since when) and DELETE (closes
 * with 1000) of `/local/@connections/{id}`, signed for `execute-api`; the rest, and another stage, is 403.
 * A connection that is opening or closing is 410, a body over 128 KB 413, a client who does not read 429.
 */
export function createConnectionsApi(
  connections: Connections,
  { fault = () => undefined, ...signing }: ConnectionsApiOptions,
): RequestListener {
  return createAwsListener(async (request) => {
    const body = await readSigned(request, { ...signing, service: 'execute-api', maxBytes, refusals });
    const { method = '', url = '' } = request;
    const id = toConnectionId(url);
    const planned = fault(method, id, body);
    if (planned && 'status' in planned) throw refuse(planned.status);
    if (planned && 'delayMs' in planned) await sleep(planned.delayMs);
    const connection = connections.get(id);
    if (!connection?.isOpen) throw refuse(410);
    const reply = manage(connection, method, body);
    return planned && 'lost' in planned ? undefined : reply;
  });
}

const maxBytes = defaultSocketLimits.messageBytes;

const refusals = {
  403: ['ForbiddenException', 'Forbidden'],
  410: ['GoneException', 'The connection is not there, or not any more.'],
  413: ['PayloadTooLargeException', `A message must be at most ${maxBytes} bytes.`],
  429: ['LimitExceededException', 'The client does not read as fast as it is sent to; send it later.'],
  500: ['InternalServerErrorException', 'Internal server error'],
  503: ['ServiceUnavailableException', 'Service unavailable'],
} as const;

function refuse(status: keyof typeof refusals): AwsRefusal {
  const [type, message] = refusals[status];
  return new AwsRefusal(status, type, message);
}

/** @throws 403 for what is no path of this API */
function toConnectionId(url: string): string {
  const [, stage, id] = /^\/([^/?]+)\/@connections\/([^/?]+)$/.exec(url) ?? [];
  if (stage !== STAGE || id === undefined) throw refuse(403);
  try {
    return decodeURIComponent(id);
  } catch {
    throw refuse(403);
  }
}

function manage(connection: Connection, method: string, body: Buffer): AwsReply {
  switch (method) {
    case 'POST':
      if (!connection.send(String(body))) throw refuse(429);
      return { status: 200 };
    case 'DELETE':
      connection.close(1000, 'Connection Closed Normally');
      return { status: 204 };
    case 'GET':
      return { status: 200, body: JSON.stringify(describe(connection)) };
    default:
      throw refuse(403);
  }
}

const describe = ({ client: { connectedAt, identity }, lastActiveAt }: Connection) => ({
  connectedAt: new Date(connectedAt).toISOString(),
  identity,
  lastActiveAt: new Date(lastActiveAt).toISOString(),
});
