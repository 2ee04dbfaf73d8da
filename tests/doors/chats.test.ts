import { DeleteCommand, ScanCommand } from '@aws-sdk/lib-dynamodb';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createChats } from '../../src/aws/chats.ts';
import type { Turn } from '../../src/chat/conversation.ts';
import { alice, bodyOf, buildApp, silent, usage } from '../helpers/app.ts';
import { inTables, START_MS, type TestTables } from '../helpers/tables.ts';

const HOUR = 3_600;
const bob = { ...alice, tenant: 'bob' };
const key = { tenant: 'alice', chatId: 'c1' };
const remove = { method: 'DELETE' };

const turn = (completion: string, changes: Partial<Turn> = {}): Turn => ({
  messages: [{ role: 'user', content: [{ type: 'text', text: `Why ${completion.slice(0, 20)}?` }] }],
  completion,
  model: 'some-model',
  state: 'complete',
  stopReason: 'end_turn',
  usage,
  at: START_MS,
  ...changes,
});

function build({ chats: table }: Pick<TestTables, 'chats'>) {
  const chats = createChats(table);
  return { chats, ...buildApp(silent, {}, [], undefined, chats) };
}

type Listed = { readonly chat_id: string };
const idsOf = (body: { readonly [field: string]: unknown }) =>
  (body['data'] as Listed[]).map(({ chat_id }) => chat_id);

const list = suite('GET /v1/chats');

list(
  'is the caller’s conversations, newest first',
  inTables(async (tables) => {
    const { chats, send } = build(tables);
    assert.equal(await bodyOf(await send('/v1/chats')), { data: [], next: null });
    await chats.begin(key, turn('one'), HOUR);
    tables.clock.now += 1_000;
    await chats.begin({ ...key, chatId: 'c2' }, turn('two'), HOUR);
    await chats.begin({ tenant: 'bob', chatId: 'c3' }, turn('his'), HOUR);
    const response = await send('/v1/chats');
    assert.is(response.status, 200);
    assert.equal(await bodyOf(response), {
      data: [
        { chat_id: 'c2', title: 'Why two?', turns: 1, updated_at: '2026-11-22T12:00:01.000Z' },
        { chat_id: 'c1', title: 'Why one?', turns: 1, updated_at: '2026-11-22T12:00:00.000Z' },
      ],
      next: null,
    });
  }),
);

list(
  'comes in pages of twenty or of as many as are asked for',
  inTables(async (tables) => {
    const { chats, send } = build(tables);
    for (let n = 0; n < 25; n++) {
      tables.clock.now += 1;
      await chats.begin({ ...key, chatId: `c${n}` }, turn('x'), HOUR);
    }
    const newest = Array.from({ length: 25 }, (_, n) => `c${24 - n}`);
    const first = await bodyOf(await send('/v1/chats'));
    assert.equal(idsOf(first), newest.slice(0, 20));
    const second = await bodyOf(await send(`/v1/chats?next=${first['next']}`));
    assert.equal([idsOf(second), second['next']], [newest.slice(20), null]);
    assert.is(idsOf(await bodyOf(await send('/v1/chats?limit=100'))).length, 25);
    const one = await bodyOf(await send('/v1/chats?limit=1&colour=red'));
    assert.equal(idsOf(one), ['c24']);
    assert.match(String(one['next']), /^[A-Za-z0-9_-]+$/);
    assert.equal(idsOf(await bodyOf(await send(`/v1/chats?limit=2&next=${one['next']}`))), ['c23', 'c22']);
  }),
);

list(
  'with the cursor of another tenant is still the caller’s own',
  inTables(async (tables) => {
    const { chats, send } = build(tables);
    for (const chatId of ['c1', 'c2', 'c3']) {
      await chats.begin({ ...key, chatId }, turn('hers'), HOUR);
      await chats.begin({ tenant: 'bob', chatId: `his-${chatId}` }, turn('his'), HOUR);
      tables.clock.now += 1_000;
    }
    const { next } = await bodyOf(await send('/v1/chats?limit=1', {}, { caller: bob }));
    assert.equal(idsOf(await bodyOf(await send(`/v1/chats?next=${next}`))), ['c2', 'c1']);
    assert.not.match(Buffer.from(String(next), 'base64url').toString(), 'bob');
  }),
);

list(
  'refuses limits and cursors that are none, and says what they must be',
  inTables(async (tables) => {
    const { send } = build(tables);
    const cursor = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    for (const limit of ['0', '101', '-1', '1.5', '1e1', '', 'ten', '00', ' 5', '99999999999']) {
      const response = await send(`/v1/chats?limit=${encodeURIComponent(limit)}`);
      const { error } = await bodyOf(response);
      assert.equal([response.status, error.code, error.param], [400, 'invalid_request', 'limit'], limit);
      assert.is(error.message, 'limit must be a whole number from 1 to 100.');
    }
    const cursors = [
      ...['', 'null', '!!!', 'x'.repeat(5_000)],
      ...[null, {}, [], 5, [1], ['1', 'c1'], [-1, 'c1'], [1.5, 'c1'], [1e300, 'c1'], [1, 'c1', 2]].map(
        cursor,
      ),
      ...[
        [1, ''],
        [1, 'a#b'],
        [1, 'bob#c1'],
        [1, null],
        [1, 'x'.repeat(129)],
      ].map(cursor),
    ];
    for (const next of cursors) {
      const response = await send(`/v1/chats?next=${next}`);
      const { error } = await bodyOf(response);
      assert.equal([response.status, error.code, error.param], [400, 'invalid_request', 'next'], next);
      assert.is(error.message, 'next must be what a page before gave as its next.');
    }
  }),
);

list.run();

// ---

const read = suite('GET /v1/chats/{chat_id}');

read(
  'is the conversation with its turns, oldest first',
  inTables(async (tables) => {
    const { chats, send } = build(tables);
    const text = (text: string) => ({ type: 'text', text }) as const;
    const image = { type: 'image', format: 'png', bytes: Buffer.from('x') } as const;
    const messages: Turn['messages'] = [
      { role: 'user', content: [text('Before')] },
      { role: 'assistant', content: [text('Yes')] },
      { role: 'user', content: [text('What'), image, text('is it?')] },
    ];
    await chats.begin(key, turn('A cage.', { messages }), HOUR);
    const { stopReason: _, ...broken } = turn('It br', { state: 'partial', usage: null, at: START_MS + 5 });
    await chats.append(key, broken, HOUR);
    const response = await send('/v1/chats/c1');
    assert.is(response.status, 200);
    assert.equal(await bodyOf(response), {
      chat_id: 'c1',
      turns: [
        {
          prompt: 'What\nis it?',
          completion: 'A cage.',
          model: 'some-model',
          state: 'complete',
          stop_reason: 'end_turn',
          usage: { input_tokens: 5, output_tokens: 2, cache_read_tokens: 0, cache_write_tokens: 0 },
          at: '2026-11-22T12:00:00.000Z',
        },
        {
          prompt: 'Why It br?',
          completion: 'It br',
          model: 'some-model',
          state: 'partial',
          stop_reason: null,
          usage: null,
          at: '2026-11-22T12:00:00.005Z',
        },
      ],
    });
  }),
);

read(
  'comes in pages when it is long',
  inTables(async (tables) => {
    const { chats, send } = build(tables);
    await chats.begin(key, turn('0'), HOUR);
    for (let n = 1; n <= 100; n++) await chats.append(key, turn(String(n)), HOUR);
    const first = await bodyOf(await send('/v1/chats/c1'));
    assert.is((first['turns'] as Turn[]).length, 100);
    const second = await bodyOf(await send(`/v1/chats/c1?next=${first['next']}`));
    assert.equal(
      (second['turns'] as Turn[]).map(({ completion }) => completion),
      ['100'],
    );
    assert.not('next' in second);
    for (const next of [
      '',
      '!',
      Buffer.from('0').toString('base64url'),
      Buffer.from('[1,"c1"]').toString('base64url'),
    ]) {
      const response = await send(`/v1/chats/c1?next=${next}`);
      assert.equal([response.status, (await bodyOf(response)).error.param], [400, 'next'], next);
    }
  }),
);

read(
  'is 503 when it cannot be read, and nothing of it leaks',
  inTables(async (tables) => {
    const { chats, send, record } = build(tables);
    const secret = turn('secret '.repeat(100_000));
    await chats.begin(key, secret, HOUR);
    const TableName = tables.chats.name;
    await tables.documents.send(new DeleteCommand({ TableName, Key: { pk: 'alice#c1', sk: 1.001 } }));
    const damaged = await send('/v1/chats/c1');
    assert.equal([damaged.status, damaged.headers.get('retry-after')], [503, null]);
    assert.is((await bodyOf(damaged)).error.code, 'history_unavailable');
    tables.faults.next = () => ({ type: 'down' });
    for (const path of ['/v1/chats/c1', '/v1/chats']) {
      const down = await send(path);
      assert.equal([down.status, down.headers.get('retry-after')], [503, '1'], path);
      assert.is((await bodyOf(down)).error.code, 'history_unavailable');
    }
    assert.not.match(JSON.stringify(record), 'secret');
  }),
);

read.run();

// ---

const removal = suite('DELETE /v1/chats/{chat_id}');

removal(
  'is 204 without a body, and then there is no such conversation',
  inTables(async (tables) => {
    const { chats, send } = build(tables);
    await chats.begin(key, turn('one'), HOUR);
    const response = await send('/v1/chats/c1', remove);
    assert.equal([response.status, await response.text()], [204, '']);
    assert.is((await send('/v1/chats/c1', remove)).status, 404);
    assert.is((await send('/v1/chats/c1')).status, 404);
    assert.equal(idsOf(await bodyOf(await send('/v1/chats'))), []);
  }),
);

removal(
  'is 503 when it failed, and can be sent again',
  inTables(async (tables) => {
    const { chats, send } = build(tables);
    await chats.begin(key, turn('one'), HOUR);
    tables.faults.next = (operation) => (operation === 'BatchWriteItem' ? { type: 'down' } : undefined);
    const response = await send('/v1/chats/c1', remove);
    assert.equal([response.status, (await bodyOf(response)).error.code], [503, 'storage_unavailable']);
    tables.faults.next = undefined;
    assert.is((await send('/v1/chats/c1')).status, 404);
    assert.is((await send('/v1/chats/c1', remove)).status, 204);
  }),
);

removal.run();

// ---

const gate = suite('who may see a conversation');

gate(
  'unknown, foreign, expired, deleted and malformed ids are one and the same 404, and change nothing',
  inTables(async (tables) => {
    const { chats, send } = build(tables);
    await chats.begin({ tenant: 'bob', chatId: 'his' }, turn('his'), HOUR);
    await chats.begin({ ...key, chatId: 'old' }, turn('old'), 60);
    await chats.begin({ ...key, chatId: 'gone' }, turn('gone'), HOUR);
    await chats.remove({ ...key, chatId: 'gone' });
    tables.clock.now += 60_000;
    const rows = async () =>
      (await tables.documents.send(new ScanCommand({ TableName: tables.chats.name }))).Items;
    const before = await rows();
    const ids = [
      'unknown',
      'his',
      'old',
      'gone',
      'a.b',
      'x'.repeat(129),
      '%F0%9F%98%80',
      'bob%23his',
      '..%2Fhis',
    ];
    for (const init of [{}, remove]) {
      const bodies = new Set<string>();
      for (const id of ids) {
        const response = await send(`/v1/chats/${id}`, init);
        assert.is(response.status, 404, id);
        bodies.add(await response.text());
      }
      assert.is(bodies.size, 1);
      assert.is(JSON.parse([...bodies][0] ?? '').error.code, 'not_found');
    }
    assert.equal(await rows(), before);
    assert.is((await send('/v1/chats/his', {}, { caller: bob })).status, 200);
  }),
);

gate('no table is asked for what is no id', async () => {
  const asked = () => Promise.reject(new Error('The table was asked.'));
  const { send } = buildApp(silent, {}, [], undefined, { list: asked, read: asked, remove: asked });
  for (const init of [{}, remove]) assert.is((await send('/v1/chats/a.b', init)).status, 404);
});

gate('nobody without an identity, and no method but those there are', async () => {
  const { send } = buildApp(silent);
  for (const [path, allow] of [
    ['/v1/chats', 'GET, HEAD'],
    ['/v1/chats/c1', 'GET, HEAD, DELETE'],
  ] as const) {
    assert.is((await send(path, {}, { caller: undefined })).status, 401, path);
    const wrong = await send(path, { method: 'PUT' });
    assert.equal([wrong.status, wrong.headers.get('allow')], [405, allow]);
  }
  assert.is((await send('/v1/chats/c1', remove, { caller: undefined })).status, 401);
});

gate.run();
