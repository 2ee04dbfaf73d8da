/** A clock whose hands the test turns. */
import type { Clock } from '../../src/chat/clock.ts';

export type ManualClock = Clock & {
  /** Lets `ms` pass: timers fire in their order, and what they set off runs before the next. */
  advance(ms: number): Promise<void>;
  /** Timers that are still armed. */
  readonly armed: number;
};

export function createManualClock(startMs = 1_000_000): ManualClock {
  let now = startMs;
  let timers: { readonly at: number; readonly run: () => void }[] = [];
  return {
    now: () => now,
    after(ms, run) {
      const timer = { at: now + Math.max(ms, 0), run };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
    async advance(ms) {
      const end = now + ms;
      await settle();
      for (;;) {
        const [next] = timers.filter(({ at }) => at <= end).sort((one, other) => one.at - other.at);
        if (!next) break;
        timers = timers.filter((timer) => timer !== next);
        now = Math.max(now, next.at);
        next.run();
        await settle();
      }
      now = end;
    },
    get armed() {
      return timers.length;
    },
  };
}

/** Everything that is ready to run has run; reading a request's body takes a few turns of its own. */
export async function settle(turns = 5): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
}
