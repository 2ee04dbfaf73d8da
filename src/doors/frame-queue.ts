/**
 * What waits to be sent as frames. Deltas of one kind that follow each other become one; a frame takes as much of it as fits.
 */
import type { Clock } from '../chat/clock.ts';
import type { WireEvent } from './answer.ts';

/** What may wait before the model is left to wait, in characters. */
const READ_AHEAD_CHARS = 64 * 1024;

type Delta = { readonly kind: 'text' | 'reasoning'; readonly text: string };

export type Frame = {
  readonly text: string;
  /** To be called when it has been delivered. */
  remove(): void;
};

export type FrameQueue = ReturnType<typeof createFrameQueue>;

export function createFrameQueue(requestId: string, firstSeq = 0) {
  const waiting: (WireEvent | Delta)[] = [];
  const changes = createSignal();
  let seq = firstSeq;
  let chars = 0;
  let isEnded = false;
  let isDiscarded = false;

  const toText = ({ name, data }: WireEvent) =>
    JSON.stringify({ type: name, request_id: requestId, seq, ...data });
  const toDeltaText = ({ kind, text }: Delta) => toText({ name: 'delta', data: { [kind]: text } });

  /** More may be said until the frame is delivered; it stands behind what the frame took. */
  const shorten = (length: number) => {
    const [first] = waiting;
    if (first && 'kind' in first && first.text.length > length) {
      waiting[0] = { ...first, text: first.text.slice(length) };
    } else waiting.shift();
    chars -= length;
  };

  return {
    push(event: WireEvent) {
      if (isDiscarded) return;
      const delta = toDelta(event);
      const last = waiting.at(-1);
      if (delta && last && 'kind' in last && last.kind === delta.kind) {
        waiting[waiting.length - 1] = { ...last, text: last.text + delta.text };
      } else waiting.push(delta ?? event);
      chars += delta?.text.length ?? 0;
      changes.raise();
    },

    /** Nothing will come after what waits. */
    end() {
      isEnded = true;
      changes.raise();
    },

    /** Nobody sends any more: nothing waits, and there is always room. */
    discard() {
      isDiscarded = true;
      waiting.length = 0;
      chars = 0;
      changes.raise();
    },

    /** Resolves when there is room for more. */
    async room() {
      while (chars > READ_AHEAD_CHARS) await changes.raised();
    },

    /** Resolves when something waits; with false when nothing will. */
    async ready(): Promise<boolean> {
      while (waiting.length === 0 && !isEnded) await changes.raised();
      return waiting.length > 0;
    },

    /** Resolves after so many milliseconds, or earlier when all is there. */
    async gather(ms: number, clock: Clock) {
      if (ms <= 0) return;
      let isLong = false;
      const disarm = clock.after(ms, () => {
        isLong = true;
        changes.raise();
      });
      while (!isLong && !isEnded) await changes.raised();
      disarm();
    },

    /** Whether the next frame is a delta. */
    get isDelta() {
      return waiting[0] !== undefined && 'kind' in waiting[0];
    },

    /** The first that waits, or as much of it as fits. */
    next(maxBytes: number): Frame {
      const [first] = waiting;
      if (!first) throw new TypeError('Nothing waits.');
      const delta =
        'kind' in first ? takeFrom(first, maxBytes - toDeltaText({ ...first, text: '' }).length) : undefined;
      return {
        text: 'kind' in first ? toDeltaText(delta ?? first) : toText(first),
        remove() {
          shorten(delta?.text.length ?? 0);
          seq++;
          changes.raise();
        },
      };
    },
  };
}

function toDelta({ name, data }: WireEvent): Delta | undefined {
  if (name !== 'delta') return undefined;
  if ('text' in data && typeof data.text === 'string') return { kind: 'text', text: data.text };
  if ('reasoning' in data && typeof data.reasoning === 'string') {
    return { kind: 'reasoning', text: data.reasoning };
  }
  return undefined;
}

/**
 * As many characters from the front as JSON writes into so many bytes. It writes a surrogate pair in four and half of one in six, so
 * wherever a half fits the whole does.
 */
function takeFrom(delta: Delta, maxBytes: number): Delta {
  const { text } = delta;
  const fits = (length: number) => Buffer.byteLength(JSON.stringify(text.slice(0, length))) - 2 <= maxBytes;
  let [low, high] = [1, Math.min(text.length, maxBytes)];
  if (fits(high)) low = high;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (fits(middle)) low = middle;
    else high = middle - 1;
  }
  return { ...delta, text: text.slice(0, low) };
}

/** Something that changes, and those who wait for it. */
function createSignal() {
  const waiting: (() => void)[] = [];
  return {
    raise() {
      for (const resume of waiting.splice(0)) resume();
    },
    raised: () => new Promise<void>((resolve) => waiting.push(resolve)),
  };
}
