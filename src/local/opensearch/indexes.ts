/**
 * The indexes, in memory and, where they are kept, each in a file of its own: JSON Lines, first how the index was made, then a document
 * per line. Files only grow, so whatever breaks off leaves at most a last line that is torn, and that is cut off.
 */
import { randomBytes } from 'node:crypto';
import { appendFileSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { parseJson } from '../../chat/json.ts';
import { type Definition, type Document, definition, mapDynamically } from './mapping.ts';

export type Index = {
  readonly name: string;
  readonly uuid: string;
  readonly definition: Definition;
  readonly documents: readonly Document[];
};

export type Indexes = {
  find(name: string): Index | undefined;
  /** In place of one that is there. */
  create(name: string, definition: Definition): Index;
  /** They are on disk when it returns. */
  add(index: Index, documents: readonly Document[]): void;
};

const ENDING = '.jsonl';

/**
 * Nothing is kept without a folder. Of two on one folder neither sees what the other adds, and may lose it: open one only.
 *
 * @throws `Error` with a sentence for whoever starts the gateway when the folder cannot be read
 */
export function openIndexes(folder?: string): Indexes {
  const indexes = folder === undefined ? new Map<string, Growing>() : loadIndexes(folder);
  const pathOf = (name: string) => folder && join(folder, `${name}${ENDING}`);
  return {
    find: (name) => indexes.get(name),
    create(name, made) {
      const uuid = randomBytes(16).toString('base64url');
      const path = pathOf(name);
      if (path) writeFileSync(path, toLine({ uuid, definition: made }), { mode: 0o600 });
      const index = { name, uuid, definition: made, documents: [] };
      indexes.set(name, index);
      return index;
    },
    add({ name }, documents) {
      const index = indexes.get(name);
      const path = pathOf(name);
      if (path) appendFileSync(path, documents.map(writeDocument).join(''));
      if (index) take(index, documents);
    },
  };
}

type Growing = Index & { readonly documents: Document[] };

function loadIndexes(folder: string): Map<string, Growing> {
  try {
    mkdirSync(folder, { recursive: true });
    const files = readdirSync(folder).filter((file) => file.endsWith(ENDING));
    const loaded = files.flatMap((file) => loadIndex(folder, file.slice(0, -ENDING.length)));
    return new Map(loaded.map((index) => [index.name, index]));
  } catch (cause) {
    throw new Error(`The indexes in ${folder} cannot be read: delete the folder to start without any.`, {
      cause,
    });
  }
}

/** Nothing where not even the first line is whole. */
function loadIndex(folder: string, name: string): Growing[] {
  const [head, ...rest] = readLines(join(folder, `${name}${ENDING}`));
  const { data } = firstLine.safeParse(head);
  if (!data) return [];
  const index = { name, ...data, documents: [] };
  take(index, rest.flatMap(readDocument));
  return [index];
}

function take({ definition, documents }: Growing, more: readonly Document[]) {
  for (const document of more) {
    mapDynamically(definition, document.source);
    documents.push(document);
  }
}

const firstLine = z.object({ uuid: z.string(), definition });
const documentLine = z.object({
  id: z.string(),
  source: z.record(z.string(), z.unknown()),
  vectors: z.record(
    z.string(),
    z.base64().refine((text) => Buffer.byteLength(text, 'base64') % 4 === 0),
  ),
});

const toLine = (value: object) => `${JSON.stringify(value)}\n`;

const writeDocument = ({ id, source, vectors }: Document): string =>
  toLine({
    id,
    source,
    vectors: Object.fromEntries([...vectors].map(([name, vector]) => [name, toBase64(vector)])),
  });

function readDocument(line: unknown): Document[] {
  const { data } = documentLine.safeParse(line);
  if (!data) return [];
  const vectors = new Map(Object.entries(data.vectors).map(([name, text]) => [name, toVector(text)]));
  return [{ ...data, vectors }];
}

const toBase64 = ({ buffer }: Float32Array) => Buffer.from(buffer).toString('base64');

const toVector = (base64: string) => new Float32Array(Uint8Array.from(Buffer.from(base64, 'base64')).buffer);

/** What cannot be read is nothing: an index only says where to look. */
function readLines(path: string): unknown[] {
  const bytes = readFileSync(path);
  const end = bytes.lastIndexOf('\n') + 1;
  if (end < bytes.length) truncateSync(path, end);
  const lines: unknown[] = [];
  for (let from = 0; from < end; ) {
    const to = bytes.indexOf('\n', from);
    lines.push(parseJson(bytes.toString('utf8', from, to)));
    from = to + 1;
  }
  return lines;
}
