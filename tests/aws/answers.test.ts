import { GetCommand, PutCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { NumberValueImpl as NumberValue } from '@aws-sdk/util-dynamodb';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createAnswers } from '../../src/aws/answers.ts';
import type { LearnedAnswer } from '../../src/chat/answers.ts';
import { rejectionOf } from '../helpers/rejects.ts';
import { inTables, keysOf, START_MS, type TestTables } from '../helpers/tables.ts';

const keys = { curated: 'why', learned: 'learned#1' };
const answer: LearnedAnswer = { origin: 'learned', model: 'some-model', text: 'So.', reasoning: 'Well.' };
const curated = (text: string) => ({ answer: { origin: 'curated', text, reasoning: '' } });
const soon = START_MS + 30_000;
const DAY = 86_400;
/** More digits than a number of JavaScript has. */
const huge = NumberValue.from('12345678901234567890.5');

type Desk = TestTables & {
  readonly learning: ReturnType<typeof createAnswers>;
  readonly put: (row: Record<string, unknown>) => Promise<unknown>;
  readonly rowOf: (pk: string) => Promise<Record<string, unknown> | undefined>;
  /** The operations from here on. */
  readonly calls: string[];
};

const withAnswers = (test: (desk: Desk) => Promise<void>) =>
  inTables(async (tables) => {
    const { answers, documents, faults } = tables;
    const TableName = answers.name;
    const calls: string[] = [];
    faults.next = (name) => void calls.push(name);
    await test({
      ...tables,
      learning: createAnswers(answers),
      put: (Item) => documents.send(new PutCommand({ TableName, Item })),
      rowOf: async (pk) =>
        (await documents.send(new GetCommand({ TableName, Key: { pk }, ConsistentRead: true }))).Item,
      calls,
    });
  });

const finding = suite('find');

finding(
  'what was learned is found until its time is over, in one round trip',
  withAnswers(async ({ learning, clock, calls }) => {
    assert.equal(await learning.find(keys), {});
    await learning.learn(keys.learned, answer, DAY);
    calls.length = 0;
    assert.equal(await learning.find(keys), { answer });
    assert.equal(await learning.find({ learned: keys.learned }), { answer });
    assert.equal(await learning.find({ learned: 'learned#2' }), {});
    assert.equal(calls, ['BatchGetItem', 'BatchGetItem', 'BatchGetItem']);
    clock.now += DAY * 1_000 - 1;
    assert.equal(await learning.find(keys), { answer });
    clock.now += 1;
    assert.equal(await learning.find(keys), {});
  }),
);

finding(
  'an operator’s answer comes before a learned one, where it may serve',
  withAnswers(async ({ learning, put, calls }) => {
    await put({ pk: 'why', answer: 'Because.' });
    await learning.learn(keys.learned, answer, DAY);
    calls.length = 0;
    assert.equal(await learning.find(keys), curated('Because.'));
    assert.equal(calls, ['BatchGetItem']);
    assert.equal(await learning.find({ learned: keys.learned }), { answer });
  }),
);

finding(
  'whatever else an operator’s row holds is passed over, and it need not end',
  withAnswers(async ({ learning, put }) => {
    const rows: Record<string, unknown>[] = [
      { kind: 'curated', model: 5, reasoning: ['x'], checksum: true, owner: {}, until: 'never', topic: 'a' },
      { ttl: 'never' },
      { ttl: START_MS / 1000 + 1 },
      { ttl: huge, until: huge, model: 10n ** 30n, size: huge },
      { reasoning: { size: huge } },
    ];
    for (const row of rows) {
      await put({ pk: 'why', answer: 'Because.', ...row });
      assert.equal(await learning.find(keys), curated('Because.'), JSON.stringify(Object.keys(row)));
    }
  }),
);

finding(
  'an operator’s row that is no answer is as if it were not there',
  withAnswers(async ({ learning, put, rowOf }) => {
    await learning.learn(keys.learned, answer, DAY);
    const rows: Record<string, unknown>[] = [
      {},
      { answer: 5 },
      { answer: huge },
      { answer: true },
      { answer: null },
      { answer: ['Because.'] },
      { answer: { text: 'Because.' } },
      { answer: '' },
      { answer: ' \n\t' },
      { answer: 'Because.', ttl: START_MS / 1000 },
      { answer: 'Because.', ttl: 1 },
      { answer: 'Because.', kind: 'learned' },
      { answer: 'Because.', kind: 'asking', owner: 'one', until: soon },
    ];
    for (const row of rows) {
      await put({ pk: 'why', ...row });
      assert.equal(await learning.find(keys), { answer }, Object.entries(row).join());
    }
    assert.ok(await rowOf('why'), 'it is the operator’s, and stays');
  }),
);

finding(
  'keys that were left unread are no answer, nor are tables that are down',
  withAnswers(async ({ learning, put, faults }) => {
    await put({ pk: 'why', answer: 'Because.' });
    faults.next = () => ({ type: 'unprocessed' });
    assert.match(String(await rejectionOf(learning.find(keys))), 'left keys unread');
    for (const type of ['down', 'throttled'] as const) {
      faults.next = () => ({ type });
      await rejectionOf(learning.find(keys));
    }
  }),
);

finding.run();

// ---

const altering = suite('a learned row that was altered');

const alterations: [what: string, change: Record<string, unknown>][] = [
  ['its answer', { answer: 'No.' }],
  ['its model', { model: 'other-model' }],
  ['its reasoning', { reasoning: '' }],
  ['its checksum', { checksum: 'x' }],
  ['its kind', { kind: 'curated' }],
  ['an answer that is a number', { answer: 10n ** 30n }],
  ['a model that is none', { model: null }],
  ['reasoning that is a list', { reasoning: [] }],
];
for (const [what, change] of alterations) {
  altering(
    `by ${what} is no answer, and is gone`,
    withAnswers(async ({ learning, put, rowOf }) => {
      await learning.learn(keys.learned, answer, DAY);
      await put({ ...(await rowOf(keys.learned)), ...change });
      assert.equal(await learning.find(keys), { wasAltered: true });
      assert.is(await rowOf(keys.learned), undefined);
      assert.equal(await learning.find(keys), {});
    }),
  );
}

altering(
  'by the loss of a field, or that lies under the key of another, is no answer, and is gone',
  withAnswers(async ({ learning, put, rowOf, documents, answers: { name: TableName } }) => {
    for (const field of ['kind', 'answer', 'model', 'reasoning', 'checksum']) {
      await learning.learn(keys.learned, answer, DAY);
      const UpdateExpression = 'REMOVE #field';
      const ExpressionAttributeNames = { '#field': field };
      const Key = { pk: keys.learned };
      await documents.send(new UpdateCommand({ TableName, Key, UpdateExpression, ExpressionAttributeNames }));
      assert.equal(await learning.find(keys), { wasAltered: true }, field);
    }
    await learning.learn('learned#2', answer, DAY);
    await put({ ...(await rowOf('learned#2')), pk: keys.learned });
    assert.equal(await learning.find(keys), { wasAltered: true });
    assert.equal(await keysOf({ documents } as TestTables, TableName, 1), ['learned#2']);
  }),
);

altering(
  'whose text merely moved from one field to the other is no answer',
  withAnswers(async ({ learning, put, rowOf }) => {
    await learning.learn(keys.learned, { ...answer, text: 'ab', reasoning: 'c' }, DAY);
    await put({ ...(await rowOf(keys.learned)), answer: 'a', reasoning: 'bc' });
    assert.equal(await learning.find(keys), { wasAltered: true });
  }),
);

altering(
  'is seen by a claim as well',
  withAnswers(async ({ learning, put, rowOf }) => {
    await learning.learn(keys.learned, answer, DAY);
    await put({ ...(await rowOf(keys.learned)), answer: 'No.' });
    assert.equal(await learning.claim(keys.learned, 'one', soon), { wasAltered: true });
    assert.is(await rowOf(keys.learned), undefined);
  }),
);

altering.run();

// ---

const claiming = suite('claim');

const asking = (owner: string) => ({ asking: owner });

claiming(
  'of 50 at once one asks, and the others see who',
  withAnswers(async ({ learning }) => {
    const claims = Array.from({ length: 50 }, (_, n) => learning.claim(keys.learned, `owner-${n}`, soon));
    const found = await Promise.all(claims);
    const owners = new Set(found.map(({ asking: who }) => who));
    assert.is(owners.size, 1);
    const [owner = ''] = owners;
    assert.equal(await learning.find(keys), asking(owner));
  }),
);

claiming(
  'lasts until its time is over; then the next asks, and the first ends nothing of his',
  withAnswers(async ({ learning, clock }) => {
    assert.equal(await learning.claim(keys.learned, 'one', soon), asking('one'));
    clock.now = soon - 1;
    assert.equal(await learning.find(keys), asking('one'));
    assert.equal(await learning.claim(keys.learned, 'two', soon + 1), asking('one'));
    clock.now = soon;
    assert.equal(await learning.find(keys), {});
    assert.equal(await learning.claim(keys.learned, 'two', soon + 30_000), asking('two'));
    await learning.release(keys.learned, 'one');
    assert.equal(await learning.find(keys), asking('two'));
  }),
);

claiming(
  'that is released leaves the question to the next',
  withAnswers(async ({ learning }) => {
    await learning.claim(keys.learned, 'one', soon);
    await learning.release(keys.learned, 'one');
    assert.equal(await learning.find(keys), {});
    assert.equal(await learning.claim(keys.learned, 'two', soon), asking('two'));
  }),
);

claiming(
  'whose reply was lost is its owner’s all the same, and so is his release',
  withAnswers(async ({ learning, faults, calls }) => {
    const losing = (operation: string) => {
      let isLost = false;
      faults.next = (name) => {
        calls.push(name);
        if (name !== operation || isLost) return undefined;
        isLost = true;
        return { type: 'lost' };
      };
    };
    losing('PutItem');
    assert.equal(await learning.claim(keys.learned, 'one', soon), asking('one'));
    losing('UpdateItem');
    await learning.release(keys.learned, 'one');
    assert.equal(await learning.find(keys), {});
    assert.equal(calls, ['PutItem', 'PutItem', 'UpdateItem', 'UpdateItem', 'BatchGetItem']);
  }),
);

claiming(
  'finds what has been learned meanwhile, and takes the place of what is over',
  withAnswers(async ({ learning, clock }) => {
    await learning.learn(keys.learned, answer, 60);
    assert.equal(await learning.claim(keys.learned, 'one', soon), { answer });
    clock.now += 60_000;
    assert.equal(await learning.claim(keys.learned, 'one', clock.now + 1), asking('one'));
  }),
);

claiming(
  'that is of the wrong shape counts for nothing',
  withAnswers(async ({ learning, put }) => {
    for (const row of [{ owner: 5, until: soon }, { owner: 'one' }, { owner: 'one', until: String(soon) }]) {
      await put({ pk: keys.learned, kind: 'asking', ...row });
      assert.equal(await learning.find(keys), {});
    }
  }),
);

claiming(
  'is kept by the table a minute longer than it counts, and then deleted',
  withAnswers(async ({ learning, rowOf }) => {
    await learning.claim(keys.learned, 'one', soon + 1);
    assert.is((await rowOf(keys.learned))?.['ttl'], soon / 1000 + 61);
  }),
);

claiming.run();

// ---

const learns = suite('learn and release');

learns(
  'an answer takes the place of whatever is there, and its asker’s release does not matter',
  withAnswers(async ({ learning }) => {
    await learning.claim(keys.learned, 'one', soon);
    await learning.learn(keys.learned, answer, DAY);
    assert.equal(await learning.find(keys), { answer });
    await learning.release(keys.learned, 'one');
    assert.equal(await learning.find(keys), { answer });
    const newer = { ...answer, text: 'So it is.', reasoning: '' };
    await learning.learn(keys.learned, newer, DAY);
    assert.equal(await learning.find(keys), { answer: newer });
  }),
);

learns(
  'a release of what was never claimed makes no row',
  withAnswers(async ({ learning, rowOf }) => {
    await learning.release(keys.learned, 'one');
    assert.is(await rowOf(keys.learned), undefined);
  }),
);

learns(
  'tables that are down reject every call',
  withAnswers(async ({ learning, faults }) => {
    faults.next = () => ({ type: 'down' });
    await Promise.all(
      [
        learning.claim(keys.learned, 'one', soon),
        learning.release(keys.learned, 'one'),
        learning.learn(keys.learned, answer, DAY),
      ].map(rejectionOf),
    );
  }),
);

learns.run();
