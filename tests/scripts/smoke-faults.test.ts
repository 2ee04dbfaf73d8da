/**
 * `npm run smoke` against a gateway of the test, which keeps the contract but for one thing; and against the stack that CloudFormation
 * tells of, with each way to say who is calling.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type WebSocket, WebSocketServer } from 'ws';
import { within } from '../../scripts/smoke/check.ts';
import { smoke } from '../../scripts/smoke.ts';
import { findApiKey } from '../../src/doors/api-key.ts';
import { verifySignature } from '../../src/local/sigv4/verify.ts';
import { failure, stack, withAws } from '../helpers/aws-stand-in.ts';

const KEY = 'canary-key-0123456789';
const ACCESS_KEY = { id: 'AKIATEST', secret: 'canary-secret' };

type Event = readonly [name: string, data: object];
type Body = Readonly<Record<string, unknown>>;
type Asked = { readonly route: string; readonly id: string; readonly headers: IncomingMessage['headers'] };

const start: Event = ['start', { request_id: 'r-1', model: 'm', cached: false }];
const delta: Event = ['delta', { text: 'OK' }];
const done: Event = ['done', { stop_reason: 'end_turn', usage: { input_tokens: 7 }, saved: true }];
const cancelled: Event = ['cancelled', { usage: null, estimated: true }];
const stalled: Event = ['error', { error: { code: 'upstream_stalled', message: 'The model fell silent.' } }];

/** What is wrong with it; all else is right. */
type Fault = {
  /** What it wants to be shown. */
  readonly access?: { readonly key?: boolean; readonly service?: 'execute-api' | 'lambda' };
  readonly events?: (usual: readonly Event[], body: Body) => readonly Event[];
  /** Answers in place of the door, if it returns true. */
  readonly http?: (asked: Asked, response: ServerResponse, body: Body) => boolean;
  /** The status of a handshake, and the frames that a message is answered with. */
  readonly shake?: (status: number, headers: IncomingMessage['headers']) => number;
  readonly frames?: (usual: readonly object[], message: Body) => readonly object[];
};

const reply = (response: ServerResponse, status: number, body: object, headers: object = {}) => {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(status === 204 ? '' : JSON.stringify(body));
  return true;
};
const refuse = (response: ServerResponse, status: number, code: string) =>
  reply(response, status, { error: { code, message: 'No.', status } });

/** A gateway as far as a client can tell: it remembers conversations and questions, and a long question waits for its cancel. */
async function startFake(fault: Fault = {}) {
  const { access = { key: true } } = fault;
  const chats = new Set<string>();
  const questions = new Set<unknown>();
  let begun = 0;
  /** How often something was to be deleted that was not there. */
  let strays = 0;
  let onCancel: () => unknown = () => {};

  /** 0 when it is let in. */
  const judge = (
    { method = '', url = '', headers }: IncomingMessage,
    bytes: Uint8Array,
    isSocket = false,
  ) => {
    const signing = { service: access.service ?? '', secretOf: () => ACCESS_KEY.secret, now: Date.now() };
    const isSigned = !access.service || verifySignature({ method, url, headers, body: bytes }, signing).ok;
    if (!isSigned) return access.service === 'lambda' ? 403 : 401;
    const key = access.service ? headers['x-api-key'] : findApiKey(headers as Record<string, string>);
    if (!access.key || key === KEY) return 0;
    return key === undefined || !isSocket ? 401 : 403;
  };

  /** The events of an answer, and those that come after a cancel. */
  const answer = (body: Body) => {
    const isHit = body['cache'] === 'use' && questions.has(body['prompt']);
    if (body['cache'] === 'use') questions.add(body['prompt']);
    const chatId = body['chat_id'] ?? (body['store'] ? `c-${++begun}` : undefined);
    if (typeof chatId === 'string') chats.add(chatId);
    const [name, data] = start;
    const begin: Event = [name, { ...data, ...(isHit && { cached: 'learned' }), chat_id: chatId }];
    const usual = [begin, delta, ...(isLong(body) ? [cancelled] : [delta, done])];
    const events = fault.events?.(usual, body) ?? usual;
    const waits = events.at(-1) === cancelled;
    return { headers: { 'x-cache': isHit ? 'hit' : 'miss', 'x-chat-id': chatId }, events, waits };
  };

  const chat = (response: ServerResponse, body: Body) => {
    if (body['model'] !== undefined) return refuse(response, 404, 'model_not_found');
    if (!body['stream']) return reply(response, 200, { completion: 'OK' });
    const { headers, events, waits } = answer(body);
    const given = Object.entries(headers).filter(([, value]) => value !== undefined);
    response.writeHead(200, { 'content-type': 'text/event-stream', ...Object.fromEntries(given) });
    const write = (some: readonly Event[]) =>
      some.map(([name, data]) => response.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`));
    write(waits ? events.slice(0, 2) : events);
    if (!waits) response.end();
    onCancel = () => {
      if (waits) write(events.slice(2));
      response.end();
    };
    return true;
  };

  const server = createServer(async (request, response) => {
    const bytes = Buffer.concat(await Array.fromAsync(request));
    const body: Body = bytes.length > 0 ? JSON.parse(bytes.toString()) : {};
    const { method = '', url = '', headers } = request;
    const [, path = '', id = ''] = /^(\/health|\/v1\/[a-z]+|.*)\/?(.*)$/.exec(url) ?? [];
    const asked = { route: `${method} ${path}`, id, headers };
    if (fault.http?.(asked, response, body)) return;
    if (method === 'OPTIONS') return reply(response, 204, {});
    const status = judge(request, bytes);
    if (status) return refuse(response, status, status === 401 ? 'unauthorized' : 'forbidden');
    const routes: Record<string, () => unknown> = {
      'GET /health': () => reply(response, 200, { status: 'ok' }),
      'GET /v1/models': () => reply(response, 200, { data: [] }),
      'POST /v1/chat': () => chat(response, body),
      'DELETE /v1/requests': () => [reply(response, 202, {}), onCancel()],
      'DELETE /v1/chats': () => {
        if (chats.delete(id)) return reply(response, 204, {});
        strays++;
        return refuse(response, 404, 'not_found');
      },
      'GET /v1/chats': () => (chats.has(id) ? reply(response, 200, {}) : refuse(response, 404, 'not_found')),
    };
    (routes[asked.route] ?? (() => refuse(response, 404, 'not_found')))();
  });

  const hear = (socket: WebSocket, message: Body) => {
    let seq = 0;
    const say = (frames: readonly object[]) => {
      for (const frame of fault.frames?.(frames, message) ?? frames) socket.send(JSON.stringify(frame));
    };
    const toFrames = (events: readonly Event[]) =>
      events.map(([type, data]) => ({ type, request_id: 'r-1', seq: seq++, ...data }));
    const error = { code: 'model_not_found', status: 404, message: 'No.' };
    if (message['action'] === 'ping') say([{ type: 'pong' }]);
    else if (message['action'] === 'cancel') onCancel();
    else if (message['model'] !== undefined) say([{ type: 'error', error }]);
    else {
      const { events, waits } = answer(message);
      say(toFrames(waits ? events.slice(0, 2) : events));
      onCancel = () => waits && say(toFrames(events.slice(2)));
    }
  };
  const sockets = new WebSocketServer({ noServer: true });
  server.on('upgrade', (request, stream, head) => {
    const usual = judge(request, Buffer.alloc(0), true) || (request.headers.origin ? 403 : 101);
    const status = fault.shake?.(usual, request.headers) ?? usual;
    if (status !== 101) return stream.end(`HTTP/1.1 ${status} No\r\ncontent-length: 0\r\n\r\n`);
    sockets.handleUpgrade(request, stream, head, (socket) =>
      socket.on('message', (data) => hear(socket, JSON.parse(String(data)))),
    );
  });

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    chats,
    begun: () => begun,
    strays: () => strays,
    port: String(port),
    url: `http://127.0.0.1:${port}/`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets.clients) socket.terminate();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

type Row = { readonly check: string; readonly result: string; readonly note?: string };

async function check(door: string, fault: Fault, args: readonly string[] = []) {
  await using fake = await startFake(fault);
  let out = '';
  const io = { out: (text: string) => void (out += text), err: (text: string) => void (out += text) };
  const keys = { GATEWAY_API_KEY: KEY, LOCAL_IAM_KEYS: `${ACCESS_KEY.id}=${ACCESS_KEY.secret}` };
  const env = { PORT: fake.port, FUNCTION_URL_PORT: fake.port, ...keys };
  const code = await smoke(['--local', '--door', door, '--json', ...args], env, io);
  assert.not.match(out, 'canary');
  const rows: readonly Row[] = JSON.parse(out).checks;
  const notes = (result: string) =>
    rows.filter((row) => row.result === result).map(({ check: name, note }) => `${name}: ${note}`);
  return { code, failed: notes('FAILED'), warned: notes('warning'), skipped: notes('skipped'), fake };
}

const isPlain = (body: Body) => String(body['prompt']).startsWith('What');
const isLong = (body: Body) => String(body['prompt']).includes('459 460');

/** These events in place of the streamed answer's. */
const streams = (...events: readonly Event[]): Fault => ({
  events: (usual, body) => (isPlain(body) ? events : usual),
});

type When = (asked: Asked, body: Body) => boolean | string | undefined;
/** Another answer at a route, where it is so. */
const answers = (
  route: string,
  when: When,
  ...[status, body, headers]: [number, object, object?]
): Fault => ({
  http: (asked, response, sent) =>
    asked.route === route && Boolean(when(asked, sent)) && reply(response, status, body, headers),
});
const always = () => true;
const hasKey =
  (...keys: readonly unknown[]): When =>
  ({ headers }) =>
    keys.includes(headers['x-api-key']) === (keys[0] !== KEY);
const another = (event: Event): Event => (event === delta ? ['delta', { text: 'No' }] : event);
const anew = (event: Event): Event => (event[0] === 'start' ? start : event);
const foreign = { 'access-control-allow-origin': 'https://smoke.invalid' };

/** What is told of a fault, and the fault. */
type Case = readonly [failure: string, fault: Fault];

const overHttp: readonly Case[] = [
  ['lives: GET /health did not say {"status":"ok"}.', answers('GET /health', always, 200, {})],
  ['answers in a stream: The stream ends without a terminal event.', streams(start, delta)],
  ['answers in a stream: upstream_stalled: The model fell silent.', streams(start, delta, stalled)],
  ['answers in a stream: The stream begins with delta, and should with start.', streams(delta, done)],
  ['answers in a stream: The answer holds no text.', streams(start, done)],
  ['answers in a stream: The stream holds no event.', streams()],
  ['answers in a stream: The stream holds 2 terminal events.', streams(start, delta, done, done)],
  ['answers in a stream: The stream goes on after done.', streams(start, delta, done, delta)],
  [
    'answers in a stream: The answer is application/json, and should be an event stream.',
    answers('POST /v1/chat', (_, body) => isPlain(body), 200, { completion: 'OK' }),
  ],
  [
    'answers in a stream: upstream_throttled: Later. (request id: r-9)',
    answers('POST /v1/chat', (_, body) => isPlain(body), 429, {
      error: { code: 'upstream_throttled', message: 'Later.', request_id: 'r-9' },
    }),
  ],
  [
    'answers in one piece: The answer holds no completion.',
    answers('POST /v1/chat', (_, { stream }) => stream === false, 200, { completion: '' }),
  ],
  [
    'cancels in mid-answer: The answer ended as done, and should have as cancelled.',
    { events: (usual, body) => (isLong(body) ? [start, delta, done] : usual) },
  ],
  [
    'cancels in mid-answer: The cancel was refused: not_found: No.',
    {
      events: (usual, body) => (isLong(body) ? [start, delta, done] : usual),
      ...answers('DELETE /v1/requests', always, 404, { error: { code: 'not_found', message: 'No.' } }),
    },
  ],
  [
    'knows an answer again: The cached answer is another than the first.',
    { events: (usual, { store, cache }) => (store || cache === 'off' ? usual : usual.map(another)) },
  ],
  [
    'goes on with a conversation: The follow-up is of another conversation.',
    { events: (usual, { chat_id: id }) => (id ? usual.map(anew) : usual) },
  ],
  [
    'goes on with a conversation: Once deleted it is answered with HTTP 200, not 404.',
    answers('GET /v1/chats', always, 200, {}),
  ],
  [
    'refuses who shows no key: HTTP 200, and should be HTTP 401 unauthorized.',
    answers('GET /v1/models', hasKey(undefined), 200, {}),
  ],
  [
    'refuses who shows no key: HTTP 401, and should be HTTP 401 unauthorized.',
    answers('GET /v1/models', hasKey(undefined), 401, { message: 'Unauthorized' }),
  ],
  [
    'refuses who shows a wrong key: HTTP 403, and should be HTTP 401 unauthorized.',
    answers('GET /v1/models', hasKey(KEY, undefined), 403, { message: 'Forbidden' }),
  ],
  [
    'lets no foreign page in: A page of a foreign origin gets access-control-allow-origin.',
    answers('GET /v1/models', ({ headers: { origin } }) => origin, 200, {}, foreign),
  ],
  [
    'lets no foreign page in: A page of a foreign origin gets access-control-allow-origin.',
    answers('OPTIONS /v1/chat', always, 204, {}, foreign),
  ],
  [
    'has no unknown model: HTTP 400, and should be HTTP 404 model_not_found.',
    answers('POST /v1/chat', (_, { model }) => Boolean(model), 400, {}),
  ],
  [
    'has no unknown path: HTTP 403, and should be HTTP 404 not_found.',
    answers('GET /v1/nowhere', always, 403, { message: 'Missing Authentication Token' }),
  ],
];

const overSocket: readonly Case[] = [
  [
    'lives: A ping was not answered with a pong.',
    { frames: (usual, { action }) => (action === 'ping' ? [{}] : usual) },
  ],
  [
    'answers in a stream: The stream ends without a terminal event.',
    { frames: (usual, message) => (isPlain(message) ? usual.toSpliced(1, 1) : usual) },
  ],
  [
    'cancels in mid-answer: The answer ended as done, and should have as cancelled.',
    { events: (usual, body) => (isLong(body) ? [start, delta, done] : usual) },
  ],
  [
    'refuses who shows no key: HTTP 403, and should be HTTP 401.',
    { shake: (status) => (status === 401 ? 403 : status) },
  ],
  [
    'refuses who shows a wrong key: HTTP 101, and should be HTTP 403.',
    { shake: (status, { origin }) => (status === 403 && !origin ? 101 : status) },
  ],
  [
    'lets no foreign page in: HTTP 101, and should be HTTP 403.',
    { shake: (status, { origin }) => (origin ? 101 : status) },
  ],
  [
    'has no unknown model: HTTP nothing, and should be HTTP 404 model_not_found.',
    { frames: (usual, { model }) => (model ? [{ type: 'start', seq: 0 }] : usual) },
  ],
];

const telling = suite('a gateway with one fault');

telling('without it there is nothing to tell', async () => {
  for (const door of ['rest', 'websocket']) {
    const { code, failed, skipped, fake } = await check(door, {});
    assert.equal([code, failed, skipped, fake.strays()], [0, [], [], 0]);
  }
});

for (const [door, cases] of Object.entries({ rest: overHttp, websocket: overSocket })) {
  for (const [n, [failure, fault]] of cases.entries()) {
    telling(`${door} ${n}: it alone is told, and what was begun is deleted: ${failure}`, async () => {
      const { code, failed, fake } = await check(door, fault);
      assert.equal([code, failed], [1, [failure]]);
      assert.ok(fake.begun() > 0);
      assert.equal([...fake.chats], []);
    });
  }
}

telling('a conversation that cannot be deleted is told', async () => {
  const refusal = { error: { code: 'storage_unavailable', message: 'Later.' } };
  const { failed } = await check('rest', answers('DELETE /v1/chats', always, 503, refusal));
  assert.equal(failed, ['goes on with a conversation: It could not be deleted: storage_unavailable: Later.']);
});

telling('a Function URL that takes whoever comes is told', async () => {
  const access = { service: 'lambda' } as const;
  assert.equal((await check('function-url', { access })).failed, []);
  const unsigned: When = ({ headers }) => headers.authorization === undefined;
  for (const [status, failed] of [
    [200, ['refuses who does not sign: HTTP 200, and should be HTTP 403 unauthorized.']],
    [401, ['refuses who does not sign: HTTP 401, and should be HTTP 403 unauthorized.']],
  ] as const) {
    const open = { access, ...answers('GET /v1/models', unsigned, status, {}) };
    assert.equal((await check('function-url', open)).failed, failed);
  }
});

telling('text that comes at once, and a cache that knows nothing, are warnings', async () => {
  const isNews: Fault = {
    events: (usual, { cache }) => (cache === 'use' ? usual.map(anew) : usual),
  };
  const { code, warned } = await check('rest', isNews);
  assert.equal(code, 0);
  assert.equal(warned.length, 3);
  assert.match(warned[0] ?? '', /^answers in a stream: .*all 2 pieces of text came at once/);
  assert.match(warned[1] ?? '', /is no hit \(x-cache hit, cached false\); is the setting cache on\?$/);
  assert.match(warned[2] ?? '', /brought no chat_id; is the setting history on\?$/);
});

telling('a door that never answers is left alone after the first check', async () => {
  const { code, failed, skipped } = await check('rest', { http: () => true }, ['--timeout-seconds', '1']);
  assert.equal([code, failed], [1, ['lives: It was not over within 1 s.']]);
  assert.is(skipped.length, 10);
  assert.is(skipped[0], 'answers in a stream: The door is silent.');
});

telling('an answer that never ends takes no longer than its time, and the next check follows', async () => {
  const hanging: Fault = {
    http: ({ route }, response, body) => {
      if (route !== 'POST /v1/chat' || !isPlain(body)) return false;
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      return response.write('event: start\ndata: {}\n\n');
    },
  };
  const { failed, skipped } = await check('rest', hanging, ['--timeout-seconds', '3']);
  assert.equal([failed, skipped], [['answers in a stream: It was not over within 3 s.'], []]);
});

telling(
  'a check that does not listen is given up all the same, and so is what it says too late',
  async () => {
    const { signal } = new AbortController();
    const deaf = () => new Promise<never>(() => {});
    const late = async (over: AbortSignal) => {
      await new Promise((resolve) => over.addEventListener('abort', resolve));
      return { result: 'ok' } as const;
    };
    for (const work of [deaf, late]) {
      const { finding, silent } = await within({ signal, limitSeconds: 0.01 }, work);
      const note = 'It was not over within 0.01 s.';
      assert.equal([finding, silent], [{ result: 'FAILED', note }, true]);
    }
  },
);

telling('a failure leaves a hole in the latency table, and says why', async () => {
  const asked: Body[] = [];
  await using fake = await startFake({
    events: (_, body) => {
      asked.push(body);
      return [start, stalled];
    },
  });
  let out = '';
  const io = { out: (text: string) => void (out += text), err: () => {} };
  const env = { PORT: fake.port, GATEWAY_API_KEY: KEY };
  const code = await smoke(['--local', '--door', 'rest', '--prompt-tokens', '100'], env, io);
  assert.is(code, 1);
  assert.match(out, /^REST +FAILED$/m);
  assert.match(out, /^rest, 100 tokens: upstream_stalled: The model fell silent\.$/m);
  assert.match(out, /^input tokens +not reported$/m);
  for (const { cache, store } of asked) assert.equal([cache, store], ['off', false]);
  assert.ok(asked.length > 0);
});

telling.run();

// ---

const deployed = suite('a deployed stack');

const ways: readonly (readonly [what: string, key: boolean, isSigned: boolean, refusals: number])[] = [
  ['a key', true, false, 2],
  ['a signature', false, true, 1],
  ['a key and a signature', true, true, 3],
];

for (const [what, hasKeyId, isSigned, refusals] of ways) {
  deployed(`is found by its outputs, and called with ${what}`, async () => {
    const access = { key: hasKeyId, ...(isSigned && { service: 'execute-api' as const }) };
    await using api = await startFake({ access });
    await using lambda = await startFake({ access: { service: 'lambda' } });
    const outputs = {
      RestUrl: api.url,
      WebSocketUrl: api.url.replace('http', 'ws'),
      FunctionUrl: lambda.url,
      ...(hasKeyId && { ApiKeyId: 'k1' }),
      UsesIam: String(isSigned),
    };
    const replies = {
      DescribeStacks: stack('UPDATE_COMPLETE', outputs),
      '/apikeys/k1': { body: JSON.stringify({ id: 'k1', value: KEY }) },
    };
    await withAws(replies, async ({ run }) => {
      const { code, out, err } = await run('scripts/smoke.ts', ['--json']);
      assert.equal([code, err], [0, ''], out);
      assert.not.match(out, 'canary');
      const report: { gateway: string; checks: Row[]; by_hand: string[] } = JSON.parse(out);
      const refused = report.checks.filter(({ check: name }) => name.startsWith('refuses'));
      assert.is(refused.length, 2 * refusals + 1);
      assert.equal([report.gateway, report.by_hand.length], ['LlmGatewayStack', 4]);
      assert.match(report.by_hand[0] ?? '', /OutputTokenCount .* from \d\d:\d\d to \d\d:\d\d UTC/);
    });
    assert.equal([[...api.chats], [...lambda.chats]], [[], []]);
  });
}

deployed('without a door of the same caller, a conversation is not begun', async () => {
  await using api = await startFake();
  const outputs = { WebSocketUrl: api.url.replace('http', 'ws'), FunctionUrl: api.url, ApiKeyId: 'k1' };
  await withAws({ DescribeStacks: stack('CREATE_COMPLETE', outputs) }, async ({ run }) => {
    const env = { GATEWAY_API_KEY: KEY, ALLOWED_ORIGINS: '*', ALLOWED_MODELS: 'a,*' };
    const { code, out } = await run('scripts/smoke.ts', ['--door', 'websocket'], env);
    assert.is(code, 0, out);
    assert.match(out, / 4 skipped, 0 FAILED$/m);
    assert.is(out.match(/There is no HTTP door of the same caller/g)?.length, 2);
    assert.match(out, /^What cannot be seen from outside, and where to look:$/m);
  });
  assert.is(api.begun(), 0);
});

deployed('what cannot be found is one sentence, and exit code 1', async () => {
  const outputs = { FunctionUrl: 'http://127.0.0.1:9/', RestUrl: 'http://127.0.0.1:9/', ApiKeyId: 'k1' };
  const replies = {
    DescribeStacks: stack('CREATE_COMPLETE', outputs),
    '/apikeys/k1': failure(403, 'AccessDeniedException', 'arn:aws:iam::123456789012:user/me may not'),
  };
  await withAws({}, async ({ run }) => {
    const { code, out, err } = await run('scripts/smoke.ts');
    assert.equal([code, out], [1, '']);
    assert.match(err, /^There is no stack LlmGatewayStack in us-east-1; deploy it first[^\n]*\n$/);
  });
  await withAws(replies, async ({ run }) => {
    const noKey = await run('scripts/smoke.ts', ['--door', 'rest']);
    assert.match(
      noKey.err,
      /^The value of the API key k1 cannot be read \(AccessDeniedException\); allow .*\n$/,
    );
    const noDoor = await run('scripts/smoke.ts', ['--door', 'websocket']);
    assert.is(noDoor.err, 'The stack has no door websocket.\n');
    assert.equal([noKey.code, noDoor.code], [1, 1]);
  });
});

deployed.run();
