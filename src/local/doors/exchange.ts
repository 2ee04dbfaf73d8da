/**
 * One request and its one reply: what the function writes, or a refusal in the envelope that API Gateway's own responses are mapped to.
 */
import { randomUUID } from 'node:crypto';
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { errorKinds, GatewayError, toGatewayError } from '../../chat/errors.ts';
import { toEnvelope, toErrorResponse } from '../../doors/envelope.ts';
import type { DoorLimits } from './door-limits.ts';
import { type Reader, ResponseStream } from './runtime.ts';

/** A function and its event. */
export type Invocation = (
  stream: ResponseStream,
  context: { getRemainingTimeInMillis(): number },
) => Promise<void>;

/** What the requests of a door take together. */
export type Load = { running: number; heldBytes: number; onIdle: () => void };

export class Exchange {
  readonly id = randomUUID();
  readonly message: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #limits: DoorLimits;
  readonly #load: Load;
  #heldBytes = 0;
  #isRunning = false;
  #isRefused = false;

  constructor(message: IncomingMessage, response: ServerResponse, limits: DoorLimits, load: Load) {
    this.message = message;
    this.#response = response;
    this.#limits = limits;
    this.#load = load;
  }

  get isOver(): boolean {
    return this.#response.writableFinished;
  }

  /** Counts the request as running until it is answered, or its caller has gone. */
  enter() {
    const { running } = this.#limits;
    if (this.#load.running >= running) {
      throw overloaded(`At most ${running} requests are answered at once; send it again.`);
    }
    this.#isRunning = true;
    this.#load.running++;
    this.#response.once('close', () => this.#leave());
  }

  #leave() {
    if (!this.#isRunning) return;
    this.#isRunning = false;
    this.#load.running--;
    this.#load.heldBytes -= this.#heldBytes;
    if (this.#load.running === 0) this.#load.onIdle();
  }

  /** Headers for whatever the reply will be. */
  addHeaders(headers: Readonly<Record<string, string>>) {
    for (const [name, value] of Object.entries(headers)) this.#response.setHeader(name, value);
  }

  /** @throws `payload_too_large`, `overloaded` */
  async readBody(): Promise<Buffer> {
    const { bodyBytes } = this.#limits;
    const tooLarge = new GatewayError('payload_too_large', `The body must be at most ${bodyBytes} bytes.`);
    const { 'content-length': announced, expect } = this.message.headers;
    if (Number(announced) > bodyBytes) throw tooLarge;
    if (expect !== undefined) this.#response.writeContinue();
    const chunks: Buffer[] = [];
    let size = 0;
    const body: AsyncIterable<Buffer> = this.message.iterator({ destroyOnReturn: false });
    for await (const chunk of body) {
      size += chunk.length;
      if (size > bodyBytes) throw tooLarge;
      this.#hold(chunk.length);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  }

  /** A body is held until its answer is over: the function has it in hand for as long. */
  #hold(bytes: number) {
    const { heldBytes } = this.#limits;
    if (!this.#isRunning || this.#load.heldBytes + bytes > heldBytes) {
      throw overloaded(`All bodies together must be at most ${heldBytes} bytes; send it again.`);
    }
    this.#load.heldBytes += bytes;
    this.#heldBytes += bytes;
  }

  /** Runs the function until its answer has left, or its reader has. Rejects with what there is to be told in its place. */
  run(invoke: Invocation): Promise<void> {
    const response = this.#response;
    const { functionMs, unreadMs } = this.#limits;
    const endsAt = Date.now() + functionMs;
    return new Promise<void>((resolve, reject) => {
      if (this.#isRefused || response.destroyed) return resolve();
      const stream = new ResponseStream(toReader(response, unreadMs, reject));
      const tooLong = new GatewayError('deadline_exceeded', `The function ran for ${functionMs} ms.`);
      const timer = setTimeout(reject, functionMs, tooLong);
      response.once('close', () => {
        clearTimeout(timer);
        stream.destroy();
        resolve();
      });
      stream.on('error', reject);
      invoke(stream, { getRemainingTimeInMillis: () => endsAt - Date.now() }).catch(reject);
    });
  }

  /** Sends the refusal, or cuts the answer off when it has begun. Does nothing when there was a refusal already. */
  refuse(thrown: unknown, status?: number) {
    const response = this.#response;
    if (this.#isRefused || response.writableEnded) return;
    this.#isRefused = true;
    this.#leave();
    if (response.headersSent || response.destroyed) return void response.destroy();
    const refusal = toRefusal(thrown, this.id, status);
    response.writeHead(refusal.status, refusal.headers).write(refusal.body);
    this.#linger();
  }

  /** To close on a caller who is still sending would reset the connection, and he would never read the refusal. */
  #linger() {
    const { lingerMs, lingerBytes } = this.#limits;
    const close = () => this.#response.end();
    const timer = setTimeout(close, lingerMs);
    let left = lingerBytes;
    this.message.once('end', close).on('data', (chunk: Buffer) => {
      left -= chunk.length;
      if (left < 0) close();
    });
    this.#response.once('close', () => clearTimeout(timer));
  }
}

/** Writes at the pace of whoever reads, and gives up on one who does not. */
function toReader(response: ServerResponse, unreadMs: number, fail: (reason: GatewayError) => void): Reader {
  let timer: NodeJS.Timeout | undefined;
  const trust = () => clearTimeout(timer);
  const doubt = () => {
    trust();
    timer = setTimeout(() => response.destroy(), unreadMs);
  };
  response.on('drain', trust).once('close', trust);
  return {
    begin({ statusCode, headers = {} }) {
      response.writeHead(statusCode, headers).flushHeaders();
    },
    write(chunk, taken) {
      if (response.write(chunk)) return taken();
      doubt();
      response.once('drain', taken);
    },
    end() {
      doubt();
      response.end();
    },
    fail: () => fail(new GatewayError('internal_error', 'The function ended without an answer.')),
  };
}

/** Refuses what never became a request, once for each connection. */
export function refuseSocket(socket: Duplex, error: GatewayError, status: number, { lingerMs }: DoorLimits) {
  if (!socket.writable) return;
  const { headers, body } = toRefusal(error, randomUUID(), status);
  const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.on('error', () => {});
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${fields.join('')}\r\n${body}`);
  setTimeout(() => socket.destroy(), lingerMs).unref();
}

/** The envelope that API Gateway's own responses are mapped to. HTTP has statuses, such as 408, that no code of ours has. */
function toRefusal(thrown: unknown, requestId: string, known?: number) {
  const error = toGatewayError(thrown);
  const status = known ?? errorKinds[error.code].status;
  const body = JSON.stringify({ error: { ...toEnvelope(error, requestId).error, status } });
  const headers = {
    ...Object.fromEntries(toErrorResponse(error, requestId).headers),
    'content-length': String(Buffer.byteLength(body)),
    'x-request-id': requestId,
    connection: 'close',
  };
  return { status, headers, body };
}

export const overloaded = (message: string) =>
  new GatewayError('overloaded', message, { retryAfterSeconds: 1 });
