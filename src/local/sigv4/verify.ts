/**
 * AWS Signature Version 4 from the server's side, as Lambda checks it for Function URLs and API Gateway for IAM, so that the laptop
 * refuses what AWS would refuse. Functions bear the names of AWS's description. It says who signed, not what they may do.
 *
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
import { timingSafeEqual } from 'node:crypto';
import {
  canonicalRequest,
  headerValues,
  hmac,
  type ReceivedHeaders,
  sha256,
  signingKey,
  splitUrl,
  stringToSign,
} from './canonical-request.ts';
import { CLOCK_SKEW_MS, type Claim, check, epochMs, LONGEST_TEXT, Refusal, readClaim } from './claim.ts';

export type SignedRequest = {
  readonly method: string;
  /** Path and query, as they were sent. */
  readonly url: string;
  /**
   * By lower-case name, as `IncomingMessage.headers` has them. A list is joined by commas without spaces, as clients sign it; Node's
   * `headers` joins with spaces, so headers that were sent twice only verify from `headersDistinct`.
   */
  readonly headers: ReceivedHeaders;
  readonly body: Uint8Array;
};

/** `reason` is a sentence for whoever sent the request. */
export type Verdict =
  | { readonly ok: true; readonly accessKeyId: string }
  | { readonly ok: false; readonly reason: string };

export type VerifyOptions = {
  /** `lambda` for Function URLs, `execute-api` for API Gateway. */
  readonly service: string;
  readonly secretOf: (accessKeyId: string) => string | undefined;
  /** Milliseconds since the epoch. */
  readonly now: number;
};

/** Whatever the request holds, this answers; it never throws. */
export function verifySignature(request: SignedRequest, options: VerifyOptions): Verdict {
  try {
    return { ok: true, accessKeyId: verify(request, options) };
  } catch (error) {
    if (error instanceof Refusal) return { ok: false, reason: error.message };
    throw error;
  }
}

function verify(request: SignedRequest, { service, secretOf, now }: VerifyOptions): string {
  const { method, url, headers, body } = request;
  check(url.length <= LONGEST_TEXT, 'The URL is too long to be signed.');
  const { path, query } = splitUrl(url);
  const claim = readClaim(headers, query, service);
  const { signedHeaders, credential } = claim;
  const { accessKeyId, scope } = credential;
  check(scope.service === service, `The signature is for the service ${scope.service}; sign for ${service}.`);
  checkTime(claim, now);
  checkSignedHeaders(headers, signedHeaders);
  const secret = secretOf(accessKeyId);
  check(typeof secret === 'string' && secret !== '', `The access key ${accessKeyId} is unknown here.`);
  const payloadHash = sha256(body);
  checkDeclaredHash([...headerValues(headers, 'x-amz-content-sha256'), ...claim.declaredHashes], payloadHash);

  const canonical = canonicalRequest({ method, path, query, headers, signedHeaders, payloadHash });
  const expected = hmac(signingKey(secret, scope), stringToSign(claim.date, scope, canonical));
  check(
    timingSafeEqual(expected, claim.signature),
    'The signature does not match: check the secret key, and that method, path, query, signed headers and body were sent as they were signed.',
  );
  return accessKeyId;
}

function checkTime({ credential, date, lifetimeMs }: Claim, now: number) {
  check(date.startsWith(credential.scope.day), 'The day in the credential is not the day of the request.');
  const signedAt = epochMs(date);
  check(
    now >= signedAt - CLOCK_SKEW_MS,
    'The request was signed more than 5 minutes ahead; check the clock it was signed by.',
  );
  check(
    now <= signedAt + lifetimeMs,
    lifetimeMs === CLOCK_SKEW_MS
      ? 'The request was signed more than 5 minutes ago; sign it again, or check the clock it was signed by.'
      : 'The presigned URL has expired; sign it again.',
  );
}

/** AWS's rule: host and all x-amz-* headers that are sent are signed. Without it, a token or a date could be put in later. */
function checkSignedHeaders(headers: ReceivedHeaders, signedHeaders: readonly string[]) {
  const signed = new Set(signedHeaders);
  check(signed.has('host'), 'The host header must be signed.');
  for (const name of Object.keys(headers)) {
    const mustBeSigned = name.startsWith('x-amz-') && headerValues(headers, name).length > 0;
    check(!mustBeSigned || signed.has(name), `The header ${name.slice(0, 100)} was sent, but not signed.`);
  }
  for (const name of signedHeaders) {
    check(headerValues(headers, name).length > 0, `The signed header ${name.slice(0, 100)} was not sent.`);
  }
}

/** @see https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-restricting-access-to-lambda.html */
function checkDeclaredHash(declared: readonly string[], payloadHash: string) {
  check(
    !declared.includes('UNSIGNED-PAYLOAD'),
    'The body must be signed too: UNSIGNED-PAYLOAD is refused, as Lambda refuses it.',
  );
  check(
    declared.every((hash) => hash === payloadHash),
    'x-amz-content-sha256 is not the SHA-256 of the body that arrived.',
  );
}
