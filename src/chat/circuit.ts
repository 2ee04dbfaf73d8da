/**
 * Something that helps and may fail, and is left alone while it fails: after some failures on end it rests, then one at a time may try
 * whether it is well again.
 */
import type { Clock } from './clock.ts';

/** How a try ended: it worked, it failed, or whoever tried left before that was known. */
export type Outcome = 'worked' | 'failed' | 'left';

export type Circuit = {
  /** Nothing while it rests; else to be told once how the try ended. */
  enter(): ((outcome: Outcome) => void) | undefined;
};

export type CircuitOptions = {
  /** On end. */
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
        if (outcome === 'worked') failures = 0;
        else if (outcome === 'left' && isResting) restsUntil = clock.now();
        else if (outcome === 'failed') {
          failures += 1;
          restsUntil = clock.now() + restMs;
        }
      };
    },
  };
}
