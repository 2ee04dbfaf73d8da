/**
 * `npm run soak:bulk`: the upload of a large file, with invalid items, a table that hands items back, and SIGKILL at random points, from each
 * of which it goes on; then its memory and its speed. Ends with 1 when the table, the file of the rejected or a figure is not as it must be.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { openDatabase, TABLE } from './bulk/database.ts';
import { type Draw, type Plan, writeFileOf } from './bulk/items.ts';
import { startUploader, type Uploader } from './bulk/uploader.ts';
import { runSoak, type Soak } from './soak.ts';

const sizes = {
  full: { items: 100_000, kills: 20, limitMs: 20 * 60_000 },
  quick: { items: 8_000, kills: 5, limitMs: 120_000 },
};

const CONCURRENCY = 8;
/** Of all items, in percent, over all kills; each kill may cost what was on its way, whatever the file's size. */
const maxRewritten = ({ items, kills }: { items: number; kills: number }) =>
  Math.max(5, (100 * kills * 1.25 * CONCURRENCY * 25) / items);
/** What the process may hold on to; the rest of its memory is Node's own. */
const HEAP_MB = 64;
/** Of a batch half is handed back: so of all items that are sent 30 %. */
const CUT_SHARE = 0.6;

type Size = (typeof sizes)['full'];

/** Killed at random points of what is written, and started again each time. */
async function soakKills(soak: Soak, size: Size, folder: string): Promise<void> {
  const path = join(folder, 'killed.json');
  const plan = writeFileOf(path, size.items, draws(soak, 'killed'));
  const points = Array.from({ length: size.kills }, (_, at) => soak.draw('kill', at) * plan.writes);
  points.sort((one, other) => one - other);
  let uploader: Uploader | undefined;
  let killed = 0;
  const database = await openDatabase({
    isCut: (batch) => soak.draw('cut', batch) < CUT_SHARE,
    async onWritten(items) {
      if (items < (points[0] ?? Number.POSITIVE_INFINITY)) return;
      const point = points.shift();
      const victim = uploader;
      await sleep(soak.draw('later', point ?? 0) * 5);
      victim?.kill();
      killed += 1;
    },
  });
  const began = performance.now();
  let run: Awaited<Uploader['over']>;
  do {
    uploader = startUploader(path, database.url, TABLE);
    run = await uploader.over;
  } while (run.code === null);
  const rewritten = (100 * (database.counts.written - plan.writes)) / size.items;
  checkTable(soak, plan, await database.read());
  checkRejected(soak, plan, `${path}.rejected.jsonl`);
  const summary = `${plan.writes} written, ${plan.invalid.size} rejected\n`;
  if (!run.out.startsWith(summary))
    soak.fail(`The summary is not ${summary.trim()}, but ${run.out}${run.err}`);
  if (killed < size.kills) soak.fail(`Only ${killed} of ${size.kills} kills came in time.`);
  if (rewritten > maxRewritten(size)) soak.fail(`${rewritten.toFixed(1)} % of the items were written again.`);
  soak.addRow({
    upload: `${killed} kills, 30 % unprocessed`,
    items: size.items,
    rejected: plan.invalid.size,
    'rewritten %': Number(rewritten.toFixed(2)),
    'peak MB': run.peakMb,
    seconds: Math.round((performance.now() - began) / 1000),
  });
  await database.close();
}

function checkTable(soak: Soak, { valid }: Plan, found: Map<string, Record<string, unknown>>): void {
  const differing = [...valid].filter(([key, item]) => !isDeepStrictEqual(found.get(key), item));
  for (const [key] of differing.slice(0, 3)) soak.fail(`${key} is not in the table as it is in the file.`);
  if (found.size !== valid.size) soak.fail(`The table has ${found.size} items, and must have ${valid.size}.`);
}

function checkRejected(soak: Soak, { invalid }: Plan, path: string): void {
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  const rejected = lines.map((line): { item: number; line: number } => JSON.parse(line));
  const found = rejected.map(({ item, line }): [number, number] => [item, line]);
  found.sort(([one], [other]) => one - other);
  if (!isDeepStrictEqual(found, [...invalid]))
    soak.fail(
      `${found.length} items are in the file of the rejected, and must be ${invalid.size}, each once.`,
    );
}

/** Without faults: memory of a file and of one a tenth of its size, and the speed against a loop of bare batches. */
async function measure(soak: Soak, size: Size, folder: string): Promise<void> {
  const path = join(folder, 'whole.json');
  const small = await uploadWhole(soak, size.items / 10, join(folder, 'small.json'), HEAP_MB);
  const large = await uploadWhole(soak, size.items, path, HEAP_MB);
  const whole = await uploadWhole(soak, size.items, path);
  const bare = await measureBareRate(`${path}.valid`, whole.plan);
  const within = `in a heap of ${HEAP_MB} MB`;
  soak.addRow({ upload: `a tenth, ${within}`, items: size.items / 10, 'peak MB': small.peakMb });
  soak.addRow({ upload: `whole, ${within}`, items: size.items, 'peak MB': large.peakMb });
  soak.addRow({
    upload: 'whole',
    items: size.items,
    'peak MB': whole.peakMb,
    'items/s': whole.rate,
    'of bare': (whole.rate / bare).toFixed(2),
  });
  soak.addRow({ upload: 'bare batches', items: whole.plan.writes, 'items/s': bare });
  if (large.peakMb > 1.5 * small.peakMb + 32)
    soak.fail(`Memory grows with the file: ${small.peakMb} MB, then ${large.peakMb} MB.`);
}

async function uploadWhole(soak: Soak, items: number, path: string, heapMb?: number) {
  const plan = writeFileOf(path, items, draws(soak, 'whole'));
  const database = await openDatabase();
  const { out, err, peakMb } = await startUploader(path, database.url, TABLE, heapMb).over;
  if (!out.startsWith(`${plan.writes} written`)) soak.fail(`${out}${err}`);
  const rate = database.itemsPerSecond();
  await database.close();
  return { plan, peakMb, rate };
}

async function measureBareRate(path: string, { valid }: Plan): Promise<number> {
  writeFileSync(path, JSON.stringify([...valid.values()]));
  const database = await openDatabase();
  const args = ['tests/soak/bulk/bare-rate.ts', database.url, TABLE, path, String(CONCURRENCY)];
  const child = spawn(process.execPath, args, { stdio: 'inherit' });
  await new Promise((resolve) => child.once('close', resolve));
  const rate = database.itemsPerSecond();
  await database.close();
  return rate;
}

const draws =
  (soak: Soak, of: string): Draw =>
  (...names) =>
    soak.draw(of, ...names);

await runSoak({ name: 'soak:bulk', sizes }, async (soak, size) => {
  const folder = mkdtempSync(join(tmpdir(), 'bulk-upload-'));
  try {
    await soakKills(soak, size, folder);
    await measure(soak, size, folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
