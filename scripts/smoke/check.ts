/**
 * A check of a door, and what it found.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Ending } from '../answer.ts';
import type { Door } from './door.ts';
import { Silence } from './http.ts';

export type Finding = {
  readonly result: 'ok' | 'warning' | 'skipped' | 'FAILED';
  /** What the check measures: mostly how long it took. */
  readonly ms?: number;
  /** For whoever reads the table. */
  readonly note?: string;
  /** For whoever reads the JSON; names end in their unit. */
  readonly figures?: Readonly<Record<string, number>>;
};

export type Check = {
  readonly name: string;
  /** What is wrong is thrown as an `Ending`. */
  readonly run: (door: Door, visit: Visit) => Promise<Finding>;
};

/** One round of checks at a door. */
export type Visit = {
  readonly signal: AbortSignal;
  /** Conversations that are to be deleted before it is over. */
  readonly chats: Set<string>;
};

export type Row = Finding & { readonly door: string; readonly check: string };

/** `1,840 ms` */
export const formatMs = (ms: number): string => `${Math.round(ms).toLocaleString('en-US')} ms`;

/** How long tidying up may take, all of it. */
const TIDY_MS = 10_000;

export type Round = {
  readonly checks: readonly Check[];
  readonly signal: AbortSignal;
  /** For each check. */
  readonly limitSeconds: number;
};

/** Yields a row for each check as it ends, and tidies up also when nobody asks for more. A door that is silent at first is left alone. */
export async function* checkDoor(door: Door, round: Round): AsyncGenerator<Row> {
  const chats = new Set<string>();
  let isSilent = false;
  try {
    for (const [n, { name, run }] of round.checks.entries()) {
      const row = { door: door.place.name, check: name };
      if (isSilent) {
        yield { ...row, result: 'skipped', note: 'The door is silent.' };
        continue;
      }
      const { finding, silent } = await within(round, (signal) => run(door, { signal, chats }));
      isSilent = silent && n === 0;
      yield { ...row, ...finding };
    }
  } finally {
    await tidy(door, chats);
  }
}

/**
 * Gives the work its time.
 *
 * @throws the reason of the round's signal, when that aborts
 */
export async function within(
  { signal, limitSeconds }: Pick<Round, 'signal' | 'limitSeconds'>,
  work: (signal: AbortSignal) => Promise<Finding>,
): Promise<{ readonly finding: Finding; readonly silent: boolean }> {
  const limit = new AbortController();
  const over = AbortSignal.any([signal, limit.signal]);
  const timer = setTimeout(() => limit.abort(), limitSeconds * 1000);
  const overtaken = new Promise<never>((_, reject) =>
    over.addEventListener('abort', () => reject(over.reason)),
  );
  overtaken.catch(() => undefined);
  try {
    // Overtaken first: what is cut off in the middle may look like an end.
    return { finding: await Promise.race([overtaken, work(over)]), silent: false };
  } catch (thrown) {
    signal.throwIfAborted();
    const note = limit.signal.aborted ? `It was not over within ${limitSeconds} s.` : describe(thrown);
    const silent = limit.signal.aborted || thrown instanceof Silence;
    return { finding: { result: 'FAILED', note }, silent };
  } finally {
    clearTimeout(timer);
    limit.abort();
  }
}

/** What others throw may quote what was sent, so only its name is told. */
function describe(thrown: unknown): string {
  if (thrown instanceof Ending)
    return thrown.message.replace(/\n(request id: .*)$/, ' ($1)').replaceAll('\n', ' ');
  return `The connection broke off, or the check itself failed (${thrown instanceof Error ? thrown.name : 'unknown'}).`;
}

/** Deletes what the checks that failed left behind. What is left all the same, the gateway deletes in time. */
async function tidy({ archive }: Door, chats: ReadonlySet<string>): Promise<void> {
  const stopping = new AbortController();
  const { signal } = stopping;
  const deleting = [...chats].map((id) =>
    archive?.send('DELETE', `/v1/chats/${encodeURIComponent(id)}`, { signal }).catch(() => undefined),
  );
  const late = sleep(TIDY_MS, undefined, { signal }).catch(() => undefined);
  await Promise.race([Promise.all(deleting), late]);
  stopping.abort();
}
