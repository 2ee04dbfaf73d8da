/**
 * A DynamoDB table with one key, `pk`, and rows that are over once their `ttl` has passed. DynamoDB deletes them days later, so nobody may
 * take a row that is there for one that counts.
 */
import {
  ConditionalCheckFailedException,
  DeleteItemCommand,
  DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  UpdateItemCommand,
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

type Values = Readonly<Record<string, unknown>>;
type Row<Fields> = Partial<Fields> & { readonly pk: string; readonly ttl: number };

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
    async get(pk: string): Promise<Row<Fields> | undefined> {
      try {
        const input = { TableName, Key: marshall({ pk }), ConsistentRead: true };
        const row = toRow((await client.send(new GetItemCommand(input))).Item);
        return row && row.ttl > toSeconds(now()) ? row : undefined;
      } catch (error) {
        throw unavailable(error);
      }
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

    update: (pk: string, change: string, condition: string, values: Values = {}) =>
      attempt(async () => {
        const input = {
          TableName,
          Key: marshall({ pk }),
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
    async remove(pk: string): Promise<Row<Fields> | undefined> {
      try {
        const input = { TableName, Key: marshall({ pk }), ReturnValues: 'ALL_OLD' as const };
        return toRow((await client.send(new DeleteItemCommand(input))).Attributes);
      } catch (error) {
        throw unavailable(error);
      }
    },
  };
}

const unavailable = (cause: unknown) =>
  new GatewayError('storage_unavailable', 'The gateway cannot reach its tables; send the request again.', {
    retryAfterSeconds: 1,
    cause,
  });
