/**
 * An embedded Amazon DynamoDB for the laptop and for tests: AWS JSON 1.0 over dynalite's engine. It checks
 * no signature, limits no throughput and has no streams, no PartiQL, no backups.
 *
 * @see https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Operations.html
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { z } from 'zod';
import { withholdHalf } from './batches.ts';
import { type Operation, openOperations } from './operations.ts';
import { invalid, isRefusal, refusal } from './refusal.ts';

/** DynamoDB takes 16 MB of items in a batch; their JSON is somewhat more. */
const MAX_BODY_BYTES = 20 * 1024 * 1024;

export type DynamoDbOptions = {
  /** Folder that keeps the tables; in memory without one. */
  readonly path?: string;
  /** Milliseconds since the epoch. @defaultValue Date.now */
  readonly now?: () => number;
  /** Asked before each operation runs; tests make the tables fail with it. */
  readonly fault?: (operation: string, input: unknown) => Fault | undefined;
};

export type Fault =
  /** 400 ProvisionedThroughputExceededException; nothing happens. */
  | { readonly type: 'throttled' }
  /** 503 ServiceUnavailable; nothing happens. */
  | { readonly type: 'down' }
  /** The operation begins only after so long. */
  | { readonly type: 'slow'; readonly ms: number }
  /** The operation happens, but its reply never comes: the connection is destroyed. */
  | { readonly type: 'lost' }
  /** Batches hand back the second half of what they ask of each table; other operations are as always. */
  | { readonly type: 'unprocessed' };

export type DynamoDb = {
  /** POST / with X-Amz-Target: DynamoDB_20120810.<operation>. Never rejects; any signature is accepted. */
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>;
  /** Deletes items whose time to live has passed. Resolves with how many. */
  sweep(): Promise<number>;
  /** What comes later fails. */
  close(): Promise<void>;
};

/** @throws `Error` with a sentence for whoever starts the gateway when the folder cannot be opened */
export async function createDynamoDb(options: DynamoDbOptions = {}): Promise<DynamoDb> {
  const { path, now = Date.now, fault: findFault = () => undefined } = options;
  const { operations, sweep, close } = await openOperations(path, now);

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let fault: Fault | undefined;
    async function run(): Promise<object> {
      const name = toName(request);
      const operation = operations.get(name);
      if (!operation) throw refusal('UnknownOperationException', 'There is no such operation.');
      const input = await readJson(request);
      fault = findFault(name, input);
      return await spoil(operation, name, fault)(input);
    }
    const reply = await run().then((body) => ({ statusCode: 200, body }), toFailure);
    if (fault?.type === 'lost') response.destroy();
    else send(response, reply);
  }

  return { handle, sweep, close };
}

/** Empty when the request names none. */
function toName({ method, url, headers }: IncomingMessage): string {
  const [, name = ''] = /^DynamoDB_20120810\.(\w+)$/.exec(String(headers['x-amz-target'])) ?? [];
  return method === 'POST' && url === '/' ? name : '';
}

/** @throws Refusal; Node drops the rest of a body that is too long, so that the answer arrives */
async function readJson(request: IncomingMessage): Promise<object> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw invalid('A request must be at most 20 MB.');
  }
  try {
    return z.looseObject({}).parse(JSON.parse(Buffer.concat(chunks).toString()));
  } catch {
    throw refusal('SerializationException', 'The request is not a JSON object.');
  }
}

/** @see https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html */
function spoil(operation: Operation, name: string, fault: Fault | undefined): Operation {
  switch (fault?.type) {
    case 'throttled':
      throw refusal('ProvisionedThroughputExceededException', 'The request rate is too high.');
    case 'down':
      throw refusal('ServiceUnavailable', 'DynamoDB is currently unavailable.', {}, 503);
    case 'slow':
      return async (input) => {
        await sleep(fault.ms);
        return operation(input);
      };
    case 'unprocessed':
      return withholdHalf(name, operation);
    default:
      return operation;
  }
}

type Reply = { readonly statusCode: number; readonly body: object };

function toFailure(error: unknown): Reply {
  if (isRefusal(error)) return error;
  return refusal('InternalServerError', `The embedded DynamoDB failed: ${error}`, {}, 500);
}

function send(response: ServerResponse, { statusCode, body }: Reply): void {
  const text = JSON.stringify(body);
  response.writeHead(statusCode, {
    'content-type': 'application/x-amz-json-1.0',
    'content-length': Buffer.byteLength(text),
    'x-amzn-requestid': randomUUID(),
    'x-amz-crc32': crc32(text),
  });
  response.end(text);
}
