/** The Function URL's stand-in: who is let in, what the function is told, and what a browser is told. Signed as its callers sign. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { AwsClient } from 'aws4fetch';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { FunctionUrlEvent } from '../../../src/doors/lambda-event.ts';
import { createFunctionUrl, type FunctionUrlParts } from '../../../src/local/doors/function-url.ts';
import { awslambdaStandIn } from '../../../src/local/doors/runtime.ts';

const ID = 'AKIDEXAMPLE';
const SECRET = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';
const PAGE = 'https://page.example';

/** Answers with the event that it was given. */
const mirror: FunctionUrlParts['handler'] = async (event, stream) => {
  const headers = { 'content-type': 'application/json', 'x-function': 'yes' };
  awslambdaStandIn.HttpResponseStream.from(stream, { statusCode: 200, headers }).write(JSON.stringify(event));
  stream.end();
};

async function withUrl(
  run: (url: string, port: number) => Promise<void>,
  parts: Partial<FunctionUrlParts> = {},
) {
  const { server } = createFunctionUrl({
    handler: mirror,
    secretOf: (id) => (id === ID ? SECRET : undefined),
    allowedOrigins: () => [PAGE],
    ...parts,
  });
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

type Signing = { accessKeyId?: string; secretAccessKey?: string; service?: string; signQuery?: boolean };

function sign(
  url: string,
  init: RequestInit = {},
  { signQuery = false, ...signing }: Signing = {},
): Promise<Request> {
  const keys = {
    accessKeyId: ID,
    secretAccessKey: SECRET,
    region: 'us-east-1',
    service: 'lambda',
    retries: 0,
  };
  return new AwsClient({ ...keys, ...signing }).sign(url, { ...init, aws: { signQuery } });
}

const call = async (...request: Parameters<typeof sign>) => await fetch(await sign(...request));

const eventOf = async (response: Response) => (await response.json()) as FunctionUrlEvent;

const errorOf = async (response: Response) =>
  ((await response.json()) as { error: { code: string; message: string } }).error;

const access = suite('who is let in');

access('a signed request is let in as its access key', () =>
  withUrl(async (url) => {
    const event = await eventOf(await call(`${url}/v1/chat`, { method: 'POST', body: '{"prompt":"Hi"}' }));
    const { iam } = event.requestContext.authorizer;
    assert.equal([iam.userArn, iam.accessKey], [ID, ID]);
  }),
);

access('a presigned URL is let in as well', () =>
  withUrl(async (url) => {
    const init = { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } };
    const event = await eventOf(await call(`${url}/v1/chat`, init, { signQuery: true }));
    assert.equal([event.requestContext.authorizer.iam.userArn, event.body], [ID, '{}']);
  }),
);

access('an unsigned request, another key, another secret and another service are 403 with the reason', () =>
  withUrl(async (url) => {
    const init = { method: 'POST', body: '{}' };
    const tries: [Promise<Response>, RegExp][] = [
      [fetch(url, init), /not signed/],
      [fetch(url, { ...init, headers: { authorization: `Bearer ${SECRET}` } }), /AWS4-HMAC-SHA256/],
      [call(url, init, { accessKeyId: 'AKIDANOTHER' }), /AKIDANOTHER is unknown/],
      [call(url, init, { secretAccessKey: 'another' }), /does not match/],
      [call(url, init, { service: 'execute-api' }), /sign for lambda/],
    ];
    for (const [tried, reason] of tries) {
      const response = await tried;
      const { code, message } = await errorOf(response);
      assert.equal([response.status, code], [403, 'forbidden'], String(reason));
      assert.match(message, reason);
      assert.ok(response.headers.get('x-request-id'));
    }
  }),
);

access('what was changed after it was signed is 403', () =>
  withUrl(async (url) => {
    const signed = await sign(`${url}/a?b=c`, { method: 'POST', body: '{"prompt":"Hi"}' });
    const { headers } = signed;
    const send = async (path: string, init: RequestInit) =>
      (await fetch(url + path, { headers, ...init })).status;
    const body = '{"prompt":"Hi"}';
    assert.is(await send('/a?b=c', { method: 'POST', body }), 200);
    assert.is(await send('/a?b=c', { method: 'POST', body: '{"prompt":"Ho"}' }), 403);
    assert.is(await send('/a?b=d', { method: 'POST', body }), 403);
    assert.is(await send('/b?b=c', { method: 'POST', body }), 403);
    assert.is(await send('/a?b=c', { method: 'DELETE', body }), 403);
  }),
);

access('a signature is good for five minutes', async () => {
  const statusAfter = async (ms: number) => {
    let status = 0;
    const read = async (url: string) => {
      status = (await call(url)).status;
    };
    await withUrl(read, { now: () => Date.now() + ms });
    return status;
  };
  assert.is(await statusAfter(240_000), 200);
  assert.is(await statusAfter(310_000), 403);
});

access('a header that is sent twice is verified as its signer saw it', () =>
  withUrl(async (_url, port) => {
    const host = `localhost:${port}`;
    const { headers } = await sign(`http://${host}/`, { headers: { 'x-amz-meta-note': 'one,two' } });
    const lines = [...headers].filter(([name]) => name !== 'x-amz-meta-note').map((pair) => pair.join(': '));
    const notes = 'x-amz-meta-note: one\r\nx-amz-meta-note: two';
    const socket = connect(port, '127.0.0.1');
    socket.write(`GET / HTTP/1.1\r\nhost: ${host}\r\n${lines.join('\r\n')}\r\n${notes}\r\n\r\n`);
    const [heard] = await once(socket, 'data');
    assert.match(String(heard), /^HTTP\/1\.1 200 /);
    socket.destroy();
  }),
);

access('a caller whose key is not known is refused before his body is read', () =>
  withUrl(async (_url, port) => {
    const known = `AWS4-HMAC-SHA256 Credential=${ID}/20261122/us-east-1/lambda/aws4_request`;
    const refusedAs = async (authorization: string, length: number) => {
      const socket = connect(port, '127.0.0.1');
      const headers = `authorization: ${authorization}\r\ncontent-length: ${length}\r\n`;
      socket.write(`POST / HTTP/1.1\r\nhost: localhost\r\n${headers}\r\n{`);
      const [heard] = await once(socket, 'data');
      socket.destroy();
      return String(heard).slice(9, 12);
    };
    assert.is(await refusedAs(known.replace(ID, 'AKIDANOTHER'), 10), '403');
    assert.is(await refusedAs('Bearer key', 10), '403');
    assert.is(await refusedAs(known.replace(ID, 'AKIDANOTHER'), 9_999_999), '403');
    assert.is(await refusedAs(known, 9_999_999), '413');
  }),
);

access('a function may run for as long as it is told, and its door has limits', () => {
  const read = async (url: string) => {
    assert.is((await call(url)).status, 504);
    assert.is((await call(url, { method: 'POST', body: '1234' })).status, 413);
  };
  return withUrl(read, { handler: async () => {}, limits: { functionMs: 50, bodyBytes: 3 } });
});

access.run();

// ---

const events = suite('the event');

events('says what the request said, the path as it was sent', () =>
  withUrl(async (url, port) => {
    const path = '/a/b%2Fc%20d?q=1&q=2&e=&plus=a+b&enc=%C3%A9%2C';
    const event = await eventOf(
      await call(url + path, {
        method: 'POST',
        body: '{"é":1}',
        headers: { 'content-type': 'application/json', 'user-agent': 'a test' },
      }),
    );
    const { http, ...context } = event.requestContext;
    assert.equal([event.version, event.routeKey], ['2.0', '$default']);
    assert.is(event.rawPath, '/a/b%2Fc%20d');
    assert.is(event.rawQueryString, 'q=1&q=2&e=&plus=a+b&enc=%C3%A9%2C');
    assert.equal(event.queryStringParameters, { q: '1,2', e: '', plus: 'a b', enc: 'é,' });
    assert.is(event.headers['content-type'], 'application/json');
    assert.equal([event.body, event.isBase64Encoded], ['{"é":1}', false]);
    assert.equal(http, {
      method: 'POST',
      path: '/a/b/c d',
      protocol: 'HTTP/1.1',
      sourceIp: '127.0.0.1',
      userAgent: 'a test',
    });
    assert.equal([context.routeKey, context.stage], ['$default', '$default']);
    assert.is(context.domainName, `127.0.0.1:${port}`);
    assert.match(context.requestId, /^[0-9a-f-]{36}$/);
    assert.match(context.time, /^\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d \+0000$/);
    const [, day, month, year, time] = /^(\d+)\/(\w+)\/(\d+):(\S+)/.exec(context.time) ?? [];
    assert.is(Date.parse(`${day} ${month} ${year} ${time} GMT`), Math.floor(context.timeEpoch / 1000) * 1000);
    assert.ok(Math.abs(context.timeEpoch - Date.now()) < 60_000);
  }),
);

events('has no query, body and cookies where the request has none', () =>
  withUrl(async (url) => {
    const event = await eventOf(await call(url));
    assert.is(event.rawPath, '/');
    assert.is(event.rawQueryString, '');
    assert.is(event.isBase64Encoded, false);
    for (const name of ['queryStringParameters', 'body', 'cookies']) assert.not.ok(name in event, name);
  }),
);

events('has cookies one by one, and in their header', () =>
  withUrl(async (url) => {
    const event = await eventOf(await call(url, { headers: { cookie: 'a=1; b="2; 3"' } }));
    assert.equal(event.cookies, ['a=1', 'b="2', '3"']);
    assert.is(event.headers['cookie'], 'a=1; b="2; 3"');
  }),
);

events('joins the values of a header that was sent twice by a comma', () =>
  withUrl(async (url, port) => {
    const host = `localhost:${port}`;
    const lines = [...(await sign(`http://${host}/`)).headers].map((pair) => pair.join(': '));
    const socket = connect(port, '127.0.0.1');
    const twice = 'x-note: one\r\nX-Note: two\r\nconnection: close';
    socket.write(`GET / HTTP/1.1\r\nhost: ${host}\r\n${lines.join('\r\n')}\r\n${twice}\r\n\r\n`);
    let heard = '';
    for await (const data of socket) heard += data;
    assert.match(heard, '"x-note":"one,two"');
    assert.ok(url);
  }),
);

events('has text as text where the content type says so, and all else as base64', () =>
  withUrl(async (url) => {
    const sent = async (type: string, body: string | Uint8Array) => {
      const init = { method: 'POST', body, headers: { 'content-type': type } } as RequestInit;
      const event = await eventOf(await call(url, init));
      return [event.body, event.isBase64Encoded];
    };
    for (const type of [
      'application/json',
      'Application/JSON; charset=utf-8',
      'text/plain',
      'application/xml',
    ]) {
      assert.equal(await sent(type, 'é'), ['é', false], type);
    }
    for (const type of ['application/x-www-form-urlencoded', 'application/jsonl', 'image/png']) {
      assert.equal(await sent(type, 'é'), ['w6k=', true], type);
    }
    assert.equal(await sent('application/json', Uint8Array.of(0xff, 0xfe)), ['//4=', true]);
    const untyped = await eventOf(await call(url, { method: 'POST', body: Uint8Array.of(0x61) }));
    assert.equal([untyped.body, untyped.isBase64Encoded], ['YQ==', true]);
  }),
);

events('may hold names that every object knows, and a path that is badly encoded', () =>
  withUrl(async (url) => {
    const event = await eventOf(await call(`${url}/%E9?__proto__=1&constructor=2`));
    assert.equal(Object.entries(event.queryStringParameters ?? {}), [
      ['__proto__', '1'],
      ['constructor', '2'],
    ]);
    assert.equal([event.rawPath, event.requestContext.http.path], ['/%E9', '/%E9']);
  }),
);

events.run();

// ---

const browsers = suite('what a browser is told');

const preflight = (origin: string) => ({
  method: 'OPTIONS',
  headers: {
    origin,
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization',
  },
});

const corsOf = ({ headers }: Response) => [...headers].filter(([name]) => name.startsWith('access-control-'));

browsers('a preflight is answered without a signature and without the function', () =>
  withUrl(async (url) => {
    const response = await fetch(`${url}/v1/chat`, preflight(PAGE));
    assert.is(response.status, 200);
    assert.is(await response.text(), '');
    assert.is(response.headers.get('x-function'), null);
    assert.equal(Object.fromEntries(corsOf(response)), {
      'access-control-allow-origin': PAGE,
      'access-control-allow-methods': 'GET,POST,DELETE',
      'access-control-allow-headers':
        'authorization,content-type,x-amz-date,x-amz-security-token,x-amz-content-sha256',
      'access-control-max-age': '600',
    });
    assert.is(response.headers.get('vary'), 'Origin');
  }),
);

browsers('OPTIONS that asks for nothing is a request like any other', () =>
  withUrl(async (url) => {
    const init = { method: 'OPTIONS', headers: { origin: PAGE } };
    assert.is((await fetch(url, init)).status, 403);
    assert.is((await call(url, init)).headers.get('x-function'), 'yes');
  }),
);

browsers('an answer and a refusal may be read by a page that is listed', () =>
  withUrl(async (url) => {
    const init = { headers: { origin: PAGE } };
    for (const response of [await call(url, init), await fetch(url, init)]) {
      assert.equal(Object.fromEntries(corsOf(response)), {
        'access-control-allow-origin': PAGE,
        'access-control-expose-headers':
          'retry-after,x-cache,x-cancellable,x-chat-id,x-request-id,x-should-retry',
      });
      assert.is(response.headers.get('vary'), 'Origin');
    }
  }),
);

browsers('a page that is not listed, and a caller that is no page, are told nothing', () =>
  withUrl(async (url) => {
    for (const origin of ['https://evil.example', `${PAGE}.evil.example`, 'null']) {
      assert.equal(corsOf(await fetch(url, preflight(origin))), []);
      assert.equal(corsOf(await call(url, { headers: { origin } })), []);
    }
    assert.equal(corsOf(await call(url)), []);
  }),
);

browsers('a star lists every page, and the list is read anew for each request', () => {
  let origins = [PAGE];
  const read = async (url: string) => {
    assert.equal(corsOf(await fetch(url, preflight('https://any.example'))), []);
    origins = ['*'];
    const response = await fetch(url, preflight('https://any.example'));
    assert.is(response.headers.get('access-control-allow-origin'), '*');
  };
  return withUrl(read, { allowedOrigins: () => origins });
});

browsers.run();
