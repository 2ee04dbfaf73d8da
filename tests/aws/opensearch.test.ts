/** The index of questions, over real sockets, in a domain and in a collection that refuse what AWS's would. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createOpenSearch, OpenSearchError, serviceOf } from '../../src/aws/opensearch.ts';
import { CURATED, EVERYBODY, type IndexedQuestion } from '../../src/chat/similarity.ts';
import type { OpenSearchFault, OpenSearchServerOptions } from '../../src/local/opensearch/server.ts';
import { until } from '../helpers/gateway.ts';
import { searchKeys, startOpenSearch } from '../helpers/opensearch.ts';
import { rejectionOf } from '../helpers/rejects.ts';

const NAME = 'gateway-questions';

/** So many degrees from where the search begins. */
function vectorAt(degrees: number): number[] {
  const angle = (degrees * Math.PI) / 180;
  return Array.from({ length: 1024 }, (_, at) => [Math.cos(angle), Math.sin(angle)][at] ?? 0);
}

const entry = (degrees: number, changes: Partial<IndexedQuestion> = {}): IndexedQuestion => ({
  tenant: 'alice',
  audience: 'of-alice',
  question: `at ${degrees}`,
  figures: '',
  expires: 2_000,
  vector: vectorAt(degrees),
  ...changes,
});

const wanted = {
  tenants: [EVERYBODY, 'alice'],
  audiences: [CURATED, 'of-alice'],
  figures: '',
  now: 1_000,
  vector: vectorAt(0),
};

const questionsOf = (found: readonly IndexedQuestion[]) => found.map(({ question }) => question);

const never = new AbortController().signal;

/** What the call rejects with, which is OpenSearch's. */
async function errorOf(call: Promise<unknown>): Promise<OpenSearchError> {
  const error = await rejectionOf(call);
  if (error instanceof OpenSearchError) return error;
  throw error;
}

type Options = Pick<OpenSearchServerOptions, 'service' | 'path'> & {
  readonly fault?: (call: string) => OpenSearchFault | undefined;
  readonly secretAccessKey?: string;
};

async function open(options: Options = {}) {
  const { service = 'es', fault, secretAccessKey = searchKeys.secretAccessKey, ...rest } = options;
  const server = await startOpenSearch({
    ...rest,
    service,
    ...(fault && { fault: (method, path) => fault(`${method} ${path}`) }),
  });
  const connect = () => openAt(server.url, service, secretAccessKey);
  return { ...server, index: connect(), connect, [Symbol.asyncDispose]: server.close };
}

const openAt = (
  endpoint: string,
  service: 'es' | 'aoss' = 'es',
  secretAccessKey = searchKeys.secretAccessKey,
) =>
  createOpenSearch({
    endpoint,
    index: NAME,
    service,
    credentials: async () => ({ ...searchKeys, secretAccessKey }),
    region: 'us-east-1',
  });

/** How all three calls end. */
async function errorsOf({ index }: Awaited<ReturnType<typeof open>>) {
  const calls = [index.nearest(wanted, never), index.add([entry(1)], never), index.known(['a'], 0, never)];
  return await Promise.all(calls.map(errorOf));
}

/** A server that answers as no OpenSearch would. */
async function listen(listener: RequestListener) {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, [Symbol.asyncDispose]: close };
}

for (const service of ['es', 'aoss'] as const) {
  // A collection refuses whoever names an engine, and is asked again without one.
  const making = Array.from({ length: service === 'aoss' ? 2 : 1 }, () => `PUT /${NAME}`);

  const searching = suite(`the index of questions, ${service}`);

  searching('has nothing while there is no index, and makes none to look into', async () => {
    await using opened = await open({ service });
    const { index, calls } = opened;
    assert.equal(await index.nearest(wanted, never), []);
    assert.equal(await index.known(['at 1'], 0, never), new Set());
    assert.equal(calls, [`POST /${NAME}/_search`, `POST /${NAME}/_search`]);
  });

  searching('is made before the first entry, once', async () => {
    await using opened = await open({ service });
    const { index, calls } = opened;
    await index.add([entry(1)], never);
    await index.add([entry(2)], never);
    assert.equal(calls, [...making, `POST /${NAME}/_bulk`, `POST /${NAME}/_bulk`]);
    assert.equal(questionsOf(await index.nearest(wanted, never)), ['at 1', 'at 2']);
  });

  searching('is not made by who has seen that it is there', async () => {
    await using opened = await open({ service });
    const { index, connect, calls } = opened;
    await index.add([entry(1)], never);
    const second = connect();
    await second.nearest(wanted, never);
    await second.add([entry(2)], never);
    assert.equal(calls, [...making, `POST /${NAME}/_bulk`, `POST /${NAME}/_search`, `POST /${NAME}/_bulk`]);
  });

  searching('is made anew when somebody has deleted it', async () => {
    const reply = { status: 404, body: '{"error":{"type":"index_not_found_exception"},"status":404}' };
    let isGone = false;
    const fault = (call: string) => (isGone && call.endsWith('_search') ? reply : undefined);
    await using opened = await open({ service, fault });
    const { index, calls } = opened;
    await index.add([entry(1)], never);
    isGone = true;
    assert.equal(await index.nearest(wanted, never), []);
    await index.add([entry(2)], never);
    assert.equal(calls.slice(-making.length - 1), [...making, `POST /${NAME}/_bulk`]);
  });

  searching('takes the entries of both when two make it at the same time', async () => {
    await using opened = await open({ service });
    const { connect, calls } = opened;
    await Promise.all([connect().add([entry(1)], never), connect().add([entry(2)], never)]);
    assert.equal(questionsOf(await connect().nearest(wanted, never)), ['at 1', 'at 2']);
    assert.is(calls.filter((call) => call.startsWith('PUT')).length, 2 * making.length);
  });

  searching('is not mapped by what others may put into it', async () => {
    const path = mkdtempSync(join(tmpdir(), 'questions-'));
    await using opened = await open({ service, path });
    await opened.index.add([entry(1)], never);
    const [made = ''] = readFileSync(join(path, `${NAME}.jsonl`), 'utf8').split('\n');
    assert.is(JSON.parse(made).definition.mappings.dynamic, false);
    rmSync(path, { recursive: true });
  });

  searching('finds the five nearest, nearest first, as they were added', async () => {
    await using opened = await open({ service });
    const { index } = opened;
    await index.add(
      [70, 30, 50, 10, 60, 40, 20].map((degrees) => entry(degrees)),
      never,
    );
    const found = await index.nearest(wanted, never);
    assert.equal(questionsOf(found), ['at 10', 'at 20', 'at 30', 'at 40', 'at 50']);
    const vector = vectorAt(10).map(Math.fround);
    assert.equal(found[0], entry(10, { vector }));
  });

  searching('looks only at entries that agree, however near others are', async () => {
    const others: Readonly<Record<string, Partial<IndexedQuestion>>> = {
      'another tenant': { tenant: 'bob' },
      'another audience': { audience: 'of-another-model' },
      'another number': { figures: '7' },
      'an end that has come': { expires: wanted.now },
    };
    for (const [what, changes] of Object.entries(others)) {
      await using opened = await open({ service });
      const { index } = opened;
      const nearer = Array.from({ length: 20 }, (_, at) => entry(at / 10, changes));
      await index.add([...nearer, entry(40), entry(45, { expires: wanted.now + 1 })], never);
      assert.equal(questionsOf(await index.nearest(wanted, never)), ['at 40', 'at 45'], what);
    }
  });

  searching('finds what is everybody’s and what has the same numbers', async () => {
    await using opened = await open({ service });
    const { index } = opened;
    const curated = entry(5, { tenant: EVERYBODY, audience: CURATED, figures: '502 3' });
    await index.add([curated, entry(6, { figures: '502 4' })], never);
    assert.equal(questionsOf(await index.nearest({ ...wanted, figures: '502 3' }, never)), ['at 5']);
  });

  searching('knows which of an operator’s questions it has', async () => {
    await using opened = await open({ service });
    const { index } = opened;
    const curated = (degrees: number) => entry(degrees, { tenant: EVERYBODY, audience: CURATED });
    await index.add([curated(1), curated(1), curated(2), curated(3), entry(4)], never);
    const asked = ['at 1', 'at 2', 'at 4', 'at 5'];
    assert.equal(await index.known(asked, 0, never), new Set(['at 1', 'at 2']));
  });

  searching('does not know an operator’s question that ends sooner than it should', async () => {
    await using opened = await open({ service });
    const { index } = opened;
    await index.add([entry(1, { audience: CURATED, expires: 2_000 })], never);
    assert.is((await index.known(['at 1'], 2_000, never)).size, 1);
    assert.is((await index.known(['at 1'], 2_001, never)).size, 0);
  });

  searching('is closed to a wrong secret', async () => {
    await using opened = await open({ service, secretAccessKey: 'another' });
    for (const { status, type, message } of await errorsOf(opened)) {
      assert.equal([status, type, message], [403, undefined, 'OpenSearch answered 403.']);
    }
  });

  searching.run();
}

// ---

const failing = suite('an index of questions that fails');

const replying = (body: string, status = 200) => open({ fault: () => ({ status, body }) });

failing('tells its status and its own name for it, and no word more', async () => {
  const error = { type: 'parsing_exception', reason: 'canary', root_cause: [{ type: 'canary' }] };
  await using opened = await replying(JSON.stringify({ error, canary: true }), 400);
  for (const thrown of await errorsOf(opened)) {
    assert.is(thrown.message, 'OpenSearch answered 400 (parsing_exception).');
    assert.not.match(inspect(thrown, { depth: 9 }), 'canary');
  }
});

failing('has no name for it that could be a sentence', async () => {
  const bodies = ['canary', '{"error":"canary"}', '{"error":{"type":"Canary sang"}}', '{"message":"canary"}'];
  for (const body of [...bodies, `{"error":{"type":"${'canary'.repeat(20)}"}}`]) {
    await using opened = await replying(body, 429);
    for (const thrown of await errorsOf(opened)) {
      assert.is(thrown.message, 'OpenSearch answered 429.');
      assert.not.match(inspect(thrown, { depth: 9 }), 'canary');
    }
  }
});

failing('is not taken for one that is not there, whatever says 404', async () => {
  await using opened = await replying('{"error":{"type":"resource_not_found_exception"}}', 404);
  for (const thrown of await errorsOf(opened)) assert.is(thrown.status, 404);
});

failing('is refused what is no JSON, has another shape or is too long', async () => {
  const long = JSON.stringify({ hits: { hits: [] }, aggregations: { found: { buckets: [] } } });
  for (const body of ['', '<html>', '[]', 'null', '{"hits":{}}', long.padEnd(1024 * 1024 + 1)]) {
    await using opened = await replying(body);
    for (const { message } of await errorsOf(opened)) assert.is(message, 'OpenSearch answered 200.');
  }
});

failing('is believed up to a megabyte', async () => {
  await using opened = await replying(JSON.stringify({ hits: { hits: [] } }).padEnd(1024 * 1024));
  assert.equal(await opened.index.nearest(wanted, never), []);
});

failing('is not listened to any longer when its reply has no end', async () => {
  let isLeft = false;
  await using endless = await listen((_, response) => {
    response.once('close', () => (isLeft = true));
    const more = () => {
      while (response.write(' '.repeat(65_536)));
      response.once('drain', more);
    };
    more();
  });
  await errorOf(openAt(endless.url).nearest(wanted, never));
  await until(() => isLeft);
});

failing('is not followed elsewhere', async () => {
  await using elsewhere = await open();
  for (const status of [301, 302, 307, 308]) {
    await using moved = await listen((request, response) => {
      response.writeHead(status, { location: `${elsewhere.url}${request.url}` }).end();
    });
    await rejectionOf(openAt(moved.url).nearest(wanted, never));
    assert.equal(elsewhere.calls, []);
  }
});

failing('is added to only when it was made as it should be', async () => {
  const body = '{"error":{"type":"validation_exception"}}';
  for (const status of [400, 403, 500]) {
    const fault = (call: string) => (call.startsWith('PUT') ? { status, body } : undefined);
    await using opened = await open({ fault });
    assert.is((await errorOf(opened.index.add([entry(1)], never))).status, status);
    assert.equal(
      opened.calls,
      [`PUT /${NAME}`],
      'a domain is not asked again, for an index that may not filter',
    );
  }
});

failing('has not taken what its reply says nothing of', async () => {
  const taken = { index: { status: 201 } };
  const body = JSON.stringify({ took: 1, errors: false, items: [taken] });
  const fault = (call: string) => (call.endsWith('_bulk') ? { status: 200, body } : undefined);
  await using opened = await open({ fault });
  await opened.index.add([entry(1)], never);
  assert.is((await errorOf(opened.index.add([entry(1), entry(2)], never))).status, 200);
});

failing('is not one whose endpoint ends with a stroke', async () => {
  await using opened = await open();
  assert.equal(await openAt(`${opened.url}/`).nearest(wanted, never), []);
  assert.equal(opened.calls, [`POST /${NAME}/_search`]);
});

failing('is not asked for no questions at all', async () => {
  await using opened = await open({});
  assert.equal(await opened.index.known([], 0, never), new Set());
  assert.equal(opened.calls, []);
});

failing('is left at once by who gives up', async () => {
  await using opened = await open({ fault: () => 'hang' });
  const leaving = new AbortController();
  const rejected = rejectionOf(opened.index.nearest(wanted, leaving.signal));
  await until(() => opened.calls.length === 1);
  leaving.abort();
  assert.is(((await rejected) as Error).name, 'AbortError');
});

failing('rejects when the connection breaks', async () => {
  await using opened = await open({ fault: () => 'reset' });
  assert.instance(await rejectionOf(opened.index.nearest(wanted, never)), TypeError);
});

failing('tells of one entry that it refused among others that it took', async () => {
  await using opened = await open();
  const error = await errorOf(opened.index.add([entry(1), entry(2, { vector: [1, 2] })], never));
  assert.equal([error.status, error.type], [400, 'mapper_parsing_exception']);
  assert.equal(questionsOf(await opened.index.nearest(wanted, never)), ['at 1']);
});

failing.run();

// ---

const believing = suite('what an index says');

const base64Of = (vector: readonly number[]) =>
  Buffer.from(Float32Array.from(vector).buffer).toString('base64');

const source = {
  tenant: 'alice',
  audience: 'of-alice',
  question: 'a question',
  figures: '',
  expires: 2_000,
  exact: base64Of(vectorAt(3)),
};

const hitsOf = (...sources: unknown[]) =>
  JSON.stringify({ hits: { hits: sources.map((_source) => ({ _source })) } });

believing('is dropped where it is no entry, and the rest is taken', async () => {
  const foreign: readonly unknown[] = [
    undefined,
    'text',
    { ...source, tenant: 'a'.repeat(2_049) },
    { ...source, audience: 'a'.repeat(65) },
    { ...source, question: '' },
    { ...source, question: 'a'.repeat(1_501) },
    { ...source, figures: 'a'.repeat(1_501) },
    { ...source, expires: 2_000.5 },
    { ...source, exact: 'no base64!' },
    { ...source, exact: base64Of(vectorAt(3).slice(1)) },
    { ...source, exact: base64Of([...vectorAt(3).slice(1), Number.NaN]) },
    { ...source, exact: undefined },
  ];
  for (const other of foreign) {
    await using opened = await replying(hitsOf(other, source));
    assert.equal(questionsOf(await opened.index.nearest(wanted, never)), ['a question'], inspect(other));
  }
});

believing('is an error where it is not one entry, which else nobody would hear of', async () => {
  await using opened = await replying(hitsOf({ answer: 'Nonsense.' }, 'text'));
  assert.is((await errorOf(opened.index.nearest(wanted, never))).status, 200);
});

believing('is not more than five entries', async () => {
  await using opened = await replying(hitsOf(...Array.from({ length: 9 }, () => source)));
  assert.is((await opened.index.nearest(wanted, never)).length, 5);
});

believing('is an entry of the right form or an error, whatever it is', async () => {
  const maybe = (right: unknown) =>
    fc.oneof({ weight: 9, arbitrary: fc.constant(right) }, { weight: 1, arbitrary: fc.jsonValue() });
  const hit = fc.record({
    _source: fc.record({
      tenant: maybe('alice'),
      audience: maybe(CURATED),
      question: maybe('a question'),
      figures: maybe('7'),
      expires: maybe(2_000),
      exact: maybe(source.exact),
    }),
  });
  const hits = fc.record({ hits: fc.record({ hits: fc.oneof(fc.array(hit), fc.jsonValue()) }) });
  const status = fc.constantFrom(200, 200, 200, 201, 400, 403, 404, 429, 500, 503);
  let reply: OpenSearchFault = 'hang';
  await using opened = await open({ fault: () => reply });
  const seen = { entries: 0, errors: 0 };
  await fc.assert(
    fc.asyncProperty(fc.oneof(hits, fc.jsonValue()), status, async (body, code) => {
      reply = { status: code, body: JSON.stringify(body) };
      const found = await opened.index.nearest(wanted, never).catch((error) => {
        assert.instance(error, OpenSearchError);
        seen.errors++;
        return [];
      });
      for (const one of found) {
        seen.entries++;
        const { vector, expires, ...texts } = one;
        assert.equal(Object.keys(texts).sort(), ['audience', 'figures', 'question', 'tenant']);
        assert.ok(Object.values(texts).every((text) => typeof text === 'string'));
        assert.ok(Number.isInteger(expires));
        assert.ok(vector.length === 1024 && vector.every(Number.isFinite));
      }
    }),
    { numRuns: 500 },
  );
  assert.ok(seen.entries > 0 && seen.errors > 0, inspect(seen));
});

believing.run();

// ---

const naming = suite('serviceOf');

naming('tells a collection from a domain by its host', () => {
  assert.is(serviceOf('https://abc123.us-east-1.aoss.amazonaws.com'), 'aoss');
  assert.is(serviceOf('https://search-aoss-x.us-east-1.es.amazonaws.com'), 'es');
  assert.is(serviceOf('https://vpc-x.us-east-1.es.amazonaws.com/.aoss.'), 'es');
  assert.is(serviceOf('http://127.0.0.1:4566/opensearch'), 'es');
});

naming.run();
