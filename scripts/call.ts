/**
 * `npm run call -- "question"`: asks the gateway by its Function URL, signed with SigV4 as AWS wants it, or
 * over its WebSocket, with an API key, and prints the answer while it is written. Exit codes: 0 for a whole
 * answer, 1 for any other, 2 for a command that is none, 130 after Ctrl-C.
 */
import { existsSync } from 'node:fs';
import { addAbortSignal } from 'node:stream';
import { text as readText } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type AnswerEvent, createPrinter, Ending, readAnswer, type Screen } from './answer.ts';
import { isLoopback, type Sources } from './credentials.ts';
import { askFunctionUrl } from './function-url.ts';
import { askOverSocket, loadApiKey } from './socket.ts';

const help = `npm run call -- "What is a Faraday cage?" [options]

A question of - is read from the standard input.

  --door DOOR       function-url, which is signed (the default), or websocket, which takes an API key
  --model ID        the model that answers, instead of the gateway's default
  --system TEXT     what the model is told before the question
  --max-tokens N    how long the answer may be
  --temperature N   from 0, the most likely words, to 1
  --url URL         the gateway's Function URL, or that of its WebSocket
  --json            each event as a line of JSON, instead of the text
  --help            this text

Variables: FUNCTION_URL, or else FUNCTION_URL_PORT (3001) on this machine; AWS_REGION where the URL does not say it. A gateway on this machine
is called with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, LOCAL_IAM_KEYS, or the key that npm start made; any other with your AWS credentials.
For the WebSocket: WEBSOCKET_URL, or else PORT (3000) on this machine; GATEWAY_API_KEY, or else, on this
machine, LOCAL_API_KEYS or the key that npm start made.
`;

export type Io = Screen & {
  /** Ends the call. The gateway sees a client that leaves; over a WebSocket it is told first. */
  readonly signal?: AbortSignal;
  readonly fetch?: typeof fetch;
  readonly sources?: Sources;
  /** Where the API key of this machine's gateway is kept. */
  readonly apiKeyPath?: string;
  readonly readInput?: () => Promise<string>;
  readonly pause?: (ms: number) => Promise<unknown>;
};

/** Returns the exit code. */
export async function call(
  args: readonly string[],
  env: Readonly<NodeJS.ProcessEnv>,
  io: Io,
): Promise<number> {
  const printer = createPrinter(io);
  try {
    const command = parseCommand(args);
    if (command.isHelp) {
      io.out(help);
      return args.length === 0 ? 2 : 0;
    }
    const body = { ...command.body, prompt: await readPrompt(command.body.prompt, io) };
    const url = findUrl(command.door, command.url, env);
    const events = ask(command.door, url, body, env, io);
    await readAnswer(events, command.json ? printer.printJson : printer.printText);
    printer.endLine();
    return io.signal?.aborted ? 130 : 0;
  } catch (error) {
    printer.endLine();
    if (io.signal?.aborted) return 130;
    if (!(error instanceof Ending)) throw error;
    io.err(`${error.message}\n`);
    return error.exitCode;
  }
}

function parseCommand(args: readonly string[]) {
  const { values, positionals } = readArguments(args);
  const { model, system, url, json, door = 'function-url' } = values;
  const isHelp = values.help ?? args.length === 0;
  if (!isDoor(door)) throw new Ending(2, `--door must be ${Object.keys(doors).join(' or ')}.`);
  const prompt = positionals.join(' ');
  if (!isHelp && prompt.trim() === '') throw new Ending(2, 'There is no question; write it in quotes.');
  const maxTokens = readNumber(
    '--max-tokens',
    values['max-tokens'],
    /^[1-9]\d{0,8}$/,
    'a whole number from 1',
  );
  const zeroToOne = /^(0|1|0?\.\d+|1\.0+)$/;
  const temperature = readNumber('--temperature', values.temperature, zeroToOne, 'a number from 0 to 1');
  const hasParameters = maxTokens !== undefined || temperature !== undefined;
  const parameters = hasParameters ? { max_tokens: maxTokens, temperature } : undefined;
  return { isHelp, door, url, json, body: { prompt, model, system, parameters, stream: true } };
}

function readArguments(args: readonly string[]) {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        door: text,
        model: text,
        system: text,
        'max-tokens': text,
        temperature: text,
        url: text,
        json: flag,
        help: flag,
      },
    });
  } catch (error) {
    throw new Ending(2, `${error instanceof Error ? error.message : error}`.replaceAll('\n', ' '));
  }
}

function readNumber(option: string, value: string | undefined, form: RegExp, meaning: string) {
  if (value === undefined) return undefined;
  if (!form.test(value)) throw new Ending(2, `${option} must be ${meaning}.`);
  return Number(value);
}

/** The question, which `-` says is to be read. */
async function readPrompt(prompt: string, { readInput = async () => '' }: Io): Promise<string> {
  if (prompt !== '-') return prompt;
  const input = await readInput();
  if (input.trim() === '') throw new Ending(2, 'There is no question on the standard input.');
  return input;
}

const doors = {
  'function-url': {
    variables: { url: 'FUNCTION_URL', port: 'FUNCTION_URL_PORT' },
    toLocalUrl: (port: string) => `http://127.0.0.1:${port || '3001'}`,
    isFitting: ({ protocol }: URL) => /^https?:$/.test(protocol),
    form: 'an http or https URL without a user, such as http://127.0.0.1:3001',
    path: '/v1/chat',
  },
  websocket: {
    variables: { url: 'WEBSOCKET_URL', port: 'PORT' },
    toLocalUrl: (port: string) => `ws://127.0.0.1:${port || '3000'}/ws`,
    // The key goes over it as it is.
    isFitting: (url: URL) => url.protocol === 'wss:' || (url.protocol === 'ws:' && isLoopback(url)),
    form: 'a wss URL without a user, or on this machine a ws URL, such as ws://127.0.0.1:3000/ws',
    path: '',
  },
} as const;

const isDoor = (door: string): door is keyof typeof doors => Object.hasOwn(doors, door);

/** Where questions go. What was given may hold a password by mistake, so it is not shown. */
function findUrl(
  name: keyof typeof doors,
  option: string | undefined,
  env: Readonly<NodeJS.ProcessEnv>,
): URL {
  const { variables, toLocalUrl, isFitting, form, path } = doors[name];
  const port = env[variables.port] ?? '';
  const given = option ?? (env[variables.url] || undefined);
  const isPort = port === '' || (/^[1-9]\d{0,4}$/.test(port) && Number(port) <= 65_535);
  if (given === undefined && !isPort)
    throw new Ending(2, `${variables.port} must be a whole number from 1 to 65535.`);
  const base = URL.parse(given ?? toLocalUrl(port));
  if (!base || !isFitting(base) || base.username || base.password)
    throw new Ending(2, `${option === undefined ? variables.url : '--url'} must be ${form}.`);
  if (path) base.pathname = `${base.pathname.replace(/\/$/, '')}${path}`;
  base.search = '';
  base.hash = '';
  return base;
}

const never = new AbortController().signal;

/** By either door. The pauses do not keep a command alive that has ended. */
function ask(
  door: keyof typeof doors,
  url: URL,
  body: object,
  env: Readonly<NodeJS.ProcessEnv>,
  io: Io,
): AsyncIterable<AnswerEvent> {
  const { signal = never, fetch: fetchIt = fetch } = io;
  const { pause = (ms: number) => sleep(ms, undefined, { ref: false }) } = io;
  const call = { url, body, signal, fetch: fetchIt };
  return door === 'websocket'
    ? askOverSocket({ ...call, key: loadApiKey(url, env, io.apiKeyPath), pause })
    : askFunctionUrl({ ...call, env, sources: io.sources });
}

if (import.meta.main) {
  if (existsSync('.env')) process.loadEnvFile('.env');
  const interrupt = new AbortController();
  process.on('SIGINT', () => interrupt.abort());
  const onClosed = () => process.exit(141); // as SIGPIPE ends a command whose reader has gone
  process.stdout.on('error', onClosed);
  process.stderr.on('error', onClosed);
  process.exitCode = await call(process.argv.slice(2), process.env, {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    isTerminal: process.stderr.isTTY === true,
    signal: interrupt.signal,
    readInput: () => readText(addAbortSignal(interrupt.signal, process.stdin)),
  });
}
