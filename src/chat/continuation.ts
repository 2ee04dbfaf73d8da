/**
 * What has been told of an answer, so that another telling of it can go on where the first broke off: nothing twice, and nothing that was
 * never said.
 */
import type { ModelEvent } from './events.ts';

export type Continuation = {
  /** What of the event has not been told yet, if anything; nothing but `differs` once the telling is another than what was told. */
  next(event: ModelEvent): ModelEvent | 'told' | 'differs';
  /** From here on events belong to another telling, from its beginning. */
  restart(): void;
};

export function createContinuation(): Continuation {
  let told = '';
  let at = 0;
  let last = '';
  return {
    next(event) {
      if (event.type === 'end') return at === told.length ? event : 'differs';
      const { mark, words } = read(event);
      const head = mark === last ? '' : mark;
      const piece = head + words;
      const known = told.slice(at, at + piece.length);
      const isCutBetweenWords = known === '' || known.length >= head.length;
      if (!piece.startsWith(known) || !isCutBetweenWords) return 'differs';
      at += piece.length;
      last = mark;
      if (known === piece) return 'told';
      told += piece.slice(known.length);
      return known === '' || !('text' in event)
        ? event
        : { ...event, text: words.slice(known.length - head.length) };
    },
    restart() {
      at = 0;
      last = '';
    },
  };
}

/** Words that belong together however they are cut, and what tells them from others. Whatever else it is has to be the same as a whole. */
function read(event: Exclude<ModelEvent, { readonly type: 'end' }>) {
  // One may come from a model and the other from what was learned of it.
  if (event.type === 'begin') return { mark: `\0begin ${event.model}\0`, words: '' };
  if (!('text' in event)) return { mark: `\0${JSON.stringify(event)}\0`, words: '' };
  return { mark: `\0${event.type} ${event.block}\0`, words: event.text };
}
