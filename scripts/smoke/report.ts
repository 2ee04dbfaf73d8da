/**
 * What was found, as text for people and as JSON for programs.
 */
import { styleText } from 'node:util';
import { formatMs, type Row } from './check.ts';
import type { Door } from './door.ts';
import { type Cell, TOKEN_CHARS } from './latency.ts';

const colours = { ok: 'green', warning: 'yellow', skipped: 'dim', FAILED: 'red' } as const;

const formatCount = (count: number) => count.toLocaleString('en-US');

export const toHeading = ({ title, place }: Door): string => `\n${title}  ${place.url.href}\n`;

export function toLine({ result, check, ms, note = '' }: Row, isColoured: boolean): string {
  const padded = result.padEnd(8);
  const mark = isColoured ? styleText(colours[result], padded, { validateStream: false }) : padded;
  const time = (ms === undefined ? '' : formatMs(ms)).padStart(10);
  return `${`  ${mark} ${check.padEnd(30)}${time}   ${note}`.trimEnd()}\n`;
}

/** `23 checks: 20 ok, 1 warning, 2 skipped, 0 FAILED` */
export function toSum(rows: readonly Row[]): string {
  const results = Object.keys(colours).map(
    (result) => `${rows.filter((row) => row.result === result).length} ${result}`,
  );
  return `\n${rows.length} checks: ${results.join(', ')}\n`;
}

const LABEL = 14;
const COLUMN = 18;
const label = (text: string) => text.padEnd(LABEL);
const column = (text: string) => text.padStart(COLUMN);

export const toHead = (sizes: readonly number[], runs: number): string =>
  `\nTime to the first text, median of ${runs}\n\n${label('')}${sizes.map((size) => column(`${formatCount(size)} tokens`)).join('')}\n`;

export const toLabel = ({ title }: Door): string => label(title);

export const toCell = ({ medianMs }: Cell): string =>
  column(medianMs === undefined ? 'FAILED' : formatMs(medianMs));

/** The counts that the gateway reported, what failed, and how all of it was measured. */
export function toNotes(cells: readonly LatencyRow[], sizes: readonly number[]): string {
  const counts = sizes.map((size) => {
    const counted = cells.flatMap(({ promptTokens, inputTokens }) =>
      promptTokens === size && inputTokens !== undefined ? [inputTokens] : [],
    );
    const [least, most] = [Math.min(...counted), Math.max(...counted)];
    if (counted.length === 0) return 'not reported';
    return least === most ? formatCount(least) : `${formatCount(least)} to ${formatCount(most)}`;
  });
  const failures = cells.flatMap(({ door, promptTokens, failure }) =>
    failure === undefined ? [] : [`${door}, ${formatCount(promptTokens)} tokens: ${failure}\n`],
  );
  return `${label('input tokens')}${counts.map(column).join('')}\n\n${failures.join('')}${explanation}`;
}

const explanation = `A token is estimated as ${TOKEN_CHARS} characters of random English words; the input tokens are those that the gateway reported.
Nothing was cached or stored (cache "off", store false, max_tokens 16), and each question is a new one from its first word on.
Times begin when the question is sent. A WebSocket is open by then; over it, a question of more than 28 KB travels in parts,
eight a second, and the time begins with the first.
`;

/** What no client can see, a line each. The time of the run says where in CloudWatch to look. */
export function toManualChecks(from: Date, to: Date): readonly string[] {
  const time = (date: Date) => date.toISOString().slice(11, 16);
  return [
    `Whether Bedrock stops when an answer is cancelled: in CloudWatch, OutputTokenCount (AWS/Bedrock) of the model from ${time(from)} to ${time(to)} UTC; each cancelled answer would have had more than 1,000 tokens.`,
    'How a stream ends whose function dies: nobody can bring that about from outside; a client must take any stream without a terminal event for failed.',
    'Whether anything runs on after the end of a stream: each x-request-id that a client saw must have its line "message":"request" in the log group of the function.',
    'What a refusal of the model looks like: npm run call -- --json --model MODEL with a question that it refuses, and then stop_reason in the last line.',
  ];
}

export type LatencyRow = Cell & { readonly door: string };

export type Found = {
  readonly gateway: string;
  readonly isOk: boolean;
  readonly rows: readonly Row[];
  readonly cells: readonly LatencyRow[];
  readonly manual: readonly string[];
};

/** Milliseconds with one decimal. */
export const toJson = ({ gateway, isOk, rows, cells, manual }: Found): string =>
  `${JSON.stringify(
    {
      gateway,
      ok: isOk,
      checks: rows,
      latency: cells.map(({ door, promptTokens, runsMs, medianMs, inputTokens, failure }) => ({
        door,
        prompt_tokens: promptTokens,
        runs_ms: runsMs,
        median_ms: medianMs,
        input_tokens: inputTokens,
        failure,
      })),
      by_hand: manual,
    },
    (_, value: unknown) => (typeof value === 'number' ? Math.round(value * 10) / 10 : value),
    2,
  )}\n`;
