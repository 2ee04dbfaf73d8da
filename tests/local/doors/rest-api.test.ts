import { once } from 'node:events';
import { connect } from 'node:net';
import type { APIGatewayProxyEvent } from 'aws-lambda';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { handler as authorizer } from '../../../src/authorizer.lambda.ts';
import { createRestApi, type RestApiParts } from '../../../src/local/doors/rest-api.ts';
import { awslambdaStandIn, type ResponseStream } from '../../../src/local/doors/runtime.ts';
import { createSite } from '../../../src/local/site.ts';

const KEY = 'a-key';

async function say(stream: ResponseStream, text: string) {
  awslambdaStandIn.HttpResponseStream.from(stream, { statusCode: 200 }).write(text);
  stream.end();
}

/** Answers with the event that it was given. */
const mirror: RestApiParts['handler'] = (event, stream) => say(stream, JSON.stringify(event));

/** Answers with the length of the body. */
const length: RestApiParts['handler'] = ({ body }, stream) => say(stream, String(body?.length));

async function withApi(
  handler: RestApiParts['handler'],
  run: (url: string, port: number) => Promise<void>,
  parts: Partial<RestApiParts> = {},
) {
  const findTenant = (key: string) => (key === KEY ? 'alice' : undefined);
  const { server } = createRestApi({ handler, authorizer, findTenant, ...parts });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = address && typeof address === 'object' ? address.port : 0;
  try {
    await run(`http://127.0.0.1:${port}`, port);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
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

gate('a caller without a key is refused before his body is read', () =>
  withApi(mirror, async (_url, port) => {
    const socket = connect(port, '127.0.0.1');
    socket.write('POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9999999\r\n\r\n{');
    const [heard] = await once(socket, 'data');
    assert.match(String(heard), /^HTTP\/1\.1 401 /);
    socket.destroy();
  }),
);

gate('a body of more than 6 MB is 413, and one of 6 MB is not', () =>
  withApi(length, async (url) => {
    const send = (bytes: number) =>
      fetch(url, { method: 'POST', headers: { 'x-api-key': KEY }, body: Buffer.alloc(bytes, 'a') });
    assert.is(await (await send(6 * 1024 * 1024)).text(), String(6 * 1024 * 1024));
    const refused = await send(6 * 1024 * 1024 + 1);
    assert.is(refused.status, 413);
    assert.is(await codeOf(refused), 'payload_too_large');
  }),
);

gate('a function may run for as long as it is told, and 15 minutes if it is not told', async () => {
  const remaining: RestApiParts['handler'] = (_event, stream, context) =>
    say(stream, String(context.getRemainingTimeInMillis()));
  const timeLeft = (parts: Partial<RestApiParts>) => {
    let left = 0;
    const read = async (url: string) => {
      left = Number(await (await fetch(`${url}/health`)).text());
    };
    return withApi(remaining, read, parts).then(() => left);
  };
  assert.ok((await timeLeft({ limits: { functionMs: 5_000 } })) <= 5_000);
  const left = await timeLeft({});
  assert.ok(left > 800_000 && left <= 900_000, String(left));
});

gate('a page of an allowed origin may read why it was refused, as API Gateway lets it', async () => {
  const originsOf = async (...allowed: string[]) => {
    let said: string | null = null;
    const read = async (url: string) => {
      const refused = await fetch(url, { headers: { 'x-api-key': 'nobodys' } });
      assert.is(refused.status, 401);
      said = refused.headers.get('access-control-allow-origin');
    };
    await withApi(mirror, read, { allowedOrigins: () => allowed });
    return said;
  };
  assert.is(await originsOf(), null);
  assert.is(await originsOf('https://one.example'), 'https://one.example');
  assert.is(await originsOf('https://one.example', 'https://two.example'), '*');
});

gate('what a browser is shown is in place of the API, for whoever reads', () =>
  withApi(
    mirror,
    async (url) => {
      const shown = await fetch(`${url}/page?x=1`);
      assert.equal([shown.status, await shown.text()], [200, 'Hello']);
      assert.is(shown.headers.get('content-type'), 'text/plain');
      assert.match(
        shown.headers.get('content-security-policy') ?? '',
        /^default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/,
      );
      for (const [name, value] of [
        ['x-content-type-options', 'nosniff'],
        ['referrer-policy', 'no-referrer'],
        ['cross-origin-resource-policy', 'same-origin'],
        ['cache-control', 'no-store'],
      ] as const)
        assert.is(shown.headers.get(name), value);
      assert.is((await fetch(`${url}/page`, { method: 'HEAD' })).status, 200);
      assert.is((await fetch(`${url}/page`, { method: 'POST' })).status, 401);
      for (const path of ['/', '/page/', '/constructor'])
        assert.is((await fetch(`${url}${path}`)).status, 401);
    },
    { site: createSite({ '/page': async () => ({ type: 'text/plain', body: 'Hello' }) }) },
  ),
);

gate('the limits of the door can be set', () =>
  withApi(
    length,
    async (url) => {
      const headers = { 'x-api-key': KEY };
      assert.is((await fetch(url, { method: 'POST', headers, body: '1234' })).status, 413);
    },
    { limits: { bodyBytes: 3 } },
  ),
);

gate.run();
