import { DeleteCommand } from '@aws-sdk/lib-dynamodb';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { HEADER, toRows } from '../../src/aws/chat-rows.ts';
import { createChats } from '../../src/aws/chats.ts';
import { cut } from '../../src/aws/slices.ts';
import { failing, HOUR, key, MB, put, rowAt, rowsIn, turn, watching } from '../helpers/chats.ts';
import { failureOf } from '../helpers/rejects.ts';
import { inTables, START_MS } from '../helpers/tables.ts';

const deleting = suite('remove');

const manyTurns = async (chats: ReturnType<typeof createChats>, count: number, chat = key) => {
  await chats.begin(chat, turn('0'), HOUR);
  await Promise.all(
    Array.from({ length: count - 1 }, (_, n) => chats.append(chat, turn(String(n + 1)), HOUR)),
  );
};

deleting(
  'leaves no row of the conversation, and all rows of others',
  inTables(async (tables) => {
    const chats = createChats(tables.chats);
    await chats.begin({ ...key, chatId: 'c2' }, turn('other'), HOUR);
    const others = await rowsIn(tables);
    await manyTurns(chats, 60);
    await chats.append(key, turn('x'.repeat(MB)), HOUR);
    assert.is(await chats.remove(key), true);
    assert.equal(await rowsIn(tables), others);
    assert.is(await chats.remove(key), false);
  }),
);

deleting(
  'goes on where a batch is not processed to its end',
  inTables(async (tables) => {
    const chats = createChats(tables.chats);
    await manyTurns(chats, 30);
    tables.faults.next = () => ({ type: 'unprocessed' });
    assert.is(await chats.remove(key), true);
    assert.equal(await rowsIn(tables), []);
  }),
);

deleting(
  'gives up when nothing of a batch is ever processed',
  inTables(async ({ chats: table }) => {
    let batches = 0;
    const stuck = watching(table, (input, send) => {
      if (!('RequestItems' in input)) return send();
      batches++;
      return { UnprocessedItems: input.RequestItems };
    });
    const chats = createChats(stuck);
    await chats.begin(key, turn('one'), HOUR);
    assert.is((await failureOf(chats.remove(key))).code, 'storage_unavailable');
    assert.ok(batches > 2 && batches < 10, String(batches));
  }),
);

deleting(
  'that failed in the middle is a deletion to everybody, and is brought to its end by the next',
  inTables(async (tables) => {
    const chats = createChats(tables.chats);
    for (const operation of ['Query', 'BatchWriteItem', 'DeleteItem']) {
      await manyTurns(chats, 60);
      tables.faults.next = failing(operation, operation === 'BatchWriteItem' ? 1 : 0);
      assert.is((await failureOf(chats.remove(key))).code, 'storage_unavailable', operation);
      tables.faults.next = undefined;
      const left = await rowsIn(tables);
      assert.is(left[0]?.sk, HEADER, operation);
      assert.is(await chats.recall(key, 20), undefined);
      assert.is(await chats.read(key), undefined);
      assert.equal(await chats.list('alice', { limit: 9 }), { chats: [] });
      assert.is((await failureOf(chats.append(key, turn('late'), HOUR))).code, 'not_found');
      assert.equal(await rowsIn(tables), left);
      assert.is(await chats.remove(key), true);
      assert.equal(await rowsIn(tables), []);
    }
  }),
);

deleting(
  'leaves nothing of a turn that was being written meanwhile, which is told so',
  inTables(async (tables) => {
    const chats = createChats(tables.chats);
    for (const late of [2, 2.001]) {
      await chats.begin(key, turn('one'), HOUR);
      const slow = createChats(
        watching(tables.chats, async (input, send) => {
          const sk = 'Item' in input && (input.Item as { sk: { N: string } }).sk.N;
          if (sk === String(late)) assert.ok(await chats.remove(key));
          return await send();
        }),
      );
      assert.is((await failureOf(slow.append(key, turn('x'.repeat(MB)), HOUR))).code, 'not_found');
      assert.equal(await rowsIn(tables), []);
    }
  }),
);

deleting(
  'at the same time as turns are added leaves nothing',
  inTables(async (tables) => {
    const chats = createChats(tables.chats);
    for (let round = 0; round < 10; round++) {
      await chats.begin(key, turn('one'), HOUR);
      const appends = Array.from({ length: 8 }, (_, n) => chats.append(key, turn(String(n)), HOUR));
      const [isRemoved] = await Promise.all([chats.remove(key), Promise.allSettled(appends)]);
      assert.ok(isRemoved);
      assert.equal(await rowsIn(tables), []);
    }
  }),
);

deleting.run();

// ---

const listing = suite('list');

type Chats = ReturnType<typeof createChats>;

/** All pages, one behind the other. */
async function listAll(chats: Chats, limit: number): Promise<string[][]> {
  const pages: string[][] = [];
  let page: Parameters<Chats['list']>[1] | undefined = { limit };
  while (page) {
    const { chats: found, next } = await chats.list('alice', page);
    pages.push(found.map(({ chatId }) => chatId));
    page = next && { limit, after: next };
  }
  return pages;
}

listing(
  'has what there is to know of each conversation, the one that was gone on with last first',
  inTables(async ({ chats: table, clock }) => {
    const chats = createChats(table);
    await chats.begin(key, turn('one'), HOUR);
    clock.now += 1_000;
    await chats.begin({ ...key, chatId: 'c2' }, turn('two'), HOUR);
    clock.now += 1_000;
    const second = { chatId: 'c2', title: 'Why two?', turns: 1, updatedAt: START_MS + 1_000 };
    const first = { chatId: 'c1', title: 'Why one?', turns: 1, updatedAt: START_MS };
    assert.equal(await chats.list('alice', { limit: 9 }), { chats: [second, first] });
    await chats.append(key, turn('more'), HOUR);
    const goneOn = { ...first, turns: 2, updatedAt: START_MS + 2_000 };
    assert.equal(await chats.list('alice', { limit: 9 }), { chats: [goneOn, second] });
  }),
);

listing(
  'comes in pages of any size, without gaps, also where many are of the same time, and ends with the last',
  inTables(async (tables) => {
    const { chats: table, clock } = tables;
    const chats = createChats(table);
    const ids = Array.from({ length: 12 }, (_, n) => `c${n}`);
    for (const chatId of ids) {
      await chats.begin({ ...key, chatId }, turn('x'), HOUR);
      if (ids.indexOf(chatId) >= 6) clock.now += 1_000;
    }
    const byTime = (await listAll(chats, 100)).flat();
    assert.equal(byTime.slice(0, 5), ['c11', 'c10', 'c9', 'c8', 'c7']);
    for (const limit of [1, 2, 3, 4, 5, 6, 7, 11, 12, 13]) {
      const pages = await listAll(chats, limit);
      assert.is(pages.length, Math.ceil(12 / limit), String(limit));
      assert.equal(pages.flat(), byTime);
    }
  }),
);

listing(
  'fills its pages with what counts, whatever lies between',
  inTables(async (tables) => {
    const chats = createChats(tables.chats);
    await chats.begin(key, turn('x'), HOUR);
    const header = await rowAt(tables, HEADER);
    const over = START_MS / 1_000;
    const headers = Array.from({ length: 250 }, (_, n) => {
      const ttl = n % 50 === 0 ? over + HOUR : over;
      return put(tables, { ...header, pk: `alice#old-${n}`, updatedAt: n, ttl });
    });
    await Promise.all(headers);
    tables.faults.next = failing('Query');
    await failureOf(chats.remove({ ...key, chatId: 'old-100' }));
    tables.faults.next = undefined;
    const pages = [['c1', 'old-200'], ['old-150', 'old-50'], ['old-0']];
    assert.equal(await listAll(chats, 2), pages);
    assert.equal(await listAll(chats, 5), [pages.flat()]);
  }),
);

listing(
  'can be gone on with from any place, also from one that is no longer there',
  inTables(async ({ chats: table, clock }) => {
    const chats = createChats(table);
    await chats.begin(key, turn('one'), HOUR);
    clock.now += 1_000;
    await chats.begin({ ...key, chatId: 'c2' }, turn('two'), HOUR);
    const from = async (updatedAt: number, chatId: string) =>
      (await chats.list('alice', { limit: 9, after: { updatedAt, chatId } })).chats.map(
        ({ chatId }) => chatId,
      );
    assert.equal(await from(START_MS + 2_000, 'gone'), ['c2', 'c1']);
    assert.equal(await from(START_MS + 500, 'gone'), ['c1']);
    assert.equal(await from(0, 'gone'), []);
    assert.equal(await from(Number.MAX_SAFE_INTEGER, 'gone'), ['c2', 'c1']);
  }),
);

listing.run();

// ---

const reading = suite('read');

async function readAll(chats: Chats): Promise<number[]> {
  const sizes: number[] = [];
  for (let after: number | undefined = 0; after !== undefined; ) {
    const page = await chats.read(key, after);
    sizes.push(page?.turns.length ?? 0);
    after = page?.next;
  }
  return sizes;
}

reading(
  'gives a hundred turns at a time, oldest first, and ends with the last',
  inTables(async (tables) => {
    const chats = createChats(tables.chats);
    await manyTurns(chats, 200);
    assert.equal(await readAll(chats), [100, 100]);
    const hole = new DeleteCommand({ TableName: tables.chats.name, Key: { pk: 'alice#c1', sk: 101 } });
    await tables.documents.send(hole);
    assert.equal(await readAll(chats), [100, 99]);
    await chats.append(key, turn('201'), HOUR);
    await chats.append(key, turn('202'), HOUR);
    assert.equal(await readAll(chats), [100, 100, 1]);
    const last = await chats.read(key, 201);
    assert.equal(last, { turns: [turn('202')] });
    assert.equal(await chats.read(key, 202), { turns: [] });
    assert.equal(await chats.read(key, 2 ** 50), { turns: [] });
  }),
);

reading(
  'gives 4 MiB at a time, of which what was never written to its end is no part',
  inTables(async ({ chats: table, faults }) => {
    const chats = createChats(table);
    await chats.begin(key, turn('x'.repeat(1.5 * MB)), HOUR);
    faults.next = failing('PutItem', 11);
    await failureOf(chats.append(key, turn('x'.repeat(3.8 * MB)), HOUR));
    faults.next = undefined;
    for (const size of [1.5 * MB, 1.5 * MB, 3.8 * MB, 5])
      await chats.append(key, turn('x'.repeat(size)), HOUR);
    assert.equal(await readAll(chats), [2, 1, 2]);
  }),
);

reading(
  'gives a turn that is longer by itself',
  inTables(async (tables) => {
    const chats = createChats(tables.chats);
    await chats.begin(key, turn('short'), HOUR);
    await chats.append(key, turn('after'), HOUR);
    const { bytes: _, ...first } = (await rowAt(tables, 1)) ?? {};
    const { messages } = turn('');
    const slices = cut(JSON.stringify({ messages, completion: 'x'.repeat(5 * MB) }), 390_000);
    const rows = toRows(
      'alice#c1',
      1,
      slices.map((bytes) => ({ version: 1, bytes })),
      START_MS,
    );
    for (const row of rows) await put(tables, { ...(row.sk === 1 && first), ...row, parts: slices.length });
    assert.equal(await readAll(chats), [1, 1]);
  }),
);

reading.run();
