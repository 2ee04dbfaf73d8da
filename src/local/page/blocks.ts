/**
 * Markdown that is still being written, as blocks: paragraphs, lists, code. Only what may still change is read again.
 */
import { Marked } from 'marked';

const markdown = new Marked({ gfm: true });

/** The texts of the blocks, one after another; joined, they are the whole text. */
export type Blocks = readonly string[];

export type BlockWriter = {
  /** Adds text, and returns all blocks so far: most of them as they were. */
  add(text: string): Blocks;
  /**
   * The blocks of the whole text, read at once. A link's address may have come long after the link, so where there are
   * such addresses every block bears them all.
   */
  end(): Blocks;
};

export function createBlockWriter(): BlockWriter {
  const settled: string[] = [];
  let open = '';
  return {
    add(text) {
      // marked counts without them.
      open += text.replaceAll('\r', '');
      for (const block of split(open)) {
        // Until its first line is whole, what follows may yet belong to this block: `1` may become `1. and another item`.
        if (!open.includes('\n', block.length)) break;
        settled.push(block);
        open = open.slice(block.length);
      }
      return [...settled, ...split(open)];
    },
    end() {
      const all = settled.join('') + open;
      const addresses = lex(all)
        .filter(({ type }) => type === 'def')
        .map(({ raw }) => raw.trim());
      const suffix = addresses.length > 0 ? `\n\n${addresses.join('\n')}` : '';
      return split(all).map((block) => block + suffix);
    },
  };
}

/** marked calls itself for each level of quotes and lists: of a text that is thousands deep nothing can be said. */
function lex(text: string): readonly { readonly type: string; readonly raw: string }[] {
  try {
    return markdown.lexer(text);
  } catch {
    return [{ type: 'text', raw: text }];
  }
}

/** White space between blocks goes with the one before it. marked leaves out some of it, so each block is looked for. */
function split(text: string): string[] {
  const starts: number[] = [];
  let position = 0;
  for (const { type, raw } of lex(text)) {
    // What marked has rewritten stays with the block before it.
    const start = starts.length === 0 ? 0 : text.indexOf(raw, position);
    if (start < 0) break;
    if (type !== 'space' || starts.length === 0) starts.push(start);
    position = Math.max(position, text.indexOf(raw, position)) + raw.length;
  }
  return starts.map((start, index) => text.slice(start, starts[index + 1]));
}
