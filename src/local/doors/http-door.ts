/**
 * The HTTP server of the laptop's doors. It does what AWS's front ends do before an API is asked: it keeps time, counts bytes, sheds
 * what is too much, and gives every request exactly one reply. Who is let in, and what the function is told, its `admit` decides.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { GatewayError } from '../../chat/errors.ts';
import { type DoorLimits, defaultLimits } from './door-limits.ts';
import { Exchange, type Invocation, type Load, overloaded, refuseSocket } from './exchange.ts';

/** A request whose headers have arrived, and maybe nothing more. */
export type DoorRequest = Pick<Exchange, 'id' | 'message' | 'readBody' | 'addHeaders'>;

/** What answers a request; a refusal is thrown. Whoever reads the body before he knows the caller lets anybody fill the memory. */
export type Admit = (request: DoorRequest) => Promise<Invocation>;

export type HttpDoor = {
  readonly server: Server;
  /** Requests that are being answered. */
  readonly running: number;
  /** Takes no more requests: new ones are 503 `overloaded`. Resolves when none is running. */
  drain(): Promise<void>;
};

export function createHttpDoor(admit: Admit, given: Partial<DoorLimits> = {}): HttpDoor {
  const limits: DoorLimits = { ...defaultLimits, ...given };
  const load: Load = { running: 0, heldBytes: 0, onIdle: () => {} };
  const latest = new WeakMap<Duplex, Exchange>();
  let draining = false;

  const open = (message: IncomingMessage, response: ServerResponse): Exchange => {
    const exchange = new Exchange(message, response, limits, load);
    latest.set(message.socket, exchange);
    return exchange;
  };

  const answer = async (message: IncomingMessage, response: ServerResponse): Promise<void> => {
    const exchange = open(message, response);
    try {
      if (draining) throw overloaded('The gateway is stopping; send the request again.');
      exchange.enter();
      requireLocalHost(message);
      await exchange.run(await admit(exchange));
    } catch (error) {
      exchange.refuse(error);
    }
  };

  const server: Server = createServer(
    // Whoever asks for a protocol that is not spoken here gets HTTP.
    { ...serverOptions(limits), shouldUpgradeCallback: (message) => isUpgraded(message, server) },
    answer,
  );
  server.maxConnections = limits.connections;
  // With this listener a caller who asks first is told to send his body when it is wanted, and not before.
  server.on('checkContinue', answer);
  server.on('checkExpectation', (message, response) =>
    open(message, response).refuse(invalid('The Expect header must be 100-continue.'), 417),
  );
  server.on('connect', (_, socket) =>
    refuseSocket(socket, invalid('CONNECT is not taken here.'), 405, limits),
  );
  server.on('clientError', ({ code }: NodeJS.ErrnoException, socket) => {
    const exchange = latest.get(socket);
    const fault = toProtocolFault(code, limits);
    if (exchange && !exchange.isOver) exchange.refuse(...fault);
    else refuseSocket(socket, ...fault, limits);
  });

  return {
    server,
    get running() {
      return load.running;
    },
    async drain() {
      draining = true;
      server.closeIdleConnections();
      if (load.running > 0) await new Promise<void>((resolve) => (load.onIdle = resolve));
    },
  };
}

const serverOptions = (limits: DoorLimits) => ({
  headersTimeout: limits.headersMs,
  requestTimeout: limits.requestMs,
  connectionsCheckingInterval: Math.ceil(limits.headersMs / 10),
  keepAliveTimeout: limits.idleMs,
  maxHeaderSize: limits.headerBytes,
  requireHostHeader: false,
  highWaterMark: 16 * 1024,
  // Finds the callers whose machine is gone, within 40 s.
  keepAlive: true,
  keepAliveInitialDelay: 30_000,
});

const isUpgraded = ({ headers: { upgrade = '' } }: IncomingMessage, server: Server) =>
  upgrade.toLowerCase() === 'websocket' && server.listenerCount('upgrade') > 0;

/** A page elsewhere that found a name for 127.0.0.1 brings that name along. @throws `invalid_request`, `forbidden` */
export function requireLocalHost({ url = '', headersDistinct: { host = [] } }: IncomingMessage) {
  const [, name] =
    /^([\w.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i.exec(host.length === 1 ? host.join() : '') ?? [];
  if (name === undefined) throw invalid('The Host header is malformed.');
  if (!localNames.has(name.toLowerCase())) {
    throw new GatewayError('forbidden', 'The Host must be 127.0.0.1 or localhost.');
  }
  if (!url.startsWith('/')) throw invalid('The request target must be a path that begins with /.');
}

const localNames = new Set(['127.0.0.1', 'localhost', '[::1]']);

const invalid = (message: string) => new GatewayError('invalid_request', message);

/** What Node's parser found wrong, and its status. */
function toProtocolFault(code: string | undefined, limits: DoorLimits): [GatewayError, number] {
  const { headersMs, requestMs, headerBytes } = limits;
  switch (code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return [
        invalid(`The headers must arrive within ${headersMs} ms, the whole within ${requestMs} ms.`),
        408,
      ];
    case 'HPE_HEADER_OVERFLOW':
      return [invalid(`The request line and the headers must be at most ${headerBytes} bytes.`), 431];
    default:
      return [invalid('The request is not valid HTTP/1.1.'), 400];
  }
}
