/**
 * Whole answers: from the events that told them, and told again.
 */
import type { KeptAnswer, LearnedAnswer } from './answers.ts';
import type { ModelEvent, Usage } from './events.ts';

/** About as much as a model says at once: between words where there are any, and never within a character. */
const pieces = /.{1,24}\s+|.{1,24}/gsu;

/** What an answer costs whose tokens others have paid for. */
export const nothing: Usage = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0 };

/** The answer as a model gives it, piece by piece. It costs nothing. `model` is named where an operator gave the answer. */
export async function* replay(answer: KeptAnswer, model: string): AsyncGenerator<ModelEvent> {
  const { origin, text, reasoning } = answer;
  yield { type: 'begin', model: answer.model ?? model, cached: origin };
  for (const piece of reasoning.match(pieces) ?? []) yield { type: 'reasoning-delta', block: 0, text: piece };
  const block = reasoning === '' ? 0 : 1;
  for (const piece of text.match(pieces) ?? []) yield { type: 'text-delta', block, text: piece };
  yield { type: 'end', stopReason: 'end_turn', usage: nothing };
}

/** Listens to an answer of a model, and knows at its end whether it can be told again to whoever asks the same. */
export function createRecorder() {
  let model = '';
  let text = '';
  let reasoning = '';
  let isPlain = true;
  let isWhole = false;
  return {
    note(event: ModelEvent) {
      if (event.type === 'begin') model = event.model;
      else if (event.type === 'text-delta') text += event.text;
      else if (event.type === 'reasoning-delta') reasoning += event.text;
      else if (event.type === 'end') isWhole = event.stopReason === 'end_turn';
      // A signature is for whoever sends the reasoning back, and of no use with the next question.
      else if (event.type !== 'reasoning-signature') isPlain = false;
    },
    /** Nothing for an answer that was cut, that a guardrail changed, or that has no text. */
    answer(): LearnedAnswer | undefined {
      const isTold = isWhole && isPlain && text !== '';
      return isTold ? { origin: 'learned', model, text, reasoning } : undefined;
    },
  };
}
