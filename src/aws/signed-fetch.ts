/**
 * Signed calls to AWS services that need no client of their own.
 */
import { AwsClient } from 'aws4fetch';

type Credentials = {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
};

export type SignedFetch = (
  url: string,
  init: RequestInit & { readonly timeoutMs: number },
) => Promise<Response>;

export type SignedFetchParts = {
  /** Asked before each call: credentials grow old. */
  readonly credentials: () => Promise<Credentials>;
  readonly region: string;
  /** `execute-api`, `lambda`: what the signature is for. */
  readonly service: string;
};

/** `fetch`, signed with Signature Version 4 and never repeated: whether a call may be made twice its caller knows. */
export function createSignedFetch({ credentials, region, service }: SignedFetchParts): SignedFetch {
  const cache = new Map<string, ArrayBuffer>();
  return async (url, { timeoutMs, signal, ...init }) => {
    const { accessKeyId, secretAccessKey, sessionToken } = await credentials();
    const keys = { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) };
    const client = new AwsClient({ ...keys, region, service, retries: 0, cache });
    const timeout = AbortSignal.timeout(timeoutMs);
    return await client.fetch(url, {
      ...init,
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
  };
}
