/**
 * Sends items so many at once, and again until they are written. No two items of one key are on their way at the same time, so the later
 * one of the file wins, and a batch has none twice. Knows nothing of DynamoDB.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Send } from './batches.ts';
import { UploadFailure } from './table.ts';
import type { Prepared } from './validation.ts';

export type Entry = Prepared & {
  /** Sent by itself, since it may be why a batch was refused. */
  readonly isAlone?: boolean;
};

export type WriterOptions<Item> = {
  readonly send: Send<Item>;
  readonly perRequest: number;
  /** Requests at once. */
  readonly concurrency: number;
  /** How long nothing at all may be written before the upload is given up. */
  readonly giveUpMs: number;
  readonly onWritten: (entry: Item) => void;
  readonly onKept: (entry: Item) => void;
  readonly onRefused: (entry: Item, name: string) => void;
};

/** A request may have 16 MB, and in JSON a character may take 6 bytes. */
const MAX_REQUEST_BYTES = 2 * 1024 * 1024;

/** Of items that were read and are not written yet, as DynamoDB counts. */
const MAX_WAITING_BYTES = 32 * 1024 * 1024;

const FIRST_PAUSE_MS = 50;
const MAX_PAUSE_MS = 5_000;

export type Writer<Item> = {
  /** Nothing more is sent after `stop`. */
  add(entry: Item): void;
  /** Resolves when more may be added, and at once when it is of no use any more. */
  room(): Promise<void>;
  /** Resolves when all is written, or after `stop` when nothing is on its way. @throws UploadFailure */
  finish(): Promise<void>;
  stop(): void;
  /** Stops, and lets `finish` throw it. */
  fail(error: unknown): void;
  isStopped(): boolean;
};

export function createWriter<Item extends Entry>(options: WriterOptions<Item>): Writer<Item> {
  const { send, perRequest, concurrency, giveUpMs } = options;
  const ready: Item[] = [];
  /** By each key that is ready or on its way, the items of the same key that come after it. */
  const followers = new Map<string, Item[]>();
  const repeated = new WeakSet<Item>();
  const stopping = new AbortController();
  let waiting = { items: 0, bytes: 0 };
  let sending = 0;
  let isFlushing = false;
  let stuckSince: number | undefined;
  let failure: unknown;
  let wake = () => {};

  const hasRoom = () => waiting.items <= 2 * concurrency * perRequest && waiting.bytes <= MAX_WAITING_BYTES;
  const isOver = () => sending === 0 && (stopping.signal.aborted || waiting.items === 0);

  /** Nothing while more may come that would fill the request. */
  function take(): Item[] | undefined {
    const isWorthwhile = isFlushing || ready.length >= perRequest;
    if (stopping.signal.aborted || !isWorthwhile || ready.length === 0) return undefined;
    const limit = ready[0]?.isAlone ? 1 : perRequest;
    let bytes = 0;
    const tooMany = ready.findIndex((entry, at) => {
      bytes += entry.bytes;
      return at > 0 && (at >= limit || bytes > MAX_REQUEST_BYTES || entry.isAlone === true);
    });
    return ready.splice(0, tooMany === -1 ? ready.length : tooMany);
  }

  function pump() {
    while (sending < concurrency) {
      const batch = take();
      if (!batch) break;
      sending += 1;
      void work(batch).catch(fail).finally(onIdle);
    }
  }

  function onIdle() {
    sending -= 1;
    pump();
    wake();
  }

  async function work(first: Item[]) {
    let failures = 0;
    for (let batch: Item[] | undefined = first; batch; batch = take()) {
      const outcome = await send(
        batch,
        batch.some((entry) => repeated.has(entry)),
      );
      const { written = [], kept = [], left = [], leftBy, refusal } = outcome;
      for (const entry of written) settle(entry, options.onWritten);
      for (const entry of kept) settle(entry, options.onKept);
      if (refusal !== undefined) refuse(batch, refusal);
      sendAgain(left);
      const hasProgress = left.length < batch.length;
      failures = hasProgress ? 0 : failures + 1;
      noteProgress(hasProgress, leftBy);
      wake();
      if (left.length > 0) await pause(failures);
    }
  }

  function settle(entry: Item, tell: (entry: Item) => void) {
    waiting = { items: waiting.items - 1, bytes: waiting.bytes - entry.bytes };
    tell(entry);
    const [next, ...rest] = followers.get(entry.key) ?? [];
    if (!next) followers.delete(entry.key);
    else {
      followers.set(entry.key, rest);
      ready.push(next);
    }
  }

  function refuse(batch: readonly Item[], name: string) {
    const [only, ...others] = batch;
    if (only && others.length === 0) settle(only, (entry) => options.onRefused(entry, name));
    else ready.unshift(...batch.map((entry) => ({ ...entry, isAlone: true })));
  }

  function sendAgain(entries: readonly Item[]) {
    for (const entry of entries) repeated.add(entry);
    ready.unshift(...entries);
  }

  function noteProgress(isSome: boolean, waitsFor = 'DynamoDB') {
    const now = performance.now();
    stuckSince = isSome ? undefined : (stuckSince ?? now);
    if (stuckSince !== undefined && now - stuckSince >= giveUpMs)
      throw new UploadFailure(
        `${waitsFor} has taken nothing for ${Math.round(giveUpMs / 1000)} seconds; it is overloaded or cannot be reached.`,
      );
  }

  /** Full jitter: whoever was turned away together does not come back together. */
  async function pause(failures: number) {
    const longest = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures);
    await sleep(Math.random() * longest, undefined, { signal: stopping.signal }).catch(() => undefined);
  }

  function fail(error: unknown) {
    failure ??= error;
    stopping.abort();
    wake();
  }

  /** What is waited for may be in a request that is not full, so it is sent as it is. */
  async function waitUntil(isSo: () => boolean) {
    if (isSo()) return;
    isFlushing = true;
    for (pump(); !isSo(); ) await new Promise<void>((resolve) => (wake = resolve));
    isFlushing = false;
  }

  return {
    add(entry) {
      waiting = { items: waiting.items + 1, bytes: waiting.bytes + entry.bytes };
      const others = followers.get(entry.key);
      if (others) others.push(entry);
      else {
        followers.set(entry.key, []);
        ready.push(entry);
      }
      pump();
    },
    room: () => waitUntil(() => hasRoom() || stopping.signal.aborted),
    async finish() {
      await waitUntil(isOver);
      if (failure) throw failure;
    },
    stop() {
      stopping.abort();
      wake();
    },
    fail,
    isStopped: () => stopping.signal.aborted,
  };
}
