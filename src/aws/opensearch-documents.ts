/**
 * Questions as OpenSearch has them: the mapping, documents, queries, and replies, of which nothing is sure.
 */
import { z } from 'zod/mini';
import type { Wanted } from '../chat/similar.ts';
import { CURATED, embeddingModel, type IndexedQuestion } from '../chat/similarity.ts';

/** Of the nearest; some may be of answers that are gone. */
const NEAREST = 5;

const VECTOR_BYTES = 4 * embeddingModel.dimensions;

const keyword = { type: 'keyword' };

const faiss = { name: 'hnsw', engine: 'faiss', space_type: 'l2' };

/** How the index is made. */
export const toDefinition = ({ namesEngine }: { readonly namesEngine: boolean }): object => ({
  settings: { index: { knn: true } },
  mappings: {
    dynamic: false,
    properties: {
      tenant: keyword,
      audience: keyword,
      question: keyword,
      figures: keyword,
      expires: { type: 'long' },
      vector: {
        type: 'knn_vector',
        dimension: embeddingModel.dimensions,
        ...(namesEngine && { method: faiss }),
      },
      exact: { type: 'binary' },
    },
  },
});

/** `exact` is the vector once more, as an engine may keep it rounded or not give it back. */
export const toDocument = ({ vector, ...entry }: IndexedQuestion): object => ({
  ...entry,
  vector,
  exact: Buffer.from(Float32Array.from(vector).buffer).toString('base64'),
});

export function toQuery({ tenants, audiences, figures, now, vector }: Wanted): object {
  const filter = {
    bool: {
      filter: [
        { terms: { tenant: tenants } },
        { terms: { audience: audiences } },
        { term: { figures } },
        { range: { expires: { gt: now } } },
      ],
    },
  };
  return {
    size: NEAREST,
    _source: ['tenant', 'audience', 'question', 'figures', 'expires', 'exact'],
    query: { knn: { vector: { vector, k: NEAREST, filter } } },
  };
}

/** Which of these curated questions are there until then or longer. */
export const toKnownQuery = (questions: readonly string[], until: number): object => ({
  size: 0,
  query: {
    bool: {
      filter: [
        { term: { audience: CURATED } },
        { terms: { question: questions } },
        { range: { expires: { gt: until - 1 } } },
      ],
    },
  },
  aggs: { found: { terms: { field: 'question', size: questions.length } } },
});

/** What a hit may hold. Others than the gateway may write to the index. */
const document = z.object({
  tenant: z.string().check(z.maxLength(2_048)),
  audience: z.string().check(z.maxLength(64)),
  question: z.string().check(z.minLength(1), z.maxLength(1_500)),
  figures: z.string().check(z.maxLength(1_500)),
  expires: z.int(),
  exact: z.base64(),
});

const searchReply = z.object({ hits: z.object({ hits: z.array(z.unknown()) }) });
const hit = z.object({ _source: document });

/** Hits that are no entries are dropped. Nothing for what is no reply to a search, and where no hit is an entry. */
export function readEntries(reply: unknown): readonly IndexedQuestion[] | undefined {
  const { success, data } = searchReply.safeParse(reply);
  if (!success) return undefined;
  const entries = data.hits.hits.slice(0, NEAREST).flatMap((found) => {
    const { success: isEntry, data: entry } = hit.safeParse(found);
    const vector = isEntry ? toVector(entry._source.exact) : undefined;
    if (!isEntry || !vector) return [];
    const { exact: _exact, ...fields } = entry._source;
    return [{ ...fields, vector }];
  });
  return entries.length === 0 && data.hits.hits.length > 0 ? undefined : entries;
}

function toVector(exact: string): readonly number[] | undefined {
  const bytes = Buffer.from(exact, 'base64');
  if (bytes.length !== VECTOR_BYTES) return undefined;
  const vector = Array.from({ length: embeddingModel.dimensions }, (_, at) => bytes.readFloatLE(4 * at));
  return vector.every(Number.isFinite) ? vector : undefined;
}

const bucketsReply = z.object({
  aggregations: z.object({ found: z.object({ buckets: z.array(z.object({ key: z.string() })) }) }),
});

/** The questions that were found. */
export const readQuestions = (reply: unknown): readonly string[] | undefined =>
  bucketsReply.safeParse(reply).data?.aggregations.found.buckets.map(({ key }) => key);

const bulkReply = z.object({
  errors: z.boolean(),
  items: z.array(z.object({ index: z.object({ status: z.int(), error: z.optional(z.unknown()) }) })),
});

/** What became of each document. */
export const readItems = (reply: unknown) => bulkReply.safeParse(reply).data?.items.map(({ index }) => index);
