import { AwsV4Signer } from 'aws4fetch';

type Signing = {
  /** Asked before every request, since those of a role expire; every provider of the AWS SDK fits. */
  credentials: () => Promise<{ accessKeyId: string; secretAccessKey: string; sessionToken?: string }>;
  /** Not needed for a Function URL, whose address tells it. */
  region?: string;
  /** `lambda` for a Function URL, `execute-api` for API Gateway. */
  service?: string;
};

/** A `fetch` that signs what it sends (AWS Signature Version 4), in place of whatever key the SDK around it brings along. */
export function createSigningFetch({ credentials, region, service = 'lambda' }: Signing): typeof fetch {
  return async (input, init) => {
    const request = new Request(input, init);
    const { url, method, headers, signal } = request;
    const body = request.body ? await request.arrayBuffer() : null;
    const signer = new AwsV4Signer({
      ...(await credentials()),
      service,
      region: region ?? /\.lambda-url\.([^.]+)\.on\.aws\//.exec(url)?.[1] ?? 'us-east-1',
      url,
      method,
      headers,
      ...(body && { body }),
    });
    const signed = await signer.sign();
    // A redirect would carry the session token to a stranger.
    return fetch(signed.url, { ...init, method, headers: signed.headers, body, signal, redirect: 'manual' });
  };
}
