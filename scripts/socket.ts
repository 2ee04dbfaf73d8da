/**
 * A question over the WebSocket door: one connection for one question, and its frames as the events that
 * every door sends.
 */
import { randomUUID } from 'node:crypto';
import { on } from 'node:events';
import { readFileSync } from 'node:fs';
import { SUBPROTOCOL } from '../src/doors/api-key.ts';
import { parseKeys } from '../src/local/keys.ts';
import { toMessages } from '../src/local/page/frames.ts';
import {
  type AnswerEvent,
  describeError,
  describeUnreachable,
  Ending,
  isRecord,
  isTerminal,
  parseJson,
  Unconfirmed,
} from './answer.ts';
import { isLoopback } from './credentials.ts';

/**
 * Eight parts a second, where ten are allowed; and how long to wait, and how often, when it was too fast all
 * the same.
 */
const PART_GAP_MS = 125;
const AGAIN_MS = 1_500;
const MAX_REPEATS = 20;

/** How long a cancelled answer has to say how it ended, unless the call says it. */
const CANCEL_MS = 2_000;

export type SocketCall = {
  readonly url: URL;
  readonly key: string;
  /** That of `POST /v1/chat`. */
  readonly body: object;
  /** Cancels the answer. */
  readonly signal: AbortSignal;
  readonly pause: (ms: number) => Promise<unknown>;
  readonly fetch: typeof fetch;
  /** In place of the key, for a gateway that wants a signed URL, or a key in a header beside one. */
  readonly handshake?: WebSocketInit;
  /** How long a cancelled answer has to say how it ended. */
  readonly cancelMs?: number;
  /** Called when the connection is open, before the question is sent. */
  readonly onOpen?: () => void;
};

/**
 * Asks, and yields the events of the answer. They end with its terminal, with the connection, or where a
 * frame is missing.
 *
 * @throws `Ending` for a connection or a question that is refused
 */
export async function* askOverSocket(call: SocketCall): AsyncGenerator<AnswerEvent> {
  const { url, key, body, signal, pause, cancelMs = CANCEL_MS } = call;
  const { handshake = { protocols: [SUBPROTOCOL, `${SUBPROTOCOL}.key.${key}`] } } = call;
  const requestId = randomUUID();
  const socket = new WebSocket(url, handshake);
  const leaving = new AbortController();
  const frames = on(socket, 'message', { close: ['close'], signal: leaving.signal });
  const question = createSender(socket, toMessages(requestId, body), pause);
  try {
    await open(socket, call);
    call.onOpen?.();
    const cancel = async () => {
      if (question.state.isSent) {
        socket.send(JSON.stringify({ action: 'cancel', request_id: requestId }));
        await pause(cancelMs);
      }
      leaving.abort();
    };
    signal.addEventListener('abort', cancel, { once: true });
    void question.send();
    yield* readFrames(frames, question);
  } catch (error) {
    throw question.state.isSent && leaving.signal.aborted ? new Unconfirmed() : error;
  } finally {
    socket.close();
  }
}

/**
 * @throws `Ending` when it cannot be opened. Why, Node's WebSocket does not tell; whether anybody is there, a
 * plain request does.
 */
async function open(socket: WebSocket, { url, signal, fetch: fetchIt }: SocketCall): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  socket.addEventListener('open', () => resolve(true));
  socket.addEventListener('error', () => resolve(false));
  signal.addEventListener('abort', () => reject(signal.reason));
  if (signal.aborted) reject(signal.reason);
  if (await promise) return;
  const probe = url.href.replace(/^ws/, 'http');
  await fetchIt(probe, { method: 'HEAD', redirect: 'manual', signal }).catch((error) => {
    throw new Ending(1, describeUnreachable(url, error));
  });
  throw new Ending(1, `${url.origin} refused the connection; are the API key and the URL right?`);
}

type Sender = ReturnType<typeof createSender>;

/** Sends the messages of a question, and those again that came too fast. */
function createSender(socket: WebSocket, messages: readonly string[], pause: SocketCall['pause']) {
  const state = { isSent: false };
  let repeats = 0;
  const say = (message: string) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(message);
  };
  return {
    state,
    async send() {
      for (const [n, message] of messages.entries()) {
        if (n > 0) await pause(PART_GAP_MS);
        say(message);
      }
      state.isSent = true;
    },
    /** Whether the part that was refused with this code is sent again. */
    forgives(code: unknown, n: unknown): boolean {
      const message = code === 'rate_limited' && typeof n === 'number' ? messages[n] : undefined;
      if (message === undefined || repeats === MAX_REPEATS) return false;
      repeats++;
      void pause(AGAIN_MS).then(() => say(message));
      return true;
    },
  };
}

/**
 * A frame that came before is dropped. A frame without `seq` is no part of an answer, but may say why there
 * will be none.
 */
async function* readFrames(
  messages: AsyncIterable<readonly MessageEvent[]>,
  question: Sender,
): AsyncGenerator<AnswerEvent> {
  let next = 0;
  for await (const [message] of messages) {
    const frame = parseJson(String(message?.data));
    const { type, seq, request_id: requestId, ...data } = frame;
    if (typeof seq !== 'number' && next === 0) {
      const error = frame['error'] ?? frame;
      const code = isRecord(error) && error['code'];
      if (!question.forgives(code, frame['n'])) throw new Ending(1, describeError(error));
    }
    if (typeof seq !== 'number' || seq < next) continue;
    // What says that the answer is not whole needs no frames before it; so is told whose worker died.
    if (seq > next && type !== 'error' && type !== 'cancelled') return;
    next = seq + 1;
    yield { name: String(type), data: type === 'start' ? { request_id: requestId, ...data } : data };
    if (isTerminal(type)) return;
  }
}

/**
 * `GATEWAY_API_KEY`. Else, and for this machine only, `LOCAL_API_KEYS` or the key that `npm start` made.
 *
 * @throws `Ending` without any part of a key
 */
export function loadApiKey(url: URL, env: Readonly<NodeJS.ProcessEnv>, path = '.local/api-key'): string {
  const isLocal = isLoopback(url);
  const key = env['GATEWAY_API_KEY'] || (isLocal && loadLocalKey(env['LOCAL_API_KEYS'], path));
  if (!key && isLocal)
    throw new Ending(1, 'There is no API key for the gateway on this machine yet; run npm start first.');
  if (!key) throw new Ending(1, 'There is no API key for this gateway; set GATEWAY_API_KEY.');
  // Told here, since a WebSocket says no more than that something is wrong with its subprotocols.
  if (!/^[\w!#$%&'*+.^`|~-]+$/.test(key))
    throw new Ending(1, 'The API key holds a character that the name of a subprotocol cannot have.');
  return key;
}

function loadLocalKey(keys: string | undefined, path: string): string | undefined {
  try {
    return keys ? parseKeys('LOCAL_API_KEYS', keys).values().next().value : readFileSync(path, 'utf8').trim();
  } catch (error) {
    if (!keys || !(error instanceof Error)) return undefined;
    throw new Ending(1, error.message);
  }
}
