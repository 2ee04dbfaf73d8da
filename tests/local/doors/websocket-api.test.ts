/** The WebSocket API's stand-in over real sockets: who is let in, what the function is told, how it ends. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { mock } from 'node:test';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { WebSocket as Client, type ClientOptions } from 'ws';
import { handler as authorizer } from '../../../src/authorizer.lambda.ts';
import type { SocketEvent, SocketReply } from '../../../src/doors/socket-event.ts';
import {
  createWebSocketApi,
  type WebSocketApi,
  type WebSocketApiParts,
} from '../../../src/local/doors/websocket-api.ts';

const KEY = 'a-key';
const keyed = { headers: { 'x-api-key': KEY } };

/** As much of an event as the tests look at; the product's type has less. */
type Told = Omit<SocketEvent, 'requestContext'> & {
  readonly requestContext: SocketEvent['requestContext'] & Record<string, unknown>;
  readonly multiValueHeaders?: Record<string, string[]>;
  readonly multiValueQueryStringParameters?: Record<string, string[]>;
};

type Bench = {
  readonly api: WebSocketApi;
  readonly port: number;
  /** What the function was told, in order. */
  readonly told: readonly Told[];
  /** The bodies of all messages. */
  readonly bodies: readonly unknown[];
  connect(options?: ClientOptions, protocols?: string[]): Promise<Client>;
};

/** `reply` may answer in place of a plain 200, throw, or wait. */
async function withApi(
  run: (bench: Bench) => Promise<void>,
  reply: (event: Told) => unknown = () => undefined,
  parts: Partial<WebSocketApiParts> = {},
) {
  const told: Told[] = [];
  const handler = async (event: SocketEvent) => {
    told.push(event as Told);
    return ((await reply(event as Told)) ?? { statusCode: 200 }) as SocketReply;
  };
  const findTenant = (key: string) => (key === KEY ? 'alice' : undefined);
  const api = createWebSocketApi({ handler, authorizer, findTenant, ...parts });
  const server = createServer().on('upgrade', api.upgrade);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = address && typeof address === 'object' ? address.port : 0;
  const open = async (options: ClientOptions = keyed, protocols: string[] = []) => {
    const client = new Client(`ws://127.0.0.1:${port}/ws`, protocols, options);
    await once(client, 'open');
    return client;
  };
  const bench = {
    api,
    port,
    told,
    get bodies() {
      return told.flatMap(({ body }) => body ?? []);
    },
    connect: open,
  };
  try {
    await run(bench);
  } finally {
    await api.closeAll();
    await new Promise((resolve) => server.close(resolve));
  }
}

async function until(isSo: () => boolean) {
  while (!isSo()) await new Promise(setImmediate);
}

const routesOf = (told: readonly Told[]) => told.map(({ requestContext }) => requestContext.routeKey);

/** Code and reason of the end that a client sees. */
async function endOf(client: Client): Promise<[number, string]> {
  const [code, reason] = await once(client, 'close');
  return [code, String(reason)];
}

/** The end that `$disconnect` tells. */
async function farewell(told: readonly Told[]): Promise<unknown[]> {
  await until(() => routesOf(told).includes('$disconnect'));
  const { requestContext } = told.at(-1) as Told;
  return [requestContext['disconnectStatusCode'], requestContext['disconnectReason']];
}

const handshake = {
  Host: 'localhost',
  Connection: 'Upgrade',
  Upgrade: 'websocket',
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
  'X-Api-Key': KEY,
};

function knock(port: number, headers: Partial<typeof handshake>, line = 'GET /ws HTTP/1.1'): Socket {
  const socket = connect(port, '127.0.0.1');
  const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`${line}\r\n${fields.join('')}\r\n`);
  return socket;
}

/** Status, headers and body of a refusal that ends the connection. */
async function refusal(socket: Socket) {
  const [head = '', body = ''] = (await text(socket)).split('\r\n\r\n');
  return { status: Number(head.split(' ')[1]), head, body: JSON.parse(body) as Record<string, string> };
}

const entry = suite('who may connect');

entry('a known key is let in, and $connect alone is told whose it is', () =>
  withApi(async ({ told, connect }) => {
    const client = await connect();
    client.send('{"action":"chat"}');
    client.close();
    await farewell(told);
    const tenants = told.map(({ requestContext: { identity } }) => identity?.apiKeyId);
    assert.equal(tenants, ['alice', undefined, undefined]);
    assert.equal(routesOf(told), ['$connect', 'chat', '$disconnect']);
  }),
);

entry(
  'a browser offers its key as a subprotocol and is answered with the one that $connect selects',
  async () => {
    const offered = ['llm-gateway', `llm-gateway.key.${KEY}`];
    const bySubprotocol: WebSocketApiParts['authorizer'] = async ({ headers, methodArn }) => {
      assert.match(methodArn, /\/\$connect$/);
      assert.equal(headers?.['sec-websocket-protocol'], offered.join(', '));
      return { principalId: '', policyDocument: { Version: '', Statement: [] }, usageIdentifierKey: KEY };
    };
    for (const name of ['Sec-WebSocket-Protocol', 'sec-websocket-protocol', undefined]) {
      const run = async ({ port }: Bench) => {
        const browser = new WebSocket(`ws://127.0.0.1:${port}/ws`, offered);
        const [event] = await once(browser, name === undefined ? 'error' : 'open');
        assert.is(event.type, name === undefined ? 'error' : 'open');
        assert.is(browser.protocol, name === undefined ? '' : 'llm-gateway');
        browser.close();
      };
      const reply = { statusCode: 200, headers: name === undefined ? {} : { [name]: 'llm-gateway' } };
      await withApi(run, () => reply, { authorizer: bySubprotocol });
    }
  },
);

entry('nothing is compressed', () =>
  withApi(async ({ connect }) => {
    assert.is((await connect({ ...keyed, perMessageDeflate: true })).extensions, '');
  }),
);

entry('no key is 401, a wrong one 403, and $connect sees neither', () =>
  withApi(async ({ port, told }) => {
    const { 'X-Api-Key': _, ...bare } = handshake;
    const unknown = await refusal(knock(port, { ...handshake, 'X-Api-Key': 'another' }));
    assert.equal([unknown.status, unknown.body['message']], [403, 'Forbidden']);
    assert.match(unknown.body['connectionId'] ?? '', /^[\w-]{15}=$/);
    assert.ok(unknown.body['requestId']);
    assert.match(unknown.head, /\r\nContent-Type: application\/json\r\n/);
    const missing = await refusal(knock(port, bare));
    assert.equal([missing.status, missing.body['message']], [401, 'Unauthorized']);
    assert.equal(told, []);
  }),
);

entry('what $connect answers is what a refused client sees', async () => {
  const never = new Promise(() => {});
  const fail = () => {
    throw new Error('secret');
  };
  const tries: [() => unknown, number, string][] = [
    [() => ({ statusCode: 401 }), 401, 'Unauthorized'],
    [() => ({ statusCode: 403 }), 403, 'Forbidden'],
    [() => ({ statusCode: 429 }), 429, 'Too Many Requests'],
    [() => ({ statusCode: 500 }), 500, 'Internal server error'],
    [() => ({ statusCode: 302 }), 502, 'Internal server error'],
    [() => ({}), 502, 'Internal server error'],
    [fail, 502, 'Internal server error'],
    [() => never, 504, 'Endpoint request timed out'],
  ];
  for (const [reply, status, message] of tries) {
    const run = async ({ port, told, api }: Bench) => {
      const { body, ...refused } = await refusal(knock(port, handshake));
      assert.equal([refused.status, body['message']], [status, message]);
      assert.equal([routesOf(told), api.connections.size], [['$connect'], 0]);
      assert.is(body['connectionId'], told[0]?.requestContext.connectionId);
    };
    await withApi(run, ({ body: _, ...event }) => reply.call(event), { limits: { integrationMs: 20 } });
  }
});

entry('only a WebSocket handshake at /ws of this machine is taken', () =>
  withApi(async ({ port, told }) => {
    const { Host: _, ...anonymous } = handshake;
    const tries: [object, number, string?][] = [
      [{ ...handshake, Host: 'evil.example' }, 403],
      [{ ...handshake, Host: 'localhost:1:2' }, 400],
      [{ ...handshake, 'Sec-WebSocket-Version': '8' }, 400],
      [{ ...handshake, 'Sec-WebSocket-Key': 'short' }, 400],
      [{ ...handshake, Upgrade: 'h2c' }, 400],
      [handshake, 400, 'POST /ws HTTP/1.1'],
      [handshake, 403, 'GET /ws/ HTTP/1.1'],
      [handshake, 403, 'GET /v1/chat HTTP/1.1'],
      [anonymous, 400, 'GET /ws HTTP/1.0'],
    ];
    for (const [headers, status, line] of tries) {
      assert.is((await refusal(knock(port, headers, line))).status, status, JSON.stringify([headers, line]));
    }
    assert.equal(told, []);
    for (const Host of [`localhost:${port}`, 'LOCALHOST', '[::1]:80']) {
      const [answer] = await once(knock(port, { ...handshake, Host }), 'data');
      assert.match(String(answer), /^HTTP\/1\.1 101 /);
    }
  }),
);

entry('$connect is told what the handshake said, with names as they were written', () =>
  withApi(async ({ port, told }) => {
    await once(knock(port, handshake, 'GET /ws?q=1&q=2&__proto__=3 HTTP/1.1'), 'data');
    const { headers, multiValueHeaders, multiValueQueryStringParameters, requestContext } = told[0] as Told;
    assert.is(headers?.['X-Api-Key'], KEY);
    assert.equal(multiValueHeaders?.['Host'], ['localhost']);
    const query = Object.entries(multiValueQueryStringParameters ?? {});
    assert.equal(query, [['q', ['1', '2']], ['__proto__', ['3']]]); // biome-ignore format: one pair a name
    const { eventType, stage, apiId, domainName, messageDirection, requestTime } = requestContext;
    assert.equal(
      { eventType, stage, apiId, domainName, messageDirection },
      {
        eventType: 'CONNECT',
        stage: 'local',
        apiId: 'local',
        domainName: 'localhost',
        messageDirection: 'IN',
      },
    );
    assert.match(String(requestTime), /^\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d \+0000$/);
  }),
);

entry('a client who leaves while $connect is pending is disconnected all the same', () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const run = async ({ port, told }: Bench) => {
    const socket = knock(port, handshake);
    await until(() => told.length === 1);
    socket.resetAndDestroy();
    await once(socket, 'close');
    resolve();
    await until(() => told.length === 2);
    assert.equal(routesOf(told), ['$connect', '$disconnect']);
  };
  return withApi(run, () => promise);
});

entry('more connections than it bears, and those that come after drain, are 503', () =>
  withApi(
    async ({ port, api, connect }) => {
      const client = await connect();
      assert.is((await refusal(knock(port, handshake))).status, 503);
      client.close();
      await until(() => api.connections.size === 0);
      await connect();
      await api.closeAll();
      assert.is((await refusal(knock(port, handshake))).status, 503);
    },
    undefined,
    { limits: { connections: 1 } },
  ),
);

entry.run();

// ---

const messages = suite('messages');

messages('the action chooses the route, and what has none goes to $default', () =>
  withApi(async ({ told, connect }) => {
    const client = await connect();
    const tries: [string, string][] = [
      ...['chat', 'sendmessage', 'part', 'cancel', 'ping'].map((action): [string, string] => [
        JSON.stringify({ action }),
        action,
      ]),
      ['{"action":"chat"', '$default'],
      ['', '$default'],
      ['null', '$default'],
      ['["chat"]', '$default'],
      ...['$connect', '__proto__', 'toString', 'Chat', ['chat'], null, 1].map((action): [string, string] => [
        JSON.stringify({ action }),
        '$default',
      ]),
      ['{"__proto__":{"action":"chat"}}', '$default'],
    ];
    for (const [body] of tries) client.send(body);
    await until(() => told.length === tries.length + 1);
    const seen = told.slice(1).map(({ body, requestContext }) => [body, requestContext.routeKey]);
    assert.equal(seen, tries);
    const { requestContext: first, isBase64Encoded } = told[1] as Told;
    assert.equal([first.eventType, isBase64Encoded], ['MESSAGE', false]);
    assert.equal(Object.keys(first.identity ?? {}), ['sourceIp', 'userAgent']);
    const ids = told
      .slice(1)
      .flatMap(({ requestContext: { messageId, requestId } }) => [messageId, requestId]);
    assert.is(new Set(ids).size, 2 * tries.length);
  }),
);

messages('one does not wait for another', () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const run = async ({ told, connect }: Bench) => {
    const client = await connect();
    client.send('first');
    client.send('second');
    await until(() => told.length === 3);
    resolve();
  };
  return withApi(run, ({ body }) => (body === 'first' ? promise : undefined));
});

messages('the client is told of a route that fails or takes too long, and not of what it replies', () => {
  const answers: Record<string, () => unknown> = {
    refuse: () => ({ statusCode: 500 }),
    throw: () => Promise.reject(new Error('secret')),
    wait: () => new Promise(() => {}),
  };
  const run = async ({ told, connect }: Bench) => {
    const client = await connect();
    const heard: Record<string, string>[] = [];
    client.on('message', (data) => heard.push(JSON.parse(String(data))));
    for (const body of Object.keys(answers)) client.send(body);
    await until(() => heard.length === 2);
    const ids = told.map(({ requestContext: { connectionId, requestId } }) => ({ connectionId, requestId }));
    assert.equal(heard, [
      { message: 'Internal server error', ...ids[2] },
      { message: 'Endpoint request timed out', ...ids[3] },
    ]);
  };
  return withApi(run, ({ body }) => answers[body ?? '']?.(), { limits: { integrationMs: 20 } });
});

messages('after drain they are not handed on', () =>
  withApi(async ({ api, told, connect }) => {
    const client = await connect();
    api.drain();
    client.send('late');
    client.ping();
    await once(client, 'pong');
    assert.equal(routesOf(told), ['$connect']);
  }),
);

type Frame = { opcode: number; payload: Buffer; isLast: boolean };

function encode({ opcode, payload, isLast }: Frame, mask = Buffer.from([1, 2, 3, 4])): Buffer {
  const { length } = payload;
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  head[0] = (isLast ? 0x80 : 0) | opcode;
  head[1] = 0x80 | (length < 126 ? length : length < 65_536 ? 126 : 127);
  if (head.length === 4) head.writeUInt16BE(length, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, mask, payload.map((byte, at) => byte ^ (mask[at % 4] ?? 0))]);
}

/** A text message in frames of these lengths. */
const toFrames = (lengths: readonly number[]): Frame[] =>
  lengths.map((length, at) => ({
    opcode: at === 0 ? 1 : 0,
    payload: Buffer.alloc(length, 'é'.repeat(length)).fill('a', length - (length % 2)),
    isLast: at === lengths.length - 1,
  }));

const textOf = (lengths: readonly number[]) =>
  Buffer.concat(toFrames(lengths).map(({ payload }) => payload)).toString();

/** Sends the bytes in pieces, and returns the code of the close that follows. */
async function speak({ port }: Bench, bytes: Buffer, cuts: readonly number[] = []): Promise<number> {
  const socket = knock(port, handshake);
  socket.setNoDelay();
  await once(socket, 'data');
  const heard: Buffer[] = [];
  socket.on('data', (chunk) => heard.push(chunk));
  socket.on('error', () => {});
  const places = [0, ...[...cuts].sort((one, other) => one - other), bytes.length];
  for (const [at, place] of places.slice(1).entries()) {
    await new Promise((resolve) => socket.write(bytes.subarray(places[at], place), resolve));
    await new Promise(setImmediate);
  }
  await until(() => Buffer.concat(heard).length >= 4);
  socket.destroy();
  const all = Buffer.concat(heard);
  assert.is(all[0], 0x88);
  return all.readUInt16BE(2);
}

const CLOSE: Frame = { opcode: 8, payload: Buffer.from([0x03, 0xe8]), isLast: true };

messages('frames and messages have limits, however they are cut', async () => {
  const limits = { frameBytes: 300, messageBytes: 700 };
  const length = fc.oneof(fc.integer({ min: 0, max: 310 }), fc.constantFrom(299, 300, 301, 70_000));
  const message = fc.oneof(
    fc.array(length, { minLength: 1, maxLength: 5 }),
    fc.constantFrom([300, 300, 100], [300, 300, 101], [125, 126]),
  );
  const isTooLong = (lengths: readonly number[]) =>
    lengths.some((bytes) => bytes > 300) || lengths.reduce((sum, bytes) => sum + bytes) > 700;
  await withApi(
    async (bench) => {
      const cases = fc.record({
        said: fc.array(message, { minLength: 1, maxLength: 4 }),
        cuts: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 }),
        isBytewise: fc.boolean(),
      });
      const check = async ({
        said,
        cuts,
        isBytewise,
      }: typeof cases extends fc.Arbitrary<infer T> ? T : never) => {
        const before = bench.bodies.length;
        const bytes = Buffer.concat([...said.flatMap(toFrames), CLOSE].map((frame) => encode(frame)));
        const places =
          isBytewise && bytes.length < 400
            ? [...bytes.keys()]
            : cuts.map((cut) => Math.floor(cut * bytes.length));
        const end = said.findIndex(isTooLong);
        const code = await speak(bench, bytes, places);
        assert.is(code, end < 0 ? 1000 : 1009);
        const passed = said.slice(0, end < 0 ? said.length : end).map(textOf);
        assert.equal(bench.bodies.slice(before), passed);
      };
      await fc.assert(fc.asyncProperty(cases, check), { numRuns: 150 });
    },
    undefined,
    { limits },
  );
});

messages('a frame may have 32 KB and a message 128 KB, and not a byte more', () =>
  withApi(async (bench) => {
    const frame = 32 * 1024;
    const tries: [number[], number][] = [
      [[frame, frame, frame, frame], 1000],
      [[frame, frame, frame, frame, 1], 1009],
      [[frame + 1], 1009],
      [[1, frame + 1], 1009],
    ];
    for (const [lengths, code] of tries) {
      const bytes = [...toFrames(lengths), CLOSE].map((each) => encode(each));
      assert.is(await speak(bench, Buffer.concat(bytes)), code, String(lengths));
    }
    assert.equal(bench.bodies, [textOf([frame, frame, frame, frame])]);
  }),
);

messages('a binary one is 1003, and text that is none 1007, and $disconnect tells so', async () => {
  const tries: [Buffer, number][] = [
    [encode({ opcode: 2, payload: Buffer.from('{}'), isLast: true }), 1003],
    [encode({ opcode: 1, payload: Buffer.from([0xff]), isLast: true }), 1007],
    [encode({ opcode: 1, payload: Buffer.alloc(32 * 1024 + 1), isLast: true }), 1009],
    [encode({ opcode: 3, payload: Buffer.alloc(0), isLast: true }), 1002],
  ];
  for (const [bytes, code] of tries) {
    await withApi(async (bench) => {
      assert.is(await speak(bench, bytes), code);
      assert.equal(await farewell(bench.told), [code, '']);
      assert.equal(routesOf(bench.told), ['$connect', '$disconnect']);
    });
  }
});

messages.run();

// ---

const end = suite('how connections end');

end('$disconnect tells once how a client closed', () =>
  withApi(async ({ told, api, connect }) => {
    const client = await connect();
    client.close(4321, 'enough');
    assert.equal(await farewell(told), [4321, 'enough']);
    assert.equal(told[1]?.headers?.['Host'], told[0]?.requestContext['domainName']);
    assert.is(api.connections.size, 0);
    await api.closeAll();
    assert.equal(routesOf(told), ['$connect', '$disconnect']);
  }),
);

/** Runs with timers that move only by `pass`. */
async function withTimers(run: (pass: (ms: number) => void) => Promise<void>) {
  mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  try {
    await run((ms) => mock.timers.tick(ms));
  } finally {
    mock.timers.reset();
  }
}

const MINUTE = 60_000;
const quiet = { limits: { pingMs: 1_000_000_000 } };

end('ten minutes of silence in both directions are one too many', () =>
  withTimers((pass) => {
    const run = async ({ told, api, connect }: Bench) => {
      const client = await connect();
      const [connection] = api.connections.values();
      pass(9 * MINUTE);
      client.send('here');
      await until(() => told.length === 2);
      pass(9 * MINUTE);
      assert.ok(connection?.send('there'));
      pass(9 * MINUTE);
      assert.ok(connection?.isOpen);
      pass(MINUTE);
      assert.equal(await endOf(client), [1001, 'Going away']);
      assert.equal(await farewell(told), [1001, 'Going away']);
    };
    return withApi(run, undefined, quiet);
  }),
);

end('two hours are the most that a connection gets', () =>
  withTimers((pass) => {
    const run = async ({ api, connect }: Bench) => {
      const client = await connect();
      const [connection] = api.connections.values();
      for (let minute = 0; minute < 119; minute++) {
        pass(MINUTE);
        connection?.send('on');
      }
      assert.ok(connection?.isOpen);
      pass(MINUTE);
      assert.equal(await endOf(client), [1001, 'Going away']);
    };
    return withApi(run, undefined, quiet);
  }),
);

end('a peer that is gone is found within a minute, and one that answers stays', () =>
  withTimers((pass) =>
    withApi(async ({ told, api, connect }) => {
      const alive = await connect();
      await connect({ ...keyed, autoPong: false });
      const [first] = api.connections.values();
      for (let pings = 1; pings <= 2; pings++) {
        const asked = once(alive, 'ping');
        pass(30_000);
        await asked;
        alive.send('');
        await until(() => told.length >= 2 + pings);
      }
      assert.equal(await farewell(told), [1006, '']);
      assert.equal([...api.connections.values()], [first]);
    }),
  ),
);

end('closeAll tells everyone, cuts off who does not answer, and waits for a $disconnect that fails', () => {
  const run = async ({ port, told, api, connect }: Bench) => {
    const client = await connect();
    const deaf = knock(port, handshake);
    await once(deaf, 'data');
    deaf.pause();
    const ended = endOf(client);
    await api.closeAll();
    assert.equal(await ended, [1001, 'Going away']);
    assert.equal(routesOf(told), ['$connect', '$connect', '$disconnect', '$disconnect']);
    deaf.destroy();
  };
  const fail = ({ requestContext: { routeKey } }: Told) => {
    if (routeKey === '$disconnect') throw new Error('secret');
  };
  return withApi(run, fail, { limits: { farewellMs: 50 } });
});

end('who was connecting when closeAll was called is closed too', () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const run = async ({ told, api, connect }: Bench) => {
    const connecting = connect();
    await until(() => told.length === 1);
    await api.closeAll();
    resolve();
    assert.equal(await endOf(await connecting), [1001, 'Going away']);
  };
  return withApi(run, () => promise);
});

end.run();
