/**
 * The shape of a ConverseStream request on the wire, with the limits of single fields: the ones that the simulator looks at.
 * What concerns several fields at once is in `rules.ts`.
 * @see https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
 */
import { z } from 'zod';

// The words of AWS's common front end for a value that breaks a limit.
const AT_LEAST_1 = 'Member must have length greater than or equal to 1';
const atMost = (length: number) => `Member must have length less than or equal to ${length}`;
const oneOf = <const Values extends readonly string[]>(values: Values) =>
  z.enum(values, { error: `Member must satisfy enum value set: [${values.join(', ')}]` });

const text = z.string().optional();
const anything = z.unknown().optional();

/**
 * Of a tool and of a call. For the id the reference also allows `.` and `:`, but Claude does not.
 * @see https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolUseBlock.html
 */
const identifier = z
  .string()
  .min(1, AT_LEAST_1)
  .max(64, atMost(64))
  .regex(/^[a-zA-Z0-9_-]+$/, 'Member must satisfy regular expression pattern: [a-zA-Z0-9_-]+');

/** Bytes are base64 in JSON. */
const bytes = z
  .string()
  .min(1, AT_LEAST_1)
  .refine((base64) => base64.length % 4 === 0 && /^[A-Za-z0-9+/]+={0,2}$/.test(base64), {
    error: 'Member must be base64',
  });
const source = z.object({ bytes });
const image = z.object({ format: oneOf(['gif', 'jpeg', 'png', 'webp']), source });
const document = z.object({
  format: oneOf(['pdf', 'csv', 'doc', 'docx', 'xls', 'xlsx', 'html', 'txt', 'md']),
  name: z.string().min(1, AT_LEAST_1).max(200, atMost(200)),
  source,
});

const cachePoint = z.object({ type: oneOf(['default']), ttl: oneOf(['5m', '1h']).optional() }).optional();
const resultContent = z.object({
  text,
  json: anything,
  image: image.optional(),
  document: document.optional(),
});

const contentBlock = z.object({
  text,
  image: image.optional(),
  document: document.optional(),
  toolUse: z.object({ toolUseId: identifier, name: identifier, input: anything }).optional(),
  toolResult: z
    .object({
      toolUseId: identifier,
      content: z.array(resultContent),
      status: oneOf(['success', 'error']).optional(),
    })
    .optional(),
  reasoningContent: z
    .object({
      reasoningText: z.object({ text: z.string(), signature: text }).optional(),
      redactedContent: bytes.optional(),
    })
    .optional(),
  cachePoint,
});

const toolSpec = z.object({
  name: identifier,
  description: z.string().min(1, AT_LEAST_1).optional(),
  inputSchema: z.object({ json: anything }),
});

/** From 0 to 1. */
const fraction = z
  .number()
  .min(0, 'Member must have value greater than or equal to 0')
  .max(1, 'Member must have value less than or equal to 1');

/** As in Java, where `\s` is one of six ASCII characters. */
const METADATA = '[a-zA-Z0-9\\s:_@$#=/+,.-]';
const METADATA_TEXT = /^[a-zA-Z0-9 \t\n\v\f\r:_@$#=/+,.-]{0,256}$/;
const metadataPart = (what: string, least: number) =>
  `Map ${what} must satisfy constraint: [Member must have length less than or equal to 256, ` +
  `Member must have length greater than or equal to ${least}, ` +
  `Member must satisfy regular expression pattern: ${METADATA}{${least},256}]`;

const requestMetadata = z
  .record(z.string(), z.string())
  .refine((map) => Object.keys(map).length <= 16, atMost(16))
  .refine((map) => Object.keys(map).every((key) => key && METADATA_TEXT.test(key)), metadataPart('keys', 1))
  .refine((map) => Object.values(map).every((value) => METADATA_TEXT.test(value)), metadataPart('values', 0));

const textFormat = z.object({ structure: z.object({ jsonSchema: z.object({ schema: z.string() }) }) });

export const converseRequest = z.object({
  messages: z
    .array(z.object({ role: oneOf(['user', 'assistant']), content: z.array(contentBlock) }))
    .min(1, AT_LEAST_1),
  system: z.array(z.object({ text, cachePoint })).optional(),
  inferenceConfig: z
    .object({
      maxTokens: z.int().min(1, 'Member must have value greater than or equal to 1').optional(),
      temperature: fraction.optional(),
      topP: fraction.optional(),
      stopSequences: z.array(z.string()).optional(),
    })
    .optional(),
  toolConfig: z
    .object({
      tools: z.array(z.object({ toolSpec: toolSpec.optional(), cachePoint })).min(1, AT_LEAST_1),
      toolChoice: z
        .object({ auto: anything, any: anything, tool: z.object({ name: identifier }).optional() })
        .optional(),
    })
    .optional(),
  requestMetadata: requestMetadata.optional(),
  serviceTier: z.object({ type: z.string() }).optional(),
  outputConfig: z.object({ textFormat: textFormat.optional() }).optional(),
  /** Each model knows its own fields; these are how Claude, Nova 2 and gpt-oss are asked to think. */
  additionalModelRequestFields: z
    .object({
      thinking: z.object({ type: z.string(), budget_tokens: anything }).optional(),
      reasoningConfig: z.object({ type: z.string() }).optional(),
      reasoning_effort: z.string().optional(),
    })
    .optional(),
});

/** The fields of a ConverseStream request that the simulator looks at. */
export type ConverseRequest = z.infer<typeof converseRequest>;
export type Message = ConverseRequest['messages'][number];
export type ContentBlock = Message['content'][number];
export type ResultContent = z.infer<typeof resultContent>;
