/** Numbers of items with which nothing remains to be done: nearly all of them follow one another. */

/** From and to, both of them in it. */
export type Range = readonly [from: number, to: number];

export function createSettled(ranges: readonly Range[] = []) {
  const sorted = ranges.map(([from, to]): [number, number] => [from, to]);

  /** Where the last range is that begins at the number or before; what is looked for is mostly near the end. */
  const findBefore = (number: number) => sorted.findLastIndex(([from]) => from <= number);

  return {
    has: (number: number): boolean => number <= (sorted[findBefore(number)]?.[1] ?? 0),

    add(number: number): void {
      const at = findBefore(number);
      const [before, after] = [sorted[at], sorted[at + 1]];
      if (before && number <= before[1]) return;
      const joinsBefore = before?.[1] === number - 1;
      const joinsAfter = after?.[0] === number + 1;
      if (before && after && joinsBefore && joinsAfter) {
        before[1] = after[1];
        sorted.splice(at + 1, 1);
      } else if (before && joinsBefore) before[1] = number;
      else if (after && joinsAfter) after[0] = number;
      else sorted.splice(at + 1, 0, [number, number]);
    },

    ranges: (): readonly Range[] => sorted,
    count: (): number => sorted.reduce((sum, [from, to]) => sum + to - from + 1, 0),
  };
}

export type Settled = ReturnType<typeof createSettled>;
