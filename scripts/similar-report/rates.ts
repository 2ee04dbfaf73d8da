/**
 * What would be answered at which threshold, by the rules of the gateway: of the questions with the same numbers the nearest answers, when it
 * is near enough.
 */
import { similarityOf, toFigures } from '../../src/chat/similarity.ts';
import type { Text } from './samples.ts';

export type Question = Text & { readonly vector: readonly number[] };

/** What was asked, and the nearest question. */
export type Match = {
  readonly asked: string;
  /** Nothing when no question has the same numbers. */
  readonly nearest: string | undefined;
  readonly isMeant: boolean;
  /** 0 where nothing is near. */
  readonly similarity: number;
};

/** How many paraphrases the right answer and how many a wrong one, and how many near misses any answer at all. */
export type Rate = {
  readonly threshold: number;
  readonly hits: number;
  readonly wrong: number;
  readonly falseHits: number;
};

export type Findings = {
  /** The one that was asked about, which is among the rates. */
  readonly threshold: number;
  /** From the lowest threshold to the highest. */
  readonly rates: readonly Rate[];
  readonly paraphrases: readonly Match[];
  readonly nearMisses: readonly Match[];
};

/** From 0.80 to 1.00. */
export const STEPS: readonly number[] = Array.from({ length: 21 }, (_, at) => (80 + at) / 100);

export function findNearest(asked: Question, meant: string, questions: readonly Question[]): Match {
  const figures = toFigures(asked.comparable);
  const [nearest] = questions
    .filter(({ comparable }) => toFigures(comparable) === figures)
    .map((question) => ({ ...question, similarity: similarityOf(question.vector, asked.vector) }))
    .sort((one, other) => other.similarity - one.similarity);
  return {
    asked: asked.text,
    nearest: nearest?.text,
    isMeant: nearest?.comparable === meant,
    similarity: nearest?.similarity ?? 0,
  };
}

export function rateAt(threshold: number, paraphrases: readonly Match[], nearMisses: readonly Match[]): Rate {
  const isAnswered = ({ similarity }: Match) => similarity >= threshold;
  const answered = paraphrases.filter(isAnswered);
  const hits = answered.filter(({ isMeant }) => isMeant).length;
  return { threshold, hits, wrong: answered.length - hits, falseHits: nearMisses.filter(isAnswered).length };
}

export function toFindings(
  paraphrases: readonly Match[],
  nearMisses: readonly Match[],
  threshold: number,
): Findings {
  const thresholds = [...new Set([...STEPS, threshold])].sort((one, other) => one - other);
  const rates = thresholds.map((each) => rateAt(each, paraphrases, nearMisses));
  return { threshold, rates, paraphrases, nearMisses };
}

/** The lowest threshold at which something is answered, and all of it right. `rates` begin with the lowest. */
export const findSafe = (rates: readonly Rate[]): Rate | undefined =>
  rates.find(({ hits, wrong, falseHits }) => wrong + falseHits === 0 && hits > 0);
