/**
 * Puts the questions of curated answers into the index that similar ones are searched in, once the table has the answers. A question that the
 * index has already costs no vector and makes no double.
 */
import { BedrockRuntimeClient } from '@aws-sdk/client-bedrock-runtime';
import { createEmbedder } from '../../src/aws/embeddings.ts';
import { createOpenSearch } from '../../src/aws/opensearch.ts';
import { createLatest } from '../../src/chat/latest.ts';
import { embeddingModel, toComparable, toCuratedEntry } from '../../src/chat/similarity.ts';
import { TABLE_KEY, TABLE_TTL } from '../../src/names.ts';
import type { Sender } from './batches.ts';
import { requirePassing, type Search } from './search.ts';
import type { Place } from './table.ts';
import type { Prepared } from './validation.ts';

/** Whether the question can be in the index: those that are too long for a key, or no prose, cannot. */
export const isComparable = ({ item }: Prepared): boolean =>
  toComparable(item['question']?.S ?? '') !== undefined;

/** What was added is found only once the index has been refreshed, in a collection after a minute. */
const MAX_RECENT = 10_000;

const never = new AbortController().signal;

/** What `sender` has written or kept counts as such once it is in the index. After `signal` no more vectors are made. */
export function withIndex<Entry extends Prepared>(
  sender: Sender<Entry>,
  place: Place,
  search: Search,
  signal: AbortSignal,
): Sender<Entry> {
  const bedrock = new BedrockRuntimeClient(search.bedrock);
  const { credentials = bedrock.config.credentials } = search;
  const index = createOpenSearch({ ...search, credentials });
  const embed = createEmbedder(bedrock);
  const stored = new WeakMap<Entry, 'written' | 'kept'>();
  const vectors = new WeakMap<Entry, readonly number[]>();
  const recent = createLatest<true>(MAX_RECENT);

  /** Only what no earlier try has stored. DynamoDB's name for what is wrong with one of them. */
  async function store(entries: readonly Entry[], isRepeated: boolean): Promise<string | undefined> {
    const fresh = entries.filter((entry) => !stored.has(entry));
    if (fresh.length === 0) return undefined;
    const { written = [], kept = [], refusal } = await sender.send(fresh, isRepeated);
    for (const entry of written) stored.set(entry, 'written');
    for (const entry of kept) stored.set(entry, 'kept');
    return refusal;
  }

  async function findMissing(entries: readonly Entry[]): Promise<readonly Entry[]> {
    const asked = entries.filter((entry) => isComparable(entry) && !recent.get(idOf(entry)));
    const known = new Set<string>();
    for (const [until, those] of Map.groupBy(asked, expiresOf)) {
      for (const question of await index.known(those.map(keyOf), until, never)) known.add(question);
    }
    return asked.filter((entry) => !known.has(keyOf(entry)));
  }

  /** One after the other, since other batches are on their way. @throws GatewayError at the first that Bedrock does not take */
  async function embedAll(entries: readonly Entry[]) {
    for (const entry of entries) {
      if (signal.aborted) return;
      if (vectors.has(entry)) continue;
      const { vectors: made } = await embed({ ...embeddingModel, texts: [keyOf(entry)] }, never);
      vectors.set(entry, made[0] ?? []);
    }
  }

  async function add(entries: readonly Entry[]) {
    if (entries.length === 0) return;
    await index.add(
      entries.map((entry) => toCuratedEntry(keyOf(entry), vectors.get(entry) ?? [], ttlOf(entry))),
      never,
    );
    for (const entry of entries) recent.set(idOf(entry), true);
  }

  /** Those with which nothing remains to be done, and who has not taken the others. @throws UploadFailure */
  async function indexAll(entries: readonly Entry[]) {
    const done = new Set<Entry>();
    try {
      const missing = await findMissing(entries);
      for (const entry of entries) if (!missing.includes(entry)) done.add(entry);
      const failure = await embedAll(missing).catch((error: unknown) => error);
      const ready = missing.filter((entry) => vectors.has(entry));
      await add(ready);
      for (const entry of ready) done.add(entry);
      if (failure) throw failure;
      return { done };
    } catch (error) {
      return { done, leftBy: requirePassing(error, place, search) };
    }
  }

  return {
    perRequest: sender.perRequest,
    async send(entries, isRepeated) {
      const refusal = await store(entries, isRepeated);
      if (refusal !== undefined) return { refusal };
      const { done, leftBy } = await indexAll(entries.filter((entry) => stored.has(entry)));
      const doneAs = (as: string) => [...done].filter((entry) => stored.get(entry) === as);
      return {
        written: doneAs('written'),
        kept: doneAs('kept'),
        left: entries.filter((entry) => !done.has(entry)),
        leftBy,
      };
    },
    close() {
      sender.close();
      bedrock.destroy();
    },
  };
}

/** The form in which questions are compared. */
const keyOf = ({ item }: Prepared): string => item[TABLE_KEY]?.S ?? '';

const expiresOf = (entry: Prepared): number => toCuratedEntry(keyOf(entry), [], ttlOf(entry)).expires;

const idOf = (entry: Prepared): string => `${expiresOf(entry)} ${keyOf(entry)}`;

function ttlOf({ item }: Prepared): number | undefined {
  const ttl = item[TABLE_TTL]?.N;
  return ttl === undefined ? undefined : Math.floor(Number(ttl));
}
