/**
 * The `requests` table: every request of the last 24 hours by its tenant and id, so that an id is used once, a running request can be
 * cancelled through any process, and a question that came over a WebSocket waits here for the worker that answers it.
 */
import { randomUUID } from 'node:crypto';
import { GatewayError } from '../chat/errors.ts';
import type { Terminal } from '../chat/events.ts';
import type { Lease, RequestKey, RequestRegistry } from '../chat/lease.ts';
import type { Caller } from '../chat/request.ts';
import { cut, join } from './slices.ts';
import { createTable, type TableParts } from './table.ts';

const DAY_SECONDS = 24 * 60 * 60;

/** A question lies in rows of its own, for as long as a worker may need it. */
const TEXT_SECONDS = 60 * 60;

type RequestRow = {
  readonly state: 'waiting' | 'running' | Terminal['type'];
  /** Whoever wrote the state: a worker that comes second knows by it that it is not the first. */
  readonly owner: string;
  /** A request that has not ended by then is dead. Milliseconds since the epoch. */
  readonly lease: number;
  /** There once somebody cancelled: how the request will end. */
  readonly verdict: 'cancelled';
  readonly caller: Caller;
  readonly connectionId: string;
  readonly slot: string;
  readonly messageId: string;
  /** The rows of the question are `pk#textOwner#0` and so on. */
  readonly textOwner: string;
  readonly textRows: number;
};

/** A question that waits for its worker. */
type Waiting = {
  readonly text: string;
  readonly caller: Caller;
  readonly connectionId: string;
  /** What it takes of the connection's limit. */
  readonly slot: string;
  /** The message that brought it: the same one may be delivered twice. */
  readonly messageId: string;
};

/** `isLost`: whether somebody else ended the request, and tells of it. Known once `end` was called. */
type ClaimedLease = Lease & { isLost(): boolean };

type Claimed = Omit<Waiting, 'messageId'> & {
  readonly lease: ClaimedLease;
  /** Whether somebody cancelled while it waited. */
  readonly isCancelled: boolean;
};

/** A request whose worker died; how it ended, if it was this call that ended it. */
type Abandoned = Pick<Waiting, 'slot'> & {
  readonly ending?: { readonly outcome: 'error' | 'cancelled'; readonly wasTaken: boolean };
};

export function createRequests(parts: TableParts) {
  const requests = createTable<RequestRow>(parts);
  const texts = createTable<{ readonly bytes: Uint8Array }>(parts);

  /** What stood in the way, if anything did. */
  const register = async (
    key: RequestKey,
    fields: Partial<RequestRow>,
  ): Promise<Partial<RequestRow> | undefined> => {
    const { isWritten, row } = await requests.put(
      { pk: toKey(key), ttl: requests.expireIn(DAY_SECONDS), ...fields },
      'attribute_not_exists(#pk) OR #ttl <= :now OR (#state IN (:waiting, :running) AND #lease <= :nowMs)',
      { waiting: 'waiting', running: 'running' },
    );
    return isWritten || row?.owner === fields.owner ? undefined : (row ?? {});
  };

  const createLease = (key: RequestKey, owner: string): ClaimedLease => {
    let isLost = false;
    return {
      // What somebody else ended goes on for nobody.
      async isCancelled() {
        const row = await requests.get(toKey(key));
        return row !== undefined && (row.verdict !== undefined || row.owner !== owner);
      },
      async end(outcome) {
        const change = 'SET #state = if_not_exists(#verdict, :outcome)';
        const values = { outcome, owner };
        const { isWritten, row } = await requests.update(toKey(key), change, '#owner = :owner', values);
        isLost = !isWritten && row !== undefined;
        return (isWritten && row.verdict) || outcome;
      },
      isLost: () => isLost,
    };
  };

  /** The text, which nobody reads a second time. */
  const takeText = async ({ pk, textOwner = '', textRows = 0 }: Partial<RequestRow> & { pk: string }) => {
    const keys = Array.from({ length: textRows }, (_, n) => `${pk}#${textOwner}#${n}`);
    const rows = await Promise.all(keys.map((key) => texts.get(key)));
    for (const key of keys) texts.remove(key).catch(() => undefined);
    return join(rows.map((row) => row?.bytes ?? new Uint8Array()));
  };

  const registry: RequestRegistry = {
    async open(key, until) {
      const owner = randomUUID();
      if (await register(key, { state: 'running', owner, lease: until })) throw conflict();
      return createLease(key, owner);
    },

    async cancel(key) {
      const isLive = '#state IN (:waiting, :running) AND #lease > :nowMs AND #ttl > :now';
      const { isWritten } = await requests.update(
        toKey(key),
        'SET #verdict = :cancelled',
        `${isLive} AND attribute_not_exists(#verdict)`,
        { cancelled: 'cancelled', waiting: 'waiting', running: 'running' },
      );
      return isWritten;
    },
  };

  return {
    ...registry,

    /**
     * Stores a question for a worker that claims it by `until`. Nothing when the same message was stored before.
     *
     * @throws `conflict`, `storage_unavailable`
     */
    async store(key: RequestKey, { text, ...message }: Waiting, until: number): Promise<Lease | undefined> {
      const owner = randomUUID();
      const slices = cut(text);
      const ttl = texts.expireIn(TEXT_SECONDS);
      await Promise.all(
        slices.map((bytes, n) => texts.put({ pk: `${toKey(key)}#${owner}#${n}`, bytes, ttl })),
      );
      const question = { textOwner: owner, textRows: slices.length, ...message };
      const obstacle = await register(key, { state: 'waiting', owner, lease: until, ...question });
      if (!obstacle) return createLease(key, owner);
      if (obstacle.messageId !== message.messageId) throw conflict();
      return undefined;
    },

    /**
     * Takes a waiting question, once: whoever comes second, or too late, gets nothing.
     *
     * @throws `storage_unavailable`
     */
    async claim(key: RequestKey, until: number): Promise<Claimed | undefined> {
      const owner = randomUUID();
      const { isWritten, row } = await requests.update(
        toKey(key),
        'SET #state = :running, #owner = :owner, #lease = :until',
        '#state = :waiting AND #lease > :nowMs',
        { waiting: 'waiting', running: 'running', owner, until },
      );
      const isOurs = isWritten || row?.owner === owner;
      if (!isOurs || !row?.caller || !row.connectionId || !row.slot) return undefined;
      const { caller, connectionId, slot } = row;
      const isCancelled = row.verdict !== undefined;
      const lease = createLease(key, owner);
      return { lease, isCancelled, text: await takeText(row), caller, connectionId, slot };
    },

    /**
     * Ends a request whose worker is dead, unless its id has come to be another's. `by` names who says so: said again, it is true again.
     * `wasRun` is whether a worker was started at all; where none was, a request that runs is another delivery's and is left to it, and
     * nothing is returned.
     *
     * @throws `storage_unavailable`
     */
    async abandon(
      job: RequestKey & Pick<Waiting, 'connectionId'>,
      by: string,
      wasRun: boolean,
    ): Promise<Abandoned | undefined> {
      const { connectionId } = job;
      for (const state of ['waiting', 'running'] as const) {
        const change = 'SET #state = if_not_exists(#verdict, :error), #owner = :owner';
        // The owner says what it was, also to the second who asks.
        const values = { state, connectionId, error: 'error', owner: `${by} ${state}` };
        const condition = '#state = :state AND #connectionId = :connectionId';
        const { row } = await requests.update(toKey(job), change, condition, values);
        if (row?.connectionId !== connectionId || !row.slot) return undefined;
        const { slot, owner, verdict: outcome = 'error' } = row;
        const wasTaken = owner === `${by} running`;
        const isOurs = wasTaken || owner === `${by} waiting`;
        if (isOurs) return { slot, ending: { outcome, wasTaken } };
        if (row.state !== 'running') return { slot };
        if (!wasRun) return undefined;
      }
      return undefined;
    },
  };
}

/** An id has no `#`, so nobody's key can be another's. */
const toKey = ({ tenant, requestId }: RequestKey) => `${tenant}#${requestId}`;

const conflict = () =>
  new GatewayError('conflict', 'This request_id was used in the last 24 hours; choose another.', {
    param: 'request_id',
  });
