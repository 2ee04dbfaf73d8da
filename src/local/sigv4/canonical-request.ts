/**
 * The artefacts of AWS Signature Version 4, each under the name that AWS gave it, from a request as a server has received it.
 *
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
import { createHash, createHmac } from 'node:crypto';

export const ALGORITHM = 'AWS4-HMAC-SHA256';
export const TERMINATOR = 'aws4_request';

/** By lower-case name, as `IncomingMessage` has them. */
export type ReceivedHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

/** Names and values, each as `uriEncode` would write it, in the order in which they were sent. */
export type Query = readonly (readonly [name: string, value: string])[];

export type CredentialScope = { readonly day: string; readonly region: string; readonly service: string };

type Parts = {
  readonly method: string;
  readonly path: string;
  readonly query: Query;
  readonly headers: ReceivedHeaders;
  readonly signedHeaders: readonly string[];
  readonly payloadHash: string;
};

export const canonicalRequest = ({ method, path, query, headers, signedHeaders, payloadHash }: Parts) =>
  [
    method,
    canonicalUri(path),
    canonicalQueryString(query),
    canonicalHeaders(headers, signedHeaders),
    signedHeaders.join(';'),
    payloadHash,
  ].join('\n');

/**
 * Normalised as AWS's own clients do it: no empty segment, no `.`, no `..`, a slash at the end kept. What is encoded already is encoded
 * once more, as all services but S3 do: `%3A` is `%253A`.
 */
function canonicalUri(path: string): string {
  const segments: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '..') segments.pop();
    else if (segment !== '' && segment !== '.') segments.push(uriEncode(segment));
  }
  const end = segments.length > 0 && path.endsWith('/') ? '/' : '';
  return `/${segments.join('/')}${end}`;
}

const canonicalQueryString = (query: Query) =>
  query
    .filter(([name]) => name !== 'X-Amz-Signature')
    .sort(([name, value], [otherName, otherValue]) => compare(name, otherName) || compare(value, otherValue))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');

/** One line for each, and so an empty line after the last. */
const canonicalHeaders = (headers: ReceivedHeaders, signedHeaders: readonly string[]) =>
  signedHeaders.map((name) => `${name}:${headerValues(headers, name).map(fold).join(',')}\n`).join('');

export const stringToSign = (date: string, { day, region, service }: CredentialScope, canonical: string) =>
  [ALGORITHM, date, [day, region, service, TERMINATOR].join('/'), sha256(canonical)].join('\n');

export const signingKey = (secret: string, { day, region, service }: CredentialScope) =>
  hmac(hmac(hmac(hmac(`AWS4${secret}`, day), region), service), TERMINATOR);

export const sha256 = (data: Uint8Array | string) => createHash('sha256').update(data).digest('hex');
export const hmac = (key: Buffer | string, data: string) => createHmac('sha256', key).update(data).digest();

export function splitUrl(url: string): { readonly path: string; readonly query: Query } {
  const [path, query] = splitOnce(url, '?');
  const parts = query.split('&').filter((part) => part !== '');
  return {
    path,
    query: parts.map((part) => splitOnce(part, '=').map(toCanonical) as [string, string]),
  };
}

/** A part of a query, however much of it was encoded; an escape that is none is text, and a plus is a space. */
const toCanonical = (text: string) =>
  text.replace(/%[0-9A-Fa-f]{2}|[^A-Za-z0-9_.~-]/gu, (found) => {
    if (found === '+') return '%20';
    return found.length === 3 ? encodeByte(Number.parseInt(found.slice(1), 16)) : uriEncode(found);
  });

const encodeByte = (byte: number) => {
  const character = String.fromCharCode(byte);
  return /[A-Za-z0-9_.~-]/.test(character)
    ? character
    : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
};

/** AWS's UriEncode: all but A-Z, a-z, 0-9, `-`, `.`, `_` and `~`. */
const uriEncode = (text: string) =>
  encodeURIComponent(text.toWellFormed()).replace(/[!'()*]/g, (character) =>
    encodeByte(character.charCodeAt(0)),
  );

export function uriDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** None for a header that was not sent. The keys of an object's prototype are no headers. */
export function headerValues(headers: ReceivedHeaders, name: string): readonly string[] {
  const value = Object.hasOwn(headers, name) ? headers[name] : undefined;
  if (value === undefined) return [];
  return typeof value === 'string' ? [value] : value;
}

const fold = (value: string) => value.replace(/[ \t\r\n]+/g, ' ').replace(/^ | $/g, '');

/** By code units: `sort()` on whole `name=value` would put `a-b=` before `a=`. */
const compare = (one: string, other: string) => (one < other ? -1 : one > other ? 1 : 0);

export function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + separator.length)];
}
