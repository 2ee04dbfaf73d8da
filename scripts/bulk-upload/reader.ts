/**
 * The items of a file, a piece at a time: a JSON list, or an object per line. Nobody reads ahead of whoever takes the pieces, so a file may
 * be of any size.
 */
import { isUtf8 } from 'node:buffer';
import type { Json } from '../../src/chat/json.ts';
import { createScanner, FileProblem, MAX_ITEM_TEXT_BYTES } from './syntax.ts';

/** `number` counts from 1; `line` is where it begins. A line that is no JSON has a problem, for which it is rejected. */
export type Found = { readonly number: number; readonly line: number } & (
  | { readonly value: Json; readonly problem?: undefined }
  | { readonly problem: string; readonly value?: undefined }
);

/** `bytes`: how much of the file has been read so far. */
export type Piece = { readonly items: readonly Found[]; readonly bytes: number };

type Reader = { write(bytes: Buffer): void; end(): void };

const NEWLINE = 10;
const BOM = Buffer.from('\ufeff');
const NEITHER = 'The file must hold a JSON list of objects, or one object on each line';

/** @throws FileProblem, after the piece that holds all items before it */
export async function* readItems(source: AsyncIterable<Uint8Array>): AsyncGenerator<Piece> {
  const items: Found[] = [];
  const reader = createReader(items);
  let bytes = 0;
  for await (const chunk of source) {
    bytes += chunk.length;
    const problem = attempt(() => reader.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)));
    yield { items: items.splice(0), bytes };
    if (problem) throw problem;
  }
  const problem = attempt(() => reader.end());
  yield { items: items.splice(0), bytes };
  if (problem) throw problem;
}

function attempt(run: () => void): FileProblem | undefined {
  try {
    run();
  } catch (error) {
    if (error instanceof FileProblem) return error;
    throw error;
  }
  return undefined;
}

/** Passes over the byte order mark and the white space before the first item, which says what kind of file it is. */
function createReader(items: Found[]): Reader {
  let reader: Reader | undefined;
  let start: Buffer | undefined = Buffer.alloc(0);
  let line = 1;

  function begin(bytes: Buffer) {
    const at = bytes.findIndex((byte) => byte !== 32 && (byte < 9 || byte > 13));
    line += countLines(at === -1 ? bytes : bytes.subarray(0, at));
    if (at === -1) return;
    const first = String.fromCharCode(bytes[at] ?? 0);
    if (first !== '[' && first !== '{')
      throw new FileProblem(`${NEITHER}; on line ${line} it begins with something else.`);
    reader = first === '[' ? createListReader(line, items) : createLinesReader(line, items);
    reader.write(bytes.subarray(at));
  }

  return {
    write(bytes) {
      if (reader) return reader.write(bytes);
      if (start === undefined) return begin(bytes);
      const whole = Buffer.concat([start, bytes]);
      start = whole.length < BOM.length ? whole : undefined;
      if (!start) begin(whole.subarray(0, BOM.length).equals(BOM) ? whole.subarray(BOM.length) : whole);
    },
    end() {
      if (start) begin(start);
      if (!reader) throw new FileProblem('The file is empty.');
      reader.end();
    },
  };
}

function createListReader(firstLine: number, items: Found[]): Reader {
  let number = 0;
  const scanner = createScanner('$.*', firstLine, (value, line) => {
    number += 1;
    items.push({ number, line, value });
  });
  let rest: Buffer = Buffer.alloc(0);

  function scan(bytes: Buffer) {
    const good = isUtf8(bytes) ? bytes : bytes.subarray(0, startOfBadLine(bytes));
    scanner.write(good);
    if (good.length < bytes.length)
      throw new FileProblem(`Line ${scanner.line()} is not UTF-8; save the file as UTF-8.`);
  }

  return {
    write(bytes) {
      const all = rest.length > 0 ? Buffer.concat([rest, bytes]) : bytes;
      const end = endOfLastCharacter(all);
      rest = all.subarray(end);
      scan(all.subarray(0, end));
    },
    end() {
      scan(rest);
      scanner.end();
    },
  };
}

function createLinesReader(firstLine: number, items: Found[]): Reader {
  let number = 0;
  let line = firstLine;
  let parts: Buffer[] = [];
  let size = 0;

  function add(part: Buffer) {
    size += part.length;
    if (size <= MAX_ITEM_TEXT_BYTES) parts.push(part);
    else parts = [];
  }

  function endLine(isLast: boolean) {
    const found = size > MAX_ITEM_TEXT_BYTES ? tooLong : parseLine(Buffer.concat(parts), line);
    if (found) {
      number += 1;
      if (found.isOpen && number === 1 && !isLast)
        throw new FileProblem(`${NEITHER}; the object on line ${line} does not end on that line.`);
      items.push({ number, line, ...found });
    }
    line += 1;
    parts = [];
    size = 0;
  }

  return {
    write(bytes) {
      let from = 0;
      for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, from)) {
        add(bytes.subarray(from, at));
        endLine(false);
        from = at + 1;
      }
      add(bytes.subarray(from));
    },
    end: () => endLine(true),
  };
}

/** `isOpen`: it would go on, were there more of it. */
type Line = { readonly isOpen?: boolean } & ({ readonly value: Json } | { readonly problem: string });

const tooLong: Line = { problem: 'The line is longer than 16 MB.' };

/** Nothing for a blank line. */
function parseLine(bytes: Buffer, line: number): Line | undefined {
  if (!isUtf8(bytes)) return { problem: 'The line is not UTF-8.' };
  const text = bytes.toString();
  if (text.trim() === '') return undefined;
  try {
    return { value: JSON.parse(text) };
  } catch {
    const scanner = createScanner('$', line, () => undefined);
    const problem = attempt(() => scanner.write(bytes))?.message;
    return problem ? { problem } : { problem: 'The line ends in the middle of an item.', isOpen: true };
  }
}

function countLines(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, at + 1)) count += 1;
  return count;
}

/** Without a character of which the rest has not come yet. */
function endOfLastCharacter(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (byte < 0x80) break;
    if (byte >= 0xc0) return lengthOf(byte) > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}

const lengthOf = (firstByte: number) => (firstByte >= 0xf0 ? 4 : firstByte >= 0xe0 ? 3 : 2);

function startOfBadLine(bytes: Buffer): number {
  let from = 0;
  for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, from)) {
    if (!isUtf8(bytes.subarray(from, at))) break;
    from = at + 1;
  }
  return from;
}
