/**
 * Stays with the newest text while the reader is there, and offers the way back when he is not.
 */
import { find } from './element.ts';

/** How near to the end counts as being there, in pixels. */
const NEAR = 48;

export type Scrolling = {
  /** To be called when there is more to see. */
  follow(): void;
  toEnd(): void;
};

export function watchScrolling(): Scrolling {
  const pane = find('conversation', HTMLElement);
  const newest = find('newest', HTMLButtonElement);
  let isAtEnd = true;
  const look = () => {
    isAtEnd = pane.scrollHeight - pane.scrollTop - pane.clientHeight < NEAR;
    newest.hidden = isAtEnd;
  };
  const toEnd = () => {
    pane.scrollTop = pane.scrollHeight;
    look();
  };
  pane.addEventListener('scroll', look, { passive: true });
  newest.onclick = () => {
    toEnd();
    find('question', HTMLTextAreaElement).focus();
  };
  return { follow: () => (isAtEnd ? toEnd() : look()), toEnd };
}
