/**
 * What a request says about its own signature: who made it, when, for what, and over which headers. None of it is believed here; that
 * it has the right form is all that is checked.
 *
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-authentication-methods.html
 */
import {
  ALGORITHM,
  type CredentialScope,
  headerValues,
  type Query,
  type ReceivedHeaders,
  splitOnce,
  TERMINATOR,
  uriDecode,
} from './canonical-request.ts';

/** How far the client's clock may be off, and how long a presigned URL without X-Amz-Expires is good for. */
export const CLOCK_SKEW_MS = 5 * 60_000;
const LONGEST_EXPIRES_SECONDS = 7 * 24 * 3600;

/** CloudFront's limit for a URL. A longer one, or a longer authorization, is not looked into: garbage must cost no time. */
export const LONGEST_TEXT = 8 * 1024;

/** Why a request is turned away, in a sentence for whoever sent it. */
export class Refusal extends Error {
  override name = 'Refusal' as const;
}

export function check(isSo: boolean, otherwise: string): asserts isSo {
  if (!isSo) throw new Refusal(otherwise);
}

export type Claim = {
  readonly credential: { readonly accessKeyId: string; readonly scope: CredentialScope };
  readonly signedHeaders: readonly string[];
  readonly signature: Buffer;
  /** `20150830T123600Z` */
  readonly date: string;
  readonly lifetimeMs: number;
  /** X-Amz-Content-Sha256 in the query; as a header it is read from there. */
  readonly declaredHashes: readonly string[];
};

export function readClaim(headers: ReceivedHeaders, query: Query, service: string): Claim {
  const authorization = headerValues(headers, 'authorization');
  const isPresigned = query.some(([name]) => name === 'X-Amz-Signature' || name === 'X-Amz-Algorithm');
  check(
    isPresigned || authorization.length > 0,
    `The request is not signed; sign it with AWS Signature Version 4 for the service ${service}.`,
  );
  check(!isPresigned || authorization.length === 0, 'Sign by header or by query, not by both.');
  return isPresigned ? readPresigned(query) : readAuthorization(authorization, headers);
}

function readAuthorization(authorization: readonly string[], headers: ReceivedHeaders): Claim {
  const [value = ''] = authorization;
  const form = `The authorization header must read ${ALGORITHM} Credential=…, SignedHeaders=…, Signature=….`;
  check(authorization.length === 1 && value.length <= LONGEST_TEXT, form);
  check(value.startsWith(`${ALGORITHM} `), form);
  const fields = value
    .slice(ALGORITHM.length)
    .split(',', 4)
    .map((field) => splitOnce(field.trim(), '='));
  const names = fields.map(([name]) => name).sort();
  check(names.join() === 'Credential,Signature,SignedHeaders', form);
  const field = (wanted: string) => fields.find(([name]) => name === wanted)?.[1] ?? '';
  return {
    credential: parseCredential(field('Credential')),
    signedHeaders: parseSignedHeaders(field('SignedHeaders')),
    signature: parseSignature(field('Signature')),
    date: parseDate(headerValues(headers, 'x-amz-date')),
    lifetimeMs: CLOCK_SKEW_MS,
    declaredHashes: [],
  };
}

function readPresigned(query: Query): Claim {
  const values = (wanted: string) =>
    query.filter(([name]) => name === wanted).map(([, value]) => uriDecode(value));
  const one = (name: string) => {
    const [value, ...more] = values(name);
    check(value !== undefined && more.length === 0, `A presigned URL needs ${name}, once.`);
    return value;
  };
  check(one('X-Amz-Algorithm') === ALGORITHM, `X-Amz-Algorithm must be ${ALGORITHM}.`);
  return {
    credential: parseCredential(one('X-Amz-Credential')),
    signedHeaders: parseSignedHeaders(one('X-Amz-SignedHeaders')),
    signature: parseSignature(one('X-Amz-Signature')),
    date: parseDate(values('X-Amz-Date')),
    lifetimeMs: parseExpires(values('X-Amz-Expires')),
    declaredHashes: values('X-Amz-Content-Sha256'),
  };
}

function parseCredential(credential: string): Claim['credential'] {
  const [accessKeyId = '', day = '', region = '', service = '', terminator, ...more] = credential.split('/');
  const isWhole = [accessKeyId, region, service].every((part) => /^[\w-]{1,128}$/.test(part));
  check(
    isWhole && /^\d{8}$/.test(day) && terminator === TERMINATOR && more.length === 0,
    `The credential must read access-key/yyyymmdd/region/service/${TERMINATOR}.`,
  );
  return { accessKeyId, scope: { day, region, service } };
}

/** Each name once, so that the work stays in proportion to what was sent. */
function parseSignedHeaders(text: string): string[] {
  const names = text.split(';');
  check(
    names.every(
      (name, at) => /^[a-z0-9!#$%&'*+.^_`|~-]+$/.test(name) && (at === 0 || (names[at - 1] ?? '') < name),
    ),
    'SignedHeaders must be lower-case names in alphabetical order, each once, with ; between them.',
  );
  return names;
}

function parseSignature(text: string): Buffer {
  check(/^[0-9a-f]{64}$/.test(text), 'The signature must be 64 hexadecimal digits in lower case.');
  return Buffer.from(text, 'hex');
}

function parseDate(values: readonly string[]): string {
  const [date = ''] = values;
  check(
    values.length === 1 && !Number.isNaN(epochMs(date)),
    'The request needs its time in x-amz-date, once, as 20150830T123600Z.',
  );
  return date;
}

function parseExpires([seconds, ...more]: readonly string[]): number {
  if (seconds === undefined) return CLOCK_SKEW_MS;
  const isWithin =
    /^\d{1,6}$/.test(seconds) && Number(seconds) >= 1 && Number(seconds) <= LONGEST_EXPIRES_SECONDS;
  check(isWithin && more.length === 0, `X-Amz-Expires must be 1 to ${LONGEST_EXPIRES_SECONDS} seconds.`);
  return Number(seconds) * 1000;
}

/** NaN for what is no time. */
export function epochMs(date: string): number {
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(date) ?? [];
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
}
