/**
 * The gateway's tables, made where they are missing. On AWS the deployment makes them.
 */
import {
  CreateTableCommand,
  DescribeTimeToLiveCommand,
  type DynamoDBClient,
  type KeySchemaElement,
  ResourceInUseException,
  UpdateTimeToLiveCommand,
} from '@aws-sdk/client-dynamodb';
import { TABLE_KEY, TABLE_TTL, type Table, type TableShape, tableName, tables } from '../names.ts';

/** The names of the tables of this stack, which are there when it resolves. */
export async function createTables(client: DynamoDBClient, stack: string): Promise<Record<Table, string>> {
  const names = Object.keys(tables) as Table[];
  const made = names.map(async (table) => {
    const name = tableName(stack, table);
    await createTable(client, name, tables[table]);
    return [table, name] as const;
  });
  return Object.fromEntries(await Promise.all(made)) as Record<Table, string>;
}

async function createTable(client: DynamoDBClient, TableName: string, { sortKey, index }: TableShape) {
  const attributes = [
    { name: TABLE_KEY, type: 'S' as const },
    ...(sortKey ? [sortKey] : []),
    ...(index
      ? [
          { name: index.key, type: 'S' as const },
          { name: index.sortKey, type: 'N' as const },
        ]
      : []),
  ];
  const create = new CreateTableCommand({
    TableName,
    KeySchema: toKeySchema(TABLE_KEY, sortKey?.name),
    AttributeDefinitions: attributes.map(({ name, type }) => ({ AttributeName: name, AttributeType: type })),
    ...(index && {
      GlobalSecondaryIndexes: [
        {
          IndexName: index.name,
          KeySchema: toKeySchema(index.key, index.sortKey),
          Projection: { ProjectionType: 'ALL' },
        },
      ],
    }),
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

const toKeySchema = (key: string, sortKey: string | undefined): KeySchemaElement[] => [
  { AttributeName: key, KeyType: 'HASH' },
  ...(sortKey === undefined ? [] : [{ AttributeName: sortKey, KeyType: 'RANGE' } as const]),
];
