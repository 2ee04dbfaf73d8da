import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createConnections } from '../../src/aws/connections.ts';
import type { Caller } from '../../src/chat/request.ts';
import { failureOf } from '../helpers/rejects.ts';
import { inTables, START_MS, type TestTables } from '../helpers/tables.ts';

const alice: Caller = { tenant: 'alice', kind: 'api-key', door: 'websocket' };
const later = START_MS + 60_000;
const limits = { messagesPerSecond: 3, running: 2 };

const open = async ({ connections: table }: TestTables) => {
  const connections = createConnections(table, limits);
  await connections.add('c=', alice, later);
  return connections;
};

const connecting = suite('connections');

connecting(
  'a message tells whose connection it came over and until when the identity lasts',
  inTables(async (tables) => {
    const connections = await open(tables);
    assert.equal(await connections.enter('c='), { caller: alice, expiresAt: later });
    assert.is(await connections.enter('unknown'), undefined);
  }),
);

connecting(
  'messages beyond the limit of a second are too many, and the next second begins anew',
  inTables(async (tables) => {
    const connections = await open(tables);
    const second = async () => (await Promise.all([1, 2, 3, 4, 5].map(() => connections.enter('c=')))).sort();
    for (let round = 0; round < 3; round++) {
      assert.is((await second()).filter((entered) => entered === 'busy').length, 2);
      tables.clock.now += 1_000;
    }
  }),
);

connecting(
  'a clock that is behind does not begin a second anew',
  inTables(async (tables) => {
    const connections = await open(tables);
    for (let message = 0; message < 3; message++) await connections.enter('c=');
    tables.clock.now -= 5_000;
    assert.is(await connections.enter('c='), 'busy');
  }),
);

connecting(
  'as many requests run as may, and a slot that is given back is free',
  inTables(async (tables) => {
    const connections = await open(tables);
    const slots = await Promise.all(['r1', 'r2', 'r3'].map((id) => connections.reserve('c=', id, later)));
    const taken = slots.filter((slot) => slot !== undefined);
    assert.is(taken.length, 2);
    await connections.release('c=', taken.slice(0, 1));
    assert.ok(await connections.reserve('c=', 'r4', later));
    assert.is(await connections.reserve('c=', 'r5', later), undefined);
  }),
);

connecting(
  'the slot of a request that died is taken by another',
  inTables(async (tables) => {
    const connections = await open(tables);
    await connections.reserve('c=', 'dead', tables.clock.now + 1_000);
    await connections.reserve('c=', 'alive', later);
    assert.is(await connections.reserve('c=', 'new', later), undefined);
    tables.clock.now += 1_000;
    assert.ok(await connections.reserve('c=', 'new', later));
    assert.is(await connections.reserve('c=', 'another', later), undefined);
  }),
);

connecting(
  'the same request may hold two slots, and gives back the one it names',
  inTables(async (tables) => {
    const connections = await open(tables);
    const [one, two] = await Promise.all(['r1', 'r1'].map((id) => connections.reserve('c=', id, later)));
    assert.is.not(one, two);
    await connections.release('c=', [one ?? '']);
    assert.equal(await connections.remove('c='), [{ tenant: 'alice', requestId: 'r1' }]);
  }),
);

connecting(
  'a connection that is removed tells what it waited for, and takes nothing any more',
  inTables(async (tables) => {
    const connections = await open(tables);
    await connections.reserve('c=', 'r1', later);
    await connections.reserve('c=', 'r2', later);
    assert.ok(await connections.isOpen('c='));
    const running = await connections.remove('c=');
    assert.equal(running.map(({ requestId }) => requestId).sort(), ['r1', 'r2']);
    assert.equal(await connections.remove('c='), []);
    assert.not(await connections.isOpen('c='));
    assert.is(await connections.enter('c='), undefined);
    assert.is(await connections.reserve('c=', 'r3', later), undefined);
    await connections.release('c=', ['x']);
    assert.is(await connections.enter('c='), undefined, 'nothing made it anew');
  }),
);

connecting(
  'a row that is over is no connection, though it is still there',
  inTables(async (tables) => {
    const connections = await open(tables);
    tables.clock.now += 3 * 60 * 60_000;
    assert.is(await connections.enter('c='), undefined);
    assert.is(await connections.reserve('c=', 'r1', tables.clock.now + 1), undefined);
  }),
);

connecting(
  'tables that are down are storage_unavailable',
  inTables(async (tables) => {
    const connections = await open(tables);
    tables.faults.next = () => ({ type: 'throttled' });
    const calls = [
      connections.add('d=', alice, later),
      connections.enter('c='),
      connections.reserve('c=', 'r1', later),
      connections.release('c=', ['r1']),
      connections.remove('c='),
    ];
    const failures = await Promise.all(calls.map(failureOf));
    assert.ok(failures.every(({ code }) => code === 'storage_unavailable'));
  }),
);

connecting.run();
