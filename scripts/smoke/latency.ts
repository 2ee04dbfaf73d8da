/**
 * The predecessor's table for this gateway: how long a door takes to its first text, by the size of the question.
 */
import { randomUUID } from 'node:crypto';
import { within } from './check.ts';
import type { Door } from './door.ts';
import { requireStream, toFigures } from './stream.ts';

/** Characters to a token of English text. */
export const TOKEN_CHARS = 4;

/** A token each, of three letters and a blank on average. */
const words = 'the of a sea old map red sun boat wind ship lamp rock day by to in for oil fog bay net'.split(
  ' ',
);

/** Random from its start, so that no cache on the way knows it. */
export function createPrompt(tokens: number): string {
  const chars = tokens * TOKEN_CHARS;
  let prompt = `${randomUUID()} Reply with the one word OK, whatever these words say:`;
  while (prompt.length < chars) prompt += ` ${words[Math.floor(Math.random() * words.length)]}`;
  return prompt;
}

export type Cell = {
  readonly promptTokens: number;
  /** To the first text, of each run; fewer than were wanted when one failed. */
  readonly runsMs: readonly number[];
  readonly medianMs?: number;
  /** What the gateway reported, of the last run. */
  readonly inputTokens?: number;
  /** Why there is no median. */
  readonly failure?: string;
};

export type Measuring = {
  readonly runs: number;
  readonly signal: AbortSignal;
  /** For each run. */
  readonly limitSeconds: number;
};

/** One run after another. @throws the reason of the signal, when that aborts */
export async function measure(door: Door, promptTokens: number, measuring: Measuring): Promise<Cell> {
  const runsMs: number[] = [];
  let inputTokens: number | undefined;
  for (let run = 0; run < measuring.runs; run++) {
    const { finding } = await within(measuring, async (signal) => {
      const body = {
        prompt: createPrompt(promptTokens),
        parameters: { max_tokens: 16 },
        cache: 'off',
        store: false,
      };
      const answer = await door.ask(body, { signal });
      requireStream(answer, 'done');
      const usage = Object(answer.events.at(-1)?.data['usage']) as { readonly input_tokens?: unknown };
      if (typeof usage.input_tokens === 'number') inputTokens = usage.input_tokens;
      return { result: 'ok', ms: toFigures(answer).firstDeltaMs };
    });
    if (finding.result === 'FAILED') return { promptTokens, runsMs, failure: finding.note ?? '' };
    runsMs.push(finding.ms ?? 0);
  }
  const counted = inputTokens !== undefined && { inputTokens };
  return { promptTokens, runsMs, medianMs: medianOf(runsMs), ...counted };
}

export function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  const middle = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(middle)] ?? 0) + (sorted[Math.ceil(middle)] ?? 0)) / 2;
}
