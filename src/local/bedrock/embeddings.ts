/**
 * Text embeddings without a model, so that what needs some can be tried: words and their trigrams hashed into a vector. Texts point the same
 * way as far as they share words, whatever the order, the endings and the phrases around them. That is not their meaning: synonyms are
 * strangers here, and only English is known. In the request and response shapes of Titan v2 and Cohere v3 and v4.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { invalid } from './replies.ts';
import { splitTokens } from './tokens.ts';

/** An InvokeModel answer; the service also states the token count, in the header `x-amzn-bedrock-input-token-count`. */
export type Embedding = { readonly body: object; readonly inputTokens: number };

/** In the service's own words. */
const atMost = (length: number) =>
  z.string().max(length, {
    error: ({ input }) => `expected maxLength: ${length}, actual: ${String(input).length}`,
  });

const titanRequest = z.strictObject({
  inputText: atMost(50_000).min(1),
  dimensions: z.literal([256, 512, 1024]).default(1024),
  normalize: z.boolean().default(true),
  embeddingTypes: z.array(z.enum(['float', 'binary'])).default(['float']),
});

const cohereFields = {
  texts: z.array(z.string()).min(1).max(96),
  input_type: z.enum(['search_document', 'search_query', 'classification', 'clustering']),
  embedding_types: z.array(z.enum(['float', 'int8', 'uint8', 'binary', 'ubinary'])).optional(),
};

const cohereV3Request = z.strictObject({
  ...cohereFields,
  texts: z.array(atMost(2048)).min(1).max(96),
  truncate: z.enum(['NONE', 'START', 'END']).optional(),
});

const cohereV4Request = z.object({
  ...cohereFields,
  truncate: z.enum(['NONE', 'LEFT', 'RIGHT']).optional(),
  max_tokens: z.int().min(1).max(128_000).optional(),
  output_dimension: z.literal([256, 512, 1024, 1536]).optional(),
});

/**
 * Answers an InvokeModel request to an embedding model.
 * @throws ServiceException ValidationException 400 for any other model and for a request of the wrong shape
 */
export function embed(modelId: string, body: unknown): Embedding {
  if (modelId.includes('amazon.titan-embed-text-v2')) return embedTitan(parse(titanRequest, body));
  if (modelId.includes('cohere.embed-v4')) {
    const request = parse(cohereV4Request, body);
    return embedCohere(request, request.output_dimension ?? 1536);
  }
  if (/cohere\.embed-(english|multilingual)-v3/.test(modelId))
    return embedCohere(parse(cohereV3Request, body), 1024);
  throw invalid('The provided model identifier is invalid.');
}

function parse<Shape extends z.ZodType>(shape: Shape, body: unknown): z.output<Shape> {
  const { success, data, error } = shape.safeParse(body);
  if (success) return data;
  const [issue] = error.issues;
  const problem =
    issue?.code === 'unrecognized_keys'
      ? `#: extraneous key [${issue.keys[0]}] is not permitted`
      : `#/${issue?.path.join('/')}: ${issue?.message}`;
  throw invalid(`Malformed input request: ${problem}, please reformat your input and try again.`);
}

function embedTitan(request: z.output<typeof titanRequest>): Embedding {
  const { inputText, dimensions, normalize, embeddingTypes } = request;
  const raw = hashedVector(inputText, dimensions);
  const float = normalize ? normalized(raw) : raw;
  const all = { float, binary: float.map((value) => (value > 0 ? 1 : 0)) };
  const inputTextTokenCount = splitTokens(inputText).length;
  const embeddingsByType = Object.fromEntries(embeddingTypes.map((type) => [type, all[type]]));
  const embedding = embeddingTypes.includes('float') ? { embedding: float } : {};
  return { body: { ...embedding, embeddingsByType, inputTextTokenCount }, inputTokens: inputTextTokenCount };
}

type CohereRequest = z.output<typeof cohereV3Request> | z.output<typeof cohereV4Request>;

function embedCohere(request: CohereRequest, dimensions: number): Embedding {
  const { texts, embedding_types: types } = request;
  const vectors = texts.map((text) => normalized(hashedVector(text, dimensions)));
  const answer = types
    ? {
        embeddings: Object.fromEntries(types.map((type) => [type, vectors.map(QUANTIZE[type])])),
        response_type: 'embeddings_by_type',
      }
    : { embeddings: vectors, response_type: 'embeddings_floats' };
  const id = createHash('sha256').update(JSON.stringify(texts)).digest('hex').slice(0, 32);
  const inputTokens = texts.reduce((sum, text) => sum + splitTokens(text).length, 0);
  return { body: { ...answer, id, texts }, inputTokens };
}

/** Cohere's smaller types; the binary ones pack eight dimensions into a byte. */
const QUANTIZE = {
  float: (vector: number[]) => vector,
  int8: (vector: number[]) => vector.map((value) => Math.round(value * 127)),
  uint8: (vector: number[]) => vector.map((value) => Math.round(value * 127) + 128),
  binary: (vector: number[]) => packedBits(vector).map((byte) => byte - 128),
  ubinary: (vector: number[]) => packedBits(vector),
};

function packedBits(vector: readonly number[]): number[] {
  const bytes = Array<number>(vector.length / 8).fill(0);
  vector.forEach((value, index) => {
    const byte = index >> 3;
    if (value > 0) bytes[byte] = (bytes[byte] ?? 0) | (128 >> (index & 7));
  });
  return bytes;
}

/**
 * Words count whole and by their trigrams, so that spelling variants stay close. The text itself, with its case, order and punctuation, counts
 * just enough that no other has the same vector, and by less than what one word has, so that every text has a direction.
 */
function hashedVector(text: string, dimensions: number): number[] {
  const vector = Array<number>(dimensions).fill(0);
  const add = (feature: string, weight: number) => {
    const hash = fnv1a(feature);
    const index = hash % dimensions;
    vector[index] = (vector[index] ?? 0) + (hash & 0x8000_0000 ? -weight : weight);
  };
  const words =
    text
      .normalize('NFKC')
      .toLowerCase()
      .match(/[\p{L}\p{N}]+/gu) ?? [];
  for (const stem of words.map(toStem)) {
    const isEmpty = EMPTY_WORDS.has(stem);
    add(stem, isEmpty ? 0.05 : 1);
    const framed = isEmpty ? '' : `^${stem}$`;
    for (let at = 0; at + 3 <= framed.length; at += 1) add(framed.slice(at, at + 3), 0.4);
  }
  add(text, 0.02 + (0.02 * fnv1a(text)) / 2 ** 32);
  return vector;
}

/** `batteries` as `battery`, `dropped` as `drop`: not by their right stem, but by the same. */
const toStem = (word: string): string =>
  word.replace(/(?<=\p{L}{3})(ies|es|s|ing|ed|e|y)$/u, '').replace(/(\p{L})\1$/u, '$1');

/** What a question may be put with and without, and be the same. */
const EMPTY_WORDS = new Set(
  `a about actually an and are as at be can could d define definition describe do does exactly explain for from give
  have hello hi how i in is it its just kindly know like m me mean my of on or our please s should so tell that the them
  there they this to us want was we what will with would you your`
    .split(/\s+/)
    .map(toStem),
);

function normalized(vector: readonly number[]): number[] {
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
}

/** 32-bit FNV-1a over UTF-16 units: small, quick, and good enough to spread features. */
function fnv1a(text: string): number {
  let hash = 0x811c_9dc5;
  for (let at = 0; at < text.length; at += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x0100_0193);
  }
  return hash >>> 0;
}
