/**
 * The `chats` table: conversations by tenant and id, turn after turn. A turn that was told to be kept is there; one of which the write
 * failed may be there or not, and its number stays empty if it is not.
 */
import { type ChatKey, noSuchChat, type Turn } from '../chat/conversation.ts';
import { createChatReader } from './chat-reader.ts';
import { type ChatFields, HEADER, toKey, toRows, toSlices, toTitle, VERSION } from './chat-rows.ts';
import { createTable, type TableParts } from './table.ts';

export function createChats(parts: TableParts) {
  const table = createTable<ChatFields>(parts);
  const reader = createChatReader(table);

  /** The first row last: a turn counts from then on. */
  const write = async ([first, ...others]: ReturnType<typeof toRows>) => {
    await Promise.all(others.map((row) => table.put(row)));
    if (first) await table.put(first);
  };

  return {
    recall: reader.recall,
    list: reader.list,
    read: reader.read,

    async begin(key: ChatKey, turn: Turn, ttlSeconds: number): Promise<void> {
      const pk = toKey(key);
      const ttl = table.expireIn(ttlSeconds);
      await write(toRows(pk, 1, toSlices(turn), ttl));
      const { tenant } = key;
      const header = { tenant, title: toTitle(turn), turns: 1, updatedAt: parts.now(), ttl };
      // A repetition by the SDK that comes late must not undo what was added meanwhile.
      await table.put({ pk, sk: HEADER, version: VERSION, ...header }, 'attribute_not_exists(#pk)');
    },

    async append(key: ChatKey, turn: Turn, ttlSeconds: number): Promise<void> {
      const pk = toKey(key);
      const slices = toSlices(turn);
      const ttl = table.expireIn(ttlSeconds);
      const { isWritten, row } = await table.update(
        { pk, sk: HEADER },
        'ADD #turns :one SET #updatedAt = :nowMs, #ttl = :ttl',
        'attribute_exists(#pk) AND #ttl > :now AND #version = :version AND attribute_not_exists(#deleted)',
        { one: 1, ttl, version: VERSION },
      );
      if (!isWritten || row.turns === undefined) throw noSuchChat();
      const rows = toRows(pk, row.turns, slices, ttl);
      await write(rows);
      if (await reader.findHeader(pk)) return;
      // It was deleted meanwhile, by somebody who may not have seen these rows.
      await table.removeAll(rows);
      throw noSuchChat();
    },

    /**
     * Deletes a conversation with all of its turns. After a failure nobody can see it any more, and deleting it again goes on. Resolves
     * with whether there was one.
     *
     * @throws `storage_unavailable`
     */
    async remove(key: ChatKey): Promise<boolean> {
      const pk = toKey(key);
      const header = { pk, sk: HEADER };
      const isThere = 'attribute_exists(#pk) AND #ttl > :now';
      const { isWritten } = await table.update(header, 'SET #deleted = :yes', isThere, { yes: true });
      if (!isWritten) return false;
      const keys = { ConsistentRead: true, ProjectionExpression: '#pk, #sk' };
      for await (const rows of table.query('#pk = :pk AND #sk > :header', { pk, header: HEADER }, keys)) {
        await table.removeAll(rows.map(({ sk = HEADER }) => ({ pk, sk })));
      }
      await table.remove(header);
      return true;
    },
  };
}
