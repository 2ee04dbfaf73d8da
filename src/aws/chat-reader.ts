/**
 * Reads the `chats` table: a conversation before its next question, or page by page, and the list of a tenant's. What is over, what is
 * being deleted and what was never written to its end is not there.
 */
import type { ChatKey, Turn } from '../chat/conversation.ts';
import { GatewayError, toGatewayError } from '../chat/errors.ts';
import { tables } from '../names.ts';
import {
  type ChatRow,
  type ChatTable,
  HEADER,
  headerFields,
  isFirstSlice,
  isOfSameTurn,
  sortKeysOf,
  toKey,
  toTurn,
  unreadable,
} from './chat-rows.ts';

/** What is sent before a question, all turns together. */
const MAX_RECALLED_BYTES = 16 * 1024 * 1024;

/** What is read of a conversation at once. A single turn may be longer. */
const PAGE_TURNS = 100;
const PAGE_BYTES = 4 * 1024 * 1024;

/** A page of 100, and the one that tells whether there are more. */
const ROWS_AT_ONCE = 101;

/** Where in the list of a tenant's conversations a page ends. */
type Place = { readonly updatedAt: number; readonly chatId: string };

export function createChatReader(table: ChatTable) {
  const findHeader = async (pk: string): Promise<ChatRow | undefined> => {
    const row = await table.get({ pk, sk: HEADER });
    return row?.deleted === undefined ? row : undefined;
  };

  const readHeader = async (pk: string) => {
    const row = await findHeader(pk);
    const parsed = headerFields.safeParse(row);
    if (row && !parsed.success) throw unreadable(parsed.error);
    return parsed.data;
  };

  /** The rows of each turn that is there, from the first number to the last. */
  async function* readTurns(pk: string, first: number, last: number, rowsAtOnce?: number) {
    if (first > last) return;
    const options = { ConsistentRead: true, ...(rowsAtOnce !== undefined && { Limit: rowsAtOnce }) };
    const range = { pk, ...sortKeysOf(first, last) };
    let turn: ChatRow[] = [];
    for await (const rows of table.query('#pk = :pk AND #sk BETWEEN :from AND :to', range, options)) {
      for (const row of rows) {
        if (turn[0] && isOfSameTurn(turn[0], row)) turn.push(row);
        else {
          if (turn.length > 0) yield turn;
          // Slices without their first belong to a turn that was never written to its end.
          turn = isFirstSlice(row) && !table.isOver(row) ? [row] : [];
        }
      }
    }
    if (turn.length > 0) yield turn;
  }

  return {
    findHeader,

    recall: (key: ChatKey, maxTurns: number) =>
      reading(async () => {
        const pk = toKey(key);
        const header = await readHeader(pk);
        if (!header) return undefined;
        const first = Math.max(1, header.turns - maxTurns + 1);
        const turns: Turn[] = [];
        let bytes = 0;
        for await (const rows of readTurns(pk, first, header.turns)) {
          bytes += bytesOf(rows);
          if (bytes > MAX_RECALLED_BYTES) throw tooLong();
          turns.push(toTurn(rows));
        }
        return turns;
      }),

    /**
     * A tenant's conversations, newest first; `next` when there are more. Rows that nobody understands are not among them.
     *
     * @throws `history_unavailable`
     */
    list: (tenant: string, { limit, after }: { readonly limit: number; readonly after?: Place }) =>
      reading(async () => {
        const { name: IndexName } = tables.chats.index;
        const pages = table.query(
          '#tenant = :tenant',
          { tenant },
          {
            IndexName,
            ScanIndexForward: false,
            FilterExpression: '#ttl > :now AND attribute_not_exists(#deleted)',
            Limit: ROWS_AT_ONCE,
            after: after && {
              tenant,
              updatedAt: after.updatedAt,
              pk: toKey({ tenant, chatId: after.chatId }),
              sk: HEADER,
            },
          },
        );
        const found = [];
        for await (const rows of pages) {
          for (const row of rows) found.push(...toSummary(row));
          if (found.length > limit) break;
        }
        const list = found.slice(0, limit);
        const last = found.length > limit ? list.at(-1) : undefined;
        return { chats: list, ...(last && { next: { updatedAt: last.updatedAt, chatId: last.chatId } }) };
      }),

    /**
     * The turns behind the one with the number `after`, oldest first, at most 100 and 4 MiB, and the number to go on with when there
     * are more; nothing where the tenant has no such conversation.
     *
     * @throws `history_unavailable`
     */
    read: (key: ChatKey, after = 0) =>
      reading(async () => {
        const pk = toKey(key);
        const header = await readHeader(pk);
        if (!header) return undefined;
        const turns: Turn[] = [];
        let bytes = 0;
        let next = after;
        for await (const rows of readTurns(pk, after + 1, header.turns, ROWS_AT_ONCE)) {
          bytes += bytesOf(rows);
          if (turns.length > 0 && (turns.length === PAGE_TURNS || bytes > PAGE_BYTES)) return { turns, next };
          turns.push(toTurn(rows));
          next = rows[0]?.sk ?? next;
        }
        return { turns };
      }),
  };
}

function toSummary(row: ChatRow) {
  const { success, data } = headerFields.safeParse(row);
  if (!success) return [];
  const { title, turns, updatedAt } = data;
  return [{ chatId: row.pk.slice(row.pk.lastIndexOf('#') + 1), title, turns, updatedAt }];
}

const bytesOf = (rows: readonly ChatRow[]) => rows.reduce((sum, { bytes }) => sum + (bytes?.length ?? 0), 0);

/** To whoever reads, a table that fails is a history that cannot be had. */
async function reading<Result>(read: () => Promise<Result>): Promise<Result> {
  try {
    return await read();
  } catch (error) {
    if (toGatewayError(error).code !== 'storage_unavailable') throw error;
    const message = 'Conversations cannot be read now; send the request again.';
    throw new GatewayError('history_unavailable', message, { retryAfterSeconds: 1, cause: error });
  }
}

const tooLong = () =>
  new GatewayError('context_length_exceeded', 'The conversation has become too long; begin a new one.', {
    param: 'chat_id',
  });
