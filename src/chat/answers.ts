/**
 * Answers that are kept: what is known of one, and where they lie.
 */

/** An answer that was whole, by whoever gave it. */
export type KeptAnswer = {
  /** `similar`: either of them, to a question that is near the one that was asked. */
  readonly origin: 'curated' | 'learned' | 'similar';
  /** The model that gave it; an operator's answer has none. */
  readonly model?: string;
  readonly text: string;
  /** Empty when there was none. */
  readonly reasoning: string;
};

export type LearnedAnswer = KeptAnswer & { readonly origin: 'learned'; readonly model: string };

export type AnswerKeys = {
  /** Absent where an operator's answer may not serve. */
  readonly curated?: string;
  readonly learned: string;
};

export type Found = {
  /** The operator's, where there are two. */
  readonly answer?: KeptAnswer;
  /** Who is asking a model the same, so that nobody else should. */
  readonly asking?: string | undefined;
  /** Whether there was a learned answer that is not as it was learned. It counts as none, and is gone by now. */
  readonly wasAltered?: true;
};

/** Where they lie. Each rejects with whatever goes wrong. */
export type Answers = {
  /** In one round trip. */
  find(keys: AnswerKeys): Promise<Found>;
  /** As `find`; where there is neither an answer nor anybody asking, the owner is, until then in milliseconds since the epoch. */
  claim(learned: string, owner: string, until: number): Promise<Found>;
  /** The owner asks no more. */
  release(learned: string, owner: string): Promise<void>;
  /** In place of whatever is there. */
  learn(learned: string, answer: LearnedAnswer, ttlSeconds: number): Promise<void>;
};
