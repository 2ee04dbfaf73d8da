import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { toRows, toSlices, toTitle, toTurn } from '../../src/aws/chat-rows.ts';
import { createChats } from '../../src/aws/chats.ts';
import { cut, join } from '../../src/aws/slices.ts';
import { asking, completions, HOUR, key, MB, numbersIn, rowsIn, turn } from '../helpers/chats.ts';
import { failureOf } from '../helpers/rejects.ts';
import { inTables, START_MS } from '../helpers/tables.ts';

const keeping = suite('begin, append and recall');

keeping(
  'a conversation is recalled as it was kept, the newest turns, oldest first',
  inTables(async ({ chats: table }) => {
    const chats = createChats(table);
    const { stopReason: _, ...broken } = turn('two', { state: 'partial', usage: null });
    const turns = [turn('one'), broken, turn('three', { at: START_MS + 1 })] as const;
    await chats.begin(key, turns[0], HOUR);
    assert.equal(await chats.recall(key, 20), [turns[0]]);
    await chats.append(key, turns[1], HOUR);
    await chats.append(key, turns[2], HOUR);
    assert.equal(await chats.recall(key, 20), turns);
    assert.equal(await chats.recall(key, 2), turns.slice(1));
    assert.equal(await chats.recall(key, 1), turns.slice(2));
  }),
);

keeping(
  'an answer of 500 KB in characters of four bytes is read back equal, in slices that fit an item',
  inTables(async (tables) => {
    const chats = createChats(tables.chats);
    const long = turn('\u{1F600}'.repeat(125_000), {
      messages: asking({ type: 'text', text: 'é\u{1F4A1}'.repeat(70_000) }),
    });
    await chats.begin(key, turn('short'), HOUR);
    await chats.append(key, long, HOUR);
    await chats.append(key, turn('after'), HOUR);
    assert.equal(await numbersIn(tables), [0, 1, 2, 2.001, 2.002, 3]);
    for (const row of await rowsIn(tables))
      assert.ok(((row['bytes'] as Uint8Array)?.length ?? 0) <= 350 * 1024);
    assert.equal(await chats.recall(key, 2), [long, turn('after')]);
    assert.equal((await chats.read(key))?.turns, [turn('short'), long, turn('after')]);
  }),
);

keeping(
  'images and all other kinds of content are read back equal',
  inTables(async ({ chats: table }) => {
    const chats = createChats(table);
    const bytes = Buffer.from(Uint8Array.from({ length: 700_001 }, (_, n) => (n * 7) % 256));
    const first = turn('Seen.', {
      messages: [
        ...asking({ type: 'image', format: 'png', bytes }, { type: 'text', text: 'What is it?' }),
        {
          role: 'assistant',
          content: [
            { type: 'reasoning', text: 'Hm.', signature: 's' },
            { type: 'reasoning', text: '', redacted: 'AA==' },
            { type: 'tool-use', id: 't', name: 'look', input: { at: [1, null, { deep: true }] } },
          ],
        },
        ...asking(
          { type: 'tool-result', id: 't', text: 'a cage', failed: false },
          { type: 'document', format: 'pdf', name: 'a b', bytes: bytes.subarray(0, 5) },
        ),
      ],
    });
    await chats.begin(key, first, HOUR);
    assert.equal(await chats.recall(key, 1), [first]);
  }),
);

keeping(
  'an answer that called tools is read back with all that is sent back of it',
  inTables(async ({ chats: table }) => {
    const chats = createChats(table);
    const first = turn('Let me look.', {
      reply: [
        { type: 'reasoning', text: 'Hm.', signature: 's' },
        { type: 'reasoning', text: '', redacted: 'AA==' },
        { type: 'text', text: 'Let me look.' },
        { type: 'tool-use', id: 't', name: 'look', input: { at: [1, null, { deep: true }] } },
      ],
      stopReason: 'tool_use',
    });
    const second = turn('Here.', {
      messages: asking({ type: 'tool-result', id: 't', text: 'a cage', failed: false }),
    });
    await chats.begin(key, first, HOUR);
    await chats.append(key, second, HOUR);
    assert.equal(await chats.recall(key, 2), [first, second]);
    assert.equal((await chats.read(key))?.turns, [first, second]);
    assert.is((await chats.list('alice', { limit: 9 })).chats[0]?.title, 'Why Let me look.?');
  }),
);

keeping('a turn without calls lies in its row as ever, and is what such a row holds', () => {
  const kept = turn('one');
  const [row] = toRows('k', 1, toSlices(kept), 1);
  const { messages, completion, ...fields } = kept;
  const bytes = Buffer.from(JSON.stringify({ messages, completion }));
  assert.equal(row, { version: 1, bytes: row?.bytes, ...fields, parts: 1, pk: 'k', sk: 1, ttl: 1 });
  assert.ok(bytes.equals(row?.bytes ?? Buffer.alloc(0)));
  assert.not('reply' in toTurn(row ? [row] : []));
});

keeping('a turn whose reply cannot be understood cannot be read', async () => {
  const [row] = toRows('k', 1, toSlices(turn('one')), 1);
  const bytes = Buffer.from(JSON.stringify({ messages: turn('one').messages, completion: '', reply: ['?'] }));
  const { code } = await failureOf(() => toTurn(row ? [{ ...row, bytes }] : []));
  assert.is(code, 'history_unavailable');
});

keeping('any text survives being cut anywhere', () => {
  const text = fc.string({ unit: 'grapheme-composite', maxLength: 60 });
  fc.assert(
    fc.property(text, fc.integer({ min: 1, max: 9 }), (text, maxBytes) => {
      const slices = cut(text, maxBytes);
      assert.ok(slices.every(({ length }) => length > 0 && length <= maxBytes));
      assert.is(join(slices), text);
    }),
  );
});

keeping('any turn is what its rows hold, whatever its text, half characters too', () => {
  const units = fc.array(
    fc.oneof(fc.constantFrom(0xd83d, 0xde00, 0x22, 0x5c, 0xfeff, 0), fc.integer({ min: 0, max: 0xffff })),
  );
  const text = units.map((codes) => String.fromCharCode(...codes));
  fc.assert(
    fc.property(text, text, fc.nat({ max: 360_000 }), (question, answer, more) => {
      const kept = turn(answer + '\u{1F600}'.repeat(more / 4), {
        messages: asking({ type: 'text', text: question }),
      });
      assert.equal(toTurn(toRows('k', 12, toSlices(kept), 1)), kept);
    }),
  );
});

keeping('every slice of every turn has a number of its own, in order', () => {
  const parts = Array.from({ length: 12 }, () => ({}));
  const numbers = Array.from({ length: 3_000 }, (_, n) =>
    toRows('k', n + 1, parts, 1).map(({ sk }) => sk),
  ).flat();
  assert.ok(numbers.every((sk, n) => n === 0 || sk > (numbers[n - 1] ?? 0)));
  assert.ok(numbers.every((sk) => /^\d+(\.\d{1,3})?$/.test(String(sk))));
});

keeping(
  'of fifty turns at once, time after time, none is lost and none has the number of another',
  inTables(async (tables) => {
    const chats = createChats(tables.chats);
    await chats.begin(key, turn('0'), HOUR);
    const names = Array.from({ length: 150 }, (_, n) => String(n + 1));
    for (let round = 0; round < 150; round += 50) {
      await Promise.all(names.slice(round, round + 50).map((name) => chats.append(key, turn(name), HOUR)));
    }
    const found = completions(await chats.recall(key, 200));
    assert.equal(
      found.toSorted((a, b) => Number(a) - Number(b)),
      ['0', ...names],
    );
    assert.equal(
      await numbersIn(tables),
      Array.from({ length: 152 }, (_, n) => n),
    );
  }),
);

keeping(
  'nothing is added to a conversation that is not there',
  inTables(async (tables) => {
    const chats = createChats(tables.chats);
    const { code, param } = await failureOf(chats.append(key, turn('x'.repeat(MB)), HOUR));
    assert.equal([code, param], ['not_found', 'chat_id']);
    assert.equal(await rowsIn(tables), []);
    assert.is(await chats.recall(key, 20), undefined);
    assert.is(await chats.read(key), undefined);
  }),
);

keeping(
  'a turn of 4 MiB is kept, and of a longer one nothing',
  inTables(async (tables) => {
    const chats = createChats(tables.chats);
    const frame = Buffer.byteLength(JSON.stringify({ messages: turn('x').messages, completion: '' }));
    const whole = (bytes: number) =>
      turn('x'.repeat(bytes - frame), { messages: asking({ type: 'text', text: 'Why x?' }) });
    const tooLong = whole(4 * MB + 1);
    assert.is((await failureOf(chats.begin(key, tooLong, HOUR))).code, 'storage_unavailable');
    assert.equal(await rowsIn(tables), []);
    await chats.begin(key, whole(4 * MB), HOUR);
    assert.equal(await chats.recall(key, 1), [whole(4 * MB)]);
    const before = await rowsIn(tables);
    assert.is((await failureOf(chats.append(key, tooLong, HOUR))).code, 'storage_unavailable');
    assert.equal(await rowsIn(tables), before);
  }),
);

keeping(
  'turns of more than 16 MiB are not sent before a question, fewer of them are',
  inTables(async ({ chats: table }) => {
    const chats = createChats(table);
    const long = turn('x'.repeat(3.5 * MB));
    await chats.begin(key, long, HOUR);
    for (let n = 0; n < 4; n++) await chats.append(key, long, HOUR);
    const { code, message } = await failureOf(chats.recall(key, 5));
    assert.equal(
      [code, message],
      ['context_length_exceeded', 'The conversation has become too long; begin a new one.'],
    );
    assert.is((await chats.recall(key, 4))?.length, 4);
  }),
);

keeping('its title is the first question in one line of at most 80 characters', () => {
  const titleOf = (...texts: string[]) =>
    toTitle(turn('x', { messages: asking(...texts.map((text) => ({ type: 'text' as const, text }))) }));
  assert.is(titleOf('  What\n\n is\ta cage? '), 'What is a cage?');
  assert.is(titleOf('One', 'two'), 'One two');
  assert.is(titleOf('\u{1F600}'.repeat(80)), '\u{1F600}'.repeat(80));
  assert.is(titleOf('\u{1F600}'.repeat(81)), `${'\u{1F600}'.repeat(79)}…`);
  assert.is(titleOf('x'.repeat(5_000)), `${'x'.repeat(79)}…`);
  assert.is(titleOf(`x\u{1F600}`.repeat(5_000)), `${'x\u{1F600}'.repeat(39)}x…`);
  assert.is(titleOf(), '');
  const messages = [...asking({ type: 'text', text: 'First' }), ...asking({ type: 'text', text: 'Second' })];
  assert.is(toTitle(turn('x', { messages })), 'First');
});

keeping.run();

// ---

const lasting = suite('what is over, and whose it is');

lasting(
  'a conversation whose time is over is not there, whatever still lies in the table',
  inTables(async ({ chats: table, clock }) => {
    const chats = createChats(table);
    await chats.begin(key, turn('one'), 60);
    clock.now += 59_000;
    assert.is((await chats.list('alice', { limit: 9 })).chats.length, 1);
    clock.now += 1_000;
    assert.is(await chats.recall(key, 20), undefined);
    assert.is(await chats.read(key), undefined);
    assert.equal(await chats.list('alice', { limit: 9 }), { chats: [] });
    assert.is((await failureOf(chats.append(key, turn('two'), 60))).code, 'not_found');
    assert.is(await chats.remove(key), false);
  }),
);

lasting(
  'each turn prolongs the conversation, and those that are over are passed over with all their slices',
  inTables(async ({ chats: table, clock }) => {
    const chats = createChats(table);
    await chats.begin(key, turn('x'.repeat(MB)), 60);
    clock.now += 30_000;
    await chats.append(key, turn('two'), 60);
    clock.now += 30_000;
    assert.equal(await chats.recall(key, 20), [turn('two')]);
    assert.equal(await chats.read(key), { turns: [turn('two')] });
  }),
);

lasting(
  'another tenant’s conversation is not there, and nothing of it changes',
  inTables(async (tables) => {
    const chats = createChats(tables.chats);
    const bobs = { ...key, tenant: 'bob' };
    await chats.begin(bobs, turn('one'), HOUR);
    const before = await rowsIn(tables);
    assert.is(await chats.recall(key, 20), undefined);
    assert.is(await chats.read(key), undefined);
    assert.is(await chats.remove(key), false);
    assert.is((await failureOf(chats.append(key, turn('x'), HOUR))).code, 'not_found');
    assert.equal(await chats.list('alice', { limit: 9 }), { chats: [] });
    assert.equal(await rowsIn(tables), before);
    await chats.begin(key, turn('hers'), HOUR);
    assert.equal(await chats.recall(bobs, 20), [turn('one')]);
    assert.is((await chats.list('bob', { limit: 9 })).chats[0]?.title, 'Why one?');
  }),
);

lasting.run();
