/**
 * JSON while it arrives: its values with the lines that they begin on, and a sentence about the place where it stops being JSON. It does not
 * look at what the values are.
 */
import { JSONParser, TokenType } from '@streamparser/json';
import type { Json } from '../../src/chat/json.ts';

/** What is wrong with the file as a whole: nothing after it can be read. Its message is for whoever started the upload. */
export class FileProblem extends Error {}

/** The text of an item of 400 KB is at most 2.4 MB, if every character is escaped; the rest is room for white space. */
export const MAX_ITEM_TEXT_BYTES = 16 * 1024 * 1024;

/** DynamoDB takes 32; so deep, the parser's memory is still small. */
const MAX_DEPTH = 1_000;

const NEWLINE = 10;
const WORD = 'a'.charCodeAt(0);

export type Scanner = {
  /** @throws FileProblem, after all values before the place were handed out */
  write(bytes: Uint8Array): void;
  /** @throws FileProblem when the text is not whole */
  end(): void;
  /** How many lines have begun. */
  line(): number;
};

/** Hands out the elements of a list (`$.*`), or the only value (`$`). The bytes must be UTF-8, and no piece may part a character. */
export function createScanner(
  path: '$.*' | '$',
  firstLine: number,
  onValue: (value: Json, line: number) => void,
): Scanner {
  const parser = new JSONParser({ paths: [path], keepStack: false });
  const outside = path === '$' ? 0 : 1;
  const open: TokenType[] = [];
  const lines = createLineCounter(firstLine);
  let token: TokenType | undefined;
  let offset = 0;
  let wantedKey = false;
  let item = { at: 0, line: firstLine };

  const wantsKey = () =>
    open.at(-1) === TokenType.LEFT_BRACE && (token === TokenType.LEFT_BRACE || token === TokenType.COMMA);

  parser.onToken = (next) => {
    wantedKey = wantsKey();
    ({ token, offset } = next);
    if (open.length === outside && !isClosing(token)) item = { at: offset, line: lines.lineAt(offset) };
    if (token === TokenType.LEFT_BRACE || token === TokenType.LEFT_BRACKET) open.push(token);
    if (token === TokenType.RIGHT_BRACE || token === TokenType.RIGHT_BRACKET) open.pop();
    if (open.length > MAX_DEPTH)
      throw new FileProblem(`The item on line ${item.line} is nested more than ${MAX_DEPTH} levels deep.`);
  };
  parser.onValue = ({ value }) => onValue(value as Json, item.line);

  function explain(error: unknown): FileProblem {
    if (error instanceof FileProblem) return error;
    // A byte that begins no token has its place in the message; a token in the wrong place has been seen.
    const [, at, state = ''] = /absolute position "(\d+)"\) in state (\w+)/.exec(String(error)) ?? [];
    const position = at === undefined ? offset : Number(at);
    const line = lines.lineAt(position);
    return new FileProblem(
      toSentence({
        line,
        column: position - lines.lineStart() + 1,
        character: lines.characterAt(position),
        isInText: state.startsWith('STRING'),
        isOver: state === 'ENDED',
        wantsKey: at === undefined ? wantedKey : wantsKey(),
      }),
    );
  }

  return {
    write(bytes) {
      lines.add(bytes);
      try {
        parser.write(bytes);
      } catch (error) {
        throw explain(error);
      }
      lines.finish();
      if (!parser.isEnded && lines.end() - item.at > MAX_ITEM_TEXT_BYTES)
        throw new FileProblem(`The item on line ${item.line} is more than 16 MB of text.`);
    },
    end() {
      if (parser.isEnded) return;
      throw new FileProblem(`The file ends in the middle, on line ${lines.line()}.`);
    },
    line: lines.line,
  };
}

const isClosing = (token: TokenType) =>
  token === TokenType.RIGHT_BRACE || token === TokenType.RIGHT_BRACKET || token === TokenType.COLON;

type Mistake = {
  readonly line: number;
  /** In bytes, from 1. */
  readonly column: number;
  readonly character: string;
  readonly isInText: boolean;
  readonly isOver: boolean;
  readonly wantsKey: boolean;
};

function toSentence({ line, column, character, isInText, isOver, wantsKey }: Mistake): string {
  if (isOver) return `Something stands after the end, on line ${line}.`;
  if (isInText)
    return `A text on line ${line} is not closed, or holds a character that JSON has an escape for, such as \\n for the end of a line.`;
  if (character === "'")
    return `There are single quotes on line ${line}; JSON has only double ones: {"pk": "…"}.`;
  if (character === '/' || character === '#')
    return `There is a comment on line ${line}; JSON has none, so take it away.`;
  if (wantsKey && character === '}') return `There is a comma too many before the } on line ${line}.`;
  if (wantsKey && /[\w$:\s\u0080-\u00ff-]/.test(character))
    return `A key on line ${line} has no quotes; put it into double ones: {"pk": "…"} in place of {pk: "…"}.`;
  return `This is no JSON on line ${line}, from byte ${column} of it on.`;
}

/** Which line a position is on, as long as positions are asked for in their order and lie in the last piece. */
function createLineCounter(firstLine: number) {
  let line = firstLine;
  let lineStart = 0;
  let piece: Uint8Array = new Uint8Array();
  let pieceStart = 0;
  let counted = 0;

  /** A token that began in an earlier piece is on one line, so the line that the count has come to is its own. */
  function lineAt(position: number): number {
    for (;;) {
      const next = piece.indexOf(NEWLINE, counted - pieceStart);
      if (next === -1 || pieceStart + next >= position) break;
      line += 1;
      counted = lineStart = pieceStart + next + 1;
    }
    counted = Math.max(counted, position);
    return line;
  }

  return {
    add(bytes: Uint8Array) {
      pieceStart += piece.length;
      piece = bytes;
      counted = Math.max(counted, pieceStart);
    },
    finish: () => void lineAt(pieceStart + piece.length),
    lineAt,
    line: () => line,
    lineStart: () => lineStart,
    end: () => pieceStart + piece.length,
    /** Only words, numbers and texts can have begun in an earlier piece. */
    characterAt: (position: number) => String.fromCharCode(piece[position - pieceStart] ?? WORD),
  };
}
