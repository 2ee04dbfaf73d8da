import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createParts } from '../../src/aws/parts.ts';
import { failureOf } from '../helpers/rejects.ts';
import { inTables, keysOf } from '../helpers/tables.ts';

const key = { tenant: 'alice', requestId: 'r1' };
const part = (n: number, of: number, data: string, connectionId = 'c=') => ({ connectionId, n, of, data });

const gathering = suite('the parts of a message');

gathering(
  'are joined by whoever brings the last one, in whatever order they come',
  inTables(async ({ requests }) => {
    const addPart = createParts(requests);
    assert.is(await addPart(key, part(2, 3, 'c')), undefined);
    assert.is(await addPart(key, part(0, 3, 'a')), undefined);
    assert.is(await addPart(key, part(0, 3, 'a')), undefined, 'the same one twice');
    assert.is(await addPart(key, part(1, 3, 'b')), 'abc');
  }),
);

gathering(
  'are gone when the whole is there',
  inTables(async (tables) => {
    const addPart = createParts(tables.requests);
    await addPart(key, part(0, 2, 'a'));
    await keysOf(tables, tables.requests.name, 2);
    assert.is(await addPart(key, part(1, 2, 'b')), 'ab');
    await keysOf(tables, tables.requests.name, 0);
  }),
);

gathering(
  'of which the last comes twice at once make one whole or two, and no half one',
  inTables(async ({ requests, faults }) => {
    const addPart = createParts(requests);
    let reads = 0;
    // Those who read later find the parts taken, or half of them.
    faults.next = (operation) =>
      operation === 'GetItem' && reads++ % 6 > 2 ? { type: 'slow', ms: 20 } : undefined;
    for (let round = 0; round < 10; round++) {
      const id = { ...key, requestId: `r${round}` };
      await addPart(id, part(0, 2, 'a'));
      const wholes = await Promise.all([1, 2, 3].map(() => addPart(id, part(1, 2, 'b'))));
      const found = wholes.filter((whole) => whole !== undefined);
      assert.ok(found.length >= 1 && found.every((whole) => whole === 'ab'), JSON.stringify(wholes));
    }
  }),
);

gathering(
  'may be cut anywhere, even within a character, and come all at once',
  inTables(async ({ requests }) => {
    const addPart = createParts(requests);
    let run = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }),
        fc.integer({ min: 1, max: 8 }),
        async (text, size) => {
          const id = { ...key, requestId: `run-${run++}` };
          const of = Math.ceil(text.length / size);
          const slices = Array.from({ length: of }, (_, n) => text.slice(n * size, (n + 1) * size));
          const wholes = await Promise.all(slices.map((data, n) => addPart(id, part(n, of, data))));
          const found = wholes.filter((whole) => whole !== undefined);
          assert.ok(found.length >= 1 && found.every((whole) => whole === text));
        },
      ),
      { numRuns: 40 },
    );
  }),
);

gathering(
  'of different connections, tenants and requests never meet',
  inTables(async ({ requests }) => {
    const addPart = createParts(requests);
    await addPart(key, part(0, 2, 'a'));
    assert.is(await addPart(key, part(1, 2, 'b', 'd=')), undefined);
    assert.is(await addPart({ ...key, tenant: 'bob' }, part(1, 2, 'b')), undefined);
    assert.is(await addPart({ ...key, requestId: 'r2' }, part(1, 2, 'b')), undefined);
    assert.is(await addPart(key, part(1, 2, 'b')), 'ab');
  }),
);

gathering(
  'must agree on how many they are',
  inTables(async ({ requests }) => {
    const addPart = createParts(requests);
    await addPart(key, part(0, 2, 'a'));
    const { code, param, message } = await failureOf(addPart(key, part(1, 3, 'b')));
    assert.equal([code, param], ['invalid_request', 'of']);
    assert.is(message, 'of must be the same in all parts.');
    assert.is(await addPart(key, part(1, 2, 'b')), 'ab');
  }),
);

gathering(
  'wait for two minutes, counted from the first; after that they begin anew',
  inTables(async ({ requests, clock }) => {
    const addPart = createParts(requests);
    await addPart(key, part(0, 2, 'old'));
    clock.now += 119_000;
    assert.is(await addPart(key, part(1, 2, 'b')), 'oldb');
    clock.now += 1_000;
    assert.is(await addPart(key, part(1, 2, 'y')), undefined);
    assert.is(await addPart(key, part(0, 2, 'x')), 'xy');
    clock.now += 120_000;
    assert.is(await addPart(key, part(0, 3, 'x')), undefined, 'they may be others');
  }),
);

gathering.run();
