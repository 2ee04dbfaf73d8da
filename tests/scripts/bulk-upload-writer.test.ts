/** How items are sent: so many at once, none twice at the same time, and again until they are written. */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Outcome } from '../../scripts/bulk-upload/batches.ts';
import { createSettled, type Range } from '../../scripts/bulk-upload/settled.ts';
import { createWriter, type Entry, type WriterOptions } from '../../scripts/bulk-upload/writer.ts';

type Numbered = Entry & { readonly number: number };
type Sent = { readonly entries: readonly Numbered[]; readonly isRepeated: boolean };

const entry = (number: number, key = `key ${number}`, bytes = 100): Numbered => ({
  number,
  key,
  bytes,
  item: {},
});
const entries = (count: number) => Array.from({ length: count }, (_, at) => entry(at + 1));
const turn = () => new Promise((resolve) => setImmediate(resolve));

function build(
  send: (sent: Sent, requests: number) => Promise<Outcome<Numbered>>,
  more: Partial<WriterOptions<Numbered>> = {},
) {
  const seen = { requests: [] as Sent[], atOnce: 0, maxAtOnce: 0 };
  const told = { written: [] as number[], kept: [] as number[], refused: [] as [number, string][] };
  const writer = createWriter<Numbered>({
    async send(entries, isRepeated) {
      const request = seen.requests.push({ entries, isRepeated });
      seen.maxAtOnce = Math.max(seen.maxAtOnce, ++seen.atOnce);
      await turn();
      try {
        return await send({ entries, isRepeated }, request);
      } finally {
        seen.atOnce -= 1;
      }
    },
    perRequest: 25,
    concurrency: 4,
    giveUpMs: 60_000,
    onWritten: ({ number }) => told.written.push(number),
    onKept: ({ number }) => told.kept.push(number),
    onRefused: ({ number }, name) => told.refused.push([number, name]),
    ...more,
  });
  return { writer, seen, told };
}

const writeAll = async ({ entries }: Sent) => ({ written: entries });
const sizesOf = (requests: readonly Sent[]) => requests.map(({ entries }) => entries.length);

const writing = suite('createWriter');

writing('full requests, so many at once, and the rest at the end', async () => {
  const { writer, seen, told } = build(writeAll);
  for (const one of entries(260)) writer.add(one);
  await writer.room();
  await writer.finish();
  assert.equal(sizesOf(seen.requests), [...Array(10).fill(25), 10]);
  assert.is(seen.maxAtOnce, 4);
  assert.is(new Set(told.written).size, 260);
});

writing('a request stays below 2 MB, but for a single item', async () => {
  const { writer, seen } = build(writeAll);
  for (const number of [1, 2, 3, 4, 5, 6]) writer.add(entry(number, `${number}`, 900 * 1024));
  writer.add(entry(7, '7', 3 << 20));
  await writer.finish();
  assert.equal(sizesOf(seen.requests), [2, 2, 2, 1]);
});

writing(
  'there is no room while much waits, in items or in bytes, and room again when it is written',
  async () => {
    for (const waiting of [entries(201), [entry(1, 'large', 33 << 20)]]) {
      let release = () => {};
      const held = new Promise<void>((resolve) => (release = resolve));
      const { writer, told } = build((sent) => held.then(() => writeAll(sent)));
      for (const one of waiting) writer.add(one);
      let hasRoom = false;
      const room = writer.room().then(() => (hasRoom = true));
      for (let turns = 0; turns < 50; turns++) await turn();
      assert.is(hasRoom, false);
      release();
      await room;
      assert.ok(told.written.length > 0);
      await writer.finish();
    }
  },
);

writing('items of one key are sent one after the other in their order, however requests fare', async () => {
  const plans = fc.array(fc.record({ key: fc.nat(5), chance: fc.nat(99) }), { maxLength: 120 });
  await fc.assert(
    fc.asyncProperty(plans, fc.integer({ min: 1, max: 8 }), async (plan, perRequest) => {
      const table = new Map<string, number>();
      const onTheWay = new Set<string>();
      const { writer, told } = build(
        async ({ entries }, request) => {
          for (const { key } of entries) {
            assert.not(onTheWay.has(key), 'a key twice at the same time');
            onTheWay.add(key);
          }
          for (let turns = 0; turns < (request * 7) % 4; turns++) await turn();
          for (const { key } of entries) onTheWay.delete(key);
          const left = entries.filter(({ number }) => request % 3 === 0 && number % 4 === 1 && request < 9);
          const written = entries.filter((one) => !left.includes(one));
          for (const { key, number } of written) table.set(key, number);
          return { written, left };
        },
        { perRequest },
      );
      const expected = new Map<string, number>();
      for (const [at, { key }] of plan.entries()) {
        expected.set(`${key}`, at + 1);
        writer.add(entry(at + 1, `${key}`));
      }
      await writer.finish();
      assert.equal([...table].sort(), [...expected].sort());
      assert.is(told.written.length, plan.length);
    }),
    { numRuns: 25 },
  );
});

writing('what is handed back is sent again, and said to be', async () => {
  const { writer, seen, told } = build(async ({ entries }, request) => ({
    written: entries.slice(request === 1 ? 13 : 0),
    left: entries.slice(0, request === 1 ? 13 : 0),
  }));
  for (const one of entries(25)) writer.add(one);
  await writer.finish();
  assert.equal(sizesOf(seen.requests), [25, 13]);
  assert.equal(
    seen.requests.map(({ isRepeated }) => isRepeated),
    [false, true],
  );
  assert.is(told.written.length, 25);
});

writing('of a refused request each item is sent by itself, and only the bad one is refused', async () => {
  const { writer, seen, told } = build(async ({ entries }) =>
    entries.some(({ number }) => number === 7) ? { refusal: 'ValidationException' } : { written: entries },
  );
  for (const one of entries(10)) writer.add(one);
  await writer.finish();
  assert.equal(sizesOf(seen.requests), [10, ...Array(10).fill(1)]);
  assert.equal(told.refused, [[7, 'ValidationException']]);
  assert.is(told.written.length, 9);
});

writing('when nothing at all is taken for too long it is given up in a sentence', async () => {
  const { writer, told } = build(async ({ entries }) => ({ left: entries }), { giveUpMs: 0 });
  for (const one of entries(30)) writer.add(one);
  await writer.room();
  const failure = await writer.finish().then(() => '', String);
  assert.match(failure, 'DynamoDB has taken nothing for 0 seconds; it is overloaded or cannot be reached.');
  assert.is(writer.isStopped(), true);
  assert.equal(told.written, []);
});

writing('a request that fails for good ends it once the others have arrived', async () => {
  const { writer, told } = build(async ({ entries }, request) => {
    if (request === 4) throw new Error('denied');
    for (let turns = 0; turns < 20; turns++) await turn();
    return { written: entries };
  });
  for (const one of entries(150)) writer.add(one);
  assert.match(await writer.finish().then(() => '', String), 'denied');
  assert.is(told.written.length, 75);
});

writing('after stop nothing more is sent, and what is on its way is waited for', async () => {
  const { writer, seen, told } = build(writeAll);
  for (const one of entries(250)) writer.add(one);
  writer.stop();
  await writer.room();
  await writer.finish();
  assert.is(seen.requests.length, 4);
  assert.is(told.written.length, 100);
});

writing.run();

// ---

const settling = suite('createSettled');

settling('numbers in any order are the ranges that they make, and so after a restart', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 60 })), fc.nat(60), (numbers, cut) => {
      let settled = createSettled();
      for (const [at, number] of numbers.entries()) {
        if (at === cut) settled = createSettled(JSON.parse(JSON.stringify(settled.ranges())));
        settled.add(number);
      }
      const expected: Range[] = [];
      for (let number = 1; number <= 61; number++) {
        assert.is(settled.has(number), numbers.includes(number));
        if (!numbers.includes(number)) continue;
        const last = expected.at(-1);
        if (last?.[1] === number - 1) expected[expected.length - 1] = [last[0], number];
        else expected.push([number, number]);
      }
      assert.equal(settled.ranges(), expected);
      assert.is(settled.count(), new Set(numbers).size);
    }),
  );
});

settling.run();
