/**
 * A DynamoDB table with the key `pk`, and a number `sk` where it sorts, and rows that are over once their `ttl` has passed. DynamoDB
 * deletes them days later, so nobody may take a row that is there for one that counts.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  BatchWriteItemCommand,
  ConditionalCheckFailedException,
  DeleteItemCommand,
  DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  type QueryCommandInput,
  UpdateItemCommand,
  type WriteRequest,
} from '@aws-sdk/client-dynamodb';
import { marshall, unmarshall } from '@aws-sdk/util-dynamodb';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { GatewayError } from '../chat/errors.ts';

/** Somebody waits for every one of these calls, 4 seconds at most, so they fail early and are tried again early. */
export function createDynamoDbClient(): DynamoDBClient {
  const requestHandler = new NodeHttpHandler({ connectionTimeout: 1_000, requestTimeout: 1_250 });
  return new DynamoDBClient({ maxAttempts: 3, requestHandler });
}

export type TableParts = {
  readonly client: Pick<DynamoDBClient, 'send'>;
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
};

/** DynamoDB takes so many writes in a batch. */
const BATCH = 25;

/** A batch is sent so often until nothing is left of it, with pauses that begin with these and double: 0.8 seconds at most. */
const BATCH_ROUNDS = 6;
const BATCH_PAUSE_MS = 25;

type Values = Readonly<Record<string, unknown>>;
type Key = string | { readonly pk: string; readonly sk: number };
export type Row<Fields> = Partial<Fields> & { readonly pk: string; readonly ttl: number };

type QueryOptions = Pick<
  QueryCommandInput,
  'IndexName' | 'FilterExpression' | 'ProjectionExpression' | 'ScanIndexForward' | 'ConsistentRead' | 'Limit'
> & {
  /** The key of the row before the first. */
  readonly after?: Values | undefined;
};

/** The row as it is after the write; or, where the condition forbade it, as it is without (`undefined` where there is none). */
type Outcome<Fields> =
  | { readonly isWritten: true; readonly row: Row<Fields> }
  | { readonly isWritten: false; readonly row: Row<Fields> | undefined };

/**
 * Expressions say `#field` and `:value`; the names are the fields' own, the values those given, `:now` (seconds) and `:nowMs`.
 * A retry of the SDK may meet what its first try wrote; only the caller can tell whether a row that stands in the way is his.
 *
 * @throws `storage_unavailable`, every one of them
 */
export function createTable<Fields extends object>({ client, name: TableName, now }: TableParts) {
  const toSeconds = (ms: number) => Math.floor(ms / 1000);

  const express = (text: string, values: Values) => {
    const all: Values = { now: toSeconds(now()), nowMs: now(), ...values };
    const namesUsed = (text.match(/#\w+/g) ?? []).map((name) => [name, name.slice(1)]);
    const valuesUsed = (text.match(/:\w+/g) ?? []).map((name) => [name, all[name.slice(1)]]);
    return {
      ExpressionAttributeNames: Object.fromEntries(namesUsed),
      ...(valuesUsed.length > 0 && { ExpressionAttributeValues: marshall(Object.fromEntries(valuesUsed)) }),
    };
  };

  /** What the table holds is what was put there: nobody else writes to it. */
  const toRow = (item: Parameters<typeof unmarshall>[0] | undefined) =>
    item && (unmarshall(item) as Row<Fields>);

  const removeBatch = async (keys: readonly Key[]) => {
    let left: WriteRequest[] = keys.map((key) => ({ DeleteRequest: { Key: toKey(key) } }));
    for (let round = 0; left.length > 0; round++) {
      if (round === BATCH_ROUNDS) throw new Error('A batch was not processed to its end.');
      if (round > 0) await sleep(BATCH_PAUSE_MS * 2 ** (round - 1));
      const input = { RequestItems: { [TableName]: left } };
      left = (await client.send(new BatchWriteItemCommand(input))).UnprocessedItems?.[TableName] ?? [];
    }
  };

  const attempt = async (write: () => Promise<Row<Fields>>): Promise<Outcome<Fields>> => {
    try {
      return { isWritten: true, row: await write() };
    } catch (error) {
      if (!(error instanceof ConditionalCheckFailedException)) throw unavailable(error);
      return { isWritten: false, row: toRow(error.Item) };
    }
  };

  return {
    /** A time to live that ends so many seconds from now. */
    expireIn: (seconds: number) => toSeconds(now()) + seconds,

    isOver: ({ ttl }: Row<Fields>) => ttl <= toSeconds(now()),

    /** The row as the last write left it. */
    async get(key: Key): Promise<Row<Fields> | undefined> {
      try {
        const input = { TableName, Key: toKey(key), ConsistentRead: true };
        const row = toRow((await client.send(new GetItemCommand(input))).Item);
        return row && row.ttl > toSeconds(now()) ? row : undefined;
      } catch (error) {
        throw unavailable(error);
      }
    },

    /** The rows of one `pk` as they are, also those that are over: page by page, in the order of the key. */
    async *query(
      condition: string,
      values: Values,
      { after, ...options }: QueryOptions = {},
    ): AsyncGenerator<readonly Row<Fields>[], void, undefined> {
      const { FilterExpression = '', ProjectionExpression = '' } = options;
      const expressed = express(`${condition} ${FilterExpression} ${ProjectionExpression}`, values);
      const input = { TableName, KeyConditionExpression: condition, ...expressed, ...options };
      let start = after && marshall(after);
      do {
        const page = await client
          .send(new QueryCommand({ ...input, ExclusiveStartKey: start }))
          .then(({ Items = [], LastEvaluatedKey }) => ({
            rows: Items.map((item) => unmarshall(item) as Row<Fields>),
            last: LastEvaluatedKey,
          }))
          .catch((error) => {
            throw unavailable(error);
          });
        yield page.rows;
        start = page.last;
      } while (start);
    },

    put: (row: Row<Fields>, condition?: string, values: Values = {}) =>
      attempt(async () => {
        const guard = condition !== undefined && {
          ConditionExpression: condition,
          ReturnValuesOnConditionCheckFailure: 'ALL_OLD' as const,
          ...express(condition, values),
        };
        const Item = marshall(row, { removeUndefinedValues: true });
        await client.send(new PutItemCommand({ TableName, Item, ...guard }));
        return row;
      }),

    update: (key: Key, change: string, condition: string, values: Values = {}) =>
      attempt(async () => {
        const input = {
          TableName,
          Key: toKey(key),
          UpdateExpression: change,
          ConditionExpression: condition,
          ReturnValues: 'ALL_NEW' as const,
          ReturnValuesOnConditionCheckFailure: 'ALL_OLD' as const,
        };
        const expressed = express(`${change} ${condition}`, values);
        const { Attributes = {} } = await client.send(new UpdateItemCommand({ ...input, ...expressed }));
        return unmarshall(Attributes) as Row<Fields>;
      }),

    /** What the row was. */
    async remove(key: Key): Promise<Row<Fields> | undefined> {
      try {
        const input = { TableName, Key: toKey(key), ReturnValues: 'ALL_OLD' as const };
        return toRow((await client.send(new DeleteItemCommand(input))).Attributes);
      } catch (error) {
        throw unavailable(error);
      }
    },

    /** No key twice. After a failure some of the rows may be gone. */
    async removeAll(keys: readonly Key[]): Promise<void> {
      try {
        for (let at = 0; at < keys.length; at += BATCH) await removeBatch(keys.slice(at, at + BATCH));
      } catch (error) {
        throw unavailable(error);
      }
    },
  };
}

const toKey = (key: Key) => marshall(typeof key === 'string' ? { pk: key } : { pk: key.pk, sk: key.sk });

const unavailable = (cause: unknown) =>
  new GatewayError('storage_unavailable', 'The gateway cannot reach its tables; send the request again.', {
    retryAfterSeconds: 1,
    cause,
  });
