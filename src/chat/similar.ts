/**
 * Questions that were asked before in other words. The index only says which question is near; its answer is looked up in the table by keys
 * that are made of the request at hand, so whatever the index says, nobody gets what was learned for somebody else.
 */
import { keyOfLearned, toCuratedKey, toLearnedKey } from './answer-keys.ts';
import type { AnswerKeys, Answers, KeptAnswer } from './answers.ts';
import { type Circuit, createCircuit } from './circuit.ts';
import { type Clock, within } from './clock.ts';
import type { Embed } from './embed.ts';
import type { ChatRequest } from './request.ts';
import {
  CURATED,
  EVERYBODY,
  embeddingModel,
  type IndexedQuestion,
  similarityOf,
  toComparable,
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
  /** A few, nearest first; what the index says of them need not be so. */
  nearest(wanted: Wanted, signal: AbortSignal): Promise<readonly IndexedQuestion[]>;
  add(entries: readonly IndexedQuestion[], signal: AbortSignal): Promise<void>;
};

export type SimilarParts = {
  readonly index: QuestionIndex;
  readonly embed: Embed;
  readonly answers: Pick<Answers, 'find'>;
  readonly clock: Clock;
  /** What went wrong; nothing where it merely took too long. */
  readonly onFailure: (cause?: unknown) => void;
};

/** One question. Neither call rejects, and the two together take no longer than the budget. */
export type SimilarSearch = {
  /** The answer to a question that is near enough; nothing when there is none, or none in time. */
  find(signal: AbortSignal): Promise<KeptAnswer | undefined>;
  /** Lets others find what was learned for this one. */
  add(signal: AbortSignal): Promise<void>;
};

/** Nothing for a request that is not to be compared. */
export type Similar = (request: ChatRequest, question: string) => SimilarSearch | undefined;

/** What a question may wait for all of it. It is less than the 300 ms that are promised by what timers are late. */
const BUDGET_MS = 290;
const MAX_FAILURES = 5;
const REST_MS = 30_000;

/** Vectors that are kept: some 8 KB each. */
const MAX_VECTORS = 500;

export function createSimilar({ index, embed, answers, clock, onFailure }: SimilarParts): Similar {
  const circuit = createCircuit({ maxFailures: MAX_FAILURES, restMs: REST_MS, clock });
  const toVector = createVectors(embed, clock);
  const seconds = () => Math.floor(clock.now() / 1000);

  return function similar(request, question) {
    const { similarThreshold: threshold } = request.caching;
    const text = toComparable(question);
    if (threshold === undefined || text === undefined) return undefined;
    const own = toLearnedEntry(request, question, [], seconds());
    const wanted = toWanted(request, own);
    const attempt = createAttempts(circuit, clock, onFailure);
    /** Whether the index has this question; not known before the first look. */
    let isThere: boolean | undefined;

    const look = async (signal: AbortSignal): Promise<readonly KeyedHit[]> => {
      const vector = await toVector(text, signal);
      const entries = await index.nearest({ ...wanted, vector, now: seconds() }, signal);
      const hits = entries.filter((entry) => isWanted(entry, wanted, seconds()));
      isThere = hits.some((entry) => entry.question === own.question);
      return hits
        .map((entry) => ({
          similarity: similarityOf(entry.vector, vector),
          keys: toKeys(request, question, entry),
        }))
        .filter(({ similarity }) => similarity >= threshold)
        .sort((one, other) => other.similarity - one.similarity);
    };

    return {
      find: (signal) =>
        attempt(signal, async (inner) => {
          for (const { keys } of await look(inner)) {
            const { answer } = await answers.find(keys);
            if (answer) return { ...answer, origin: 'similar' as const };
          }
          return undefined;
        }),

      async add(signal) {
        await attempt(signal, async (inner) => {
          if (isThere === undefined) await look(inner);
          if (isThere) return;
          await index.add([{ ...own, vector: await toVector(text, inner) }], inner);
        });
      },
    };
  };
}

/** Makes the vector of a text, or has it from before. */
function createVectors(embed: Embed, clock: Clock) {
  const vectors = new Map<string, readonly number[]>();
  return async (text: string, signal: AbortSignal): Promise<readonly number[]> => {
    const known = vectors.get(text);
    if (known) return known;
    const request = { ...embeddingModel, texts: [text], patienceMs: BUDGET_MS };
    const { vectors: made } = await embed(request, { signal, deadline: clock.now() + BUDGET_MS });
    const [vector = []] = made;
    const [oldest] = vectors.keys();
    if (vectors.size >= MAX_VECTORS && oldest !== undefined) vectors.delete(oldest);
    vectors.set(text, vector);
    return vector;
  };
}

/** What may be tried for one question, while its budget lasts. A failure ends it. */
function createAttempts(circuit: Circuit, clock: Clock, onFailure: SimilarParts['onFailure']) {
  let leftMs = BUDGET_MS;
  /** What the work comes to; nothing when it fails, takes too long or is not tried. */
  return async function attempt<T>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>) {
    const leave = leftMs > 0 && !signal.aborted ? circuit.enter() : undefined;
    if (!leave) return undefined;
    const beganAt = clock.now();
    const over = new AbortController();
    const fail = (cause?: unknown) => {
      leave(signal.aborted ? 'left' : 'failed');
      if (!signal.aborted) onFailure(cause);
      leftMs = 0;
    };
    try {
      const working = work(AbortSignal.any([signal, over.signal])).then((result) => ({ result }));
      const done = await within(leftMs, working, clock);
      if (done) leave('worked');
      else fail();
      return done?.result;
    } catch (cause) {
      fail(cause);
      return undefined;
    } finally {
      over.abort();
      leftMs -= clock.now() - beganAt;
    }
  };
}

type KeyedHit = { readonly similarity: number; readonly keys: AnswerKeys };

const toWanted = (request: ChatRequest, own: IndexedQuestion): Omit<Wanted, 'vector' | 'now'> => ({
  tenants: [EVERYBODY, own.tenant],
  audiences: request.caching.curated ? [CURATED, own.audience] : [own.audience],
  figures: own.figures,
});

/** The index was asked for these only, and is not believed. */
const isWanted = (entry: IndexedQuestion, wanted: Omit<Wanted, 'vector' | 'now'>, now: number): boolean =>
  wanted.tenants.includes(entry.tenant) &&
  wanted.audiences.includes(entry.audience) &&
  entry.figures === wanted.figures &&
  entry.expires > now;

/** By which the table has the answer, if it has one for this request. */
const toKeys = (request: ChatRequest, question: string, entry: IndexedQuestion): AnswerKeys =>
  entry.audience === CURATED
    ? { curated: toCuratedKey(entry.question), learned: toLearnedKey(request, question) }
    : { learned: keyOfLearned(request, entry.question) };
