/**
 * An answer as far as it has come: what it says, how it stands, and what was measured while it came.
 */
import type { AnswerEvent, Cached, Usage } from './answer-event.ts';
import { brokenOff, type Failure } from './failure.ts';

/** Characters that came at once, and when: milliseconds since the question was sent. */
export type Arrival = { readonly ms: number; readonly chars: number };

export type Answer = {
  /** `partial` is an answer read from history that failed in its midst. */
  state: 'waiting' | 'answering' | 'complete' | 'cancelled' | 'partial' | 'failed';
  text: string;
  reasoning: string;
  model: string;
  chatId: string | undefined;
  cached: Cached | undefined;
  arrivals: Arrival[];
  usage: Usage | undefined;
  stopReason: string;
  /** False only when the gateway said that it could not keep the turn. */
  saved: boolean;
  failure: Failure | undefined;
};

export const createAnswer = (): Answer => ({
  state: 'waiting',
  text: '',
  reasoning: '',
  model: '',
  chatId: undefined,
  cached: undefined,
  arrivals: [],
  usage: undefined,
  stopReason: '',
  saved: true,
  failure: undefined,
});

export const isOver = ({ state }: Answer): boolean => state !== 'waiting' && state !== 'answering';

/** Adds what came `ms` after the question was sent. What comes after the end is nothing. */
export function addEvent(answer: Answer, event: AnswerEvent, ms: number): void {
  if (isOver(answer)) return;
  switch (event.type) {
    case 'start':
      answer.state = 'answering';
      answer.model = event.model;
      answer.chatId = event.chatId;
      answer.cached = event.cached;
      return;
    case 'delta':
      answer.state = 'answering';
      answer.text += event.text;
      answer.reasoning += event.reasoning;
      answer.arrivals.push({ ms, chars: event.text.length + event.reasoning.length });
      return;
    case 'done':
      answer.state = 'complete';
      answer.stopReason = event.stopReason;
      answer.usage = event.usage;
      answer.saved = event.saved;
      return;
    case 'cancelled':
      answer.state = 'cancelled';
      answer.usage = event.usage;
      return;
    case 'error':
      answer.state = 'failed';
      answer.failure = event.failure;
  }
}

/** The events are over. Where none of them was the end, the answer is not whole. */
export function endEvents(answer: Answer, wasStopped: boolean): void {
  if (isOver(answer)) return;
  answer.state = wasStopped ? 'cancelled' : 'failed';
  if (!wasStopped) answer.failure = brokenOff;
}

/** A rate over less than this says nothing. */
const MIN_RATE_MS = 50;

/** Until the first characters came; and how many tokens a second came from then on, where the gateway counted them. */
export function measure({ arrivals, usage }: Answer) {
  const [first, last] = [arrivals[0], arrivals.at(-1)];
  const spanMs = first && last ? last.ms - first.ms : 0;
  const tokens = usage?.output ?? 0;
  return {
    firstTokenMs: first?.ms,
    tokensPerSecond: tokens > 0 && spanMs >= MIN_RATE_MS ? (tokens * 1000) / spanMs : undefined,
  };
}
