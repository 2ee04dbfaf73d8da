import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { CreateTableInput } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocument } from '@aws-sdk/lib-dynamodb';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createDynamoDb, type DynamoDbOptions, type Fault } from '../../../src/local/dynamodb/server.ts';
import { dynamoClient, startDynamoDb } from '../../helpers/dynamodb.ts';

const TableName = 'things';
const THINGS: CreateTableInput = {
  TableName,
  BillingMode: 'PAY_PER_REQUEST',
  KeySchema: [
    { AttributeName: 'pk', KeyType: 'HASH' },
    { AttributeName: 'sk', KeyType: 'RANGE' },
  ],
  AttributeDefinitions: [
    { AttributeName: 'pk', AttributeType: 'S' },
    { AttributeName: 'sk', AttributeType: 'N' },
    { AttributeName: 'who', AttributeType: 'S' },
  ],
  GlobalSecondaryIndexes: [
    {
      IndexName: 'byWho',
      KeySchema: [{ AttributeName: 'who', KeyType: 'HASH' }],
      Projection: { ProjectionType: 'ALL' },
    },
  ],
};
const Key = { pk: 'a', sk: 1 };
/** As it is in an exception, which the document client leaves as it came. */
const asSent = (who: string) => ({ pk: { S: 'a' }, sk: { N: '1' }, who: { S: who } });

/** With the table, which it has already or gets now. */
async function open({ maxAttempts = 1, ...options }: DynamoDbOptions & { maxAttempts?: number } = {}) {
  const { url, dynamo, close } = await startDynamoDb(options);
  const client = dynamoClient(url, maxAttempts);
  const db = DynamoDBDocument.from(client);

  const put = (item: object = {}) => db.put({ TableName, Item: { ...Key, ...item } });
  const set = (who: string, n: number, more: object = {}) =>
    db.update({
      ...{ TableName, Key, UpdateExpression: 'SET who = :who, n = :n', ...more },
      ExpressionAttributeValues: { ':who': who, ':n': n },
    });
  const get = async (key: object = Key) => (await db.get({ TableName, Key: key })).Item;
  const scan = async (IndexName?: string) => (await db.scan({ TableName, IndexName })).Items ?? [];

  /** Plain HTTP. */
  async function post(target: string, body: string | Buffer, method = 'POST') {
    const headers = { 'x-amz-target': `DynamoDB_20120810.${target}` };
    const response = await fetch(url, { method, headers, ...(method === 'POST' && { body }) });
    const text = await response.text();
    const said = `${response.status} ${String(JSON.parse(text).__type).replace(/.*#/, '')}`;
    return { said, text, headers: response.headers };
  }

  const { TableNames = [] } = await client.listTables();
  if (!TableNames.includes(TableName)) await client.createTable(THINGS);
  const dispose = async () => {
    client.destroy();
    await close();
  };
  return { url, dynamo, client, db, put, set, get, scan, post, [Symbol.asyncDispose]: dispose };
}

/** A folder that is gone after the test, and where in it the tables are to be kept. */
function folder() {
  const parent = mkdtempSync(join(tmpdir(), 'dynamodb-'));
  return {
    path: join(parent, 'deep', 'tables'),
    [Symbol.dispose]: () => rmSync(parent, { recursive: true }),
  };
}

type Failure = Error & {
  readonly Item?: Record<string, { readonly N?: string }>;
  readonly CancellationReasons?: readonly { readonly Code?: string; readonly Item?: unknown }[];
  readonly $metadata: { readonly httpStatusCode?: number };
};
const failureOf = (work: Promise<unknown>): Promise<Failure> =>
  work.then(
    () => assert.unreachable('nothing failed') as never,
    (error) => error,
  );
const nameOf = async (work: Promise<unknown>) => (await failureOf(work)).name;
const range = (length: number) => Array.from({ length }, (_, index) => index + 1);

// ---

const tables = suite('tables and items');

tables('a table and its index are active when the answer comes, and empty when made anew', async () => {
  await using store = await open();
  const { Table } = await store.client.describeTable({ TableName });
  assert.equal([Table?.TableStatus, Table?.GlobalSecondaryIndexes?.[0]?.IndexStatus], ['ACTIVE', 'ACTIVE']);
  assert.is(await nameOf(store.client.createTable(THINGS)), 'ResourceInUseException');
  await store.put({ who: 'x' });
  await store.client.deleteTable({ TableName });
  assert.is(await nameOf(store.client.describeTable({ TableName })), 'ResourceNotFoundException');
  await store.client.createTable(THINGS);
  assert.equal([...(await store.scan()), ...(await store.scan('byWho'))], []);
});

tables('a table can be changed and tagged', async () => {
  await using store = await open();
  const ProvisionedThroughput = { ReadCapacityUnits: 5, WriteCapacityUnits: 5 };
  const GlobalSecondaryIndexUpdates = [{ Update: { IndexName: 'byWho', ProvisionedThroughput } }];
  const change = { BillingMode: 'PROVISIONED', ProvisionedThroughput, GlobalSecondaryIndexUpdates } as const;
  await store.client.updateTable({ TableName, ...change });
  const { Table: { TableStatus, TableArn: ResourceArn, BillingModeSummary } = {} } =
    await store.client.describeTable({ TableName });
  assert.equal([TableStatus, BillingModeSummary?.BillingMode], ['ACTIVE', 'PROVISIONED']);
  await store.client.tagResource({ ResourceArn, Tags: ['a', 'b'].map((Key) => ({ Key, Value: 'x' })) });
  await store.client.untagResource({ ResourceArn, TagKeys: ['a'] });
  assert.equal((await store.client.listTagsOfResource({ ResourceArn })).Tags, [{ Key: 'b', Value: 'x' }]);
});

tables('items are written, changed, and found by key, range and index, page by page', async () => {
  await using store = await open();
  const puts = range(25).map((sk) => ({ PutRequest: { Item: { pk: 'a', sk, who: `who ${sk % 2}` } } }));
  assert.equal((await store.db.batchWrite({ RequestItems: { [TableName]: puts } })).UnprocessedItems, {});
  const query = {
    ...{ TableName, KeyConditionExpression: 'pk = :a AND sk > :one', Limit: 2 },
    ExpressionAttributeValues: { ':a': 'a', ':one': 1 },
  };
  const { LastEvaluatedKey: ExclusiveStartKey } = await store.db.query(query);
  const { Items = [] } = await store.db.query({ ...query, ExclusiveStartKey });
  assert.equal(
    Items.map(({ sk }) => sk),
    [4, 5],
  );
  const { Attributes } = await store.set('new', 2, { ReturnValues: 'ALL_NEW' });
  assert.equal(Attributes, { ...Key, who: 'new', n: 2 });
  const byWho = { TableName, IndexName: 'byWho', KeyConditionExpression: 'who = :new' };
  const found = await store.db.query({ ...byWho, ExpressionAttributeValues: { ':new': 'new' } });
  assert.equal(found.Items, [Attributes]);
  const Keys = [Key, { pk: 'a', sk: 99 }];
  const { Responses } = await store.db.batchGet({ RequestItems: { [TableName]: { Keys } } });
  assert.equal(Responses, { [TableName]: [Attributes] });
  const old = await store.db.delete({ TableName, Key, ReturnValues: 'ALL_OLD' });
  assert.equal(old.Attributes, Attributes);
  assert.equal([(await store.scan()).length, (await store.scan('byWho')).length], [24, 24]);
});

tables('a failed condition hands back the item that it saw to whoever asks for it', async () => {
  await using store = await open();
  await store.put({ who: 'x' });
  const condition = { TableName, ConditionExpression: 'attribute_exists(n)' };
  const asking = { ...condition, ReturnValuesOnConditionCheckFailure: 'ALL_OLD' } as const;
  for (const work of [
    store.db.put({ ...asking, Item: Key }),
    store.db.update({ ...asking, Key, UpdateExpression: 'REMOVE who' }),
    store.db.delete({ ...asking, Key }),
  ]) {
    const { name, Item } = await failureOf(work);
    assert.equal([name, Item], ['ConditionalCheckFailedException', asSent('x')]);
  }
  assert.is((await failureOf(store.db.delete({ ...condition, Key }))).Item, undefined);
  assert.is((await failureOf(store.db.delete({ ...asking, Key: { pk: 'b', sk: 1 } }))).Item, undefined);
  assert.equal(await store.get(), { ...Key, who: 'x' });
});

tables('no write slips in between a failed condition and the item that it hands back', async () => {
  await using store = await open();
  const asking = { ConditionExpression: 'n < :n', ReturnValuesOnConditionCheckFailure: 'ALL_OLD' };
  const seen = await Promise.all(
    range(100).flatMap(() => [
      store.set('high', 9).then(() => undefined),
      store.set('middle', 5, asking).catch(({ Item }: Failure) => Number(Item?.['n']?.N)),
      store.set('low', 0).then(() => undefined),
    ]),
  );
  assert.equal(
    seen.filter((n) => typeof n === 'number' && n < 5),
    [],
  );
});

tables('what trips dynalite is a 500, and the item can be written again', async () => {
  await using store = await open();
  await store.put({ who: 'x', one: true, two: true });
  const trap = 'begins_with(one, two)';
  for (const work of [
    store.db.put({ TableName, Item: Key, ConditionExpression: trap }),
    store.db.scan({ TableName, FilterExpression: trap }),
    store.db.scan({ TableName, FilterExpression: trap, IndexName: 'byWho' }),
  ]) {
    const { name, message } = await failureOf(work);
    assert.is(name, 'InternalServerError');
    assert.match(message, /^The embedded DynamoDB failed: TypeError/);
  }
  await store.put({ who: 'y' });
  assert.equal(await store.get(), { ...Key, who: 'y' });
});

tables.run();

// ---

const places = suite('the folder');

places('keeps the tables with their items and indexes', async () => {
  using place = folder();
  {
    await using store = await open(place);
    await store.put({ who: 'x' });
  }
  await using store = await open(place);
  assert.equal([await store.get(), ...(await store.scan('byWho'))], Array(2).fill({ ...Key, who: 'x' }));
});

places('is closed when what runs is done, and has all that was confirmed', async () => {
  using place = folder();
  await using store = await open(place);
  const writes = range(20).map((sk) =>
    store.put({ sk }).then(
      () => sk,
      () => undefined,
    ),
  );
  await store.get();
  await store.dynamo.close();
  const confirmed = (await Promise.all(writes)).filter((sk) => sk !== undefined);
  assert.is(await nameOf(store.get()), 'InternalServerError');
  await using again = await open(place);
  const kept = (await again.scan()).map(({ sk }) => sk);
  assert.equal(kept.sort(), confirmed.sort());
});

places('that another gateway uses is refused by name', async () => {
  using place = folder();
  await using _ = await open(place);
  const { message } = await failureOf(createDynamoDb(place));
  assert.is(
    message,
    `The tables in ${place.path} are in use: another gateway is running there. Stop it, or start this one with --memory.`,
  );
});

places('that holds something else is refused by name, with what to do', async () => {
  using place = folder();
  await (await createDynamoDb(place)).close();
  writeFileSync(join(place.path, 'CURRENT'), 'nonsense');
  const { message } = await failureOf(createDynamoDb(place));
  assert.is(message, `The tables in ${place.path} cannot be read: delete the folder to start without any.`);
});

places.run();

// ---

const transactions = suite('transactions');

const increment = {
  ...{ TableName, Key, UpdateExpression: 'ADD n :one' },
  ExpressionAttributeValues: { ':one': 1 },
};
const Put = (item: object) => ({ TableName, Item: { ...Key, ...item } });

transactions('of 50 that come together to one counter, the 25 that it has room for win', async () => {
  await using store = await open();
  const Update = {
    ...{ ...increment, ConditionExpression: 'attribute_not_exists(n) OR n < :max' },
    ExpressionAttributeValues: { ':one': 1, ':max': 25 },
  };
  const messages = await Promise.all(
    range(50).map((sk) =>
      store.db.transactWrite({ TransactItems: [{ Put: Put({ pk: 'b', sk }) }, { Update }] }).then(
        () => '',
        (error) => error.message,
      ),
    ),
  );
  const lost = messages.filter((message) => message.endsWith('[None, ConditionalCheckFailed]'));
  assert.equal([messages.filter((message) => message === '').length, lost.length], [25, 25]);
  assert.equal(await store.get(), { ...Key, n: 25 });
  assert.is((await store.scan()).length, 26);
});

transactions('one that is cancelled leaves no trace, and says why of every action', async () => {
  await using store = await open();
  await store.put({ who: 'x' });
  await store.put({ sk: 2, who: 'x', n: 'text' });
  const before = [await store.scan(), await store.scan('byWho')];
  const isNew = { TableName, ConditionExpression: 'attribute_not_exists(pk)' };
  const asking = { ...isNew, ReturnValuesOnConditionCheckFailure: 'ALL_OLD' } as const;
  const cancelled = store.db.transactWrite({
    TransactItems: [
      { Put: Put({ sk: 3, who: 'y' }) },
      { Delete: { TableName, Key: { pk: 'a', sk: 4 } } },
      { Update: { ...increment, Key: { pk: 'a', sk: 2 } } },
      { ConditionCheck: { ...asking, Key } },
      { ConditionCheck: { ...isNew, Key: { pk: 'a', sk: 5 } } },
    ],
  });
  const { name, CancellationReasons = [] } = await failureOf(cancelled);
  assert.is(name, 'TransactionCanceledException');
  const codes = CancellationReasons.map(({ Code }) => Code);
  assert.equal(codes, ['None', 'None', 'ValidationError', 'ConditionalCheckFailed', 'None']);
  assert.equal(CancellationReasons[3]?.Item, asSent('x'));
  assert.equal([await store.scan(), await store.scan('byWho')], before);
});

transactions(
  'one that succeeds does all of its actions, and a check of a condition does nothing',
  async () => {
    await using store = await open();
    for (const sk of [1, 2, 3]) await store.put({ sk, who: 'x' });
    const TransactItems = [
      { Put: Put({ sk: 4, who: 'y' }) },
      { Update: increment },
      { Delete: { TableName, Key: { pk: 'a', sk: 2 } } },
      ...[
        { ConditionExpression: 'attribute_exists(pk)', sk: 3 },
        { ConditionExpression: 'attribute_not_exists(pk)', sk: 5 },
      ].map(({ sk, ...check }) => ({ ConditionCheck: { TableName, Key: { pk: 'a', sk }, ...check } })),
    ];
    await store.db.transactWrite({ TransactItems });
    const items = [1, 3, 4].map((sk) => ({
      pk: 'a',
      sk,
      who: sk === 4 ? 'y' : 'x',
      ...(sk === 1 && { n: 1 }),
    }));
    assert.equal(await store.scan(), items);
    assert.is((await store.scan('byWho')).length, 3);
  },
);

transactions('what DynamoDB would refuse is refused', async () => {
  await using store = await open();
  const write = (TransactItems: object[]) => store.db.transactWrite({ TransactItems });
  const puts = (count: number) => range(count).map((sk) => ({ Put: Put({ sk }) }));
  const refused: [said: string, items: object[]][] = [
    [
      'Transaction request cannot include multiple operations on one item',
      [...puts(1), { Update: increment }],
    ],
    ['Too big', puts(101)],
    ['Too small', []],
    ['must be one of', [{ Put: Put({}), Delete: { TableName, Key } }]],
  ];
  for (const [said, items] of refused) {
    const { name, message } = await failureOf(write(items));
    assert.equal([name, message.includes(said)], ['ValidationException', true], message);
  }
  const elsewhere = [{ Put: { ...Put({}), TableName: 'elsewhere' } }];
  assert.is(await nameOf(write(elsewhere)), 'ResourceNotFoundException');
  assert.equal(await store.scan(), []);
  await write(puts(100));
  assert.is((await store.scan()).length, 100);
});

transactions('reads see the items as they were between two transactions', async () => {
  using place = folder();
  await using store = await open(place);
  const all = range(60).map((sk) => ({ TableName, Key: { pk: 'a', sk } }));
  const writes = all.map((item) => ({ Update: { ...increment, ...item } }));
  const reads = all.map((Get) => ({ Get }));
  await Promise.all(
    range(15).map(async () => {
      await store.db.transactWrite({ TransactItems: writes });
      const { Responses = [] } = await store.db.transactGet({ TransactItems: reads });
      assert.is(new Set(Responses.map(({ Item }) => Item?.['n'])).size, 1);
    }),
  );
});

transactions('one whose reply was lost is not done again by the retry', async () => {
  const faults: Fault[] = [{ type: 'lost' }];
  const fault = (operation: string) => (operation === 'TransactWriteItems' ? faults.pop() : undefined);
  let nowMs = 0;
  await using store = await open({ fault, now: () => nowMs, maxAttempts: 2 });
  const request = { ClientRequestToken: 'token', TransactItems: [{ Update: increment }] };
  assert.is((await store.db.transactWrite(request)).$metadata.attempts, 2);
  assert.equal(await store.get(), { ...Key, n: 1 });
  nowMs = 10 * 60 * 1000;
  await store.db.transactWrite(request);
  assert.equal(await store.get(), { ...Key, n: 2 });
});

transactions.run();

// ---

const expiry = suite('time to live');

const enable = { TableName, TimeToLiveSpecification: { AttributeName: 'ttl', Enabled: true } };

expiry('a sweep deletes the items whose time has passed, in all pages and indexes', async () => {
  let nowMs = 0;
  await using store = await open({ now: () => nowMs });
  for (const sk of range(4))
    await store.put({ sk, who: 'x'.repeat(2000), pad: 'x'.repeat(390_000), ttl: 100 });
  for (const [index, ttl] of [101, '5', undefined].entries()) await store.put({ pk: 'b', sk: index, ttl });
  nowMs = 100_001;
  assert.is(await store.dynamo.sweep(), 0);
  await store.client.updateTimeToLive(enable);
  nowMs = 100_000;
  assert.is(await store.dynamo.sweep(), 0);
  nowMs = 100_001;
  assert.is(await store.dynamo.sweep(), 4);
  assert.equal([(await store.scan()).length, (await store.scan('byWho')).length], [3, 0]);
});

expiry('which attribute it is survives a restart, and neither its end nor that of the table', async () => {
  using place = folder();
  const describe = async ({ client }: Awaited<ReturnType<typeof open>>) =>
    (await client.describeTimeToLive({ TableName })).TimeToLiveDescription;
  const disabled = { TimeToLiveStatus: 'DISABLED' };
  const enabled = { AttributeName: 'ttl', TimeToLiveStatus: 'ENABLED' };
  {
    await using store = await open(place);
    assert.equal(await describe(store), disabled);
    await store.client.updateTimeToLive(enable);
    assert.match((await failureOf(store.client.updateTimeToLive(enable))).message, 'already enabled');
  }
  await using store = await open(place);
  assert.equal(await describe(store), enabled);
  const disable = { TableName, TimeToLiveSpecification: { AttributeName: 'ttl', Enabled: false } };
  await store.client.updateTimeToLive(disable);
  assert.equal(await describe(store), disabled);
  await store.client.updateTimeToLive(enable);
  await store.client.deleteTable({ TableName });
  await store.client.createTable(THINGS);
  assert.equal(await describe(store), disabled);
});

expiry.run();

// ---

const faults = suite('faults');

/** With an empty table, and this fault of the operations on items until it is repaired. */
async function openFaulty(fault: Fault) {
  const asked: unknown[] = [];
  let current: Fault | undefined = fault;
  const isOfItem = (operation: string, input: unknown) => {
    if (operation.includes('Item')) asked.push([operation, input]);
    return operation.includes('Item') ? current : undefined;
  };
  return Object.assign(await open({ fault: isOfItem }), { asked, repair: () => (current = undefined) });
}

for (const [type, name, status] of [
  ['throttled', 'ProvisionedThroughputExceededException', 400],
  ['down', 'ServiceUnavailable', 503],
] as const) {
  faults(`${type} is ${status} ${name}, and nothing happens`, async () => {
    await using store = await openFaulty({ type });
    const failure = await failureOf(store.put());
    assert.equal([failure.name, failure.$metadata.httpStatusCode], [name, status]);
    assert.equal(store.asked, [['PutItem', { TableName, Item: { pk: { S: 'a' }, sk: { N: '1' } } }]]);
    store.repair();
    assert.equal(await store.scan(), []);
  });
}

faults('slow happens not before its time', async () => {
  await using store = await openFaulty({ type: 'slow', ms: 50 });
  const startMs = performance.now();
  await store.put();
  assert.ok(performance.now() - startMs > 45);
  assert.equal(await store.get(), Key);
});

faults('lost happens, but no reply comes', async () => {
  await using store = await openFaulty({ type: 'lost' });
  const { code } = (await failureOf(store.put())) as Failure & { readonly code?: string };
  assert.is(code, 'ECONNRESET');
  store.repair();
  assert.equal(await store.get(), Key);
});

faults('unprocessed hands back half of a batch, and leaves other operations alone', async () => {
  await using store = await openFaulty({ type: 'unprocessed' });
  const keys = range(5).map((sk) => ({ pk: 'a', sk }));
  const puts = keys.map((Item) => ({ PutRequest: { Item } }));
  const { UnprocessedItems } = await store.db.batchWrite({ RequestItems: { [TableName]: puts } });
  assert.equal(UnprocessedItems, { [TableName]: puts.slice(3) });
  assert.equal(await store.scan(), keys.slice(0, 3));
  const RequestItems = { [TableName]: { Keys: keys.slice(0, 2), ConsistentRead: true } };
  const { Responses, UnprocessedKeys } = await store.db.batchGet({ RequestItems });
  assert.equal(Responses, { [TableName]: keys.slice(0, 1) });
  assert.equal(UnprocessedKeys, { [TableName]: { Keys: keys.slice(1, 2), ConsistentRead: true } });
  const last = { [TableName]: puts.slice(4) };
  assert.equal((await store.db.batchWrite({ RequestItems: last })).UnprocessedItems, {});
});

faults.run();

// ---

const http = suite('HTTP');

http('a reply bears an id and the checksum of its body', async () => {
  await using store = await open();
  for (const { headers, text } of [
    await store.post('ListTables', '{}'),
    await store.post('ListTables', ''),
  ]) {
    assert.match(headers.get('x-amzn-requestid') ?? '', /^[\w-]{36}$/);
    assert.is(headers.get('x-amz-crc32'), String(crc32(text)));
    assert.is(headers.get('content-type'), 'application/x-amz-json-1.0');
  }
});

http('what is no request of DynamoDB is refused', async () => {
  await using store = await open();
  const said = async (...request: Parameters<typeof store.post>) => (await store.post(...request)).said;
  for (const operation of ['ExecuteStatement', 'constructor', 'toString', 'putItem', '']) {
    assert.is(await said(operation, '{}'), '400 UnknownOperationException');
  }
  assert.is(await said('ListTables', '', 'GET'), '400 UnknownOperationException');
  for (const body of ['', '{', 'null', '[]', '"text"', '1']) {
    assert.is(await said('ListTables', body), '400 SerializationException');
  }
  assert.is(await said('PutItem', '{}'), '400 ValidationException');
  assert.is(await said('PutItem', '{"TableName":5}'), '400 SerializationException');
  assert.is(await said('ListTables', Buffer.alloc(20 * 1024 * 1024 + 1, ' ')), '400 ValidationException');
});

http('clients that leave in the middle of a request, or before its reply, do no harm', async () => {
  await using store = await open();
  const { hostname, port } = new URL(store.url);
  const body = JSON.stringify({ TableName, Item: { pk: { S: 'a' }, sk: { N: '1' } } });
  const target = 'x-amz-target: DynamoDB_20120810.PutItem';
  const head = `POST / HTTP/1.1\r\nhost: a\r\n${target}\r\ncontent-length: ${body.length}`;
  for (const sent of ['', '\r\n\r\n', `\r\n\r\n${body.slice(0, 9)}`, `\r\n\r\n${body}`]) {
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    await new Promise((resolve) => socket.write(head + sent, resolve));
    socket.resetAndDestroy();
    await once(socket, 'close');
    assert.ok(await store.scan());
  }
});

http.run();
