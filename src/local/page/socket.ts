/**
 * The WebSocket as a way to ask: one connection that stays open. It is opened anew when it was closed, as AWS does after ten quiet minutes,
 * and when its identity has expired.
 */
import type { AnswerEvent } from './answer-event.ts';
import type { Door } from './door.ts';
import { createFrameReader, toMessages } from './frames.ts';

const SUBPROTOCOL = 'llm-gateway';

/** Eight parts a second, where ten messages are allowed; and how long to wait with one that came too fast all the same. */
const PART_GAP_MS = 125;
const AGAIN_MS = 1_500;

export type SocketDoor = Door & { close(): void };

export function createSocketDoor(url: string, key: string): SocketDoor {
  let opening: Promise<WebSocket> | undefined;
  let socket: WebSocket | undefined;

  const connect = async (): Promise<WebSocket> => {
    if (socket?.readyState === WebSocket.OPEN) return socket;
    opening ??= open(url, key).finally(() => (opening = undefined));
    return (socket = await opening);
  };

  return {
    async *ask(question, signal) {
      const { request_id: requestId, ...body } = question;
      const messages = toMessages(requestId, body);
      const left = new Promise<undefined>((resolve) => {
        signal.addEventListener('abort', () => resolve(undefined));
      });
      const attempt = async function* () {
        const connection = await Promise.race([connect(), left]);
        return connection && (yield* converse(connection, requestId, messages, signal));
      };
      try {
        const end = yield* attempt();
        if (end === 'expired') yield* attempt();
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        yield { type: 'error', failure: { code: 'unreachable', message, retryable: true } };
      }
    },
    async cancel(requestId) {
      const isOpen = socket?.readyState === WebSocket.OPEN;
      if (isOpen) socket?.send(JSON.stringify({ action: 'cancel', request_id: requestId }));
      return false;
    },
    close: () => socket?.close(),
  };
}

/** @throws `Error` with a sentence: why it could not be opened no browser tells */
function open(url: string, key: string): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    const socket = createWebSocket(url, key);
    socket.onopen = () => resolve(socket);
    socket.onerror = () =>
      reject(
        new Error(
          `The WebSocket at ${url} did not open: nobody is there, the API key is not known, or this page’s origin, ${location.origin}, is not among the ALLOWED_ORIGINS.`,
        ),
      );
  });
}

function createWebSocket(url: string, key: string): WebSocket {
  try {
    return new WebSocket(url, [SUBPROTOCOL, `${SUBPROTOCOL}.key.${key}`]);
  } catch {
    throw new Error('The API key holds a character that the name of a WebSocket’s subprotocol cannot have.');
  }
}

/**
 * Sends the messages of a question and yields the events of its answer, up to the end, a gap, or the end of the connection. One whose
 * identity has expired is closed, and it says so.
 */
async function* converse(
  socket: WebSocket,
  requestId: string,
  messages: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<AnswerEvent, 'expired' | undefined> {
  const read = createFrameReader(requestId);
  const leaving = new AbortController();
  const listening = { signal: leaving.signal };
  const arrived: AnswerEvent[] = [];
  let isOver = false;
  let isExpired = false;
  let wake = () => {};
  const end = () => {
    isOver = true;
    wake();
  };
  const say = (message: string | undefined) => {
    if (!isOver && message !== undefined && socket.readyState === WebSocket.OPEN) socket.send(message);
  };
  const receive = ({ data }: MessageEvent) => {
    const verdict = read(String(data));
    if (verdict.type === 'gap') end();
    if (verdict.type === 'expired') {
      isExpired = true;
      socket.close();
      end();
    }
    if (verdict.type === 'repeat') setTimeout(() => say(messages[verdict.part]), AGAIN_MS);
    if (verdict.type !== 'event' || isOver) return;
    arrived.push(verdict.event);
    if (verdict.isLast) end();
    wake();
  };
  socket.addEventListener('message', receive, listening);
  socket.addEventListener('close', end, listening);
  signal.addEventListener('abort', end, listening);
  for (const [n, message] of messages.entries()) setTimeout(() => say(message), n * PART_GAP_MS);
  try {
    while (!isOver || arrived.length > 0) {
      yield* arrived.splice(0);
      if (!isOver) await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    leaving.abort();
  }
  return isExpired ? 'expired' : undefined;
}
