/** A readers/writer lock: first come, first served, so that neither readers nor writers starve. */
export function createLock() {
  /** Settled when all writers so far are done, and when everybody is. */
  let written: Promise<unknown> = Promise.resolve();
  let idle = written;

  return {
    /** Runs next to others that share. */
    share<Result>(run: () => Promise<Result>): Promise<Result> {
      const result = written.then(run);
      idle = Promise.all([idle, result.catch(() => undefined)]).then(() => undefined);
      return result;
    },
    /** Runs when nobody else does. */
    alone<Result>(run: () => Promise<Result>): Promise<Result> {
      const result = idle.then(run);
      idle = written = result.catch(() => undefined);
      return result;
    },
  };
}
