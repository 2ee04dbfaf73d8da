import { createHash, createHmac } from 'node:crypto';
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SignatureV4 } from '@smithy/signature-v4';
import { AwsClient, AwsV4Signer } from 'aws4fetch';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type SignedRequest, type Verdict, verifySignature } from '../../../src/local/sigv4/verify.ts';

const ID = 'AKIAIOSFODNN7EXAMPLE';
const SECRET = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';
const keys = { accessKeyId: ID, secretAccessKey: SECRET };
const secretOf = (id: string) => (id === ID ? SECRET : undefined);

const DATE = '20261122T120000Z';
const NOW = Date.UTC(2026, 10, 22, 12);
const MINUTE = 60_000;

const verify = (request: SignedRequest, options: { service?: string; now?: number } = {}) =>
  verifySignature(request, { service: 'lambda', secretOf, now: NOW, ...options });
const reasonOf = (verdict: Verdict) => (verdict.ok ? 'accepted' : verdict.reason);

const accepted = (verdict: Verdict, hint?: string) =>
  assert.equal(verdict, { ok: true, accessKeyId: ID }, hint);
const refused = (verdict: Verdict, reason: RegExp) => {
  assert.match(reasonOf(verdict), reason);
  assert.match(reasonOf(verdict), /^[A-Zx].*\.$/);
  assert.not.ok(reasonOf(verdict).includes(SECRET));
};

type Signing = Partial<ConstructorParameters<typeof AwsV4Signer>[0]> & { readonly url?: string };

/** A request that aws4fetch signed at `DATE`, as a server has it. */
async function signed(signing: Signing = {}): Promise<SignedRequest> {
  const signer = new AwsV4Signer({
    method: 'POST',
    url: 'http://127.0.0.1:3001/v1/chat?a=1&b=two',
    headers: { 'x-trace': 'abc', 'content-type': 'application/json' },
    body: signing.method === 'GET' ? '' : '{"prompt":"hi"}',
    ...keys,
    service: 'lambda',
    region: 'eu-west-1',
    datetime: DATE,
    ...signing,
  });
  const { method, url, headers, body } = await signer.sign();
  return {
    method,
    url: url.pathname + url.search,
    headers: { ...Object.fromEntries(headers), host: url.host },
    body: Buffer.from(typeof body === 'string' ? body : ''),
  };
}

const withHeaders = (request: SignedRequest, headers: SignedRequest['headers']): SignedRequest => ({
  ...request,
  headers: { ...request.headers, ...headers },
});

/** The signed request with a part of its authorization replaced. */
const withAuthorization = (request: SignedRequest, from: string | RegExp, to: string) =>
  withHeaders(request, { authorization: String(request.headers['authorization']).replace(from, to) });

// ---

/**
 * AWS's own signing test suite: its requests and the signatures that belong to them, as published in
 * https://github.com/awslabs/aws-c-auth/tree/main/tests/aws-signing-test-suite/v4 (the `normalized` ones, where there are two) and
 * https://github.com/smithy-lang/smithy-typescript/blob/main/packages/signature-v4/src/suite.fixture.ts
 */
const published = suite('the test suite that AWS published');

const suiteId = 'AKIDEXAMPLE';
const suiteSecret = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';
const suiteToken = '6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267';
const unreserved = '-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const vanilla = '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31';
const form = 'application/x-www-form-urlencoded';

type Vector = [
  signature: string,
  method: string,
  url: string,
  headers?: SignedRequest['headers'],
  body?: string,
];

const vectors: Record<string, Vector> = {
  'get-vanilla': [vanilla, 'GET', '/'],
  'get-relative': [vanilla, 'GET', '/example/..'],
  'get-relative-relative': [vanilla, 'GET', '/example1/example2/../..'],
  'get-slash': [vanilla, 'GET', '//'],
  'get-slash-dot-slash': [vanilla, 'GET', '/./'],
  'get-slash-pointless-dot': [
    'ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5',
    'GET',
    '/./example',
  ],
  'get-slashes': ['9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84', 'GET', '//example//'],
  'get-space': ['652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741', 'GET', '/example space/'],
  'get-unreserved': [
    '07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f',
    'GET',
    `/${unreserved}`,
  ],
  'get-utf8': ['8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85', 'GET', '/ሴ'],
  'get-vanilla-empty-query-key': [
    'a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb',
    'GET',
    '/?Param1=value1',
  ],
  'get-vanilla-query-order-encoded': [
    '371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac',
    'GET',
    '/?Param-3=Value3&Param=Value2&%E1%88%B4=Value1',
  ],
  'get-vanilla-query-order-key-case': [
    'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
    'GET',
    '/?Param2=value2&Param1=value1',
  ],
  'get-vanilla-query-unreserved': [
    '9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197',
    'GET',
    `/?${unreserved}=${unreserved}`,
  ],
  'get-vanilla-utf8-query': [
    '2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04',
    'GET',
    '/?ሴ=bar',
  ],
  'get-header-key-duplicate': [
    'c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea',
    'GET',
    '/',
    { 'my-header1': ['value2', 'value2', 'value1'] },
  ],
  'get-header-value-order': [
    '08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01',
    'GET',
    '/',
    { 'my-header1': ['value4', 'value1', 'value3', 'value2'] },
  ],
  'get-header-value-trim': [
    'acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736',
    'GET',
    '/',
    { 'my-header1': ' value1', 'my-header2': ' "a   b   c" ' },
  ],
  'get-vanilla-with-session-token': [
    '07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8',
    'GET',
    '/',
    { 'x-amz-security-token': suiteToken },
  ],
  'post-vanilla': ['5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b', 'POST', '/'],
  'post-header-value-case': [
    'cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d',
    'POST',
    '/',
    { 'my-header1': 'VALUE1' },
  ],
  'post-vanilla-query': [
    '28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11',
    'POST',
    '/?Param1=value1',
  ],
  'post-vanilla-query-nonunreserved': [
    '66c82657c86e26fb25238d0e69f011edc4c6df5ae71119d7cb98ed9b87393c1e',
    'POST',
    '/?@%23$%25^=&%2B=/,?><`";:\\|][{}',
  ],
  'post-x-www-form-urlencoded': [
    'ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a',
    'POST',
    '/',
    { 'content-type': form },
    'Param1=value1',
  ],
  'post-x-www-form-urlencoded-parameters': [
    '1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe',
    'POST',
    '/',
    { 'content-type': `${form}; charset=utf8` },
    'Param1=value1',
  ],
};

const verifyPublished = (request: SignedRequest) =>
  verifySignature(request, {
    service: 'service',
    secretOf: (id) => (id === suiteId ? suiteSecret : undefined),
    now: Date.UTC(2015, 7, 30, 12, 36),
  });

for (const [name, [signature, method, url, headers = {}, body = '']] of Object.entries(vectors)) {
  published(`${name} is accepted, and with another signature refused`, () => {
    const all = { host: 'example.amazonaws.com', 'x-amz-date': '20150830T123600Z', ...headers };
    const credential = `${suiteId}/20150830/us-east-1/service/aws4_request`;
    const signedHeaders = Object.keys(all).sort().join(';');
    const verdictOn = (given: string) =>
      verifyPublished({
        method,
        url,
        headers: {
          ...all,
          authorization: `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${signedHeaders}, Signature=${given}`,
        },
        body: Buffer.from(body),
      });
    assert.equal(verdictOn(signature), { ok: true, accessKeyId: suiteId });
    refused(verdictOn('0'.repeat(64)), /^The signature does not match/);
  });
}

const presignedVectors: Record<string, [url: string, signature: string]> = {
  'get-vanilla-query-order-key-case': [
    '/?Param2=value2&Param1=value1&',
    '86012e2c9ad4d77369f5d81c11f75158aae4f895a085212cc6d3f923d300bed5',
  ],
  'get-utf8': ['/ሴ?', '10eae3f14a260bd3911cc6d008d3c576d143b05b62f09782a7a4b37f52178e44'],
  'get-relative': ['/example/..?', 'e93c787ed7f371d5c6b165c1b38ede9550f4dce4144713e844b25b7192d3865d'],
};

for (const [name, [url, signature]] of Object.entries(presignedVectors)) {
  published(`${name}, presigned, is accepted`, () => {
    const query = `X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=${suiteId}%2F20150830%2Fus-east-1%2Fservice%2Faws4_request&X-Amz-Date=20150830T123600Z&X-Amz-SignedHeaders=host&X-Amz-Expires=3600&X-Amz-Signature=${signature}`;
    const request = { method: 'GET', headers: { host: 'example.amazonaws.com' }, body: Buffer.alloc(0) };
    assert.equal(verifyPublished({ ...request, url: url + query }), { ok: true, accessKeyId: suiteId });
  });
}

published.run();

// ---

const clients = suite('requests of real clients over a real connection');

/** A server that answers with its verdict. It signs nothing itself, so both sides have the machine's clock. */
async function startVerifier(service = 'lambda') {
  const server = createServer(async (request, response) => {
    const { method = '', url = '', headersDistinct: headers } = request;
    const body = Buffer.concat(await Array.fromAsync(request));
    const verdict = verifySignature({ method, url, headers, body }, { service, secretOf, now: Date.now() });
    response.end(JSON.stringify(verdict));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const odd = [
  '/',
  '/v1/chat',
  '/v1/models/global.amazon.nova-2-lite-v1:0',
  '/v1/models/global.amazon.nova-2-lite-v1%3A0',
  '/v1/chats/a%20b',
  '/v1/chats/a b',
  '/v1/chats/überraschung/日本',
  '/v1/chats/a%2Fb%2fc',
  "/it's(all)*here!",
  '/a//b/./c/../d/',
  '/%25zz/~-_.@$&=+,;',
  '/v1/chats?limit=10&next=abc',
  '/?z=1&a=2&a=1&A=3&a-b=4&a.b=5',
  '/?flag&empty=&=%26',
  '/?q=a%20b+c%2Bd&u=%C3%BC&slash=a/b&colon=a:b&star=*',
  '/?q=🚀&e=%F0%9F%9A%80&percent=100%25',
];

clients('aws4fetch signs any path, and any query whose names are not empty', async () => {
  await using verifier = await startVerifier();
  const client = new AwsClient({ ...keys, service: 'lambda', region: 'eu-west-1', retries: 0 });
  for (const path of odd.filter((path) => !path.includes('&=')))
    accepted((await (await client.fetch(verifier.url + path)).json()) as Verdict, path);
});

clients('aws4fetch signs JSON, event streams, tokens, every method and any region', async () => {
  await using verifier = await startVerifier();
  const accept = { accept: 'text/event-stream', 'content-type': 'application/json' };
  for (const region of ['us-east-1', 'ap-southeast-7', 'local']) {
    const client = new AwsClient({
      ...keys,
      sessionToken: 'a/token==',
      service: 'lambda',
      region,
      retries: 0,
    });
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      const init = { method, headers: accept, body: '{"prompt":"Wie spät ist es? 🕰"}' };
      accepted((await (await client.fetch(`${verifier.url}/v1/chat`, init)).json()) as Verdict, method);
    }
    accepted((await (await client.fetch(`${verifier.url}/v1/models`)).json()) as Verdict);
  }
});

clients('aws4fetch presigns', async () => {
  await using verifier = await startVerifier();
  const client = new AwsClient({ ...keys, sessionToken: 'a/token==', service: 'lambda', retries: 0 });
  for (const path of odd.filter((path) => !path.includes('&='))) {
    const presigned = await client.sign(verifier.url + path, { method: 'GET', aws: { signQuery: true } });
    accepted((await (await fetch(presigned.url)).json()) as Verdict, path);
  }
});

/** SHA-256 in the shape that `@smithy/signature-v4` asks for. */
class Sha256 {
  readonly #hash;
  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    const key = typeof secret === 'string' ? secret : secret && new Uint8Array(secret as ArrayBuffer);
    this.#hash = key === undefined ? createHash('sha256') : createHmac('sha256', key);
  }
  update(data: string | ArrayBuffer | ArrayBufferView) {
    this.#hash.update(typeof data === 'string' ? data : new Uint8Array(data as ArrayBuffer));
  }
  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }
}

type SmithyRequest = Parameters<SignatureV4['presign']>[0];

/** Sends it as it is: unlike `fetch`, `node:http` leaves a path alone. */
const send = (port: number, { method, path, query = {}, headers, body }: SmithyRequest) =>
  new Promise<Verdict>((resolve, reject) => {
    const encode = (text: string) => encodeURIComponent(text).replaceAll("'", '%27');
    const pairs = Object.entries(query).flatMap(([name, value]) =>
      [value ?? []].flat().map((one) => `${encode(name)}=${encode(one)}`),
    );
    const target = pairs.length > 0 ? `${path}?${pairs.join('&')}` : path;
    const outgoing = httpRequest({ port, host: '127.0.0.1', method, path: target, headers });
    outgoing.on('error', reject);
    outgoing.on('response', async (response: IncomingMessage) =>
      resolve(JSON.parse(Buffer.concat(await Array.fromAsync(response)).toString())),
    );
    outgoing.end(body);
  });

const smithy = (service = 'lambda') =>
  new SignatureV4({
    service,
    region: 'eu-west-1',
    credentials: { ...keys, sessionToken: 'a/token==' },
    sha256: Sha256,
  });

const smithyRequest = (port: number, changes: Partial<SmithyRequest> = {}): SmithyRequest => ({
  protocol: 'http:',
  hostname: '127.0.0.1',
  port,
  method: 'POST',
  path: '/v1/chat',
  headers: { host: `127.0.0.1:${port}`, 'content-type': 'application/json', 'x-odd': '  a   b ' },
  body: '{"prompt":"Wie spät ist es?"}',
  ...changes,
});

clients('the signer of the AWS SDK signs any path and query', async () => {
  await using verifier = await startVerifier();
  const query = { 'a b': 'c d', list: ['2', '1', '10'], "it's": '(*)!', plus: '+', 'a-': '1', a: '2', e: '' };
  const paths = odd.map((path) => new URL(path, 'http://a').pathname);
  for (const path of [...paths, '/a//b', '/a/./b/', '/a/../../b/..', '//', '/..', '/a/b/.', '/@a:b=c']) {
    for (const changes of [{ path }, { path, query }]) {
      const request = await smithy().sign(smithyRequest(verifier.port, changes));
      accepted(await send(verifier.port, request), path);
    }
  }
});

clients('the signer of the AWS SDK presigns, with a body too', async () => {
  await using verifier = await startVerifier('execute-api');
  const presigned = await smithy('execute-api').presign(smithyRequest(verifier.port), { expiresIn: 60 });
  accepted(await send(verifier.port, presigned));
  refused(await send(verifier.port, { ...presigned, body: '{}' }), /does not match/);
});

clients.run();

// ---

const verifying = suite('verifySignature');

verifying('the services of both kinds of door are told apart', async () => {
  for (const [service, other] of [
    ['lambda', 'execute-api'],
    ['execute-api', 's3'],
  ] as const) {
    const request = await signed({ service, method: 'GET' });
    accepted(verify(request, { service }));
    refused(
      verify(request, { service: other }),
      new RegExp(`^The signature is for the service ${service}; sign for ${other}\\.$`),
    );
  }
});

verifying('an unsigned request is told what to sign for, whatever else its authorization is', async () => {
  const bare = { method: 'GET', url: '/', headers: { host: 'a' }, body: Buffer.alloc(0) };
  refused(
    verify(bare),
    /^The request is not signed; sign it with AWS Signature Version 4 for the service lambda\.$/,
  );
  refused(verify(bare, { service: 'execute-api' }), /for the service execute-api\.$/);
  for (const authorization of ['', 'Bearer abc', 'Basic abc', 'AWS4-HMAC-SHA256', 'AWS4-ECDSA-P256-SHA256 a'])
    refused(verify(withHeaders(bare, { authorization })), /^The authorization header must read AWS4-HMAC/);
});

verifying('another secret does not match, and an unknown or empty one is unknown', async () => {
  refused(
    verify(await signed({ secretAccessKey: `${SECRET}x` })),
    /^The signature does not match: check the/,
  );
  refused(
    verify(await signed({ accessKeyId: 'AKIANOBODY' })),
    /^The access key AKIANOBODY is unknown here\.$/,
  );
  const emptyHanded = verifySignature(await signed({ secretAccessKey: '' }), {
    service: 'lambda',
    secretOf: () => '',
    now: NOW,
  });
  refused(emptyHanded, /is unknown here/);
});

verifying('a key named like a property of every object is unknown, even to a careless lookup', async () => {
  const table: Record<string, string> = { [ID]: SECRET };
  for (const accessKeyId of ['constructor', '__proto__', 'toString']) {
    const request = await signed({ accessKeyId });
    refused(
      verifySignature(request, { service: 'lambda', secretOf: (id) => table[id], now: NOW }),
      /is unknown here/,
    );
  }
});

verifying('the clock may be off by five minutes, and not by a moment more', async () => {
  const request = await signed();
  for (const now of [NOW, NOW - 5 * MINUTE, NOW + 5 * MINUTE]) accepted(verify(request, { now }));
  refused(verify(request, { now: NOW + 5 * MINUTE + 1 }), /^The request was signed more than 5 minutes ago;/);
  refused(verify(request, { now: NOW + 6 * MINUTE }), /ago/);
  refused(
    verify(request, { now: NOW - 5 * MINUTE - 1 }),
    /^The request was signed more than 5 minutes ahead;/,
  );
});

verifying('the day of the credential is the day of the request', async () => {
  const request = await signed({ datetime: '20261121T120000Z' });
  const moved = withHeaders(request, { 'x-amz-date': DATE });
  refused(verify(moved), /^The day in the credential is not the day of the request\.$/);
});

verifying('a time that is missing, twice or none is asked for', async () => {
  const request = await signed();
  const wrong = [
    undefined,
    [],
    [DATE, DATE],
    '',
    '20261322T120000Z',
    '2026-11-22T12:00:00Z',
    `${DATE} `,
    'Z',
  ];
  for (const date of wrong)
    refused(
      verify(withHeaders(request, { 'x-amz-date': date })),
      /^The request needs its time in x-amz-date/,
    );
});

verifying('host and all x-amz-* headers must be signed, and what is signed must be sent', async () => {
  const request = await signed({ sessionToken: 'token' });
  accepted(verify(request));
  refused(verify(withAuthorization(request, 'host;', '')), /^The host header must be signed\.$/);
  for (const name of ['x-amz-date', 'x-amz-security-token']) {
    refused(
      verify(withAuthorization(request, new RegExp(`;${name}(?=[;,])`), '')),
      new RegExp(`^The header ${name} was sent, but not signed\\.$`),
    );
  }
  refused(
    verify(withHeaders(request, { 'x-amz-target': 'x' })),
    /^The header x-amz-target was sent, but not/,
  );
  accepted(verify(withHeaders(request, { 'x-amz-target': undefined })));
  accepted(verify(withHeaders(request, { 'x-amzn-trace-id': 'Root=1', 'x-other': '1' })));
  refused(
    verify(withHeaders(request, { 'x-trace': undefined })),
    /^The signed header x-trace was not sent\.$/,
  );
});

verifying('a header that only the prototype of the headers has was not sent', async () => {
  const request = await signed({ headers: { 'a-b': '1', toString: 'x' } });
  const { tostring: _, ...headers } = request.headers;
  const inherited = { ...request, headers: Object.assign(Object.create({ tostring: 'x' }), headers) };
  refused(verify(inherited), /^The signed header tostring was not sent/);
  refused(
    verify(withAuthorization(await signed(), 'SignedHeaders=', 'SignedHeaders=__proto__;constructor;')),
    /^The signed header __proto__ was not sent/,
  );
});

verifying('headers are signed as they are read: trimmed, folded, and joined when there are two', async () => {
  const request = await signed({ headers: { 'x-trace': 'a b,c' } });
  for (const value of ['a b,c', '  a \t  b,c ', ['a b', ' c'], ['a\r\n b', 'c']])
    accepted(verify(withHeaders(request, { 'x-trace': value })), JSON.stringify(value));
  for (const value of ['ab,c', 'a b, c', ['c', 'a b'], ['a b', 'c', '']])
    refused(verify(withHeaders(request, { 'x-trace': value })), /does not match/);
  refused(verify(withHeaders(request, { host: ['127.0.0.1:3001', '127.0.0.1:3001'] })), /does not match/);
});

verifying('the body that arrived is what must have been signed', async () => {
  const body = Buffer.from('{"prompt":"hi"}');
  const hash = createHash('sha256').update(body).digest('hex');
  const declaring = (value: string) => signed({ headers: { 'x-amz-content-sha256': value } });
  accepted(verify(await declaring(hash)));
  refused(
    verify({ ...(await declaring(hash)), body: Buffer.from('{}') }),
    /^x-amz-content-sha256 is not the SHA-256/,
  );
  for (const wrong of [hash.toUpperCase(), 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD', '', 'unsigned-payload'])
    refused(verify(await declaring(wrong)), wrong === '' ? /./ : /^x-amz-content-sha256 is not the SHA-256/);
  refused(
    verify(await declaring('UNSIGNED-PAYLOAD')),
    /^The body must be signed too: UNSIGNED-PAYLOAD is refused, as Lambda refuses it\.$/,
  );
  refused(verify({ ...(await signed()), body: Buffer.from('{}') }), /^The signature does not match/);
});

verifying('an authorization holds its three fields once each, in any order, and nothing else', async () => {
  const request = await signed();
  const authorization = String(request.headers['authorization']);
  const [credential, signedHeaders, signature] = authorization.slice('AWS4-HMAC-SHA256 '.length).split(', ');
  const given = (...fields: (string | undefined)[]) =>
    verify(withHeaders(request, { authorization: `AWS4-HMAC-SHA256 ${fields.join(',')}` }));
  accepted(given(credential, signedHeaders, signature));
  accepted(given(signature, ` ${credential}`, `\t${signedHeaders} `));
  for (const fields of [
    [credential, signedHeaders],
    [signedHeaders, signature],
    [credential, signature],
    [credential, signedHeaders, signature, signature],
    [credential, signedHeaders, signature, 'Extra=1'],
    [credential, signedHeaders, signature, ''],
  ])
    refused(given(...fields), /^The authorization header must read/);
  refused(verify(withHeaders(request, { authorization: [authorization, authorization] })), /must read/);
  accepted(verify(withHeaders(request, { authorization: [authorization] })));
});

verifying('every part of an authorization has its form', async () => {
  const request = await signed();
  const credential = `${ID}/20261122/eu-west-1/lambda/aws4_request`;
  const wrongCredentials = [
    '',
    ID,
    credential.replace('aws4_request', 'aws4'),
    credential.replace('20261122', '2026112'),
    credential.replace('eu-west-1', ''),
    credential.replace('lambda', 'lam bda'),
    credential.replace(ID, 'A'.repeat(129)),
    `/${credential}`,
    `${credential}/`,
  ];
  for (const wrong of wrongCredentials)
    refused(
      verify(withAuthorization(request, credential, wrong)),
      /^The credential must read access-key\/yyyymmdd\/region\/service\/aws4_request\.$/,
    );
  for (const wrong of ['', 'Host', 'host;', ';host', 'x-trace;host', 'host;host', 'host;a b', 'höst'])
    refused(
      verify(withAuthorization(request, /SignedHeaders=[^,]*/, `SignedHeaders=${wrong}`)),
      /^SignedHeaders must be lower-case names in alphabetical order/,
    );
  for (const wrong of [
    '',
    'abc',
    'g'.repeat(64),
    'a'.repeat(63),
    'a'.repeat(65),
    'A'.repeat(64),
    'a'.repeat(66),
  ])
    refused(
      verify(withAuthorization(request, /Signature=\w*$/, `Signature=${wrong}`)),
      /^The signature must be 64 hexadecimal digits in lower case\.$/,
    );
});

verifying('what is too long is not looked into', async () => {
  const request = await signed();
  const long = 'a'.repeat(100_000);
  const tooLong = withAuthorization(request, 'SignedHeaders=', `SignedHeaders=${long};`);
  refused(verify(tooLong), /^The authorization header must read/);
  refused(verify({ ...request, url: `/?${'a&'.repeat(50_000)}` }), /^The URL is too long to be signed\.$/);
  const almost = withHeaders(await signed({ headers: { [`x-amz-${'a'.repeat(1000)}`]: '1' } }), {});
  refused(verify(withAuthorization(almost, /;x-amz-a+/, '')), /^The header x-amz-a{94} was sent, but not/);
});

verifying('a query is the same query however much of it is encoded', async () => {
  const request = await signed({ url: 'http://h/p?a%20b=%7E%C3%BC&c=%2F' });
  for (const query of ['a+b=~%c3%bc&c=/', '&c=%2f&&%61%20b=%7e%C3%bC', 'a b=~ü&c=/'])
    accepted(verify({ ...request, url: `/p?${query}` }), query);
  for (const query of ['a+b=~%c3%bc&c=%252F', 'a+b=~%c3%bc&c=/&', 'a+b=~%c3%bc&c=/&=', 'a+b=~%c3%bc'])
    (query.endsWith('/&') ? accepted : (verdict: Verdict) => refused(verdict, /does not match/))(
      verify({ ...request, url: `/p?${query}` }),
    );
});

verifying('escapes that are none are text, and bytes that are no text are bytes', async () => {
  const request = await signed({ url: 'http://h/%zz?%zz=%25&b' });
  accepted(verify(request));
  accepted(verify({ ...request, url: '/%zz?%25zz=%&b=' }));
  refused(verify({ ...request, url: '/%25zz?%zz=%25&b' }), /does not match/);
  refused(verify({ ...request, url: '/%zz?%zz=%ff&b' }), /does not match/);
});

verifying.run();

// ---

const presigning = suite('verifySignature of a presigned URL');

const presigned = (changes: Signing = {}, search = '') =>
  signed({ method: 'GET', url: `http://h/p?a=1${search}`, headers: {}, signQuery: true, ...changes });

presigning('it is good until X-Amz-Expires, and five minutes without one', async () => {
  const hour = await presigned({}, '&X-Amz-Expires=3600');
  accepted(verify(hour, { now: NOW - 5 * MINUTE }));
  accepted(verify(hour, { now: NOW + 60 * MINUTE }));
  refused(verify(hour, { now: NOW + 60 * MINUTE + 1 }), /^The presigned URL has expired; sign it again\.$/);
  refused(verify(hour, { now: NOW - 6 * MINUTE }), /ahead/);
  const short = await presigned();
  accepted(verify(short, { now: NOW + 5 * MINUTE }));
  refused(verify(short, { now: NOW + 5 * MINUTE + 1 }), /ago/);
  accepted(verify(await presigned({}, '&X-Amz-Expires=604800')));
  for (const expires of ['0', '604801', '-1', '1e3', '', 'soon', '60&X-Amz-Expires=60'])
    refused(
      verify(await presigned({}, `&X-Amz-Expires=${expires}`)),
      /^X-Amz-Expires must be 1 to 604800 seconds/,
    );
});

presigning('each of its parts is there, once, and right', async () => {
  const request = await presigned({ sessionToken: 'token' });
  accepted(verify(request));
  const without = (name: string) => request.url.replace(new RegExp(`&${name}=[^&]*`), '');
  for (const name of ['X-Amz-Algorithm', 'X-Amz-Credential', 'X-Amz-SignedHeaders', 'X-Amz-Signature']) {
    const needs = new RegExp(`^A presigned URL needs ${name}, once\\.$`);
    refused(verify({ ...request, url: without(name) }), needs);
    refused(verify({ ...request, url: `${request.url}&${name}=a` }), needs);
  }
  refused(verify({ ...request, url: without('X-Amz-Date') }), /needs its time/);
  refused(verify({ ...request, url: without('X-Amz-Security-Token') }), /does not match/);
  refused(verify({ ...request, url: `${request.url}&a=2` }), /does not match/);
  refused(
    verify({ ...request, url: request.url.replace('HMAC-SHA256', 'HMAC-SHA1') }),
    /^X-Amz-Algorithm must be AWS4-HMAC-SHA256\.$/,
  );
  for (const bytes of ['%FF', '%zz'])
    refused(
      verify({ ...request, url: request.url.replace('Credential=', `Credential=${bytes}`) }),
      /credential/,
    );
});

presigning('its body and its headers are held to the same rules', async () => {
  const request = await presigned();
  refused(verify({ ...request, body: Buffer.from('x') }), /does not match/);
  refused(verify(withHeaders(request, { 'x-amz-date': DATE })), /^The header x-amz-date was sent, but not/);
  refused(
    verify(await presigned({}, '&X-Amz-Content-Sha256=UNSIGNED-PAYLOAD')),
    /UNSIGNED-PAYLOAD is refused/,
  );
  refused(verify(await presigned({}, '&X-Amz-Content-Sha256=abc')), /is not the SHA-256/);
  refused(
    verify(withHeaders(request, { authorization: 'Bearer x' })),
    /^Sign by header or by query, not by both\.$/,
  );
});

presigning.run();

// ---

const properties = suite('whatever is sent');

const printable = fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code));
const replaceAt = (text: string, at: number, by: string) => text.slice(0, at) + by + text.slice(at + 1);

properties('no single byte can be changed', async () => {
  const request = await signed({ sessionToken: 'token' });
  const text = (part: string) =>
    ({
      method: request.method,
      url: request.url,
      ...(request.headers as Record<string, string>),
    })[part];
  const parts = ['method', 'url', 'host', 'x-trace', 'x-amz-date', 'x-amz-security-token', 'authorization'];
  const change = fc.record({ part: fc.constantFrom(...parts), at: fc.nat(), by: printable });
  fc.assert(
    fc.property(change, ({ part, at, by }) => {
      const before = text(part) ?? '';
      const after = replaceAt(before, at % before.length, by);
      fc.pre(after !== before);
      const isHeader = part !== 'method' && part !== 'url';
      return !verify(isHeader ? withHeaders(request, { [part]: after }) : { ...request, [part]: after }).ok;
    }),
    { numRuns: 3000 },
  );
  fc.assert(
    fc.property(fc.nat(request.body.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const body = Uint8Array.from(request.body, (byte, index) => (index === at ? byte ^ flip : byte));
      return !verify({ ...request, body }).ok;
    }),
  );
  accepted(verify(request));
});

properties('no single byte of a presigned URL can be changed', async () => {
  const request = await presigned({}, '&X-Amz-Expires=3600');
  const url = request.url;
  fc.assert(
    fc.property(fc.nat(url.length - 1), printable, (at, by) => {
      fc.pre(url[at] !== by);
      const after = replaceAt(url, at, by);
      const isSameInCapitals = after.toLowerCase() === url.toLowerCase() && /%\w?$/.test(url.slice(0, at));
      fc.pre(!isSameInCapitals);
      return !verify({ ...request, url: after }).ok;
    }),
    { numRuns: 2000 },
  );
});

properties('garbage is refused with a sentence, and throws nothing', async () => {
  const { headers } = await signed();
  const name = fc.constantFrom(
    ...Object.keys(headers),
    '__proto__',
    'constructor',
    'x-amz-a',
    'x-amz-content-sha256',
  );
  const value = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.constantFrom(...Object.values(headers), undefined),
    fc.array(fc.string()),
    fc
      .string()
      .map((text) => `AWS4-HMAC-SHA256 Credential=${text}, SignedHeaders=${text}, Signature=${text}`),
  );
  const parameter = fc.constantFrom(
    'X-Amz-Algorithm=AWS4-HMAC-SHA256',
    `X-Amz-Credential=${ID}/20261122/r/lambda/aws4_request`,
    `X-Amz-Date=${DATE}`,
    'X-Amz-SignedHeaders=host',
    `X-Amz-Signature=${'a'.repeat(64)}`,
    'X-Amz-Expires=60',
    '%zz=%',
    '\ud800=\udfff',
    '%FF',
    '=',
  );
  const request = fc.record({
    method: fc.string(),
    url: fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(parameter).map((parameters) => `/%zz/\ud800?${parameters.join('&')}`),
    ),
    headers: fc.array(fc.tuple(name, value)).map((pairs) => Object.fromEntries(pairs)),
    body: fc.uint8Array(),
  });
  fc.assert(
    fc.property(request, (sent) => {
      const verdict = verify(sent as SignedRequest);
      refused(verdict, /./);
    }),
    { numRuns: 2000 },
  );
});

properties.run();
