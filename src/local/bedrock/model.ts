/**
 * The model that answers when no real one is there: from a ConverseStream request to the events of its answer,
 * without clock or network. What it does depends on the request alone; pace and faults are added elsewhere.
 */
import { parseOutputSchema } from './output-schema.ts';
import { createPromptCache, type PromptCache } from './prompt-cache.ts';
import { announceTools, chat, quoteToolResult, think } from './prose.ts';
import { event, type Payload, type Step } from './replies.ts';
import { lastToolResult, userTexts } from './request.ts';
import type { ConverseRequest } from './request-shape.ts';
import { exampleOf } from './schema-examples.ts';
import { redact, type Seal, sealOfThoughts, sign } from './thinking.ts';
import { joinTokens, splitTokens } from './tokens.ts';
import { chooseCalls } from './tool-calls.ts';

/** One content block before it is cut into deltas; for a tool, `text` is the JSON of its arguments. */
type Block =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'reasoning'; readonly text: string; readonly seal: Seal }
  | { readonly kind: 'tool'; readonly text: string; readonly name: string; readonly id: string };

/** However long a text is, it comes in no more deltas than this, each taking one token's time. */
const MAX_DELTAS = 120;
/** The usual pace, for the `latencyMs` that the answer states (the simulator may play it faster). */
const NOMINAL_MS_PER_TOKEN = 20;
const SLOW_MS = 3000;

/**
 * The steps of an answer, always the same for the same request, but for what the usage says of `promptCache`.
 *
 * Tools are called if there are some and no result yet; an output schema comes next; then the prompt decides:
 * `ECHO x` answers x, `SLOW x` waits 3 s and then answers x, anything else is met with 40 to 120 tokens of small talk.
 * @throws ServiceException ValidationException 400 for a forced tool that is not there
 */
export function simulateAnswer(
  modelId: string,
  request: ConverseRequest,
  promptCache: PromptCache = createPromptCache(),
): Step[] {
  const { prompt, waitMs } = readPrompt(request);
  const blocks = [...reasoningBlocks(modelId, request, prompt), ...answerBlocks(request, prompt)];
  const { kept, stopReason, outputTokens } = cutToLimits(blocks, request.inferenceConfig ?? {});
  const input = promptCache.count(modelId, request);
  const totalTokens = Object.values(input).reduce((sum, tokens) => sum + tokens, outputTokens);
  const latencyMs = waitMs + outputTokens * NOMINAL_MS_PER_TOKEN;
  return [
    ...(waitMs > 0 ? [{ kind: 'wait' as const, ms: waitMs }] : []),
    event('messageStart', { role: 'assistant' }),
    ...kept.flatMap(blockEvents),
    event('messageStop', { stopReason }),
    event('metadata', { metrics: { latencyMs }, usage: { ...input, outputTokens, totalTokens } }),
  ];
}

function readPrompt(request: ConverseRequest): { prompt: string; waitMs: number } {
  let prompt = userTexts(request).at(-1) ?? '';
  let waitMs = 0;
  while (prompt.startsWith('SLOW ')) {
    prompt = prompt.slice('SLOW '.length);
    waitMs += SLOW_MS;
  }
  return { prompt, waitMs };
}

function reasoningBlocks(modelId: string, request: ConverseRequest, prompt: string): Block[] {
  const seal = sealOfThoughts(modelId, request);
  return seal ? [{ kind: 'reasoning', text: think(prompt), seal }] : [];
}

function answerBlocks(request: ConverseRequest, prompt: string): Block[] {
  const result = lastToolResult(request);
  const calls = result === undefined ? chooseCalls(request) : [];
  if (calls.length === 0) return [{ kind: 'text', text: answerText(request, prompt, result) }];
  const announcement = announceTools(calls.map(({ name }) => name));
  return [
    { kind: 'text', text: announcement },
    ...calls.map(({ name, id, input }) => ({ kind: 'tool' as const, name, id, text: input })),
  ];
}

function answerText(request: ConverseRequest, prompt: string, toolResult: string | undefined): string {
  const schema = parseOutputSchema(request);
  if (schema) return JSON.stringify(exampleOf(schema) ?? {});
  if (prompt.startsWith('ECHO ')) return prompt.slice('ECHO '.length);
  if (toolResult !== undefined) return quoteToolResult(toolResult);
  const earlier = userTexts(request).slice(0, -1);
  return chat(prompt, earlier.filter(Boolean));
}

type Limits = NonNullable<ConverseRequest['inferenceConfig']>;
type CutBlock = Block & { readonly tokens: readonly string[] };
type Cut = { readonly kept: readonly CutBlock[]; readonly stopReason: string; readonly outputTokens: number };

function cutToLimits(blocks: readonly Block[], { maxTokens = Infinity, stopSequences = [] }: Limits): Cut {
  const kept: CutBlock[] = [];
  let outputTokens = 0;
  const end = (stopReason: string) => ({ kept, stopReason, outputTokens });
  for (const block of blocks) {
    const all = splitTokens(block.text);
    const within = all.slice(0, maxTokens - outputTokens);
    const text = within.join('');
    const stopAt = block.kind === 'text' ? firstIndexOf(stopSequences, text) : text.length;
    const tokens = stopAt < text.length ? splitTokens(text.slice(0, stopAt)) : within;
    outputTokens += tokens.length;
    if (tokens.length > 0 || (block.kind === 'tool' && all.length === 0)) kept.push({ ...block, tokens });
    if (stopAt < text.length) return end('stop_sequence');
    if (within.length < all.length) return end('max_tokens');
  }
  return end(blocks.at(-1)?.kind === 'tool' ? 'tool_use' : 'end_turn');
}

/** Where the first of the sequences begins, or the length of the text if none is in it. */
function firstIndexOf(sequences: readonly string[], text: string): number {
  const found = sequences.map((sequence) => (sequence === '' ? -1 : text.indexOf(sequence)));
  return Math.min(text.length, ...found.filter((index) => index >= 0));
}

function blockEvents(block: CutBlock, contentBlockIndex: number): Step[] {
  const pieces = joinTokens(block.tokens, MAX_DELTAS);
  const delta = (payload: Payload) => event('contentBlockDelta', { contentBlockIndex, delta: payload }, 1);
  const stop = event('contentBlockStop', { contentBlockIndex });
  switch (block.kind) {
    case 'text':
      return [...pieces.map((text) => delta({ text })), stop];
    case 'reasoning':
      return [...reasoningDeltas(block, pieces).map((reasoningContent) => delta({ reasoningContent })), stop];
    case 'tool': {
      const start = { toolUse: { toolUseId: block.id, name: block.name } };
      const inputs = pieces.map((input) => delta({ toolUse: { input } }));
      return [event('contentBlockStart', { contentBlockIndex, start }), ...inputs, stop];
    }
  }
}

function reasoningDeltas(block: CutBlock & { kind: 'reasoning' }, pieces: readonly string[]): Payload[] {
  const { text, seal, tokens } = block;
  // Only a finished thought is sealed.
  const isWhole = tokens.join('') === text;
  if (seal === 'redacted') return isWhole ? [{ redactedContent: redact(text) }] : [];
  const thoughts = pieces.map((piece) => ({ text: piece }));
  return seal === 'signed' && isWhole ? [...thoughts, { signature: sign(text) }] : thoughts;
}
