import { DeleteCommand, PutCommand, ScanCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createAnswers } from '../../src/aws/answers.ts';
import type { Model } from '../../src/chat/ask.ts';
import type { ChatRequest, Message } from '../../src/chat/request.ts';
import { modelThat, say, usage } from '../helpers/app.ts';
import { startProcess } from '../helpers/cache.ts';
import { createManualClock } from '../helpers/manual-clock.ts';
import { chatRequest, question } from '../helpers/requests.ts';
import { inTables, START_MS, type TestTables } from '../helpers/tables.ts';

type Desk = TestTables &
  ReturnType<typeof startProcess> & {
    readonly rows: () => Promise<Record<string, unknown>[]>;
    readonly put: (pk: string, answer: string) => Promise<unknown>;
    /** The operations on the tables. */
    readonly calls: string[];
  };

const whole = modelThat(...say('A cage', ' of metal.'));

/** The cache over the real table. */
const withDesk = (model: Model, test: (desk: Desk) => Promise<void>) =>
  inTables(async (tables) => {
    const { answers, documents, faults } = tables;
    const TableName = answers.name;
    const clock = createManualClock(START_MS);
    const calls: string[] = [];
    faults.next = (name) => void calls.push(name);
    await test({
      ...tables,
      ...startProcess(model, createAnswers({ ...answers, now: clock.now }), clock),
      put: (pk, answer) => documents.send(new PutCommand({ TableName, Item: { pk, answer } })),
      rows: async () =>
        (await documents.send(new ScanCommand({ TableName, ConsistentRead: true }))).Items ?? [],
      calls,
    });
  });

const saying = (text: string): Partial<ChatRequest> => ({
  messages: [{ role: 'user', content: [{ type: 'text', text }] }],
});
const caching = chatRequest().caching;
const with_ = (changes: Partial<ChatRequest['caching']>) => ({ caching: { ...caching, ...changes } });
const bob = { caller: { ...question.caller, tenant: 'bob' } };
const free = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0 };

const hitting = suite('a question that was asked before');

hitting(
  'is answered as an operator wrote, however it is put, by whomever and of whatever model',
  withDesk(whole, async ({ ask, put, asked, calls }) => {
    await put('what is a faraday cage', 'A cage.');
    calls.length = 0;
    for (const changes of [{}, bob, { model: 'other-model' }, saying('  what IS a\nfaraday cage?!')]) {
      const { text, end, cached, statuses, events } = await ask(changes);
      assert.equal([text, end, cached, statuses], ['A cage.', 'done', 'curated', ['hit']]);
      const last = events.at(-1);
      assert.equal(last?.type === 'done' && last.usage, free);
    }
    assert.is(asked.length, 0);
    assert.equal(calls, Array(4).fill('BatchGetItem'));
  }),
);

hitting(
  'is answered as the model did, without asking it',
  withDesk(whole, async ({ ask, asked, notices }) => {
    const first = await ask();
    assert.equal([first.text, first.cached, first.statuses], ['A cage of metal.', false, ['miss']]);
    const last = first.events.at(-1);
    assert.equal(last?.type === 'done' && last.usage, usage);
    const second = await ask();
    assert.equal([second.text, second.cached, second.statuses], ['A cage of metal.', 'learned', ['hit']]);
    assert.is(asked.length, 1);
    assert.equal(notices, []);
  }),
);

hitting(
  'is answered by what an operator wrote since, before what was learned',
  withDesk(whole, async ({ ask, put }) => {
    await ask();
    await put('what is a faraday cage', 'A cage.');
    assert.is((await ask()).cached, 'curated');
  }),
);

hitting(
  'by another tenant is answered from what was learned where answers are shared, and nowhere else',
  withDesk(whole, async ({ ask, asked }) => {
    await ask();
    assert.is((await ask(bob)).cached, false);
    const shared = with_({ scope: 'shared' });
    await ask(shared);
    assert.is((await ask({ ...shared, ...bob })).cached, 'learned');
    assert.is(asked.length, 3);
  }),
);

hitting(
  'with a system prompt of its own is answered by an operator only where the caller asks for it',
  withDesk(whole, async ({ ask, put }) => {
    await put('what is a faraday cage', 'A cage.');
    const own = { system: ['Answer in rhymes.'] };
    const skipping = { ...own, ...with_({ curated: false }) };
    assert.is((await ask(skipping)).cached, false);
    assert.is((await ask(skipping)).cached, 'learned');
    assert.is((await ask({ ...own, ...with_({ curated: true }) })).cached, 'curated');
  }),
);

hitting(
  'that looks like the key of a learned answer does not get it',
  withDesk(whole, async ({ ask, rows, asked }) => {
    await ask();
    const [row] = await rows();
    assert.is((await ask(saying(String(row?.['pk'])))).cached, false);
    assert.is(asked.length, 2);
  }),
);

hitting(
  'is another one when its code is indented otherwise',
  withDesk(whole, async ({ ask, asked }) => {
    await ask(saying('Explain:\nif a:\n  b'));
    assert.is((await ask(saying('Explain:\nif a:\n    b'))).cached, false);
    assert.is(asked.length, 2);
  }),
);

hitting.run();

// ---

const passing = suite('a question that the cache has no say in');

const block = { type: 'text', text: 'What is a Faraday cage?' } as const;
const user = (...content: Message['content']): Message => ({ role: 'user', content });
const image = (byte: number) => ({ type: 'image', format: 'png', bytes: new Uint8Array([byte]) }) as const;
const uncached: [what: string, changes: Partial<ChatRequest>][] = [
  ['with an image', { messages: [user(block, image(1))] }],
  ['of an image alone', { messages: [user(image(1))] }],
  [
    'of a tool’s result',
    { messages: [user({ type: 'tool-result', id: 't', text: block.text, failed: false })] },
  ],
  ['of reasoning', { messages: [user({ type: 'reasoning', text: block.text })] }],
  ['in two blocks', { messages: [user(block, block)] }],
  ['after others', { messages: [user(block), { role: 'assistant', content: [block] }, user(block)] }],
  ['with tools', { tools: [{ name: 't', inputSchema: {} }] }],
  ['with an output schema', { outputSchema: { name: 's', schema: {} } }],
];
for (const [what, changes] of uncached) {
  passing(
    `is one ${what}`,
    withDesk(whole, async ({ ask, put, asked, calls }) => {
      await put('what is a faraday cage', 'A cage.');
      calls.length = 0;
      for (const mode of ['use', 'refresh'] as const) {
        const { text, cached, statuses } = await ask({ ...changes, ...with_({ mode }) });
        assert.equal([text, cached, statuses], ['A cage of metal.', false, ['bypass']]);
      }
      assert.is(asked.length, 2);
      assert.equal(calls, []);
    }),
  );
}

passing(
  'is every one when the cache is off',
  withDesk(whole, async ({ ask, put, calls }) => {
    await put('what is a faraday cage', 'A cage.');
    calls.length = 0;
    for (const changes of [{}, { tools: [{ name: 't', inputSchema: {} }] }]) {
      const { cached, statuses } = await ask({ ...changes, ...with_({ mode: 'off' }) });
      assert.equal([cached, statuses], [false, ['off']]);
    }
    assert.equal(calls, []);
  }),
);

passing.run();

// ---

/** Says which of its calls it is. */
const counting = (): Model => {
  let calls = 0;
  return async function* () {
    yield* say(`Answer ${++calls}`);
  };
};

const altered = suite('a learned answer');

altered(
  'that was altered by hand is told of, gone, and asked for again',
  withDesk(whole, async ({ ask, rows, documents, answers: { name: TableName }, notices, asked }) => {
    await ask();
    const [row] = await rows();
    const Key = { pk: row?.['pk'] };
    const UpdateExpression = 'SET answer = :no';
    const ExpressionAttributeValues = { ':no': 'No.' };
    await documents.send(new UpdateCommand({ TableName, Key, UpdateExpression, ExpressionAttributeValues }));
    const again = await ask();
    assert.equal([again.text, again.statuses], ['A cage of metal.', ['miss']]);
    assert.equal(notices, ['answer-altered']);
    assert.equal(await rows(), [row]);
    assert.is(asked.length, 2);
  }),
);

altered(
  'is kept as long as the settings say',
  withDesk(whole, async ({ ask, rows }) => {
    await ask(with_({ ttlSeconds: 60 }));
    assert.is((await rows())[0]?.['ttl'], START_MS / 1000 + 60);
  }),
);

altered(
  'is not read by a refresh, which puts its own in its place',
  withDesk(counting(), async ({ ask, put, calls }) => {
    await put('what is a faraday cage', 'A cage.');
    const learnedOnly = with_({ curated: false });
    assert.is((await ask(learnedOnly)).text, 'Answer 1');
    calls.length = 0;
    const fresh = await ask(with_({ mode: 'refresh' }));
    assert.equal([fresh.text, fresh.cached, fresh.statuses], ['Answer 2', false, ['refresh']]);
    assert.equal(calls, ['PutItem']);
    const { text, cached } = await ask(learnedOnly);
    assert.equal([text, cached], ['Answer 2', 'learned']);
  }),
);

altered(
  'is deleted like any other row, and then asked for again',
  withDesk(whole, async ({ ask, rows, documents, answers: { name: TableName }, asked }) => {
    await ask();
    const [row] = await rows();
    await documents.send(new DeleteCommand({ TableName, Key: { pk: row?.['pk'] } }));
    assert.is((await ask()).cached, false);
    assert.is(asked.length, 2);
  }),
);

altered.run();
