/** The gateway's tables in an embedded DynamoDB, with a clock that the test sets. */
import { DynamoDBDocumentClient, ScanCommand } from '@aws-sdk/lib-dynamodb';
import type { TableParts } from '../../src/aws/table.ts';
import type { DynamoDbOptions } from '../../src/local/dynamodb/server.ts';
import { createTables } from '../../src/local/tables.ts';
import type { Table } from '../../src/names.ts';
import { dynamoClient, startDynamoDb } from './dynamodb.ts';

export const START_MS = Date.parse('2026-11-22T12:00:00Z');

export type TestTables = Readonly<Record<Table, TableParts>> & {
  readonly documents: DynamoDBDocumentClient;
  /** Milliseconds since the epoch; set it to let time pass. */
  clock: { now: number };
  /** What goes wrong from now on. */
  faults: { next: DynamoDbOptions['fault'] };
};

/** The keys of a table's rows, as soon as there are so many. */
export async function keysOf({ documents }: TestTables, TableName: string, count: number): Promise<string[]> {
  for (;;) {
    const { Items = [] } = await documents.send(new ScanCommand({ TableName, ConsistentRead: true }));
    if (Items.length === count) return Items.map(({ pk }) => pk);
  }
}

/** Opens the tables for a test, and closes them after it. */
export const inTables = (test: (tables: TestTables) => Promise<void>) => async () => {
  const faults: TestTables['faults'] = { next: undefined };
  const database = await startDynamoDb({ fault: (...call) => faults.next?.(...call) });
  const client = dynamoClient(database.url, 3);
  const clock = { now: START_MS };
  const names = await createTables(client, 'test');
  const documents = DynamoDBDocumentClient.from(client);
  const parts = (name: string) => ({ client, name, now: () => clock.now });
  try {
    const { answers, chats, connections, requests, usage } = names;
    await test({
      answers: parts(answers),
      chats: parts(chats),
      connections: parts(connections),
      requests: parts(requests),
      usage: parts(usage),
      documents,
      clock,
      faults,
    });
  } finally {
    client.destroy();
    await database.close();
  }
};
