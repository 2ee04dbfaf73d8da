/**
 * `POST /v1/embeddings`, as OpenAI's clients know it.
 */
import type { Context } from 'hono';
import * as z from 'zod/mini';
import type { Clock } from '../chat/clock.ts';
import { createEmbedRequest, type Embed, type EmbedQuestion, inputTypes } from '../chat/embed.ts';
import type { Settings } from '../chat/settings.ts';
import { readJson } from './body.ts';
import { type AppEnv, callerOf, silenceMsAt } from './edge.ts';
import { describe, notes } from './notes.ts';
import { check } from './schema-errors.ts';
import { decodeTokens, LAST_TOKEN } from './tokens.ts';

const MAX_TEXTS = 2_048;

const filled = z.string().check(z.regex(/\S/, 'must not be blank'));

/** No `maxLength`: where it fails, a union no longer says what is wrong. */
const listOf = <Item extends z.ZodMiniType>(item: Item) =>
  z
    .array(item)
    .check(z.minLength(1))
    .check(z.refine((list) => list.length <= MAX_TEXTS, `must have at most ${MAX_TEXTS} items`))
    .register(notes, { maxItems: MAX_TEXTS });

const tokens = z.array(z.int().check(z.gte(0), z.lte(LAST_TOKEN))).check(z.minLength(1));

/** The body; unknown fields are ignored, and `null` is as good as nothing. */
export const embeddingsBody = z.object({
  model: z.string().check(z.minLength(1), z.maxLength(2048)),
  input: z.union(
    [filled, listOf(filled), tokens, listOf(tokens)],
    `must be a text, tokens of cl100k_base from 0 to ${LAST_TOKEN}, or a list of either`,
  ),
  encoding_format: z.nullish(z.enum(['float', 'base64'])),
  dimensions: z.nullish(z.int()),
  input_type: z.nullish(z.enum(inputTypes)),
});

describe(embeddingsBody, {
  model:
    'A model that embeds texts: Titan Text Embeddings V2, or Cohere Embed v3 or v4, also behind a profile.',
  input: `A text or up to ${MAX_TEXTS}, each also as tokens of cl100k_base.`,
  encoding_format:
    'How a vector is written: as numbers, or as 32-bit floats, the lowest byte first, in base64.',
  dimensions:
    'How long a vector is: 256, 512 or 1024 for Titan, also 1536 for Cohere v4, and 1024 for Cohere v3.',
  input_type: 'For Cohere, what the texts are for; search_document when not given.',
});

export type EmbeddingsParts = {
  readonly embed: Embed;
  readonly loadSettings: () => Promise<Settings>;
  readonly clock: Clock;
};

export function createEmbeddingsRoute({ embed, loadSettings, clock }: EmbeddingsParts) {
  return async function embeddings(c: Context<AppEnv>): Promise<Response> {
    const { door } = callerOf(c);
    const { deadline, signal, record } = c.env;
    const settings = await loadSettings();
    const { question, encode } = await parseEmbeddings(await readJson(c.req.raw, settings.bodyLimitBytes));
    const request = createEmbedRequest(question, settings);
    record.model = request.model;

    const latest = Math.min(deadline, clock.now() + silenceMsAt(door));
    const { vectors, inputTokens } = await embed(request, { signal, deadline: latest });
    record.outcome = 'done';
    record.input_tokens = inputTokens;
    return c.json({
      object: 'list',
      data: vectors.map((vector, index) => ({ object: 'embedding', index, embedding: encode(vector) })),
      model: request.model,
      usage: { prompt_tokens: inputTokens, total_tokens: inputTokens },
    });
  };
}

type Vector = readonly number[];

type ParsedEmbeddings = {
  readonly question: EmbedQuestion;
  /** A vector as the caller wants it in JSON. */
  readonly encode: (vector: Vector) => Vector | string;
};

async function parseEmbeddings(body: unknown): Promise<ParsedEmbeddings> {
  const { model, input, encoding_format, dimensions, input_type } = check(embeddingsBody, body);
  const question = {
    model,
    texts: await toTexts(input),
    ...(typeof dimensions === 'number' && { dimensions }),
    inputType: input_type ?? 'search_document',
  };
  return { question, encode: encoding_format === 'base64' ? toBase64 : (vector) => vector };
}

type Input = z.output<typeof embeddingsBody>['input'];
type Text = string | readonly number[];

async function toTexts(input: Input): Promise<readonly string[]> {
  const read = (text: Text) => (typeof text === 'string' ? text : decodeTokens(text));
  const texts = await Promise.all((isList(input) ? input : [input]).map(read));
  return check(decodedBody, { input: texts }).input;
}

const isList = (input: Input): input is Exclude<Input, string | number[]> =>
  typeof input === 'object' && typeof input[0] !== 'number';

/** What stands for white space shows only now. */
const decodedBody = z.object({ input: z.array(filled) });

/** 32 bits for each number, the lowest byte first, as OpenAI's clients read it. */
function toBase64(vector: Vector): string {
  const bytes = Buffer.alloc(vector.length * 4);
  for (const [at, value] of vector.entries()) bytes.writeFloatLE(value, at * 4);
  return bytes.toString('base64');
}
