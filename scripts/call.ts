/**
 * `npm run call -- "question"`: asks the gateway by its Function URL, signed with SigV4 as AWS wants it, and prints the answer while it
 * is written. Exit codes: 0 for a whole answer, 1 for any other, 2 for a command that is none, 130 after Ctrl-C.
 */
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { AwsV4Signer } from 'aws4fetch';
import { createPrinter, describeRefusal, Ending, isRecord, readAnswer, type Screen } from './answer.ts';
import { isLoopback, loadCredentials, type Sources } from './credentials.ts';

const help = `npm run call -- "What is a Faraday cage?" [options]

  --model ID        the model that answers, instead of the gateway's default
  --system TEXT     what the model is told before the question
  --max-tokens N    how long the answer may be
  --temperature N   from 0, the most likely words, to 1
  --url URL         the gateway's Function URL
  --json            each event as a line of JSON, instead of the text
  --help            this text

Variables: FUNCTION_URL, or else FUNCTION_URL_PORT (3001) on this machine; AWS_REGION where the URL does not say it. A gateway on this machine
is called with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, LOCAL_IAM_KEYS, or the key that npm start made; any other with your AWS credentials.
`;

export type Io = Screen & {
  /** Ends the call, which the gateway sees as a client that leaves. */
  readonly signal?: AbortSignal;
  readonly fetch?: typeof fetch;
  readonly sources?: Sources;
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
    const response = await send(findUrl(command.url, env), command.body, env, io);
    await readAnswer(response, command.json ? printer.printJson : printer.printText);
    printer.endLine();
    return 0;
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
  const { model, system, url, json } = values;
  const isHelp = values.help ?? args.length === 0;
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
  return { isHelp, url, json, body: { prompt, model, system, parameters, stream: true } };
}

function readArguments(args: readonly string[]) {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
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

/** Where `/v1/chat` is. What was given may hold a password by mistake, so it is not shown. */
function findUrl(option: string | undefined, env: Readonly<NodeJS.ProcessEnv>): URL {
  const port = env['FUNCTION_URL_PORT'] || '3001';
  const given = option ?? (env['FUNCTION_URL'] || undefined);
  if (given === undefined && !(/^[1-9]\d{0,4}$/.test(port) && Number(port) <= 65_535))
    throw new Ending(2, 'FUNCTION_URL_PORT must be a whole number from 1 to 65535.');
  const base = URL.parse(given ?? `http://127.0.0.1:${port}`);
  if (!base || !/^https?:$/.test(base.protocol) || base.username || base.password) {
    const origin = option === undefined ? 'FUNCTION_URL' : '--url';
    throw new Ending(
      2,
      `${origin} must be an http or https URL without a user, such as http://127.0.0.1:3001.`,
    );
  }
  base.pathname = `${base.pathname.replace(/\/$/, '')}/v1/chat`;
  base.search = '';
  base.hash = '';
  return base;
}

/** @see https://docs.aws.amazon.com/lambda/latest/dg/urls-configuration.html for the form of a Function URL */
const regionOf = ({ hostname }: URL, env: Readonly<NodeJS.ProcessEnv>) =>
  /^[^.]+\.lambda-url\.([^.]+)\.on\.aws$/.exec(hostname)?.[1] ??
  (env['AWS_REGION'] || env['AWS_DEFAULT_REGION'] || 'us-east-1');

async function send(url: URL, body: object, env: Readonly<NodeJS.ProcessEnv>, io: Io): Promise<Response> {
  const { signal = new AbortController().signal, fetch: fetchIt = fetch } = io;
  const left = new Promise<never>((_, reject) =>
    signal.addEventListener('abort', () => reject(signal.reason)),
  );
  const loading = loadCredentials(url, env, io.sources).catch((error: Error) => {
    throw new Ending(1, error.message);
  });
  const credentials = await Promise.race([loading, left]);
  const signer = new AwsV4Signer({
    method: 'POST',
    url: url.href,
    headers: { accept: 'text/event-stream', 'content-type': 'application/json' },
    body: JSON.stringify(body),
    ...credentials,
    service: 'lambda',
    region: regionOf(url, env),
  });
  const { headers, body: sent = null } = await signer.sign();
  // A redirect would carry the session token to a stranger.
  const init: RequestInit = { method: 'POST', headers, body: sent, redirect: 'manual', signal };
  const response = await fetchIt(url, init).catch((error) => {
    throw new Ending(1, describeUnreachable(url, error));
  });
  if (!response.ok) throw new Ending(1, await describeRefusal(response));
  const type = response.headers.get('content-type') ?? '';
  if (!type.startsWith('text/event-stream'))
    throw new Ending(
      1,
      `${url.origin} did not answer with an event stream; is it the gateway's Function URL?`,
    );
  return response;
}

function describeUnreachable(url: URL, error: unknown): string {
  const cause = error instanceof Error && isRecord(error.cause) ? error.cause : {};
  const code = typeof cause['code'] === 'string' ? ` (${cause['code']})` : '';
  return isLoopback(url)
    ? `Nothing answers at ${url.origin}${code}; run npm start first.`
    : `${url.origin} cannot be reached${code}; is the URL right?`;
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
  });
}
