/**
 * How the text of an answer arrived: characters so far, over time, as the points of a small picture and as a sentence.
 */
import type { Arrival } from './answer.ts';

/** In pixels. */
export const PLOT = { width: 120, height: 24 } as const;

const MAX_POINTS = 120;

/** What came within this came at once. */
const MIN_SPAN_MS = 50;

/** The corners of a rising staircase from the moment of asking, `[x, y]` with y downwards; none where there is nothing to see. */
export function toSteps(
  arrivals: readonly Arrival[],
  { width, height }: { readonly width: number; readonly height: number } = PLOT,
): (readonly [x: number, y: number])[] {
  const endMs = arrivals.at(-1)?.ms ?? 0;
  const total = arrivals.reduce((sum, { chars }) => sum + chars, 0);
  if (endMs - (arrivals[0]?.ms ?? endMs) < MIN_SPAN_MS || total <= 0) return [];
  const every = Math.ceil(arrivals.length / MAX_POINTS);
  const steps: [number, number][] = [[0, height]];
  let chars = 0;
  let y = height;
  for (const [index, arrival] of arrivals.entries()) {
    chars += arrival.chars;
    if (index % every !== 0 && index !== arrivals.length - 1) continue;
    const x = round((arrival.ms / endMs) * width);
    steps.push([x, y]);
    y = round(height - (chars / total) * height);
    steps.push([x, y]);
  }
  return steps;
}

const round = (value: number) => Math.round(value * 10) / 10;

/** The same in words. */
export function describeArrivals(arrivals: readonly Arrival[]): string {
  const [first, last] = [arrivals[0], arrivals.at(-1)];
  if (!first || !last) return 'No text arrived.';
  if (arrivals.length === 1) return `The text arrived at once, after ${toSeconds(first.ms)}.`;
  const pauses = arrivals.slice(1).map(({ ms }, index) => ms - (arrivals[index]?.ms ?? ms));
  return (
    `The text arrived in ${arrivals.length} pieces: the first after ${toSeconds(first.ms)}, ` +
    `the last after ${toSeconds(last.ms)}, with a longest pause of ${toSeconds(Math.max(...pauses))}.`
  );
}

const toSeconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`;
