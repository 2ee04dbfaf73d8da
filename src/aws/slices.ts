/**
 * Texts that are too long for one item of a table, in slices that are not.
 */

/** An item holds 400 KB, with its names and its other values. */
export const SLICE_BYTES = 350 * 1024;

/** Slices of at most so many bytes, cut anywhere. */
export function cut(text: string, maxBytes = SLICE_BYTES): Uint8Array<ArrayBuffer>[] {
  const bytes = new TextEncoder().encode(text);
  const count = Math.ceil(bytes.length / maxBytes);
  return Array.from({ length: count }, (_, n) => bytes.subarray(n * maxBytes, (n + 1) * maxBytes));
}

/** @throws `TypeError` when it is not UTF-8 */
export const join = (slices: readonly Uint8Array[]): string =>
  new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(slices));
