/** The registry of requests in memory: what `aws/requests.ts` does, each call in one step. */
import { GatewayError } from '../../src/chat/errors.ts';
import type { Terminal } from '../../src/chat/events.ts';
import type { Lease, RequestKey } from '../../src/chat/lease.ts';
import type { FailedWorkParts } from '../../src/doors/failed-work.ts';
import type { Waiting } from '../../src/doors/socket-parts.ts';
import type { WorkerParts } from '../../src/doors/worker.ts';

type Row = {
  state: 'waiting' | 'running' | Terminal['type'];
  owner: symbol;
  until: number;
  isCancelled: boolean;
  readonly waiting?: Waiting;
};

export function memoryRegistry(now: () => number = () => 0) {
  const rows = new Map<string, Row>();
  const abandoned = new Map<string, Awaited<ReturnType<FailedWorkParts['requests']['abandon']>>>();
  const idOf = ({ tenant, requestId }: RequestKey) => `${tenant}#${requestId}`;
  const isOpen = ({ state }: Row) => state === 'waiting' || state === 'running';
  const isLive = (row: Row) => isOpen(row) && row.until > now();

  /** The row that stands in the way, if any does. */
  const register = (key: RequestKey, row: Omit<Row, 'isCancelled'>): Row | undefined => {
    const old = rows.get(idOf(key));
    if (old && (isLive(old) || !isOpen(old))) return old;
    rows.set(idOf(key), { ...row, isCancelled: false });
    return undefined;
  };

  const createLease = (key: RequestKey, owner: symbol): Lease & { isLost(): boolean } => {
    let isLost = false;
    return {
      isCancelled: async () => {
        const row = rows.get(idOf(key));
        return row !== undefined && (row.isCancelled || row.owner !== owner);
      },
      end: async (outcome) => {
        const row = rows.get(idOf(key));
        const verdict = row?.isCancelled ? 'cancelled' : outcome;
        isLost = row !== undefined && row.owner !== owner;
        if (row && !isLost) row.state = verdict;
        return verdict;
      },
      isLost: () => isLost,
    };
  };

  const registry: WorkerParts['requests'] & FailedWorkParts['requests'] = {
    async open(key, until) {
      const owner = Symbol();
      if (register(key, { state: 'running', owner, until })) throw conflict();
      return createLease(key, owner);
    },
    async cancel(key) {
      const row = rows.get(idOf(key));
      if (!row || !isLive(row) || row.isCancelled) return false;
      row.isCancelled = true;
      return true;
    },
    async store(key, waiting, until) {
      const owner = Symbol();
      const obstacle = register(key, { state: 'waiting', owner, until, waiting });
      if (obstacle && obstacle.waiting?.messageId !== waiting.messageId) throw conflict();
      return obstacle ? undefined : createLease(key, owner);
    },
    async claim(key, until) {
      const row = rows.get(idOf(key));
      if (!row?.waiting || row.state !== 'waiting' || !isLive(row)) return undefined;
      Object.assign(row, { state: 'running', owner: Symbol(), until });
      const { messageId: _, ...claimed } = row.waiting;
      return { ...claimed, lease: createLease(key, row.owner), isCancelled: row.isCancelled };
    },
    async abandon(key, by, wasRun) {
      const row = rows.get(idOf(key));
      if (row?.waiting?.connectionId !== key.connectionId) return undefined;
      const { slot } = row.waiting;
      const before = abandoned.get(idOf(key) + by);
      if (before) return before;
      if (row.state === 'running' && !wasRun) return undefined;
      if (!isOpen(row)) return { slot };
      const wasTaken = row.state === 'running';
      const outcome = row.isCancelled ? 'cancelled' : 'error';
      Object.assign(row, { state: outcome, owner: Symbol() });
      const ending = { slot, ending: { outcome, wasTaken } } as const;
      abandoned.set(idOf(key) + by, ending);
      return ending;
    },
  };
  return {
    ...registry,
    /** How a request stands, or how it ended. */
    stateOf: (key: RequestKey) => rows.get(idOf(key))?.state,
  };
}

const conflict = () => new GatewayError('conflict', 'This request_id was used.', { param: 'request_id' });
