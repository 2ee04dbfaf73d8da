/**
 * What a run has done, kept beside its file, so that another one goes on after it was killed. It is replaced as a whole, and never says more
 * than what is in the table and in the file of the rejected.
 */
import { createHash } from 'node:crypto';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { UploadFailure } from './table.ts';

const count = z.int().min(0);

const schema = z.object({
  version: z.literal(2),
  file: z.object({ bytes: count, mtimeMs: z.number(), startSha256: z.string() }),
  target: z.object({
    endpoint: z.string(),
    table: z.string(),
    keepExisting: z.boolean(),
    questions: z.boolean(),
    /** The index of similar questions; empty without one. */
    index: z.string(),
  }),
  /** Numbers of items, from and to. */
  settled: z.array(z.tuple([count, count])),
  written: count,
  kept: count,
  rejected: count,
  indexed: count,
  rejectedBytes: count,
});

export type State = z.infer<typeof schema>;

/** What a run is about: where this differs, it cannot go on where another one stopped. */
export type Subject = Pick<State, 'version' | 'file' | 'target'>;

const START_BYTES = 64 * 1024;

export async function toFileMark(file: FileHandle): Promise<State['file']> {
  const { size, mtimeMs } = await file.stat();
  const { buffer, bytesRead } = await file.read(Buffer.alloc(START_BYTES), 0, START_BYTES, 0);
  const startSha256 = createHash('sha256').update(buffer.subarray(0, bytesRead)).digest('hex');
  return { bytes: size, mtimeMs, startSha256 };
}

/** `changed`: there is one, of another file, table or options. */
export function loadCheckpoint(path: string, subject: Subject): State | 'none' | 'changed' {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return 'none';
  }
  try {
    const state = schema.parse(JSON.parse(text));
    const { version, file, target } = state;
    return isDeepStrictEqual({ version, file, target }, subject) ? state : 'changed';
  } catch {
    return 'changed';
  }
}

/** Between writes: five times as long as the last one took, within these bounds. */
const MIN_PAUSE_MS = 3;
const MAX_PAUSE_MS = 20;

/**
 * `snapshot` is asked when it is time to write; `onFailure` is told of a write that failed. Written synchronously: what is not in it yet when
 * the process is killed is uploaded again, and a thread would have it wait for many turns of a busy loop.
 */
export function createCheckpoint(path: string, snapshot: () => State, onFailure: (error: unknown) => void) {
  const next = `${path}.tmp`;
  let timer: NodeJS.Timeout | undefined;
  let isDue = false;
  let mayWriteAtMs = 0;

  /** @throws UploadFailure */
  function write() {
    const beganMs = performance.now();
    try {
      writeFileSync(next, JSON.stringify(snapshot()));
      renameSync(next, path);
    } catch (error) {
      throw toFailure(path, error);
    }
    const endedMs = performance.now();
    mayWriteAtMs = endedMs + Math.min(MAX_PAUSE_MS, Math.max(MIN_PAUSE_MS, 5 * (endedMs - beganMs)));
  }

  function writeIfDue() {
    if (!isDue) return;
    settleTimer();
    try {
      write();
    } catch (error) {
      onFailure(error);
    }
  }

  function settleTimer() {
    isDue = false;
    clearTimeout(timer);
    timer = undefined;
  }

  return {
    /** Soon, and then with all that was done by then. */
    save() {
      const waitMs = mayWriteAtMs - performance.now();
      if (waitMs <= 0) queueMicrotask(writeIfDue);
      else timer ??= setTimeout(writeIfDue, waitMs);
      isDue = true;
    },

    /** @throws UploadFailure */
    saveNow() {
      settleTimer();
      write();
    },

    remove() {
      settleTimer();
      rmSync(path, { force: true });
    },
  };
}

const toFailure = (path: string, error: unknown) =>
  new UploadFailure(
    `${path} cannot be written (${Object(error).code}); it is what an interrupted upload goes on by.`,
  );
