/**
 * The body of `POST /v1/chat`, and of a WebSocket `chat`, as a question. The schema holds every limit of a single field; what
 * depends on the operator's settings is decided in `chat/create-request.ts`.
 */
import * as z from 'zod/mini';
import type { Caller, ContentBlock, Message, Question } from '../chat/request.ts';
import { describe, notes } from './notes.ts';
import { check } from './schema-errors.ts';

const MAX_MESSAGES = 5_000;

export const id = z
  .string()
  .check(z.regex(/^[A-Za-z0-9_-]{1,128}$/, 'must be 1 to 128 of A-Z, a-z, 0-9, _ and -'));
const filled = z.string().check(z.regex(/\S/, 'must not be blank'));
const bytes = z.pipe(
  z.base64('must be base64'),
  z.transform((text: string) => Buffer.from(text, 'base64')),
);
/** @see https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html */
const documentName = z
  .string()
  .check(
    z.regex(
      /^[A-Za-z0-9()[\]-]+( [A-Za-z0-9()[\]-]+)*$/,
      'must be words of A-Z, a-z, 0-9, - ( ) [ ] with single spaces',
    ),
  )
  .check(z.maxLength(200));

export const block = z.discriminatedUnion(
  'type',
  [
    z.strictObject({ type: z.literal('text'), text: z.string() }),
    z.strictObject({ type: z.literal('image'), format: z.enum(['png', 'jpeg', 'gif', 'webp']), bytes }),
    z.strictObject({
      type: z.literal('document'),
      format: z.enum(['pdf', 'csv', 'doc', 'docx', 'xls', 'xlsx', 'html', 'txt', 'md']),
      name: z._default(documentName, 'document'),
      bytes,
    }),
  ],
  'must be one of "text", "image", "document"',
);

const content = z
  .pipe(
    z.transform((value: unknown) => (typeof value === 'string' ? [{ type: 'text', text: value }] : value)),
    z.array(block).check(z.refine(saysSomething, 'must hold some text, and a document needs text beside it')),
  )
  .register(notes, { type: ['string', 'array'], pattern: /\S/.source, minItems: 1 });

/** Whether a message of the user is one: Bedrock takes images without a word, and documents not. */
export function saysSomething(blocks: readonly { readonly type: string; readonly text?: string }[]): boolean {
  const hasText = blocks.some(({ text }) => text !== undefined && text.trim() !== '');
  const types = blocks.map(({ type }) => type).filter((type) => type !== 'cache-point');
  return hasText || (types.length > 0 && types.every((type) => type === 'image'));
}

export const message = z.strictObject({ role: z.enum(['user', 'assistant']), content });

const messages = z
  .array(message)
  .check(z.minLength(1), z.maxLength(MAX_MESSAGES))
  .check(z.refine((list) => list[0]?.role === 'user', 'must begin with a message of the user'));

const maxTokens = z.optional(z.int().check(z.gte(1))).register(notes, {
  description:
    'How long the answer may become, in tokens; the operator limits it further. Give it by one of its two names.',
});

const parameters = z
  .strictObject({
    temperature: z.optional(z.number().check(z.gte(0), z.lte(1))),
    top_p: z.optional(z.number().check(z.gte(0), z.lte(1))),
    max_tokens: maxTokens,
    max_tokens_to_sample: maxTokens,
    stop_sequences: z.optional(
      z.array(z.string().check(z.minLength(1), z.maxLength(200))).check(z.maxLength(16)),
    ),
  })
  .check(
    z.refine(
      (given) => given.max_tokens === undefined || given.max_tokens_to_sample === undefined,
      'must not hold both max_tokens and max_tokens_to_sample',
    ),
  );

/** The body of `POST /v1/chat`; unknown fields are refused. */
export const chatBody = z
  .strictObject({
    prompt: z.optional(filled),
    messages: z.optional(messages),
    model: z.optional(z.string().check(z.minLength(1), z.maxLength(2048))),
    system: z.optional(filled),
    chat_id: z.optional(id),
    request_id: z.optional(id),
    parameters: z._default(parameters, {}),
    cache: z.optional(z.enum(['use', 'refresh', 'off'])),
    store: z._default(z.boolean(), true),
    stream: z.optional(z.boolean()),
  })
  .check(
    z.refine((body) => (body.prompt === undefined) !== (body.messages === undefined), {
      error: 'must be given, or messages in its place, and not both',
      path: ['prompt'],
    }),
    z.refine((body) => body.chat_id === undefined || body.messages === undefined, {
      error: 'must not come with messages: the conversation brings its own',
      path: ['chat_id'],
    }),
  );

describe(message, {
  role: 'Who says it. The first message is the user’s.',
  content:
    'A text, or a list of blocks. A message holds some text or an image, and a document needs text beside it.',
});

describe(parameters, {
  temperature: 'How freely the model chooses its words.',
  top_p: 'From how much of what is likely the model chooses its words.',
  stop_sequences: 'Texts that end the answer. Their lengths are counted in UTF-16 units, as all lengths are.',
});

describe(chatBody, {
  prompt: 'What you ask. Give either this or messages.',
  messages:
    'A conversation that you keep yourself, in place of prompt. It does not go together with chat_id.',
  model: 'One of those that GET /v1/models lists, which begins with the default.',
  system: 'What the model is told apart from the conversation, after what the operator tells it.',
  chat_id: 'The conversation that this goes on with; without it a new one begins, and its id comes back.',
  request_id: 'Your own id for the request, which you can cancel it by. It can be used once in 24 hours.',
  parameters: 'How the model answers.',
  cache:
    'Whether a known answer may serve (use), is to be replaced (refresh), or nothing is read nor learned (off).',
  store: 'Whether the turn is kept and the answer learned.',
  stream: 'Whether the answer comes as events; when not given, Accept: text/event-stream asks for it.',
});

export type ParsedChat = {
  readonly question: Question;
  /** Whether the caller said how the answer should leave; else the door decides. */
  readonly stream: boolean | undefined;
};

/**
 * Reads a chat body. `requestId` stands in where the caller chose none.
 *
 * @throws `invalid_request`, naming each field and its limit
 */
export function parseChat(body: unknown, caller: Caller, requestId: string): ParsedChat {
  const { prompt, system, chat_id, request_id, cache, store, stream, model, ...rest } = check(chatBody, body);
  const { temperature, top_p, max_tokens, max_tokens_to_sample, stop_sequences } = rest.parameters;
  const maxTokens = max_tokens ?? max_tokens_to_sample;
  const messages: readonly Message[] = rest.messages ?? [{ role: 'user', content: toText(prompt ?? '') }];
  const question: Question = {
    requestId: request_id ?? requestId,
    caller,
    ...(model !== undefined && { model }),
    system: system === undefined ? [] : [system],
    messages,
    inference: {
      ...(maxTokens !== undefined && { maxTokens }),
      ...(temperature !== undefined && { temperature }),
      ...(top_p !== undefined && { topP: top_p }),
      ...(stop_sequences !== undefined && { stopSequences: stop_sequences }),
    },
    tools: [],
    chat: chat_id === undefined ? 'new' : { id: chat_id },
    ...(cache !== undefined && { cache }),
    store,
  };
  return { question, stream };
}

const toText = (text: string): readonly ContentBlock[] => [{ type: 'text', text }];
