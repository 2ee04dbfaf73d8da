/**
 * What clients do to the WebSocket door that is worth looking at in full: a question in parts, and many
 * callers at once. Every frame that arrives is kept and judged.
 */
import { randomUUID } from 'node:crypto';
import type { Envelope } from '../../src/doors/envelope.ts';
import { type Frame, openSocket } from './clients.ts';

const terminals = ['done', 'error', 'cancelled'];
const isTerminal = ({ type }: Frame) => terminals.includes(type);

/** The frames of one request and what they say. */
export type Heard = {
  readonly frames: number;
  readonly text: string;
  readonly ending: string;
  /** Whether `seq` rises from 0 by one. */
  readonly isGapless: boolean;
};

/** A frame may come twice, and counts once. */
export function judge(frames: readonly Frame[]): Heard {
  const fresh = frames.filter(({ seq }, at) => frames.findIndex((other) => other.seq === seq) === at);
  return {
    frames: frames.length,
    text: fresh.map((frame) => frame['text'] ?? '').join(''),
    ending: fresh.at(-1)?.type ?? 'nothing',
    isGapless: fresh.every(({ seq }, at) => seq === at),
  };
}

/** Asks over a connection of its own, by messages as they are, and reads to the terminal. */
export async function askBy(url: string, key: string, messages: readonly string[]): Promise<Frame[]> {
  const { socket, next } = await openSocket(url, { key });
  for (const message of messages) socket.send(message);
  const frames: Frame[] = [];
  // What has no type comes from API Gateway itself, such as its `Endpoint request timed out`.
  do frames.push(await next());
  while (frames.at(-1)?.type && !frames.some(isTerminal));
  socket.close();
  return frames;
}

/**
 * 200 KB of text with quotes, and mostly of characters that are four bytes in UTF-8 and two units in
 * JavaScript.
 */
export const longText = '"𝓰𝓪𝓽𝓮𝔀𝓪𝔂" 🕰 '.repeat(Math.ceil(200_000 / 36));

/**
 * A message as so many parts, in any order; every second cut goes through the middle of a character if there
 * is one nearby.
 */
export function toShuffledParts(message: object, of: number): string[] {
  const id = randomUUID();
  const text = JSON.stringify({ action: 'chat', request_id: id, ...message });
  const cuts = Array.from({ length: of + 1 }, (_, n) => {
    const at = Math.round((n * text.length) / of);
    const middle = text.slice(at).search(/[\udc00-\udfff]/);
    return n > 0 && n < of && n % 2 === 1 && middle > 0 ? at + middle : at;
  });
  const parts = Array.from({ length: of }, (_, n) => {
    const data = text.slice(cuts[n], cuts[n + 1]);
    return JSON.stringify({ action: 'part', request_id: id, n, of, data });
  });
  return shuffle(parts);
}

function shuffle<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, by: Math.random() }))
    .sort((a, b) => a.by - b.by)
    .map(({ item }) => item);
}

/** Whether any part begins within a character, as half a surrogate pair does. */
export const splitsCharacters = (parts: readonly string[]): boolean =>
  parts.some((part) => /^[\udc00-\udfff]/.test((JSON.parse(part) as { data: string }).data));

export type Crowd = {
  readonly answers: number;
  /** Answers that were whole and the very text that was asked for, to the one who asked. */
  readonly right: number;
  /** Questions that were put once more, as the gateway had said that they may be. */
  readonly again: number;
  readonly frames: number;
  /** Frames that nobody on that connection had asked for. */
  readonly foreign: number;
};

/** Each of so many sockets asks `ECHO <nonce>` so many times, two at once. The keys take turns. */
export async function askTogether(
  url: string,
  keys: readonly string[],
  sockets: number,
  questions: number,
): Promise<Crowd> {
  const callers = Array.from({ length: sockets }, (_, n) => keys[n % keys.length] ?? '');
  const opened = await Promise.all(callers.map((key) => openCaller(url, key, questions)));
  for (const { ask } of opened) ask();
  await Promise.all(opened.map(({ answered }) => answered));
  const heard = await Promise.all(opened.map(({ leave }) => leave()));
  const sum = (of: (crowd: Crowd) => number) => heard.reduce((total, crowd) => total + of(crowd), 0);
  return {
    answers: sum(({ answers }) => answers),
    right: sum(({ right }) => right),
    again: sum(({ again }) => again),
    frames: sum(({ frames }) => frames),
    foreign: sum(({ foreign }) => foreign),
  };
}

/** As the gateway asks of those whom it sends away. */
const AGAIN_AFTER_MS = 1_000;

/** One who asks several things, two at once, and listens until it leaves. */
async function openCaller(url: string, key: string, questions: number) {
  const unasked = Array.from({ length: questions }, () => randomUUID());
  /** What was asked for, by the ids of the requests. */
  const nonces = new Map<string, string>();
  const ended = new Set<string>();
  const frames: Frame[] = [];
  let again = 0;
  const { socket } = await openSocket(url, { key });
  const ask = (nonce: string) => {
    const id = randomUUID();
    nonces.set(id, nonce);
    socket.send(JSON.stringify({ action: 'chat', request_id: id, prompt: `ECHO ${nonce}` }));
  };
  const askNext = () => unasked.splice(-1).forEach(ask);
  const { promise: answered, resolve } = Promise.withResolvers<void>();
  const end = ({ request_id: id = '', error }: Frame) => {
    const nonce = nonces.get(id);
    // The frame may have come twice.
    if (nonce === undefined || ended.has(id)) return;
    ended.add(id);
    if ((error as Envelope['error'] | undefined)?.retryable) {
      again += 1;
      setTimeout(ask, AGAIN_AFTER_MS, nonce);
    } else askNext();
    if (ended.size - again >= questions) resolve();
  };
  socket.addEventListener('message', ({ data }) => {
    const frame = JSON.parse(String(data)) as Frame;
    frames.push(frame);
    if (isTerminal(frame)) end(frame);
  });
  socket.addEventListener('close', () => resolve());
  return {
    answered,
    ask() {
      askNext();
      askNext();
    },
    async leave(): Promise<Crowd> {
      const closed = new Promise((done) => socket.addEventListener('close', done, { once: true }));
      if (socket.readyState === WebSocket.OPEN) {
        socket.close();
        await closed;
      }
      return { ...judgeCaller(nonces, frames), answers: ended.size - again, again };
    },
  };
}

function judgeCaller(nonces: ReadonlyMap<string, string>, frames: readonly Frame[]) {
  const answers = [...nonces].map(([id, nonce]) => {
    const heard = judge(frames.filter(({ request_id: of }) => of === id));
    return heard.text === nonce && heard.ending === 'done' && heard.isGapless;
  });
  return {
    right: answers.filter(Boolean).length,
    frames: frames.length,
    foreign: frames.filter(({ request_id: id = '' }) => !nonces.has(id)).length,
  };
}
