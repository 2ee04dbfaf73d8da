/** The embedded DynamoDB on a port of its own. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DynamoDB } from '@aws-sdk/client-dynamodb';
import { createDynamoDb, type DynamoDb, type DynamoDbOptions } from '../../src/local/dynamodb/server.ts';

export type TestDynamoDb = {
  readonly url: string;
  readonly dynamo: DynamoDb;
  close(): Promise<void>;
};

export async function startDynamoDb(options: DynamoDbOptions = {}): Promise<TestDynamoDb> {
  const dynamo = await createDynamoDb(options);
  const server = createServer(dynamo.handle);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await dynamo.close();
  };
  return { url, dynamo, close };
}

/** The real SDK's client, of which `DynamoDBDocument.from` makes another. */
export const dynamoClient = (url: string, maxAttempts = 1) =>
  new DynamoDB({
    endpoint: url,
    region: 'us-east-1',
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
    maxAttempts,
  });
