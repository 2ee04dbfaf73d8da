/**
 * Questions: one, or a conversation with whoever types.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import {
  type AnswerEvent,
  Cancelled,
  Ending,
  isText,
  parseJson,
  readAnswer,
  Unconfirmed,
} from '../answer.ts';
import { askOverSocket, loadApiKey } from '../socket.ts';
import type { Door } from './door.ts';
import { askOverHttp, type Call } from './http.ts';
import { createPrinter } from './printer.ts';
import { type Io, type Screen, watchInterrupts } from './screen.ts';

/** What a command has to work with. */
export type Calling = {
  readonly door: Door;
  readonly env: Readonly<NodeJS.ProcessEnv>;
  readonly io: Io;
  readonly screen: Screen;
  readonly isJson: boolean;
};

export type ChatOptions = {
  readonly model?: string;
  readonly system?: string;
  readonly maxTokens?: number;
  readonly temperature?: number;
  readonly topP?: number;
  readonly stop?: readonly string[];
  readonly cache?: string;
  readonly store?: boolean;
  readonly chatId?: string;
};

/** Asks the words, or what is piped in; or, where somebody can type, all that is typed. Returns the exit code. */
export async function chat(words: readonly string[], options: ChatOptions, calling: Calling) {
  const { door, io } = calling;
  const question = words.join(' ');
  if (words.length > 0 && question.trim() === '')
    throw new Ending(2, 'There is no question; write it in quotes.');
  const body = toBody(options);
  if (options.chatId === 'last') body.chat_id = recall(door, io);
  if (question === '' && io.readLine) return await converse(body, calling, io.readLine);
  using interrupt = watchInterrupts(io);
  try {
    const prompt = question === '' || question === '-' ? await readQuestion(io, interrupt.signal) : question;
    return await answer({ ...body, prompt }, calling, interrupt.signal);
  } catch (error) {
    if (interrupt.signal.aborted) return 130;
    throw error;
  }
}

/** That of `POST /v1/chat`. */
type Body = {
  prompt?: string;
  model: string | undefined;
  chat_id: string | undefined;
  readonly [field: string]: unknown;
};

function toBody(options: ChatOptions): Body {
  const { model, system, maxTokens, temperature, topP, stop, cache, store, chatId } = options;
  const parameters = { max_tokens: maxTokens, temperature, top_p: topP, stop_sequences: stop };
  const isAny = Object.values(parameters).some((value) => value !== undefined);
  return {
    model,
    system,
    chat_id: chatId,
    parameters: isAny ? parameters : undefined,
    cache,
    store: store === false ? false : undefined,
    stream: true,
  };
}

async function readQuestion({ readInput = async () => '' }: Io, signal: AbortSignal): Promise<string> {
  const input = await readInput(signal);
  if (input.trim() === '') throw new Ending(2, 'There is no question on the standard input.');
  return input;
}

/** Keeps to one conversation until it is told otherwise. */
async function converse(body: Body, calling: Calling, readLine: NonNullable<Io['readLine']>) {
  const { screen } = calling;
  const known = { ...body };
  const isStored = body['store'] !== false;
  screen.note(`${isStored ? '' : 'Nothing is stored, so each question stands alone. '}${KEYS}\n`);
  for (;;) {
    const line = await readLine('> ');
    if ('exitCode' in line) return line.exitCode;
    const [, command, value] = /^\/([a-z]+)(?:\s+(\S+))?$/.exec(line.text.trim()) ?? [];
    if (command === 'quit') return 0;
    if (command === 'new') known.chat_id = undefined;
    else if (command === 'model' && value) known.model = value;
    else if (command !== undefined) screen.err(`${KEYS}\n`);
    else if (line.text.trim() !== '') {
      using interrupt = watchInterrupts(calling.io);
      using _ = calling.io.holdTerminal?.();
      const onStart = (chatId: string) => void (known.chat_id = chatId);
      await answer({ ...known, prompt: line.text }, calling, interrupt.signal, onStart);
    }
  }
}

const KEYS = '/new, /model ID, /quit or Ctrl-D; Ctrl-C cancels an answer.';

/** One, from its question to its end. Returns the exit code. */
async function answer(
  body: Body,
  calling: Calling,
  signal: AbortSignal,
  onStart: (chatId: string) => void = () => {},
): Promise<number> {
  const { door, io, screen, isJson } = calling;
  const printer = createPrinter(screen, io.now ?? performance.now.bind(performance));
  const print = isJson ? printer.printJson : printer.printText;
  try {
    await readAnswer(ask({ ...calling, signal }, body), (name, data) => {
      const { chat_id: chatId } = data;
      if (name === 'start' && isText(chatId)) {
        onStart(chatId);
        remember(door, chatId, io);
      }
      print(name, data);
    });
    return signal.aborted ? 130 : 0;
  } catch (error) {
    printer.endLine();
    if (!(error instanceof Ending) && !signal.aborted) throw error;
    const isUsed = error instanceof Cancelled && error.isUsageKnown;
    const isNews = isUsed || error instanceof Unconfirmed || !signal.aborted;
    if (error instanceof Ending && isNews) screen.err(`${error.message}\n`);
    return error instanceof Ending && !signal.aborted ? error.exitCode : 130;
  }
}

/** By whichever door. */
function ask(call: Call, body: object): AsyncIterable<AnswerEvent> {
  const { door, env, io, signal } = call;
  if (door.name !== 'websocket') return askOverHttp(call, body);
  const { fetch: fetchIt = fetch, pause = async () => {} } = io;
  const key = loadApiKey(door.url, env, io.apiKeyPath);
  return askOverSocket({ url: door.url, key, body, signal, fetch: fetchIt, pause });
}

/** The latest conversation through the door that this machine knows of: a key's others may be a colleague's. */
function recall({ url }: Door, { lastChatsPath }: Io): string {
  const last = readLast(lastChatsPath)[url.href];
  if (isText(last)) return last;
  throw new Ending(2, '--chat-id last needs a conversation that this command had through this door before.');
}

/** Gateways on this machine may have other ports every time. */
const MAX_DOORS = 50;

function remember({ url }: Door, chatId: string, { lastChatsPath: path }: Io): void {
  if (path === undefined) return;
  try {
    mkdirSync(dirname(path), { recursive: true });
    const others = Object.entries(readLast(path)).filter(([door]) => door !== url.href);
    const latest = Object.fromEntries([...others.slice(1 - MAX_DOORS), [url.href, chatId]]);
    writeFileSync(path, JSON.stringify(latest), { mode: 0o600 });
  } catch {} // an answer is worth more than its id
}

function readLast(path = ''): Record<string, unknown> {
  try {
    return parseJson(readFileSync(path, 'utf8'));
  } catch {
    return {};
  }
}
