/** `npm run call` against a server that verifies its signature and writes the event streams of the contract. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { devNull, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { call, type Io } from '../../scripts/call.ts';
import { type Credentials, isLoopback, loadCredentials } from '../../scripts/credentials.ts';
import { verifySignature } from '../../src/local/sigv4/verify.ts';

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

sending.run();

// ---

const commands = suite('a command that is none');

commands('no arguments are answered with the help, and --help with success', async () => {
  const asked = await run(['--help']);
  assert.equal([asked.code, asked.err], [0, '']);
  assert.match(asked.out, /^npm run call -- "What is a Faraday cage\?" \[options\]\n/);
  assert.equal(await run([]), { ...asked, code: 2 });
  for (const word of ['model', 'system', 'max-tokens', 'temperature', 'url', 'json', 'help'])
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
