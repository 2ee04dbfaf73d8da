/**
 * The content blocks of an answer in Bedrock's order: one after another, where a server may speak of several calls of tools in turns. The
 * first block that is not over is sent as it comes, and those behind it wait.
 */
import { event, type Payload, type Step } from '../replies.ts';

type Kind = 'text' | 'reasoning' | 'tool';

export type Block = {
  readonly kind: Kind;
  readonly tool?: { readonly toolUseId: string; readonly name: string };
  /** What waits to be sent. */
  readonly pieces: string[];
};

const toDelta: Readonly<Record<Kind, (piece: string) => Payload>> = {
  text: (text) => ({ text }),
  reasoning: (text) => ({ reasoningContent: { text } }),
  tool: (input) => ({ toolUse: { input } }),
};

export function createBlocks() {
  const open: Block[] = [];
  let contentBlockIndex = 0;
  let begun: Block | undefined;

  function* begin(block: Block): Generator<Step> {
    // A text is over once something else begins; a call may go on.
    if (open[0] && open[0].kind !== 'tool') yield* endFirst();
    open.push(block);
    yield* sendFirst();
  }

  function* add(block: Block, piece: string): Generator<Step> {
    if (piece !== '') block.pieces.push(piece);
    yield* sendFirst();
  }

  function* sendFirst(): Generator<Step> {
    const [first] = open;
    if (!first) return;
    if (first.tool && first !== begun)
      yield event('contentBlockStart', { contentBlockIndex, start: { toolUse: first.tool } });
    begun = first;
    for (const piece of first.pieces.splice(0))
      yield event('contentBlockDelta', { contentBlockIndex, delta: toDelta[first.kind](piece) });
  }

  function* endFirst(): Generator<Step> {
    open.shift();
    yield event('contentBlockStop', { contentBlockIndex });
    contentBlockIndex += 1;
    yield* sendFirst();
  }

  /** Goes on with a text or a thought if that was what was said last. */
  function* say(kind: 'text' | 'reasoning', piece: string): Generator<Step> {
    if (piece === '') return;
    const last = open.at(-1);
    if (last?.kind === kind) yield* add(last, piece);
    else yield* begin({ kind, pieces: [piece] });
  }

  function* end(): Generator<Step> {
    while (open.length > 0) yield* endFirst();
  }

  return { begin, add, say, end };
}

export type Blocks = ReturnType<typeof createBlocks>;
