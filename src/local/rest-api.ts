/**
 * A stand-in for API Gateway's REST API: asks the authorizer, checks the key, builds the event, runs the function and streams what it
 * writes. It decides what API Gateway decides, and nothing else.
 */
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type {
  APIGatewayAuthorizerResult,
  APIGatewayProxyEvent,
  APIGatewayRequestAuthorizerEvent,
} from 'aws-lambda';
import { GatewayError, toGatewayError } from '../chat/errors.ts';
import { toErrorResponse } from '../doors/envelope.ts';
import type { FindTenant } from './keys.ts';
import { toAuthorizerEvent, toProxyEvent } from './rest-event.ts';
import { type Reader, ResponseStream } from './runtime.ts';

/** Lambda takes requests of at most 6 MB. */
const MAX_BODY_BYTES = 6 * 1024 * 1024;

/** As long as Lambda lets a function run. */
const LONGEST_FUNCTION_MS = 900_000;

export type RestApiParts = {
  readonly handler: (
    event: APIGatewayProxyEvent,
    responseStream: ResponseStream,
    context: { getRemainingTimeInMillis(): number },
  ) => Promise<void>;
  readonly authorizer: (event: APIGatewayRequestAuthorizerEvent) => Promise<APIGatewayAuthorizerResult>;
  readonly findTenant: FindTenant;
  /** How long a function may run. */
  readonly functionTimeoutMs?: number;
};

export type RestApi = {
  readonly server: Server;
  /** Requests that are being answered. */
  readonly running: number;
  /** Takes no more requests: new ones are 503 `overloaded`. Resolves when none is running. */
  drain(): Promise<void>;
};

export function createRestApi({
  handler,
  authorizer,
  findTenant,
  functionTimeoutMs = LONGEST_FUNCTION_MS,
}: RestApiParts): RestApi {
  let running = 0;
  let draining = false;
  let onIdle = () => {};

  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const requestId = randomUUID();
    try {
      requireLocalHost(request);
      if (draining) throw new GatewayError('overloaded', 'The gateway is stopping; send the request again.');
      const tenant = isOpen(request) ? undefined : await authorize(request);
      const event = toProxyEvent(request, await readBody(request), requestId, tenant);
      await invoke(event, response);
    } catch (error) {
      await refuse(response, error, requestId);
    }
  };

  const authorize = async (request: IncomingMessage): Promise<string> => {
    const { usageIdentifierKey } = await authorizer(toAuthorizerEvent(request)).catch(() => {
      throw new GatewayError('unauthorized', 'Send an API key as x-api-key or as Authorization: Bearer.');
    });
    const tenant = findTenant(usageIdentifierKey ?? '');
    if (tenant === undefined) throw new GatewayError('unauthorized', 'This API key is not known.');
    return tenant;
  };

  const invoke = async (event: APIGatewayProxyEvent, response: ServerResponse): Promise<void> => {
    const stream = new ResponseStream(toReader(response));
    response.once('close', () => stream.destroy());
    const endsAt = Date.now() + functionTimeoutMs;
    await handler(event, stream, { getRemainingTimeInMillis: () => endsAt - Date.now() });
  };

  const server = createServer(
    { headersTimeout: 10_000, requestTimeout: 30_000, connectionsCheckingInterval: 1_000 },
    async (request, response) => {
      running++;
      response.once('close', () => {
        running--;
        if (running === 0) onIdle();
      });
      await answer(request, response);
    },
  );

  return {
    server,
    get running() {
      return running;
    },
    async drain() {
      draining = true;
      server.closeIdleConnections();
      if (running > 0) await new Promise<void>((resolve) => (onIdle = resolve));
    },
  };
}

/** A preflight cannot carry a key, and a health check has none to carry. */
const isOpen = ({ method, url }: IncomingMessage) => method === 'OPTIONS' || url?.split('?')[0] === '/health';

/** A page elsewhere that found a name for 127.0.0.1 brings that name along. */
function requireLocalHost({ headers }: IncomingMessage) {
  const [, name] = /^([\w.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i.exec(headers.host ?? '') ?? [];
  if (name === undefined) throw new GatewayError('invalid_request', 'The Host header is malformed.');
  if (!localNames.has(name.toLowerCase())) {
    throw new GatewayError('forbidden', 'The Host must be 127.0.0.1 or localhost.');
  }
}

const localNames = new Set(['127.0.0.1', 'localhost', '[::1]']);

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) {
      throw new GatewayError('payload_too_large', `The body must be at most ${MAX_BODY_BYTES} bytes.`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function toReader(response: ServerResponse): Reader {
  return {
    begin({ statusCode, headers = {} }) {
      response.writeHead(statusCode, headers).flushHeaders();
    },
    write(chunk, taken) {
      if (response.write(chunk) || response.destroyed) taken();
      else response.once('drain', taken);
    },
    end: () => response.end(),
    fail: () => response.writeHead(500).end(),
  };
}

/** What API Gateway answers by itself, in the envelope that its gateway responses are mapped to. */
async function refuse(response: ServerResponse, thrown: unknown, requestId: string) {
  if (response.headersSent || response.destroyed) return void response.destroy();
  const refusal = toErrorResponse(toGatewayError(thrown), requestId);
  const headers = { ...Object.fromEntries(refusal.headers), 'x-request-id': requestId, connection: 'close' };
  response.writeHead(refusal.status, headers).end(await refusal.text());
}
