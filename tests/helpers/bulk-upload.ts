/** `npm run bulk-upload` with a file in a folder of its own and a table in an embedded DynamoDB. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CreateTableCommandInput, DynamoDB } from '@aws-sdk/client-dynamodb';
import { unmarshall } from '@aws-sdk/util-dynamodb';
import { bulkUpload, type Io } from '../../scripts/bulk-upload.ts';
import type { DynamoDbOptions } from '../../src/local/dynamodb/server.ts';
import { dynamoClient, startDynamoDb } from './dynamodb.ts';

export type Item = Record<string, unknown>;
export type Ended = { readonly code: number; readonly out: string; readonly err: string };

export type Bench = {
  readonly url: string;
  readonly folder: string;
  readonly client: DynamoDB;
  /** What goes wrong from now on. */
  faults: { next: DynamoDbOptions['fault'] };
  /** The path of a file with this in it: a text, bytes, or a list of items. */
  write(content: string | Uint8Array | readonly unknown[], name?: string): string;
  /** Uploads into the table `stock`, unless the arguments name another. */
  run(args: readonly string[], io?: Partial<Io>, env?: NodeJS.ProcessEnv): Promise<Ended>;
  stored(table?: string): Promise<Item[]>;
  rejected(path: string): { item: number; line: number; reason: string; value?: unknown }[];
};

export const STOCK = 'stock';

type KeyType = 'S' | 'N' | 'B';

/** A table whose keys have these types. */
export const tableOf = (TableName: string, pk: KeyType, sk?: KeyType): CreateTableCommandInput => ({
  TableName,
  KeySchema: [
    { AttributeName: 'pk', KeyType: 'HASH' },
    ...(sk ? [{ AttributeName: 'sk', KeyType: 'RANGE' } as const] : []),
  ],
  AttributeDefinitions: [
    { AttributeName: 'pk', AttributeType: pk },
    ...(sk ? [{ AttributeName: 'sk', AttributeType: sk }] : []),
  ],
  BillingMode: 'PAY_PER_REQUEST',
});

export const inTable = (test: (bench: Bench) => Promise<void>) => async () => {
  const faults: Bench['faults'] = { next: undefined };
  const database = await startDynamoDb({ fault: (...call) => faults.next?.(...call) });
  const client = dynamoClient(database.url, 3);
  const folder = mkdtempSync(join(tmpdir(), 'bulk-upload-'));
  await client.createTable(tableOf(STOCK, 'S'));
  try {
    await test({
      url: database.url,
      folder,
      client,
      faults,
      write(content, name = 'items.json') {
        const path = join(folder, name);
        const isRaw = typeof content === 'string' || content instanceof Uint8Array;
        writeFileSync(path, isRaw ? content : JSON.stringify(content));
        return path;
      },
      async run(args, io = {}, env = {}) {
        let out = '';
        let err = '';
        const table = args.includes('-t') ? [] : ['-t', STOCK];
        const code = await bulkUpload([...args, ...table, '--endpoint-url', database.url], env, {
          out: (text) => (out += text),
          err: (text) => (err += text),
          ...io,
        });
        return { code, out, err };
      },
      async stored(TableName = STOCK) {
        const { Items = [] } = await client.scan({ TableName, ConsistentRead: true });
        const items = Items.map((item) => unmarshall(item));
        return items.sort((one, other) => (String(one['pk']) < String(other['pk']) ? -1 : 1));
      },
      rejected(path) {
        const file = `${path}.rejected.jsonl`;
        if (!existsSync(file)) return [];
        const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
        return lines.map((line) => JSON.parse(line));
      },
    });
  } finally {
    client.destroy();
    await database.close();
    rmSync(folder, { recursive: true, force: true });
  }
};

/** So many items with keys in the order of the file. */
export const itemsOf = (count: number): { pk: string; n: number }[] =>
  Array.from({ length: count }, (_, at) => ({ pk: `item ${String(at + 1).padStart(6, '0')}`, n: at + 1 }));
