/**
 * The index of questions in an OpenSearch domain (2.9 or later) or a serverless vector search collection: made at its first use, asked by
 * k-NN with the filter inside the query, and not taken at its word.
 *
 * What differs between engines and versions is not used: entries have no ids, since a collection takes none, and no score is read, since
 * each engine has its own; an entry carries its vector.
 * @see https://docs.opensearch.org/latest/vector-search/filter-search-knn/efficient-knn-filtering/
 * @see https://docs.aws.amazon.com/opensearch-service/latest/developerguide/serverless-vector-search.html
 */
import { createHash } from 'node:crypto';
import { z } from 'zod/mini';
import { parseJson } from '../chat/json.ts';
import type { QuestionIndex } from '../chat/similar.ts';
import {
  readEntries,
  readItems,
  readQuestions,
  toDefinition,
  toDocument,
  toKnownQuery,
  toQuery,
} from './opensearch-documents.ts';
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

/** Longer replies are not read on. The longest that is right has some 40 KB. */
const MAX_REPLY_BYTES = 1024 * 1024;

/** For each request; whoever asks may have less time. */
const TIMEOUT_MS = 10_000;

const EXISTS = 'resource_already_exists_exception';

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
    const reply = parseJson(await readText(response));
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
      await put(toDefinition({ namesEngine: true })).catch((error) => {
        // Newer collections have one engine and refuse whoever names it; elsewhere one that nobody names may not filter.
        if (service === 'es' || !isOf(error, 400) || isOf(error, EXISTS)) throw error;
        return put(toDefinition({ namesEngine: false }));
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
      return reply === undefined ? [] : readable(readEntries(reply));
    },

    async add(entries, signal) {
      if (!isThere) await create(signal);
      const lines = entries.flatMap((entry) => [{ index: {} }, toDocument(entry)]);
      const body = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
      const items = readable(readItems(await call('POST', '/_bulk', body, signal)));
      if (items.length !== entries.length) throw new OpenSearchError(200);
      const refused = items.find(({ status }) => status >= 300);
      if (refused) throw new OpenSearchError(refused.status, errorType(refused));
    },

    async known(questions, until, signal) {
      if (questions.length === 0) return new Set();
      const reply = await search(toKnownQuery(questions, until), signal);
      return new Set(reply === undefined ? [] : readable(readQuestions(reply)));
    },
  };
}

/** @throws OpenSearchError where there is nothing to be read */
function readable<T>(what: T | undefined): T {
  if (what === undefined) throw new OpenSearchError(200);
  return what;
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
