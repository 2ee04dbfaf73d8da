/** The parts of dynalite that are used here, with types, which it lacks. */
import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Readable } from 'node:stream';

export type Done = (error: unknown, result?: unknown) => void;
export type Change = { readonly type: 'put' | 'del'; readonly key: string; readonly value?: unknown };

/** The Level database with the rows of all tables. */
type Database = {
  open(): Promise<void>;
  close(): Promise<void>;
  iterator(range: { readonly gt: string; readonly lt: string }): AsyncIterable<[key: string, value: unknown]>;
  get(key: string, done: Done): void;
  put(key: string, value: unknown, done: Done): void;
  del(key: string, done: Done): void;
  batch(changes: readonly Change[], done: Done): void;
  createValueStream(range: object): Readable;
};
type Rows = { lock: (key: string, run: (release: (done: Done) => Done) => void) => void };
export type Store = {
  readonly db: Database;
  readonly tableDb: Rows;
  getItemDb(table: string): Rows;
};

type Validations = {
  /** Takes away what is unknown. */
  checkTypes(input: object, types: object): object;
  /** Adds what the expressions mean. */
  checkValidations(data: object, types: object, custom: unknown, store: Store): void;
};

const require = createRequire(import.meta.url);

/** @throws `Error` with a sentence for whoever starts the gateway when the folder cannot be opened */
export async function openStore(path: string | undefined): Promise<Store> {
  const { create }: { create(options: object): Store } = require('dynalite/db');
  if (path !== undefined) mkdirSync(path, { recursive: true });
  const place = path === undefined ? {} : { path };
  const store = create({ ...place, createTableMs: 0, updateTableMs: 0, deleteTableMs: 0 });
  await store.db.open().catch((cause) => {
    const isLocked = cause.cause?.code === 'LEVEL_LOCKED';
    const problem = isLocked
      ? 'are in use: another gateway is running there. Stop it, or start this one with --memory.'
      : 'cannot be read: delete the folder to start without any.';
    throw new Error(`The tables in ${path} ${problem}`, { cause });
  });
  return store;
}

/** Runs an operation such as `GetItem`. Throws, now or in a callback, or calls `done`. */
export function runOperation(name: string, store: Store, input: object, done: Done): void {
  const file = name.replace(/^./, (first) => first.toLowerCase());
  const { checkTypes, checkValidations }: Validations = require('dynalite/validations');
  const { types, custom }: { types: object; custom?: unknown } = require(`dynalite/validations/${file}`);
  const act: (store: Store, data: object, done: Done) => void = require(`dynalite/actions/${file}`);
  const data = checkTypes(structuredClone(input), types);
  checkValidations(data, types, custom, store);
  act(store, data, done);
}
