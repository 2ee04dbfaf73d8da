/** A function's reply as it came, for tests that look at the bytes. */
import type { Reply } from './runtime-api.ts';

const DELIMITER = Buffer.alloc(8);

export type Parsed = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** The body, a text for each write of the function. */
  readonly writes: readonly string[];
};

export async function readWrites({ body }: Reply): Promise<string[]> {
  const writes: string[] = [];
  for await (const chunk of body) writes.push(String(chunk));
  return writes;
}

/** What API Gateway reads of a reply: metadata, 8 NUL bytes, the body. @throws `Error` for anything else */
export async function parseReply(reply: Reply): Promise<Parsed> {
  const [metadata = '', delimiter = '', ...writes] = await readWrites(reply);
  if (delimiter !== String(DELIMITER)) throw new Error(`No metadata: ${metadata}`);
  const { statusCode, headers } = JSON.parse(metadata);
  return { status: statusCode, headers, writes };
}
