/** Real answers over the real doors, held against what the document says of them. A field or a header that it does not know is a fault. */
import { createParser } from 'eventsource-parser';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openSocket } from '../helpers/clients.ts';
import { type Gateway, type GatewayOptions, people, startGateway } from '../helpers/gateway.ts';
import { type Answer, faultsOf, operations, resolve, type Schema } from '../helpers/openapi.ts';

/** What HTTP brings along. */
const transport = [
  'cache-control',
  'connection',
  'content-length',
  'content-type',
  'date',
  'keep-alive',
  'transfer-encoding',
];

/** Which answers have been seen: `chat 200 text/event-stream`. */
const seen = new Set<string>();

/** Which events, frames and codes have been seen. */
const kinds = new Set<string>();

const operationAt = (method: string, path: string) =>
  operations.find(
    (one) =>
      one.method === method &&
      new RegExp(`^${one.path.replaceAll(/\{\w+\}/g, one.path.includes('models') ? '.+' : '[^/]+')}$`).test(
        path,
      ),
  )?.operation;

/** Reads the answer to its end. What is wrong with it, in the words of the document. */
async function readAnswer(method: string, url: string, response: Response): Promise<string[]> {
  const operation = operationAt(method, new URL(url, 'http://x').pathname);
  const described = operation?.responses[response.status];
  if (!operation || !described) return [`${method} ${url} must not answer with ${response.status}`];
  const { headers, content = {} } = resolve(described) as unknown as Answer;
  const type = response.headers.get('content-type')?.split(';')[0] ?? '';
  seen.add(`${operation.operationId} ${response.status} ${type}`.trim());
  const body = await response.text();
  const schema = content[type]?.schema;
  const wrongBody = schema
    ? faultsOfBody(type, schema, body)
    : body === ''
      ? []
      : [`no ${type} is described`];
  return [...faultsOfHeaders(headers, response.headers), ...wrongBody];
}

function faultsOfHeaders(described: Answer['headers'], headers: Headers): string[] {
  const faults = [...headers]
    .filter(([name]) => !transport.includes(name))
    .map(([name, value]) => {
      const schema = described[name] && (resolve(described[name])['schema'] as Schema);
      return schema ? faultsOf(schema, Number(value) || value) : `no header ${name} is described`;
    });
  return [
    ...faults.filter((fault) => fault !== ''),
    ...(headers.has('x-request-id') ? [] : ['no x-request-id']),
  ];
}

function faultsOfBody(type: string, schema: Schema, body: string): string[] {
  if (type === 'text/event-stream') return faultsOfStream(schema['anyOf'] as EventSchema[], body);
  const value = JSON.parse(body) as { error?: { code: string } };
  if (value.error) kinds.add(value.error.code);
  const fault = faultsOf(schema, value);
  return fault === '' ? [] : [`${fault}: ${body}`];
}

type EventSchema = {
  readonly properties: {
    readonly event?: { readonly const: string };
    readonly data: { readonly const?: string; readonly contentSchema?: Schema };
  };
};

function faultsOfStream(kindsOfEvents: readonly EventSchema[], body: string): string[] {
  const faults: string[] = [];
  const onEvent = ({ event, data }: { event?: string | undefined; data: string }) => {
    kinds.add(`event ${event ?? data}`);
    const fitting = kindsOfEvents.filter(({ properties }) => properties.event?.const === event);
    const wrong = fitting.map(({ properties: { data: described } }) => {
      if (!described.contentSchema) return faultsOf(described, data);
      return data.startsWith('{') ? faultsOf(described.contentSchema, JSON.parse(data)) : 'no JSON';
    });
    if (!wrong.includes('')) faults.push(`${event}: ${wrong.join(' or ')}: ${data}`);
  };
  createParser({ onEvent }).feed(body);
  return faults;
}

async function ask(gateway: Gateway, method: string, path: string, body?: object, init: RequestInit = {}) {
  const headers = { 'content-type': 'application/json' };
  const sent = body && { headers, body: JSON.stringify(body) };
  const response = await gateway.send(path, { method, ...sent, ...init });
  const { status } = response;
  const copy = response.clone();
  assert.equal(await readAnswer(method, path, response), [], `${method} ${path}`);
  return { status, text: () => copy.text(), headers: copy.headers };
}

const inGateway =
  (test: (gateway: Gateway) => Promise<void>, options: GatewayOptions = {}) =>
  async () => {
    const gateway = await startGateway({ tokensPerSecond: Infinity, ...options });
    try {
      await test(gateway);
    } finally {
      await gateway.close();
    }
  };

const CHAT = '/v1/chat';
const COMPLETIONS = '/v1/chat/completions';
const CLAUDE = 'anthropic.claude-reasoning-1';
const messages = [{ role: 'user', content: 'Hi' }];
const look = { type: 'function', function: { name: 'look', parameters: { type: 'object' } } };
const answers = suite('an answer is as it is described');

answers(
  'of a chat, in one piece and as a stream, with thoughts, from the cache and after a failure',
  inGateway(async (gateway) => {
    const prompt = 'ECHO one two';
    for (const stream of [false, true]) {
      for (const more of [
        {},
        {},
        { cache: 'refresh' },
        { store: false },
        { model: CLAUDE },
        { model: 'simulator.no-metadata' },
      ]) {
        assert.is((await ask(gateway, 'POST', CHAT, { prompt, stream, ...more })).status, 200);
      }
    }
    await ask(gateway, 'POST', CHAT, { prompt: 'Hi', stream: true, model: 'simulator.reset-mid-stream' });
    assert.ok(kinds.has('event error'));
  }),
);

/** A request can be cancelled once it is registered, which it is not at once. */
const cancel = async (gateway: Gateway, id: string) => {
  while ((await ask(gateway, 'DELETE', `/v1/requests/${id}`)).status === 404);
};

answers(
  'of a request that is cancelled, and to whoever cancels it',
  inGateway(
    async (gateway) => {
      for (const path of [CHAT, COMPLETIONS]) {
        for (const stream of [false, true]) {
          const request_id = `cancelled-${stream}-${path.length}`;
          const question = path === CHAT ? { prompt: 'Hi' } : { messages };
          const cancelled = ask(gateway, 'POST', path, { ...question, stream, request_id });
          await cancel(gateway, request_id);
          assert.is((await cancelled).status, stream ? 200 : 499);
        }
      }
      assert.ok(kinds.has('event cancelled'));
    },
    { tokensPerSecond: 2 },
  ),
);

answers(
  'of chat completions, in one piece and as a stream, with tools and thoughts',
  inGateway(async (gateway) => {
    for (const stream of [false, true]) {
      const options = { stream, cache: 'off', ...(stream && { stream_options: { include_usage: true } }) };
      for (const more of [
        {},
        { tools: [look] },
        { model: CLAUDE },
        { model: 'anthropic.claude-redacted-reasoning-1' },
        { model: 'simulator.no-metadata' },
        { chat_id: 'new' },
      ]) {
        const { status, text } = await ask(gateway, 'POST', COMPLETIONS, { messages, ...options, ...more });
        assert.is(status, 200);
        if ('tools' in more) assert.match(await text(), '"tool_calls"');
        if (more.model?.includes('reasoning')) assert.match(await text(), '"reasoning_details"');
      }
    }
    await ask(gateway, 'POST', COMPLETIONS, { messages, stream: true, model: 'simulator.reset-mid-stream' });
  }),
);

answers(
  'of embeddings and models',
  inGateway(async (gateway) => {
    const model = 'amazon.titan-embed-text-v2:0';
    for (const encoding_format of ['float', 'base64']) {
      assert.is(
        (await ask(gateway, 'POST', '/v1/embeddings', { model, input: ['a', 'b'], encoding_format })).status,
        200,
      );
    }
    await ask(gateway, 'GET', '/v1/models');
    for (const id of [model, 'arn:aws:bedrock:us-east-1:1:inference-profile/a']) {
      assert.is((await ask(gateway, 'GET', `/v1/models/${id}`)).status, 200);
    }
    await ask(gateway, 'GET', '/health');
    await ask(gateway, 'GET', '/openapi.json');
  }),
);

answers(
  'of conversations',
  inGateway(async (gateway) => {
    const ids: string[] = [];
    for (const model of ['a-model', 'simulator.reset-mid-stream']) {
      const { headers } = await ask(gateway, 'POST', CHAT, { prompt: 'Hi', model, stream: true });
      ids.push(headers.get('x-chat-id') ?? '');
    }
    const list = await ask(gateway, 'GET', '/v1/chats?limit=1');
    const { next } = JSON.parse(await list.text()) as { next: string };
    await ask(gateway, 'GET', `/v1/chats?next=${next}`);
    for (const id of ids) assert.is((await ask(gateway, 'GET', `/v1/chats/${id}`)).status, 200);
    for (const status of [204, 404])
      assert.is((await ask(gateway, 'DELETE', `/v1/chats/${ids[0]}`)).status, status);
    assert.is((await ask(gateway, 'GET', `/v1/chats/${ids[0]}`)).status, 404);
  }),
);

/** What is asked, and what comes of it. */
const refusals: readonly [
  method: string,
  path: string,
  body: object | undefined,
  status: number,
  init?: RequestInit,
][] = [
  ['POST', CHAT, { promt: 'Hi' }, 400],
  ['POST', CHAT, {}, 400, { body: '{' }],
  ['POST', COMPLETIONS, { messages: [] }, 400],
  ['POST', '/v1/embeddings', { model: 'a-model', input: 'a' }, 400],
  ['GET', '/v1/chats?limit=0', undefined, 400],
  ['GET', '/v1/chats?next=x', undefined, 400],
  ['GET', '/v1/chats/a-chat?next=x', undefined, 400],
  ['POST', CHAT, { prompt: 'Hi', chat_id: 'nobodys' }, 404],
  ['GET', '/v1/chats/no%20id', undefined, 404],
  ['DELETE', '/v1/requests/nobodys', undefined, 404],
  ['POST', CHAT, { prompt: 'Hi', request_id: 'twice' }, 200],
  ['POST', CHAT, { prompt: 'Hi', request_id: 'twice' }, 409],
  ['POST', CHAT, { prompt: 'x'.repeat(3000) }, 413],
  ['POST', CHAT, {}, 415, { headers: { 'content-type': 'text/plain' } }],
  ['POST', CHAT, { prompt: 'Hi', model: 'simulator.throttled' }, 429],
  ['POST', CHAT, { prompt: 'Hi', model: 'simulator.access-denied' }, 502],
  ['POST', CHAT, { prompt: 'Hi', model: 'simulator.unavailable' }, 503],
  ['POST', CHAT, { prompt: 'Hi', model: 'simulator.model-timeout' }, 504],
  ['POST', COMPLETIONS, { messages, model: 'simulator.internal-error', stream: true }, 502],
];

answers(
  'of a request that is refused, with every status',
  inGateway(
    async (gateway) => {
      for (const [method, path, body, status, init] of refusals) {
        assert.is(
          (await ask(gateway, method, path, body, init)).status,
          status,
          `${method} ${path} ${status}`,
        );
      }
      const unknown = await fetch(`${gateway.url}/v1/models`);
      assert.is(unknown.status, 401);
      assert.equal(await readAnswer('GET', '/v1/models', unknown), []);
    },
    { settings: { bodyLimitBytes: 2000 } },
  ),
);

answers(
  'of models that are not on offer',
  inGateway(
    async (gateway) => {
      assert.is((await ask(gateway, 'GET', '/v1/models/another')).status, 404);
      assert.is((await ask(gateway, 'POST', CHAT, { prompt: 'Hi', model: 'another' })).status, 404);
    },
    { settings: { allowedModels: ['one'], defaultModel: 'one' } },
  ),
);

let isDown = false;
answers(
  'of tables that are down',
  inGateway(
    async (gateway) => {
      isDown = true;
      assert.is((await ask(gateway, 'GET', '/v1/chats')).status, 503);
      assert.is((await ask(gateway, 'DELETE', '/v1/requests/mine')).status, 503);
      const { headers } = await ask(gateway, 'POST', CHAT, { prompt: 'Hi' });
      assert.is(headers.get('x-cancellable'), 'false');
    },
    { dynamoFault: () => (isDown ? { type: 'down' } : undefined) },
  ),
);

answers(
  'over a WebSocket, frame by frame',
  inGateway(async (gateway) => {
    const schema = { $ref: '#/components/schemas/Frame' };
    const { socket, next } = await openSocket(gateway.socketUrl, people.alice);
    const types = new Set<string>();
    const read = async (last: string) => {
      for (;;) {
        const frame = await next();
        assert.is(faultsOf(schema, frame), '', JSON.stringify(frame));
        types.add(frame.type);
        if (frame.type === last) return;
      }
    };
    const say = (message: object) => socket.send(JSON.stringify(message));
    say({ action: 'ping' });
    await read('pong');
    say({ action: 'chat', prompt: 'Hi', model: CLAUDE });
    await read('done');
    say({ action: 'chat', prompt: ' ' });
    await read('error');
    say({ action: 'chat', prompt: 'Hi', model: 'simulator.reset-mid-stream' });
    await read('error');
    say({ action: 'chat', prompt: 'Hi', model: 'simulator.stall-mid-stream', request_id: 'mine' });
    await read('start');
    say({ action: 'cancel', request_id: 'mine' });
    await read('cancelled');
    socket.close();
    assert.equal([...types].toSorted(), ['cancelled', 'delta', 'done', 'error', 'pong', 'start']);
  }),
);

answers('and every success that is described has been seen', () => {
  const described = operations.flatMap(({ operation }) =>
    Object.entries(operation.responses).flatMap(([status, response]) => {
      const types = Object.keys((resolve(response) as unknown as Answer).content ?? { '': {} });
      return status < '300' ? types.map((type) => `${operation.operationId} ${status} ${type}`.trim()) : [];
    }),
  );
  assert.equal(
    described.filter((one) => !seen.has(one)),
    [],
  );
});

answers.run();
