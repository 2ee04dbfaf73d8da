/**
 * A call of one of AWS's REST APIs from the server's side: its body, its signature, and a reply or a refusal
 * as AWS's clients read them.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { verifySignature } from '../sigv4/verify.ts';

/** The secret of an access key, or nothing for one that nobody was given. */
export type SecretOf = (accessKeyId: string) => string | undefined | Promise<string | undefined>;

export type AwsReply = {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON text. */
  readonly body?: string;
};

/** A refusal; clients tell its type from `x-amzn-ErrorType`. */
export class AwsRefusal extends Error {
  override name = 'AwsRefusal' as const;
  readonly status: number;
  readonly type: string;

  constructor(status: number, type: string, message: string) {
    super(message);
    this.status = status;
    this.type = type;
  }
}

/** Replies what `answer` says or throws; where it says nothing, the connection ends without a reply. */
export function createAwsListener(
  answer: (request: IncomingMessage) => Promise<AwsReply | undefined>,
): RequestListener {
  return async (request, response) => {
    const reply = await answer(request).catch(toRefusal);
    if (reply) send(response, reply);
    else response.destroy();
  };
}

function toRefusal(thrown: unknown): AwsReply {
  const { status, type, message } =
    thrown instanceof AwsRefusal
      ? thrown
      : new AwsRefusal(500, 'InternalFailure', `The stand-in for AWS failed: ${thrown}`);
  return { status, headers: { 'x-amzn-errortype': type }, body: JSON.stringify({ message }) };
}

function send(response: ServerResponse, { status, headers, body }: AwsReply) {
  const contentType = body === undefined ? {} : { 'content-type': 'application/json' };
  response.writeHead(status, { 'x-amzn-requestid': randomUUID(), ...contentType, ...headers });
  response.end(body);
}

export type SignedRules = {
  /** `execute-api`, `lambda` */
  readonly service: string;
  readonly secretOf: SecretOf;
  /** Milliseconds since the epoch. @defaultValue Date.now */
  readonly now?: () => number;
  readonly maxBytes: number;
  /** Type and message of what is signed badly and of what is too long. */
  readonly refusals: Readonly<Record<403 | 413, readonly [type: string, message: string]>>;
};

/** The body of a call whose signature is good. @throws AwsRefusal 403, 413 */
export async function readSigned(request: IncomingMessage, rules: SignedRules): Promise<Buffer> {
  const { service, secretOf, now = Date.now, maxBytes, refusals } = rules;
  const { method = '', url = '', headersDistinct: headers } = request;
  const named = `${request.headers.authorization} ${url}`.match(/Credential=([\w-]+)/)?.[1];
  const secret = named === undefined ? undefined : await secretOf(named);
  // No body makes up for a key that is not known here, so none is kept.
  const body = await readBody(request, secret === undefined ? 0 : maxBytes);
  if (secret !== undefined && body === undefined) throw new AwsRefusal(413, ...refusals[413]);
  const verdict = verifySignature(
    { method, url, headers, body: body ?? Buffer.alloc(0) },
    { service, secretOf: (id) => (id === named ? secret : undefined), now: now() },
  );
  if (!verdict.ok) throw new AwsRefusal(403, refusals[403][0], verdict.reason);
  return body ?? Buffer.alloc(0);
}

/** Nothing when it is longer. The rest is read too: who is still sending would not read the refusal. */
async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= maxBytes) chunks.push(chunk);
  }
  return size <= maxBytes ? Buffer.concat(chunks) : undefined;
}
