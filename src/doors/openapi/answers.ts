/**
 * What the gateway answers, as schemas for readers and their tools. Nothing is held against them when it is answered; a test does that
 * with real answers. They are open: a field may come to them, and a client should not mind.
 */
import * as z from 'zod/mini';
import type { CacheStatus } from '../../chat/ask.ts';
import { errorKinds } from '../../chat/errors.ts';
import { describe, notes } from '../notes.ts';
import { id } from '../question.ts';

const count = () => z.int().check(z.gte(0));
const time = () => z.string().register(notes, { format: 'date-time' });
const every = <Value>(values: readonly Value[]) => [...new Set(values)];

const kinds = Object.values(errorKinds);
const failure = z.object({
  code: z.enum(Object.keys(errorKinds)),
  message: z.string(),
  type: z.enum(every(kinds.map(({ type }) => type))),
  param: z.nullable(z.string()),
  request_id: z.string(),
  retryable: z.boolean(),
  status: z.literal(every(kinds.map(({ status }) => status))).register(notes, { type: 'integer' }),
});
describe(failure, {
  code: 'What went wrong, from a closed list.',
  message: 'What went wrong, as a sentence.',
  type: 'The type of OpenAI’s API that fits.',
  param: 'The field of the request that is at fault.',
  request_id: 'As in x-request-id.',
  retryable: 'Whether the same request may succeed if it is sent again.',
  status: 'The HTTP status that fits, also where another one had been sent before.',
});
export const error = z.object({ error: failure });

export const cacheStatus = z.enum(['hit', 'miss', 'refresh', 'off', 'bypass'] satisfies CacheStatus[]);

export const usage = z.object({
  input_tokens: count(),
  output_tokens: count(),
  cache_read_tokens: count(),
  cache_write_tokens: count(),
});
describe(usage, {
  input_tokens: 'Without those that the provider remembered or came to remember.',
  cache_read_tokens: 'What the provider remembered of the prompt.',
  cache_write_tokens: 'What the provider will remember of the prompt.',
});

const start = {
  request_id: id,
  chat_id: z.optional(id),
  model: z.string(),
  cached: z.union([z.literal(false), z.enum(['curated', 'learned', 'similar'])]),
};
const end = { stop_reason: z.string(), usage: z.nullable(usage), saved: z.boolean() };

export const answer = z.object({
  ...start,
  completion: z.string(),
  reasoning: z.optional(z.string()),
  ...end,
});
describe(answer, {
  chat_id: 'The conversation that this is a turn of; there is none with "store": false.',
  model: 'The model that answered.',
  cached: 'Whether a known answer served, and how it had come to be known.',
  reasoning: 'What the model thought before it answered.',
  stop_reason: 'Bedrock’s word: end_turn, max_tokens, stop_sequence, guardrail_intervened and others.',
  usage: 'What Bedrock counted, and null when it did not say.',
  saved: 'Whether the turn is kept.',
});

const texts = z.object({ text: z.string() });
const thoughts = z.object({ reasoning: z.string() });
const timing = z.object({ first_event_ms: count(), total_ms: count() });
export const startEvent = z.object(start);
export const deltaEvent = z.union([texts, thoughts]);
export const doneEvent = z.object({ ...end, timing });
export const cancelledEvent = z.object({ usage, estimated: z.literal(true) });

const numbered = { request_id: id, seq: count() };
const frameOf = (type: string, event: z.ZodMiniObject) =>
  z.extend(event, { type: z.literal(type), ...numbered });
export const frame = z.union([
  frameOf('start', startEvent),
  frameOf('delta', texts),
  frameOf('delta', thoughts),
  frameOf('done', doneEvent),
  frameOf('cancelled', cancelledEvent),
  z.extend(error, {
    type: z.literal('error'),
    request_id: z.optional(z.string()),
    seq: z.optional(count()),
  }),
  z.object({ type: z.literal('pong') }),
]);

const reasoningDetails = z.optional(
  z.array(
    z.object({
      type: z.enum(['reasoning.text', 'reasoning.encrypted']),
      index: count(),
      text: z.optional(z.string()),
      signature: z.optional(z.string()),
      data: z.optional(z.string()),
    }),
  ),
);
const nothing = z.null();
const finishReason = z.enum(['stop', 'length', 'tool_calls', 'content_filter']);
const call = { id: z.string(), type: z.literal('function') };
const completionUsage = z.nullable(
  z.object({
    prompt_tokens: count(),
    completion_tokens: count(),
    total_tokens: count(),
    prompt_tokens_details: z.object({ cached_tokens: count(), cache_write_tokens: count() }),
  }),
);
const completionHead = { id: z.string(), created: count(), model: z.string() };

export const completion = z.object({
  ...completionHead,
  object: z.literal('chat.completion'),
  choices: z.array(
    z.object({
      index: count(),
      message: z.object({
        role: z.literal('assistant'),
        content: z.nullable(z.string()),
        refusal: nothing,
        reasoning_content: z.optional(z.string()),
        reasoning_details: reasoningDetails,
        tool_calls: z.optional(
          z.array(z.object({ ...call, function: z.object({ name: z.string(), arguments: z.string() }) })),
        ),
      }),
      logprobs: nothing,
      finish_reason: finishReason,
    }),
  ),
  usage: completionUsage,
});

export const completionChunk = z.object({
  ...completionHead,
  object: z.literal('chat.completion.chunk'),
  choices: z.array(
    z.object({
      index: count(),
      delta: z.object({
        role: z.optional(z.literal('assistant')),
        content: z.optional(z.string()),
        reasoning_content: z.optional(z.string()),
        reasoning_details: reasoningDetails,
        tool_calls: z.optional(
          z.array(
            z.object({
              index: count(),
              id: z.optional(call.id),
              type: z.optional(call.type),
              function: z.object({ name: z.optional(z.string()), arguments: z.string() }),
            }),
          ),
        ),
      }),
      logprobs: nothing,
      finish_reason: z.nullable(finishReason),
    }),
  ),
  usage: z.optional(completionUsage),
});

export const embeddings = z.object({
  object: z.literal('list'),
  data: z.array(
    z.object({
      object: z.literal('embedding'),
      index: count(),
      embedding: z.union([z.array(z.number()), z.base64()]),
    }),
  ),
  model: z.string(),
  usage: z.object({ prompt_tokens: count(), total_tokens: count() }),
});

export const model = z.object({
  id: z.string(),
  object: z.literal('model'),
  created: z.literal(0),
  owned_by: z.string(),
});
export const models = z.object({ object: z.literal('list'), data: z.array(model) });

export const chats = z.object({
  data: z.array(z.object({ chat_id: id, title: z.string(), turns: count(), updated_at: time() })),
  next: z.nullable(z.string()),
});
describe(chats, { next: 'To be given back for the next page; null on the last.' });

const turn = z.object({
  prompt: z.string(),
  completion: z.string(),
  model: z.string(),
  state: z.enum(['complete', 'partial', 'cancelled', 'failed']),
  stop_reason: z.nullable(z.string()),
  usage: z.nullable(usage),
  at: time(),
});
describe(turn, {
  state: 'partial failed in the middle of its answer, failed before there was any.',
});
export const chat = z.object({ chat_id: id, turns: z.array(turn), next: z.optional(z.string()) });
describe(chat, { turns: 'Oldest first.', next: 'To be given back for the turns that follow.' });

export const cancelling = z.object({ request_id: id, status: z.literal('cancelling') });
export const health = z.object({ status: z.literal('ok') });
