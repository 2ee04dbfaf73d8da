/**
 * A conversation: its turns as they are shown, and what of them is told to the gateway.
 */
import { type Answer, createAnswer, isOver } from './answer.ts';
import type { Door } from './door.ts';
import { announce, make } from './element.ts';
import type { PastTurn } from './gateway.ts';
import { type Controls, type Said, toQuestion } from './question.ts';
import { type Run, startRun } from './run.ts';
import { createTurn } from './turn.ts';

type ConversationParts = {
  /** What is chosen, and the door for it. */
  readonly choose: () => { readonly controls: Controls; readonly door: Door };
  /** Called when more is shown, also by a conversation that is not open. */
  readonly onShown: () => void;
  /** Called when an answer begins, gets the conversation's id, and ends. */
  readonly onState: (conversation: Conversation) => void;
};

export class Conversation {
  readonly element = make('ol', { className: 'turns' });
  /** From the first answer on, if the gateway keeps it. */
  id: string | undefined;
  title = '';
  #said: Said[] = [];
  #run: Run | undefined;
  readonly #parts: ConversationParts;

  constructor(parts: ConversationParts, id?: string) {
    this.#parts = parts;
    this.id = id;
  }

  get isEmpty(): boolean {
    return this.element.childElementCount === 0;
  }

  /** Whether an answer is on its way. */
  get isAnswering(): boolean {
    return this.#run !== undefined;
  }

  /** Shows what was said before. */
  add(turns: readonly PastTurn[]) {
    for (const past of turns) {
      const { prompt, text } = past;
      const turn = createTurn({ prompt, onAgain: () => this.ask(prompt), onShown: this.#parts.onShown });
      this.element.append(turn.element);
      turn.show(toAnswer(past));
      this.#said.push({ prompt, text });
    }
    this.title = turns[0]?.prompt ?? '';
  }

  ask(prompt: string): void {
    if (this.#run) return;
    const { controls, door } = this.#parts.choose();
    const requestId = crypto.randomUUID();
    const question = toQuestion({ prompt, requestId, controls, chatId: this.id, said: this.#said });
    const onAgain = () => {
      // What was never answered leaves no trace; what was begun is part of the conversation.
      if (run.answer.text === '') turn.element.remove();
      this.ask(prompt);
    };
    const turn = createTurn({ prompt, onAgain, onShown: this.#parts.onShown });
    this.element.append(turn.element);
    this.title ||= prompt;
    announce('Answering.');
    const run = startRun(door, question, (answer) => {
      if (this.id === undefined && answer.chatId !== undefined) {
        this.id = answer.chatId;
        this.#parts.onState(this);
      }
      turn.show(answer);
    });
    this.#run = run;
    this.#parts.onState(this);
    void run.ended.then(() => {
      this.#run = undefined;
      this.#said.push({ prompt, text: run.answer.text });
      announce(sayEnd(run.answer));
      this.#parts.onState(this);
    });
  }

  /** Stops the answer that is on its way. */
  stop() {
    if (this.#run && !isOver(this.#run.answer)) announce('Stopping.');
    this.#run?.stop();
  }
}

function sayEnd({ state, failure }: Answer): string {
  if (failure) return failure.message;
  return state === 'cancelled' ? 'Answer stopped.' : 'Answer finished.';
}

/** A turn as it was kept: nothing was measured then. */
function toAnswer({ text, model, state, stopReason, usage }: PastTurn): Answer {
  const isKnown = state === 'cancelled' || state === 'partial' || state === 'failed';
  return { ...createAnswer(), text, model, stopReason, usage, state: isKnown ? state : 'complete' };
}
