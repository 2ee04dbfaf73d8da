/**
 * What the usage says of the input: how many tokens it has, and how many of them a cache point keeps for the next request. Nothing
 * is really cached. Unlike the real one it keeps short prefixes too, and it forgets by number and not by time.
 * @see https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html
 */
import { createHash } from 'node:crypto';
import type { ContentBlock, ConverseRequest } from './request-shape.ts';
import { splitTokens } from './tokens.ts';

/** The caching fields are there when the request has cache points; `inputTokens` is then what comes after the last one. */
export type InputUsage = {
  readonly inputTokens: number;
  readonly cacheReadInputTokens?: number;
  readonly cacheWriteInputTokens?: number;
};

export type PromptCache = {
  /** Counts the input of a request, and remembers what stands before its cache points. */
  readonly count: (modelId: string, request: ConverseRequest) => InputUsage;
};

/** A cache point, or something that a model reads and its tokens. */
type Part = { readonly block: { readonly cachePoint?: unknown }; readonly tokens: number };

/** Creates an empty cache. At most `maxPrefixes` are remembered; the one that was longest not used goes first. */
export function createPromptCache(maxPrefixes = 1000): PromptCache {
  const known = new Set<string>();

  const remember = (prefix: string) => {
    known.delete(prefix);
    known.add(prefix);
    const [oldest = ''] = known;
    if (known.size > maxPrefixes) known.delete(oldest);
  };

  /** The tokens before the last cache point, and how many of them are known from before. */
  const countCached = (modelId: string, parts: readonly Part[]) => {
    const hash = createHash('sha256').update(modelId);
    const prefixes: string[] = [];
    const sum = { tokens: 0, known: 0, cached: 0, read: 0 };
    for (const { block, tokens } of parts) {
      const prefix = hash.copy().digest('base64');
      if (known.has(prefix)) sum.known = sum.tokens;
      if (block.cachePoint) {
        prefixes.push(prefix);
        sum.cached = sum.tokens;
        sum.read = sum.known;
      } else {
        hash.update(JSON.stringify(block));
        sum.tokens += tokens;
      }
    }
    prefixes.forEach(remember);
    return sum;
  };

  return {
    count(modelId, request) {
      const parts = readParts(request);
      const inputTokens = parts.reduce((sum, { tokens }) => sum + tokens, 0);
      if (!parts.some(({ block }) => block.cachePoint)) return { inputTokens };
      const { read, cached } = countCached(modelId, parts);
      return {
        inputTokens: inputTokens - cached,
        cacheReadInputTokens: read,
        cacheWriteInputTokens: cached - read,
      };
    },
  };
}

/** In the order in which models read, and prefixes grow: tools, system, messages. */
function readParts({ toolConfig, system = [], messages }: ConverseRequest): Part[] {
  const tools = toolConfig?.tools ?? [];
  return [
    ...tools.map((block) => ({ block, tokens: count(JSON.stringify(block.toolSpec)) })),
    ...system.map((block) => ({ block, tokens: count(block.text) })),
    ...messages.flatMap(({ role, content }) =>
      content.map((block) => ({ block: { role, ...block }, tokens: countBlock(block) })),
    ),
  ];
}

/** Images, documents and redacted thoughts count nothing. */
function countBlock({ text, toolUse, toolResult, reasoningContent }: ContentBlock): number {
  const results = toolResult?.content.map((content) => content.text ?? JSON.stringify(content.json)) ?? [];
  const call = toolUse && JSON.stringify([toolUse.name, toolUse.input]);
  const texts = [text, reasoningContent?.reasoningText?.text, call, ...results];
  return texts.reduce((sum, part) => sum + count(part), 0);
}

function count(text = ''): number {
  return splitTokens(text).length;
}
