/**
 * Texts that come as numbers: some clients, LangChain for Python among them, cut a text into OpenAI's tokens before they send it, whatever
 * model is to read it.
 */
import type { Tiktoken } from 'js-tiktoken/lite';

/** The last of the vocabulary `cl100k_base`, which OpenAI's embedding models have, and clients take for models that they do not know. */
export const LAST_TOKEN = 100_255;

let decoder: Promise<Tiktoken> | undefined;

/** The text that the tokens stand for. */
export async function decodeTokens(tokens: readonly number[]): Promise<string> {
  decoder ??= loadDecoder();
  return (await decoder).decode([...tokens]);
}

/** A megabyte, which takes a fifth of a second to read and which most processes never need. */
async function loadDecoder(): Promise<Tiktoken> {
  const [{ Tiktoken }, { default: ranks }] = await Promise.all([
    import('js-tiktoken/lite'),
    import('js-tiktoken/ranks/cl100k_base'),
  ]);
  return new Tiktoken(ranks);
}
