/**
 * The WebSocket door: questions over it, and what becomes of whoever knocks at it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { AwsV4Signer } from 'aws4fetch';
import { WebSocket as Knocker } from 'ws';
import { SUBPROTOCOL } from '../../src/doors/api-key.ts';
import { describeUnreachable, Ending, parseJson } from '../answer.ts';
import { askOverSocket } from '../socket.ts';
import { Silence } from './http.ts';
import type { Access, Place } from './place.ts';
import type { Answer, Asking, Timed } from './stream.ts';

/** How long a signed URL may be used; the clocks of this machine and of AWS need not agree by more. */
const SIGNED_SECONDS = 300;

/** The longest that a timer can run, which is longer than any check. */
const FOREVER_MS = 2 ** 31 - 1;

export type Knock = {
  readonly signal: AbortSignal;
  /** Who knocks, when it is not the door's caller. */
  readonly access?: Access;
  readonly origin?: string;
};

/** Asks over a connection of its own and reads the answer to its end. @throws `Ending` for a refusal */
export async function askOverWebSocket(
  place: Place,
  body: object,
  asking: Asking & { readonly fetch: typeof fetch },
): Promise<Answer> {
  const { signal, onEvent, fetch: fetchIt } = asking;
  const { url, protocols, headers } = await shakeHands(place.url, place.access);
  const cancelling = new AbortController();
  const startedAt = performance.now();
  let sentAt = startedAt;
  const events: Timed[] = [];
  const answer = askOverSocket({
    url,
    key: '',
    handshake: { protocols, headers },
    body,
    signal: AbortSignal.any([signal, cancelling.signal]),
    fetch: fetchIt,
    pause: (ms) => sleep(ms, undefined, { signal, ref: false }).catch(() => undefined),
    cancelMs: FOREVER_MS,
    onOpen: () => {
      sentAt = performance.now();
    },
  });
  for await (const event of answer) {
    events.push({ ...event, atMs: performance.now() - sentAt });
    onEvent?.(event, async () => void cancelling.abort());
  }
  return { openMs: sentAt - startedAt, events, headers: new Headers() };
}

/** A URL, subprotocols and headers that show this access, each where a gateway with this access looks for it. */
async function shakeHands(url: URL, { key, credentials }: Access) {
  if (!credentials) {
    const named = key === undefined ? [] : [`${SUBPROTOCOL}.key.${key}`];
    return { url, protocols: [SUBPROTOCOL, ...named], headers: {} };
  }
  const unsigned = new URL(url);
  unsigned.searchParams.set('X-Amz-Expires', String(SIGNED_SECONDS));
  const request = { method: 'GET', url: unsigned.href, signQuery: true };
  const signed = await new AwsV4Signer({ ...request, ...credentials, service: 'execute-api' }).sign();
  const headers: Record<string, string> = key === undefined ? {} : { 'x-api-key': key };
  return { url: signed.url, protocols: [SUBPROTOCOL], headers };
}

/**
 * Connects, and leaves again. Resolves with the HTTP status of the handshake, 101 for one that succeeds.
 *
 * @throws `Silence` when nobody answers
 */
export async function knock(place: Place, { signal, access = place.access, origin }: Knock): Promise<number> {
  const { socket, status } = await connect(place, access, signal, origin);
  socket.terminate();
  return status;
}

/**
 * Sends one message over a connection of its own, and resolves with the first frame that comes back.
 *
 * @throws `Silence`, or `Ending` when it is refused
 */
export async function exchange(place: Place, message: object, signal: AbortSignal) {
  const { socket, status } = await connect(place, place.access, signal);
  try {
    if (status !== 101) throw new Ending(1, `The connection was refused with HTTP ${status}.`);
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    socket.on('message', (data) => resolve(String(data)));
    socket.on('close', () => reject(new Ending(1, 'The connection was closed without a word.')));
    signal.addEventListener('abort', () => reject(signal.reason));
    socket.send(JSON.stringify(message));
    return parseJson(await promise);
  } finally {
    socket.terminate();
  }
}

/** Node's own client does not tell the status of a refusal; this one does. */
async function connect({ url: plain }: Place, access: Access, signal: AbortSignal, origin?: string) {
  const { url, protocols, headers } = await shakeHands(plain, access);
  const socket = new Knocker(url, protocols, { headers, ...(origin !== undefined && { origin }) });
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  socket.on('open', () => resolve(101));
  socket.on('unexpected-response', (_, { statusCode = 0 }) => resolve(statusCode));
  socket.on('error', (cause) => reject(new Silence(1, describeUnreachable(plain, new Error('', { cause })))));
  signal.addEventListener('abort', () => reject(signal.reason));
  try {
    return { socket, status: await promise };
  } catch (error) {
    socket.terminate();
    throw error;
  }
}
