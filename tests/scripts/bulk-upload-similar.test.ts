/** `npm run bulk-upload -- --similar`: the questions of what is written are in the index, too, each once. */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createEmbedder } from '../../src/aws/embeddings.ts';
import { createOpenSearch } from '../../src/aws/opensearch.ts';
import { createSignedFetch } from '../../src/aws/signed-fetch.ts';
import { CURATED, EVERYBODY, embeddingModel, toFigures } from '../../src/chat/similarity.ts';
import { createBedrockSimulator } from '../../src/local/bedrock/simulator.ts';
import type { OpenSearchFault } from '../../src/local/opensearch/server.ts';
import { bedrockClient } from '../helpers/bedrock-client.ts';
import { type Bench, type Ended, inTable, itemsOf, tableOf } from '../helpers/bulk-upload.ts';
import { startOpenSearch } from '../helpers/opensearch.ts';

const ANSWERS = 'LlmGatewayStack-answers';
const INDEX = 'llmgatewaystack-questions-titan-v2';
const NOW = 1_800_000_000;

/** An exception of AWS that Bedrock answers with, and its status. */
type BedrockFault = readonly [status: number, name: string];

type SearchBench = Bench & {
  /** Asked with what is called, and how often that was before. */
  faults: {
    search: (call: string, before: number) => OpenSearchFault | undefined;
    bedrock: (text: string, before: number) => BedrockFault | undefined;
  };
  /** What was called of the index, such as `POST _bulk`. */
  calls(): string[];
  /** The texts that were sent to Bedrock. */
  readonly embedded: string[];
  readonly env: NodeJS.ProcessEnv;
  upload(path: string, ...args: string[]): Promise<Ended>;
  /** What the index has. */
  entries(): Promise<{ question: string; expires: number }[]>;
  nearest(question: string, now?: number): Promise<string[]>;
};

const local = { accessKeyId: 'local', secretAccessKey: 'local' };
const never = new AbortController().signal;

const withSearch = (test: (bench: SearchBench) => Promise<void>) =>
  inTable(async (bench) => {
    const faults: SearchBench['faults'] = Object.assign(bench.faults, {
      search: () => undefined,
      bedrock: () => undefined,
    });
    const asked: string[] = [];
    const search = await startOpenSearch({
      secretOf: (id) => (id === 'local' ? 'local' : undefined),
      fault(method, path) {
        const call = [method, path.split('/')[2]].filter(Boolean).join(' ');
        asked.push(call);
        return faults.search(call, asked.filter((one) => one === call).length - 1);
      },
    });
    const embedded: string[] = [];
    const bedrock = await startBedrock((text) => {
      embedded.push(text);
      return faults.bedrock(text, embedded.length - 1);
    });
    const endpoint = `${search.url}/opensearch`;
    const signing = { credentials: async () => local, region: 'us-east-1', service: 'es' } as const;
    const index = createOpenSearch({ endpoint, index: INDEX, ...signing });
    const embed = createEmbedder(bedrockClient(bedrock.url));
    const env = { AWS_PORT: new URL(search.url).port, AWS_ENDPOINT_URL_BEDROCK_RUNTIME: bedrock.url };
    await bench.client.createTable(tableOf(ANSWERS, 'S'));
    try {
      await test({
        ...bench,
        faults,
        calls: () => asked.splice(0),
        embedded,
        env,
        upload: (path, ...args) => bench.run([path, '-t', ANSWERS, '--similar', '--quiet', ...args], {}, env),
        async entries() {
          const response = await createSignedFetch(signing)(`${endpoint}/${INDEX}/_search`, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify({ size: 10_000, query: { bool: { filter: [] } } }),
            timeoutMs: 5_000,
          });
          const reply = (await response.json()) as { hits?: { hits: { _source: never }[] } };
          return (reply.hits?.hits ?? []).map(({ _source }) => _source);
        },
        async nearest(question, now = NOW) {
          const { vectors } = await embed({ ...embeddingModel, texts: [question] }, never);
          embedded.pop();
          const whose = { tenants: [EVERYBODY], audiences: [CURATED], figures: toFigures(question), now };
          const found = await index.nearest({ ...whose, vector: vectors[0] ?? [] }, never);
          return found.map((entry) => entry.question);
        },
      });
    } finally {
      await search.close();
      await bedrock.close();
    }
  });

/** The simulator, and what goes wrong with it. */
async function startBedrock(fault: (text: string) => BedrockFault | undefined) {
  const { handle } = createBedrockSimulator();
  const server = createServer(async (request, response) => {
    const chunks = await request.toArray();
    const [status, name] = fault(JSON.parse(Buffer.concat(chunks).toString()).inputText) ?? [];
    if (!status || !name) return handle(Object.assign(request, again(chunks)), response);
    response.writeHead(status, { 'content-type': 'application/json', 'x-amzn-errortype': name });
    return response.end('{"message":"SECRET"}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close };
}

/** A body that was read, to be read once more. */
const again = (chunks: readonly unknown[]) => ({
  async *[Symbol.asyncIterator]() {
    yield* chunks;
  },
});

const pairsOf = (count: number) =>
  itemsOf(count).map(({ pk }) => ({ pk: `What is ${pk}?`, answer: `The answer of ${pk}.` }));
const keysOf = (count: number) => itemsOf(count).map(({ pk }) => `what is ${pk}`);

/** Each of the questions is in the index, and is there once. */
const assertIndexed = async ({ entries }: SearchBench, keys: readonly string[]) =>
  assert.equal((await entries()).map(({ question }) => question).sort(), [...keys].sort());

const TOO_LONG = 'é'.repeat(751);
const notThere = { status: 404, body: '{"error":{"type":"index_not_found_exception"}}' };
const unavailable = { status: 503, body: '{"error":{"type":"unavailable"}}' };

const indexing = suite('npm run bulk-upload -- --similar');

indexing(
  'each question is in the index once, and is found in other words',
  withSearch(async (bench) => {
    const pairs: { pk: string }[] = JSON.parse(readFileSync('samples/network-outages.json', 'utf8'));
    const path = bench.write(readFileSync('samples/network-outages.json'));
    const { code, out, err } = await bench.upload(path);
    assert.equal([code, out, err], [0, `${pairs.length} written, 0 rejected, ${pairs.length} indexed\n`, '']);
    const stored = (await bench.stored(ANSWERS)).map(({ pk }) => String(pk));
    await assertIndexed(bench, stored);
    assert.equal([...bench.embedded].sort(), stored);
    assert.is((await bench.nearest('please tell me what a faraday cage is'))[0], 'what is a faraday cage');
  }),
);

indexing(
  'a second upload makes no vector and adds nothing but what is new',
  withSearch(async (bench) => {
    await bench.upload(bench.write(pairsOf(60)));
    bench.calls();
    bench.embedded.length = 0;
    assert.is((await bench.upload(bench.write(pairsOf(60)))).out, '60 written, 0 rejected, 60 indexed\n');
    assert.equal([bench.embedded, new Set(bench.calls())], [[], new Set(['POST _search'])]);
    assert.is((await bench.upload(bench.write(pairsOf(61)))).out, '61 written, 0 rejected, 61 indexed\n');
    assert.equal(bench.embedded, keysOf(61).slice(60));
    await assertIndexed(bench, keysOf(61));
  }),
);

indexing(
  'two ways to put one question are one entry, also while the index does not find yet what was added',
  withSearch(async (bench) => {
    const pairs = pairsOf(40);
    const path = bench.write([...pairs, ...pairs.map((pair) => ({ ...pair, pk: ` ${pair.pk}! ` }))]);
    const nothing = { status: 200, body: '{"hits":{"hits":[]},"aggregations":{"found":{"buckets":[]}}}' };
    bench.faults.search = (call) => (call === 'POST _search' ? nothing : undefined);
    assert.is((await bench.upload(path)).out, '80 written, 0 rejected, 80 indexed\n');
    bench.faults.search = () => undefined;
    await assertIndexed(bench, keysOf(40));
    assert.is(bench.embedded.length, 40);
  }),
);

indexing(
  'an entry ends with the ttl of its item, and others do not',
  withSearch(async (bench) => {
    const [one = {}, other = {}] = pairsOf(2);
    await bench.upload(bench.write([{ ...one, ttl: NOW + 100.5 }, other]));
    const expires = Object.fromEntries(
      (await bench.entries()).map((entry) => [entry.question, entry.expires]),
    );
    assert.equal(expires, { [keysOf(1)[0] ?? '']: NOW + 100, [keysOf(2)[1] ?? '']: 253_402_300_799 });
    assert.is((await bench.nearest(keysOf(1)[0] ?? '', NOW + 99)).length, 1);
    assert.is((await bench.nearest(keysOf(1)[0] ?? '', NOW + 100)).length, 0);
  }),
);

indexing(
  'a question that was to end is indexed anew once it is to stay, and else only once',
  withSearch(async (bench) => {
    const [one = {}, other = {}] = pairsOf(2);
    const ending = bench.write([{ ...one, ttl: NOW + 100 }, other]);
    await bench.upload(ending);
    await bench.upload(ending);
    assert.is((await bench.entries()).length, 2);
    await bench.upload(bench.write([one, other], 'stays.json'));
    assert.is((await bench.entries()).length, 3);
    assert.is((await bench.nearest(keysOf(1)[0] ?? '', NOW + 100)).length, 1);
  }),
);

indexing(
  'a question that is too long for a key is written, not indexed, and told',
  withSearch(async (bench) => {
    const path = bench.write([...pairsOf(2), { pk: TOO_LONG, answer: 'a' }]);
    const told = 'Too long or no prose, so found in their own words only: 1\n';
    assert.equal(await bench.upload(path), {
      code: 0,
      out: `3 written, 0 rejected, 2 indexed\n${told}`,
      err: '',
    });
    await assertIndexed(bench, keysOf(2));
    bench.calls();
    const { out } = await bench.upload(bench.write([{ pk: TOO_LONG, answer: 'b' }], 'long.json'));
    assert.equal([out, bench.calls()], [`1 written, 0 rejected, 0 indexed\n${told}`, []]);
    assert.is((await bench.upload(path, '--dry-run')).out, `3 valid, 0 rejected\n${told}`);
    assert.is((await bench.run([path, '-t', ANSWERS])).out, '3 written, 0 rejected\n');
  }),
);

indexing(
  'what is kept in the table is indexed as well, and counts as kept however often the index fails',
  withSearch(async (bench) => {
    const path = bench.write(pairsOf(6));
    await bench.run([bench.write(pairsOf(4), 'earlier.json'), '-t', ANSWERS]);
    await bench.run([path, '-t', ANSWERS]);
    await bench.client.deleteItem({ TableName: ANSWERS, Key: { pk: { S: keysOf(1)[0] ?? '' } } });
    bench.faults.search = (call, before) => (call === 'POST _bulk' && before < 8 ? unavailable : undefined);
    const { out } = await bench.upload(path, '--keep-existing');
    assert.is(out, '1 written, 0 rejected, 5 kept, 6 indexed\n');
    await assertIndexed(bench, keysOf(6));
    assert.is(bench.embedded.length, 6);
  }),
);

indexing(
  'a dry run, and one that rejects all, ask neither the index nor the model',
  withSearch(async (bench) => {
    assert.is((await bench.upload(bench.write(pairsOf(3)), '--dry-run')).out, '3 valid, 0 rejected\n');
    assert.match(
      (await bench.upload(bench.write([{ pk: 'Who?' }]))).out,
      /^0 written, 1 rejected, 0 indexed\n/,
    );
    assert.equal([bench.calls(), bench.embedded], [[], []]);
  }),
);

indexing(
  'without it neither is asked, and for items that are no answers it is a command that is none',
  withSearch(async (bench) => {
    const path = bench.write(pairsOf(3));
    assert.is((await bench.run([path, '-t', ANSWERS], {}, bench.env)).out, '3 written, 0 rejected\n');
    assert.equal([bench.calls(), bench.embedded], [[], []]);
    const refused = await bench.run([path, '--similar'], {}, bench.env);
    assert.equal(refused, {
      code: 2,
      out: '',
      err: '--similar is for the answers of a gateway; give --questions if this table has them.\n',
    });
    const { out } = await bench.run([path, '--similar', '--questions'], {}, bench.env);
    assert.is(out, '3 written, 0 rejected, 3 indexed\n');
  }),
);

indexing.run();

// ---

const failing = suite('npm run bulk-upload -- --similar, when the index or the model fails');

const passing: readonly [string, Partial<SearchBench['faults']>][] = [
  ['the search is down at first', { search: (_, before) => (before < 6 ? 'reset' : undefined) }],
  [
    'the search is busy now and then',
    { search: (_, before) => (before % 3 === 1 ? unavailable : undefined) },
  ],
  [
    'a new index cannot be written to yet',
    { search: (call, before) => (call === 'POST _bulk' && before < 3 ? notThere : undefined) },
  ],
  [
    'Bedrock throttles every third',
    { bedrock: (_, before) => (before % 3 === 0 ? [429, 'ThrottlingException'] : undefined) },
  ],
  [
    'Bedrock is down at first',
    { bedrock: (_, before) => (before < 6 ? [503, 'ServiceUnavailableException'] : undefined) },
  ],
];

for (const [name, { search, bedrock }] of passing) {
  failing(
    `all is indexed once, and written once, when ${name}`,
    withSearch(async (bench) => {
      const { faults } = bench;
      let written = 0;
      faults.next = (operation, input) => {
        const { RequestItems = {} } = input as { RequestItems?: Record<string, unknown[]> };
        if (operation === 'BatchWriteItem') written += Object.values(RequestItems).flat().length;
        return undefined;
      };
      let failures = 0;
      const count = <Fault>(fault: Fault) => {
        if (fault) failures += 1;
        return fault;
      };
      if (search) faults.search = (...asked) => count(search(...asked));
      if (bedrock) faults.bedrock = (...asked) => count(bedrock(...asked));
      const { code, out, err } = await bench.upload(bench.write(pairsOf(75)));
      faults.search = () => undefined;
      assert.equal([code, out, err], [0, '75 written, 0 rejected, 75 indexed\n', '']);
      await assertIndexed(bench, keysOf(75));
      assert.is(written, 75);
      assert.ok(failures >= 3, 'it has failed');
      assert.is(bench.embedded.length, 75 + (bedrock ? failures : 0), 'no vector is made twice');
    }),
  );
}

failing(
  'an item that DynamoDB hands back or refuses is no entry before it is written',
  withSearch(async (bench) => {
    const { KeySchema, AttributeDefinitions = [], BillingMode } = tableOf('x-answers', 'S');
    await bench.client.createTable({
      TableName: 'x-answers',
      KeySchema,
      BillingMode,
      AttributeDefinitions: [...AttributeDefinitions, { AttributeName: 'n', AttributeType: 'N' }],
      GlobalSecondaryIndexes: [
        {
          IndexName: 'by-n',
          KeySchema: [{ AttributeName: 'n', KeyType: 'HASH' }],
          Projection: { ProjectionType: 'ALL' },
        },
      ],
    });
    let batches = 0;
    bench.faults.next = (operation) =>
      operation === 'BatchWriteItem' && ++batches % 2 === 1 ? { type: 'unprocessed' } : undefined;
    const path = bench.write([...pairsOf(30), { pk: 'Bad?', answer: 'a', n: 'no number' }]);
    const { out } = await bench.run([path, '-t', 'x-answers', '--similar'], {}, bench.env);
    assert.match(out, /^30 written, 1 rejected, 30 indexed\n/);
    await assertIndexed(bench, keysOf(30));
  }),
);

failing(
  'what has a vector when Bedrock refuses the next one is indexed all the same',
  withSearch(async (bench) => {
    bench.faults.bedrock = (_, before) => (before >= 10 ? [403, 'AccessDeniedException'] : undefined);
    assert.is((await bench.upload(bench.write(pairsOf(20)))).out, '0 written, 0 rejected, 0 indexed\n');
    assert.is((await bench.entries()).length, 10);
  }),
);

const SAYS = (search: OpenSearchFault | undefined, bedrock?: BedrockFault) => ({ search, bedrock });

for (const [name, { search, bedrock }, sentence] of [
  [
    'the search lets nobody in',
    SAYS('refuse'),
    /^OpenSearch refused these AWS credentials \(403\); the access policy .* index llmgatewaystack-questions-titan-v2\.\n/,
  ],
  [
    'the index is another one',
    SAYS({ status: 400, body: '{"error":{"type":"mapper_parsing_exception","reason":"SECRET"}}' }),
    /^OpenSearch refused the questions \(400 mapper_parsing_exception\); delete the index llmgatewaystack/,
  ],
  [
    'there is no search',
    SAYS({ status: 404, body: 'SECRET' }),
    /^What answers at http:\S+ is no OpenSearch as the gateway needs it \(404\); check OPENSEARCH_DOMAIN_ENDPOINT, or/,
  ],
  [
    'there is something else',
    SAYS({ status: 200, body: '<html>SECRET' }),
    /^What answers at http:\S+ is no OpenSearch as the gateway needs it \(200\);/,
  ],
  [
    'the model may not be used',
    SAYS(undefined, [403, 'AccessDeniedException']),
    /^These AWS credentials may not use amazon.titan-embed-text-v2:0; allow them bedrock:InvokeModel on it\.\n/,
  ],
  [
    'the account may not use Bedrock',
    SAYS(undefined, [400, 'ValidationException']),
    /^Bedrock made no vector of a question \(upstream_rejected\); npm run doctor tells whether/,
  ],
  [
    'the region does not have the model',
    SAYS(undefined, [404, 'ResourceNotFoundException']),
    /^Bedrock does not have amazon.titan-embed-text-v2:0 in this region\.\n/,
  ],
] as const) {
  failing(
    `it ends with a sentence when ${name}, and goes on once that is mended`,
    withSearch(async (bench) => {
      const path = bench.write(pairsOf(30));
      bench.faults.search = () => search;
      bench.faults.bedrock = () => bedrock;
      const { code, out, err } = await bench.upload(path);
      assert.equal([code, out], [1, '0 written, 0 rejected, 0 indexed\n']);
      assert.match(err, sentence);
      assert.match(err, /\nRun the same command again to go on from here\.\n$/);
      assert.not.match(err, 'SECRET');
      bench.faults.search = () => undefined;
      bench.faults.bedrock = () => undefined;
      assert.is((await bench.upload(path)).out, '30 written, 0 rejected, 30 indexed\n');
      await assertIndexed(bench, keysOf(30));
    }),
  );
}

for (const [name, faults] of [
  ['OpenSearch', { search: () => unavailable }],
  ['Bedrock', { bedrock: (): BedrockFault => [429, 'ThrottlingException'] }],
] as const) {
  failing(
    `it is given up in a sentence when ${name} takes nothing`,
    withSearch(async (bench) => {
      Object.assign(bench.faults, faults);
      const args = [bench.write(pairsOf(30)), '-t', ANSWERS, '--similar'];
      const { code, err } = await bench.run(args, { giveUpMs: 0 }, bench.env);
      assert.is(code, 1);
      assert.match(err, `${name} has taken nothing for 0 seconds; it is overloaded or cannot be reached.\n`);
    }),
  );
}

failing.run();

// ---

const COUNT = 300;

/** As a process of its own, which is killed once so many questions are embedded. */
async function runAndKill(bench: SearchBench, path: string, at: number) {
  const args = [path, '-t', ANSWERS, '--similar', '--concurrency', '2', '--endpoint-url', bench.url];
  const child = spawn(process.execPath, ['scripts/bulk-upload.ts', ...args], {
    env: { PATH: process.env['PATH'], ...bench.env },
    stdio: 'ignore',
  });
  bench.faults.bedrock = () => {
    if (bench.embedded.length === at) child.kill('SIGKILL');
    return undefined;
  };
  await new Promise((resolve) => child.once('close', resolve));
}

const interruptAt = (bench: SearchBench, path: string, at: number, ...args: string[]) => {
  const interrupt = new AbortController();
  bench.faults.bedrock = () => {
    if (bench.embedded.length === at) interrupt.abort();
    return undefined;
  };
  return bench.run([path, '-t', ANSWERS, ...args], { signal: interrupt.signal }, bench.env);
};

const resuming = suite('npm run bulk-upload -- --similar, again');

resuming(
  'after kill -9 it goes on: no question is missing or there twice, and few are embedded again',
  withSearch(async (bench) => {
    const path = bench.write(pairsOf(COUNT));
    for (const at of [120, 250]) await runAndKill(bench, path, at);
    const { code, out, err } = await bench.upload(path);
    assert.equal([code, out], [0, `${COUNT} written, 0 rejected, ${COUNT} indexed\n`]);
    assert.match(err, /^Goes on where an earlier upload stopped: [1-9]\d+ items are settled\.\n$/);
    await assertIndexed(bench, keysOf(COUNT));
    // At each kill 2 batches may be on their way.
    assert.ok(bench.embedded.length <= COUNT + 2 * 2 * 25, `${bench.embedded.length}`);
  }),
);

resuming(
  'Ctrl-C embeds no more than what is on its way, and indexes it',
  withSearch(async (bench) => {
    const path = bench.write(pairsOf(COUNT));
    const { code, out } = await interruptAt(bench, path, 100, '--similar');
    assert.is(code, 130);
    const indexed = (await bench.entries()).length;
    assert.is(out, `${indexed} written, 0 rejected, ${indexed} indexed\n`);
    assert.ok(bench.embedded.length <= 107, `${bench.embedded.length}`);
    assert.is(indexed, bench.embedded.length);
    await bench.upload(path);
    assert.is(bench.embedded.length, COUNT);
    await assertIndexed(bench, keysOf(COUNT));
  }),
);

for (const [what, first, change] of [
  ['one without it', [], () => {}],
  ['one with it, of another version', ['--similar'], changeVersion],
] as const) {
  resuming(
    `does not go on with ${what}`,
    withSearch(async (bench) => {
      const path = bench.write(pairsOf(COUNT));
      if (first.length > 0) await interruptAt(bench, path, 100, ...first);
      else await interruptWriting(bench, path);
      change(path);
      const { out, err } = await bench.upload(path);
      assert.match(err, /^An earlier upload was interrupted, but .*: it begins anew\.\n$/);
      assert.is(out, `${COUNT} written, 0 rejected, ${COUNT} indexed\n`);
      await assertIndexed(bench, keysOf(COUNT));
    }),
  );
}

function changeVersion(path: string) {
  const checkpoint = JSON.parse(readFileSync(`${path}.checkpoint.json`, 'utf8'));
  writeFileSync(`${path}.checkpoint.json`, JSON.stringify({ ...checkpoint, version: 1 }));
}

async function interruptWriting(bench: SearchBench, path: string) {
  const interrupt = new AbortController();
  let batches = 0;
  bench.faults.next = () => {
    if (++batches === 5) interrupt.abort();
    return undefined;
  };
  assert.is((await bench.run([path, '-t', ANSWERS], { signal: interrupt.signal })).code, 130);
  bench.faults.next = undefined;
}

resuming.run();
