import { DeleteItemCommand, GetItemCommand } from '@aws-sdk/client-dynamodb';
import { ScanCommand } from '@aws-sdk/lib-dynamodb';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createRequests } from '../../src/aws/requests.ts';
import type { TableParts } from '../../src/aws/table.ts';
import type { Caller } from '../../src/chat/request.ts';
import { failureOf } from '../helpers/rejects.ts';
import { inTables, keysOf, START_MS } from '../helpers/tables.ts';

const key = { tenant: 'alice', requestId: 'r1' };
const caller: Caller = { tenant: 'alice', kind: 'api-key', door: 'websocket' };
const MINUTE = 60_000;
const soon = START_MS + MINUTE;
const waiting = { text: '{"prompt":"Hi"}', caller, connectionId: 'c=', slot: 's', messageId: 'm1' };

/** Loses the replies to the first so many calls of this operation; the SDK tries each again. */
const losing = (operation: string, times = 1) => {
  let left = times;
  return (name: string) => (name === operation && left-- > 0 ? { type: 'lost' as const } : undefined);
};

const opening = suite('open');

opening(
  'an id is used once in 24 hours by each tenant',
  inTables(async ({ requests: table, clock }) => {
    const requests = createRequests(table);
    const lease = await requests.open(key, soon);
    assert.is((await failureOf(requests.open(key, soon))).code, 'conflict');
    await lease.end('done');
    clock.now += 24 * 60 * MINUTE - 1_000;
    assert.is((await failureOf(requests.open(key, clock.now + 1))).code, 'conflict');
    await requests.open({ ...key, tenant: 'bob' }, clock.now + 1);
    clock.now += 1_000;
    await requests.open(key, clock.now + 1);
  }),
);

opening(
  'of many that open the same id at once one does',
  inTables(async ({ requests: table }) => {
    const requests = createRequests(table);
    const tries = Array.from({ length: 20 }, () => requests.open(key, soon));
    const opened = (await Promise.allSettled(tries)).filter(({ status }) => status === 'fulfilled');
    assert.is(opened.length, 1);
  }),
);

opening(
  'the id of a request that died without an end can be used again when its lease is over',
  inTables(async ({ requests: table, clock }) => {
    const requests = createRequests(table);
    const dead = await requests.open(key, soon);
    clock.now = soon;
    assert.not(await requests.cancel(key));
    const lease = await requests.open(key, soon + MINUTE);
    assert.is(await dead.end('error'), 'error');
    assert.ok(await requests.cancel(key), 'the dead one has not ended the new one');
    assert.is(await lease.end('done'), 'cancelled');
  }),
);

opening(
  'a write whose reply was lost is not taken for somebody else’s',
  inTables(async ({ requests: table, faults }) => {
    const requests = createRequests(table);
    faults.next = losing('PutItem');
    const lease = await requests.open(key, soon);
    faults.next = losing('UpdateItem');
    assert.is(await lease.end('done'), 'done');
  }),
);

opening(
  'tables that are down are storage_unavailable, which may be tried again',
  inTables(async ({ requests: table, faults }) => {
    const requests = createRequests(table);
    const lease = await requests.open(key, soon);
    faults.next = () => ({ type: 'down' });
    const calls = [requests.open(key, soon), requests.cancel(key), lease.isCancelled(), lease.end('done')];
    for (const { code, retryAfterSeconds } of await Promise.all(calls.map(failureOf))) {
      assert.equal([code, retryAfterSeconds], ['storage_unavailable', 1]);
    }
  }),
);

opening.run();

const cancelling = suite('cancel');

cancelling(
  'decides how the request ends, once',
  inTables(async ({ requests: table }) => {
    const requests = createRequests(table);
    const lease = await requests.open(key, soon);
    assert.not(await lease.isCancelled());
    assert.ok(await requests.cancel(key));
    assert.ok(await lease.isCancelled());
    assert.not(await requests.cancel(key), 'a second one');
    assert.is(await lease.end('done'), 'cancelled');
    assert.not(await requests.cancel(key), 'one after the end');
  }),
);

cancelling(
  'finds nothing that is unknown, somebody else’s or over',
  inTables(async ({ requests: table }) => {
    const requests = createRequests(table);
    const lease = await requests.open(key, soon);
    assert.not(await requests.cancel({ tenant: 'alice', requestId: 'r2' }));
    assert.not(await requests.cancel({ tenant: 'bob', requestId: 'r1' }));
    assert.is(await lease.end('done'), 'done');
    assert.not(await requests.cancel(key));
  }),
);

cancelling(
  'against the end: whoever is told that he came first did',
  inTables(async ({ requests: table }) => {
    const requests = createRequests(table);
    for (let round = 0; round < 100; round++) {
      const raced = { ...key, requestId: `r${round}` };
      const lease = await requests.open(raced, soon);
      const [isTaken, outcome] =
        round % 2 === 0
          ? await Promise.all([requests.cancel(raced), lease.end('done')])
          : (await Promise.all([lease.end('done'), requests.cancel(raced)])).reverse();
      assert.is(outcome, isTaken ? 'cancelled' : 'done');
      const stored = await table.client.send(
        new GetItemCommand({ TableName: table.name, Key: { pk: { S: `alice#r${round}` } } }),
      );
      assert.is(stored.Item?.['state']?.S, outcome);
    }
  }),
);

cancelling.run();

const handing = suite('store and claim');

handing(
  'a question is claimed once, by whom it was stored for, whole',
  inTables(async ({ requests: table }) => {
    const requests = createRequests(table);
    const text = JSON.stringify({ prompt: '\u{1F600}é'.repeat(150_000) });
    await requests.store(key, { ...waiting, text }, soon);
    const claims = await Promise.all(Array.from({ length: 3 }, () => requests.claim(key, soon)));
    const [claimed, ...others] = claims.filter((claim) => claim !== undefined);
    assert.equal(others, []);
    const { messageId: _, ...expected } = { ...waiting, text };
    assert.equal({ ...claimed, lease: undefined }, { ...expected, isCancelled: false, lease: undefined });
    assert.is(await claimed?.lease.end('done'), 'done');
    assert.is(await requests.claim(key, soon), undefined);
  }),
);

handing(
  'nothing is left of a question’s text once it was claimed',
  inTables(async (tables) => {
    const requests = createRequests(tables.requests);
    await requests.store(key, waiting, soon);
    await keysOf(tables, tables.requests.name, 2);
    await requests.claim(key, soon);
    assert.equal(await keysOf(tables, tables.requests.name, 1), ['alice#r1']);
  }),
);

handing(
  'a message that is stored again changes nothing, another one with its id is a conflict',
  inTables(async ({ requests: table }) => {
    const requests = createRequests(table);
    assert.ok(await requests.store(key, waiting, soon));
    assert.is(await requests.store(key, waiting, soon), undefined);
    const other = { ...waiting, messageId: 'm2', text: '{"prompt":"Other"}' };
    assert.is((await failureOf(requests.store(key, other, soon))).code, 'conflict');
    assert.is((await requests.claim(key, soon))?.text, waiting.text);
    assert.is(await requests.store(key, waiting, soon), undefined, 'also when it runs');
  }),
);

handing(
  'a question that waited too long is nobody’s',
  inTables(async ({ requests: table, clock }) => {
    const requests = createRequests(table);
    await requests.store(key, waiting, soon);
    clock.now = soon;
    assert.is(await requests.claim(key, soon + MINUTE), undefined);
  }),
);

handing(
  'a claim whose reply was lost is still a claim',
  inTables(async ({ requests: table, faults }) => {
    const requests = createRequests(table);
    await requests.store(key, waiting, soon);
    faults.next = losing('UpdateItem');
    const claimed = await requests.claim(key, soon);
    assert.is(claimed?.text, waiting.text);
    assert.is(await claimed?.lease.end('done'), 'done');
  }),
);

handing(
  'a question that was cancelled while it waited ends as cancelled',
  inTables(async ({ requests: table }) => {
    const requests = createRequests(table);
    const stored = await requests.store(key, waiting, soon);
    assert.ok(await requests.cancel(key));
    const claimed = await requests.claim(key, soon);
    assert.ok(claimed?.isCancelled);
    assert.is(await claimed?.lease.end('done'), 'cancelled');
    assert.is(await stored?.end('error'), 'error', 'the one who stored it has no say any more');
  }),
);

handing(
  'every row has a time to live, and no key of it can be that of another tenant’s request',
  inTables(async ({ requests: table, documents }) => {
    const requests = createRequests(table);
    await requests.store(key, waiting, soon);
    const { Items = [] } = await documents.send(new ScanCommand({ TableName: table.name }));
    assert.is(Items.length, 2);
    for (const { pk, ttl } of Items) {
      assert.match(pk, /^alice#r1(#|$)/);
      assert.ok(ttl > START_MS / 1000 && ttl <= START_MS / 1000 + 24 * 60 * 60);
    }
  }),
);

handing.run();

const abandoning = suite('abandon');

const job = { ...key, connectionId: waiting.connectionId };

const stateOf = async ({ client, name: TableName }: TableParts) =>
  (await client.send(new GetItemCommand({ TableName, Key: { pk: { S: 'alice#r1' } } }))).Item?.['state']?.S;

abandoning(
  'ends what waits or runs, and says where its answer was to go',
  inTables(async ({ requests: table }) => {
    const requests = createRequests(table);
    for (const wasTaken of [false, true]) {
      const own = { ...job, requestId: `r${wasTaken}` };
      await requests.store(own, waiting, soon);
      const claimed = wasTaken ? await requests.claim(own, soon) : undefined;
      const ending = { outcome: 'error', wasTaken };
      assert.equal(await requests.abandon(own, 'i1', true), { slot: 's', ending });
      assert.is(await requests.claim(own, soon), undefined);
      assert.not(await requests.cancel(own));
      assert.is((await claimed?.lease.isCancelled()) ?? true, true, 'who still runs stops');
      await claimed?.lease.end('done');
      assert.is(claimed?.lease.isLost() ?? true, true, 'and has nothing to tell');
    }
  }),
);

abandoning(
  'leaves what has ended as it is, and says whose slot can go',
  inTables(async ({ requests: table }) => {
    const requests = createRequests(table);
    await requests.store(key, waiting, soon);
    const claimed = await requests.claim(key, soon);
    await claimed?.lease.end('done');
    assert.is(claimed?.lease.isLost(), false);
    assert.equal(await requests.abandon(job, 'i1', true), { slot: 's' });
    assert.equal(await requests.abandon(job, 'i1', false), { slot: 's' });
    assert.is(await stateOf(table), 'done');
  }),
);

abandoning(
  'leaves what runs to its worker when the invocation never began; what waits is ended all the same',
  inTables(async ({ requests: table }) => {
    const requests = createRequests(table);
    await requests.store(key, waiting, soon);
    const claimed = await requests.claim(key, soon);
    assert.is(await requests.abandon(job, 'i1', false), undefined);
    assert.not(await claimed?.lease.isCancelled());
    assert.is(await claimed?.lease.end('done'), 'done');
    assert.is(claimed?.lease.isLost(), false);
    const other = { ...job, requestId: 'r2' };
    await requests.store(other, waiting, soon);
    assert.is((await requests.abandon(other, 'i1', false))?.ending?.outcome, 'error');
  }),
);

abandoning(
  'what was cancelled ends as cancelled',
  inTables(async ({ requests: table }) => {
    const requests = createRequests(table);
    await requests.store(key, waiting, soon);
    await requests.claim(key, soon);
    assert.ok(await requests.cancel(key));
    assert.is((await requests.abandon(job, 'i1', true))?.ending?.outcome, 'cancelled');
    assert.is(await stateOf(table), 'cancelled');
  }),
);

abandoning(
  'says the same again to the same invocation, also after a lost reply, and nothing to another',
  inTables(async ({ requests: table, faults }) => {
    const requests = createRequests(table);
    for (const isTaken of [false, true]) {
      const own = { ...job, requestId: `r${isTaken}` };
      await requests.store(own, waiting, soon);
      if (isTaken) await requests.claim(own, soon);
      faults.next = losing('UpdateItem', 2);
      const first = await requests.abandon(own, 'i1', true);
      assert.is(first?.ending?.wasTaken, isTaken);
      assert.equal(await requests.abandon(own, 'i1', true), first);
      assert.is((await requests.abandon(own, 'i2', true))?.ending, undefined);
    }
  }),
);

abandoning(
  'knows nothing of a request that is unknown, somebody else’s, of another connection, or came over HTTP',
  inTables(async ({ requests: table, faults }) => {
    const requests = createRequests(table);
    assert.is(await requests.abandon(job, 'i1', true), undefined);
    await requests.store(key, waiting, soon);
    assert.is(await requests.abandon({ ...job, tenant: 'bob' }, 'i1', true), undefined);
    assert.is(await stateOf(table), 'waiting');
    assert.is(await requests.abandon({ ...job, connectionId: 'd=' }, 'i1', true), undefined);
    assert.is(await stateOf(table), 'waiting');
    const overHttp = { ...job, requestId: 'r2' };
    const lease = await requests.open(overHttp, soon);
    assert.is(await requests.abandon(overHttp, 'i1', true), undefined);
    assert.not(await lease.isCancelled(), 'it runs on');
    faults.next = () => ({ type: 'down' });
    assert.is((await failureOf(requests.abandon(job, 'i1', true))).code, 'storage_unavailable');
  }),
);

abandoning(
  'a request that the table has forgotten is nobody else’s: its worker tells how it ended',
  inTables(async ({ requests: table }) => {
    const requests = createRequests(table);
    await requests.store(key, waiting, soon);
    const claimed = await requests.claim(key, soon);
    await table.client.send(new DeleteItemCommand({ TableName: table.name, Key: { pk: { S: 'alice#r1' } } }));
    assert.not(await claimed?.lease.isCancelled());
    assert.is(await claimed?.lease.end('done'), 'done');
    assert.is(claimed?.lease.isLost(), false);
  }),
);

abandoning(
  'against the end: one of them has it, and tells of it',
  inTables(async ({ requests: table }) => {
    const requests = createRequests(table);
    for (let round = 0; round < 60; round++) {
      const own = { ...job, requestId: `r${round}` };
      await requests.store(own, waiting, soon);
      const claimed = await requests.claim(own, soon);
      const [abandoned] = await Promise.all([
        requests.abandon(own, 'i1', true),
        claimed?.lease.end('done'),
        ...(round % 2 === 0 ? [requests.cancel(own)] : []),
      ]);
      assert.is(abandoned?.ending !== undefined, claimed?.lease.isLost());
    }
  }),
);

abandoning.run();
