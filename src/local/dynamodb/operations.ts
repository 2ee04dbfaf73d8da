/**
 * The operations by their names. Reads run together and a write alone, so that each sees all of another one
 * or nothing of it.
 */
import { openEngine, toOutput } from './engine.ts';
import { createLock } from './lock.ts';
import { createTimeToLive } from './time-to-live.ts';
import { createTransactions } from './transactions.ts';

/** @throws Refusal */
export type Operation = (input: object) => Promise<object>;

const READS = 'BatchGetItem DescribeTable GetItem ListTables ListTagsOfResource Query Scan'.split(' ');
const ITEM_WRITES = 'BatchWriteItem DeleteItem PutItem UpdateItem'.split(' ');
const TABLE_WRITES = 'CreateTable DeleteTable TagResource UntagResource UpdateTable'.split(' ');

/**
 * `now` is in milliseconds since the epoch.
 *
 * @throws `Error` with a sentence for whoever starts the gateway when the folder cannot be opened
 */
export async function openOperations(path: string | undefined, now: () => number) {
  const engine = await openEngine(path);
  const { share, alone } = createLock();
  const timeToLive = createTimeToLive(engine, now);
  const transactions = createTransactions(engine, now);

  const operations = new Map<string, Operation>();
  const addRead = (name: string, run: Operation) => operations.set(name, (input) => share(() => run(input)));
  const addWrite = (name: string, run: Operation) => operations.set(name, (input) => alone(() => run(input)));

  for (const name of READS) addRead(name, async (input) => toOutput(await engine.attempt(name, input)));
  for (const name of [...ITEM_WRITES, ...TABLE_WRITES]) {
    addWrite(name, async (input) => {
      const attempt = await engine.attempt(name, input);
      const output = toOutput(attempt);
      await engine.commit(attempt.changes);
      return output;
    });
  }
  addRead('DescribeTimeToLive', timeToLive.describe);
  addWrite('UpdateTimeToLive', timeToLive.update);
  addRead('TransactGetItems', transactions.read);
  addWrite('TransactWriteItems', transactions.write);
  return { operations, sweep: () => alone(timeToLive.sweep), close: () => alone(engine.close) };
}
