import { GetCommand, PutCommand, ScanCommand } from '@aws-sdk/lib-dynamodb';
import type { TableParts } from '../../src/aws/table.ts';
import type { Turn } from '../../src/chat/conversation.ts';
import type { ContentBlock } from '../../src/chat/request.ts';
import { usage } from './app.ts';
import { START_MS, type TestTables } from './tables.ts';

export const key = { tenant: 'alice', chatId: 'c1' };
export const HOUR = 3_600;
export const MB = 1024 * 1024;

export const asking = (...content: ContentBlock[]): Turn['messages'] => [{ role: 'user', content }];

export const turn = (completion: string, changes: Partial<Turn> = {}): Turn => ({
  messages: asking({ type: 'text', text: `Why ${completion.slice(0, 20)}?` }),
  completion,
  model: 'some-model',
  state: 'complete',
  stopReason: 'end_turn',
  usage,
  at: START_MS,
  ...changes,
});

export type Item = Record<string, unknown> & { readonly pk: string; readonly sk: number };
export type Send = (command: { readonly input: unknown }) => Promise<unknown>;

/** All rows of the table, in the order of their keys. */
export async function rowsIn({ documents, chats }: TestTables): Promise<Item[]> {
  const items: Item[] = [];
  let ExclusiveStartKey: Record<string, unknown> | undefined;
  do {
    const scan = new ScanCommand({ TableName: chats.name, ConsistentRead: true, ExclusiveStartKey });
    const page = await documents.send(scan);
    items.push(...((page.Items ?? []) as Item[]));
    ExclusiveStartKey = page.LastEvaluatedKey;
  } while (ExclusiveStartKey);
  return items.sort((a, b) => a.pk.localeCompare(b.pk) || a.sk - b.sk);
}

export const numbersIn = async (tables: TestTables) => (await rowsIn(tables)).map(({ sk }) => sk);

export const rowAt = async ({ documents, chats }: TestTables, sk: number) =>
  (await documents.send(new GetCommand({ TableName: chats.name, Key: { pk: 'alice#c1', sk } }))).Item;

export const put = ({ documents, chats }: TestTables, Item: object) =>
  documents.send(new PutCommand({ TableName: chats.name, Item }));

/** The same table through a client that sees each command before it is sent. */
export function watching(
  { client, ...table }: TableParts,
  see: (input: object, send: () => Promise<unknown>) => unknown,
) {
  const send: Send = async (command) =>
    await see(command.input as object, () => (client.send as Send)(command));
  return { ...table, client: { send: send as TableParts['client']['send'] } };
}

/** From the call with that number on, these operations fail so often as the SDK tries each. */
export const failing = (operation: string, from = 0, type: 'down' | 'throttled' | 'lost' = 'down') => {
  let calls = 0;
  return (name: string) => (name === operation && calls++ >= from ? { type } : undefined);
};

/** The first of these calls is repeated: its reply is lost. */
export const losing = (operation: string) => {
  let left = 1;
  return (name: string) => (name === operation && left-- > 0 ? { type: 'lost' as const } : undefined);
};

export const completions = (turns: readonly Turn[] = []) => turns.map(({ completion }) => completion);

// ---
