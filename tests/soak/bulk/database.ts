/** A table that counts what is written to it, with faults. */
import { paginateScan } from '@aws-sdk/client-dynamodb';
import { unmarshall } from '@aws-sdk/util-dynamodb';
import type { Json } from '../../../src/chat/json.ts';
import type { Fault } from '../../../src/local/dynamodb/server.ts';
import { dynamoClient, startDynamoDb } from '../../helpers/dynamodb.ts';

export const TABLE = 'soak';

export type Options = {
  /** Whether so many batches later the second half of one is handed back. */
  readonly isCut?: (batch: number) => boolean;
  /** Told after each batch how many items were written in all. */
  readonly onWritten?: (items: number) => void;
};

export async function openDatabase({ isCut = () => false, onWritten = () => {} }: Options = {}) {
  const counts = { batches: 0, written: 0, firstMs: 0, lastMs: 0 };
  const database = await startDynamoDb({ fault });
  const client = dynamoClient(database.url);
  await client.createTable({
    TableName: TABLE,
    KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
    AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
    BillingMode: 'PAY_PER_REQUEST',
  });

  function fault(operation: string, input: unknown): Fault | undefined {
    if (operation !== 'BatchWriteItem') return undefined;
    const { RequestItems } = input as { RequestItems: Record<string, unknown[]> };
    const asked = RequestItems[TABLE]?.length ?? 0;
    const now = performance.now();
    counts.firstMs ||= now;
    counts.lastMs = now;
    counts.batches += 1;
    const hasFault = isCut(counts.batches);
    counts.written += hasFault ? Math.ceil(asked / 2) : asked;
    onWritten(counts.written);
    return hasFault ? { type: 'unprocessed' } : undefined;
  }

  return {
    url: database.url,
    counts,
    itemsPerSecond: () => Math.round((1000 * counts.written) / (counts.lastMs - counts.firstMs)),
    async read(): Promise<Map<string, Record<string, Json>>> {
      const found = new Map<string, Record<string, Json>>();
      for await (const { Items = [] } of paginateScan({ client }, { TableName: TABLE })) {
        for (const item of Items.map((one) => unmarshall(one))) found.set(item['pk'], item);
      }
      return found;
    },
    async close() {
      client.destroy();
      await database.close();
    },
  };
}
