/**
 * One source that many listen to. It is read only as fast as the fastest of them reads, and let go when the last has left; whoever comes
 * later hears it from the beginning.
 */

export type Flight<T> = {
  /** Ends or fails as the source does. Aborting the signal leaves at once, also while nothing comes. */
  listen(signal: AbortSignal): AsyncGenerator<T, void, undefined>;
};

/** `onOver` is called once, when there is nothing more to come. */
export function createFlight<T>(
  source: (signal: AbortSignal) => AsyncIterable<T>,
  onOver: () => void,
): Flight<T> {
  const upstream = new AbortController();
  const heard: T[] = [];
  let items: AsyncIterator<T> | undefined;
  let pulling: Promise<void> | undefined;
  let listeners = 0;
  let end: { readonly failure?: unknown } | undefined;

  const finish = (how: NonNullable<typeof end>) => {
    if (end) return;
    end = how;
    onOver();
  };

  const pull = async () => {
    try {
      items ??= source(upstream.signal)[Symbol.asyncIterator]();
      const next = await items.next();
      if (next.done) finish({});
      else heard.push(next.value);
    } catch (failure) {
      finish({ failure });
    } finally {
      pulling = undefined;
    }
  };

  const abandon = () => {
    finish({});
    upstream.abort();
    items?.return?.().catch(() => undefined);
  };

  return {
    async *listen(signal) {
      let isListening = true;
      listeners++;
      const leave = () => {
        if (isListening && --listeners === 0) abandon();
        isListening = false;
      };
      signal.addEventListener('abort', leave, { once: true });
      if (signal.aborted) leave();
      try {
        for (let n = 0; ; n++) {
          while (n >= heard.length && !end) {
            pulling ??= pull();
            await pulling;
          }
          const next = heard[n];
          if (next === undefined) break;
          yield next;
        }
        if (end && 'failure' in end) throw end.failure;
      } finally {
        signal.removeEventListener('abort', leave);
        leave();
      }
    },
  };
}
