/** What of an index is left after a restart, whatever the one before ended with. */
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Indexes, openIndexes } from '../../../src/local/opensearch/indexes.ts';
import { definition, toDocument } from '../../../src/local/opensearch/mapping.ts';

const made = definition.parse({
  settings: { index: { knn: true } },
  mappings: {
    dynamic: false,
    properties: { name: { type: 'keyword' }, vector: { type: 'knn_vector', dimension: 2 } },
  },
});

/** A folder that is gone after the test, and where in it the indexes are to be kept. */
function folder() {
  const parent = mkdtempSync(join(tmpdir(), 'indexes-'));
  const path = join(parent, 'deep', 'opensearch');
  return {
    parent,
    path,
    file: join(path, 'notes.jsonl'),
    [Symbol.dispose]: () => rmSync(parent, { recursive: true }),
  };
}

/** Notes with these names, of an index that is made where it is missing. */
function add(indexes: Indexes, ...names: string[]) {
  const index = indexes.find('notes') ?? indexes.create('notes', structuredClone(made));
  indexes.add(
    index,
    names.map((name, at) => toDocument(`id of ${name}`, { name, vector: [at + 0.1, -at] }, index.definition)),
  );
}

const namesIn = (indexes: Indexes) => indexes.find('notes')?.documents.map(({ source }) => source['name']);

const keeping = suite('indexes on disk');

keeping('are there again after a restart, all of them', () => {
  using kept = folder();
  const first = openIndexes(kept.path);
  add(first, 'a', 'b');
  first.create('others', definition.parse({}));
  const second = openIndexes(kept.path);
  assert.equal(second.find('notes'), first.find('notes'));
  assert.equal(second.find('others'), first.find('others'));
  assert.equal(
    second.find('notes')?.documents[1]?.vectors,
    new Map([['vector', new Float32Array([1.1, -1])]]),
  );
});

keeping('are readable by their owner only', () => {
  using kept = folder();
  add(openIndexes(kept.path), 'a');
  assert.is(statSync(kept.file).mode & 0o777, 0o600);
});

keeping('are in memory only where no folder is named', () => {
  const indexes = openIndexes();
  add(indexes, 'a');
  assert.equal(namesIn(indexes), ['a']);
  assert.is(openIndexes().find('notes'), undefined);
});

keeping('have what was whole, wherever the writing broke off, and take more', () => {
  using kept = folder();
  add(openIndexes(kept.path), 'a', 'b', 'ć');
  const bytes = readFileSync(kept.file);
  for (let length = 0; length <= bytes.length; length++) {
    writeFileSync(kept.file, bytes.subarray(0, length));
    const lines = bytes.subarray(0, length).toString('latin1').split('\n').length - 1;
    const whole = ['a', 'b', 'ć'].slice(0, Math.max(0, lines - 1));
    const torn = openIndexes(kept.path);
    assert.equal(namesIn(torn), lines === 0 ? undefined : whole, `${length} bytes`);
    add(torn, 'd');
    assert.equal(namesIn(openIndexes(kept.path)), [...whole, 'd'], `${length} bytes`);
  }
});

const withVector = (vector: string) => JSON.stringify({ id: 'x', source: {}, vectors: { vector } });

keeping('pass over a line that is none of theirs', () => {
  using kept = folder();
  add(openIndexes(kept.path), 'a');
  const lines = ['no JSON', '{"id":1}', '', ...['?', 'AAAA'].map(withVector)];
  appendFileSync(kept.file, `${lines.join('\n')}\n`);
  add(openIndexes(kept.path), 'b');
  assert.equal(namesIn(openIndexes(kept.path)), ['a', 'b']);
});

keeping('leave other files alone', () => {
  using kept = folder();
  openIndexes(kept.path);
  const other = join(kept.path, 'readme.txt');
  writeFileSync(other, 'no line end');
  openIndexes(kept.path);
  assert.is(readFileSync(other, 'utf8'), 'no line end');
  assert.equal(readdirSync(kept.path), ['readme.txt']);
});

keeping('remember the types that they gave to fields', () => {
  using kept = folder();
  const first = openIndexes(kept.path);
  const mappings = { properties: { owner: { type: 'keyword' } } };
  const index = first.create('notes', definition.parse({ mappings }));
  first.add(index, [
    toDocument(
      '1',
      { owner: 'alice', name: 'a', size: 1, share: 0.5, vector: [0.5], more: {} },
      index.definition,
    ),
  ]);
  const properties = {
    owner: { type: 'keyword' },
    name: { type: 'text' },
    size: { type: 'long' },
    share: { type: 'float' },
    vector: { type: 'float' },
  };
  assert.equal(index.definition.mappings.properties, properties);
  assert.equal(openIndexes(kept.path).find('notes')?.definition.mappings.properties, properties);
});

keeping('that cannot be read are told in one sentence', () => {
  using kept = folder();
  const path = join(kept.parent, 'a file');
  writeFileSync(path, '');
  const sentence = `The indexes in ${path} cannot be read: delete the folder to start without any.`;
  assert.throws(
    () => openIndexes(path),
    ({ message }: Error) => message === sentence,
  );
});

keeping.run();
