/**
 * A stand-in for a Lambda Function URL with `AuthType: AWS_IAM` and a `Cors` setting: checks the signature, writes the CORS headers,
 * builds the event, and runs the function. It decides what a Function URL decides, and nothing else.
 */
import type { IncomingMessage } from 'node:http';
import { GatewayError } from '../../chat/errors.ts';
import type { FunctionUrlEvent } from '../../doors/lambda-event.ts';
import { EXPOSED_HEADERS } from '../../names.ts';
import { verifySignature } from '../sigv4/verify.ts';
import type { DoorLimits } from './door-limits.ts';
import { toFunctionUrlEvent } from './function-url-event.ts';
import { createHttpDoor, type HttpDoor } from './http-door.ts';
import { awslambdaStandIn, type ResponseStream } from './runtime.ts';

export type FunctionUrlParts = {
  readonly handler: (
    event: FunctionUrlEvent,
    responseStream: ResponseStream,
    context: { getRemainingTimeInMillis(): number },
  ) => Promise<void>;
  /** The secret of an access key, or nothing for one that nobody was given. */
  readonly secretOf: (accessKeyId: string) => string | undefined;
  /** Origins whose pages may call, or `*`. */
  readonly allowedOrigins: () => readonly string[];
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  readonly limits?: Partial<DoorLimits>;
};

export function createFunctionUrl({
  handler,
  secretOf,
  allowedOrigins,
  now = Date.now,
  limits,
}: FunctionUrlParts): HttpDoor {
  return createHttpDoor(async (request) => {
    const { message } = request;
    request.addHeaders(toCorsHeaders(message, allowedOrigins()));
    if (isPreflight(message)) return answerPreflight;
    const { method = '', url = '', headersDistinct: headers } = message;
    // No body makes up for a key that is not known here, so none is read.
    const isWorthReading = namedKeys(message).some((id) => secretOf(id) !== undefined);
    const body = isWorthReading ? await request.readBody() : Buffer.alloc(0);
    const options = { service: 'lambda', secretOf, now: now() };
    const verdict = verifySignature({ method, url, headers, body }, options);
    if (!verdict.ok) throw new GatewayError('forbidden', verdict.reason);
    const event = toFunctionUrlEvent(message, body, request.id, verdict.accessKeyId);
    return (stream, context) => handler(event, stream, context);
  }, limits);
}

/** `Credential=AKIA…/…` in the authorization header, or `X-Amz-Credential=AKIA…%2F…` in a presigned URL. */
const namedKeys = ({ url, headers: { authorization } }: IncomingMessage): string[] =>
  [...`${authorization} ${url}`.matchAll(/Credential=([\w-]+)/g)].map(([, id = '']) => id);

/** A browser asks before it sends what a form could not; nobody signs that, and no function sees it. */
const isPreflight = ({ method, headers }: IncomingMessage) =>
  method === 'OPTIONS' && headers['access-control-request-method'] !== undefined;

async function answerPreflight(stream: ResponseStream) {
  const metadata = { statusCode: 200, headers: { 'content-length': '0' } };
  awslambdaStandIn.HttpResponseStream.from(stream, metadata).write('');
  stream.end();
}

/** The `Cors` setting of the URL, whose headers Lambda adds to every response to an origin that is listed. */
function toCorsHeaders(message: IncomingMessage, allowed: readonly string[]): Record<string, string> {
  const { origin } = message.headers;
  const isAny = allowed.includes('*');
  if (origin === undefined || !(isAny || allowed.includes(origin))) return {};
  return {
    'access-control-allow-origin': isAny ? '*' : origin,
    vary: 'Origin',
    ...(isPreflight(message)
      ? {
          'access-control-allow-methods': 'GET,POST,DELETE',
          'access-control-allow-headers': ALLOWED_HEADERS.join(),
          'access-control-max-age': '600',
        }
      : { 'access-control-expose-headers': EXPOSED_HEADERS.join() }),
  };
}

const ALLOWED_HEADERS = [
  'authorization',
  'content-type',
  'x-amz-date',
  'x-amz-security-token',
  'x-amz-content-sha256',
];
