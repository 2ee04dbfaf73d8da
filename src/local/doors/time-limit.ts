/**
 * How long work of this process is waited for.
 */
export class TimeLimitError extends Error {
  override name = 'TimeLimitError' as const;
}

/** What takes longer is given up on, though nothing can stop it here. @throws TimeLimitError */
export async function withinTime<Result>(limitMs: number, work: () => Promise<Result>): Promise<Result> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new TimeLimitError(`It took over ${limitMs} ms.`)), limitMs);
  try {
    return await Promise.race([work(), promise]);
  } finally {
    clearTimeout(timer);
  }
}
