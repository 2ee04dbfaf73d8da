/** The part of the package that is used; it brings no types. */
declare module 'asciichart' {
  export function plot(
    series: readonly number[],
    config: {
      readonly min: number;
      readonly max: number;
      /** In lines, from the least to the most. */
      readonly height: number;
      /** Columns for the labels, the axis among them. */
      readonly offset: number;
      readonly format: (value: number) => string;
      /** In its order: `┼┤╶╴─╰╭╮╯│`. */
      readonly symbols?: readonly string[];
    },
  ): string;
}
