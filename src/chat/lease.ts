/**
 * Cancellation across processes. A request is asked by one process and cancelled through another; the lease is what they share. The
 * store decides who came first, so whoever was told that his cancel was taken sees the answer end as `cancelled`.
 */
import type { Ask } from './ask.ts';
import { type Clock, within } from './clock.ts';
import { charsOf, toCancelled } from './estimate.ts';
import { type ChatEvent, isTerminal, type Terminal } from './events.ts';

/** A request is its tenant's: the same id of another tenant is another request. */
export type RequestKey = { readonly tenant: string; readonly requestId: string };

export type Lease = {
  /** Whether somebody has cancelled. Rejects when that cannot be known. */
  isCancelled(): Promise<boolean>;
  /** Stores how the answer ended and resolves with it: `cancelled` when a cancel came first. Rejects when it cannot be stored. */
  end(outcome: Terminal['type']): Promise<Terminal['type']>;
};

export type RequestRegistry = {
  /**
   * Registers a request that begins now. It counts as running until it ends, or until `until`, in milliseconds since the epoch.
   *
   * @throws `conflict` when its tenant used the id in the last 24 hours, `storage_unavailable`
   */
  open(key: RequestKey, until: number): Promise<Lease>;
  /**
   * Whether the request will end as `cancelled` through this call: not when it is unknown, has ended, or was cancelled before.
   *
   * @throws `storage_unavailable`
   */
  cancel(key: RequestKey): Promise<boolean>;
};

/** How often a running answer looks whether it was cancelled elsewhere, in milliseconds. */
const CANCEL_POLL_MS = 500;

/**
 * How long the end of an answer waits to be stored, in milliseconds: as long as the store tries, or what is told might not be what is
 * stored in the end. After that it is told all the same.
 */
const END_MS = 4_000;

/** Asks; where there is a lease, ends the answer soon after it was cancelled, and stores how it ended before it says so. */
export function underLease(ask: Ask): Ask {
  return async function* askUnderLease(request, options) {
    const { clock, lease } = options;
    if (!lease) {
      yield* ask(request, options);
      return;
    }
    const cancelled = new AbortController();
    const stopWatching = watchForCancel(lease, clock, () => cancelled.abort());
    const signal = AbortSignal.any([options.signal, cancelled.signal]);
    let answerChars = 0;
    let outcome: Terminal['type'] = 'cancelled';
    let isStored = false;
    const store = async () => {
      isStored = true;
      return (await within(END_MS, lease.end(outcome), clock).catch(() => undefined)) ?? outcome;
    };
    try {
      for await (const event of ask(request, { ...options, signal })) {
        if (!isTerminal(event)) {
          if (event.type !== 'start') answerChars += charsOf(event);
          yield event;
          continue;
        }
        stopWatching();
        outcome = event.type;
        yield (await store()) === outcome ? event : overruled(event);
      }
    } finally {
      stopWatching();
      if (!isStored) await store();
    }

    function overruled(terminal: Terminal): ChatEvent {
      const estimate = toCancelled(request, answerChars);
      return terminal.type === 'done' && terminal.usage ? { ...estimate, usage: terminal.usage } : estimate;
    }
  };
}

/** Looks every half second until it is stopped; a look that fails is made up for by the next. */
function watchForCancel(lease: Lease, clock: Clock, onCancel: () => void): () => void {
  let isStopped = false;
  let disarm = () => {};
  const look = async () => {
    const isCancelled = await lease.isCancelled().catch(() => false);
    if (isStopped) return;
    if (isCancelled) onCancel();
    else wait();
  };
  const wait = () => {
    disarm = clock.after(CANCEL_POLL_MS, look);
  };
  wait();
  return () => {
    isStopped = true;
    disarm();
  };
}
