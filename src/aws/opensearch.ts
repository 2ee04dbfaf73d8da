/**
 * The index of questions in an OpenSearch domain (2.9 or later) or a serverless vector search collection: made at its first use, asked by
 * k-NN with the filter inside the query, and believed in nothing.
 *
 * What differs between engines and versions is not used: entries have no ids, since a collection takes none, and no score is read, since
 * each engine has its own; an entry carries its vector.
 * @see https://docs.opensearch.org/latest/vector-search/filter-search-knn/efficient-knn-filtering/
 * @see https://docs.aws.amazon.com/opensearch-service/latest/developerguide/serverless-vector-search.html
 */
import { createHash } from 'node:crypto';
import { z } from 'zod/mini';
import type { QuestionIndex, Wanted } from '../chat/similar.ts';
import { CURATED, embeddingModel, type IndexedQuestion } from '../chat/similarity.ts';
import { createSignedFetch, type SignedFetchParts } from './signed-fetch.ts';

export type OpenSearchParts = Omit<SignedFetchParts, 'service'> & {
  /** `https://` and the host. */
  readonly endpoint: string;
  /** The name of the index. */
  readonly index: string;
  /** What requests are signed for: `es` a domain, `aoss` a collection. Told by the endpoint unless given. */
  readonly service?: OpenSearchService;
};

export type OpenSearchService = 'es' | 'aoss';

export type OpenSearch = QuestionIndex & {
  /** Those of these keys of curated answers that the index has until then, in seconds since the epoch, or longer. At most 100 at once. */
  known(questions: readonly string[], until: number, signal: AbortSignal): Promise<ReadonlySet<string>>;
};

/** It did not do what it was asked. `type` is OpenSearch's own name for why, where it said one. */
export class OpenSearchError extends Error {
  override readonly name = 'OpenSearchError';
  readonly status: number;
  readonly type: string | undefined;

  constructor(status: number, type?: string) {
    super(`OpenSearch answered ${status}${type ? ` (${type})` : ''}.`);
    this.status = status;
    this.type = type;
  }
}

/** Of the nearest; some may be of answers that are gone. */
const NEAREST = 5;

/** Longer replies are not read on. The longest that is right has some 40 KB. */
const MAX_REPLY_BYTES = 1024 * 1024;

/** For each request; whoever asks may have less time. */
const TIMEOUT_MS = 10_000;

const EXISTS = 'resource_already_exists_exception';

const VECTOR_BYTES = 4 * embeddingModel.dimensions;

/** The service of an endpoint: collections have `aoss` in their host's name. */
export const serviceOf = (endpoint: string): OpenSearchService =>
  /\.aoss\./.test(URL.parse(endpoint)?.hostname ?? '') ? 'aoss' : 'es';

export function createOpenSearch({ index, ...parts }: OpenSearchParts): OpenSearch {
  const endpoint = parts.endpoint.replace(/\/+$/, '');
  const { service = serviceOf(endpoint), ...signing } = parts;
  const signedFetch = createSignedFetch({ ...signing, service });
  /** Whether the index is there; not known before the first reply. */
  let isThere: boolean | undefined;

  /** @throws OpenSearchError for any status but 2xx, and for what is no JSON or too long */
  async function call(method: string, path: string, body: string, signal: AbortSignal): Promise<unknown> {
    const type = path.endsWith('_bulk') ? 'application/x-ndjson' : 'application/json';
    const sha256 = createHash('sha256').update(body).digest('hex');
    const response = await signedFetch(`${endpoint}/${index}${path}`, {
      method,
      body,
      // A collection refuses whoever does not say the digest.
      headers: { 'content-type': type, 'x-amz-content-sha256': sha256 },
      redirect: 'error',
      signal,
      timeoutMs: TIMEOUT_MS,
    });
    const reply = parseReply(await readText(response));
    if (!response.ok) throw new OpenSearchError(response.status, errorType(reply));
    if (reply === undefined) throw new OpenSearchError(response.status);
    return reply;
  }

  /** The reply to a search; nothing while there is no index. */
  async function search(query: object, signal: AbortSignal): Promise<unknown> {
    try {
      const reply = await call('POST', '/_search', JSON.stringify(query), signal);
      isThere = true;
      return reply;
    } catch (error) {
      if (!isOf(error, 'index_not_found_exception')) throw error;
      isThere = false;
      return undefined;
    }
  }

  /** Before anything is added: OpenSearch would make the index itself otherwise, and take vectors for lists of numbers. */
  async function create(signal: AbortSignal) {
    const put = (definition: object) => call('PUT', '', JSON.stringify(definition), signal);
    try {
      await put(toDefinition({ method: faiss })).catch((error) => {
        // Newer collections have one engine and refuse whoever names it; elsewhere one that nobody names may not filter.
        if (service === 'es' || !isOf(error, 400) || isOf(error, EXISTS)) throw error;
        return put(toDefinition({}));
      });
    } catch (error) {
      // Another process was first.
      if (!isOf(error, EXISTS)) throw error;
    }
    isThere = true;
  }

  return {
    async nearest(wanted, signal) {
      const reply = await search(toQuery(wanted), signal);
      return reply === undefined ? [] : readEntries(reply);
    },

    async add(entries, signal) {
      if (!isThere) await create(signal);
      const lines = entries.flatMap((entry) => [{ index: {} }, toDocument(entry)]);
      const body = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
      checkBulk(await call('POST', '/_bulk', body, signal), entries.length);
    },

    async known(questions, until, signal) {
      if (questions.length === 0) return new Set();
      const filter = [
        { term: { audience: CURATED } },
        { terms: { question: questions } },
        { range: { expires: { gt: until - 1 } } },
      ];
      const found = { terms: { field: 'question', size: questions.length } };
      const reply = await search({ size: 0, query: { bool: { filter } }, aggs: { found } }, signal);
      return new Set(reply === undefined ? [] : readBuckets(reply));
    },
  };
}

const keyword = { type: 'keyword' };

const faiss = { name: 'hnsw', engine: 'faiss', space_type: 'l2' };

const toDefinition = (how: { readonly method?: object }): object => ({
  settings: { index: { knn: true } },
  mappings: {
    dynamic: false,
    properties: {
      tenant: keyword,
      audience: keyword,
      question: keyword,
      figures: keyword,
      expires: { type: 'long' },
      vector: { type: 'knn_vector', dimension: embeddingModel.dimensions, ...how },
      exact: { type: 'binary' },
    },
  },
});

/** `exact` is the vector once more, as an engine may keep it rounded or not give it back. */
const toDocument = ({ vector, ...entry }: IndexedQuestion): object => ({
  ...entry,
  vector,
  exact: Buffer.from(Float32Array.from(vector).buffer).toString('base64'),
});

function toQuery({ tenants, audiences, figures, now, vector }: Wanted): object {
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

/** Hits that are no entries are dropped. @throws OpenSearchError for what is no reply to a search, and where no hit is an entry */
function readEntries(reply: unknown): IndexedQuestion[] {
  const { success, data } = searchReply.safeParse(reply);
  if (!success) throw new OpenSearchError(200);
  const entries = data.hits.hits.slice(0, NEAREST).flatMap((found) => {
    const { success: isEntry, data: entry } = hit.safeParse(found);
    const vector = isEntry ? toVector(entry._source.exact) : undefined;
    if (!isEntry || !vector) return [];
    const { exact: _exact, ...fields } = entry._source;
    return [{ ...fields, vector }];
  });
  if (entries.length === 0 && data.hits.hits.length > 0) throw new OpenSearchError(200);
  return entries;
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

function readBuckets(reply: unknown): string[] {
  const { success, data } = bucketsReply.safeParse(reply);
  if (!success) throw new OpenSearchError(200);
  return data.aggregations.found.buckets.map(({ key }) => key);
}

const bulkReply = z.object({
  errors: z.boolean(),
  items: z.array(z.object({ index: z.object({ status: z.int(), error: z.optional(z.unknown()) }) })),
});

/** @throws OpenSearchError when at least one was not taken */
function checkBulk(reply: unknown, count: number) {
  const { success, data } = bulkReply.safeParse(reply);
  if (!success || data.items.length !== count) throw new OpenSearchError(200);
  const refused = data.items.find(({ index }) => index.status >= 300);
  if (refused) throw new OpenSearchError(refused.index.status, errorType({ error: refused.index.error }));
}

const errorReply = z.object({ error: z.object({ type: z.string() }) });

const errorType = (reply: unknown): string | undefined => {
  const { data } = errorReply.safeParse(reply);
  return data && /^[a-z_]{1,80}$/.test(data.error.type) ? data.error.type : undefined;
};

/** Whether it has this status, or this type. */
const isOf = (error: unknown, what: number | string) =>
  error instanceof OpenSearchError && (error.status === what || error.type === what);

async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > MAX_REPLY_BYTES) throw new OpenSearchError(response.status);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function parseReply(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
