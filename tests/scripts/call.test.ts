/**
 * `npm run call` against a server that verifies its signature and writes the event streams of the contract,
 * against one that takes its WebSocket and sends frames, and against the gateway itself.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { devNull, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type WebSocket as ServerSocket, WebSocketServer } from 'ws';
import { call, type Io } from '../../scripts/call.ts';
import { type Credentials, isLoopback, loadCredentials } from '../../scripts/credentials.ts';
import { loadApiKey } from '../../scripts/socket.ts';
import { verifySignature } from '../../src/local/sigv4/verify.ts';
import { people, startGateway } from '../helpers/gateway.ts';

const ID = 'AKIALOCAL0001';
const SECRET = 'canary/secret+of=forty+characters';
const PAIR = `${ID}=${SECRET}`;
const FUNCTION_URL = 'https://abc.lambda-url.eu-west-1.on.aws';

type Asked = { readonly request: IncomingMessage; readonly body: string; readonly accessKeyId: string };
type Answer = (response: ServerResponse, asked: Asked) => unknown;

/** The Function URL's door as far as a client can tell: who is not signed is refused, who is gets the answer of the test. */
async function startDoor(answer: Answer) {
  const asked: Asked[] = [];
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await Array.fromAsync(request));
    const { method = '', url = '', headers } = request;
    const secretOf = (id: string) => (id.startsWith('AKIA') ? SECRET : undefined);
    const verdict = verifySignature(
      { method, url, headers, body },
      { service: 'lambda', secretOf, now: Date.now() },
    );
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

const event = (name: string, data: object) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
const start = event('start', { request_id: 'r-1', chat_id: 'c-1', model: 'm', cached: false });
const delta = (text: string) => event('delta', { text });
const done = (stopReason = 'end_turn') =>
  event('done', { stop_reason: stopReason, usage: null, saved: true });
const failure = { code: 'upstream_stalled', message: 'The model fell silent.', request_id: 'r-1' };

const stream = (response: ServerResponse) =>
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
const streaming =
  (...events: string[]): Answer =>
  (response) =>
    stream(response).end(events.join(''));

type Ran = { readonly code: number; readonly out: string; readonly err: string };

async function run(
  args: readonly string[],
  env: Record<string, string> = {},
  changes: Partial<Io> = {},
): Promise<Ran> {
  let out = '';
  let err = '';
  const io: Io = { out: (text) => void (out += text), err: (text) => void (err += text), ...changes };
  const code = await call(args, { LOCAL_IAM_KEYS: PAIR, ...env }, io);
  for (const text of [out, err]) assert.not.ok(text.includes(SECRET), text);
  return { code, out, err };
}

/** Asks a door that answers so, with the question `hi` and these arguments. */
async function ask(answer: Answer, args: readonly string[] = [], changes: Partial<Io> = {}): Promise<Ran> {
  await using door = await startDoor(answer);
  return await run(['hi', ...args], { FUNCTION_URL: door.url }, changes);
}

/** A `fetch` that answers with these pieces of a body, and what it was called with. */
function fetchOf(pieces: readonly (string | Uint8Array)[] = [done()], breaks = false) {
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

// ---

const answers = suite('the answer');

answers('each delta is written as it arrives, before the gateway has sent the next', async () => {
  const written: string[] = [];
  let wake = () => {};
  const outWrote = (text: string) =>
    new Promise<void>((resolve) => {
      wake = () => written.includes(text) && resolve();
      wake();
    });
  const answer: Answer = async (response) => {
    stream(response).write(start + delta('A '));
    await outWrote('A ');
    response.write(delta('Faraday'));
    await outWrote('Faraday');
    response.end(delta(' cage.') + done());
  };
  const out = (text: string) => {
    written.push(text);
    wake();
  };
  assert.is((await ask(answer, [], { out })).code, 0);
  assert.equal(written, ['A ', 'Faraday', ' cage.', '\n']);
});

answers('it ends in a line break, and only in one', async () => {
  assert.equal(await ask(streaming(start, delta('A cage.'), done())), { code: 0, out: 'A cage.\n', err: '' });
  assert.equal(await ask(streaming(start, delta('A cage.\n'), done())), {
    code: 0,
    out: 'A cage.\n',
    err: '',
  });
  assert.equal(await ask(streaming(start, done())), { code: 0, out: '', err: '' });
});

answers('bytes that are cut anywhere, comments and events that are new are all the same', async () => {
  const text = [
    start,
    ': ping\n\n',
    delta('Käfig 🕰'),
    event('later', { text: 'no' }),
    'data: {"text":"no"}\n\n',
    done(),
  ];
  const bytes = new TextEncoder().encode(text.join(''));
  const single = Array.from(bytes, (byte) => Uint8Array.of(byte));
  const { fetch } = fetchOf(single);
  assert.equal(await run(['hi'], {}, { fetch }), { code: 0, out: 'Käfig 🕰\n', err: '' });
});

answers('an answer that was cut at its limit says so, on a line of its own', async () => {
  const both: string[] = [];
  const write = (text: string) => void both.push(text);
  const { code } = await ask(streaming(delta('A'), done('max_tokens')), [], { out: write, err: write });
  assert.is(code, 0);
  assert.equal(both, ['A', '\n', 'The answer was cut at its limit of tokens; --max-tokens raises it.\n']);
});

answers('reasoning is for somebody who watches, dimmed and apart from the answer', async () => {
  const events = [
    event('delta', { reasoning: 'hm' }),
    event('delta', { reasoning: '…' }),
    delta('A'),
    done(),
  ];
  assert.equal(await ask(streaming(...events)), { code: 0, out: 'A\n', err: '' });
  const both: string[] = [];
  const write = (text: string) => void both.push(text);
  await ask(streaming(...events), [], { out: write, err: write, isTerminal: true });
  assert.equal(both, ['\u001b[2mhm\u001b[22m', '\u001b[2m…\u001b[22m', '\n', 'A', '\n']);
  const { err } = await ask(streaming(event('delta', { reasoning: 'hm' }), done()), [], { isTerminal: true });
  assert.is(err, '\u001b[2mhm\u001b[22m\n');
});

answers('--json writes every event as a line, and nothing else', async () => {
  const events = [start, event('delta', { reasoning: 'hm' }), delta('A\n'), done('max_tokens')];
  const { code, out, err } = await ask(streaming(...events), ['--json'], { isTerminal: true });
  assert.equal({ code, err }, { code: 0, err: '' });
  assert.equal(
    out,
    [
      '{"event":"start","request_id":"r-1","chat_id":"c-1","model":"m","cached":false}\n',
      '{"event":"delta","reasoning":"hm"}\n',
      '{"event":"delta","text":"A\\n"}\n',
      '{"event":"done","stop_reason":"max_tokens","usage":null,"saved":true}\n',
    ].join(''),
  );
});

answers('a stream without an end has broken off, however it stopped', async () => {
  const brokenOff = { code: 1, out: 'A\n', err: 'The answer broke off before its end.\n' };
  assert.equal(await ask(streaming(start, delta('A'))), brokenOff);
  assert.equal(await ask(streaming(start, delta('A'), done().trimEnd())), brokenOff);
  assert.equal(
    await ask((response) => stream(response).write(delta('A'), () => response.destroy())),
    brokenOff,
  );
  assert.equal(await ask((response) => stream(response).end()), { ...brokenOff, out: '' });
});

answers('what comes after the end is not looked at', async () => {
  const whole = { code: 0, out: 'A\n', err: '' };
  assert.equal(
    await ask(streaming(delta('A'), done(), delta('B'), event('error', { error: failure }))),
    whole,
  );
  const { fetch } = fetchOf([delta('A') + done()], true);
  assert.equal(await run(['hi'], {}, { fetch }), whole);
});

answers('an error in the stream is told with its request, after the text that came', async () => {
  const err = 'upstream_stalled: The model fell silent.\nrequest id: r-1\n';
  assert.equal(await ask(streaming(delta('A'), event('error', { error: failure }))), {
    code: 1,
    out: 'A\n',
    err,
  });
  assert.equal(await ask(streaming(event('error', { error: failure }), done())), { code: 1, out: '', err });
  const json = await ask(streaming(event('error', { error: failure })), ['--json']);
  assert.equal(json, { code: 1, out: `{"event":"error","error":${JSON.stringify(failure)}}\n`, err });
  assert.equal(await ask(streaming('event: error\ndata: oops\n\n')), {
    code: 1,
    out: '',
    err: 'The answer failed, for no reason that was given.\n',
  });
});

answers('a cancelled answer is no whole one', async () => {
  const events = [delta('A'), event('cancelled', { usage: null, estimated: true })];
  assert.equal(await ask(streaming(...events)), { code: 1, out: 'A\n', err: 'The answer was cancelled.\n' });
});

answers.run();

// ---

const refusals = suite('an answer that is none');

const answering =
  (status: number, body: string, headers: Record<string, string> = {}): Answer =>
  (response) =>
    response.writeHead(status, headers).end(body);

refusals('the gateway’s envelope is told as code, message and request', async () => {
  const envelope = JSON.stringify({
    error: { code: 'rate_limited', message: 'Too many.', request_id: 'r-9' },
  });
  assert.equal(await ask(answering(429, envelope)), {
    code: 1,
    out: '',
    err: 'rate_limited: Too many.\nrequest id: r-9\n',
  });
  const anonymous = JSON.stringify({ error: { code: 'internal_error', message: 'It failed.' } });
  const { err } = await ask(answering(500, anonymous, { 'x-request-id': 'r-8' }));
  assert.is(err, 'internal_error: It failed.\nrequest id: r-8\n');
});

refusals('what AWS says in front of the gateway is told in its first line only', async () => {
  const forbidden = 'The gateway answered with HTTP 403: Forbidden\n';
  assert.equal(await ask(answering(403, '{"Message":"Forbidden"}')), { code: 1, out: '', err: forbidden });
  assert.is((await ask(answering(403, '{"message":"Forbidden"}'))).err, forbidden);
  const quoting = JSON.stringify({
    message: 'No match.\n\nThe Canonical String was x-amz-security-token:canary',
  });
  assert.is((await ask(answering(403, quoting))).err, 'The gateway answered with HTTP 403: No match.\n');
});

refusals('an error page of something else is told by its status', async () => {
  const expected = 'The gateway answered with HTTP 502, and no reason.\n';
  for (const body of ['', '<html>', '[]', 'null', '{"error":"Bad Gateway"}'])
    assert.equal(await ask(answering(502, body)), { code: 1, out: '', err: expected }, body);
});

refusals('a page in place of a stream is told', async () => {
  await using door = await startDoor(answering(200, event('done', {}), { 'content-type': 'text/html' }));
  assert.equal(await run(['hi', '--url', door.url]), {
    code: 1,
    out: '',
    err: `${door.url} did not answer with an event stream; is it the gateway's Function URL?\n`,
  });
});

refusals('a redirect is not followed', async () => {
  await using elsewhere = await startDoor(streaming(done()));
  const { code, err } = await ask(answering(307, '', { location: elsewhere.url }));
  assert.equal({ code, err }, { code: 1, err: 'The gateway answered with HTTP 307, and no reason.\n' });
  assert.is(elsewhere.asked.length, 0);
});

refusals('a wrong key is told by the door', async () => {
  await using door = await startDoor(streaming(done()));
  const { code, err } = await run(['hi'], { FUNCTION_URL: door.url, LOCAL_IAM_KEYS: 'NOBODY=x' });
  assert.equal(
    { code, err },
    { code: 1, err: 'The gateway answered with HTTP 403: The access key NOBODY is unknown here.\n' },
  );
});

refusals('a gateway that is not there is told by its URL and what to do', async () => {
  const door = await startDoor(streaming(done()));
  await door[Symbol.asyncDispose]();
  assert.equal(await run(['hi'], { FUNCTION_URL_PORT: door.port }), {
    code: 1,
    out: '',
    err: `Nothing answers at ${door.url} (ECONNREFUSED); run npm start first.\n`,
  });
});

refusals('an address that is none is told without npm start', async () => {
  const sources = { keyPath: '', standardChain: async () => ({ accessKeyId: ID, secretAccessKey: SECRET }) };
  const failing = async () => {
    throw new TypeError('fetch failed', { cause: Object.assign(new Error(), { code: 'ENOTFOUND' }) });
  };
  const { code, err } = await run(['hi', '--url', FUNCTION_URL], {}, { fetch: failing, sources });
  assert.equal(
    { code, err },
    { code: 1, err: `${FUNCTION_URL} cannot be reached (ENOTFOUND); is the URL right?\n` },
  );
});

refusals.run();

// ---

const sending = suite('the request');

sending('it is the question alone, as an event stream, at /v1/chat', async () => {
  await using door = await startDoor(streaming(done()));
  await run(['What', 'is a Faraday', 'cage?'], { FUNCTION_URL: door.url });
  const [{ request, body }] = door.asked as [Asked];
  assert.equal([request.method, request.url], ['POST', '/v1/chat']);
  assert.is(request.headers.accept, 'text/event-stream');
  assert.is(request.headers['content-type'], 'application/json');
  assert.equal(JSON.parse(body), { prompt: 'What is a Faraday cage?', stream: true });
});

sending('each option has its place in the body', async () => {
  await using door = await startDoor(streaming(done()));
  const options = ['--model', 'm:1', '--system', 'Be brief.', '--max-tokens', '12', '--temperature', '0.5'];
  await run(['--url', `${door.url}/`, ...options, '--', '--why?'], { FUNCTION_URL: 'http://127.0.0.1:1' });
  await run(['hi', '--temperature', '0'], { FUNCTION_URL: door.url });
  assert.equal(
    door.asked.map(({ body }) => JSON.parse(body)),
    [
      {
        prompt: '--why?',
        model: 'm:1',
        system: 'Be brief.',
        parameters: { max_tokens: 12, temperature: 0.5 },
        stream: true,
      },
      { prompt: 'hi', parameters: { temperature: 0 }, stream: true },
    ],
  );
});

sending('the URL is --url, else FUNCTION_URL, else the usual port of this machine', async () => {
  const urlFor = async (args: string[], env: Record<string, string>) => {
    const { fetch, sent } = fetchOf();
    await run(['hi', ...args], env, { fetch });
    return sent[0]?.url;
  };
  assert.is(await urlFor([], {}), 'http://127.0.0.1:3001/v1/chat');
  assert.is(await urlFor([], { FUNCTION_URL: '', FUNCTION_URL_PORT: '' }), 'http://127.0.0.1:3001/v1/chat');
  assert.is(await urlFor([], { FUNCTION_URL_PORT: '3999' }), 'http://127.0.0.1:3999/v1/chat');
  const env = { FUNCTION_URL: 'http://localhost:4/', FUNCTION_URL_PORT: 'x' };
  assert.is(await urlFor([], env), 'http://localhost:4/v1/chat');
  assert.is(await urlFor(['--url', 'http://[::1]:5/stage/?a=b#c'], env), 'http://[::1]:5/stage/v1/chat');
  assert.is(
    await urlFor(['--url', 'http://localhost//elsewhere'], env),
    'http://localhost//elsewhere/v1/chat',
  );
});

sending('the region is the Function URL’s own, else that of the environment, else us-east-1', async () => {
  const sources = { keyPath: '', standardChain: async () => ({ accessKeyId: ID, secretAccessKey: SECRET }) };
  const scopeFor = async (url: string, env: Record<string, string>) => {
    const { fetch, sent } = fetchOf();
    await run(['hi', '--url', url], env, { fetch, sources });
    return /\/\d{8}\/(.*)\/aws4_request/.exec(sent[0]?.headers.get('authorization') ?? '')?.[1];
  };
  const env = { AWS_REGION: 'eu-north-1', AWS_DEFAULT_REGION: 'eu-south-1' };
  assert.is(await scopeFor(FUNCTION_URL, env), 'eu-west-1/lambda');
  assert.is(await scopeFor('https://gateway.example.com', env), 'eu-north-1/lambda');
  for (const other of [
    'evil.example/a.lambda-url.x.on.aws',
    'a.b.lambda-url.x.on.aws',
    'a.lambda-url.x.on.aws.io',
  ])
    assert.is(await scopeFor(`https://${other}`, env), 'eu-north-1/lambda', other);
  assert.is(await scopeFor('https://gateway.example.com', { ...env, AWS_REGION: '' }), 'eu-south-1/lambda');
  assert.is(await scopeFor('http://127.0.0.1:3001', {}), 'us-east-1/lambda');
});

sending('a session token is sent and signed', async () => {
  await using door = await startDoor(streaming(done()));
  const env = { AWS_ACCESS_KEY_ID: 'AKIAENV', AWS_SECRET_ACCESS_KEY: SECRET, AWS_SESSION_TOKEN: 'a/token==' };
  assert.is((await run(['hi'], { FUNCTION_URL: door.url, ...env })).code, 0);
  assert.is(door.asked[0]?.accessKeyId, 'AKIAENV');
  assert.is(door.asked[0]?.request.headers['x-amz-security-token'], 'a/token==');
});

sending('an aborted signal ends it with 130, and the gateway sees the client leave', async () => {
  const interrupt = new AbortController();
  let sawLeave = () => {};
  const left = new Promise<void>((resolve) => (sawLeave = resolve));
  const answer: Answer = (response) => {
    response.on('close', sawLeave);
    stream(response).write(start + delta('A'));
  };
  const written: string[] = [];
  const out = (text: string) => {
    written.push(text);
    interrupt.abort();
  };
  await using door = await startDoor(answer);
  const { code, err } = await run(['hi'], { FUNCTION_URL: door.url }, { out, signal: interrupt.signal });
  assert.equal({ code, err, written }, { code: 130, err: '', written: ['A', '\n'] });
  await left;
});

sending('it can be aborted while credentials are still awaited', async () => {
  const interrupt = new AbortController();
  const standardChain = () => {
    queueMicrotask(() => interrupt.abort());
    return new Promise<Credentials>(() => {});
  };
  const io = { signal: interrupt.signal, sources: { keyPath: '', standardChain } };
  assert.equal(await run(['hi', '--url', FUNCTION_URL], {}, io), { code: 130, out: '', err: '' });
});

sending('it can be aborted while its question is still awaited', async () => {
  const interrupt = new AbortController();
  const readInput = () =>
    new Promise<string>((_, reject) => {
      interrupt.signal.addEventListener('abort', () => reject(interrupt.signal.reason));
      queueMicrotask(() => interrupt.abort());
    });
  const io = { readInput, signal: interrupt.signal };
  assert.equal(await run(['-'], {}, io), { code: 130, out: '', err: '' });
});

sending('a question of - is read from the input, by either door', async () => {
  const question = `What is "this"?\n${'🕰'.repeat(40_000)}\n`;
  const readInput = async () => question;
  await using door = await startDoor(streaming(done()));
  await using socketDoor = await startSocketDoor(sendsFrames(done()));
  assert.is((await run(['-'], { FUNCTION_URL: door.url }, { readInput })).code, 0);
  assert.is((await run(['-', ...SOCKET], socketDoor.env, { readInput, pause: async () => {} })).code, 0);
  assert.is(JSON.parse(door.asked[0]?.body ?? '').prompt, question);
  assert.is(JSON.parse(joinParts(socketDoor.heard)).prompt, question);
  const nothing = { code: 2, out: '', err: 'There is no question on the standard input.\n' };
  assert.equal(await run(['-'], { FUNCTION_URL: door.url }, { readInput: async () => ' \n' }), nothing);
});

sending.run();

// ---

const SOCKET = ['--door', 'websocket'];
const KEY = 'key-of-nobody-0123456789';

type Message = Readonly<Record<string, unknown>>;
type Speaker = { readonly socket: ServerSocket; readonly heard: readonly Message[] };

/**
 * The WebSocket door as far as a client can tell: it selects `llm-gateway`, and gets the frames of the test
 * after each message.
 */
async function startSocketDoor(answer: (message: Message, speaker: Speaker) => unknown) {
  const heard: Message[] = [];
  const offered: string[][] = [];
  const paths: (string | undefined)[] = [];
  const server = new WebSocketServer({
    host: '127.0.0.1',
    port: 0,
    handleProtocols: (names, { url }) => {
      paths.push(url);
      offered.push([...names]);
      return 'llm-gateway';
    },
  });
  server.on('connection', (socket) =>
    socket.on('message', (data) => {
      assert.ok(Buffer.byteLength(String(data)) <= 32 * 1024, 'API Gateway would close with 1009.');
      const message = JSON.parse(String(data)) as Message;
      heard.push(message);
      answer(message, { socket, heard });
    }),
  );
  await new Promise((done) => server.once('listening', done));
  const { port } = server.address() as AddressInfo;
  return {
    heard,
    offered,
    paths,
    env: { PORT: String(port), GATEWAY_API_KEY: KEY },
    url: `ws://127.0.0.1:${port}/stage`,
    async [Symbol.asyncDispose]() {
      for (const socket of server.clients) socket.terminate();
      await new Promise((done) => server.close(done));
    },
  };
}

/** The events of a stream as frames, which the last message of a question is answered with. */
const toFrames = (...events: string[]) =>
  events.map((text, seq) => {
    const [, type, data] = /^event: (.*)\ndata: (.*)/.exec(text) ?? [];
    return { type, request_id: 'r-1', seq, ...JSON.parse(data ?? '') };
  });

const sendsFrames = (...events: string[]) => sends(...toFrames(...events));
const sends =
  (...frames: object[]) =>
  ({ action, n, of }: Message, { socket }: Speaker) => {
    if (action === 'part' && Number(n) + 1 < Number(of)) return;
    for (const frame of frames) socket.send(JSON.stringify(frame));
  };

const joinParts = (parts: readonly Message[]) => parts.map(({ data }) => data).join('');

/** Asks `hi` over a door that answers so. */
async function askSocket(
  answer: (message: Message, speaker: Speaker) => unknown,
  args: readonly string[] = ['hi'],
  changes: Partial<Io> = {},
) {
  await using door = await startSocketDoor(answer);
  const ran = await run([...SOCKET, ...args], door.env, changes);
  return { ...ran, heard: door.heard };
}

const refusal = (code: string, message = 'No.', n?: number) => ({
  type: 'error',
  request_id: 'r-1',
  ...(n !== undefined && { n }),
  error: { code, message, request_id: 'r-1' },
});

const overSocket = suite('over the WebSocket');

overSocket('the question is a chat of its own, and the key goes into a subprotocol', async () => {
  await using door = await startSocketDoor(sendsFrames(done()));
  const options = ['--model', 'm:1', '--system', 'Be brief.', '--max-tokens', '12', '--temperature', '0.5'];
  assert.is((await run([...SOCKET, 'What', 'is?', ...options], door.env)).code, 0);
  assert.equal(door.offered, [['llm-gateway', `llm-gateway.key.${KEY}`]]);
  const [{ request_id: id, ...message }] = door.heard as [Message];
  assert.match(String(id), /^[0-9a-f-]{36}$/);
  assert.equal(message, {
    action: 'chat',
    prompt: 'What is?',
    model: 'm:1',
    system: 'Be brief.',
    parameters: { max_tokens: 12, temperature: 0.5 },
    stream: true,
  });
});

overSocket('every answer is printed as the Function URL prints it', async () => {
  const whole = [start, event('delta', { reasoning: 'hm' }), delta('Käfig'), delta(' 🕰\n')];
  for (const ending of [[done()], [done('max_tokens')], [event('error', { error: failure })], []])
    for (const args of [[], ['--json']]) {
      const events = [...whole, ...ending];
      const frames = sendsFrames(...events);
      const closing = (message: Message, speaker: Speaker) => {
        frames(message, speaker);
        if (ending.length === 0) speaker.socket.close();
      };
      const { heard: _, ...ran } = await askSocket(closing, ['hi', ...args], { isTerminal: true });
      assert.equal(ran, await ask(streaming(...events), args, { isTerminal: true }));
    }
  const cancelled = event('cancelled', { usage: null, estimated: true });
  const { code, out, err } = await askSocket(sendsFrames(delta('A'), cancelled));
  assert.equal({ code, out, err }, await ask(streaming(delta('A'), cancelled)));
});

overSocket(
  'a frame that comes twice is printed once, and one that is missing breaks the answer',
  async () => {
    const [one, two, three, four] = toFrames(start, delta('A'), delta('B'), done()) as [
      object,
      object,
      object,
      object,
    ];
    const { code, out } = await askSocket(sends(one, two, one, two, three, three, four));
    assert.equal([code, out], [0, 'AB\n']);
    const broken = await askSocket(sends(one, two, four));
    assert.equal([broken.code, broken.out, broken.err], [1, 'A\n', 'The answer broke off before its end.\n']);
  },
);

overSocket(
  'the failure that is told for a worker that died is printed, however many frames are missing',
  async () => {
    const [one, two] = toFrames(start, delta('A')) as [object, object];
    const last = { ...toFrames(event('error', { error: failure }))[0], seq: 2_147_483_647 };
    const { code, out, err } = await askSocket(sends(one, two, last));
    const whole = await ask(streaming(start, delta('A'), event('error', { error: failure })));
    assert.equal({ code, out, err }, whole);
  },
);

overSocket('a connection that ends, with or without a word, breaks the answer off', async () => {
  for (const end of ['close', 'terminate'] as const) {
    const { code, out, err } = await askSocket((_, { socket }) => {
      socket.send(JSON.stringify(toFrames(delta('A'))[0]), () => socket[end]());
    });
    assert.equal([code, out, err], [1, 'A\n', 'The answer broke off before its end.\n'], end);
  }
});

overSocket('a refusal is told like any other, and so is API Gateway’s own', async () => {
  const refused = await askSocket(sends(refusal('model_not_found')), ['hi', '--json']);
  assert.equal([refused.code, refused.out], [1, '']);
  assert.is(refused.err, 'model_not_found: No.\nrequest id: r-1\n');
  const failed = await askSocket(
    sends({ message: 'Internal server error', connectionId: 'c', requestId: 'q' }),
  );
  assert.equal([failed.code, failed.out, failed.err], [1, '', 'Internal server error\n']);
});

overSocket('a frame without seq in the middle of an answer changes nothing', async () => {
  const [one, two] = toFrames(delta('A'), done()) as [object, object];
  const { code, out } = await askSocket(sends(one, refusal('rate_limited'), { type: 'pong' }, two));
  assert.equal([code, out], [0, 'A\n']);
});

overSocket.run();

// ---

const parts = suite('a question in parts');

/** As long as a command line takes it; with quotes, each of which is two more bytes within a part. */
const LONG = `ECHO ${'"Käfig" 🕰 '.repeat(6_000)}end`;

/** Counts pauses instead of making them. */
function countPauses() {
  const pauses: number[] = [];
  return { pauses, pause: async (ms: number) => void pauses.push(ms) };
}

parts(
  'whatever is longer than 28 KB comes in parts of at most so much, fewer than ten a second',
  async () => {
    const { pauses, pause } = countPauses();
    const { code, heard } = await askSocket(sendsFrames(done()), [LONG], { pause });
    assert.is(code, 0);
    const ids = new Set(heard.map(({ request_id: id }) => id));
    for (const [at, { action, n, of, data, ...rest }] of heard.entries()) {
      assert.equal([action, n, of, Object.keys(rest)], ['part', at, heard.length, ['request_id']]);
      assert.ok(Buffer.byteLength(JSON.stringify(data)) <= 28 * 1024 + 2);
    }
    const whole = JSON.parse(joinParts(heard));
    assert.equal([whole.action, whole.prompt, ids.size], ['chat', LONG, 1]);
    assert.ok(ids.has(whole.request_id));
    assert.is(pauses.length, heard.length - 1);
    assert.ok(pauses.every((ms) => ms > 100));
  },
);

parts('the longest question that fits goes in one message', async () => {
  const { heard } = await askSocket(sendsFrames(done()), ['x'.repeat(28 * 1024 - 101)]);
  assert.equal([heard.length, heard[0]?.['action']], [1, 'chat']);
  assert.ok(Buffer.byteLength(JSON.stringify(heard[0])) > 28 * 1024 - 10);
  const { heard: longer } = await askSocket(sendsFrames(done()), ['x'.repeat(28 * 1024 - 60)]);
  assert.is(longer.length, 2);
});

parts('one that is refused with 429 is sent again after a pause, and no other', async () => {
  const { pauses, pause } = countPauses();
  const frames = toFrames(delta('A'), done());
  const say = ({ n, of }: Message, { socket, heard }: Speaker) => {
    if (n === 1 && heard.length === 2) socket.send(JSON.stringify(refusal('rate_limited', 'No.', 1)));
    if (heard.length > Number(of)) for (const frame of frames) socket.send(JSON.stringify(frame));
  };
  const { code, out, heard } = await askSocket(say, [LONG], { pause });
  assert.equal([code, out], [0, 'A\n']);
  assert.is(heard.length, Number(heard[0]?.['of']) + 1);
  assert.is(heard.filter(({ n }) => n === 1).length, 2);
  assert.is(pauses.filter((ms) => ms > 1_000).length, 1);
});

parts('a gateway that refuses them forever is given up', async () => {
  const { pause } = countPauses();
  const say = ({ n }: Message, { socket }: Speaker) =>
    socket.send(JSON.stringify(refusal('rate_limited', 'No.', Number(n))));
  const { code, err, heard } = await askSocket(say, [LONG], { pause });
  assert.equal([code, err], [1, 'rate_limited: No.\nrequest id: r-1\n']);
  assert.ok(heard.length <= Number(heard[0]?.['of']) + 20);
});

parts('no other refusal is asked for twice, nor is that of a question in one message', async () => {
  for (const [code, prompt] of [
    ['unauthorized', LONG],
    ['conflict', LONG],
    ['rate_limited', 'hi'],
  ] as const) {
    const ran = await askSocket(sends(refusal(code)), [prompt], countPauses());
    assert.equal([ran.code, ran.err], [1, `${code}: No.\nrequest id: r-1\n`]);
    assert.is(ran.heard.length, Number(ran.heard[0]?.['of'] ?? 1));
  }
});

parts('the gateway itself puts them together', async () => {
  const gateway = await startGateway({ door: 'websocket' });
  const env = { WEBSOCKET_URL: gateway.socketUrl, GATEWAY_API_KEY: people.bob.key };
  const short = await run([...SOCKET, 'ECHO hi'], env);
  const long = await run([...SOCKET, '--max-tokens', '32000', LONG], env);
  await gateway.close();
  assert.equal(short, { code: 0, out: 'hi\n', err: '' });
  assert.equal(long, { code: 0, out: `${LONG.slice('ECHO '.length)}\n`, err: '' });
  assert.ok(gateway.records.every(({ tenant }) => tenant === undefined || tenant === 'bob'));
});

parts.run();

// ---

const interrupts = suite('Ctrl-C over the WebSocket');

interrupts('cancels the answer, and waits until it has ended', async () => {
  const interrupt = new AbortController();
  const [begin, late, end] = toFrames(
    delta('A'),
    delta('B'),
    event('cancelled', { usage: null, estimated: true }),
  );
  const say = ({ action }: Message, { socket }: Speaker) => {
    for (const frame of action === 'cancel' ? [late, end] : [begin]) socket.send(JSON.stringify(frame));
  };
  const written: string[] = [];
  const out = (text: string) => {
    written.push(text);
    interrupt.abort();
  };
  const pause = () => new Promise<void>(() => {});
  const { code, err, heard } = await askSocket(say, ['hi'], { out, signal: interrupt.signal, pause });
  assert.equal({ code, err, written }, { code: 130, err: '', written: ['A', 'B', '\n'] });
  assert.equal(heard[1], { action: 'cancel', request_id: heard[0]?.['request_id'] });
});

interrupts('a gateway that does not say how it ended is left after two seconds', async () => {
  const interrupt = new AbortController();
  const { pauses, pause } = countPauses();
  const io = { out: () => interrupt.abort(), signal: interrupt.signal, pause };
  const { code, err } = await askSocket(sendsFrames(delta('A')), ['hi'], io);
  assert.equal({ code, err, pauses }, { code: 130, err: '', pauses: [2_000] });
});

interrupts('before the question is whole it leaves at once', async () => {
  const before = new AbortController();
  before.abort();
  assert.is((await askSocket(() => {}, ['hi'], { signal: before.signal })).code, 130);
  const between = new AbortController();
  const pauses: number[] = [];
  const pause = async (ms: number) => {
    pauses.push(ms);
    between.abort();
  };
  assert.is((await askSocket(() => {}, [LONG], { signal: between.signal, pause })).code, 130);
  assert.not.ok(pauses.includes(2_000));
});

interrupts.run();

// ---

const addresses = suite('the WebSocket’s address and key');

addresses('the URL is --url, else WEBSOCKET_URL, else /ws on the usual port', async () => {
  await using door = await startSocketDoor(sendsFrames(done()));
  const { url, env } = door;
  await run([...SOCKET, 'hi'], env);
  await run([...SOCKET, 'hi'], { ...env, PORT: 'x', WEBSOCKET_URL: `${url}?a=b#c` });
  await run([...SOCKET, 'hi', '--url', `${url}/`], { ...env, PORT: '1', WEBSOCKET_URL: 'ws://127.0.0.1:1' });
  assert.equal(door.paths, ['/ws', '/stage', '/stage/']);
});

addresses('a gateway that is not there is told apart from one that refuses', async () => {
  await using door = await startDoor(streaming());
  const refused = await run([...SOCKET, 'hi'], { PORT: door.port, GATEWAY_API_KEY: KEY });
  assert.equal([refused.code, refused.out], [1, '']);
  const origin = `ws://127.0.0.1:${door.port}`;
  assert.is(refused.err, `${origin} refused the connection; are the API key and the URL right?\n`);
  await door[Symbol.asyncDispose]();
  const missing = await run([...SOCKET, 'hi'], { PORT: door.port, GATEWAY_API_KEY: KEY });
  assert.is(missing.err, `Nothing answers at ${origin} (ECONNREFUSED); run npm start first.\n`);
});

addresses('the key is GATEWAY_API_KEY, else, on this machine only, LOCAL_API_KEYS or that of npm start', () =>
  withKeyFile(`${KEY}\n`, (path) => {
    const load = (env: Record<string, string>) => loadApiKey(new URL('ws://127.0.0.1:3000/ws'), env, path);
    assert.is(load({ GATEWAY_API_KEY: 'one', LOCAL_API_KEYS: 'a=two' }), 'one');
    assert.is(load({ LOCAL_API_KEYS: 'a=two,b=three' }), 'two');
    assert.is(load({ GATEWAY_API_KEY: '', LOCAL_API_KEYS: '' }), KEY);
    const elsewhere = new URL('wss://gateway.example.com/prod');
    assert.is(loadApiKey(elsewhere, { GATEWAY_API_KEY: 'one' }, path), 'one');
    const load2 = () => loadApiKey(elsewhere, { LOCAL_API_KEYS: 'a=two' }, path);
    assert.throws(load2, 'There is no API key for this gateway; set GATEWAY_API_KEY.');
  }),
);

addresses('where there is no key, or one that no subprotocol can hold, nothing is sent', async () => {
  const nowhere = { apiKeyPath: join(tmpdir(), 'there-is-no-such-file') };
  const missing = 'There is no API key for the gateway on this machine yet; run npm start first.\n';
  assert.equal(await run([...SOCKET, 'hi'], {}, nowhere), { code: 1, out: '', err: missing });
  for (const key of ['canary key', 'canary,key', 'canary/key', 'canäry'])
    assert.equal(await run([...SOCKET, 'hi'], { GATEWAY_API_KEY: key }), {
      code: 1,
      out: '',
      err: 'The API key holds a character that the name of a subprotocol cannot have.\n',
    });
  const { code, err } = await run([...SOCKET, 'hi'], { LOCAL_API_KEYS: 'canary' });
  assert.is(code, 1);
  assert.match(err, /^LOCAL_API_KEYS must be name=key[^c]*/);
});

addresses.run();

// ---

const commands = suite('a command that is none');

commands('no arguments are answered with the help, and --help with success', async () => {
  const asked = await run(['--help']);
  assert.equal([asked.code, asked.err], [0, '']);
  assert.match(asked.out, /^npm run call -- "What is a Faraday cage\?" \[options\]\n/);
  assert.equal(await run([]), { ...asked, code: 2 });
  for (const word of ['door', 'model', 'system', 'max-tokens', 'temperature', 'url', 'json', 'help'])
    assert.match(asked.out, new RegExp(`^ {2}--${word} `, 'm'));
});

commands('what is wrong is told in a sentence, before anything is sent', async () => {
  const { fetch, sent } = fetchOf();
  const wrong: [args: string[], env: Record<string, string>, sentence: RegExp][] = [
    [['--json'], {}, /^There is no question; write it in quotes\.\n$/],
    [['  '], {}, /^There is no question/],
    [['hi', '--tokens', '1'], {}, /^Unknown option '--tokens'.*\n$/],
    [['hi', '--model'], {}, /^Option '--model <value>' argument missing\n$/],
    [['hi', '--temperature', '-1'], {}, /^Option '--temperature.*\n$/],
    [['hi', '--door', 'rest'], {}, /^--door must be function-url or websocket\.\n$/],
    [['hi', '--door', 'toString'], {}, /^--door must be/],
    [['hi', ...SOCKET, '--url', 'ws://gateway.example.com'], {}, /^--url must be a wss URL without a user/],
    [['hi', ...SOCKET, '--url', 'http://127.0.0.1:3000/ws'], {}, /^--url must be a wss URL/],
    [['hi', ...SOCKET], { WEBSOCKET_URL: 'wss://:canary@a.b' }, /^WEBSOCKET_URL must be [^@]*$/],
    [['hi', ...SOCKET], { PORT: '0' }, /^PORT must be a whole number from 1 to 65535\.\n$/],
    [['hi', '--url', '127.0.0.1:3001'], {}, /^--url must be an http or https URL without a user, such as/],
    [['hi', '--url', ''], {}, /^--url must be/],
    [['hi', '--url', 'ftp://a'], { FUNCTION_URL: 'http://a' }, /^--url must be/],
    [['hi'], { FUNCTION_URL: 'nowhere' }, /^FUNCTION_URL must be an http or https URL.*\n$/],
    [['hi'], { FUNCTION_URL: `https://${SECRET.replaceAll('/', '')}@a.b` }, /^FUNCTION_URL must be/],
    [['hi'], { FUNCTION_URL: 'https://:canary@a.b' }, /^FUNCTION_URL must be [^@]*$/],
    ...['0', '65536', 'x', '1e3', '-1', '3001 '].map((port): [string[], Record<string, string>, RegExp] => [
      ['hi'],
      { FUNCTION_URL_PORT: port },
      /^FUNCTION_URL_PORT must be a whole number from 1 to 65535\.\n$/,
    ]),
    ...['0', '-0', '1.5', 'many', '', '1e3', '9'.repeat(400)].map(
      (count): [string[], Record<string, string>, RegExp] => [
        ['hi', `--max-tokens=${count}`],
        {},
        /^--max-tokens must be a whole number from 1\.\n$/,
      ],
    ),
    ...['-0.1', '1.1', '2', 'warm', '', '.', '1e-1'].map(
      (value): [string[], Record<string, string>, RegExp] => [
        ['hi', `--temperature=${value}`],
        {},
        /^--temperature must be a number from 0 to 1\.\n$/,
      ],
    ),
  ];
  for (const [args, env, sentence] of wrong) {
    const { code, out, err } = await run(args, env, { fetch });
    assert.equal([code, out], [2, ''], args.join(' '));
    assert.match(err, sentence);
  }
  assert.is(sent.length, 0);
});

commands('what is right at the edge is sent', async () => {
  for (const args of [['--temperature=1.0'], ['--temperature=.5'], ['--max-tokens=1'], ['--temperature=0']])
    assert.is((await run(['hi', ...args], {}, fetchOf())).code, 0, args[0]);
});

commands.run();

// ---

const credentials = suite('loadCredentials');

const here = new URL('http://127.0.0.1:3001');
const chained = { accessKeyId: 'AKIACHAIN', secretAccessKey: 'chained' };
const unasked = (): Promise<Credentials> => Promise.reject(new Error('the standard chain was asked'));

function withKeyFile<T>(text: string, test: (keyPath: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'call-'));
  writeFileSync(join(folder, 'iam-key'), text);
  const result = test(join(folder, 'iam-key'));
  rmSync(folder, { recursive: true });
  return result;
}

const messageOf = (loading: Promise<Credentials>) =>
  loading.then(
    () => 'no error',
    (error: Error) => error.message,
  );

credentials(
  'on this machine: the environment, then LOCAL_IAM_KEYS, then the key that npm start made',
  async () => {
    const environment = { AWS_ACCESS_KEY_ID: 'AKIAENV', AWS_SECRET_ACCESS_KEY: 'one' };
    const local = { LOCAL_IAM_KEYS: `AKIATWO=two=2, AKIAOTHER=other` };
    await withKeyFile(`${PAIR}\n`, async (keyPath) => {
      const load = (env: Record<string, string>) =>
        loadCredentials(here, env, { keyPath, standardChain: unasked });
      const loading = [
        load({ ...environment, ...local }),
        load({ ...environment, AWS_SESSION_TOKEN: 'token' }),
        load({ ...local, AWS_ACCESS_KEY_ID: 'AKIAENV' }),
        load({ ...local, AWS_SECRET_ACCESS_KEY: 'one', AWS_SESSION_TOKEN: 'token' }),
        load({ LOCAL_IAM_KEYS: '', AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' }),
      ];
      assert.equal(await Promise.all(loading), [
        { accessKeyId: 'AKIAENV', secretAccessKey: 'one' },
        { accessKeyId: 'AKIAENV', secretAccessKey: 'one', sessionToken: 'token' },
        { accessKeyId: 'AKIATWO', secretAccessKey: 'two=2' },
        { accessKeyId: 'AKIATWO', secretAccessKey: 'two=2' },
        { accessKeyId: ID, secretAccessKey: SECRET },
      ]);
    });
  },
);

credentials('anywhere else the standard chain is asked, whatever this machine’s keys are', async () => {
  const env = { AWS_ACCESS_KEY_ID: 'AKIAENV', AWS_SECRET_ACCESS_KEY: 'one', LOCAL_IAM_KEYS: PAIR };
  const sources = { keyPath: 'nowhere', standardChain: async () => chained };
  for (const url of [FUNCTION_URL, 'http://127.evil.example', 'http://notlocalhost', 'http://10.0.0.1:3001'])
    assert.equal(await loadCredentials(new URL(url), env, sources), chained, url);
});

credentials('every name of this machine is known', () => {
  const names = ['127.0.0.1', '127.1', '127.8.9.10', 'localhost', 'LOCALHOST', 'gateway.localhost', '[::1]'];
  for (const name of names) assert.ok(isLoopback(new URL(`http://${name}:3001`)), name);
});

credentials('where there is no key, it is said where one comes from', async () => {
  const nowhere = { keyPath: join(tmpdir(), 'there-is-no-such-file'), standardChain: unasked };
  assert.is(
    await messageOf(loadCredentials(here, {}, nowhere)),
    'There is no key for the gateway on this machine yet; run npm start first.',
  );
  const standardChain = async () => {
    throw new Error(`credential_process --password ${SECRET} failed`);
  };
  assert.is(
    await messageOf(loadCredentials(new URL(FUNCTION_URL), {}, { keyPath: '', standardChain })),
    'No AWS credentials could be loaded; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or renew your sign-in with aws sso login.',
  );
});

credentials('a key that is malformed is told by where it stands, not by what it is', async () => {
  const sources = { keyPath: 'nowhere', standardChain: unasked };
  const inVariable = await messageOf(loadCredentials(here, { LOCAL_IAM_KEYS: `canary ${SECRET}` }, sources));
  assert.match(inVariable, /^LOCAL_IAM_KEYS must /);
  const inFile = await withKeyFile('canary', (keyPath) =>
    messageOf(loadCredentials(here, {}, { ...sources, keyPath })),
  );
  assert.match(inFile, /iam-key must /);
  const environment = {
    AWS_ACCESS_KEY_ID: 'AKIA',
    AWS_SECRET_ACCESS_KEY: 'x',
    AWS_SESSION_TOKEN: 'canary\ntoken',
  };
  const inToken = await messageOf(loadCredentials(here, environment, sources));
  assert.is(inToken, 'The AWS credentials hold a space or another character that no key has.');
  for (const message of [inVariable, inFile, inToken]) assert.not.ok(message.includes('canary'), message);
});

credentials('a key that is missing or malformed ends the command with 1 and its sentence', async () => {
  const ran = await run(['hi'], { LOCAL_IAM_KEYS: '=' }, fetchOf());
  assert.equal([ran.code, ran.out], [1, '']);
  assert.match(ran.err, /^LOCAL_IAM_KEYS must .*\n$/);
});

credentials.run();

// ---

const processes = suite('the command as a process');

const scriptPath = resolve('scripts/call.ts');
const awsOfNobody = {
  AWS_CONFIG_FILE: devNull,
  AWS_SHARED_CREDENTIALS_FILE: devNull,
  AWS_EC2_METADATA_DISABLED: 'true',
};

type Running = { readonly child: ChildProcess; readonly ended: Promise<Ran & { signal: string | null }> };

/** A folder of its own to run in, where no `.env` and no key of the developer lies. */
async function withFolder(test: (folder: string) => Promise<void>) {
  const folder = mkdtempSync(join(tmpdir(), 'call-'));
  try {
    await test(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function launch(args: readonly string[], cwd: string, env: Record<string, string> = {}): Running {
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

processes('it reads .env and the key of npm start from its folder, and the environment beats .env', () =>
  withFolder(async (folder) => {
    await using door = await startDoor(streaming(start, delta('A cage.'), done()));
    const missing = await launch([scriptPath, 'hi'], folder, { FUNCTION_URL: door.url }).ended;
    assert.equal([missing.code, missing.out], [1, '']);
    assert.match(missing.err, /^There is no key .* run npm start first\.\n$/);

    mkdirSync(join(folder, '.local'));
    writeFileSync(join(folder, '.local/iam-key'), `${PAIR}\n`);
    writeFileSync(join(folder, '.env'), `FUNCTION_URL=${door.url}\n`);
    const whole = { code: 0, signal: null, out: 'A cage.\n', err: '' };
    assert.equal(await launch([scriptPath, 'hi'], folder).ended, whole);

    writeFileSync(join(folder, '.env'), 'FUNCTION_URL=http://127.0.0.1:1\nLOCAL_IAM_KEYS=NOBODY=x\n');
    const beaten = await launch([scriptPath, 'hi'], folder, { FUNCTION_URL: door.url, LOCAL_IAM_KEYS: PAIR })
      .ended;
    assert.equal(beaten, whole);
    assert.is((await launch([scriptPath], folder).ended).code, 2);
  }),
);

processes('Ctrl-C ends it with 130, and the gateway sees the client leave', () =>
  withFolder(async (folder) => {
    let sawLeave = () => {};
    const left = new Promise<void>((resolve) => (sawLeave = resolve));
    await using door = await startDoor((response) => {
      response.on('close', sawLeave);
      stream(response).write(delta('A'));
    });
    const { child, ended } = launch([scriptPath, 'hi'], folder, {
      FUNCTION_URL: door.url,
      LOCAL_IAM_KEYS: PAIR,
    });
    await new Promise((resolve) => child.stdout?.once('data', resolve));
    child.kill('SIGINT');
    child.kill('SIGINT');
    assert.equal(await ended, { code: 130, signal: null, out: 'A\n', err: '' });
    await left;
  }),
);

processes('a question of - is what is piped in', () =>
  withFolder(async (folder) => {
    await using door = await startDoor(streaming(delta('A'), done()));
    const env = { FUNCTION_URL: door.url, LOCAL_IAM_KEYS: PAIR };
    const { child, ended } = launch([scriptPath, '-'], folder, env);
    child.stdin?.end('What is this?\n');
    assert.equal(await ended, { code: 0, signal: null, out: 'A\n', err: '' });
    assert.is(JSON.parse(door.asked[0]?.body ?? '').prompt, 'What is this?\n');
  }),
);

processes('a reader that goes away ends it quietly', () =>
  withFolder(async (folder) => {
    let goOn = () => {};
    const closed = new Promise<void>((resolve) => (goOn = resolve));
    let isLeft = false;
    await using door = await startDoor(async (response) => {
      response.on('close', () => (isLeft = true));
      stream(response).write(delta('A'));
      await closed;
      while (!isLeft) {
        response.write(delta('B'));
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    });
    const { child, ended } = launch([scriptPath, 'hi'], folder, {
      FUNCTION_URL: door.url,
      LOCAL_IAM_KEYS: PAIR,
    });
    child.stdout?.once('data', () => child.stdout?.destroy());
    child.stdout?.once('close', () => goOn());
    const { code, signal, err } = await ended;
    assert.equal({ code, signal, err }, { code: 141, signal: null, err: '' });
  }),
);

processes('AWS’s standard chain gives the keys for a Function URL, or one sentence', () =>
  withFolder(async (folder) => {
    const none = await launch([scriptPath, 'hi', '--url', FUNCTION_URL], folder, { LOCAL_IAM_KEYS: PAIR })
      .ended;
    assert.equal([none.code, none.out], [1, '']);
    assert.match(none.err, /^No AWS credentials could be loaded; .*\n$/);

    const program = `
      import { call } from ${JSON.stringify(new URL('../../scripts/call.ts', import.meta.url).href)};
      const fetch = async (url, { headers }) => {
        console.log(headers.get('authorization'), headers.get('x-amz-security-token'));
        return new Response('event: done\\ndata: {}\\n\\n', { headers: { 'content-type': 'text/event-stream' } });
      };
      const out = (text) => process.stdout.write(text);
      process.exitCode = await call(['hi', '--url', '${FUNCTION_URL}'], process.env, { out, err: out, fetch });`;
    const env = { AWS_ACCESS_KEY_ID: 'ASIACHAIN', AWS_SECRET_ACCESS_KEY: SECRET, AWS_SESSION_TOKEN: 'tok' };
    const { code, out } = await launch(['--input-type=module', '-e', program], folder, env).ended;
    assert.match(out, /Credential=ASIACHAIN\/\d{8}\/eu-west-1\/lambda\/aws4_request, .* tok\n$/);
    assert.is(code, 0);
  }),
);

processes.run();
