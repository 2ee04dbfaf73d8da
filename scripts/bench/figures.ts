/** What all benches measure with. */

export type BenchOptions = { readonly rounds: number; readonly seconds: number };

export const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

export const percentile = (values: readonly number[], percent: number): number =>
  [...values].sort((one, other) => one - other)[Math.floor(((values.length - 1) * percent) / 100)] ??
  Number.NaN;

export const ms = (value: number) => `${value.toFixed(1)} ms`;
