/**
 * What the tests of `npm run call` stand on: an HTTP door that verifies signatures and answers as the test says, and the command with
 * its surroundings.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { devNull, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import * as assert from 'uvu/assert';
import { call, type Io } from '../../scripts/call.ts';
import { verifySignature } from '../../src/local/sigv4/verify.ts';

export const ID = 'AKIALOCAL0001';
export const SECRET = 'canary/secret+of=forty+characters';
export const PAIR = `${ID}=${SECRET}`;
export const FUNCTION_URL = 'https://abc.lambda-url.eu-west-1.on.aws';

export type Asked = {
  readonly request: IncomingMessage;
  readonly body: string;
  readonly accessKeyId: string;
};
export type Answer = (response: ServerResponse, asked: Asked) => unknown;

/** The Function URL's door as far as a client can tell: who is not signed is refused, who is gets the answer of the test. */
export async function startDoor(answer: Answer, service: 'lambda' | 'execute-api' = 'lambda') {
  const asked: Asked[] = [];
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await Array.fromAsync(request));
    const { method = '', url = '', headers } = request;
    const secretOf = (id: string) => (id.startsWith('AKIA') ? SECRET : undefined);
    const verdict = verifySignature({ method, url, headers, body }, { service, secretOf, now: Date.now() });
    if (!verdict.ok) {
      response.writeHead(403, { 'content-type': 'application/json' });
      return response.end(JSON.stringify({ Message: verdict.reason }));
    }
    asked.push({ request, body: body.toString(), accessKeyId: verdict.accessKeyId });
    await answer(response, asked.at(-1) as Asked);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const port = (server.address() as AddressInfo).port;
  return {
    asked,
    port: String(port),
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

export const event = (name: string, data: object) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
export const start = event('start', { request_id: 'r-1', chat_id: 'c-1', model: 'm', cached: false });
export const delta = (text: string) => event('delta', { text });
export const done = (stopReason = 'end_turn') =>
  event('done', { stop_reason: stopReason, usage: null, saved: true });
export const failure = { code: 'upstream_stalled', message: 'The model fell silent.', request_id: 'r-1' };

export const stream = (response: ServerResponse) =>
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
export const streaming =
  (...events: string[]): Answer =>
  (response) =>
    stream(response).end(events.join(''));

export type Ran = { readonly code: number; readonly out: string; readonly err: string };

export async function run(
  args: readonly string[],
  env: Record<string, string> = {},
  changes: Partial<Io> = {},
): Promise<Ran> {
  let out = '';
  let err = '';
  const io: Io = {
    now: () => 0,
    out: (text) => void (out += text),
    err: (text) => void (err += text),
    ...changes,
  };
  const code = await call(args, { LOCAL_IAM_KEYS: PAIR, ...env }, io);
  for (const text of [out, err]) assert.not.ok(text.includes(SECRET), text);
  return { code, out, err };
}

/** Asks a door that answers so, with the question `hi` and these arguments. */
export async function ask(
  answer: Answer,
  args: readonly string[] = [],
  changes: Partial<Io> = {},
): Promise<Ran> {
  await using door = await startDoor(answer);
  return await run(['hi', ...args], { FUNCTION_URL: door.url }, changes);
}

/** A `fetch` that answers with these pieces of a body, and what it was called with. */
export function fetchOf(pieces: readonly (string | Uint8Array)[] = [done()], breaks = false) {
  const sent: { url: string; headers: Headers; init: RequestInit }[] = [];
  const bytes = new TextEncoder();
  const fetchIt = async (url: string | URL | Request, init: RequestInit = {}) => {
    sent.push({ url: String(url), headers: new Headers(init.headers), init });
    const rest = [...pieces];
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        const piece = rest.shift();
        if (piece !== undefined) controller.enqueue(typeof piece === 'string' ? bytes.encode(piece) : piece);
        else if (breaks) controller.error(new TypeError('terminated'));
        else controller.close();
      },
    });
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
  };
  return { fetch: fetchIt as typeof fetch, sent };
}

export function withKeyFile<T>(text: string, test: (keyPath: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'call-'));
  writeFileSync(join(folder, 'iam-key'), text);
  const result = test(join(folder, 'iam-key'));
  rmSync(folder, { recursive: true });
  return result;
}

export const scriptPath = resolve('scripts/call.ts');
export const awsOfNobody = {
  AWS_CONFIG_FILE: devNull,
  AWS_SHARED_CREDENTIALS_FILE: devNull,
  AWS_EC2_METADATA_DISABLED: 'true',
};

export type Running = {
  readonly child: ChildProcess;
  readonly ended: Promise<Ran & { signal: string | null }>;
};

/** A folder of its own to run in, where no `.env` and no key of the developer lies. */
export async function withFolder(test: (folder: string) => Promise<void>) {
  const folder = mkdtempSync(join(tmpdir(), 'call-'));
  try {
    await test(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Ctrl-C as it is typed: `press` it, or hand `interrupts` to whoever waits for it. */
export function createKeyboard() {
  const interrupts = new EventEmitter();
  return { interrupts, press: () => void interrupts.emit('SIGINT') };
}

export function launch(args: readonly string[], cwd: string, env: Record<string, string> = {}): Running {
  const child = spawn(process.execPath, args, {
    cwd,
    env: { PATH: process.env['PATH'], ...awsOfNobody, ...env },
  });
  let out = '';
  let err = '';
  child.stdout.on('data', (text) => (out += text));
  child.stderr.on('data', (text) => (err += text));
  const ended = new Promise<Ran & { signal: string | null }>((resolve) =>
    child.on('close', (code, signal) => resolve({ code: code ?? -1, signal, out, err })),
  );
  return { child, ended };
}
