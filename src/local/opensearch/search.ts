/**
 * Searches in an index: exact ones, where OpenSearch's are approximate. What is not known here is refused, so that nobody trusts in what has
 * no effect.
 *
 * @see https://docs.opensearch.org/latest/vector-search/filter-search-knn/efficient-knn-filtering/
 */
import { z } from 'zod';
import type { OpenSearchService } from '../../aws/opensearch.ts';
import type { Index } from './indexes.ts';
import type { Definition, Document } from './mapping.ts';
import { ShardRefusal, unknownTo } from './refusal.ts';

/** `{ field: … }`, of one field. */
const ofField = <Value>(value: z.ZodType<Value>) =>
  z.record(z.string(), value).transform((fields, context) => {
    const [[name, wanted] = [undefined], ...more] = Object.entries(fields);
    if (name !== undefined && wanted !== undefined && more.length === 0) return { name, wanted };
    context.addIssue('One field, please.');
    return z.NEVER;
  });

/** A field and whether a value of it is wanted. */
type Clause = { readonly name: string; readonly wants: (value: string) => boolean };

const value = z.union([z.string(), z.number()]).transform(String);
const clause = z.union([
  z
    .strictObject({ term: ofField(value) })
    .transform(({ term: { name, wanted } }): Clause => ({ name, wants: (its) => its === wanted })),
  z
    .strictObject({ terms: ofField(z.array(value)) })
    .transform(({ terms: { name, wanted } }): Clause => ({ name, wants: (its) => wanted.includes(its) })),
  z
    .strictObject({ range: ofField(z.strictObject({ gt: z.number() })) })
    .transform(({ range: { name, wanted } }): Clause => ({ name, wants: (its) => Number(its) > wanted.gt })),
]);

const bool = z.strictObject({ filter: z.array(clause) });
const knn = z.strictObject({
  vector: z.array(z.number()),
  k: z.int().min(1).max(10_000),
  filter: z.strictObject({ bool }).optional(),
});
const terms = z.strictObject({ field: z.string(), size: z.int().min(1) });

const search = z.strictObject({
  size: z.int().min(0).max(10_000).default(10),
  _source: z.array(z.string()).optional(),
  query: z.union([z.strictObject({ knn: ofField(knn) }), z.strictObject({ bool })]),
  aggs: z.record(z.string(), z.strictObject({ terms })).default({}),
});

type Nearest = { readonly name: string; readonly wanted: z.infer<typeof knn> };
type Terms = z.infer<typeof terms>;
type Hit = { readonly document: Document; readonly score: number };

/** The reply to a search, but for how long it took. @throws OpenSearchRefusal 400 */
export function runSearch(index: Index, service: OpenSearchService, body: unknown): object {
  const { data: asked, error } = search.safeParse(body);
  if (!asked) throw unknownTo('parsing_exception', error);
  const found =
    'knn' in asked.query ? findNearest(index, service, asked.query.knn) : findAll(index, asked.query.bool);
  const hits = found.slice(0, asked.size).map(({ document, score }) => ({
    _index: index.name,
    _id: document.id,
    _score: score,
    _source: toSource(document, asked._source),
  }));
  const counts = Object.entries(asked.aggs).map(([name, { terms: of }]) => [name, count(index, found, of)]);
  return {
    timed_out: false,
    _shards: { total: 1, successful: 1, skipped: 0, failed: 0 },
    hits: { total: { value: found.length, relation: 'eq' }, max_score: hits[0]?._score ?? null, hits },
    ...(counts.length > 0 && { aggregations: Object.fromEntries(counts) }),
  };
}

function findAll({ documents, definition }: Index, { filter }: z.infer<typeof bool>): Hit[] {
  const fits = toTest(filter, definition);
  return documents.filter(fits).map((document) => ({ document, score: 0 }));
}

/** The nearest of those that fit the filter. */
function findNearest(
  index: Index,
  service: OpenSearchService,
  { name, wanted: { vector, k, filter } }: Nearest,
): Hit[] {
  const { documents, definition } = index;
  const field = definition.mappings.properties[name];
  const refuse = (reason: string) =>
    new ShardRefusal(index, 'query_shard_exception', `failed to create query: ${reason}`);
  if (field?.type !== 'knn_vector') throw refuse(`Field '${name}' is not knn_vector type.`);
  const { dimension } = field;
  if (vector.length !== dimension)
    throw refuse(`Query vector has invalid dimension: ${vector.length}. Dimension should be: ${dimension}`);
  // Domains of some versions choose NMSLIB where none is named.
  if (filter && service === 'es' && !field.method?.engine)
    throw refuse('Engine [NMSLIB] does not support filters');
  // Without it no graph is made of the vectors, and none is searched.
  if (!definition.settings?.index.knn) return [];
  const wanted = Float32Array.from(vector);
  const fits = toTest(filter?.bool.filter ?? [], definition);
  const hits = documents.flatMap((document) => {
    const its = document.vectors.get(name);
    return its && fits(document) ? { document, score: 1 / (1 + squaredDistance(wanted, its)) } : [];
  });
  return hits.sort((one, other) => other.score - one.score).slice(0, k);
}

function squaredDistance(one: Float32Array, other: Float32Array): number {
  let sum = 0;
  for (let at = 0; at < one.length; at++) {
    const difference = (one[at] ?? 0) - (other[at] ?? 0);
    sum += difference * difference;
  }
  return sum;
}

/** Whether a document fits all clauses. Nothing fits one on a field that is not indexed word for word. */
function toTest(clauses: readonly Clause[], definition: Definition): (document: Document) => boolean {
  if (!clauses.every(({ name }) => isIndexed(name, definition))) return () => false;
  return (document) => clauses.every(({ name, wants }) => valuesOf(document, name).some(wants));
}

const isIndexed = (name: string, { mappings }: Definition) =>
  ['keyword', 'long'].includes(mappings.properties[name]?.type ?? '');

const valuesOf = ({ source }: Document, name: string): string[] => [source[name] ?? []].flat().map(String);

/** With the vectors, which are rounded to 32 bits. */
function toSource({ source, vectors }: Document, names: readonly string[] | undefined): object {
  const lists = [...vectors].map(([name, vector]) => [name, [...vector]] as const);
  const whole = [...Object.entries(source), ...lists];
  return Object.fromEntries(names ? whole.filter(([name]) => names.includes(name)) : whole);
}

/** The values of a field that most documents have, first. @throws OpenSearchRefusal 400 */
function count(index: Index, hits: readonly Hit[], { field, size }: Terms): object {
  if (index.definition.mappings.properties[field]?.type === 'text') {
    const reason = `Text fields are not optimised for operations that require per-document field data like aggregations and sorting, so these operations are disabled by default. Please use a keyword field instead. Alternatively, set fielddata=true on [${field}] in order to load field data by uninverting the inverted index. Note that this can use significant memory.`;
    throw new ShardRefusal(index, 'illegal_argument_exception', reason);
  }
  const keys = isIndexed(field, index.definition)
    ? hits.flatMap(({ document }) => valuesOf(document, field))
    : [];
  const groups = [...Map.groupBy(keys, (key) => key)].map(([key, { length }]) => ({
    key,
    doc_count: length,
  }));
  const buckets = groups.sort((one, other) => other.doc_count - one.doc_count);
  const left = buckets.splice(size);
  return {
    doc_count_error_upper_bound: 0,
    sum_other_doc_count: left.reduce((sum, { doc_count }) => sum + doc_count, 0),
    buckets,
  };
}
