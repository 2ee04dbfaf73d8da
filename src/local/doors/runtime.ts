/**
 * A stand-in for what the Lambda runtime gives a streaming function: the `awslambda` global and the response stream. It does what the
 * real one does, its traps included: the prelude leaves with the first `write`, so `end` alone loses it.
 * @see https://github.com/aws/aws-lambda-nodejs-runtime-interface-client
 */
import { Writable } from 'node:stream';

/** Between the metadata and the body. */
const DELIMITER = Buffer.alloc(8);

/** API Gateway looks for the delimiter in the first 16 KB. */
const MAX_PRELUDE_BYTES = 16 * 1024;

export type Metadata = {
  readonly statusCode: number;
  readonly headers?: Readonly<Record<string, string>>;
};

/** What becomes of the bytes: `begin` once, then `write` for each piece, which calls back when it may be followed by more. */
export type Reader = {
  begin(metadata: Metadata): void;
  write(chunk: Buffer, taken: () => void): void;
  end(): void;
  /** The function ended without the metadata; API Gateway answers 500. */
  fail(): void;
};

export class ResponseStream extends Writable {
  #beforeFirstWrite: (() => void) | undefined;
  #prelude: Buffer | undefined = Buffer.alloc(0);
  readonly #reader: Reader;

  constructor(reader: Reader) {
    super({ highWaterMark: 16 * 1024 });
    this.#reader = reader;
  }

  beforeFirstWrite(hook: () => void) {
    this.#beforeFirstWrite = hook;
  }

  override write(chunk: string | Uint8Array): boolean {
    const hook = this.#beforeFirstWrite;
    this.#beforeFirstWrite = undefined;
    hook?.();
    return super.write(chunk);
  }

  override _write(chunk: Buffer, _encoding: string, taken: (error?: Error) => void) {
    if (!this.#prelude) return this.#reader.write(chunk, taken);
    this.#prelude = Buffer.concat([this.#prelude, chunk]);
    const end = this.#prelude.indexOf(DELIMITER);
    if (end < 0 || end > MAX_PRELUDE_BYTES) return taken();
    const rest = this.#prelude.subarray(end + DELIMITER.length);
    try {
      this.#reader.begin(JSON.parse(this.#prelude.toString('utf8', 0, end)));
    } catch (error) {
      // Thrown, it would leave the stream waiting for ever.
      return taken(error instanceof Error ? error : new Error('The metadata cannot be read.'));
    }
    this.#prelude = undefined;
    return rest.length > 0 ? this.#reader.write(rest, taken) : taken();
  }

  override _final(done: () => void) {
    if (this.#prelude) this.#reader.fail();
    else this.#reader.end();
    done();
  }
}

/** The `awslambda` global, as far as the product uses it. */
export const awslambdaStandIn = {
  streamifyResponse: <Handler>(handler: Handler): Handler => handler,
  HttpResponseStream: {
    from(stream: ResponseStream, metadata: Metadata): ResponseStream {
      stream.beforeFirstWrite(() => {
        stream.write(JSON.stringify(metadata));
        stream.write(DELIMITER);
      });
      return stream;
    },
  },
};
