/**
 * A stand-in for Lambda's Invoke: runs functions of this process by their names. It decides what Lambda
 * decides, and nothing else; a run that failed is never tried again, as the deployed functions have it.
 *
 * @see https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, RequestListener } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { AwsRefusal, type AwsReply, createAwsListener, readSigned, type SecretOf } from './doors/aws-call.ts';
import { TimeLimitError, withinTime } from './doors/time-limit.ts';

export type LocalFunction = (
  payload: unknown,
  context: { getRemainingTimeInMillis(): number },
) => Promise<unknown>;

export type LambdaInvokeOptions = {
  readonly secretOf: SecretOf;
  /** Milliseconds since the epoch. @defaultValue Date.now */
  readonly now?: () => number;
  /** How long a run may take, and what it is told is left. @defaultValue 900_000 */
  readonly timeoutMs?: number;
  /** By a function's name the one that is told of its events that failed, as an on-failure destination is. */
  readonly onFailure?: Readonly<Record<string, string>>;
  /** What goes wrong on request: 429, 503, an event that is delivered twice, or one that grows too old to be delivered at all. */
  readonly fault?: () => 'throttled' | 'down' | 'twice' | 'too-old' | undefined;
};

export type LambdaInvoke = {
  /** For `POST /2015-03-31/functions/{name or ARN}/invocations`, signed for `lambda`. */
  readonly handle: RequestListener;
  /** Runs that are under way. */
  readonly running: number;
  /** Resolves when nothing runs. */
  drain(): Promise<void>;
};

const MAX_EVENT_BYTES = 1024 * 1024;
const MAX_BYTES = 6 * MAX_EVENT_BYTES;

const refusals = {
  403: ['InvalidSignatureException', ''],
  413: ['RequestTooLargeException', 'A payload must be at most 6 MB, and 1 MB of an event.'],
} as const;

/**
 * `RequestResponse` replies with the function's result, or with its failure and `x-amz-function-error`;
 * `Event` replies 202 before the function runs, and tells only whom `onFailure` names of a failure; `DryRun` runs
 * nothing. 404 for a name that is not in `functions`, 413 over 6 MB, and over 1 MB for an event.
 */
export function createLambdaInvoke(
  functions: Readonly<Record<string, LocalFunction>>,
  { timeoutMs = 900_000, onFailure = {}, fault = () => undefined, ...signing }: LambdaInvokeOptions,
): LambdaInvoke {
  const { now = Date.now } = signing;
  const runs = new Set<Promise<unknown>>();

  const track = <Result>(work: Promise<Result>): Promise<Result> => {
    const tracked = work.finally(() => runs.delete(tracked));
    runs.add(tracked);
    return tracked;
  };

  const run = async (call: LocalFunction, payload: unknown): Promise<unknown> => {
    const endsAt = now() + timeoutMs;
    const context = { getRemainingTimeInMillis: () => endsAt - now() };
    const work = async () => {
      // An event's reply leaves first.
      await nextTurn();
      return await call(payload, context);
    };
    return await withinTime(timeoutMs, work);
  };

  /** An event, from its delivery until whoever is told of its failure has ended. */
  const runEvent = ({ name, call }: Found, payload: () => unknown, isTooOld: boolean) => {
    const failure = isTooOld ? Promise.reject(EVENT_AGE_EXCEEDED) : run(call, payload());
    const destination = functions[onFailure[name] ?? ''];
    const report = (thrown: unknown) =>
      destination && run(destination, toInvocationRecord(name, payload(), thrown, now()));
    track(failure.catch(report)).catch(() => undefined);
  };

  const handle = createAwsListener(async (request) => {
    const body = await readSigned(request, { ...signing, service: 'lambda', maxBytes: MAX_BYTES, refusals });
    const found = findFunction(request, functions);
    const { call } = found;
    const type = request.headers['x-amz-invocation-type'] ?? 'RequestResponse';
    if (type === 'Event' && body.length > MAX_EVENT_BYTES) throw new AwsRefusal(413, ...refusals[413]);
    const payload = parsePayload(body);
    const planned = fault();
    if (planned === 'throttled') throw new AwsRefusal(429, 'TooManyRequestsException', 'Rate exceeded');
    if (planned === 'down') throw new AwsRefusal(503, 'ServiceException', 'Service unavailable');
    switch (type) {
      case 'Event':
        for (let times = planned === 'twice' ? 2 : 1; times > 0; times--) {
          runEvent(found, payload, planned === 'too-old');
        }
        return { status: 202 };
      case 'DryRun':
        return { status: 204 };
      case 'RequestResponse':
        return await track(run(call, payload())).then(toResult, toFailure);
      default:
        throw new AwsRefusal(400, 'InvalidParameterValueException', 'There is no such invocation type.');
    }
  });

  return {
    handle,
    get running() {
      return runs.size;
    },
    async drain() {
      while (runs.size > 0) await Promise.allSettled(runs);
    },
  };
}

type Found = { readonly name: string; readonly call: LocalFunction };

/** `chat-worker`, `chat-worker:live`, `arn:aws:lambda:us-east-1:000000000000:function:chat-worker`, … */
const FUNCTION_NAME = /^(?:(?:arn:[\w-]+:lambda:[\w-]+:)?\d{12}:(?:function:)?)?([\w-]+)(?::[\w$-]+)?$/;

/** @throws AwsRefusal 404 */
function findFunction(
  { method, url = '' }: IncomingMessage,
  functions: Readonly<Record<string, LocalFunction>>,
): Found {
  const [, encoded = ''] = /^\/2015-03-31\/functions\/([^/?]+)\/invocations(?:\?.*)?$/.exec(url) ?? [];
  const [, name = ''] = FUNCTION_NAME.exec(decode(encoded)) ?? [];
  const found = Object.hasOwn(functions, name) ? functions[name] : undefined;
  if (method === 'POST' && found) return { name, call: found };
  throw new AwsRefusal(404, 'ResourceNotFoundException', `Function not found: ${decode(encoded)}`);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}

/** The payload anew for each run: no two of them may share it. @throws AwsRefusal 400 */
function parsePayload(body: Buffer): () => unknown {
  const text = body.length === 0 ? '{}' : String(body);
  const parse = (): unknown => JSON.parse(text);
  try {
    parse();
  } catch {
    throw new AwsRefusal(400, 'InvalidRequestContentException', 'The payload is not JSON.');
  }
  return parse;
}

const toResult = (result: unknown): AwsReply => ({ status: 200, body: JSON.stringify(result) ?? 'null' });

function toFailure(thrown: unknown): AwsReply {
  const headers = { 'x-amz-function-error': 'Unhandled' };
  return { status: 200, headers, body: JSON.stringify(describe(thrown)) };
}

function describe(thrown: unknown) {
  const { name, message } = thrown instanceof Error ? thrown : { name: 'string', message: String(thrown) };
  const errorType = thrown instanceof TimeLimitError ? 'Sandbox.Timedout' : name;
  return { errorType, errorMessage: message };
}

/** In place of what was thrown, where nothing was run. */
const EVENT_AGE_EXCEEDED = Symbol('EventAgeExceeded');

/** @see https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html */
function toInvocationRecord(name: string, requestPayload: unknown, thrown: unknown, now: number): object {
  const wasRun = thrown !== EVENT_AGE_EXCEEDED;
  return {
    version: '1.0',
    timestamp: new Date(now).toISOString(),
    requestContext: {
      requestId: randomUUID(),
      functionArn: `arn:aws:lambda:us-east-1:000000000000:function:${name}:$LATEST`,
      condition: wasRun ? 'RetriesExhausted' : 'EventAgeExceeded',
      approximateInvokeCount: wasRun ? 1 : 0,
    },
    requestPayload,
    ...(wasRun && {
      responseContext: { statusCode: 200, executedVersion: '$LATEST', functionError: 'Unhandled' },
      responsePayload: describe(thrown),
    }),
  };
}
