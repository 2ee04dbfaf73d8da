/**
 * One question on its way: asks it, measures what comes, and stops it.
 */
import { type Answer, addEvent, createAnswer, endEvents, isOver } from './answer.ts';
import type { Door } from './door.ts';
import type { Question } from './question.ts';

/** How long a stopped answer has to say how it ended, and how often meanwhile it is asked to. */
const STOP_MS = 2_000;
const ASK_AGAIN_MS = 400;

export type Run = {
  readonly answer: Answer;
  /** Cancels the answer where it is made. One that does not confirm it within two seconds is left alone. */
  stop(): void;
  /** Resolves when the answer is over; never rejects. */
  readonly ended: Promise<void>;
};

/** @param onChange called whenever there is more to show */
export function startRun(door: Door, question: Question, onChange: (answer: Answer) => void): Run {
  const answer = createAnswer();
  const leaving = new AbortController();
  const askedAt = performance.now();
  const elapsed = () => performance.now() - askedAt;
  let wasStopped = false;

  const read = async () => {
    try {
      onChange(answer);
      for await (const event of door.ask(question, leaving.signal)) {
        addEvent(answer, event, elapsed());
        onChange(answer);
      }
    } finally {
      leaving.abort();
      // What broke off on its way, or cannot be shown, may still be made, and paid for.
      if (!wasStopped && !isOver(answer)) void door.cancel(question.request_id);
      endEvents(answer, wasStopped);
      onChange(answer);
    }
  };

  const stop = async () => {
    if (wasStopped || isOver(answer)) return;
    wasStopped = true;
    setTimeout(() => leaving.abort(), STOP_MS);
    // The gateway may not have taken the question yet.
    while (!isOver(answer) && !(await door.cancel(question.request_id)))
      await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
  };

  // What cannot be shown ends the answer, and not the conversation.
  return { answer, stop, ended: read().catch(() => undefined) };
}
