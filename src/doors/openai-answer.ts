/**
 * An answer as OpenAI's clients read it: one `chat.completion`, or its chunks. A stream that does not end with `[DONE]` is no whole
 * answer, and no failure is dressed up as one.
 *
 * @see https://platform.openai.com/docs/api-reference/chat/object
 * @see https://platform.openai.com/docs/api-reference/chat-streaming/streaming
 */
import { GatewayError } from '../chat/errors.ts';
import { assertNever, type ChatEvent, type Delta, type Usage } from '../chat/events.ts';
import { throwFailure } from './answer.ts';
import type { AnswerWriter } from './asking.ts';
import { toEnvelope } from './envelope.ts';
import { createReasoningRecorder } from './openai-reasoning.ts';

type FinishReason = 'stop' | 'length' | 'tool_calls' | 'content_filter';

/** Bedrock's word → OpenAI's, where the answer did not end of itself. */
const finishReasons: ReadonlyMap<string, FinishReason> = new Map([
  ['max_tokens', 'length'],
  ['model_context_window_exceeded', 'length'],
  ['guardrail_intervened', 'content_filter'],
  ['content_filtered', 'content_filter'],
  ['refusal', 'content_filter'],
]);

/** Some models say that they are at their end when they call tools; whoever runs the tools must hear of it all the same. */
const toFinishReason = (stopReason: string, calls: number): FinishReason =>
  finishReasons.get(stopReason) ?? (calls > 0 ? 'tool_calls' : 'stop');

/** Nobody says how many of the tokens were thoughts. */
const toUsage = ({ inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens }: Usage) => {
  const prompt_tokens = inputTokens + cacheReadTokens + cacheWriteTokens;
  return {
    prompt_tokens,
    completion_tokens: outputTokens,
    total_tokens: prompt_tokens + outputTokens,
    prompt_tokens_details: { cached_tokens: cacheReadTokens, cache_write_tokens: cacheWriteTokens },
  };
};

export type CompletionParts = {
  readonly requestId: string;
  /** In milliseconds since the epoch. */
  readonly now: number;
  /** Whether a stream tells what was used. */
  readonly includeUsage: boolean;
};

export function createCompletionWriter({ requestId, now, includeUsage }: CompletionParts): AnswerWriter {
  const id = `chatcmpl-${requestId}`;
  const created = Math.floor(now / 1000);
  const calls = createCalls();
  const reasoning = createReasoningRecorder();
  let model = '';

  const toChunk = (choices: readonly object[], usage: object | null = null) =>
    toSse({
      id,
      object: 'chat.completion.chunk',
      created,
      model,
      choices,
      ...(includeUsage && { usage }),
    });
  const toPiece = (delta: object, finish_reason: FinishReason | null = null) =>
    toChunk([{ index: 0, delta, logprobs: null, finish_reason }]);

  function encode(event: ChatEvent): string {
    switch (event.type) {
      case 'start':
        model = event.model;
        return toPiece({ role: 'assistant', content: '' });
      case 'text-delta':
        return toPiece({ content: event.text });
      case 'reasoning-delta':
        reasoning.note(event);
        return toPiece({ reasoning_content: event.text });
      case 'reasoning-signature':
        reasoning.note(event);
        return '';
      case 'tool-start':
      case 'tool-delta':
      case 'tool-end': {
        const piece = calls.note(event);
        return piece ? toPiece({ tool_calls: [piece] }) : '';
      }
      case 'done': {
        // In the last piece and whole: clients that put pieces together keep the last they saw of a field that they do not know.
        const last = toPiece(reasoning.field(), toFinishReason(event.stopReason, calls.count()));
        const used = includeUsage && event.usage ? toChunk([], toUsage(event.usage)) : '';
        return `${last}${used}data: [DONE]\n\n`;
      }
      case 'error':
        return encodeFailure(event.cause);
      case 'cancelled':
        return encodeFailure(new GatewayError('cancelled', 'The request was cancelled.'));
      default:
        return assertNever(event);
    }
  }

  const encodeFailure = (error: GatewayError) => toSse(toEnvelope(error, requestId));

  async function collect(events: AsyncIterable<ChatEvent>): Promise<object> {
    let content = '';
    for await (const event of events) {
      throwFailure(event);
      if (event.type === 'start') model = event.model;
      else if (event.type === 'text-delta') content += event.text;
      else if (event.type === 'reasoning-delta' || event.type === 'reasoning-signature')
        reasoning.note(event);
      else if (event.type === 'done') {
        const finish_reason = toFinishReason(event.stopReason, calls.count());
        const usage = event.usage && toUsage(event.usage);
        const choice = { index: 0, message: toMessage(content), logprobs: null, finish_reason };
        return { id, object: 'chat.completion', created, model, choices: [choice], usage };
      } else if (event.type !== 'error' && event.type !== 'cancelled') calls.note(event);
    }
    throw new GatewayError('internal_error', 'The answer ended without an end.');
  }

  function toMessage(content: string) {
    const thoughts = reasoning.text();
    const tool_calls = calls.whole();
    return {
      role: 'assistant',
      content: content === '' && tool_calls.length > 0 ? null : content,
      refusal: null,
      ...(thoughts !== '' && { reasoning_content: thoughts }),
      ...reasoning.field(),
      ...(tool_calls.length > 0 && { tool_calls }),
    };
  }

  return { encode, encodeFailure, collect };
}

/** JSON holds no line break, so it is always one `data:` line. */
const toSse = (data: object) => `data: ${JSON.stringify(data)}\n\n`;

type ToolEvent = Extract<Delta, { type: 'tool-start' | 'tool-delta' | 'tool-end' }>;
type Call = { readonly index: number; readonly id: string; readonly name: string; json: string };

/** Calls of tools, numbered as they come: Bedrock's blocks count texts and thoughts as well. */
function createCalls() {
  const byBlock = new Map<number, Call>();

  const add = (call: Call, json: string) => {
    call.json += json;
    return json === '' ? undefined : { index: call.index, function: { arguments: json } };
  };

  return {
    count: () => byBlock.size,
    /** What a stream says of the event; nothing where there is nothing to say. */
    note(event: ToolEvent): object | undefined {
      if (event.type === 'tool-start') {
        const { block, id, name } = event;
        const call = { index: byBlock.size, id, name, json: '' };
        byBlock.set(block, call);
        return { index: call.index, id, type: 'function', function: { name, arguments: '' } };
      }
      const call = byBlock.get(event.block);
      if (!call) return undefined;
      if (event.type === 'tool-delta') return add(call, event.json);
      // Clients parse the arguments, and a model that has none to give sends nothing.
      return call.json.trim() === '' ? add(call, '{}') : undefined;
    },
    whole: () =>
      [...byBlock.values()].map(({ id, name, json }) => ({
        id,
        type: 'function',
        function: { name, arguments: json },
      })),
  };
}
