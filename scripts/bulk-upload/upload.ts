/**
 * One run: reads the file's items and writes those that are not settled yet, no faster than DynamoDB takes them.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { basename } from 'node:path';
import { createSender, type Sender } from './batches.ts';
import { type State, toFileMark } from './checkpoint.ts';
import { type Ledger, openLedger } from './ledger.ts';
import { startProgress } from './progress.ts';
import { toCuratedAnswer } from './questions.ts';
import { type Found, readItems } from './reader.ts';
import type { Search } from './search.ts';
import { isComparable, withIndex } from './similar.ts';
import { FileProblem } from './syntax.ts';
import { type Place, type Table, UploadFailure } from './table.ts';
import { ItemProblem, prepareItem, requireObject } from './validation.ts';
import { createWriter, type Entry, type Writer } from './writer.ts';

export type Job = {
  readonly path: string;
  readonly place: Place;
  readonly table: Table;
  readonly questions: boolean;
  /** Where the questions are indexed for similar ones; nothing where they are not. */
  readonly search: Search | undefined;
  readonly keepExisting: boolean;
  readonly dryRun: boolean;
  /** Begins anew whatever an earlier run has done. */
  readonly restart: boolean;
  /** Requests at once. */
  readonly concurrency: number;
  /** Ends the run once what is on its way has arrived. */
  readonly signal: AbortSignal;
  readonly giveUpMs: number;
  /** Nothing to show none. */
  readonly progress: Pick<Parameters<typeof startProgress>[0], 'terminal' | 'everyMs' | 'line'> | undefined;
  readonly tell: (sentence: string) => void;
};

export type Result = {
  readonly written: number;
  readonly kept: number;
  readonly rejected: number;
  /** Of the written and the kept, those that the index has, or that it could have in a dry run. */
  readonly indexed: number;
  readonly rejectsPath: string;
  /** Why it ended before the end of the file, in a sentence. */
  readonly failure: string | undefined;
  /** Another run would go on where this one stopped. */
  readonly canGoOn: boolean;
};

/** @throws UploadFailure when nothing could be begun */
export async function upload(job: Job): Promise<Result> {
  const file = await open(job.path).catch((error) => {
    throw new UploadFailure(`${job.path} cannot be read (${error.code}).`);
  });
  try {
    if (!(await file.stat()).isFile()) throw new UploadFailure(`${job.path} is no file.`);
    return await run(job, file);
  } finally {
    await file.close();
  }
}

async function run(job: Job, file: FileHandle): Promise<Result> {
  const { search, dryRun, signal } = job;
  const mark = await toFileMark(file);
  const subject = { version: 2 as const, file: mark, target: toTarget(job) };
  const ledger = openLedger({ ...job, subject, onFailure: (error) => writer.fail(error) });
  const sender = dryRun ? nowhere : openSender(job);
  const settle = (as: 'written' | 'kept') => (entry: Waiting) =>
    ledger.settle(entry.found.number, as, search && isComparable(entry));
  const writer = createWriter<Waiting>({
    ...job,
    ...sender,
    onWritten: settle('written'),
    onKept: settle('kept'),
    onRefused: ({ found }, name) => ledger.reject(found, `DynamoDB refused the item (${name}).`),
  });
  let bytes = 0;
  const standing = () => ({ bytes, ...ledger.counts });
  const progress = job.progress && startProgress({ ...job.progress, totalBytes: mark.bytes, standing });
  signal.addEventListener('abort', writer.stop);
  try {
    ledger.save();
    const source = file.createReadStream({ start: 0, autoClose: false });
    const failure = await feed(readItems(source), job, ledger, writer, (read) => (bytes = read));
    const canGoOn = !dryRun && (failure instanceof UploadFailure || signal.aborted);
    if (canGoOn) ledger.save();
    else ledger.removeCheckpoint();
    const { rejectsPath, counts } = ledger;
    return { ...counts, rejectsPath, failure: failure?.message, canGoOn };
  } finally {
    signal.removeEventListener('abort', writer.stop);
    progress?.stop();
    sender.close();
    ledger.close();
  }
}

const toTarget = ({ place, table, keepExisting, questions, search }: Job): State['target'] => ({
  endpoint: place.endpoint ?? '',
  table: table.id,
  keepExisting,
  questions,
  index: search ? `${search.endpoint}/${search.index}` : '',
});

function openSender({ place, table, keepExisting, search, signal }: Job): Sender<Waiting> {
  const sender = createSender<Waiting>(place, table.keys, keepExisting);
  return search ? withIndex(sender, place, search, signal) : sender;
}

type Waiting = Entry & { readonly found: Found };

const nowhere: Sender<Waiting> = {
  perRequest: 25,
  send: async (entries) => ({ written: entries }),
  close: () => undefined,
};

/** Takes piece after piece until the file or the run is at its end. Why it is not the end of the file. */
async function feed(
  pieces: ReturnType<typeof readItems>,
  job: Job,
  ledger: Ledger,
  writer: Writer<Waiting>,
  onRead: (bytes: number) => void,
): Promise<FileProblem | UploadFailure | undefined> {
  let problem: FileProblem | undefined;
  try {
    for await (const { items, bytes } of pieces) {
      for (const found of items) if (!ledger.isSettled(found.number)) take(found, job, ledger, writer);
      onRead(bytes);
      await writer.room();
      if (writer.isStopped()) break;
    }
  } catch (error) {
    if (!(error instanceof FileProblem)) throw error;
    problem = error;
  }
  try {
    await writer.finish();
  } catch (error) {
    if (!(error instanceof UploadFailure)) throw error;
    return error;
  }
  return problem;
}

function take(found: Found, { table, questions, path }: Job, ledger: Ledger, writer: Writer<Waiting>): void {
  try {
    if (found.problem !== undefined) throw new ItemProblem(found.problem);
    const given = requireObject(found.value);
    const item = questions ? toCuratedAnswer(given, basename(path)) : given;
    writer.add({ ...prepareItem(item, table.keys), found });
  } catch (error) {
    if (!(error instanceof ItemProblem)) throw error;
    ledger.reject(found, error.message);
  }
}
