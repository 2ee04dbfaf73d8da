/**
 * Time as an argument. Nothing in `chat/` asks the machine what time it is, so that a test can turn the hands itself.
 */

export type Clock = {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Calls `run` once, `ms` milliseconds from now (at once for 0 or less). Returns what calls it off. */
  after(ms: number, run: () => void): () => void;
};

/** What the promise comes to, or nothing when it takes longer than `ms`. The promise itself goes on. */
export function within<T>(ms: number, promise: Promise<T>, clock: Clock): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const disarm = clock.after(ms, () => resolve(undefined));
    promise.then(resolve, reject).finally(disarm);
  });
}
