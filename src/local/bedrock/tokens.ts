/**
 * Tokens of the simulated model: a word or a punctuation mark with the blanks before it. Real tokenizers differ; these
 * are easy to count by eye and never split a code point.
 */
// The upper bounds keep one token short, whatever the text; the last branch takes blanks that no word follows.
const TOKEN = /\s{0,3}(?:[\p{L}\p{M}\p{N}_'’-]{1,20}|\S)|\s{1,16}/gu;

/** Cuts a text into tokens; joined again they are the very same text. */
export function splitTokens(text: string): string[] {
  return text.match(TOKEN) ?? [];
}

/** Joins neighbouring tokens so that no more than `maxPieces` are left, all of about the same number of tokens. */
export function joinTokens(tokens: readonly string[], maxPieces: number): string[] {
  const size = Math.ceil(tokens.length / maxPieces);
  const pieces: string[] = [];
  for (let from = 0; from < tokens.length; from += size) {
    pieces.push(tokens.slice(from, from + size).join(''));
  }
  return pieces;
}
