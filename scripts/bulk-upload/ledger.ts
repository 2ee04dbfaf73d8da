/**
 * What became of each item: counted, kept in the checkpoint, and in the file of the rejected with its reason.
 */
import { createCheckpoint, loadCheckpoint, type State, type Subject } from './checkpoint.ts';
import type { Found } from './reader.ts';
import { createRejects, hasBytes } from './rejects.ts';
import { createSettled } from './settled.ts';

/** `indexed` are some of the written and the kept. */
export type Counts = { written: number; kept: number; rejected: number; indexed: number };

export type LedgerOptions = {
  /** Of the file that is uploaded. */
  readonly path: string;
  readonly subject: Subject;
  /** Without a checkpoint, neither read nor written. */
  readonly dryRun: boolean;
  /** Whatever an earlier run has done is forgotten. */
  readonly restart: boolean;
  readonly tell: (sentence: string) => void;
  readonly onFailure: (error: unknown) => void;
};

export type Ledger = ReturnType<typeof openLedger>;

/** @throws UploadFailure when its files cannot be written */
export function openLedger(options: LedgerOptions) {
  const { path, subject, dryRun, onFailure } = options;
  const rejectsPath = `${path}.rejected.jsonl`;
  const checkpointPath = `${path}.checkpoint.json`;
  const before = resume(options, checkpointPath, rejectsPath);
  const counts: Counts = {
    written: before?.written ?? 0,
    kept: before?.kept ?? 0,
    rejected: before?.rejected ?? 0,
    indexed: before?.indexed ?? 0,
  };
  const settled = createSettled(before?.settled);
  const rejects = createRejects(rejectsPath, before?.rejectedBytes ?? 0);
  const snapshot = (): State => {
    const ranges = settled.ranges().map(([from, to]): [number, number] => [from, to]);
    return { ...subject, settled: ranges, ...counts, rejectedBytes: rejects.bytes() };
  };
  const checkpoint = dryRun ? undefined : createCheckpoint(checkpointPath, snapshot, onFailure);

  function settle(number: number, as: 'written' | 'kept' | 'rejected', isIndexed = false) {
    counts[as] += 1;
    if (isIndexed) counts.indexed += 1;
    settled.add(number);
    checkpoint?.save();
  }

  return {
    rejectsPath,
    counts: counts as Readonly<Counts>,
    isSettled: settled.has,
    settle,
    /** The item itself goes into the file with its reason. */
    reject({ number, line, value }: Pick<Found, 'number' | 'line' | 'value'>, reason: string) {
      rejects.add({ item: number, line, reason, value });
      settle(number, 'rejected');
    },
    /** @throws UploadFailure */
    save: () => checkpoint?.saveNow(),
    /** Nothing remains that another run could go on with. */
    removeCheckpoint: () => checkpoint?.remove(),
    close: rejects.close,
  };
}

function resume(
  { subject, dryRun, restart, tell }: LedgerOptions,
  checkpointPath: string,
  rejectsPath: string,
): State | undefined {
  if (dryRun || restart) return undefined;
  const before = loadCheckpoint(checkpointPath, subject);
  if (before === 'none') return undefined;
  if (before === 'changed' || !hasBytes(rejectsPath, before.rejectedBytes)) {
    tell(
      'An earlier upload was interrupted, but the file, the table or the options changed: it begins anew.',
    );
    return undefined;
  }
  const count = createSettled(before.settled).count();
  tell(`Goes on where an earlier upload stopped: ${count} items are settled.`);
  return before;
}
