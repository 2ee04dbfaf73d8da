/**
 * A way to ask a gateway: over server-sent events, or over the WebSocket.
 */
import type { AnswerEvent } from './answer-event.ts';
import type { Question } from './question.ts';

export type Door = {
  /** The events of an answer; what goes wrong is an `error` among them. They stop, maybe without an end, when the signal aborts. */
  ask(question: Question, signal: AbortSignal): AsyncIterable<AnswerEvent>;
  /** Asks for the end of a running answer, and says whether that is known to be taken; the answer's events tell its end. */
  cancel(requestId: string): Promise<boolean>;
};
