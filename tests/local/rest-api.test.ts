import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import type { APIGatewayProxyEvent } from 'aws-lambda';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { handler as authorizer } from '../../src/authorizer.lambda.ts';
import { createRestApi, type RestApi, type RestApiParts } from '../../src/local/rest-api.ts';
import { awslambdaStandIn } from '../../src/local/runtime.ts';
import { until } from '../helpers/gateway.ts';

const KEY = 'a-key';

/** Answers with the event that it was given. */
const mirror: RestApiParts['handler'] = async (event, stream) => {
  const headers = { 'content-type': 'application/json' };
  const out = awslambdaStandIn.HttpResponseStream.from(stream, { statusCode: 200, headers });
  out.write(JSON.stringify(event));
  out.end();
};

async function withApi(
  handler: RestApiParts['handler'],
  run: (url: string, api: RestApi, port: number) => Promise<void>,
) {
  const findTenant = (key: string) => (key === KEY ? 'alice' : undefined);
  const api = createRestApi({ handler, authorizer, findTenant });
  await new Promise<void>((resolve) => api.server.listen(0, '127.0.0.1', resolve));
  const address = api.server.address();
  const port = address && typeof address === 'object' ? address.port : 0;
  try {
    await run(`http://127.0.0.1:${port}`, api, port);
  } finally {
    api.server.closeAllConnections();
    await new Promise((resolve) => api.server.close(resolve));
  }
}

const codeOf = async (response: Response) =>
  ((await response.json()) as { error: { code: string } }).error.code;

const gate = suite('the REST stand-in');

gate('a known key in either header is let in as its tenant', () =>
  withApi(mirror, async (url) => {
    for (const headers of [{ 'x-api-key': KEY }, { authorization: `Bearer ${KEY}` }]) {
      const event = (await (await fetch(url, { headers })).json()) as APIGatewayProxyEvent;
      assert.is(event.requestContext.identity.apiKeyId, 'alice');
      assert.is(event.requestContext.identity.apiKey, null);
    }
  }),
);

gate('no key, a wrong key, part of a key and a key in the URL are 401', () =>
  withApi(mirror, async (url) => {
    const tries = [
      {},
      { 'x-api-key': 'a-ke' },
      { 'x-api-key': 'a-keyx' },
      { authorization: "Bearer ' OR 1=1 --" },
    ];
    for (const headers of tries as Record<string, string>[]) {
      const response = await fetch(`${url}/v1/chat?api_key=${KEY}`, { headers });
      assert.is(response.status, 401, JSON.stringify(headers));
      assert.is(await codeOf(response), 'unauthorized');
      assert.ok(response.headers.get('x-request-id'));
    }
  }),
);

gate('a preflight and a health check need no key', () =>
  withApi(mirror, async (url) => {
    assert.is((await fetch(`${url}/v1/chat`, { method: 'OPTIONS' })).status, 200);
    assert.is((await fetch(`${url}/health?x=1`)).status, 200);
    assert.is((await fetch(`${url}/healthy`)).status, 401);
  }),
);

gate('the event says what the request said', () =>
  withApi(mirror, async (url) => {
    const headers = { 'x-api-key': KEY, 'content-type': 'application/json' };
    const response = await fetch(`${url}/a/b%2Fc?q=1&q=2&e=`, { method: 'POST', body: '{"é":1}', headers });
    const event = (await response.json()) as APIGatewayProxyEvent;
    assert.is(event.httpMethod, 'POST');
    assert.is(event.path, '/a/b%2Fc');
    assert.equal(event.multiValueQueryStringParameters, { q: ['1', '2'], e: [''] });
    assert.equal(event.queryStringParameters, { q: '2', e: '' });
    assert.equal(event.multiValueHeaders['content-type'], ['application/json']);
    assert.is(event.body, '{"é":1}');
    assert.is(event.isBase64Encoded, false);
  }),
);

gate('a query may use names that every object knows', () =>
  withApi(mirror, async (url) => {
    const response = await fetch(`${url}/?__proto__=1&constructor=2&a=3&a=4`, {
      headers: { 'x-api-key': KEY },
    });
    const event = (await response.json()) as APIGatewayProxyEvent;
    const values = Object.entries(event.multiValueQueryStringParameters ?? {});
    assert.equal(values, [
      ['__proto__', ['1']],
      ['constructor', ['2']],
      ['a', ['3', '4']],
    ]);
  }),
);

gate('a body that is no text comes as base64', () =>
  withApi(mirror, async (url) => {
    const body = Uint8Array.of(0xff, 0xfe);
    const event = (await (
      await fetch(url, { method: 'POST', body, headers: { 'x-api-key': KEY } })
    ).json()) as APIGatewayProxyEvent;
    assert.is(event.isBase64Encoded, true);
    assert.is(event.body, '//4=');
  }),
);

gate('more than 6 MB is 413, whatever the length that was announced', () =>
  withApi(mirror, async (url) => {
    const headers = { 'x-api-key': KEY };
    const response = await fetch(url, { method: 'POST', headers, body: Buffer.alloc(6 * 1024 * 1024 + 1) });
    assert.is(response.status, 413);
    assert.is(await codeOf(response), 'payload_too_large');
  }),
);

gate('a foreign Host is 403 and a malformed one 400', () =>
  withApi(mirror, async (_url, _api, port) => {
    const statusFor = (host: string) =>
      new Promise<number>((resolve) => {
        const headers = { host, 'x-api-key': KEY };
        httpRequest({ port, host: '127.0.0.1', headers }, (response) =>
          resolve(response.resume().statusCode ?? 0),
        ).end();
      });
    assert.is(await statusFor('localhost:3000'), 200);
    assert.is(await statusFor('evil.example'), 403);
    assert.is(await statusFor('127.0.0.1.evil.example'), 403);
    assert.is(await statusFor('a b'), 400);
    assert.is(await statusFor('localhost:99999999'), 400);
  }),
);

gate('a function that ends without the prelude is 500', () =>
  withApi(
    async (_event, stream) => void stream.end(),
    async (url) => {
      assert.is((await fetch(url, { headers: { 'x-api-key': KEY } })).status, 500);
    },
  ),
);

gate('a function that throws is 500 in the envelope, without its text', () =>
  withApi(
    () => Promise.reject(new Error('secret')),
    async (url) => {
      const response = await fetch(url, { headers: { 'x-api-key': KEY } });
      assert.is(response.status, 500);
      assert.is(await codeOf(response), 'internal_error');
    },
  ),
);

gate('each write reaches the client before the next', () => {
  let goOn = () => {};
  return withApi(
    async (_event, stream) => {
      const out = awslambdaStandIn.HttpResponseStream.from(stream, { statusCode: 200 });
      out.write('one');
      await new Promise<void>((resolve) => (goOn = resolve));
      out.write('two');
      out.end();
    },
    async (url) => {
      const response = await fetch(url, { headers: { 'x-api-key': KEY } });
      const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
      assert.is((await reader?.read())?.value, 'one');
      goOn();
      assert.is((await reader?.read())?.value, 'two');
    },
  );
});

gate('a client that goes away closes the stream of the function', () => {
  let closed = false;
  return withApi(
    async (_event, stream) => {
      stream.on('close', () => (closed = true));
      awslambdaStandIn.HttpResponseStream.from(stream, { statusCode: 200 }).write('one');
    },
    async (_url, api, port) => {
      const socket = connect(port, '127.0.0.1');
      socket.write(`GET / HTTP/1.1\r\nhost: localhost\r\nx-api-key: ${KEY}\r\n\r\n`);
      await until(() => api.running === 1);
      await new Promise((resolve) => socket.once('data', resolve));
      socket.destroy();
      await until(() => closed && api.running === 0);
    },
  );
});

gate('a draining door refuses new requests and waits for those that run', () => {
  let finish = () => {};
  return withApi(
    async (event, stream) => {
      await new Promise<void>((resolve) => (finish = resolve));
      await mirror(event, stream, { getRemainingTimeInMillis: () => 0 });
    },
    async (url, api) => {
      const headers = { 'x-api-key': KEY };
      const running = fetch(url, { headers });
      await until(() => api.running === 1);
      let isIdle = false;
      const drained = api.drain().then(() => (isIdle = true));
      const refused = await fetch(url, { headers });
      assert.is(refused.status, 503);
      assert.is(await codeOf(refused), 'overloaded');
      assert.not.ok(isIdle);
      finish();
      assert.is((await running).status, 200);
      await drained;
    },
  );
});

gate.run();
