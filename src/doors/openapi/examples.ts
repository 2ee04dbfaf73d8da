/**
 * Bodies as they come and go, by the schema that they are examples of.
 */
import type { SchemaName } from './schemas.ts';

const model = 'global.amazon.nova-2-lite-v1:0';
const chat_id = '113667c1-012c-434c-a61b-ed14f9a00fac';
const at = '2026-01-01T12:00:00.000Z';
const prompt = 'What is a Faraday cage?';
const completion = 'A Faraday cage keeps electric fields out.';
const usage = { input_tokens: 9, output_tokens: 10, cache_read_tokens: 0, cache_write_tokens: 0 };
const end = { stop_reason: 'end_turn', usage };

const weather = {
  name: 'weather',
  description: 'Tells how warm it is.',
  parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
};
const openaiUsage = {
  prompt_tokens: 9,
  completion_tokens: 10,
  total_tokens: 19,
  prompt_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
};
const choice = {
  index: 0,
  message: { role: 'assistant', content: completion, refusal: null },
  logprobs: null,
  finish_reason: 'stop',
};

/** Each under a word that says what it shows. */
export const examples: { readonly [Name in SchemaName]?: Readonly<Record<string, object>> } = {
  ChatRequest: {
    question: { prompt },
    stream: { prompt, system: 'Answer in one sentence.', parameters: { max_tokens: 512 }, stream: true },
    messages: {
      messages: [
        { role: 'user', content: prompt },
        { role: 'assistant', content: completion },
        { role: 'user', content: [{ type: 'text', text: 'Who was Faraday?' }] },
      ],
      store: false,
    },
  },
  ChatAnswer: {
    answer: { request_id: 'my-own-id', chat_id, model, cached: false, completion, ...end, saved: true },
  },
  ChatCompletionRequest: {
    question: { model, messages: [{ role: 'user', content: prompt }] },
    tools: {
      messages: [{ role: 'user', content: 'How warm is it in Oslo?' }],
      tools: [{ type: 'function', function: weather }],
      stream: true,
      stream_options: { include_usage: true },
    },
  },
  ChatCompletion: {
    answer: {
      id: 'chatcmpl-my-own-id',
      object: 'chat.completion',
      created: 1767268800,
      model,
      choices: [choice],
      usage: openaiUsage,
    },
  },
  EmbeddingsRequest: {
    texts: { model: 'amazon.titan-embed-text-v2:0', input: ['one', 'two'], dimensions: 256 },
  },
  Model: { model: { id: model, object: 'model', created: 0, owned_by: 'amazon' } },
  Chats: { page: { data: [{ chat_id, title: prompt, turns: 1, updated_at: at }], next: null } },
  Chat: { chat: { chat_id, turns: [{ prompt, completion, model, state: 'complete', ...end, at }] } },
  Cancelling: { cancelling: { request_id: 'my-own-id', status: 'cancelling' } },
  Health: { health: { status: 'ok' } },
};
