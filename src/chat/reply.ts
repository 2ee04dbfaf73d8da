/**
 * What a model said, as it is sent back to it: one that called tools goes on from its own words, in their order.
 */
import { assertNever, type Delta } from './events.ts';
import { parseObject } from './json.ts';
import type { ContentBlock } from './request.ts';

/** One of Bedrock's content blocks, as far as it came. */
type Draft = {
  text: string;
  thought: string;
  signature: string;
  readonly redacted: string[];
  call?: { readonly id: string; readonly name: string; json: string; isWhole: boolean };
};

/** Listens to an answer, and knows at its end what is to be sent back. */
export function createReply() {
  const drafts = new Map<number, Draft>();
  const ids = new Set<string>();
  return {
    note(delta: Delta): void {
      const draft = drafts.get(delta.block) ?? { text: '', thought: '', signature: '', redacted: [] };
      drafts.set(delta.block, draft);
      switch (delta.type) {
        case 'text-delta':
          draft.text += delta.text;
          break;
        case 'reasoning-delta':
          draft.thought += delta.text;
          break;
        case 'reasoning-signature':
          draft.signature += delta.signature ?? '';
          if (delta.redacted !== undefined) draft.redacted.push(delta.redacted);
          break;
        case 'tool-start':
          // Models have been seen to give two calls one id, and no result could tell them apart.
          if (!ids.has(delta.id)) draft.call = { id: delta.id, name: delta.name, json: '', isWhole: false };
          ids.add(delta.id);
          break;
        case 'tool-delta':
          if (draft.call) draft.call.json += delta.json;
          break;
        case 'tool-end':
          if (draft.call) draft.call.isWhole = true;
          break;
        default:
          assertNever(delta);
      }
    },

    /** Nothing where no tool was called to the end: then the text alone is enough. */
    blocks(): readonly ContentBlock[] | undefined {
      const blocks = [...drafts.values()].flatMap(toBlocks);
      if (!blocks.some(({ type }) => type === 'tool-use')) return undefined;
      // Anthropic's models refuse a message that ends with reasoning, as that of a broken answer may.
      return blocks.slice(0, blocks.findLastIndex(({ type }) => type !== 'reasoning') + 1);
    },
  };
}

/**
 * Without reasoning that bears no signature: Bedrock refuses it, even for the model whose it was.
 *
 * @see https://github.com/aws-samples/bedrock-chat/pull/851
 */
function toBlocks({ text, thought, signature, redacted, call }: Draft): ContentBlock[] {
  const input = call?.isWhole ? parseObject(call.json) : undefined;
  return [
    ...(signature === '' ? [] : [{ type: 'reasoning' as const, text: thought, signature }]),
    ...redacted.map((data) => ({ type: 'reasoning' as const, text: '', redacted: data })),
    ...(text.trim() === '' ? [] : [{ type: 'text' as const, text }]),
    ...(call && input ? [{ type: 'tool-use' as const, id: call.id, name: call.name, input }] : []),
  ];
}
