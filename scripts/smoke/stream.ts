/**
 * A streamed answer as it arrived, held against the contract, and its times.
 */
import { type AnswerEvent, describeError, Ending, isTerminal } from '../answer.ts';

/** `atMs`: since the question was sent. */
export type Timed = AnswerEvent & { readonly atMs: number };

export type Answer = {
  /** Until the headers had arrived, or until the connection was open. */
  readonly openMs: number;
  readonly events: readonly Timed[];
  /** Empty over a WebSocket, which has none. */
  readonly headers: Headers;
};

export type Asking = {
  readonly signal: AbortSignal;
  /** Told of each event. `cancel` cancels the answer, and resolves with what stood in the way, if anything did. */
  readonly onEvent?: (event: AnswerEvent, cancel: () => Promise<string | undefined>) => void;
};

/**
 * `start`, at least one delta, and exactly one terminal, which is this one and the last.
 *
 * @throws `Ending` with what is wrong
 */
export function requireStream({ events }: Answer, ending: 'done' | 'cancelled'): void {
  const endings = events.filter(({ name }) => isTerminal(name));
  const [first] = events;
  const [end, ...more] = endings;
  if (end?.name === 'error' && ending === 'done') throw fault(describeError(end.data['error']));
  if (!first) throw fault('The stream holds no event.');
  if (first.name !== 'start') throw fault(`The stream begins with ${first.name}, and should with start.`);
  if (!end) throw fault('The stream ends without a terminal event.');
  if (more.length > 0) throw fault(`The stream holds ${endings.length} terminal events.`);
  if (events.at(-1) !== end) throw fault(`The stream goes on after ${end.name}.`);
  if (end.name !== ending) throw fault(`The answer ended as ${end.name}, and should have as ${ending}.`);
  if (!events.some(isDelta)) throw fault('The answer holds no text.');
}

const fault = (sentence: string) => new Ending(1, sentence);

const isDelta = ({ name }: AnswerEvent) => name === 'delta';

/** Text that comes within so many milliseconds comes at once. */
const MOMENT_MS = 50;

export const textOf = ({ events }: Answer): string => events.map(({ data }) => data['text'] ?? '').join('');

/** Those of an answer that is as it should be. */
export function toFigures({ openMs, events }: Answer) {
  const times = events.filter(isDelta).map(({ atMs }) => atMs);
  const [firstDeltaMs = 0] = times;
  return {
    openMs,
    firstEventMs: events[0]?.atMs ?? 0,
    firstDeltaMs,
    totalMs: events.at(-1)?.atMs ?? 0,
    deltas: times.length,
    /** In how many of the periods of 50 ms some text arrived. */
    moments: new Set(times.map((ms) => Math.floor(ms / MOMENT_MS))).size,
    /** Whether somebody on the way kept the text until it was whole. */
    isLump: (times.at(-1) ?? 0) - firstDeltaMs < MOMENT_MS,
  };
}
