/**
 * The body of `POST /v1/chat/completions`, as a question. Fields that it does not know are ignored, as OpenAI's clients send many; what
 * would change the answer and cannot be had is refused.
 *
 * @see https://platform.openai.com/docs/api-reference/chat/create
 */
import * as z from 'zod/mini';
import { GatewayError } from '../chat/errors.ts';
import {
  type Caller,
  efforts,
  type Message,
  type Question,
  type Tool,
  type ToolChoice,
} from '../chat/request.ts';
import { describe, notes } from './notes.ts';
import {
  cacheControl,
  identifier,
  messages,
  toCachePoints,
  toMessages,
  toSystem,
} from './openai-messages.ts';
import { id } from './question.ts';
import { check } from './schema-errors.ts';

const MAX_STOP_SEQUENCES = 16;
const MAX_STOP_CHARS = 200;
const MAX_TOOLS = 128;

/** Bedrock's own range ends at 1. */
const MAX_TEMPERATURE = 1;

const maxTokens = z.nullish(z.int().check(z.gte(1))).register(notes, {
  description:
    'How long the answer may become, in tokens; the operator limits it further. Of the two, max_completion_tokens counts.',
});
const stop = z.string().check(z.minLength(1), z.maxLength(MAX_STOP_CHARS));
/** A JSON schema; what is in it is the model's to understand. */
export const json = z.json();
const schema = z.record(z.string(), json);
const unsupported = (advice: string) => {
  const anything = z.unknown().check(z.refine(() => false, advice));
  return z
    .nullish(anything.register(notes, { not: {} }))
    .register(notes, { deprecated: true, description: `It ${advice}.` });
};

export const tool = z.object({
  type: z.literal('function'),
  function: z.object({
    name: identifier,
    description: z.nullish(z.string()),
    parameters: z.nullish(schema),
  }),
  cache_control: cacheControl,
});

const toolChoice = z.union(
  [
    z.enum(['none', 'auto', 'required']),
    z.object({ type: z.literal('function'), function: z.object({ name: identifier }) }),
  ],
  'must be "none", "auto", "required" or {"type":"function","function":{"name":"…"}}',
);

const responseFormat = z.discriminatedUnion(
  'type',
  [
    z.object({ type: z.literal('text') }),
    z.object({ type: z.literal('json_object') }),
    z.object({
      type: z.literal('json_schema'),
      json_schema: z.object({ name: identifier, schema: z.nullish(schema) }),
    }),
  ],
  'must be one of "text", "json_object", "json_schema"',
);

export const completionBody = z
  .object({
    model: z.nullish(z.string().check(z.minLength(1), z.maxLength(2048))),
    messages,
    max_tokens: maxTokens,
    max_completion_tokens: maxTokens,
    temperature: z.nullish(z.number().check(z.gte(0), z.lte(2))),
    top_p: z.nullish(z.number().check(z.gte(0), z.lte(1))),
    stop: z.nullish(
      z
        .pipe(
          z.transform((value: unknown) => (typeof value === 'string' ? [value] : value)),
          z.array(stop).check(z.maxLength(MAX_STOP_SEQUENCES)),
        )
        .register(notes, { type: ['string', 'array'], minLength: 1, maxLength: MAX_STOP_CHARS }),
    ),
    stream: z.nullish(z.boolean()),
    stream_options: z.nullish(z.object({ include_usage: z.nullish(z.boolean()) })),
    tools: z.nullish(z.array(tool).check(z.maxLength(MAX_TOOLS))),
    tool_choice: z.nullish(toolChoice),
    response_format: z.nullish(responseFormat),
    reasoning_effort: z.nullish(z.enum(efforts)),
    user: z.nullish(z.string()),
    metadata: z.nullish(z.record(z.string(), z.string())),
    n: z.nullish(
      z
        .int()
        .check(z.refine((n) => n === 1, 'must be 1: a question has one answer here'))
        .register(notes, { const: 1 }),
    ),
    logprobs: z.nullish(
      z
        .boolean()
        .check(z.refine((value) => !value, 'must be false: Bedrock tells no probabilities'))
        .register(notes, { const: false }),
    ),
    functions: unsupported('is not supported any more: send tools'),
    function_call: unsupported('is not supported any more: send tool_choice'),
    chat_id: z.nullish(id),
    request_id: z.nullish(id),
    cache: z.nullish(z.enum(['use', 'refresh', 'off'])),
    store: z.nullish(z.boolean()),
  })
  .check(
    z.refine(({ tools, tool_choice }) => isChoiceOf(tools ?? [], tool_choice), {
      error: 'must name one of tools, or "required" some',
      path: ['tool_choice'],
    }),
  );

describe(completionBody, {
  model: 'One of those that GET /v1/models lists; the first of them when not given.',
  messages:
    'The conversation, with a message of the user or of a tool in it; each call of a tool is followed by its result.',
  temperature: 'How freely the model chooses its words; above 1 is as 1.',
  top_p: 'From how much of what is likely the model chooses its words.',
  stop: 'A text that ends the answer, or several. Their lengths are counted in UTF-16 units, as all lengths are.',
  stream: 'Whether the answer comes as events.',
  stream_options: 'With include_usage the last chunk of a stream tells what was used.',
  tools: 'What the model may call.',
  tool_choice: 'Whether it may, must or must not call a tool, or which one it must call.',
  response_format: 'JSON in place of prose: any object, or one that fits a schema.',
  reasoning_effort: 'How hard a model that thinks should think.',
  user: 'Who asks, for Bedrock’s own logs.',
  metadata: 'More for Bedrock’s own logs: the first 13 entries.',
  n: 'A question has one answer.',
  logprobs: 'Bedrock tells no probabilities.',
  chat_id: 'A conversation that is kept here: "new" begins one, and its id comes back in x-chat-id.',
  request_id: 'Your own id for the request, which you can cancel it by. It can be used once in 24 hours.',
  cache:
    'Whether a known answer may serve (use), is to be replaced (refresh), or nothing is read nor learned (off).',
  store: 'Whether the answer is learned, and the turn kept if it has a chat_id.',
});

type Body = z.output<typeof completionBody>;

function isChoiceOf(tools: NonNullable<Body['tools']>, choice: Body['tool_choice']): boolean {
  if (typeof choice === 'object' && choice)
    return tools.some(({ function: { name } }) => name === choice.function.name);
  return choice !== 'required' || tools.length > 0;
}

export type ParsedCompletion = {
  readonly question: Question;
  readonly stream: boolean;
  /** Whether a stream should tell what was used. */
  readonly includeUsage: boolean;
};

/**
 * Reads the body. `requestId` stands in where the caller chose none.
 *
 * @throws `invalid_request`, naming each field and its limit
 */
export function parseCompletion(value: unknown, caller: Caller, requestId: string): ParsedCompletion {
  const given = check(completionBody, value);
  const { model, reasoning_effort, cache } = given;
  const format = given.response_format;
  const isJson = format?.type === 'json_object';
  const user: Readonly<Record<string, string>> = given.user == null ? {} : { user: given.user };
  const question: Question = {
    requestId: given.request_id ?? requestId,
    caller,
    ...(model != null && { model }),
    system: [
      ...toSystem(given.messages),
      ...(isJson ? ['Answer with one JSON object and nothing else.'] : []),
    ],
    messages: toTurn(given),
    inference: toInference(given),
    ...toTools(given),
    ...(format?.type === 'json_schema' && {
      outputSchema: {
        name: format.json_schema.name,
        schema: format.json_schema.schema ?? { type: 'object' },
      },
    }),
    ...(reasoning_effort != null && { effort: reasoning_effort }),
    // First, since not all of them may be sent.
    metadata: { ...user, ...given.metadata, ...user },
    chat: toChat(given.chat_id),
    // What an operator wrote is no JSON, so it cannot be asked for here.
    ...(cache != null && !(cache === 'use' && isJson) && { cache }),
    store: given.store ?? true,
  };
  const includeUsage = given.stream_options?.include_usage ?? false;
  return { question, stream: given.stream ?? false, includeUsage };
}

/** These clients bring the conversation themselves, so nothing is kept unless they say so. */
const toChat = (chatId: Body['chat_id']): Question['chat'] =>
  chatId == null ? 'none' : chatId === 'new' ? 'new' : { id: chatId };

/** Of a conversation that is kept here, what was said before is known: only what comes after the last answer counts. */
function toTurn({ chat_id, messages: given }: Body): readonly Message[] {
  const isKnown = typeof toChat(chat_id) === 'object';
  const lastAnswer = isKnown ? given.findLastIndex(({ role }) => role === 'assistant') : -1;
  const turn = toMessages(given.slice(lastAnswer + 1));
  if (turn.every(({ role }) => role === 'assistant')) {
    const place = isKnown ? ' after the last of the assistant' : '';
    const message = `messages must hold a message of the user or of a tool${place}.`;
    throw new GatewayError('invalid_request', message, { param: 'messages' });
  }
  return turn[0]?.role === 'assistant' ? [BEGINNING, ...turn] : turn;
}

/** Before an assistant that speaks first, with a greeting: at Bedrock the user does. */
const BEGINNING: Message = { role: 'user', content: [{ type: 'text', text: '(The conversation begins.)' }] };

function toInference(given: Body): Question['inference'] {
  const { temperature, top_p, stop: stopSequences } = given;
  const limit = given.max_completion_tokens ?? given.max_tokens;
  return {
    ...(limit != null && { maxTokens: limit }),
    ...(temperature != null && { temperature: Math.min(temperature, MAX_TEMPERATURE) }),
    ...(top_p != null && { topP: top_p }),
    ...(stopSequences != null && { stopSequences }),
  };
}

/** Bedrock has no word for `none`, so the tools are not sent. */
function toTools({ tools, tool_choice }: Body): Pick<Question, 'tools' | 'toolChoice'> {
  if (!tools || tools.length === 0 || tool_choice === 'none') return { tools: [] };
  return { tools: tools.map(toTool), ...(tool_choice != null && { toolChoice: toToolChoice(tool_choice) }) };
}

function toTool({ function: { name, description, parameters }, cache_control }: z.output<typeof tool>): Tool {
  const [cachePoint] = toCachePoints(cache_control);
  return {
    name,
    ...(description?.trim() && { description }),
    // A schema without a type is every object here, and nothing that Bedrock takes.
    inputSchema: { type: 'object', ...(parameters ?? { properties: {} }) },
    ...(cachePoint && { cachePoint }),
  };
}

const toToolChoice = (choice: Exclude<z.output<typeof toolChoice>, 'none'>): ToolChoice =>
  typeof choice === 'object'
    ? { type: 'tool', name: choice.function.name }
    : { type: choice === 'required' ? 'any' : 'auto' };
