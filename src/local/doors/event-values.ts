/**
 * What the events of several AWS front ends are made of.
 */

/** Headers or query parameters: each value of each name. */
export type MultiValue = Record<string, string[]>;

export const lastOfEach = (values: MultiValue): Record<string, string> =>
  Object.fromEntries(Object.entries(values).map(([name, list]) => [name, list.at(-1) ?? '']));

/** `10/Jul/2026:19:19:06 +0000` */
export function toLogTime(date: Date): string {
  const [, day, month, year, time] = /^\w+, (\d+) (\w+) (\d+) (\S+)/.exec(date.toUTCString()) ?? [];
  return `${day}/${month}/${year}:${time} +0000`;
}
