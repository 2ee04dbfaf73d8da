/**
 * What a model thought before it answered, in a form that clients send back with the next request: a model that thinks refuses a
 * conversation in which its thoughts before a tool call are missing or altered. OpenAI's API has no field for it; this one is OpenRouter's.
 *
 * @see https://openrouter.ai/docs/use-cases/reasoning-tokens
 */
import * as z from 'zod/mini';
import type { Delta } from '../chat/events.ts';
import type { ContentBlock } from '../chat/request.ts';

export type ReasoningDetail =
  | {
      readonly type: 'reasoning.text';
      readonly index: number;
      readonly text: string;
      readonly signature: string;
    }
  | { readonly type: 'reasoning.encrypted'; readonly index: number; readonly data: string };

/** Details that other providers made, which bear no signature of ours, are left out later. */
export const reasoningDetails = z.nullish(
  z.array(
    z.object({
      type: z.string(),
      text: z.nullish(z.string()),
      signature: z.nullish(z.string()),
      data: z.nullish(z.base64('must be base64')),
    }),
  ),
);

/** Only what is signed or encrypted: the rest cannot be told from words that were put into the model's mouth. */
export const toReasoning = (details: z.output<typeof reasoningDetails>): ContentBlock[] =>
  (details ?? []).flatMap(({ type, text, signature, data }): ContentBlock[] => {
    if (type === 'reasoning.text' && signature) return [{ type: 'reasoning', text: text ?? '', signature }];
    if (type === 'reasoning.encrypted' && data) return [{ type: 'reasoning', text: '', redacted: data }];
    return [];
  });

/** Listens to an answer, and knows at its end what is to be sent back. */
export function createReasoningRecorder() {
  const texts = new Map<number, string>();
  let said = '';
  const details: ReasoningDetail[] = [];
  return {
    note(event: Extract<Delta, { type: 'reasoning-delta' | 'reasoning-signature' }>) {
      const text = texts.get(event.block) ?? '';
      const index = details.length;
      if (event.type === 'reasoning-delta') {
        texts.set(event.block, text + event.text);
        said += event.text;
      } else if (event.signature) {
        details.push({ type: 'reasoning.text', index, text, signature: event.signature });
      } else if (event.redacted) {
        details.push({ type: 'reasoning.encrypted', index, data: event.redacted });
      }
    },
    /** As a field to spread; nothing where there is nothing to send back. */
    field: (): { readonly reasoning_details?: readonly ReasoningDetail[] } =>
      details.length > 0 ? { reasoning_details: details } : {},
    /** All that can be read of it. */
    text: () => said,
  };
}
