/**
 * When two questions are taken for the same: how near their vectors are, and what has to agree besides. And what is kept of a question in an
 * index of vectors: never its answer, which is in the table, and only an operator's question as a text.
 */
import { toAudience, toCanonicalQuestion, toCuratedKey, toQuestionDigest } from './answer-keys.ts';
import type { EmbedRequest } from './embed.ts';
import type { ChatRequest } from './request.ts';

/** The model that turns questions into vectors. Vectors of another are in another index. */
export const embeddingModel = {
  model: 'amazon.titan-embed-text-v2:0',
  family: 'titan-v2',
  dimensions: 1024,
  inputType: 'search_query',
} as const satisfies Partial<EmbedRequest>;

/** A question that has an answer in the table, as the index has it. */
export type IndexedQuestion = {
  /** Who asked it; `EVERYBODY` when an operator wrote the answer. */
  readonly tenant: string;
  /** `CURATED`, or for a learned answer the digest of all that was asked beside the question. */
  readonly audience: string;
  /** The key of a curated answer; of a learned one the question's digest. */
  readonly question: string;
  /** The numbers in it. */
  readonly figures: string;
  /** When the answer ends, in seconds since the epoch. */
  readonly expires: number;
  readonly vector: readonly number[];
};

export const EVERYBODY = '*';
export const CURATED = 'curated';

/** The last second of the year 9999. */
const NEVER = 253_402_300_799;

/**
 * What is compared of a question: its canonical form. Nothing for one that is too long to be a key, or blank, or no prose: in commands, code
 * and addresses a capital or a sign may be all the difference, and vectors hardly know them.
 */
export function toComparable(question: string): string | undefined {
  const canonical = toCanonicalQuestion(question);
  const isKey = canonical !== '' && toCuratedKey(question) === canonical;
  return isKey && isProse(question.normalize('NFKC').trim()) ? canonical : undefined;
}

/** One line of letters and what joins them, numbers, and the marks of sentences and prices. */
const PROSE =
  /^(?:[\p{L}\p{M}\p{N}\p{Zs}\t\u00ad\u200b-\u200f°]|(?![[\]{}\\_*#@;])\p{P}|(?<=\p{Script=Greek});|\p{Sc}(?!\p{L}))*$/u;

/** An option, a path or an address, a call of a function, an operator, a factorial, a folder. */
const NO_PROSE =
  /(?<![\p{L}\p{N}])\p{Pd}+\p{L}|(?:^|\s)(?:[/:!]\S|\.)|\/\/|www\.|&&|--|[\p{L}\p{N}]\(|\p{N}!/u;

const isProse = (text: string) => PROSE.test(text) && !NO_PROSE.test(text);

/** The question of an operator's answer, which is there until `ttl`, in seconds since the epoch. `comparable` is its key. */
export const toCuratedEntry = (
  comparable: string,
  vector: readonly number[],
  ttl: number = NEVER,
): IndexedQuestion => ({
  tenant: EVERYBODY,
  audience: CURATED,
  question: comparable,
  figures: toFigures(comparable),
  expires: ttl,
  vector,
});

/** The question of what a model answered to this request. `now` is in seconds since the epoch. */
export const toLearnedEntry = (
  request: ChatRequest,
  question: string,
  vector: readonly number[],
  now: number,
): IndexedQuestion => ({
  // Also where exact answers are shared: what one tenant asks must not put words into the mouths of others.
  tenant: request.caller.tenant,
  audience: toAudience(request),
  question: toQuestionDigest(question),
  figures: toFigures(toCanonicalQuestion(question)),
  expires: Math.ceil(now + request.caching.ttlSeconds),
  vector,
});

/**
 * The numbers of a text in their order, with the marks around them: `error 502 on page -3` has `502 -3`. Vectors hardly tell one number from
 * another.
 */
export function toFigures(text: string): string {
  const closed = text.replace(
    /(?<=\p{N})\s+(?=[^\p{L}\p{M}\p{N}\s])|(?<=[^\p{L}\p{M}\p{N}\s,.;:?!])\s+(?=\p{N})/gu,
    '',
  );
  const runs = closed.match(/[^\p{L}\p{M}\s]*\p{N}[^\p{L}\p{M}\s]*/gu) ?? [];
  return runs.map((run) => run.replace(/^[("'“‘«¿¡]+|[?!.,;:)"'”’»]+$/g, '')).join(' ');
}

/** The cosine of the angle between two vectors, from -1 to 1; 0 where one of them has no direction. */
export function similarityOf(one: readonly number[], other: readonly number[]): number {
  let product = 0;
  let ones = 0;
  let others = 0;
  for (const [at, value] of one.entries()) {
    const otherValue = other[at] ?? 0;
    product += value * otherValue;
    ones += value * value;
    others += otherValue * otherValue;
  }
  const lengths = Math.sqrt(ones) * Math.sqrt(others);
  return lengths > 0 ? product / lengths : 0;
}
