import fc from 'fast-check';
import { Marked } from 'marked';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Blocks, createBlockWriter } from '../../src/local/page/blocks.ts';

const kinds = (blocks: Blocks) => blocks.map((block) => new Marked().lexer(block)[0]?.type);

/** Written a character at a time. */
function write(text: string): { blocks: Blocks; steps: Blocks[]; ended: Blocks } {
  const writer = createBlockWriter();
  const steps = [...text].map((character) => writer.add(character));
  return { blocks: steps.at(-1) ?? [], steps, ended: writer.end() };
}

const TEXT = `# Title

A paragraph
#hashtag in it.

1. one
2. two

   more of two

3. three

\`\`\`ts
const a = 1;

# no heading
\`\`\`

| a | b |
|---|---|
| 1 | 2 |

The end.`;

const writing = suite('createBlockWriter');

writing('a text that comes by characters ends as the blocks of the whole', () => {
  const { blocks, ended } = write(TEXT);
  assert.equal(kinds(blocks), ['heading', 'paragraph', 'list', 'code', 'table', 'paragraph']);
  assert.equal(ended, blocks);
  assert.is(blocks.join(''), TEXT);
});

writing('what was written once is read no more', () => {
  const { steps } = write(TEXT);
  for (const [index, blocks] of steps.entries()) {
    const next = steps[index + 1] ?? blocks;
    // The last block grows, and the one before it may yet take the line that is being written.
    const settled = blocks.slice(0, -2);
    assert.equal(next.slice(0, settled.length), settled);
  }
});

writing('a list whose next number is being written stays one list', () => {
  const writer = createBlockWriter();
  writer.add('1. one\n\n2');
  assert.equal(kinds(writer.add('. two\n3. three\n')), ['list']);
});

writing('carriage returns make no difference', () => {
  const writer = createBlockWriter();
  writer.add('one\r\n\r');
  assert.equal(writer.add('\ntwo\r\n\r\nthree'), ['one\n\n', 'two\n\n', 'three']);
});

writing('a link finds its address, though it comes at the end', () => {
  const { ended } = write('See [this][1].\n\nAnd more.\n\n[1]: https://example.test');
  assert.match(
    new Marked().parse(ended[0] ?? '', { async: false }),
    '<a href="https://example.test">this</a>',
  );
  assert.is(ended.length, 3);
});

writing('a text without anything has no blocks', () => {
  assert.equal(createBlockWriter().end(), []);
});

writing('no character is lost, wherever the text is cut', () => {
  const piece = fc.constantFrom('a', ' ', '\n', '- ', '1. ', '#', '```', '> ', '|', '---', '<b>', '*', '\t');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      const writer = createBlockWriter();
      for (const text of pieces) {
        const blocks = writer.add(text);
        assert.ok(blocks.every((block) => block !== ''));
      }
      assert.is(writer.add('').join(''), pieces.join(''));
    }),
    { numRuns: 300 },
  );
});

writing('a text that is nested thousands deep is one block, and what follows goes on', () => {
  for (const deep of ['>'.repeat(20_000), '- '.repeat(5_000)]) {
    const writer = createBlockWriter();
    assert.equal(writer.add(deep).join(''), deep);
    assert.equal(writer.add(' and on').join(''), `${deep} and on`);
    assert.equal(writer.end(), [`${deep} and on`]);
  }
});

writing.run();
