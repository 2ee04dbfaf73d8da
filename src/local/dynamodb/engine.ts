/**
 * dynalite's operations without their effects: what one would write is handed back, for the caller to
 * commit or to drop. So an item and its index entries are written together or not at all, whatever goes
 * wrong. Whoever commits sees to it that nobody else did since the attempt.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Change, type Done, openStore, runOperation, type Store } from './dynalite.ts';
import { isRefusal, type Refusal } from './refusal.ts';

/** Attributes with their types, as on the wire: `{ "id": { "S": "a" } }`. */
export type Item = Readonly<Record<string, unknown>>;

export type Attempt = {
  /** Empty when the operation was refused. */
  readonly output: object;
  readonly refused: Refusal | undefined;
  readonly changes: readonly Change[];
  /** Where the item is that it was about; no other item is there. */
  readonly row: string | undefined;
};

/** An attempt in the making. */
type Scope = {
  readonly changes: Change[];
  /** What was read last: the item that a condition is held against. */
  seen?: { readonly row: string; readonly item: unknown };
  fail: (error: unknown) => void;
};

export type Engine = Awaited<ReturnType<typeof openEngine>>;

/** @throws `Error` with a sentence for whoever starts the gateway when the folder cannot be opened */
export async function openEngine(path: string | undefined) {
  const store = await openStore(path);
  const { batch } = store.db;
  const scopes = new AsyncLocalStorage<Scope>();
  intercept(store, () => scopes.getStore() as Scope);

  async function attempt(name: string, input: object): Promise<Attempt> {
    const scope: Scope = { changes: [], fail: () => undefined };
    const answer = new Promise<unknown>((resolve, reject) => {
      scope.fail = reject;
      const done: Done = (error, output) => (error ? reject(error) : resolve(output));
      scopes.run(scope, () => runOperation(name, store, input, done));
    });
    try {
      const output = Object(await answer);
      // dynalite has just set a timer, by which it ends the table's transition.
      if (name.endsWith('Table')) await sleep(0);
      return { output, refused: undefined, changes: scope.changes, row: scope.seen?.row };
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return { output: {}, refused: withItem(error, input, scope), changes: [], row: scope.seen?.row };
    }
  }

  return {
    attempt,
    /** All or nothing, even when the process is killed meanwhile. */
    commit: (changes: readonly Change[]) =>
      new Promise<void>((resolve, reject) => {
        batch(changes, (error) => (error ? reject(error) : resolve()));
      }),
    /** The rows of the tables themselves. */
    tables: () => store.db.iterator({ gt: 'table~', lt: 'table~~' }),
    close: () => store.db.close(),
  };
}

/** @throws Refusal when the attempt was refused */
export function toOutput({ output, refused }: Attempt): object {
  if (refused) throw refused;
  return output;
}

function withItem(refused: Refusal, input: object, { seen }: Scope): Refusal {
  const isCondition = refused.body.__type.endsWith('#ConditionalCheckFailedException');
  const isWanted =
    'ReturnValuesOnConditionCheckFailure' in input && input.ReturnValuesOnConditionCheckFailure === 'ALL_OLD';
  if (!isCondition || !isWanted) return refused;
  return Object.assign(refused, { body: { ...refused.body, Item: seen?.item } });
}

/** Keeps back what dynalite writes, and catches what it throws in callbacks, where nobody else would. */
function intercept(store: Store, scopeOf: () => Scope): void {
  const { db, tableDb, getItemDb } = store;
  const { get, createValueStream } = db;

  function keepBack(changes: readonly Change[], done: Done): void {
    const scope = scopeOf();
    scope.changes.push(...changes);
    setImmediate(guarded(scope, done), null);
  }

  db.put = (key, value, done) => keepBack([{ type: 'put', key, value }], done);
  db.del = (key, done) => keepBack([{ type: 'del', key }], done);
  db.batch = keepBack;
  db.get = (row, done) => {
    const scope = scopeOf();
    get(row, (error, item) => {
      if (row.startsWith('item-')) scope.seen = { row, item };
      guarded(scope, done)(error, item);
    });
  };
  db.createValueStream = (range) => {
    const stream = createValueStream(range);
    stream.emit = guarded(scopeOf(), stream.emit.bind(stream));
    return stream;
  };
  // A lock of dynalite's own would stay locked after a callback that threw.
  const lock: typeof tableDb.lock = (_, run) => run((done) => done);
  tableDb.lock = lock;
  store.getItemDb = (table) => Object.assign(getItemDb(table), { lock });
}

function guarded<Args extends unknown[], Result>(scope: Scope, run: (...args: Args) => Result) {
  return (...args: Args) => {
    try {
      return run(...args);
    } catch (error) {
      scope.fail(error);
      return false;
    }
  };
}
