/** The embedded OpenSearch, held against what the real one says. */
import { createHash } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createSignedFetch } from '../../../src/aws/signed-fetch.ts';
import type { OpenSearchServerOptions } from '../../../src/local/opensearch/server.ts';
import { searchKeys, startOpenSearch } from '../../helpers/opensearch.ts';
import { rejectionOf } from '../../helpers/rejects.ts';

type Reply = {
  readonly status: number;
  /** The name of what went wrong, or nothing. */
  readonly type: string | undefined;
  readonly body: Body;
};

type Failure = { readonly type: string; readonly reason: string; readonly caused_by?: Failure };

/** All that a reply may have. */
type Body = {
  readonly error: Failure & { readonly root_cause: readonly Failure[] };
  readonly message: string;
  readonly errors: boolean;
  readonly items: readonly { readonly index: { readonly status: number; readonly error: Failure } }[];
  readonly hits: {
    readonly total: object;
    readonly max_score: number | null;
    readonly hits: readonly { readonly _score: number; readonly _source: Record<string, unknown> }[];
  };
  readonly aggregations: object;
};

type Sent = {
  readonly headers?: Record<string, string>;
  readonly service?: string;
  readonly secretAccessKey?: string;
};

async function open(options: Partial<OpenSearchServerOptions> = {}, prefix = '') {
  const { url, calls, close } = await startOpenSearch(options);

  async function ask(call: string, body: unknown, sent: Sent = {}): Promise<Reply> {
    const { service = options.service ?? 'es', secretAccessKey = searchKeys.secretAccessKey } = sent;
    const credentials = async () => ({ ...searchKeys, secretAccessKey });
    const signedFetch = createSignedFetch({ credentials, region: 'eu-west-1', service });
    const [method = '', path = ''] = call.split(' ');
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const digest = createHash('sha256').update(text).digest('hex');
    const response = await signedFetch(`${url}${prefix}${path}`, {
      method,
      ...(method !== 'GET' && { body: text }),
      headers: { 'content-type': 'application/json', 'x-amz-content-sha256': digest, ...sent.headers },
      timeoutMs: 10_000,
    });
    const reply = (await response.json()) as Body;
    return { status: response.status, type: reply.error?.type, body: reply };
  }

  const add = (...documents: object[]) =>
    ask(
      'POST /notes/_bulk',
      documents.map((document) => `{"index":{}}\n${JSON.stringify(document)}\n`).join(''),
    );
  const search = (query: object) => ask('POST /notes/_search', query);
  /** The names of what is nearest to the origin. */
  async function nearest(k: number, filter?: readonly object[]) {
    const knn = { vector: { vector: [0, 0], k, ...(filter && { filter: { bool: { filter } } }) } };
    const { body } = await search({ query: { knn } });
    return body.hits.hits.map(({ _source }) => _source['name']);
  }
  return { url, calls, ask, add, search, nearest, [Symbol.asyncDispose]: close };
}

const method = { name: 'hnsw', engine: 'faiss', space_type: 'l2' };
const keyword = { type: 'keyword' };

const definitionOf = (vector: object, changes: object = {}) => ({
  settings: { index: { knn: true } },
  mappings: {
    dynamic: false,
    properties: { name: keyword, owner: keyword, ends: { type: 'long' }, data: { type: 'binary' }, vector },
  },
  ...changes,
});

const flat = { type: 'knn_vector', dimension: 2 };
const definition = definitionOf({ ...flat, method });

/** With an index of notes, whose vectors have two numbers. */
async function openNotes(options: Partial<OpenSearchServerOptions> = {}) {
  const opened = await open(options);
  const made = options.service === 'aoss' ? definitionOf(flat) : definition;
  await opened.ask('PUT /notes', made);
  return opened;
}

const note = (name: string, x: number, changes: object = {}) => ({
  name,
  owner: 'alice',
  ends: 100,
  vector: [x, 0],
  ...changes,
});

const all = { bool: { filter: [] } };

/** Beside the buckets. */
const counted = { doc_count_error_upper_bound: 0, sum_other_doc_count: 0 };

const indexing = suite('an index');

indexing('is made once', async () => {
  await using opened = await open();
  const { ask } = opened;
  const made = await ask('PUT /notes', definition);
  assert.equal(
    [made.status, made.body],
    [200, { acknowledged: true, shards_acknowledged: true, index: 'notes' }],
  );
  const again = await ask('PUT /notes', definition);
  assert.equal([again.status, again.type], [400, 'resource_already_exists_exception']);
  assert.match(again.body.error.reason, /^index \[notes\/[\w-]{22}\] already exists$/);
});

indexing('that is not there is not searched', async () => {
  await using opened = await open();
  const { status, body } = await opened.search({ query: all });
  const error = {
    type: 'index_not_found_exception',
    reason: 'no such index [notes]',
    index: 'notes',
    'resource.id': 'notes',
    'resource.type': 'index_or_alias',
    index_uuid: '_na_',
  };
  assert.equal([status, body], [404, { error: { root_cause: [error], ...error }, status: 404 }]);
});

indexing('has a name that can be a file’s', async () => {
  await using opened = await open();
  for (const name of ['Notes', '..%2fnotes', '.notes', '_notes', '-notes', 'a'.repeat(241)]) {
    const { status, type } = await opened.ask(`PUT /${name}`, definition);
    assert.equal([status, type], [400, 'invalid_index_name_exception'], name);
  }
});

indexing('is refused what is not known here', async () => {
  await using opened = await openNotes();
  const { ask } = opened;
  const requests: readonly (readonly [call: string, body: unknown, status: number, type: string])[] = [
    ['PUT /others', { ...definition, aliases: {} }, 400, 'mapper_parsing_exception'],
    ['PUT /others', definitionOf({ type: 'dense_vector' }), 400, 'mapper_parsing_exception'],
    ['PUT /others', 'no JSON', 400, 'json_parse_exception'],
    ['POST /notes/_search', 'no JSON', 400, 'json_parse_exception'],
    ['POST /notes/_search', { query: { match_all: {} } }, 400, 'parsing_exception'],
    ['POST /notes/_search', { query: all, sort: ['name'] }, 400, 'parsing_exception'],
    ['POST /notes/_search', { query: { bool: { filter: [], must: [] } } }, 400, 'parsing_exception'],
    [
      'POST /notes/_search',
      { query: { bool: { filter: [{ prefix: { name: 'a' } }] } } },
      400,
      'parsing_exception',
    ],
    [
      'POST /notes/_search',
      { query: { bool: { filter: [{ term: { name: 'a', owner: 'b' } }] } } },
      400,
      'parsing_exception',
    ],
    [
      'POST /notes/_search',
      { query: { bool: { filter: [{ range: { ends: { gte: 1 } } }] } } },
      400,
      'parsing_exception',
    ],
    ['POST /notes/_search?pretty', { query: all }, 405, 'illegal_argument_exception'],
    ['DELETE /notes', {}, 405, 'illegal_argument_exception'],
    ['GET /notes', undefined, 405, 'illegal_argument_exception'],
    ['GET /', undefined, 400, 'invalid_index_name_exception'],
  ];
  for (const [call, body, status, type] of requests) {
    const reply = await ask(call, body ?? '');
    assert.equal([reply.status, reply.type], [status, type], `${call} ${JSON.stringify(body)}`);
  }
});

indexing('takes JSON only', async () => {
  await using opened = await openNotes();
  const { ask } = opened;
  const askAs = (type: string) =>
    ask('POST /notes/_search', { query: all }, { headers: { 'content-type': type } });
  assert.is((await askAs('application/json; charset=UTF-8')).status, 200);
  assert.is((await askAs('text/plain')).status, 406);
});

indexing.run();

// ---

const adding = suite('_bulk');

adding('tells of each document, and takes the good ones', async () => {
  await using opened = await openNotes();
  const { add, nearest } = opened;
  const { status, body } = await add(note('a', 1), note('b', 1, { vector: [1] }), note('c', 2));
  assert.is(status, 200);
  assert.is(body.errors, true);
  assert.equal(
    body.items.map(({ index }) => index.status),
    [201, 400, 201],
  );
  const { error } = body.items[1]?.index ?? {};
  assert.is(error?.type, 'mapper_parsing_exception');
  assert.is(error?.caused_by?.reason, 'Vector dimension mismatch. Expected: 2, Given: 1');
  assert.equal(await nearest(9), ['a', 'c']);
});

adding('replies as OpenSearch does, ids of its own included', async () => {
  await using opened = await openNotes();
  await opened.add(note('a', 1));
  const { body } = await opened.add(note('b', 2), note('c', 3));
  const { _id, ...rest }: Record<string, unknown> = { ...body.items[1]?.index };
  assert.match(String(_id), /^[\w-]{20}$/);
  const _shards = { total: 2, successful: 1, failed: 0 };
  const created = { _index: 'notes', _version: 1, result: 'created', _shards, _seq_no: 2, _primary_term: 1 };
  assert.equal(rest, { ...created, status: 201 });
  assert.is(body.errors, false);
});

adding('refuses what does not fit its field', async () => {
  await using opened = await openNotes();
  const misfits = [
    note('a', 1, { vector: ['1', '2'] }),
    note('a', 1, { vector: 'text' }),
    note('a', 1, { ends: 'soon' }),
    note('a', 1, { owner: { name: 'alice' } }),
    note('a', 1, { data: [{}] }),
  ];
  const { body } = await opened.add(...misfits);
  for (const { index } of body.items) assert.is(index.error.type, 'mapper_parsing_exception');
  assert.is(body.items.length, misfits.length);
  assert.equal(await opened.nearest(9), []);
});

for (const service of ['es', 'aoss'] as const) {
  adding(`takes no ids, ${service}`, async () => {
    await using opened = await openNotes({ service });
    const { body } = await opened.ask('POST /notes/_bulk', '{"index":{"_id":"1"}}\n{"name":"a"}\n');
    const reason = 'Document ID is not supported in create/index operation request';
    const error = { type: 'illegal_argument_exception', reason };
    assert.equal(body.items, [{ index: { _index: 'notes', _id: '1', status: 400, error } }]);
  });
}

adding('refuses what is no list of documents', async () => {
  await using opened = await openNotes();
  const malformed = 'Malformed action/metadata line [1], expected [index] and a document after it';
  const bodies = {
    '': 'request body is required',
    '{"index":{}}\n{"name":"a"}': 'The bulk request must be terminated by a newline [\\n]',
    '{"index":{}}\n': malformed,
    '{"delete":{"_id":"1"}}\n{}\n': malformed,
    'index\n{}\n': malformed,
  };
  for (const [text, reason] of Object.entries(bodies)) {
    const reply = await opened.ask('POST /notes/_bulk', text);
    assert.equal([reply.status, reply.body.error.reason], [400, reason], text);
  }
  const { body } = await opened.ask('POST /notes/_bulk', '{"index":{}}\n[]\n{"index":{}}\nno JSON\n');
  for (const { index } of body.items)
    assert.equal([index.status, index.error.type], [400, 'mapper_parsing_exception']);
});

adding('makes an index that is not there, whose vectors are lists of numbers', async () => {
  await using opened = await open();
  const { add, search } = opened;
  assert.is((await add(note('a', 1.5))).body.errors, false);
  const knn = await search({ query: { knn: { vector: { vector: [0, 0], k: 1 } } } });
  assert.equal([knn.status, knn.type], [400, 'search_phase_execution_exception']);
  const [{ type, reason } = knn.body.error] = knn.body.error.root_cause;
  assert.equal(
    [type, reason],
    ['query_shard_exception', "failed to create query: Field 'vector' is not knn_vector type."],
  );
  const names = await search({ query: all, aggs: { names: { terms: { field: 'name', size: 1 } } } });
  assert.equal([names.status, names.body.error.root_cause[0]?.type], [400, 'illegal_argument_exception']);
});

adding.run();

// ---

const searching = suite('_search');

searching('finds the nearest first, with what OpenSearch says of each', async () => {
  await using opened = await openNotes();
  await opened.add(note('far', 3), note('near', 1, { data: 'YQ==', other: [1] }));
  const { body } = await opened.search({ query: { knn: { vector: { vector: [0, 0], k: 5 } } } });
  assert.equal(body.hits.total, { value: 2, relation: 'eq' });
  assert.equal(
    body.hits.hits.map(({ _score, _source }) => [_score, _source]),
    [
      [1 / 2, note('near', 1, { data: 'YQ==', other: [1] })],
      [1 / 10, note('far', 3)],
    ],
  );
  assert.is(body.hits.max_score, 1 / 2);
});

searching('gives the fields that are asked for, and as many hits', async () => {
  await using opened = await openNotes();
  await opened.add(note('a', 1), note('b', 2), note('c', 3));
  const knn = { vector: { vector: [0, 0], k: 3 } };
  const { body } = await opened.search({ query: { knn }, size: 2, _source: ['name', 'vector', 'nothing'] });
  assert.equal(
    body.hits.hits.map(({ _source }) => _source),
    [
      { name: 'a', vector: [1, 0] },
      { name: 'b', vector: [2, 0] },
    ],
  );
});

searching('filters before the k nearest are chosen', async () => {
  await using opened = await openNotes();
  const nearer = Array.from({ length: 20 }, (_, at) => note('hers', at / 100, { owner: 'bob' }));
  await opened.add(...nearer, note('his', 5), note('his too', 6), note('his third', 7));
  assert.equal(await opened.nearest(2, [{ term: { owner: 'alice' } }]), ['his', 'his too']);
});

searching('filters by term, terms and range, and by all of them', async () => {
  await using opened = await openNotes();
  const { add, nearest } = opened;
  await add(
    note('a', 1),
    note('b', 2, { owner: 'bob', ends: 200 }),
    note('c', 3, { owner: ['carol', 'bob'] }),
  );
  await add(note('d', 4, { owner: null }), note('e', 5, { owner: '' }), note('f', 6, { ends: undefined }));
  const filters: readonly (readonly [filter: object[], names: string])[] = [
    [[], 'a b c d e f'],
    [[{ term: { owner: 'bob' } }], 'b c'],
    [[{ term: { owner: '' } }], 'e'],
    [[{ terms: { owner: ['alice', 'carol'] } }], 'a c f'],
    [[{ terms: { owner: [] } }], ''],
    [[{ range: { ends: { gt: 99 } } }], 'a b c d e'],
    [[{ range: { ends: { gt: 100 } } }], 'b'],
    [[{ term: { ends: 200 } }], 'b'],
    [[{ term: { owner: 'bob' } }, { range: { ends: { gt: 100 } } }], 'b'],
  ];
  for (const [filter, names] of filters) {
    assert.is((await nearest(9, filter)).join(' '), names, JSON.stringify(filter));
  }
});

searching('fits nothing by a field that is not indexed', async () => {
  await using opened = await openNotes();
  await opened.add(note('a', 1, { other: 'x', data: 'YQ==' }));
  for (const name of ['other', 'data', 'nothing']) {
    assert.equal(await opened.nearest(9, [{ terms: { [name]: ['x', 'YQ=='] } }]), [], name);
    const { body } = await opened.search({
      query: all,
      aggs: { values: { terms: { field: name, size: 1 } } },
    });
    assert.equal(body.aggregations, { values: { ...counted, buckets: [] } }, name);
  }
});

searching('counts the values of a field, most frequent first', async () => {
  await using opened = await openNotes();
  await opened.add(note('a', 1), note('b', 2), note('b', 3), note('c', 4), note('b', 5, { owner: 'bob' }));
  const query = { bool: { filter: [{ term: { owner: 'alice' } }] } };
  const { body } = await opened.search({
    size: 0,
    query,
    aggs: { names: { terms: { field: 'name', size: 2 } } },
  });
  const buckets = [
    { key: 'b', doc_count: 2 },
    { key: 'a', doc_count: 1 },
  ];
  const names = { ...counted, sum_other_doc_count: 1, buckets };
  assert.equal([body.hits.hits, body.aggregations], [[], { names }]);
});

searching('finds no document without a vector', async () => {
  await using opened = await openNotes();
  const { body } = await opened.add(note('a', 1, { vector: null }), note('b', 1, { vector: undefined }));
  assert.is(body.errors, false);
  assert.equal(await opened.nearest(9), []);
  assert.equal((await opened.search({ query: all })).body.hits.total, { value: 2, relation: 'eq' });
});

searching('refuses a vector of another length', async () => {
  await using opened = await openNotes();
  const { body } = await opened.search({ query: { knn: { vector: { vector: [0], k: 1 } } } });
  const reason = 'failed to create query: Query vector has invalid dimension: 1. Dimension should be: 2';
  assert.is(body.error.root_cause[0]?.reason, reason);
});

searching('finds nothing in an index that was not made for k-NN', async () => {
  await using opened = await open();
  await opened.ask('PUT /notes', { ...definition, settings: { index: { knn: false } } });
  await opened.add(note('a', 1));
  assert.equal(await opened.nearest(9), []);
});

searching('filters in a domain only by an engine that can', async () => {
  await using opened = await open();
  await opened.ask('PUT /notes', definitionOf(flat));
  await opened.add(note('a', 1));
  assert.equal(await opened.nearest(9), ['a']);
  const filter = { bool: { filter: [{ term: { owner: 'alice' } }] } };
  const { body } = await opened.search({ query: { knn: { vector: { vector: [0, 0], k: 1, filter } } } });
  assert.match(body.error.root_cause[0]?.reason ?? '', 'Engine [NMSLIB] does not support filters');
});

searching.run();

// ---

const letting = suite('who is let in');

letting('is who signs for it, whatever the region and the path before the name', async () => {
  await using opened = await open({}, '/opensearch');
  assert.is((await opened.ask('PUT /notes', definition)).status, 200);
  assert.equal(opened.calls, ['PUT /notes']);
});

letting('is nobody else, and a domain says why', async () => {
  await using opened = await openNotes();
  const { url, ask } = opened;
  const body = { query: all };
  const unsigned = await fetch(`${url}/notes/_search`, { method: 'POST', body: JSON.stringify(body) });
  assert.is(unsigned.status, 403);
  assert.match(((await unsigned.json()) as Body).message, 'The request is not signed');
  const wrong = await ask('POST /notes/_search', body, { secretAccessKey: 'another' });
  assert.match(wrong.body.message, 'The signature does not match');
  const other = await ask('POST /notes/_search', body, { service: 'aoss' });
  assert.equal(
    [other.status, other.body.message],
    [403, 'The signature is for the service aoss; sign for es.'],
  );
});

letting('is told by a collection without a reason', async () => {
  await using opened = await openNotes({ service: 'aoss' });
  const { status, body } = await opened.ask(
    'POST /notes/_search',
    { query: all },
    { secretAccessKey: 'another' },
  );
  const { 'request-id': id, ...rest } = body as unknown as Record<string, unknown>;
  assert.ok(id);
  assert.equal([status, rest], [403, { status: 403, error: { reason: '403 Forbidden', type: 'Forbidden' } }]);
});

letting('has to say a collection the digest of what he sends', async () => {
  for (const [service, status] of [
    ['es', 200],
    ['aoss', 403],
  ] as const) {
    await using opened = await openNotes({ service });
    const { url } = opened;
    const signedFetch = createSignedFetch({
      credentials: async () => searchKeys,
      region: 'us-east-1',
      service,
    });
    const headers = { 'content-type': 'application/json' };
    const init = { method: 'POST', body: JSON.stringify({ query: all }), headers, timeoutMs: 10_000 };
    assert.is((await signedFetch(`${url}/notes/_search`, init)).status, status, service);
  }
});

letting('may name the engine to a domain, and not to a collection', async () => {
  await using opened = await open({ service: 'aoss' });
  const { status, body } = await opened.ask('PUT /notes', definition);
  assert.equal([status, body.error.reason], [400, "Field parameter 'engine' is not supported"]);
  assert.is((await opened.ask('PUT /notes', definitionOf(flat))).status, 200);
});

letting('sends ten megabytes at most', async () => {
  await using opened = await openNotes();
  const { status } = await opened.ask('POST /notes/_bulk', ' '.repeat(10 * 1024 * 1024 + 1));
  assert.is(status, 413);
});

letting.run();

// ---

const breaking = suite('what goes wrong on purpose');

breaking('is asked for before anything else, with the call', async () => {
  const asked: string[] = [];
  const fault = (method: string, path: string) => {
    asked.push(`${method} ${path}`);
    return { status: 429, body: '{"message":"Too Many Requests"}' };
  };
  await using opened = await open({ fault }, '/opensearch');
  const { status, body } = await opened.ask('PUT /notes', definition, { secretAccessKey: 'another' });
  assert.equal([status, body.message, asked], [429, 'Too Many Requests', ['PUT /notes']]);
});

breaking('is known for a thousand calls', async () => {
  await using opened = await open({ fault: () => ({ status: 200, body: '{}' }) });
  for (let call = 0; call <= 1_000; call++) await (await fetch(`${opened.url}/${call}`)).text();
  assert.equal([opened.calls.length, opened.calls[0], opened.calls.at(-1)], [1_000, 'GET /1', 'GET /1000']);
});

breaking('is a refusal, or a connection that breaks', async () => {
  await using refusing = await open({ fault: () => 'refuse' });
  assert.is((await refusing.ask('PUT /notes', definition)).status, 403);
  await using resetting = await open({ fault: () => 'reset' });
  assert.instance(await rejectionOf(resetting.ask('PUT /notes', definition)), TypeError);
});

breaking.run();
