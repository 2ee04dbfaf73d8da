import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SSMProvider } from '@aws-lambda-powertools/parameters/ssm';
import { type Parameter, SSM } from '@aws-sdk/client-ssm';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createParameterStore, type ParameterStoreOptions } from '../../../src/local/ssm/store.ts';

type Answer = {
  readonly __type?: string;
  readonly message?: string;
  readonly Parameter?: Parameter;
  readonly Parameters?: Parameter[];
  readonly NextToken?: string;
};

/** A store behind a server of its own that holds each of the names as its value. */
async function open(options: ParameterStoreOptions = {}, ...names: string[]) {
  const server = createServer(createParameterStore(options).handle).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  const ssm = new SSM({ endpoint: url, region: 'us-east-1', credentials, maxAttempts: 1 });

  async function post(target: string, body: string, path = '/', method = 'POST') {
    const headers = { 'x-amz-target': target };
    const response = await fetch(url + path, { method, headers, ...(method !== 'GET' && { body }) });
    const answer = (await response.json()) as Answer;
    return { ...answer, said: `${response.status} ${answer.__type ?? ''}`, headers: response.headers };
  }
  const call = (operation: string, input = {}) => post(`AmazonSSM.${operation}`, JSON.stringify(input));
  const put = (Name: string, Value = Name) =>
    ssm.putParameter({ Name, Value, Type: 'String', Overwrite: true });
  const read = async (Name: string) => (await ssm.getParameter({ Name })).Parameter?.Value;

  for (const name of names) await put(name);
  const close = async () => {
    ssm.destroy();
    server.closeAllConnections();
    await server[Symbol.asyncDispose]();
  };
  return { server, port, ssm, post, call, put, read, [Symbol.asyncDispose]: close };
}

type Store = Awaited<ReturnType<typeof open>>;

/** A folder that is gone after the test, and where in it the parameters are to be kept. */
function folder() {
  const parent = mkdtempSync(join(tmpdir(), 'parameters-'));
  const path = join(parent, 'deep', 'ssm.json');
  return { parent, path, [Symbol.dispose]: () => rmSync(parent, { recursive: true }) };
}

const namesOf = ({ Parameters = [] }: Answer) => Parameters.map(({ Name }) => Name).join(' ');
const versionsOf = ({ Parameters = [] }: Answer) => Parameters.map(({ Version }) => Version);
const range = (length: number) => Array.from({ length }, (_, index) => index + 1);

const stores = suite('createParameterStore');

stores('a parameter begins at version 1, and what an overwrite does not say stays as it was', async () => {
  await using store = await open({ now: () => 1_700_000_000_123 });
  const written = { Name: '/app/a', Type: 'SecureString', Tier: 'Advanced' } as const;
  const first = await store.ssm.putParameter({ ...written, Value: 'x'.repeat(8192) });
  assert.equal([first.Version, first.Tier], [1, 'Advanced']);
  const overwrite = (Value: string) => store.call('PutParameter', { Name: '/app/a', Value, Overwrite: true });
  assert.is((await overwrite('y'.repeat(8193))).said, '400 ValidationException');
  await overwrite('y'.repeat(8192));
  const ARN = 'arn:aws:ssm:us-east-1:000000000000:parameter/app/a';
  const common = { ARN, DataType: 'text', LastModifiedDate: new Date(1_700_000_000_123) };
  const described = await store.ssm.describeParameters({});
  assert.equal(described.Parameters, [{ ...common, ...written, Version: 2 }]);
  await store.put('/app/a', '10');
  const { Parameter } = await store.ssm.getParameter({ Name: '/app/a' });
  assert.equal(Parameter, { ...common, Name: '/app/a', Type: 'String', Value: '10', Version: 3 });
});

stores('names and values at the limits are taken', async () => {
  const names = ['/x'.repeat(15), `/${'n'.repeat(966)}`, '/a/aws/ssm', '/_.-9Z', '__proto__', 'constructor'];
  await using store = await open({}, ...names);
  for (const name of names) assert.is(await store.read(name), name);
  for (const value of ['é'.repeat(2048), '}}{{', ' ']) {
    assert.is((await store.put('/a', value)).Tier, 'Standard');
    assert.is(await store.read('/a'), value);
  }
});

stores('the 100 newest versions are kept, to be asked for by number or page by page', async () => {
  await using store = await open({}, '/b');
  for (const version of range(101)) await store.put('/a', `value ${version}`);
  assert.is((await store.call('GetParameter', { Name: '/a:1' })).said, '400 ParameterVersionNotFound');
  const { Parameter } = await store.call('GetParameter', { Name: '/a:2' });
  assert.equal([Parameter?.Name, Parameter?.Value, Parameter?.Version], ['/a', 'value 2', 2]);
  assert.equal([await store.read('/a'), await store.read('/b:1')], ['value 101', '/b']);
  const first = await store.call('GetParameterHistory', { Name: '/a', MaxResults: 9 });
  assert.equal(versionsOf(first), range(10).slice(1));
  const second = await store.call('GetParameterHistory', { Name: '/a', NextToken: first.NextToken });
  assert.equal(versionsOf(second), range(60).slice(10));
});

stores('a SecureString is only readable with decryption', async () => {
  await using store = await open();
  const Name = '/secret';
  await store.ssm.putParameter({ Name, Value: 'hush', Type: 'SecureString' });
  const read = async (WithDecryption: boolean) => [
    (await store.call('GetParameter', { Name, WithDecryption })).Parameter?.Value,
    (await store.call('GetParameters', { Names: [Name], WithDecryption })).Parameters?.[0]?.Value,
    (await store.call('GetParametersByPath', { Path: '/', WithDecryption })).Parameters?.[0]?.Value,
    (await store.call('GetParameterHistory', { Name, WithDecryption })).Parameters?.[0]?.Value,
  ];
  assert.equal(await read(true), ['hush', 'hush', 'hush', 'hush']);
  const [cipher, ...others] = await read(false);
  assert.match(cipher ?? '', /^AQICA[\w+/]{40,}=*$/);
  assert.equal(others, [cipher, cipher, cipher]);
});

stores('several are read or deleted at once, apart from those that do not exist', async () => {
  await using store = await open({}, '/a', '/a', '/b', '/c');
  const read = await store.ssm.getParameters({ Names: ['/c', '/a:9', '/none', '/a:1'] });
  assert.equal([read.Parameters?.length, read.InvalidParameters], [2, ['/a:9', '/none']]);
  const gone = await store.ssm.deleteParameters({ Names: ['/a', '/none', '/c', '__proto__'] });
  assert.equal(gone.DeletedParameters, ['/a', '/c']);
  assert.equal(gone.InvalidParameters, ['/none', '__proto__']);
  assert.is(namesOf(await store.call('DescribeParameters')), '/b');
  assert.is((await store.put('/a')).Version, 1);
});

const names = ['/a b', '/a//b', '/a:1', '/ä', ' ', '', 'a/b', '/a/', 'arn:aws:ssm:us-east-1:0:parameter/a'];
const filter = { Key: 'Path', Option: 'Recursive', Values: ['/app'] };
const wrongFilters = [{ Key: 'Type' }, { Option: 'Equals' }, { Values: [] }, { Values: ['app'] }].map(
  (wrong) => [{ ...filter, ...wrong }],
);

/** What each operation needs beside the field in question. */
const needs: Record<string, object> = {
  PutParameter: { Name: '/new', Value: 'hush', Type: 'String' },
  GetParameterHistory: { Name: '/a' },
  GetParametersByPath: { Path: '/' },
};

/** Operation, failure, a field of the request, and values of it that it fails for when there is only `/a`. */
const refusals: [operation: string, failure: string, field: string, values: unknown[]][] = [
  ['PutParameter', 'ValidationException', 'Name', [...names, 'awsome', '/SSMx', '/Aws/x']],
  ['PutParameter', 'ValidationException', 'Name', ['/x'.repeat(16), `/${'n'.repeat(967)}`]],
  ['PutParameter', 'ValidationException', 'Value', ['', undefined, 5, '{{ssm:\n/b}} y', 'é'.repeat(2049)]],
  ['PutParameter', 'ValidationException', 'Type', [undefined, 'Number']],
  ['PutParameter', 'ValidationException', 'Tier', ['Intelligent-Tiering']],
  ['PutParameter', 'ValidationException', 'Tags', [[]]],
  ['PutParameter', 'ParameterAlreadyExists', 'Name', ['/a']],
  ['GetParameter', 'ParameterNotFound', 'Name', ['/b', '/b:1', 'a', 'toString', '__proto__']],
  ['GetParameter', 'ParameterVersionNotFound', 'Name', ['/a:2', '/a:01', '/a:label']],
  ['GetParameter', 'ValidationException', 'Name', ['/a/', '/a:1:2', '', null, ['/a']]],
  ['GetParameters', 'ValidationException', 'Names', [[], range(11).map(() => '/a')]],
  ['GetParameterHistory', 'ParameterNotFound', 'Name', ['/b']],
  ['GetParameterHistory', 'ValidationException', 'MaxResults', [0, 51]],
  ['GetParametersByPath', 'ValidationException', 'MaxResults', [0, 11]],
  ['GetParametersByPath', 'ValidationException', 'Path', ['app', '/a b', '//', '/a:1', '']],
  ['DescribeParameters', 'ValidationException', 'MaxResults', [0, 51, 1.5, '9']],
  ['DescribeParameters', 'InvalidNextToken', 'NextToken', ['10', '']],
  ['DescribeParameters', 'ValidationException', 'ParameterFilters', wrongFilters],
  ['DeleteParameter', 'ParameterNotFound', 'Name', ['/b']],
  ['DeleteParameter', 'ValidationException', 'Name', names],
  ['DeleteParameters', 'ValidationException', 'Names', [[], range(11).map(() => '/a')]],
];

stores('what breaks a rule is refused by name, changes nothing and tells no value', async () => {
  await using store = await open({}, '/a');
  for (const [operation, failure, field, values] of refusals) {
    for (const value of values) {
      const { said, message = '' } = await store.call(operation, { ...needs[operation], [field]: value });
      assert.is(said, `400 ${failure}`, `${operation} ${field} ${value}`);
      assert.not.match(message, 'hush');
    }
  }
  assert.is(namesOf(await store.call('DescribeParameters')), '/a');
  assert.is(await store.read('/a'), '/a');
});

stores('parameters are found by path and by filters, in the order of their names', async () => {
  await using store = await open({}, '/app/a', '/app/b/c', '/app/b/d/e', '/apple', '/app/z', '/app');
  const byPath = async (Path: string, Recursive?: boolean) =>
    namesOf(await store.call('GetParametersByPath', { Path, Recursive }));
  assert.is(await byPath('/app'), '/app/a /app/z');
  assert.is(await byPath('/app/', false), '/app/a /app/z');
  assert.is(await byPath('/app', true), '/app/a /app/b/c /app/b/d/e /app/z');
  assert.is(await byPath('/'), '/app /apple');
  assert.is(await byPath('/none', true), '');
  const byFilter = async (Key: string, Option: string | undefined, Values: string[], ...others: object[]) => {
    const ParameterFilters = [{ Key, Option, Values }, ...others];
    return namesOf(await store.call('DescribeParameters', { ParameterFilters }));
  };
  assert.is(await byFilter('Name', undefined, ['/app/a', '/app/']), '/app/a');
  assert.is(await byFilter('Name', 'Equals', ['/app']), '/app');
  assert.is(await byFilter('Name', 'BeginsWith', ['/app/b', 'app']), '/app/b/c /app/b/d/e');
  assert.is(await byFilter('Name', 'Contains', ['p/b', 'none']), '/app/b/c /app/b/d/e');
  assert.is(await byFilter('Path', undefined, ['/', '/app/b']), '/app /app/b/c /apple');
  assert.is(await byFilter('Path', 'Recursive', ['/app/b/']), '/app/b/c /app/b/d/e');
  assert.is(await byFilter('Name', 'Contains', ['a/', 'z'], filter), '/app/z');
});

stores('pages are 10 long unless said, and changes between two of them move nothing else', async () => {
  await using store = await open({}, ...range(25).map((index) => `/p/${index + 10}`));
  const all = await store.call('DescribeParameters', { MaxResults: 25 });
  assert.equal([all.Parameters?.length, all.NextToken], [25, undefined]);
  const first = await store.call('DescribeParameters');
  assert.is(namesOf(first), '/p/11 /p/12 /p/13 /p/14 /p/15 /p/16 /p/17 /p/18 /p/19 /p/20');
  await store.call('DeleteParameter', { Name: '/p/20' });
  for (const name of ['/a', '/p/12']) await store.put(name);
  const second = await store.call('GetParametersByPath', { Path: '/p', NextToken: first.NextToken });
  assert.is(namesOf(second), '/p/21 /p/22 /p/23 /p/24 /p/25 /p/26 /p/27 /p/28 /p/29 /p/30');
  const third = await store.call('DescribeParameters', { NextToken: second.NextToken });
  assert.equal([namesOf(third), third.NextToken], ['/p/31 /p/32 /p/33 /p/34 /p/35', undefined]);
});

stores('Powertools reads 13 parameters over two pages', async () => {
  const expected = Object.fromEntries(range(13).map((index) => [`name-${index}`, `/gateway/name-${index}`]));
  await using store = await open({}, ...Object.values(expected));
  let pages = 0;
  store.server.on('request', () => (pages += 1));
  assert.equal(await new SSMProvider({ awsSdkV3Client: store.ssm }).getMultiple('/gateway'), expected);
  assert.is(pages, 2);
});

stores('any other operation, path or method is unknown, and each answer has an id of its own', async () => {
  await using store = await open();
  const known = 'AmazonSSM.DescribeParameters';
  const answers = await Promise.all([
    ...['PUT', 'GET'].map((method) => store.post(known, '{}', '/', method)),
    ...['/ssm', '/?'].map((path) => store.post(known, '{}', path)),
    ...['GetDocument', '__proto__', 'x.y'].map((operation) => store.call(operation)),
    store.post(`X.${known}`, '{}'),
  ]);
  for (const { said, headers } of answers) {
    assert.is(said, '400 UnknownOperationException');
    assert.is(headers.get('content-type'), 'application/x-amz-json-1.1');
  }
  const ids = answers.map(({ headers }) => headers.get('x-amzn-requestid') ?? '');
  assert.match([...new Set(ids)].join(' '), /^([0-9a-f-]{36} ?){8}$/);
});

stores('a body that is no request, or of more than 1 MB, is refused, and its sender is told', async () => {
  await using store = await open();
  const post = async (body: string) => (await store.post('AmazonSSM.GetParameter', body)).said;
  for (const body of ['', '{', '{"Name":"/a"}}', 'Name=/a', '\0']) {
    assert.is(await post(body), '400 SerializationException', body);
  }
  for (const body of ['null', '[]', '"x"', '{}', '{"Name":{"__proto__":1}}']) {
    assert.is(await post(body), '400 ValidationException', body);
  }
  const limit = 1024 * 1024;
  assert.is(await post('{"Name":"/a"}'.padEnd(limit)), '400 ParameterNotFound');
  for (const size of [limit + 1, 20 * limit])
    assert.is(await post('0'.repeat(size)), '400 ValidationException');
});

stores('a client that leaves in the middle harms nobody', async () => {
  await using store = await open({}, '/a');
  const head = 'POST / HTTP/1.1\r\nhost: x\r\nx-amz-target: AmazonSSM.DeleteParameter\r\n';
  const chunk = 'transfer-encoding: chunked\r\n\r\nd\r\n{"Name":"/a"}\r\n';
  for (const rest of ['content-length: 100\r\n\r\n{"Name":"/a"}', chunk, `${chunk}nonsense\r\n`]) {
    const begun = once(store.server, 'request');
    const closed = new Promise((resolve) =>
      store.server.once('request', (request: IncomingMessage) => request.once('close', resolve)),
    );
    const socket = connect(store.port, '127.0.0.1').on('error', () => {});
    socket.write(head + rest);
    await begun;
    socket.resetAndDestroy();
    await closed;
  }
  assert.is(await store.read('/a'), '/a');
});

stores('a change is in the file when its answer comes, and the file is replaced as a whole', async () => {
  using place = folder();
  const kept = () => readFileSync(place.path, 'utf8');
  await using store = await open(place);
  await store.call('PutParameter', { Name: '/a b' });
  assert.equal(readdirSync(place.parent), []);
  await store.put('/a', 'first value');
  assert.match(kept(), 'first value');
  const before = statSync(place.path).ino;
  await store.put('/b', 'second value');
  assert.match(kept(), 'second value');
  assert.is.not(statSync(place.path).ino, before);
  assert.is(statSync(place.path).mode & 0o777, 0o600);
  assert.equal(readdirSync(join(place.parent, 'deep')), ['ssm.json']);
  await store.call('DeleteParameter', { Name: '/a' });
  assert.not.match(kept(), 'first value');
  await store.call('DeleteParameters', { Names: ['/b'] });
  assert.is(kept(), '[]\n');
});

stores('puts that come together are all kept, each as its own version', async () => {
  using place = folder();
  await using store = await open(place);
  const values = range(20).map((index) => `value ${index}`);
  await Promise.all(values.map((value) => store.put('/a', value)));
  await using again = await open(place);
  const history = await again.call('GetParameterHistory', { Name: '/a' });
  assert.equal(versionsOf(history), range(20));
  assert.equal(history.Parameters?.map(({ Value }) => Value).sort(), values.sort());
});

stores('a change that cannot be written is a failure, and did not happen', async () => {
  using place = folder();
  await using store = await open(place, '/a');
  mkdirSync(`${place.path}.tmp`);
  const { said, message } = await store.call('PutParameter', { Name: '/a', Value: 'lost', Overwrite: true });
  assert.is(said, '500 InternalServerError');
  assert.match(message ?? '', /^The embedded Parameter Store failed: .*EISDIR/);
  assert.is(await store.read('/a'), '/a');
  rmSync(`${place.path}.tmp`, { recursive: true });
  assert.is((await store.put('/a')).Version, 2);
});

stores('a file that does not hold parameters is refused by name, with what to do', () => {
  using place = folder();
  const refuse = (path: string) => {
    const sentence = `The parameters in ${path} cannot be read: delete the file to start without any.`;
    assert.throws(() => createParameterStore({ path }), sentence);
  };
  refuse(place.parent);
  const path = join(place.parent, 'ssm.json');
  for (const text of ['', '[', '{}', 'null', '[{}]', '[{"name":"/a"}]', '["/a"]']) {
    writeFileSync(path, text);
    refuse(path);
  }
});

const anyStep = fc.record({
  operation: fc.constantFrom('PutParameter', 'PutParameter', 'GetParameter', 'DeleteParameter'),
  Name: fc.constantFrom('/a', '/a/b', '/A', 'b', '__proto__', 'constructor', '/x.y-z_0/1'),
  Value: fc.string({ unit: 'binary', minLength: 1 }).filter((value) => !/\{\{.*\}\}/s.test(value)),
  Type: fc.constantFrom('String', 'StringList', 'SecureString'),
  Overwrite: fc.boolean(),
});

type Step = ReturnType<typeof anyStep.generate>['value'];
type Model = Map<string, [value: string, version: number]>;

/** Takes one step in the store, and in the model that it must agree with. */
async function take(step: Step, { call }: Store, model: Model) {
  const { operation, Name, Value, Type, Overwrite } = step;
  const [, version = 0] = model.get(Name) ?? [];
  if (operation === 'DeleteParameter') {
    assert.is((await call(operation, { Name })).said, model.delete(Name) ? '200 ' : '400 ParameterNotFound');
  } else if (operation === 'PutParameter') {
    const { said } = await call(operation, { Name, Value, Type, Overwrite });
    assert.is(said, version > 0 && !Overwrite ? '400 ParameterAlreadyExists' : '200 ');
    if (said === '200 ') model.set(Name, [Value, version + 1]);
  }
  const { Parameter } = await call('GetParameter', { Name, WithDecryption: true });
  assert.equal(Parameter && [Parameter.Value, Parameter.Version], model.get(Name));
}

/** All that can be read of a store. */
async function readAll({ call }: Store) {
  const { Parameters = [] } = await call('DescribeParameters');
  const read = ({ Name }: Parameter) => call('GetParameterHistory', { Name, WithDecryption: true });
  return [Parameters, (await Promise.all(Parameters.map(read))).map((history) => history.Parameters)];
}

stores('any steps agree with a Map, and a store opened again is the one that was closed', async () => {
  const isSo = fc.asyncProperty(fc.array(anyStep, { maxLength: 25 }), async (steps) => {
    using place = folder();
    let nowMs = 0;
    await using store = await open({ ...place, now: () => (nowMs += 1001) });
    const model: Model = new Map();
    for (const step of steps) await take(step, store, model);
    assert.is(namesOf(await store.call('DescribeParameters')), [...model.keys()].sort().join(' '));
    await using again = await open(place);
    assert.equal(await readAll(again), await readAll(store));
  });
  await fc.assert(isSo, { numRuns: 40 });
});

stores.run();
