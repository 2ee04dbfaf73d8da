/**
 * The chunks of a streamed chat completion as the events of ConverseStream. Servers differ in what they send: the thoughts under one of two
 * names, a call whole or in pieces, the usage with the last chunk, after it or not at all.
 */
import { randomUUID } from 'node:crypto';
import type { EventSourceMessage } from 'eventsource-parser';
import { z } from 'zod/mini';
import { event, type Step } from '../replies.ts';
import { type Block, type Blocks, createBlocks } from './blocks.ts';

const text = z.nullish(z.string());
const count = z._default(z.number(), 0);

const delta = z.object({
  content: text,
  reasoning_content: text,
  reasoning: text,
  tool_calls: z.nullish(
    z.array(
      z.object({
        index: count,
        id: text,
        function: z.nullish(z.object({ name: text, arguments: text })),
      }),
    ),
  ),
});

const usage = z.object({
  prompt_tokens: count,
  completion_tokens: count,
  prompt_tokens_details: z.nullish(z.object({ cached_tokens: z.nullish(count) })),
});

/** What bears an error is none. */
const chunk = z.object({
  choices: z.nullish(z.array(z.object({ delta: z.nullish(delta), finish_reason: text }))),
  usage: z.nullish(usage),
  error: z.nullish(z.never()),
});

type Delta = z.infer<typeof delta>;

/** OpenAI's word → Bedrock's. */
const stopReasons: ReadonlyMap<string, string> = new Map([
  ['stop', 'end_turn'],
  ['length', 'max_tokens'],
  ['tool_calls', 'tool_use'],
  ['function_call', 'tool_use'],
  ['content_filter', 'content_filtered'],
]);

/**
 * The steps of the answer; an exception ends it where the server says that it failed, or what nobody can read.
 *
 * @throws `Error` when the chunks stop before a `finish_reason`: half an answer must not look whole
 */
export async function* toSteps(messages: AsyncIterable<EventSourceMessage>): AsyncGenerator<Step> {
  const began = performance.now();
  const blocks = createBlocks();
  const calls: Calls = new Map();
  let hasBegun = false;
  let stopReason: string | undefined;
  let isCounted = false;
  for await (const { data } of messages) {
    if (data === '[DONE]') continue;
    const said = parseChunk(data);
    if (!said) return yield failure;
    if (!hasBegun) yield event('messageStart', { role: 'assistant' });
    hasBegun = true;
    const [choice] = said.choices ?? [];
    if (choice && !stopReason) {
      yield* readDelta(choice.delta ?? {}, blocks, calls);
      if (choice.finish_reason) {
        stopReason = toStopReason(choice.finish_reason, calls);
        if (!stopReason) return yield failure;
        yield* blocks.end();
        yield event('messageStop', { stopReason });
      }
    }
    if (said.usage && stopReason && !isCounted) {
      const latencyMs = Math.round(performance.now() - began);
      yield event('metadata', { metrics: { latencyMs }, usage: toUsage(said.usage) });
      isCounted = true;
    }
  }
  if (!stopReason) throw new Error('The server broke off its answer.');
}

const failure: Step = {
  kind: 'exception',
  type: 'modelStreamErrorException',
  payload: { message: 'The server failed while it answered.' },
};

function parseChunk(data: string): z.infer<typeof chunk> | undefined {
  try {
    return chunk.safeParse(JSON.parse(data)).data;
  } catch {
    return undefined;
  }
}

/** Some servers say that they are at their end when they call tools. */
const toStopReason = (finishReason: string, calls: Calls) =>
  finishReason === 'stop' && calls.size > 0 ? 'tool_use' : stopReasons.get(finishReason);

type Id = string | null | undefined;
type Call = { id: Id; readonly block: Block; hasArguments: boolean };
/** By the server's index. */
type Calls = Map<number, Call>;

function* readDelta(delta: Delta, blocks: Blocks, calls: Calls): Generator<Step> {
  yield* blocks.say('reasoning', delta.reasoning_content || delta.reasoning || '');
  yield* blocks.say('text', delta.content ?? '');
  for (const { index, id, function: said } of delta.tool_calls ?? []) {
    let call = calls.get(index);
    if (!call || isAnother(call, id, said?.name)) {
      const tool = { toolUseId: toToolUseId(id), name: said?.name ?? '' };
      call = { id, block: { kind: 'tool', tool, pieces: [] }, hasArguments: false };
      calls.set(index, call);
      yield* blocks.begin(call.block);
    }
    call.id ||= id;
    call.hasArguments ||= Boolean(said?.arguments);
    yield* blocks.add(call.block, said?.arguments ?? '');
  }
}

/** Old versions of Ollama give every call the same index, and some servers give none an id; others tell the id late. */
const isAnother = (call: Call, id: Id, name: string | null | undefined): boolean =>
  call.id ? Boolean(id) && id !== call.id : !id && Boolean(name) && call.hasArguments;

/** Bedrock's ids know fewer characters. */
const toToolUseId = (id: Id) => (id && /^[a-zA-Z0-9_-]{1,64}$/.test(id) ? id : `call_${randomUUID()}`);

function toUsage({ prompt_tokens, completion_tokens, prompt_tokens_details }: z.infer<typeof usage>) {
  const cached = prompt_tokens_details?.cached_tokens ?? 0;
  return {
    inputTokens: Math.max(0, prompt_tokens - cached),
    outputTokens: completion_tokens,
    totalTokens: prompt_tokens + completion_tokens,
    cacheReadInputTokens: cached,
  };
}
