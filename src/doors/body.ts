/**
 * A JSON body from a stranger. Everything that could be costly or treacherous is looked at before `JSON.parse` sees it:
 * 6 MB of brackets would keep the parser busy for seconds.
 */
import { GatewayError } from '../chat/errors.ts';

const MAX_JSON_DEPTH = 32;
const MAX_JSON_TOKENS = 100_000;

const forbiddenKeys = new Set(['__proto__', 'constructor', 'prototype']);

/**
 * The body as JSON: at most `limitBytes` long, at most 32 levels deep and 100,000 structural tokens wide, with well-formed
 * strings and no key that could reach a prototype.
 *
 * @throws `unsupported_media_type`, `payload_too_large`, `invalid_json`, `invalid_request`
 */
export async function readJson(request: Request, limitBytes: number): Promise<unknown> {
  requirePlainJson(request.headers);
  const value = parseJson(await readBytes(request, limitBytes));
  requireFairStrings(value);
  return value;
}

/**
 * As `readJson`, for what is here already and not too long; its strings are still to be looked at.
 *
 * @throws `invalid_json`, `invalid_request`
 */
export function parseJson(bytes: Uint8Array): unknown {
  if (bytes.length === 0) throw new GatewayError('invalid_json', 'The body is empty; send a JSON object.');
  scanStructure(bytes);
  return parse(bytes);
}

/** Counts what really comes, whatever length was announced, and lets go at the limit. */
async function readBytes({ body }: Request, limitBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body ?? []) {
    size += chunk.length;
    if (size > limitBytes) {
      throw new GatewayError('payload_too_large', `The body must be at most ${limitBytes} bytes.`);
    }
    chunks.push(chunk);
  }
  const [only, ...others] = chunks;
  return only && others.length === 0 ? only : Buffer.concat(chunks);
}

function requirePlainJson(headers: Headers) {
  const [mediaType = '', ...parameters] = (headers.get('content-type') ?? '').toLowerCase().split(';');
  const charset = parameters.map((part) => part.trim()).find((part) => part.startsWith('charset='));
  const isUtf8 = charset === undefined || /^charset="?utf-?8"?$/.test(charset);
  if (mediaType.trim() !== 'application/json' || !isUtf8) {
    throw new GatewayError('unsupported_media_type', 'The content-type must be application/json in UTF-8.');
  }
  const encoding = headers.get('content-encoding') ?? 'identity';
  if (encoding.toLowerCase() !== 'identity') {
    throw new GatewayError('unsupported_media_type', 'The body must not be compressed.');
  }
}

/** Works on bytes: in UTF-8 no part of another character looks like one of these. */
function scanStructure(bytes: Uint8Array) {
  let depth = 0;
  let tokens = 0;
  let inString = false;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) inString = !inString;
    else if (inString) at += byte === BACKSLASH ? 1 : 0;
    else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
      depth++;
      tokens++;
    } else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
      depth--;
      tokens++;
    } else if (byte === COMMA || byte === COLON) tokens++;
    if (depth > MAX_JSON_DEPTH) {
      throw new GatewayError('invalid_request', `The body must be at most ${MAX_JSON_DEPTH} levels deep.`);
    }
    if (tokens > MAX_JSON_TOKENS) {
      throw new GatewayError(
        'invalid_request',
        `The body must have at most ${MAX_JSON_TOKENS} structural tokens.`,
      );
    }
  }
}

const [QUOTE, BACKSLASH, OPEN_OBJECT, CLOSE_OBJECT, OPEN_ARRAY, CLOSE_ARRAY, COMMA, COLON] =
  Buffer.from('"\\{}[],:');

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new GatewayError('invalid_json', 'The body is not valid JSON in UTF-8.');
  }
}

/** @throws `invalid_request` for half a surrogate pair, and for a key that could reach a prototype */
export function requireFairStrings(value: unknown, path = ''): void {
  if (typeof value === 'string') requireWellFormed(value, path);
  if (value === null || typeof value !== 'object') return;
  const isList = Array.isArray(value);
  for (const [key, item] of Object.entries(value)) {
    if (!isList) requireFairKey(key, path);
    requireFairStrings(item, isList ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`);
  }
}

function requireFairKey(key: string, path: string) {
  requireWellFormed(key, path);
  if (forbiddenKeys.has(key)) throw invalid(`The key ${key} is not allowed.`, path);
}

function requireWellFormed(text: string, path: string) {
  if (!text.isWellFormed())
    throw invalid('The text must be well-formed Unicode: it has half a surrogate pair.', path);
}

const invalid = (message: string, param: string) =>
  new GatewayError('invalid_request', message, { ...(param !== '' && { param }) });
