/**
 * Where a caller's API key may stand.
 */

type HeaderValues = Readonly<Record<string, string | undefined>>;

/** What a browser offers, since it can set no header for a WebSocket; the gateway selects it, and never the one with the key. */
export const SUBPROTOCOL = 'llm-gateway';
const KEY_SUBPROTOCOL = 'llm-gateway.key.';

/**
 * The key in `x-api-key`, else the one in `Authorization: Bearer`, which is where OpenAI's clients put it, else the one in the
 * WebSocket subprotocol `llm-gateway.key.…`. Header names are compared without regard to case, as API Gateway hands them on the way
 * they were sent.
 */
export function findApiKey(headers: HeaderValues): string | undefined {
  const bearer = /^Bearer +(\S+)$/i.exec(findHeader(headers, 'authorization') ?? '')?.[1];
  const offered = findSubprotocols(headers).find((name) => name.startsWith(KEY_SUBPROTOCOL));
  return findHeader(headers, 'x-api-key') || bearer || offered?.slice(KEY_SUBPROTOCOL.length) || undefined;
}

export const findSubprotocols = (headers: HeaderValues): readonly string[] =>
  (findHeader(headers, 'sec-websocket-protocol') ?? '').split(',').map((name) => name.trim());

/** `name` in lower case. */
export const findHeader = (headers: HeaderValues, name: string): string | undefined =>
  Object.entries(headers)
    .findLast(([given]) => given.toLowerCase() === name)?.[1]
    ?.trim();
