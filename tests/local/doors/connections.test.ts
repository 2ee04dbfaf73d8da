/** The management API's stand-in, called as the product calls it: signed, over real sockets. */
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { mock } from 'node:test';
import { AwsClient } from 'aws4fetch';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { WebSocket as Client } from 'ws';
import { handler as authorizer } from '../../../src/authorizer.lambda.ts';
import type { SocketEvent } from '../../../src/doors/socket-event.ts';
import {
  type ConnectionFault,
  type ConnectionsApiOptions,
  createConnectionsApi,
} from '../../../src/local/doors/connections.ts';
import { createWebSocketApi, type WebSocketApi } from '../../../src/local/doors/websocket-api.ts';
import type { SocketLimits } from '../../../src/local/doors/websocket-limits.ts';

const KEYS = { accessKeyId: 'AKIATEST', secretAccessKey: 'test-secret' };

type Bench = {
  readonly api: WebSocketApi;
  readonly url: string;
  /** A client, its id, and the messages that it got. */
  connect(): Promise<{ client: Client; id: string; heard: string[] }>;
  call(method: string, id: string, body?: string, signing?: object): Promise<Response>;
};

type Parts = Partial<ConnectionsApiOptions> & {
  readonly limits?: Partial<SocketLimits>;
  readonly handler?: (event: SocketEvent) => Promise<unknown>;
};

async function withApi(run: (bench: Bench) => Promise<void>, { limits, handler, ...options }: Parts = {}) {
  const ids: string[] = [];
  const api = createWebSocketApi({
    authorizer,
    findTenant: () => 'alice',
    handler: async (event) => {
      ids.push(event.requestContext.connectionId);
      await handler?.(event);
      return { statusCode: 200 };
    },
    limits: { farewellMs: 50, ...limits },
  });
  const secretOf = async (id: string) => (id === KEYS.accessKeyId ? KEYS.secretAccessKey : undefined);
  const listener: RequestListener = createConnectionsApi(api.connections, { secretOf, ...options });
  const server = createServer(listener).on('upgrade', api.upgrade);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const url = `http://127.0.0.1:${address && typeof address === 'object' ? address.port : 0}`;
  const call: Bench['call'] = (method, id, body, signing = {}) => {
    const aws = new AwsClient({
      ...KEYS,
      service: 'execute-api',
      region: 'us-east-1',
      retries: 0,
      ...signing,
    });
    return aws.fetch(`${url}/local/@connections/${id}`, { method, ...(body !== undefined && { body }) });
  };
  const connect = async () => {
    const heard: string[] = [];
    const client = new Client(url.replace('http', 'ws').concat('/ws'), {
      headers: { 'x-api-key': 'a-key', 'user-agent': 'a test' },
    });
    client.on('message', (data) => heard.push(String(data)));
    await once(client, 'open');
    return { client, id: encodeURIComponent(ids.at(-1) ?? ''), heard };
  };
  try {
    await run({ api, url, connect, call });
  } finally {
    await api.closeAll();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

async function until(isSo: () => boolean) {
  while (!isSo()) await new Promise(setImmediate);
}

const errorOf = async (response: Response) => {
  await response.text();
  return [response.status, response.headers.get('x-amzn-errortype')];
};

const api = suite('the @connections API');

api('a post reaches its client as one text message', () =>
  withApi(async ({ connect, call }) => {
    const { id, heard } = await connect();
    const { heard: other } = await connect();
    const long = 'é'.repeat(64 * 1024);
    for (const body of ['{"type":"start"}', '', long]) {
      const response = await call('POST', id, body);
      assert.equal([response.status, await response.text()], [200, '']);
      assert.ok(response.headers.get('x-amzn-requestid'));
    }
    await until(() => heard.length === 3);
    assert.equal([heard, other], [['{"type":"start"}', '', long], []]);
  }),
);

api('the id may stand in the path as it is, or encoded', () =>
  withApi(async ({ connect, call }) => {
    const { id, heard } = await connect();
    assert.match(id, /%3D$/);
    assert.is((await call('POST', id, 'encoded')).status, 200);
    assert.is((await call('POST', decodeURIComponent(id), 'bare')).status, 200);
    await until(() => heard.length === 2);
  }),
);

api('more than 128 KB is 413, and nothing of it is sent', () =>
  withApi(async ({ connect, call }) => {
    const { id, heard } = await connect();
    const refused = await call('POST', id, 'a'.repeat(128 * 1024 + 1));
    assert.equal(await errorOf(refused), [413, 'PayloadTooLargeException']);
    await call('POST', id, 'next');
    await until(() => heard.length > 0);
    assert.equal(heard, ['next']);
  }),
);

api('an unsigned call, another key, secret, service or stage, and a changed body are 403', () =>
  withApi(async ({ url, connect, call }) => {
    const { id, heard } = await connect();
    const { headers } = await new AwsClient({ ...KEYS, service: 'execute-api', region: 'us-east-1' }).sign(
      `${url}/local/@connections/${id}`,
      { method: 'POST', body: 'signed' },
    );
    const tries = [
      fetch(`${url}/local/@connections/${id}`, { method: 'POST', body: 'signed' }),
      fetch(`${url}/local/@connections/${id}`, { method: 'POST', body: 'changed', headers }),
      call('POST', id, 'x', { accessKeyId: 'AKIAOTHER' }),
      call('POST', id, 'x', { secretAccessKey: 'other' }),
      call('POST', id, 'x', { service: 'lambda' }),
      call('POST', `../../prod/@connections/${id}`, 'x'),
      call('POST', `${id}/more`, 'x'),
      call('POST', '%ff', 'x'),
      call('PATCH', id, 'x'),
    ];
    for (const tried of tries) assert.equal(await errorOf(await tried), [403, 'ForbiddenException']);
    assert.equal(heard, []);
  }),
);

api('who is connected, and since when', () => {
  const run = async ({ connect, call }: Bench) => {
    const { id } = await connect();
    const read = async () => (await (await call('GET', id)).json()) as Record<string, string>;
    const before = await read();
    assert.equal(before['identity'], { sourceIp: '127.0.0.1', userAgent: 'a test' });
    mock.timers.tick(60_000);
    await call('POST', id, 'news');
    const { connectedAt = '', lastActiveAt = '' } = await read();
    assert.equal(
      [connectedAt, before['lastActiveAt']],
      ['2026-10-01T00:00:00.000Z', '2026-10-01T00:00:00.000Z'],
    );
    assert.is(lastActiveAt, '2026-10-01T00:01:00.000Z');
  };
  mock.timers.enable({ apis: ['Date'], now: Date.parse('2026-10-01T00:00:00Z') });
  return withApi(run).finally(() => mock.timers.reset());
});

api('a delete closes, and from then on the connection is gone for every method', () => {
  const run = async ({ connect, call }: Bench) => {
    const { client, id } = await connect();
    client.pause();
    assert.is((await call('DELETE', id)).status, 204);
    for (const method of ['DELETE', 'POST', 'GET']) {
      assert.equal(await errorOf(await call(method, id)), [410, 'GoneException']);
    }
    client.resume();
    const [code, reason] = await once(client, 'close');
    assert.equal([code, String(reason)], [1000, 'Connection Closed Normally']);
    assert.equal(await errorOf(await call('DELETE', 'dW5rbm93bg%3D')), [410, 'GoneException']);
  };
  return withApi(run, { limits: { farewellMs: 60_000 } });
});

api('a connection that is not open yet is 410, and so is one that its client closed', () => {
  let status = 0;
  const run = async ({ api, connect, call }: Bench) => {
    post = (id) => call('POST', id, 'early');
    const { client, id } = await connect();
    assert.is(status, 410);
    client.close();
    await until(() => api.connections.size === 0);
    assert.is((await call('POST', id, 'late')).status, 410);
  };
  let post = (_: string): Promise<Response> => assert.unreachable() as never;
  const handler = async ({ requestContext: { routeKey, connectionId } }: SocketEvent) => {
    if (routeKey === '$connect') ({ status } = await post(encodeURIComponent(connectionId)));
  };
  return withApi(run, { handler });
});

/** Posts until the buffer of a client who does not read is full. */
async function fill({ call }: Bench, id: string): Promise<Response> {
  for (;;) {
    const response = await call('POST', id, 'a'.repeat(128 * 1024));
    if (response.status !== 200) return response;
  }
}

api(
  'a client who does not read is 429, takes posts again when he has read, and is cut off when he never does',
  () =>
    withApi(
      async (bench) => {
        const { client, id, heard } = await bench.connect();
        client.pause();
        assert.equal(await errorOf(await fill(bench, id)), [429, 'LimitExceededException']);
        client.resume();
        let status = 0;
        while (status !== 200) ({ status } = await bench.call('POST', id, 'again'));
        await until(() => heard.at(-1) === 'again');
        client.pause();
        await fill(bench, id);
        await until(() => bench.api.connections.size === 0);
        assert.equal(await errorOf(await bench.call('POST', id, 'x')), [410, 'GoneException']);
      },
      { limits: { unreadMs: 300 } },
    ),
);

api('a client who caught up in time is not cut off', async () => {
  mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const run = async (bench: Bench) => {
    const { client, id, heard } = await bench.connect();
    client.pause();
    await fill(bench, id);
    client.resume();
    let status = 0;
    while (status !== 200) ({ status } = await bench.call('POST', id, 'again'));
    await until(() => heard.at(-1) === 'again');
    mock.timers.tick(60_000);
    assert.is((await bench.call('POST', id, 'x')).status, 200);
    client.terminate();
  };
  await withApi(run, { limits: { pingMs: 1_000_000 } }).finally(() => mock.timers.reset());
});

api('each fault happens on request, and only to a call that is signed well', async () => {
  let fault: ConnectionFault | undefined;
  const asked: string[] = [];
  const run = async ({ connect, call }: Bench) => {
    const { id, heard } = await connect();
    for (const status of [403, 410, 413, 429, 500, 503] as const) {
      fault = { status };
      const [seen, type] = await errorOf(await call('POST', id, 'x'));
      assert.is(seen, status);
      assert.match(String(type), /Exception$/);
    }
    fault = { lost: true };
    const lost = await call('POST', id, 'lost').catch(() => 'no reply');
    assert.is(lost, 'no reply');
    fault = { delayMs: 1 };
    assert.is((await call('POST', id, 'late')).status, 200);
    await until(() => heard.length === 2);
    assert.equal(heard, ['lost', 'late']);
    await call('POST', id, 'x', { secretAccessKey: 'other' });
    assert.equal(asked.at(-1), `POST ${decodeURIComponent(id)} late`);
  };
  await withApi(run, {
    fault: (method, id, body) => {
      asked.push(`${method} ${id} ${body}`);
      return fault;
    },
  });
});

api.run();
