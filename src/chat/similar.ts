/**
 * Questions that were asked before in other words. The index only says which question is near; its answer is looked up in the table by keys
 * that are made of the request at hand, so whatever the index says, nobody gets an answer that he could not ask for in its own words.
 */
import { keyOfLearned, toCuratedKey, toLearnedKey } from './answer-keys.ts';
import type { AnswerKeys, Answers, KeptAnswer } from './answers.ts';
import { createCircuit, startTry, type Try } from './circuit.ts';
import type { Clock } from './clock.ts';
import type { Embed } from './embed.ts';
import { createLatest } from './latest.ts';
import type { CacheNotice } from './lookup.ts';
import type { ChatRequest } from './request.ts';
import {
  CURATED,
  EVERYBODY,
  embeddingModel,
  type IndexedQuestion,
  similarityOf,
  toComparable,
  toFigures,
  toLearnedEntry,
} from './similarity.ts';

/** What a question may be near to: only entries that agree with all of it are looked at, nearest first. */
export type Wanted = Pick<IndexedQuestion, 'figures' | 'vector'> & {
  readonly tenants: readonly string[];
  readonly audiences: readonly string[];
  /** Entries that end by then do not count, in seconds since the epoch. */
  readonly now: number;
};

/** Where questions lie as vectors. Each rejects with whatever goes wrong, and lets go when `signal` aborts. */
export type QuestionIndex = {
  /** A few, nearest first; whoever writes to the index may have made them up. */
  nearest(wanted: Wanted, signal: AbortSignal): Promise<readonly IndexedQuestion[]>;
  add(entries: readonly IndexedQuestion[], signal: AbortSignal): Promise<void>;
};

export type SimilarParts = {
  readonly index: QuestionIndex;
  readonly embed: Embed;
  readonly answers: Pick<Answers, 'find'>;
  readonly clock: Clock;
  readonly notify: (notice: CacheNotice) => void;
};

/** One question. Nothing here rejects, and all that is awaited takes no longer than the budget. */
export type SimilarSearch = {
  /** The answer to a question that is near enough; nothing when there is none, or none in time. */
  find(signal: AbortSignal): Promise<KeptAnswer | undefined>;
  /** Begins to put the question into the index, while the model answers it: for others to find what will have been learned. */
  add(signal: AbortSignal): void;
  /** When that is over, or must be. */
  added(): Promise<void>;
};

/** Nothing for a request that is not to be compared. */
export type Similar = (request: ChatRequest, question: string) => SimilarSearch | undefined;

/** What a question may wait for all of it. It is less than the 300 ms that are promised by what timers are late. */
const BUDGET_MS = 290;

/** What a vector may take while nobody waits for it. */
const EMBED_MS = 5_000;

const circuitOptions = { maxFailures: 5, restMs: 30_000 };

/** A vector comes back from the index a little rounded. */
const ROUNDING = 1e-6;

/** Vectors that are kept: some 8 KB each. */
const MAX_VECTORS = 500;

/** Entries that were added. */
const MAX_RECENT = 1_000;

export function createSimilar({ index, embed, answers, clock, notify }: SimilarParts): Similar {
  // Each its own: who may search may be refused to write.
  const finding = createCircuit({ ...circuitOptions, clock });
  const adding = createCircuit({ ...circuitOptions, clock });
  const toVector = createVectors(embed, clock);
  const seconds = () => Math.floor(clock.now() / 1000);
  // The index finds what was added only after a while.
  const recent = createLatest<IndexedQuestion>(MAX_RECENT);
  const tell = (type: CacheNotice['type']) => (cause?: unknown) => notify({ type, cause });

  return function similar(request, question) {
    const { similarThreshold: threshold } = request.caching;
    const text = toComparable(question);
    if (threshold === undefined || text === undefined) return undefined;
    const own = toLearnedEntry(request, question, [], seconds());
    const wanted = toWanted(request, own);
    const ownId = `${own.audience} ${own.question}`;
    const isThere = (entries: readonly (IndexedQuestion | undefined)[]) =>
      entries.some((entry) => entry && lastsHalf(entry, own, seconds()));
    let leftMs = BUDGET_MS;
    /** Whether the index lacks this question, as far as is known. */
    let isMissing = !isThere([recent.get(ownId)]);
    let addition: Try<void> | undefined;

    const look = async (signal: AbortSignal): Promise<readonly KeyedHit[]> => {
      const vector = await toVector(own.tenant, text, signal);
      const entries = await index.nearest({ ...wanted, vector, now: seconds() }, signal);
      const hits = entries.filter((entry) => isWanted(entry, wanted, seconds()));
      const found = hits.filter((entry) => entry.question === own.question);
      isMissing = !isThere([...found, recent.get(ownId)]);
      return hits
        .map((entry) => ({
          similarity: similarityOf(entry.vector, vector),
          keys: toKeys(request, question, entry),
        }))
        .filter(({ similarity }) => similarity >= threshold - ROUNDING)
        .sort((one, other) => other.similarity - one.similarity);
    };

    return {
      async find(signal) {
        isMissing = false;
        const beganAt = clock.now();
        const attempt = startTry(
          { circuit: finding, signal, clock, onFailure: tell('similar-unavailable') },
          async (inner) => {
            for (const { keys } of await look(inner)) {
              const { answer, wasAltered } = await answers.find(keys);
              if (wasAltered) notify({ type: 'answer-altered' });
              if (answer) return { ...answer, origin: 'similar' as const };
            }
            return undefined;
          },
        );
        const answer = await attempt.within(BUDGET_MS);
        leftMs -= Math.max(0, clock.now() - beganAt);
        return answer;
      },

      add(signal) {
        if (!isMissing) return;
        addition = startTry(
          { circuit: adding, signal, clock, onFailure: tell('question-not-indexed') },
          async (inner) => {
            const vector = await toVector(own.tenant, text, inner);
            await index.add([{ ...own, vector }], inner);
            recent.set(ownId, own);
          },
        );
      },

      added: async () => addition?.within(leftMs),
    };
  };
}

/** Makes the vector of a text, or has it from before. Each tenant has its own, or how soon it is there would tell what others ask. */
function createVectors(embed: Embed, clock: Clock) {
  const vectors = createLatest<readonly number[]>(MAX_VECTORS);
  return async (tenant: string, text: string, signal: AbortSignal): Promise<readonly number[]> => {
    const key = JSON.stringify([tenant, text]);
    const known = vectors.get(key);
    if (known) return known;
    const request = { ...embeddingModel, texts: [text], patienceMs: EMBED_MS };
    const { vectors: made } = await embed(request, { signal, deadline: clock.now() + EMBED_MS });
    const [vector = []] = made;
    vectors.set(key, vector);
    return vector;
  };
}

/** What an entry has to agree with. */
type Agreement = Omit<Wanted, 'vector' | 'now'>;

type KeyedHit = { readonly similarity: number; readonly keys: AnswerKeys };

const toWanted = (request: ChatRequest, own: IndexedQuestion): Agreement => ({
  tenants: [EVERYBODY, own.tenant],
  audiences: request.caching.curated ? [CURATED, own.audience] : [own.audience],
  figures: own.figures,
});

/** The index was asked for these only; others may have written to it. */
const isWanted = (entry: IndexedQuestion, wanted: Agreement, now: number): boolean =>
  wanted.tenants.includes(entry.tenant) &&
  wanted.audiences.includes(entry.audience) &&
  wanted.figures === (entry.audience === CURATED ? toFigures(entry.question) : entry.figures) &&
  entry.expires > now;

/** Whether it is there for at least half as long as a new one would be. */
const lastsHalf = (entry: IndexedQuestion, own: IndexedQuestion, now: number): boolean =>
  entry.expires - now >= (own.expires - now) / 2;

/** By which the table has the answer, if it has one for this request. */
const toKeys = (request: ChatRequest, question: string, entry: IndexedQuestion): AnswerKeys =>
  entry.audience === CURATED
    ? { curated: toCuratedKey(entry.question), learned: toLearnedKey(request, question) }
    : { learned: keyOfLearned(request, entry.question) };
