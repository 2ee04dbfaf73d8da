import { PutItemCommand } from '@aws-sdk/client-dynamodb';
import { DeleteCommand } from '@aws-sdk/lib-dynamodb';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createChats } from '../../src/aws/chats.ts';
import { usage } from '../helpers/app.ts';
import {
  completions,
  failing,
  HOUR,
  type Item,
  key,
  losing,
  MB,
  numbersIn,
  put,
  rowAt,
  rowsIn,
  turn,
  watching,
} from '../helpers/chats.ts';
import { failureOf } from '../helpers/rejects.ts';
import { inTables } from '../helpers/tables.ts';

const damaged = suite('rows that cannot be read');

const textOf = (row: Item) => JSON.parse(Buffer.from(row['bytes'] as Uint8Array).toString());
const saying = (change: (said: { messages: unknown[]; completion: unknown }) => unknown) => (row: Item) => ({
  ...row,
  bytes: Buffer.from(JSON.stringify(change(textOf(row)))),
});
const withMessage = (message: unknown) => saying((said) => ({ ...said, messages: [message] }));
const text = [{ type: 'text', text: 'Ha' }];

/** What is wrong, with which row, and how. The turn with the number 2 lies in three rows. */
const damages: [what: string, sk: number, damage: ((row: Item) => object) | undefined][] = [
  ['a header of another version', 0, (row) => ({ ...row, version: 2 })],
  ['a header that counts in words', 0, (row) => ({ ...row, turns: 'three' })],
  ['a header that counts nothing', 0, (row) => ({ ...row, turns: 0 })],
  ['a header without a title', 0, ({ title: _, ...row }) => row],
  ['a header of a time that no calendar has', 0, (row) => ({ ...row, updatedAt: 9e15 })],
  ['a turn of another version', 1, (row) => ({ ...row, version: 2 })],
  ['a turn without a version', 1, ({ version: _, ...row }) => row],
  ['a turn without an end of its time', 1, ({ ttl: _, ...row }) => row],
  ['a turn in an unknown state', 1, (row) => ({ ...row, state: 'done' })],
  ['a turn without a model', 1, ({ model: _, ...row }) => row],
  ['a turn of a time that no calendar has', 1, (row) => ({ ...row, at: 9e15 })],
  ['a turn whose usage is a word', 1, (row) => ({ ...row, usage: 'much' })],
  ['a turn whose usage counts below nothing', 1, (row) => ({ ...row, usage: { ...usage, inputTokens: -1 } })],
  ['a turn whose stop reason is a number', 1, (row) => ({ ...row, stopReason: 1 })],
  ['a turn without its first slice of text', 1, ({ bytes: _, ...row }) => row],
  ['a turn whose slice is text', 1, (row) => ({ ...row, bytes: '{}' })],
  ['a turn of no slices', 1, (row) => ({ ...row, parts: 0 })],
  ['a turn of more slices than there are', 1, (row) => ({ ...row, parts: 2 })],
  ['a turn that is no JSON', 1, (row) => ({ ...row, bytes: Buffer.from('{"messages":') })],
  [
    'a turn that is no UTF-8',
    1,
    (row) => ({
      ...row,
      bytes: Buffer.from(
        `{"messages":${JSON.stringify([{ role: 'user', content: text }])},"completion":"\xff"}`,
        'latin1',
      ),
    }),
  ],
  ['a turn that is another kind of JSON', 1, saying(() => [])],
  ['a turn without messages', 1, saying((said) => ({ ...said, messages: [] }))],
  ['a turn whose answer is a number', 1, saying((said) => ({ ...said, completion: 1 }))],
  ['a message of the system', 1, withMessage({ role: 'system', content: text })],
  ['a message of nobody', 1, withMessage({ content: text })],
  ['a message that is a text', 1, withMessage({ role: 'user', content: 'Ha' })],
  ['content of an unknown kind', 1, withMessage({ role: 'user', content: [{ type: 'video', text: 'Ha' }] })],
  [
    'an image that is no base64',
    1,
    withMessage({ role: 'user', content: [{ type: 'image', format: 'png', bytes: '?' }] }),
  ],
  ['a slice that is missing', 2.001, undefined],
  ['a last slice that is missing', 2.002, undefined],
  ['a slice of another version', 2.001, (row) => ({ ...row, version: 2 })],
  ['a slice cut short', 2.002, (row) => ({ ...row, bytes: (row['bytes'] as Uint8Array).subarray(0, -1) })],
];

damaged(
  'are history_unavailable, each kind of them, and stay as they are',
  inTables(async (tables) => {
    const chats = createChats(tables.chats);
    await chats.begin(key, turn('one'), HOUR);
    await chats.append(key, turn('x'.repeat(800 * 1024)), HOUR);
    await chats.append(key, turn('three'), HOUR);
    const TableName = tables.chats.name;
    const sound = await rowsIn(tables);
    for (const [what, sk, damage] of damages) {
      const row = sound.find((row) => row.sk === sk);
      assert.ok(row, what);
      if (damage) await put(tables, damage(row));
      else await tables.documents.send(new DeleteCommand({ TableName, Key: { pk: row.pk, sk } }));
      const before = await rowAt(tables, sk);
      for (const { code, message, retryAfterSeconds } of [
        await failureOf(chats.recall(key, 20)),
        await failureOf(chats.read(key)),
      ]) {
        assert.equal([code, retryAfterSeconds], ['history_unavailable', undefined], what);
        assert.is(message, 'The conversation cannot be read; begin a new one.');
      }
      await chats.list('alice', { limit: 9 });
      assert.equal(await rowAt(tables, sk), before, what);
      await put(tables, row);
      assert.is((await chats.recall(key, 20))?.length, 3, what);
    }
    assert.equal(await rowsIn(tables), sound);
  }),
);

damaged(
  'do not matter to those who do not ask for them, and can be deleted',
  inTables(async (tables) => {
    const chats = createChats(tables.chats);
    await chats.begin(key, turn('one'), HOUR);
    await chats.append(key, turn('two'), HOUR);
    const first = (await rowsIn(tables)).find(({ sk }) => sk === 1);
    await put(tables, { ...first, version: 2 });
    assert.equal(await chats.recall(key, 1), [turn('two')]);
    assert.ok(await chats.remove(key));
    assert.equal(await rowsIn(tables), []);
  }),
);

damaged(
  'a conversation of another version is not listed, nothing is added to it, and it hides no other',
  inTables(async (tables) => {
    const chats = createChats(tables.chats);
    await chats.begin({ ...key, chatId: 'c0' }, turn('one'), HOUR);
    await chats.begin(key, turn('one'), HOUR);
    const header = (await rowsIn(tables)).find(({ pk, sk }) => pk === 'alice#c1' && sk === 0);
    await put(tables, { ...header, version: 2 });
    const before = await rowsIn(tables);
    await failureOf(chats.append(key, turn('two'), HOUR));
    assert.equal(await rowsIn(tables), before);
    const { chats: listed } = await chats.list('alice', { limit: 9 });
    assert.equal(
      listed.map(({ chatId }) => chatId),
      ['c0'],
    );
  }),
);

damaged.run();

// ---

const failures = suite('a table that fails');

failures(
  'is history_unavailable to whoever reads and storage_unavailable to whoever writes, to be tried again',
  inTables(async ({ chats: table, faults }) => {
    const chats = createChats(table);
    await chats.begin(key, turn('one'), HOUR);
    const others = { ...key, chatId: 'c2' };
    const calls = () => [
      ...[chats.recall(key, 20), chats.read(key), chats.list('alice', { limit: 9 })],
      ...[chats.begin(others, turn('x'), HOUR), chats.append(key, turn('x'), HOUR), chats.remove(key)],
    ];
    const codes = ['history_unavailable', 'storage_unavailable'].flatMap((code) => Array(3).fill(code));
    faults.next = () => ({ type: 'down' });
    const found = await Promise.all(calls().map(failureOf));
    assert.equal(
      found.map(({ code }) => code),
      codes,
    );
    assert.ok(found.every(({ retryAfterSeconds }) => retryAfterSeconds === 1));
    faults.next = () => ({ type: 'throttled' });
    assert.is((await failureOf(chats.recall(key, 20))).code, 'history_unavailable');
    faults.next = failing('Query');
    assert.is((await failureOf(chats.recall(key, 20))).code, 'history_unavailable');
    faults.next = undefined;
    assert.equal(await chats.recall(key, 20), [turn('one')]);
  }),
);

failures(
  'before a conversation has begun leaves none behind',
  inTables(async ({ chats: table, faults }) => {
    const chats = createChats(table);
    for (const writes of [0, 1, 2, 3]) {
      const begun = { ...key, chatId: `c${writes}` };
      faults.next = failing('PutItem', writes);
      assert.is(
        (await failureOf(chats.begin(begun, turn('x'.repeat(MB)), HOUR))).code,
        'storage_unavailable',
      );
      faults.next = undefined;
      assert.is(await chats.recall(begun, 20), undefined);
      assert.equal(await chats.list('alice', { limit: 9 }), { chats: [] });
    }
  }),
);

failures(
  'in the middle of a turn leaves a gap that nobody sees, and its number is not given again',
  inTables(async (tables) => {
    const chats = createChats(tables.chats);
    await chats.begin(key, turn('one'), HOUR);
    for (const writes of [0, 1, 2]) {
      tables.faults.next = failing('PutItem', writes);
      assert.is((await failureOf(chats.append(key, turn('x'.repeat(MB)), HOUR))).code, 'storage_unavailable');
      tables.faults.next = undefined;
    }
    await chats.append(key, turn('five'), HOUR);
    assert.equal(await chats.recall(key, 20), [turn('one'), turn('five')]);
    assert.equal(await chats.read(key), { turns: [turn('one'), turn('five')] });
    const whole = (await numbersIn(tables)).filter((sk) => Number.isInteger(sk));
    assert.equal(whole, [0, 1, 5]);
    assert.ok(
      (await rowsIn(tables)).some(({ sk }) => sk > 2 && sk < 5),
      'slices without their first',
    );
  }),
);

failures(
  'and loses replies gets the writes again, and each turn is there once',
  inTables(async ({ chats: table, faults }) => {
    const chats = createChats(table);
    faults.next = losing('PutItem');
    await chats.begin(key, turn('one'), HOUR);
    for (const operation of ['PutItem', 'UpdateItem', 'GetItem']) {
      faults.next = losing(operation);
      await chats.append(key, turn(operation), HOUR);
    }
    faults.next = losing('Query');
    assert.equal(completions(await chats.recall(key, 20)), ['one', 'PutItem', 'UpdateItem', 'GetItem']);
    faults.next = losing('BatchWriteItem');
    assert.ok(await chats.remove(key));
  }),
);

failures(
  'and repeats the beginning when there is more already undoes nothing',
  inTables(async ({ chats: table }) => {
    const sent: PutItemCommand[] = [];
    const watched = watching(table, (input, send) => {
      if ('Item' in input) sent.push(new PutItemCommand(input as PutItemCommand['input']));
      return send();
    });
    const chats = createChats(watched);
    await chats.begin(key, turn('one'), HOUR);
    const header = sent.at(-1);
    assert.ok(header?.input.Item?.['title'], 'the header is written last');
    await chats.append(key, turn('two'), HOUR);
    await table.client.send(header).catch(() => undefined);
    assert.equal(completions(await chats.recall(key, 20)), ['one', 'two']);
  }),
);

failures.run();
