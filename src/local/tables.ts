/**
 * The gateway's tables, made where they are missing. On AWS the deployment makes them.
 */
import {
  CreateTableCommand,
  DescribeTimeToLiveCommand,
  type DynamoDBClient,
  ResourceInUseException,
  UpdateTimeToLiveCommand,
} from '@aws-sdk/client-dynamodb';
import { TABLE_KEY, TABLE_TTL, tableName, tables } from '../names.ts';

/** The names of the tables of this stack, which are there when it resolves. */
export async function createTables(
  client: DynamoDBClient,
  stack: string,
): Promise<Record<(typeof tables)[number], string>> {
  const made = tables.map(async (table) => {
    const name = tableName(stack, table);
    await createTable(client, name);
    return [table, name] as const;
  });
  return Object.fromEntries(await Promise.all(made)) as Record<(typeof tables)[number], string>;
}

async function createTable(client: DynamoDBClient, TableName: string) {
  const create = new CreateTableCommand({
    TableName,
    KeySchema: [{ AttributeName: TABLE_KEY, KeyType: 'HASH' }],
    AttributeDefinitions: [{ AttributeName: TABLE_KEY, AttributeType: 'S' }],
    BillingMode: 'PAY_PER_REQUEST',
  });
  try {
    await client.send(create);
  } catch (error) {
    if (!(error instanceof ResourceInUseException)) throw error;
  }
  const { TimeToLiveDescription } = await client.send(new DescribeTimeToLiveCommand({ TableName }));
  if (TimeToLiveDescription?.AttributeName === TABLE_TTL) return;
  const TimeToLiveSpecification = { Enabled: true, AttributeName: TABLE_TTL };
  await client.send(new UpdateTimeToLiveCommand({ TableName, TimeToLiveSpecification }));
}
