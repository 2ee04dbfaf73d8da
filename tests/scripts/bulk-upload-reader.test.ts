/** The items of a file, however its bytes arrive, and the sentences about files that are none. */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Found, readItems } from '../../scripts/bulk-upload/reader.ts';
import { FileProblem } from '../../scripts/bulk-upload/syntax.ts';

type Read = { items: Found[]; problem: string | undefined };

/** In chunks that end where it says, in bytes. */
async function read(content: string | Uint8Array, cuts: readonly number[] = []): Promise<Read> {
  const bytes = Buffer.from(content);
  const ends = [...new Set([...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])];
  ends.sort((one, other) => one - other);
  async function* chunks() {
    let from = 0;
    for (const end of ends) {
      yield bytes.subarray(from, end);
      from = end;
    }
  }
  const items: Found[] = [];
  try {
    for await (const piece of readItems(chunks())) items.push(...piece.items);
  } catch (error) {
    if (!(error instanceof FileProblem)) throw error;
    return { items, problem: error.message };
  }
  return { items, problem: undefined };
}

const problemOf = async (content: string | Uint8Array) => (await read(content)).problem;
const byteByByte = Array.from({ length: 400 }, (_, at) => at);

const reading = suite('readItems');

reading(
  'any list, however it is laid out and cut into chunks, gives its items with their lines',
  async () => {
    const spaces = fc.stringMatching(/^[ \t\r\n]{0,3}$/);
    const lists = fc.array(fc.tuple(spaces, fc.jsonValue({ maxDepth: 3 }), spaces, fc.boolean()), {
      maxLength: 8,
    });
    await fc.assert(
      fc.asyncProperty(lists, fc.array(fc.nat()), fc.boolean(), async (list, cuts, hasBom) => {
        let text = `${hasBom ? '\ufeff' : ''}\n[`;
        const expected = list.map(([before, value, after, isPretty], at) => {
          text += before;
          const line = text.split('\n').length;
          text += JSON.stringify(value, null, isPretty ? 1 : 0) + after + (at < list.length - 1 ? ',' : '');
          return { number: at + 1, line, value: JSON.parse(JSON.stringify(value)) };
        });
        assert.equal(await read(`${text}]\n`, cuts), { items: expected, problem: undefined });
      }),
      { numRuns: 300 },
    );
  },
);

reading('any lines, however they are cut into chunks, give an item each, and blank ones none', async () => {
  const lines = fc.array(
    fc.option(fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue({ maxDepth: 2 }))),
    { maxLength: 8 },
  );
  await fc.assert(
    fc.asyncProperty(lines, fc.array(fc.nat()), fc.constantFrom('\n', '\r\n'), async (values, cuts, end) => {
      const all = [{ first: 'é' }, ...values];
      const text = all.map((value) => (value ? JSON.stringify(value) : ' ')).join(end);
      const items = all.flatMap((value, at) =>
        value ? [{ line: at + 1, value: JSON.parse(JSON.stringify(value)) }] : [],
      );
      const expected = items.map((item, at) => ({ number: at + 1, ...item }));
      assert.equal(await read(text, cuts), { items: expected, problem: undefined });
    }),
    { numRuns: 300 },
  );
});

reading('no more of the file is read than was asked for', async () => {
  let chunks = 0;
  async function* endless() {
    for (yield Buffer.from('['); ; chunks++) yield Buffer.from('{"pk":"x"},'.repeat(100));
  }
  const pieces = readItems(endless());
  for (let piece = 0; piece < 10; piece++) await pieces.next();
  assert.is(chunks, 8);
});

reading('a bad line is an item with a problem, and the others are read', async () => {
  const { items, problem } = await read('{"pk":"a"}\n{"pk":"b"\n\n[1]\n{pk:"c"}\n{"pk":"d"} x\n{"pk":"e"}');
  assert.is(problem, undefined);
  assert.equal(
    items.map(({ number, line, value, problem }) => [number, line, value ?? problem]),
    [
      [1, 1, { pk: 'a' }],
      [2, 2, 'The line ends in the middle of an item.'],
      [3, 4, [1]],
      [4, 5, 'A key on line 5 has no quotes; put it into double ones: {"pk": "…"} in place of {pk: "…"}.'],
      [5, 6, 'Something stands after the end, on line 6.'],
      [6, 7, { pk: 'e' }],
    ],
  );
});

reading('a line that is not UTF-8, or over 16 MB, is rejected with its number', async () => {
  const bad = Buffer.concat([
    Buffer.from('{"pk":"a"}\n{"pk":"'),
    Buffer.from([0xc3, 0x28]),
    Buffer.from('"}\n'),
  ]);
  assert.equal((await read(bad)).items[1], { number: 2, line: 2, problem: 'The line is not UTF-8.' });
  const long = `{"pk":"a"}\n{"pk":"${'x'.repeat(17 << 20)}"}\n{"pk":"b"}`;
  const cuts = Array.from({ length: 200 }, (_, at) => at * 100_000);
  assert.equal(
    (await read(long, cuts)).items.map(({ number, problem }) => [number, problem]),
    [
      [1, undefined],
      [2, 'The line is longer than 16 MB.'],
      [3, undefined],
    ],
  );
});

reading(
  'whatever is no JSON is told in a sentence with its line, and what came before it is read',
  async () => {
    const unquoted = 'has no quotes; put it into double ones: {"pk": "…"} in place of {pk: "…"}.';
    const single = 'There are single quotes on line 2; JSON has only double ones: {"pk": "…"}.';
    const comment = 'There is a comment on line 2; JSON has none, so take it away.';
    const notUtf8 = 'Line 2 is not UTF-8; save the file as UTF-8.';
    const cases: [text: string, sentence: string][] = [
      ['{pk: "x"}]', `A key on line 2 ${unquoted}`],
      ['{"pk": "x",\n answer: "y"}]', `A key on line 3 ${unquoted}`],
      ['{name: "x"}]', `A key on line 2 ${unquoted}`],
      ['{n: "x"}]', `A key on line 2 ${unquoted}`],
      ['{true: "x"}]', `A key on line 2 ${unquoted}`],
      ['{1: "x"}]', `A key on line 2 ${unquoted}`],
      ['{é: "x"}]', `A key on line 2 ${unquoted}`],
      ["{'pk': 'x'}]", single],
      ['{"pk": \'x\'}]', single],
      ["['x']]", single],
      ['// no\n{}]', comment],
      ['{} # no\n]', comment],
      ['{"pk": "x",}]', 'There is a comma too many before the } on line 2.'],
      [
        '{"pk": "x\ny"}]',
        'A text on line 2 is not closed, or holds a character that JSON has an escape for, such as \\n for the end of a line.',
      ],
      [
        '{"pk": "\\x"}]',
        'A text on line 2 is not closed, or holds a character that JSON has an escape for, such as \\n for the end of a line.',
      ],
      ['{"pk" "x"}]', 'This is no JSON on line 2, from byte 7 of it on.'],
      ['{"pk": "x"} {"pk": "y"}]', 'This is no JSON on line 2, from byte 13 of it on.'],
      ['{"pk": x}]', 'This is no JSON on line 2, from byte 8 of it on.'],
      ['{"pk": NaN}]', 'This is no JSON on line 2, from byte 8 of it on.'],
      ['{"pk": "x"}\n]\n[]', 'Something stands after the end, on line 4.'],
      ['{"pk": "x"}', 'The file ends in the middle, on line 2.'],
      ['{"pk": "x', 'The file ends in the middle, on line 2.'],
      [`{"pk": ${'['.repeat(2_000)}`, 'The item on line 2 is nested more than 1000 levels deep.'],
    ];
    for (const [text, sentence] of cases) {
      for (const cuts of [[], byteByByte]) {
        const { items, problem } = await read(`[{"pk":\t"first"},\n${text}`, cuts);
        assert.is(problem, sentence, text);
        assert.equal(items[0], { number: 1, line: 1, value: { pk: 'first' } }, text);
      }
    }
    const invalid = Buffer.concat([
      Buffer.from('[{"pk":"first"},\n{"pk":"'),
      Buffer.from([0xe2, 0x82, 0x22]),
    ]);
    for (const cuts of [[], byteByByte]) {
      const { items, problem } = await read(Buffer.concat([invalid, Buffer.from('}]')]), cuts);
      assert.equal([items.length, problem], [1, notUtf8]);
    }
    assert.is(await problemOf(invalid.subarray(0, -1)), notUtf8, 'a character that the file ends in');
  },
);

reading('an item of more than 16 MB ends the run before memory is full of it', async () => {
  let chunks = 0;
  async function* endless() {
    for (yield Buffer.from('[{},\n{"pk":"'); ; chunks++) yield Buffer.alloc(1 << 20, 'x');
  }
  let problem = '';
  try {
    for await (const _ of readItems(endless()));
  } catch (error) {
    problem = String(error);
  }
  assert.match(problem, 'The item on line 2 is more than 16 MB of text.');
  assert.ok(chunks < 18);
});

reading('a file that is neither a list nor lines of objects is told what it must be', async () => {
  const neither = 'The file must hold a JSON list of objects, or one object on each line';
  for (const text of ['', ' \n\t\r\n', '\ufeff', '\ufeff \n'])
    assert.is(await problemOf(text), 'The file is empty.');
  for (const text of ['hello', '"text"', '12', 'pk,answer\n', '}'])
    assert.is(await problemOf(text), `${neither}; on line 1 it begins with something else.`);
  assert.is(await problemOf('\n\n# no'), `${neither}; on line 3 it begins with something else.`);
  assert.is(
    await problemOf(Buffer.from('\ufeff[]', 'utf16le')),
    `${neither}; on line 1 it begins with something else.`,
  );
  const pretty = JSON.stringify({ pk: 'x', answer: 'y' }, null, 2);
  assert.is(await problemOf(`\n${pretty}`), `${neither}; the object on line 2 does not end on that line.`);
});

reading('an empty list has no items, and a line alone is one', async () => {
  assert.equal(await read('[]'), { items: [], problem: undefined });
  assert.equal(await read('{"a":1}', byteByByte), {
    items: [{ number: 1, line: 1, value: { a: 1 } }],
    problem: undefined,
  });
});

reading.run();
