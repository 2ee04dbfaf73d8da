/**
 * What an index knows of its documents' fields, and how it takes them in.
 *
 * @see https://docs.opensearch.org/latest/field-types/supported-field-types/knn-vector/
 */
import { z } from 'zod';
import { OpenSearchRefusal } from './refusal.ts';

const method = z.strictObject({
  name: z.literal('hnsw'),
  engine: z.enum(['faiss', 'lucene']).optional(),
  space_type: z.literal('l2').default('l2'),
});

const field = z.discriminatedUnion('type', [
  z.strictObject({ type: z.enum(['keyword', 'long', 'binary', 'text', 'float']) }),
  z.strictObject({
    type: z.literal('knn_vector'),
    dimension: z.int().min(1).max(16_000),
    method: method.optional(),
  }),
]);

export type Field = z.infer<typeof field>;

/** The body of the request that makes an index. */
export const definition = z.strictObject({
  settings: z.strictObject({ index: z.strictObject({ knn: z.boolean() }) }).optional(),
  mappings: z
    .strictObject({ dynamic: z.boolean().default(true), properties: z.record(z.string(), field).default({}) })
    .prefault({}),
});

export type Definition = z.infer<typeof definition>;

/** A document as an index has it. */
export type Document = {
  readonly id: string;
  /** Without its vectors. */
  readonly source: Readonly<Record<string, unknown>>;
  readonly vectors: ReadonlyMap<string, Float32Array>;
};

/** @throws OpenSearchRefusal 400 for what does not fit its field */
export function toDocument(id: string, given: Document['source'], { mappings }: Definition): Document {
  const source: Record<string, unknown> = {};
  const vectors = new Map<string, Float32Array>();
  for (const [name, value] of Object.entries(given)) {
    const known = mappings.properties[name];
    const problem = known && value !== null ? findProblem(known, value) : undefined;
    if (known && problem) throw unfitting(id, name, known, problem);
    if (known?.type === 'knn_vector' && value !== null)
      vectors.set(name, Float32Array.from(value as number[]));
    else source[name] = value;
  }
  return { id, source, vectors };
}

/** Fields that nobody mapped are given a type by what comes first. */
export function mapDynamically({ mappings }: Definition, source: Document['source']) {
  if (!mappings.dynamic) return;
  for (const [name, value] of Object.entries(source)) {
    const type = guessType(Array.isArray(value) ? value[0] : value);
    if (type && !Object.hasOwn(mappings.properties, name)) mappings.properties[name] = { type };
  }
}

function guessType(value: unknown): 'text' | 'long' | 'float' | undefined {
  if (typeof value === 'string') return 'text';
  if (typeof value === 'number') return Number.isInteger(value) ? 'long' : 'float';
  return undefined;
}

function findProblem(known: Field, value: unknown): string | undefined {
  switch (known.type) {
    case 'knn_vector':
      if (!Array.isArray(value) || !value.every(Number.isFinite)) return 'A vector is a list of numbers.';
      if (value.length === known.dimension) return undefined;
      return `Vector dimension mismatch. Expected: ${known.dimension}, Given: ${value.length}`;
    case 'long':
    case 'float':
      return isAll(value, (item) => typeof item === 'number') ? undefined : `For input string: "${value}"`;
    default:
      return isAll(value, (item) => typeof item !== 'object')
        ? undefined
        : "Can't get text on a START_OBJECT";
  }
}

const isAll = (value: unknown, is: (item: unknown) => boolean) => [value].flat().every(is);

function unfitting(id: string, name: string, { type }: Field, problem: string): OpenSearchRefusal {
  const reason = `failed to parse field [${name}] of type [${type}] in document with id '${id}'`;
  const cause = { type: 'illegal_argument_exception', reason: problem };
  return new OpenSearchRefusal(400, 'mapper_parsing_exception', reason, { caused_by: cause });
}
