/**
 * The report as a text for a terminal of 80 columns.
 */
import { styleText } from 'node:util';
import { plot } from 'asciichart';
import { type Findings, findSafe, type Match, type Rate, STEPS } from './rates.ts';

export type Look = {
  readonly isColoured: boolean;
  /** What `npm run settings` has to be told besides. */
  readonly option: string;
};

const MAX_LISTED = 10;

export function toReport(findings: Findings, { isColoured, option }: Look): string {
  const { threshold, rates, paraphrases, nearMisses } = findings;
  const missed = paraphrases.filter(({ isMeant, similarity }) => !isMeant || similarity < threshold);
  const chart = toChart(findings);
  return [
    toTable(findings),
    isColoured ? colour(chart) : chart,
    toList('Near misses that come nearest:', nearMisses),
    toList(`Paraphrases that ${shown(threshold)} does not answer right:`, missed, ' (another was meant)'),
    toAdvice(findSafe(rates), paraphrases.length, option),
  ].join('\n');
}

const shown = (threshold: number) => String(threshold).padEnd(4, Number.isInteger(threshold) ? '.00' : '0');

function toTable({ rates, paraphrases, nearMisses }: Findings): string {
  const share = (count: number, all: number) =>
    `${String(count).padStart(6)}${String(Math.round((100 * count) / all)).padStart(5)} %`;
  const lines = rates.map(
    ({ threshold, hits, wrong, falseHits }) =>
      `${shown(threshold).padStart(9)}${share(hits, paraphrases.length)}${String(wrong).padStart(8)}${share(falseHits, nearMisses.length)}\n`,
  );
  return `${HEAD}\n${lines.join('')}`;
}

const HEAD = 'threshold         hits   wrong   false hits';

/** In columns. */
const LABEL = 7;
const STEP = 3;

const DOUBLE = '┼┤╶╴═╚╔╗╝║';

/** The share of hits, and over it with double lines the share of false hits. */
function toChart({ rates, paraphrases, nearMisses }: Findings): string {
  const steps = rates.filter(({ threshold }) => STEPS.includes(threshold));
  const draw = (toShare: (rate: Rate) => number, symbols: object) =>
    plot(
      steps.flatMap((rate) => Array<number>(STEP).fill(100 * toShare(rate))),
      { min: 0, max: 100, height: 10, offset: LABEL, format: toLabel, ...symbols },
    );
  const hits = draw((rate) => rate.hits / paraphrases.length, {});
  const falseHits = draw((rate) => rate.falseHits / nearMisses.length, { symbols: [...DOUBLE] });
  const both = [...falseHits].map((over, at) => (DOUBLE.indexOf(over) > 3 ? over : hits[at])).join('');
  const ticks = steps.filter((_, at) => at % 5 === 0).map(({ threshold }) => shown(threshold));
  const scale = ticks.map((tick) => tick.padEnd(5 * STEP)).join('');
  return `${' '.repeat(LABEL)}── hits   ══ false hits, over similar-threshold\n${both}\n${' '.repeat(LABEL - 1)}${scale.trimEnd()}\n`;
}

const toLabel = (percent: number) => `${percent.toFixed(0)} %`.padStart(LABEL - 1);

const colour = (chart: string) =>
  chart
    .replace(/[─╰╭╮╯│]+/g, (line) => styleText('green', line, { validateStream: false }))
    .replace(/[═╚╔╗╝║]+/g, (line) => styleText('red', line, { validateStream: false }));

function toList(title: string, matches: readonly Match[], unlessMeant = ''): string {
  const nearest = matches.toSorted((one, other) => other.similarity - one.similarity).slice(0, MAX_LISTED);
  return `${title}\n${nearest.map((match) => toLines(match, unlessMeant)).join('') || '  none\n'}`;
}

function toLines({ asked, nearest, isMeant, similarity }: Match, unlessMeant: string): string {
  const found =
    nearest === undefined
      ? 'No question has the same numbers.'
      : `${toLine(nearest)}${isMeant ? '' : unlessMeant}`;
  return `  ${similarity.toFixed(4)}  ${toLine(asked)}\n          ${found}\n`;
}

const toLine = (text: string) => text.trim().replaceAll(/\s+/g, ' ');

function toAdvice(safe: Rate | undefined, paraphrases: number, option: string): string {
  if (!safe)
    return 'No threshold gives a right answer without a wrong one or a false hit: leave\nsimilar-answers off.\n';
  const { threshold, hits } = safe;
  return `The lowest threshold without a wrong answer or a false hit is ${threshold}; it answers
${hits} of ${paraphrases} paraphrases:

  npm run settings -- set similar-threshold ${threshold}${option}
`;
}
