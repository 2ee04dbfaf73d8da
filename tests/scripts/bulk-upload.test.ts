/** `npm run bulk-upload` against the embedded DynamoDB, over real sockets and with real files. */
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { isDeepStrictEqual } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bulkUpload } from '../../scripts/bulk-upload.ts';
import { toCuratedKey } from '../../src/chat/answer-keys.ts';
import type { Fault } from '../../src/local/dynamodb/server.ts';
import { type Bench, inTable, itemsOf, STOCK, tableOf } from '../helpers/bulk-upload.ts';
import { runScript } from '../helpers/process.ts';

const ANSWERS = 'LlmGatewayStack-answers';

/** How many items each batch asks for. */
const countBatches = ({ faults }: Bench, fault: (batch: number) => Fault | undefined = () => undefined) => {
  const batches: number[] = [];
  faults.next = (operation, input) => {
    if (operation !== 'BatchWriteItem' && operation !== 'PutItem') return undefined;
    const { RequestItems } = input as { RequestItems?: Record<string, unknown[]> };
    batches.push(RequestItems ? Object.values(RequestItems).flat().length : 1);
    return fault(batches.length);
  };
  return batches;
};

const writing = suite('npm run bulk-upload');

writing(
  'writes all items of a list, in batches of 25, and leaves no file',
  inTable(async (bench) => {
    const batches = countBatches(bench);
    const path = bench.write(itemsOf(110));
    assert.equal(await bench.run([path]), { code: 0, out: '110 written, 0 rejected\n', err: '' });
    assert.equal(await bench.stored(), itemsOf(110));
    assert.equal(batches.sort(), [10, 25, 25, 25, 25]);
    assert.equal(readdirSync(bench.folder), ['items.json']);
  }),
);

writing(
  'writes JSON Lines, rejects the bad lines, and goes on',
  inTable(async ({ run, write, stored, rejected }) => {
    const path = write('{"pk":"a"}\n{"pk":"b"\n{"pk":"c"}\n', 'items.jsonl');
    const { code, out } = await run([path]);
    assert.is(code, 1);
    assert.is(
      out,
      `2 written, 1 rejected\nThe rejected items, each with its reason, are in ${path}.rejected.jsonl\n`,
    );
    assert.equal(await stored(), [{ pk: 'a' }, { pk: 'c' }]);
    assert.equal(rejected(path), [{ item: 2, line: 2, reason: 'The line ends in the middle of an item.' }]);
  }),
);

writing(
  'what is rejected has its number, line, reason and, when it is small, itself; nothing of it is shown',
  inTable(async ({ run, write, stored, rejected }) => {
    const secret = 'SECRET'.repeat(2_000);
    const path = write(
      `[{"pk":"a"},\n{"secret":"x"},\n\n{"pk":5,"secret":"${secret}"},\n"SECRET",{"pk":"b"}]`,
    );
    const { code, out, err } = await run([path]);
    assert.is(code, 1);
    assert.match(out, /^2 written, 3 rejected\n/);
    assert.equal(rejected(path), [
      { item: 2, line: 2, reason: 'The key pk is missing.', value: { secret: 'x' } },
      { item: 3, line: 4, reason: 'The key pk must be a string.' },
      { item: 4, line: 5, reason: 'The item is no object.', value: 'SECRET' },
    ]);
    assert.equal(await stored(), [{ pk: 'a' }, { pk: 'b' }]);
    assert.not.match(out + err, 'SECRET');
    write([{ pk: 'a' }]);
    assert.is((await run([path])).code, 0);
    assert.not(existsSync(`${path}.rejected.jsonl`), 'a run of which nothing is rejected leaves none');
  }),
);

writing(
  'a file that ends in the middle is told, and what came before is written',
  inTable(async ({ run, write, stored, folder }) => {
    const path = write('[{"pk":"a"},\n{"pk":"b"},\n{pk:"c"}]');
    assert.equal(await run([path]), {
      code: 1,
      out: '2 written, 0 rejected\n',
      err: 'A key on line 3 has no quotes; put it into double ones: {"pk": "…"} in place of {pk: "…"}.\n',
    });
    assert.equal(await stored(), [{ pk: 'a' }, { pk: 'b' }]);
    assert.equal(readdirSync(folder), ['items.json']);
  }),
);

writing(
  'all types of JSON come back as they were, also under names that objects have already',
  inTable(async ({ run, write, stored }) => {
    const item = {
      pk: 'x',
      constructor: { toString: 'a', hasOwnProperty: [] },
      empty: '',
      list: [1, -0.5, 1e-7, 'é😀', null, true, [], {}],
    };
    assert.is((await run([write([item])])).code, 0);
    // uvu takes the attribute for a class.
    assert.ok(isDeepStrictEqual(await stored(), [item]));
  }),
);

writing(
  'keys that are numbers and bytes are written as such',
  inTable(async ({ run, write, stored, client }) => {
    await client.createTable(tableOf('parts', 'N', 'B'));
    const sk = Buffer.from('bytes').toString('base64');
    const path = write([
      { pk: 1, sk },
      { pk: '1', sk },
      { pk: 1, sk: 'no base64' },
      { pk: 2, sk },
    ]);
    assert.match((await run([path, '-t', 'parts'])).out, '2 written, 2 rejected');
    const items = await stored('parts');
    assert.equal(
      items.map(({ pk, sk }) => [pk, Buffer.from(sk as Uint8Array).toString()]),
      [
        [1, 'bytes'],
        [2, 'bytes'],
      ],
    );
  }),
);

writing(
  'of items with the same key the later one wins, within a batch and beyond',
  inTable(async (bench) => {
    countBatches(bench, (batch) => (batch % 3 === 1 ? { type: 'unprocessed' } : undefined));
    const items = Array.from({ length: 400 }, (_, n) => ({ pk: `item ${(n * 7) % 50}`, n }));
    const { out } = await bench.run([bench.write(items)]);
    assert.is(out, '400 written, 0 rejected\n');
    const last = new Map(items.map((item) => [item.pk, item]));
    const stored = await bench.stored();
    assert.is(stored.length, 50);
    for (const item of stored) assert.equal(item, last.get(String(item['pk'])));
  }),
);

writing(
  '--keep-existing leaves what is there, and counts it',
  inTable(async ({ run, write, stored }) => {
    await run([write([{ pk: 'a', by: 'first' }])]);
    const path = write([
      { pk: 'a', by: 'second' },
      { pk: 'b', by: 'second' },
      { pk: 'b', by: 'third' },
    ]);
    assert.equal(await run([path, '--keep-existing']), {
      code: 0,
      out: '1 written, 0 rejected, 2 kept\n',
      err: '',
    });
    assert.equal(await stored(), [
      { pk: 'a', by: 'first' },
      { pk: 'b', by: 'second' },
    ]);
    assert.is((await run([path, '--replace'])).out, '3 written, 0 rejected\n');
    assert.is((await stored())[0]?.['by'], 'second');
  }),
);

writing(
  '--dry-run tells what would be rejected, and writes only that',
  inTable(async ({ run, write, stored, rejected, folder }) => {
    const path = write([{ pk: 'a' }, { pk: 1 }, { pk: 'b' }]);
    const { code, out } = await run([path, '--dry-run']);
    assert.is(code, 1);
    assert.match(out, /^2 valid, 1 rejected\n/);
    assert.is(rejected(path)[0]?.item, 2);
    assert.equal(await stored(), []);
    assert.equal(readdirSync(folder).sort(), ['items.json', 'items.json.rejected.jsonl']);
  }),
);

writing(
  'a request stays far below 16 MB, also when each character takes six bytes',
  inTable(async ({ run, write, faults }) => {
    let largest = 0;
    faults.next = (_, input) => {
      largest = Math.max(largest, JSON.stringify(input).length);
      return undefined;
    };
    const items = Array.from({ length: 12 }, (_, at) => ({ pk: `${at}`, text: '\u0001'.repeat(390_000) }));
    assert.is((await run([write(items)])).out, '12 written, 0 rejected\n');
    assert.ok(largest > 2_000_000 && largest < 13_000_000, `${largest}`);
  }),
);

writing.run();

// ---

const failing = suite('npm run bulk-upload, when DynamoDB fails');

for (const [name, fault] of [
  ['hands 30 % back', (batch: number) => (batch % 5 < 3 ? ({ type: 'unprocessed' } as const) : undefined)],
  ['is throttled', (batch: number) => (batch % 3 === 1 ? ({ type: 'throttled' } as const) : undefined)],
  ['is down for a while', (batch: number) => (batch < 5 ? ({ type: 'down' } as const) : undefined)],
  ['loses replies', (batch: number) => (batch % 4 === 1 ? ({ type: 'lost' } as const) : undefined)],
] as const) {
  failing(
    `no item is lost or doubled when it ${name}`,
    inTable(async (bench) => {
      const batches = countBatches(bench, fault);
      const path = bench.write([...itemsOf(300), { pk: 1 }]);
      assert.match((await bench.run([path])).out, /^300 written, 1 rejected\n/);
      assert.equal(await bench.stored(), itemsOf(300));
      assert.is(bench.rejected(path).length, 1);
      assert.ok(batches.length > 12, 'it has failed');
    }),
  );
}

failing(
  'with --keep-existing an item of which the reply was lost counts as written',
  inTable(async (bench) => {
    countBatches(bench, (batch) => (batch % 2 === 1 ? { type: 'lost' } : undefined));
    const { out } = await bench.run([bench.write(itemsOf(6)), '--keep-existing', '--concurrency', '1']);
    assert.is(out, '6 written, 0 rejected\n');
  }),
);

failing(
  'it is given up in a sentence when nothing is taken, and goes on from there',
  inTable(async (bench) => {
    countBatches(bench, (batch) => (batch > 2 ? { type: 'throttled' } : undefined));
    const path = bench.write(itemsOf(200));
    const { code, out, err } = await bench.run([path, '--concurrency', '1'], { giveUpMs: 0 });
    assert.equal([code, out], [1, '50 written, 0 rejected\n']);
    assert.is(
      err,
      'DynamoDB has taken nothing for 0 seconds; it is overloaded or cannot be reached.\nRun the same command again to go on from here.\n',
    );
    const batches = countBatches(bench);
    const next = await bench.run([path]);
    assert.is(next.err, 'Goes on where an earlier upload stopped: 50 items are settled.\n');
    assert.is(next.out, '200 written, 0 rejected\n');
    assert.is(
      batches.reduce((sum, size) => sum + size),
      150,
    );
    assert.equal(await bench.stored(), itemsOf(200));
  }),
);

failing(
  'an item that only DynamoDB finds wrong is rejected, and the rest of its batch is written',
  inTable(async ({ run, write, stored, rejected, client }) => {
    const { KeySchema, AttributeDefinitions = [], BillingMode } = tableOf('indexed', 'S');
    await client.createTable({
      TableName: 'indexed',
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
    const path = write([...itemsOf(30), { pk: 'bad', n: 'no number' }, { pk: 'without' }]);
    assert.match((await run([path, '-t', 'indexed'])).out, '31 written, 1 rejected');
    assert.is((await stored('indexed')).length, 31);
    assert.equal(rejected(path), [
      {
        item: 31,
        line: 1,
        reason: 'DynamoDB refused the item (ValidationException).',
        value: { pk: 'bad', n: 'no number' },
      },
    ]);
  }),
);

failing(
  'a table that is not there, or cannot be reached, is told in a sentence',
  inTable(async ({ run, write, folder }) => {
    const path = write(itemsOf(1));
    assert.match(
      (await run([path, '-t', 'nope'])).err,
      /^There is no table nope in this account and region;.*\n$/,
    );
    let err = '';
    const io = { out: () => assert.unreachable(), err: (text: string) => (err += text) };
    assert.is(await bulkUpload([path, '--local'], { AWS_PORT: '1' }, io), 1);
    assert.match(
      err,
      /^DynamoDB cannot be reached at http:\/\/127.0.0.1:1 \(ECONNREFUSED\); start the gateway/,
    );
    err = '';
    assert.is(await bulkUpload([path, '--local'], { AWS_PORT: 'here' }, io), 1);
    assert.is(err, 'AWS_PORT must be a port, and what AWS_ENDPOINT_URL_… says a URL.\n');
    assert.equal(readdirSync(folder), ['items.json']);
  }),
);

failing('what AWS refuses is told by its name, and without what AWS says', async () => {
  for (const [name, sentence] of [
    [
      'AccessDeniedException',
      'These AWS credentials may not describe stock or write to it (AccessDeniedException).\n',
    ],
    [
      'UnrecognizedClientException',
      'AWS did not accept the credentials; renew them (UnrecognizedClientException).\n',
    ],
    ['ExpiredTokenException', 'AWS did not accept the credentials; renew them (ExpiredTokenException).\n'],
    ['SomethingNewException', 'DynamoDB refused what it was asked (SomethingNewException).\n'],
  ]) {
    const server = createServer((_, response) => {
      response.writeHead(400, { 'content-type': 'application/x-amz-json-1.0' });
      response.end(JSON.stringify({ __type: `com.amazonaws.dynamodb.v20120810#${name}`, message: 'SECRET' }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    let err = '';
    const io = { out: () => assert.unreachable(), err: (text: string) => (err += text) };
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    assert.is(
      await bulkUpload(['samples/network-outages.json', '-t', STOCK, '--endpoint-url', url], {}, io),
      1,
    );
    assert.is(err, sentence);
    server.closeAllConnections();
    server.close();
  }
});

failing('without credentials for AWS it says which to set', async () => {
  const { code, err, out } = await runScript(
    'scripts/bulk-upload.ts',
    ['samples/network-outages.json', '-t', STOCK],
    {
      HOME: '/nonexistent',
      AWS_EC2_METADATA_DISABLED: 'true',
    },
  );
  assert.equal([code, out], [1, '']);
  assert.match(err, /^There are no AWS credentials; set AWS_PROFILE, .*\n$/);
});

failing(
  'a file that is none is told in a sentence',
  inTable(async ({ run, folder, write }) => {
    assert.match((await run([join(folder, 'nope')])).err, /nope cannot be read \(ENOENT\)\.\n$/);
    mkdirSync(join(folder, 'sub'));
    assert.match((await run([join(folder, 'sub')])).err, /sub is no file\.\n$/);
    assert.equal(await run([write('')]), {
      code: 1,
      out: '0 written, 0 rejected\n',
      err: 'The file is empty.\n',
    });
    mkdirSync(join(folder, 'items.json.checkpoint.json'));
    const { code, err } = await run([write(itemsOf(1))]);
    assert.is(code, 1);
    assert.match(
      err,
      /checkpoint\.json cannot be written \(EISDIR\); it is what an interrupted upload goes on by\.\n$/,
    );
  }),
);

failing.run();

// ---

const answers = suite('npm run bulk-upload, into the answers of the gateway');

const withAnswers = (test: (bench: Bench) => Promise<void>) =>
  inTable(async (bench) => {
    await bench.client.createTable(tableOf(ANSWERS, 'S'));
    await test(bench);
  });

answers(
  'the sample is written into them without naming a table, each question by the key that chat looks for',
  withAnswers(async ({ stored, url }) => {
    let out = '';
    const io = { out: (text: string) => (out += text), err: assert.unreachable };
    const env = { AWS_PORT: new URL(url).port };
    const code = await bulkUpload(['samples/network-outages.json', '--local', '--quiet'], env, io);
    const pairs: { pk: string; answer: string }[] = JSON.parse(
      readFileSync('samples/network-outages.json', 'utf8'),
    );
    assert.equal([code, out], [0, `${pairs.length} written, 0 rejected\n`]);
    const items = await stored(ANSWERS);
    assert.is(items.length, pairs.length);
    const faraday = items.find(({ pk }) => pk === toCuratedKey('WHAT is a Faraday  cage'));
    assert.is(faraday?.['question'], 'What is a Faraday cage?');
    assert.is(faraday?.['kind'], 'curated');
    assert.is(faraday?.['source'], 'network-outages.json');
  }),
);

answers(
  'two ways to put one question are one answer, the later',
  withAnswers(async ({ run, write, stored }) => {
    const path = write([
      { pk: 'Who?', answer: 'one' },
      { pk: ' WHO ', answer: 'two', topic: 'x' },
    ]);
    assert.is((await run([path, '-t', ANSWERS])).out, '2 written, 0 rejected\n');
    assert.equal(await stored(ANSWERS), [
      { pk: 'who', question: ' WHO ', answer: 'two', topic: 'x', kind: 'curated', source: 'items.json' },
    ]);
  }),
);

answers(
  'an item without an answer is refused there, and with --no-questions or in any other table it passes',
  withAnswers(async ({ run, write, stored, client }) => {
    const path = write([{ pk: 'Who?' }]);
    assert.match((await run([path, '-t', ANSWERS])).out, '0 written, 1 rejected');
    assert.match((await run([path, '-t', ANSWERS, '--no-questions'])).out, '1 written, 0 rejected');
    assert.equal(await stored(ANSWERS), [{ pk: 'Who?' }]);
    await client.createTable(tableOf('other-answers', 'S', 'S'));
    const other = write([{ pk: 'Who?', sk: '1' }]);
    assert.match((await run([other, '-t', 'other-answers'])).out, '1 written, 0 rejected');
    assert.equal(await stored('other-answers'), [{ pk: 'Who?', sk: '1' }]);
    assert.match((await run([path])).out, '1 written, 0 rejected');
    assert.match((await run([path, '--questions'])).out, '0 written, 1 rejected');
    const refused = await run([other, '-t', 'other-answers', '--questions']);
    assert.is(refused.code, 1);
    assert.is(
      refused.err,
      '--questions needs a table whose only key is pk, a string; other-answers has another.\n',
    );
  }),
);

answers.run();

// ---

const command = suite('npm run bulk-upload, as a command');

command('without arguments it explains itself with exit 2, and with --help with exit 0', async () => {
  let out = '';
  const io = { out: (text: string) => (out += text), err: assert.unreachable };
  assert.is(await bulkUpload([], {}, io), 2);
  const help = out;
  for (const part of [
    '--table',
    '--keep-existing',
    '--dry-run',
    '--similar',
    'JSON Lines',
    '.rejected.jsonl',
    '.checkpoint.json',
    'Examples:',
    'Exit codes:',
  ])
    assert.ok(help.includes(part), part);
  out = '';
  assert.is(await bulkUpload(['--help'], {}, io), 0);
  assert.is(out, help);
});

command('a command that is none is exit 2 and a sentence', async () => {
  for (const [args, sentence] of [
    [['-t', 'stock'], 'Name one file to upload.'],
    [['a', 'b'], 'Name one file to upload.'],
    [['a', '--local', '--endpoint-url', 'http://x'], 'Give --local or --endpoint-url, not both.'],
    [['a', '--replace', '--keep-existing'], 'Give --replace or --keep-existing, not both.'],
    [['a', '--questions', '--no-questions'], 'Give --questions or --no-questions, not both.'],
    [['a', '--similar', '--no-questions'], 'Give --similar or --no-questions, not both.'],
    [['a', '--dry-run', '--restart'], 'Give --dry-run or --restart, not both.'],
    [['a', '-t', 'x y'], '--table must be 3 to 255 letters, digits, dots, dashes and underscores.'],
    [['a', '-t', ''], '--table must be 3 to 255 letters, digits, dots, dashes and underscores.'],
    [['a', '--concurrency', '0'], '--concurrency must be a whole number from 1 to 64.'],
    [['a', '--concurrency', '65'], '--concurrency must be a whole number from 1 to 64.'],
    [['a', '--concurrency', 'x'], '--concurrency must be a whole number from 1 to 64.'],
    [
      ['a', '--endpoint-url', 'here'],
      '--endpoint-url must be an http or https URL, such as http://127.0.0.1:4566.',
    ],
    [['a', '--frob'], '--frob'],
  ] as const) {
    let err = '';
    const io = { out: () => assert.unreachable(), err: (text: string) => (err += text) };
    assert.is(await bulkUpload(args, {}, io), 2, args.join(' '));
    assert.match(err, sentence);
  }
});

command(
  'progress is a line every so often, a bar on a terminal, and with --quiet nothing',
  inTable(async (bench) => {
    const slow = () => countBatches(bench, () => ({ type: 'slow', ms: 20 }));
    const path = bench.write([...itemsOf(400), { pk: 1 }]);
    slow();
    const { err } = await bench.run([path, '--concurrency', '2'], { progressMs: 5 });
    assert.match(err, /^\d+ % read, [\d,]+ items\/s, (–|\d+ s) left, \d+ written, 1 rejected$/m);
    assert.is((await bench.run([path, '--quiet'], { progressMs: 1 })).err, '');
    let drawn = '';
    const write = (chunk: Buffer, _: string, done: () => void) => {
      drawn += chunk;
      done();
    };
    const terminal = Object.assign(new Writable({ write }), { isTTY: true, columns: 120 });
    assert.is((await bench.run([path], { terminal })).err, '');
    assert.match(drawn, /█+ 100 % \| [\d,]+ items\/s \| \S+( s)? left \| 400 written, 1 rejected/);
  }),
);

command(
  'the file is read no faster than DynamoDB takes it',
  inTable(async ({ run, write, faults }) => {
    const interrupt = new AbortController();
    faults.next = (operation) => {
      if (operation !== 'BatchWriteItem') return undefined;
      setTimeout(() => interrupt.abort(), 100);
      return { type: 'slow', ms: 200 };
    };
    const path = write(itemsOf(60_000));
    const { code, err } = await run([path], { signal: interrupt.signal, progressMs: 10 });
    assert.is(code, 130);
    const read = [...err.matchAll(/^(\d+) % read/gm)].map(([, percent]) => Number(percent));
    assert.ok(read.length > 0);
    assert.ok(Math.max(...read) <= 10, `${Math.max(...read)} %`);
  }),
);

command.run();
