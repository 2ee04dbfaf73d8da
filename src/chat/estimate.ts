/**
 * What a broken-off answer has probably cost. Bedrock says so only at the end of a whole one.
 */
import type { Cancelled, Delta } from './events.ts';
import type { ChatRequest, ContentBlock } from './request.ts';

/** Characters to a token, as is usual for English text. */
const TOKEN_CHARS = 4;

export const charsOf = (event: Delta): number =>
  'text' in event ? event.text.length : 'json' in event ? event.json.length : 0;

/** Images and documents are not estimated. Without a request nothing was sent, and nothing is owed. */
export function toCancelled(sent: ChatRequest | undefined, answerChars: number): Cancelled {
  const asked = sent ? [...sent.system, ...sent.messages.flatMap(({ content }) => content)].map(textOf) : [];
  const usage = {
    inputTokens: Math.ceil(asked.join('').length / TOKEN_CHARS),
    outputTokens: Math.ceil(answerChars / TOKEN_CHARS),
    cacheReadTokens: 0,
    cacheWriteTokens: 0,
  };
  return { type: 'cancelled', usage, estimated: true };
}

const textOf = (block: string | ContentBlock): string =>
  typeof block === 'string' ? block : 'text' in block ? block.text : '';
