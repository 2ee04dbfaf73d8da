/** An upload that was interrupted or killed goes on from where it was, and one that cannot says so. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Bench, inTable, itemsOf, STOCK, tableOf } from '../helpers/bulk-upload.ts';

const COUNT = 800;

/** Every hundredth is invalid. */
const mixed: readonly { pk: string | number; n: number }[] = itemsOf(COUNT).map((item, at) =>
  at % 100 === 50 ? { ...item, pk: at } : item,
);
const valid = mixed.filter(({ pk }) => typeof pk === 'string');
const invalid = mixed.flatMap(({ pk, n }) => (typeof pk === 'string' ? [] : [n]));

/** Counts the items that are written, and calls when there are so many. */
function watch({ faults }: Bench, at = Number.POSITIVE_INFINITY, onReached = () => {}) {
  const counts = { written: 0 };
  faults.next = (operation, input) => {
    if (operation !== 'BatchWriteItem') return undefined;
    const { RequestItems } = input as { RequestItems: Record<string, unknown[]> };
    const before = counts.written;
    counts.written += Object.values(RequestItems).flat().length;
    if (before < at && counts.written >= at) onReached();
    return undefined;
  };
  return counts;
}

/** As a process of its own, which is killed once so many items are written. */
async function runAndKill(bench: Bench, path: string, at: number) {
  const args = [
    'scripts/bulk-upload.ts',
    path,
    '-t',
    STOCK,
    '--endpoint-url',
    bench.url,
    '--concurrency',
    '4',
  ];
  const child = spawn(process.execPath, args, { env: { PATH: process.env['PATH'] }, stdio: 'ignore' });
  const counts = watch(bench, at, () => child.kill('SIGKILL'));
  await new Promise((resolve) => child.once('close', resolve));
  return counts;
}

async function interruptAt(bench: Bench, path: string, at: number, ...args: string[]) {
  const interrupt = new AbortController();
  const counts = watch(bench, at, () => interrupt.abort());
  const ended = await bench.run([path, ...args], { signal: interrupt.signal });
  return { ...ended, counts };
}

const assertWhole = async ({ stored, rejected }: Bench, path: string) => {
  assert.equal(await stored(), valid);
  assert.equal(
    rejected(path).map(({ item }) => item),
    invalid,
  );
};

const resuming = suite('npm run bulk-upload, again');

resuming(
  'after kill -9 it goes on: the table is exact, each rejection is there once, and little is written again',
  inTable(async (bench) => {
    const path = bench.write(mixed);
    let written = 0;
    for (const at of [500, 100]) written += (await runAndKill(bench, path, at)).written;
    assert.ok(existsSync(`${path}.checkpoint.json`));
    const counts = watch(bench);
    const { code, out, err } = await bench.run([path]);
    assert.is(code, 1);
    assert.match(out, new RegExp(`^${valid.length} written, ${invalid.length} rejected\n`));
    assert.match(err, /^Goes on where an earlier upload stopped: \d+ items are settled\.\n$/);
    await assertWhole(bench, path);
    // At each kill 4 batches may be on their way, and some more done of which the checkpoint does not know yet.
    const again = written + counts.written - valid.length;
    assert.ok(again <= 2 * 7 * 25, `${again} items were written again`);
    assert.not(existsSync(`${path}.checkpoint.json`));
    assert.not(existsSync(`${path}.checkpoint.json.tmp`));
  }),
);

resuming(
  'Ctrl-C waits for what is on its way, says how to go on, and nothing is written twice',
  inTable(async (bench) => {
    const path = bench.write(mixed);
    const { code, out, err, counts } = await interruptAt(bench, path, 300);
    assert.is(code, 130);
    assert.is(err, 'The upload was interrupted.\nRun the same command again to go on from here.\n');
    assert.match(out, new RegExp(`^${counts.written} written, \\d+ rejected\n`));
    assert.is((await bench.stored()).length, counts.written);
    const rest = watch(bench);
    assert.match((await bench.run([path])).out, `${valid.length} written, ${invalid.length} rejected`);
    assert.is(counts.written + rest.written, valid.length);
    await assertWhole(bench, path);
  }),
);

resuming(
  'Ctrl-C of the process itself ends it with 130',
  inTable(async (bench) => {
    const path = bench.write(mixed);
    const args = ['scripts/bulk-upload.ts', path, '-t', STOCK, '--endpoint-url', bench.url];
    const child = spawn(process.execPath, args, { env: { PATH: process.env['PATH'] } });
    let err = '';
    child.stderr.on('data', (text) => (err += text));
    watch(bench, 300, () => child.kill('SIGINT'));
    const code = await new Promise((resolve) => child.once('close', resolve));
    assert.is(code, 130);
    assert.match(err, 'Run the same command again to go on from here.');
    assert.ok(existsSync(`${path}.checkpoint.json`));
  }),
);

resuming(
  'a rejection that the checkpoint does not know of yet is not doubled',
  inTable(async (bench) => {
    const path = bench.write(mixed);
    await interruptAt(bench, path, 300);
    writeFileSync(`${path}.rejected.jsonl`, '{"item":799,"line":1,"reason":"half a li', { flag: 'a' });
    await bench.run([path]);
    await assertWhole(bench, path);
  }),
);

const anew =
  /^An earlier upload was interrupted, but the file, the table or the options changed: it begins anew\.\n/;

for (const [what, change, args] of [
  ['another file', ({ write }: Bench) => write(mixed.map((item) => ({ ...item, n: -item.n }))), []],
  ['a table that was made anew', remake, []],
  ['other options', () => {}, ['--questions']],
  ['--keep-existing', () => {}, ['--keep-existing']],
  ['rejections that are gone', (_: Bench, path: string) => truncateSync(`${path}.rejected.jsonl`, 10), []],
  [
    'a checkpoint that is none',
    (_: Bench, path: string) => writeFileSync(`${path}.checkpoint.json`, '{'),
    [],
  ],
  ['one of other content', (_: Bench, path: string) => changeCheckpoint(path, { settled: 'all' }), []],
] as const) {
  resuming(
    `with ${what} it begins anew and says so`,
    inTable(async (bench) => {
      const path = bench.write(mixed);
      await interruptAt(bench, path, 300);
      await change(bench, path);
      const { err, out } = await bench.run([path, ...args], { progressMs: 60_000 });
      assert.match(err, anew);
      const [, total = 0] = /^(\d+)/.exec(out) ?? [];
      const kept = /(\d+) kept/.exec(out)?.[1] ?? 0;
      const isQuestions = args[0] === '--questions';
      assert.is(Number(total) + Number(kept), isQuestions ? 0 : valid.length);
      assert.is(bench.rejected(path).length, isQuestions ? COUNT : invalid.length);
    }),
  );
}

async function remake({ client }: Bench) {
  await client.deleteTable({ TableName: STOCK });
  await client.createTable(tableOf(STOCK, 'S'));
}

function changeCheckpoint(path: string, changes: object) {
  const checkpoint = JSON.parse(readFileSync(`${path}.checkpoint.json`, 'utf8'));
  writeFileSync(`${path}.checkpoint.json`, JSON.stringify({ ...checkpoint, ...changes }));
}

resuming(
  '--restart begins anew without a word',
  inTable(async (bench) => {
    const path = bench.write(mixed);
    await interruptAt(bench, path, 300);
    const counts = watch(bench);
    assert.is((await bench.run([path, '--restart'])).err, '');
    assert.is(counts.written, valid.length);
    await assertWhole(bench, path);
  }),
);

resuming(
  'the checkpoint is kept up while the upload runs, and a dry run leaves it alone',
  inTable(async (bench) => {
    const path = bench.write(itemsOf(COUNT));
    const { written } = (await interruptAt(bench, path, 300)).counts;
    const before = readFileSync(`${path}.checkpoint.json`, 'utf8');
    assert.is(JSON.parse(before).written, written);
    await bench.run([path, '--dry-run']);
    assert.is(readFileSync(`${path}.checkpoint.json`, 'utf8'), before);
    assert.match((await bench.run([path])).err, `${written} items are settled`);
  }),
);

resuming.run();
