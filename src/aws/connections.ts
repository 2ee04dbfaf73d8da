/**
 * The `connections` table: who opened a WebSocket, how many messages came over it in this second, and which requests it waits for.
 */
import { randomUUID } from 'node:crypto';
import type { RequestKey } from '../chat/lease.ts';
import type { Caller } from '../chat/request.ts';
import { createTable, type TableParts } from './table.ts';

/** API Gateway closes a connection after two hours; the rest is for clocks that differ. */
const TTL_SECONDS = 2 * 60 * 60 + 10 * 60;

type ConnectionRow = {
  readonly tenant: string;
  readonly kind: Caller['kind'];
  /** Of the identity, in milliseconds since the epoch. */
  readonly expiresAt: number;
  /** The second of the newest message, and how many came in it. */
  readonly second: number;
  readonly messages: number;
  /** A slot for each running request; absent where there is none. */
  readonly running: ReadonlySet<string>;
};

type Connection = { readonly caller: Caller; readonly expiresAt: number };

type Limits = { readonly messagesPerSecond: number; readonly running: number };

export function createConnections(parts: TableParts, limits: Limits) {
  const connections = createTable<ConnectionRow>(parts);
  const isOpen = '#ttl > :now';

  const release = async (id: string, slots: readonly string[]): Promise<void> => {
    await connections.update(id, 'DELETE #running :slots', isOpen, { slots: new Set(slots) });
  };

  return {
    /** @throws `storage_unavailable`, as all of these do */
    async add(id: string, { tenant, kind }: Caller, expiresAt: number): Promise<void> {
      const ttl = connections.expireIn(TTL_SECONDS);
      await connections.put({ pk: id, tenant, kind, expiresAt, second: 0, messages: 0, ttl });
    },

    /** Counts a message. Whose connection it is; `busy` where messages come too fast; nothing where it is not open. */
    async enter(id: string): Promise<Connection | 'busy' | undefined> {
      const isNewSecond = await connections.update(
        id,
        'SET #second = :now, #messages = :one',
        `${isOpen} AND #second < :now`,
        { one: 1 },
      );
      const { isWritten, row } = isNewSecond.isWritten
        ? isNewSecond
        : await connections.update(
            id,
            'SET #messages = #messages + :one',
            `${isOpen} AND #messages < :most`,
            { one: 1, most: limits.messagesPerSecond },
          );
      if (!row?.tenant || !row.kind || connections.isOver(row)) return undefined;
      if (!isWritten) return 'busy';
      return {
        caller: { tenant: row.tenant, kind: row.kind, door: 'websocket' },
        expiresAt: row.expiresAt ?? 0,
      };
    },

    /** A slot for a request that may run until then; nothing where as many run as may. */
    async reserve(id: string, requestId: string, until: number): Promise<string | undefined> {
      const slot = [requestId, until, randomUUID()].join(SEPARATOR);
      const take = () =>
        connections.update(
          id,
          'ADD #running :slots',
          `${isOpen} AND (attribute_not_exists(#running) OR size(#running) < :most)`,
          { slots: new Set([slot]), most: limits.running },
        );
      const { isWritten, row } = await take();
      if (isWritten) return slot;
      const dead = [...(row?.running ?? [])].filter((taken) => read(taken).until <= parts.now());
      if (dead.length === 0) return undefined;
      await release(id, dead);
      return (await take()).isWritten ? slot : undefined;
    },

    async isOpen(id: string): Promise<boolean> {
      return (await connections.get(id)) !== undefined;
    },

    release,

    /** Forgets the connection. Resolves with the ids of the requests that nobody waits for now, and whose they are. */
    async remove(id: string): Promise<readonly RequestKey[]> {
      const row = await connections.remove(id);
      const { tenant, running = [] } = row ?? {};
      return tenant === undefined
        ? []
        : [...running].map((slot) => ({ tenant, requestId: read(slot).requestId }));
    },
  };
}

/** No request id has one. */
const SEPARATOR = '#';

function read(slot: string) {
  const [requestId = '', until] = slot.split(SEPARATOR);
  return { requestId, until: Number(until) };
}
