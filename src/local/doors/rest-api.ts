/**
 * A stand-in for API Gateway's REST API: asks the authorizer, checks the key, builds the event, and runs the function. It decides what
 * API Gateway decides, and nothing else.
 */
import type { IncomingMessage } from 'node:http';
import type {
  APIGatewayAuthorizerResult,
  APIGatewayProxyEvent,
  APIGatewayRequestAuthorizerEvent,
} from 'aws-lambda';
import { GatewayError } from '../../chat/errors.ts';
import { EXPOSED_HEADERS } from '../../names.ts';
import type { FindTenant } from '../keys.ts';
import type { Site } from '../site.ts';
import type { DoorLimits } from './door-limits.ts';
import { createHttpDoor, type DoorRequest, type HttpDoor } from './http-door.ts';
import { toAuthorizerEvent, toProxyEvent } from './rest-event.ts';
import type { ResponseStream } from './runtime.ts';

export type RestApiParts = {
  readonly handler: (
    event: APIGatewayProxyEvent,
    responseStream: ResponseStream,
    context: { getRemainingTimeInMillis(): number },
  ) => Promise<void>;
  readonly authorizer: (event: APIGatewayRequestAuthorizerEvent) => Promise<APIGatewayAuthorizerResult>;
  readonly findTenant: FindTenant;
  /** What a browser is shown in place of the API. */
  readonly site?: Site;
  /** Origins whose pages may read why they were refused, or `*`. */
  readonly allowedOrigins?: () => readonly string[];
  readonly limits?: Partial<DoorLimits>;
};

export function createRestApi(parts: RestApiParts): HttpDoor {
  const { handler, authorizer, findTenant, site, allowedOrigins = () => [], limits } = parts;
  const authorize = async (message: IncomingMessage): Promise<string> => {
    const { usageIdentifierKey } = await authorizer(toAuthorizerEvent(message)).catch(() => {
      throw new GatewayError('unauthorized', 'Send an API key as x-api-key or as Authorization: Bearer.');
    });
    const tenant = findTenant(usageIdentifierKey ?? '');
    if (tenant === undefined) throw new GatewayError('unauthorized', 'This API key is not known.');
    return tenant;
  };

  const admit = async (request: DoorRequest): Promise<string> => {
    try {
      return await authorize(request.message);
    } catch (refusal) {
      request.addHeaders(toCorsHeaders(allowedOrigins()));
      throw refusal;
    }
  };

  return createHttpDoor(async (request) => {
    const shown = site?.(request.message);
    if (shown) return shown;
    const tenant = isOpen(request.message) ? undefined : await admit(request);
    const event = toProxyEvent(request.message, await request.readBody(), request.id, tenant);
    return (stream, context) => handler(event, stream, context);
  }, limits);
}

/** Those of API Gateway's own responses, which cannot tell one origin from another. */
function toCorsHeaders([origin, ...others]: readonly string[]): Record<string, string> {
  if (origin === undefined) return {};
  return {
    'access-control-allow-origin': others.length === 0 ? origin : '*',
    'access-control-expose-headers': EXPOSED_HEADERS.join(),
  };
}

/** A preflight cannot carry a key, a health check has none to carry, and whoever reads how to call need not be able to yet. */
const isOpen = ({ method, url }: IncomingMessage) =>
  method === 'OPTIONS' || ['/health', '/openapi.json'].includes(url?.split('?')[0] ?? '');
