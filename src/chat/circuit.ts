/**
 * Something that helps and may fail, and is left alone while it fails: after some failures in a row it rests, then one at a time may try
 * whether it is well again.
 */
import { type Clock, within } from './clock.ts';

/** How a try ended: it worked, it failed, or whoever tried left before that was known. */
export type Outcome = 'worked' | 'failed' | 'left';

export type Circuit = {
  /** Nothing while it rests; else to be told once how the try ended. */
  enter(): ((outcome: Outcome) => void) | undefined;
};

export type CircuitOptions = {
  /** In a row. */
  readonly maxFailures: number;
  readonly restMs: number;
  readonly clock: Pick<Clock, 'now'>;
};

export function createCircuit({ maxFailures, restMs, clock }: CircuitOptions): Circuit {
  let failures = 0;
  let restsUntil = 0;

  return {
    enter() {
      const isResting = failures >= maxFailures;
      if (isResting && clock.now() < restsUntil) return undefined;
      // Whoever comes while this one tries does not.
      if (isResting) restsUntil = clock.now() + restMs;
      return (outcome) => {
        // What had begun before it rested says nothing of how it is now.
        if (outcome === 'worked' && (isResting || failures < maxFailures)) failures = 0;
        else if (outcome === 'left' && isResting) restsUntil = clock.now();
        else if (outcome === 'failed') {
          failures += 1;
          restsUntil = clock.now() + restMs;
        }
      };
    },
  };
}

export type Tried = {
  readonly circuit: Circuit;
  /** Whoever leaves says nothing of how it went. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly onFailure: (cause?: unknown) => void;
};

export type Try<T> = {
  /** What it comes to; nothing when it fails, is not tried, or takes longer, and then it is given up. */
  within(ms: number): Promise<T | undefined>;
};

/** Begins what may not be well, unless its circuit rests. */
export function startTry<T>(tried: Tried, work: (signal: AbortSignal) => Promise<T>): Try<T> {
  const { circuit, signal, clock, onFailure } = tried;
  const leave = signal.aborted ? undefined : circuit.enter();
  if (!leave) return { within: async () => undefined };
  const over = new AbortController();
  const end = (hasWorked: boolean, cause?: unknown) => {
    if (over.signal.aborted) return;
    over.abort();
    const outcome = hasWorked ? 'worked' : signal.aborted ? 'left' : 'failed';
    leave(outcome);
    if (outcome === 'failed') onFailure(cause);
  };
  const working = work(AbortSignal.any([signal, over.signal])).then(
    (result) => {
      end(true);
      return { result };
    },
    (cause) => {
      end(false, cause);
      return { result: undefined };
    },
  );
  return {
    async within(ms) {
      const done = await within(ms, working, clock);
      if (!done) end(false);
      return done?.result;
    },
  };
}
