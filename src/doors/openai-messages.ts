/**
 * The messages of OpenAI's chat completions, as the gateway's own: what the model is told apart, and what was said, in order.
 *
 * @see https://platform.openai.com/docs/api-reference/chat/create
 */
import * as z from 'zod/mini';
import { parseObject } from '../chat/json.ts';
import type { CachePoint, ContentBlock, Message, Question } from '../chat/request.ts';
import { notes } from './notes.ts';
import { fileData, imageUrl, toFile, toImage } from './openai-media.ts';
import { reasoningDetails, toReasoning } from './openai-reasoning.ts';
import { saysSomething } from './question.ts';

const MAX_MESSAGES = 5_000;

/** @see https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolUseBlock.html */
export const identifier = z
  .string()
  .check(z.regex(/^[a-zA-Z0-9_-]{1,64}$/, 'must be 1 to 64 of A-Z, a-z, 0-9, _ and -'));

/** Anthropic's way to say how far a prompt may be remembered, which others have taken over. */
export const cacheControl = z
  .nullish(z.object({ type: z.literal('ephemeral'), ttl: z.nullish(z.enum(['5m', '1h'])) }))
  .register(notes, { description: 'What comes before it may be remembered by the provider for that long.' });

export const toCachePoints = (control: z.output<typeof cacheControl>): CachePoint[] =>
  control ? [{ type: 'cache-point', ...(control.ttl && { ttl: control.ttl }) }] : [];

/** A schema whose value is made by `make`, which returns nothing for what is not `allowed`. */
const made = <Input extends z.ZodMiniType, Output>(
  input: Input,
  make: (value: z.output<Input>) => Output | undefined,
  allowed: string,
) =>
  z.pipe(
    input,
    z.transform((value: z.output<Input>, { issues }): Output => {
      const output = make(value);
      if (output !== undefined) return output;
      issues.push({ code: 'custom', message: `must be ${allowed}`, input: value });
      return z.NEVER;
    }),
  );

const textPart = z.object({ type: z.literal('text'), text: z.string(), cache_control: cacheControl });

const imagePart = z.object({
  type: z.literal('image_url'),
  image_url: z
    .pipe(
      z.transform((value: unknown) => (typeof value === 'string' ? { url: value } : value)),
      z.object({ url: made(z.string(), toImage, imageUrl) }),
    )
    .register(notes, { type: ['string', 'object'], description: `It, or its url, must be ${imageUrl}.` }),
  cache_control: cacheControl,
});

const filePart = z.object({
  type: z.literal('file'),
  file: made(
    z.object({ file_data: z.nullish(z.string()), filename: z.nullish(z.string()) }),
    ({ file_data, filename }) => toFile(file_data ?? '', filename ?? ''),
    `an object with a file_data, which is ${fileData}`,
  ).register(notes, { description: `Its file_data must be ${fileData}.` }),
  cache_control: cacheControl,
});

/** A text is a list of one part. */
const listed = z.transform((value: unknown): unknown =>
  typeof value === 'string' ? [{ type: 'text', text: value }] : value,
);

const texts = z
  .pipe(listed, z.array(z.discriminatedUnion('type', [textPart], 'must be "text"')))
  .register(notes, { type: ['string', 'array'] });

/** Whoever calls tools may say nothing, and so may they. */
const textsIfAny = z.pipe(
  z.nullish(texts),
  z.transform((list) => list ?? []),
);

export const part = z.discriminatedUnion(
  'type',
  [textPart, imagePart, filePart],
  'must be one of "text", "image_url", "file"',
);

const blocks = z.pipe(
  z.array(part),
  z.transform((parts: z.output<typeof part>[]): readonly ContentBlock[] => parts.flatMap(toBlocks)),
);

const userContent = z
  .pipe(
    listed,
    blocks.check(z.refine(saysSomething, 'must hold some text, and a document needs text beside it')),
  )
  .register(notes, {
    type: ['string', 'array'],
    pattern: /\S/.source,
    minItems: 1,
    description: 'A text, or a list of parts that hold some text or an image. A file needs text beside it.',
  });

function toBlocks(given: z.output<typeof part>): ContentBlock[] {
  const points = toCachePoints(given.cache_control);
  switch (given.type) {
    case 'text':
      return [{ type: 'text', text: given.text }, ...points];
    case 'image_url':
      return [given.image_url.url, ...points];
    case 'file':
      return [given.file, ...points];
  }
}

/** Models make ids of more characters than are documented, such as `functions.look:0`. */
const callId = z
  .string()
  .check(z.regex(/^[a-zA-Z0-9_.:-]{1,64}$/, 'must be 1 to 64 of A-Z, a-z, 0-9, _ . : and -'));

const toolCall = z.object({
  id: callId,
  function: z.object({
    name: identifier,
    arguments: made(z.string(), parseObject, 'a JSON object as text').register(notes, {
      contentMediaType: 'application/json',
      description: 'A JSON object as text.',
    }),
  }),
});

const told = { content: texts, cache_control: cacheControl };

export const message = z.discriminatedUnion(
  'role',
  [
    z.object({ role: z.literal('system'), ...told }),
    z.object({ role: z.literal('developer'), ...told }),
    z.object({ role: z.literal('user'), content: userContent, cache_control: cacheControl }),
    z.object({
      role: z.literal('assistant'),
      content: textsIfAny,
      tool_calls: z.nullish(z.array(toolCall)),
      reasoning_details: reasoningDetails.register(notes, {
        description: 'What the model thought before it called tools, as the gateway gave it.',
      }),
      cache_control: cacheControl,
    }),
    z.object({
      role: z.literal('tool'),
      tool_call_id: callId,
      content: textsIfAny,
      cache_control: cacheControl,
    }),
  ],
  'must be one of "system", "developer", "user", "assistant", "tool"',
);

type Given = z.output<typeof message>;

export const messages = z.array(message).check(z.minLength(1), z.maxLength(MAX_MESSAGES));

/** What the model is told apart from the conversation, wherever it stood. */
export const toSystem = (list: readonly Given[]): Question['system'] =>
  list.flatMap((given) => {
    if (given.role !== 'system' && given.role !== 'developer') return [];
    const said = toSystemTexts(given.content);
    return said.length > 0 ? [...said, ...toCachePoints(given.cache_control)] : [];
  });

const toSystemTexts = (content: z.output<typeof texts>): Question['system'] =>
  content
    .filter(({ text }) => text.trim() !== '')
    .flatMap(({ text, cache_control }) => [text, ...toCachePoints(cache_control)]);

/** What was said. Results of tools are what the user said: Bedrock knows two roles only. */
export const toMessages = (list: readonly Given[]): readonly Message[] => list.flatMap(toMessage);

function toMessage(given: Given): Message[] {
  const points = toCachePoints(given.cache_control);
  switch (given.role) {
    case 'system':
    case 'developer':
      return [];
    case 'user':
      return [{ role: 'user', content: [...given.content, ...points] }];
    case 'tool': {
      const text = given.content.map((block) => block.text).join('\n');
      const result: ContentBlock = { type: 'tool-result', id: given.tool_call_id, text, failed: false };
      return [{ role: 'user', content: [result, ...points] }];
    }
    case 'assistant': {
      const calls = (given.tool_calls ?? []).map(
        ({ id, function: { name, arguments: input } }): ContentBlock => ({
          type: 'tool-use',
          id,
          name,
          input,
        }),
      );
      const content = [
        ...toReasoning(given.reasoning_details),
        ...given.content.flatMap(toBlocks),
        ...calls,
        ...points,
      ];
      return [{ role: 'assistant', content }];
    }
  }
}
