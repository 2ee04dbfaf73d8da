/**
 * A stand-in for Lambda's Runtime API, as one process sees it: it asks for its next event, and posts a response or an error. What it
 * posts is handed on as it comes.
 *
 * @see https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
 */
import { on } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';

/** How a function failed: named after its own error, or as Lambda names it. */
export class FunctionError extends Error {
  override readonly name: string;

  constructor(type: string, message: string) {
    super(message);
    this.name = type;
  }
}

export type Reply = {
  readonly contentType: string;
  readonly isStreamed: boolean;
  /**
   * A chunk for each write of the function, at the pace of whoever reads; it has to be read to its end.
   *
   * @throws FunctionError that the trailers tell of, or `Runtime.ExitError`
   */
  readonly body: AsyncIterable<Buffer>;
};

export type Invocation = {
  readonly id: string;
  /** The event as JSON. */
  readonly text: string;
  /** Milliseconds since the epoch. */
  readonly deadline: number;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: FunctionError) => void;
};

export type RuntimeApi = {
  /** `host:port`, for AWS_LAMBDA_RUNTIME_API. */
  readonly address: string;
  /** Only while the process asks. */
  deliver(invocation: Invocation): void;
  close(): void;
};

export type Listeners = {
  /** It asks for an event, and is done with the one before. */
  onAsked(): void;
  onInitError(error: FunctionError): void;
};

const ROUTE = /^\/2018-06-01\/runtime\/(?:(init\/error)|invocation\/(?:(next)|([^/]+)\/(response|error)))$/;

export async function startRuntimeApi({ onAsked, onInitError }: Listeners): Promise<RuntimeApi> {
  let asking: ServerResponse | undefined;
  let current: Invocation | undefined;

  const offer = () => asking && !current && onAsked();
  // A buffered response and the question for the next event come by two connections, in any order.
  const complete = (response: ServerResponse) => {
    current = undefined;
    response.writeHead(202).end('{"status":"OK"}');
    offer();
  };

  const server = createServer(async (request, response) => {
    const [, init, next, id, outcome] = ROUTE.exec(request.url ?? '') ?? [];
    if (next) {
      // It may wait for ever, and must not keep the process of the tests from ending.
      request.socket.unref();
      asking = response;
      offer();
    } else if (init) {
      onInitError(await readError(request));
      response.writeHead(202).end('{"status":"OK"}');
    } else if (id === undefined || id !== current?.id) {
      response.writeHead(id === undefined ? 404 : 400).end();
    } else if (outcome === 'error') {
      current.reject(await readError(request));
      complete(response);
    } else {
      request.once('end', () => complete(response));
      current.resolve(toReply(request));
    }
  });
  Object.assign(server, { keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0 });
  server.unref();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    deliver(invocation) {
      current = invocation;
      asking?.socket?.ref();
      asking?.writeHead(200, {
        'content-type': 'application/json',
        'lambda-runtime-aws-request-id': invocation.id,
        'lambda-runtime-deadline-ms': String(invocation.deadline),
        'lambda-runtime-invoked-function-arn': 'arn:aws:lambda:us-east-1:000000000000:function:test',
        'lambda-runtime-trace-id':
          'Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0',
      });
      asking?.end(invocation.text);
      asking = undefined;
    },
    close: () => void server.close(),
  };
}

const toReply = (request: IncomingMessage): Reply => ({
  contentType: request.headers['content-type'] ?? '',
  isStreamed: request.headers['lambda-runtime-function-response-mode'] === 'streaming',
  body: readChunks(request),
});

async function* readChunks(request: IncomingMessage): AsyncGenerator<Buffer, void, undefined> {
  const options = { close: ['end', 'close'], highWaterMark: 1, lowWaterMark: 1 };
  try {
    // An iterator of the request itself would join what was written one by one.
    if (!request.destroyed) for await (const [chunk] of on(request, 'data', options)) yield chunk;
  } catch {
    // Told below: it is not complete.
  } finally {
    request.resume();
  }
  if (!request.complete) throw new FunctionError('Runtime.ExitError', 'The process ended in mid-answer.');
  const body = request.trailers['lambda-runtime-function-error-body'];
  if (body !== undefined) throw toFunctionError(JSON.parse(String(Buffer.from(body, 'base64'))));
}

const readError = async (request: IncomingMessage) => toFunctionError(await json(request));

function toFunctionError(thrown: unknown): FunctionError {
  const { errorType, errorMessage } = Object(thrown) as Readonly<Record<string, unknown>>;
  return new FunctionError(String(errorType), String(errorMessage));
}
