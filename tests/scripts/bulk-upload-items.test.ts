/** What may go into a table, and how large DynamoDB counts it. */

import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { itemSize, toAttributes } from '../../scripts/bulk-upload/item-size.ts';
import { toCuratedAnswer } from '../../scripts/bulk-upload/questions.ts';
import { ItemProblem, type Keys, prepareItem, requireObject } from '../../scripts/bulk-upload/validation.ts';
import { toCuratedKey } from '../../src/chat/answer-keys.ts';
import type { Json } from '../../src/chat/json.ts';
import { inTable, STOCK } from '../helpers/bulk-upload.ts';

const text: Keys = [{ name: 'pk', type: 'S', maxBytes: 2048 }];
const both: Keys = [
  { name: 'pk', type: 'N', maxBytes: 2048 },
  { name: 'sk', type: 'B', maxBytes: 1024 },
];

function problemOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof ItemProblem) return error.message;
    throw error;
  }
  return '';
}

/** As the file would say it: what a literal of this language would change stays as it is. */
const problemOfText = (json: string, keys = text) =>
  problemOf(() => prepareItem(requireObject(JSON.parse(json)), keys));

const size = suite('itemSize');

size(
  'is of names and values in UTF-8, with what AWS’s documentation adds for numbers, lists and maps',
  () => {
    const sizes: [item: Record<string, Json>, bytes: number][] = [
      [{ pk: 'abc' }, 5],
      [{ é: '€' }, 5],
      [{ a: '😀' }, 5],
      [{ a: null }, 2],
      [{ a: true }, 2],
      [{ a: '' }, 1],
      [{ a: 0 }, 2],
      [{ a: 7 }, 3],
      [{ a: 27 }, 3],
      [{ a: -27 }, 4],
      [{ a: 461 }, 4],
      [{ a: 1000 }, 3],
      [{ a: 1.5 }, 4],
      [{ a: 0.15 }, 3],
      [{ a: [] }, 4],
      [{ a: {} }, 4],
      [{ a: ['x', null] }, 8],
      [{ a: { b: 'x' } }, 7],
      [{ a: [[1]] }, 11],
    ];
    for (const [item, bytes] of sizes) assert.is(itemSize(toAttributes(item)), bytes, JSON.stringify(item));
  },
);

size(
  'is the table’s own at the border: 409600 bytes go in and one more does not, whatever else the item holds',
  inTable(async ({ client }) => {
    const isTaken = (item: Record<string, Json>) =>
      client.putItem({ TableName: STOCK, Item: toAttributes(item) }).then(
        () => true,
        (error) => assert.match(String(error), 'Item size') ?? false,
      );
    // The embedded table counts characters where DynamoDB counts bytes.
    const ascii = fc.string({ unit: 'binary-ascii' });
    const numbers = fc.oneof(
      fc.integer(),
      fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e9, max: 1e9 }),
    );
    const safe = numbers.filter((value) => value === 0 || Math.abs(value) > 1e-120);
    const values = fc.letrec((tie) => ({
      value: fc.oneof({ maxDepth: 3 }, ascii, safe, fc.boolean(), fc.constant(null), tie('list'), tie('map')),
      list: fc.array(tie('value'), { maxLength: 4 }),
      map: fc.dictionary(
        ascii.filter((name) => name !== '' && name !== '__proto__'),
        tie('value'),
        { maxKeys: 4 },
      ),
    })).value;
    await fc.assert(
      fc.asyncProperty(values, async (value) => {
        const item = { pk: 'x', value: value as Json, rest: '' };
        const room = 409_600 - itemSize(toAttributes(item));
        const full = { ...item, rest: 'r'.repeat(room) };
        const over = { ...item, rest: 'r'.repeat(room + 1) };
        assert.is(
          problemOf(() => prepareItem(full, text)),
          '',
        );
        assert.is(await isTaken(full), true);
        assert.is(
          problemOf(() => prepareItem(over, text)),
          'The item is 409601 bytes as DynamoDB counts them, of at most 409600.',
        );
        assert.is(await isTaken(over), false);
      }),
      { numRuns: 60 },
    );
  }),
);

size.run();

// ---

const validation = suite('prepareItem');

validation('tells in a sentence what is wrong with an item', () => {
  const deep = (levels: number) => `{"pk":"x","a":${'['.repeat(levels)}${']'.repeat(levels)}}`;
  const maps = (levels: number) => `{"pk":"x","a":${'{"b":'.repeat(levels)}1${'}'.repeat(levels)}}`;
  const surrogate = 'A text holds half of a surrogate pair, which is no character.';
  const integer = 'A whole number lies beyond 9007199254740991, where it would be changed; write it as text.';
  const nested = 'The item is nested more than 32 levels deep, which DynamoDB does not take.';
  const cases: [json: string, sentence: string][] = [
    ['1', 'The item is no object.'],
    ['null', 'The item is no object.'],
    ['["pk"]', 'The item is no object.'],
    ['{}', 'The key pk is missing.'],
    ['{"constructor":"x"}', 'The key pk is missing.'],
    ['{"pk":1}', 'The key pk must be a string.'],
    ['{"pk":null}', 'The key pk must be a string.'],
    ['{"pk":""}', 'The key pk is empty.'],
    [`{"pk":"${'é'.repeat(1024)}"}`, ''],
    [`{"pk":"${'é'.repeat(1024)}x"}`, 'The key pk is 2049 bytes, of at most 2048.'],
    [deep(32), ''],
    [deep(33), nested],
    [maps(32), ''],
    [maps(33), nested],
    [deep(100_000), nested],
    ['{"pk":"x","a":9007199254740991}', ''],
    ['{"pk":"x","a":9007199254740992}', integer],
    ['{"pk":"x","a":[{"b":-9007199254740993}]}', integer],
    ['{"pk":"x","a":1e400}', integer],
    ['{"pk":"x","a":1e-130}', ''],
    ['{"pk":"x","a":1e-131}', 'A number lies closer to 0 than 1E-130, which DynamoDB does not take.'],
    ['{"pk":"\\ud800"}', surrogate],
    ['{"pk":"x","a":["\\udc00"]}', surrogate],
    ['{"pk":"x","a":{"\\ud83d":1}}', 'A name holds half of a surrogate pair, which is no character.'],
    ['{"pk":"\\ud83d\\ude00"}', ''],
    ['{"pk":"x","a":{"__proto__":1}}', 'No attribute can be called __proto__.'],
  ];
  for (const [json, sentence] of cases) assert.is(problemOfText(json), sentence, json.slice(0, 60));
});

validation('looks at both keys, of any type', () => {
  const sk = Buffer.from('bytes').toString('base64');
  const cases: [item: object, sentence: string][] = [
    [{ pk: 1, sk }, ''],
    [{ pk: 0, sk }, ''],
    [{ pk: '1', sk }, 'The key pk must be a number.'],
    [{ pk: 1 }, 'The key sk is missing.'],
    [{ pk: 1, sk: 1 }, 'The key sk must be a base64 text.'],
    [{ pk: 1, sk: 'no base64' }, 'The key sk must be a base64 text.'],
    [{ pk: 1, sk: '' }, 'The key sk is empty.'],
    [{ pk: 1, sk: Buffer.alloc(1024).toString('base64') }, ''],
    [{ pk: 1, sk: Buffer.alloc(1025).toString('base64') }, 'The key sk is 1025 bytes, of at most 1024.'],
  ];
  for (const [item, sentence] of cases) assert.is(problemOfText(JSON.stringify(item), both), sentence);
});

validation.run();

// ---

const questions = suite('toCuratedAnswer');

questions('stores the question by the key that chat looks for, and the rest as it was given', () => {
  const pk = '  What is a   FARADAY cage?! ';
  const item = { pk, answer: 'A shield.', topic: ['a', 1], ttl: 1_900_000_000 };
  assert.equal(toCuratedAnswer(item, 'file.json'), {
    pk: toCuratedKey(pk),
    question: pk,
    answer: 'A shield.',
    kind: 'curated',
    source: 'file.json',
    topic: ['a', 1],
    ttl: 1_900_000_000,
  });
  assert.is(toCuratedAnswer(item, '')['pk'], 'what is a faraday cage');
});

questions('refuses what would never be found, or never answer', () => {
  const answer = 'A shield.';
  const noAnswer = 'The item has no answer, which must be a text that is not blank.';
  const blank = 'The question, pk, must be a text that is not blank.';
  const cases: [item: Record<string, Json>, sentence: string][] = [
    [{ answer }, 'The question, pk, is missing.'],
    [{ pk: ' \n', answer }, blank],
    [{ pk: 5, answer }, blank],
    [{ pk: 'q' }, noAnswer],
    [{ pk: 'q', answer: ' \t' }, noAnswer],
    [{ pk: 'q', answer: ['a'] }, noAnswer],
    [{ pk: 'q', answer, kind: 'learned' }, 'The kind must be curated, or left away.'],
    [{ pk: 'q', answer, kind: 'curated' }, ''],
    [{ pk: 'q', answer, ttl: '2030' }, 'The ttl must be a number of seconds since 1970.'],
  ];
  for (const [item, sentence] of cases)
    assert.is(
      problemOf(() => toCuratedAnswer(item, 'f')),
      sentence,
    );
});

questions.run();
