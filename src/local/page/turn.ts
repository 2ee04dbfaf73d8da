/**
 * A question and its answer, as they stand in the conversation.
 */
import { type Answer, isOver } from './answer.ts';
import { createBlockWriter } from './blocks.ts';
import { make, makeButton } from './element.ts';
import { describeEnd, drawFacts } from './facts.ts';
import { createBlockView } from './markdown.ts';

export type TurnView = {
  readonly element: HTMLLIElement;
  /** Shows the answer as it is by then: at most once for each frame that the browser draws. */
  show(answer: Answer): void;
};

type TurnOptions = {
  readonly prompt: string;
  /** Asks the same again. */
  readonly onAgain: () => void;
  /** Called when what is shown has changed. */
  readonly onShown: () => void;
};

export function createTurn({ prompt, onAgain, onShown }: TurnOptions): TurnView {
  const thoughts = make('div', { className: 'thoughts' });
  const reasoning = make('details', { hidden: true }, make('summary', {}, 'Reasoning'), thoughts);
  const text = make('div', { className: 'text' });
  const waiting = make('p', { className: 'waiting' }, 'Waiting for the first token');
  const note = make('div', { className: 'note', hidden: true });
  const facts = make('p', { className: 'facts' });
  const article = make('article', { ariaLabel: 'Answer' }, reasoning, text, waiting, note, facts);
  const question = make('div', { className: 'question', role: 'group', ariaLabel: 'Question' }, prompt);
  const element = make('li', { className: 'turn' }, question, article);
  const showBlocks = createBlockView(text);
  const writer = createBlockWriter();
  let written = 0;
  let frame = 0;

  const draw = (answer: Answer) => {
    frame = 0;
    const isDone = isOver(answer);
    const added = answer.text.slice(written);
    written = answer.text.length;
    const blocks = writer.add(added);
    showBlocks(isDone ? writer.end() : blocks);
    reasoning.hidden = answer.reasoning === '';
    thoughts.textContent = answer.reasoning;
    waiting.hidden = isDone || answer.text !== '' || answer.reasoning !== '';
    article.ariaBusy = String(!isDone);
    element.dataset['state'] = answer.state;
    if (isDone) {
      note.replaceChildren(...drawNote(answer, onAgain));
      note.hidden = note.childElementCount === 0;
      note.classList.toggle('error', answer.failure !== undefined);
    }
    facts.replaceChildren(...drawFacts(answer));
    onShown();
  };

  return {
    element,
    show(answer) {
      // A tab that nobody sees draws no frames; what has ended is shown all the same.
      if (isOver(answer)) {
        cancelAnimationFrame(frame);
        draw(answer);
      } else frame ||= requestAnimationFrame(() => draw(answer));
    },
  };
}

function drawNote(answer: Answer, onAgain: () => void): HTMLElement[] {
  const { failure } = answer;
  const end = describeEnd(answer);
  if (!failure) return end ? [make('p', {}, end)] : [];
  return [
    make('p', {}, failure.message),
    ...(failure.requestId ? [make('p', { className: 'request-id' }, `Request ${failure.requestId}`)] : []),
    ...(failure.retryable ? [makeButton('Try again', onAgain)] : []),
  ];
}
