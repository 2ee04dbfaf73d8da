/** The file of the rejected items: a line for each, made when the first comes. */
import { closeSync, openSync, rmSync, statSync, truncateSync, writeSync } from 'node:fs';
import type { Json } from '../../src/chat/json.ts';
import { UploadFailure } from './table.ts';

/** `value` is left away when there is none, or it is over 10 KB of JSON. */
export type Rejected = {
  readonly item: number;
  readonly line: number;
  readonly reason: string;
  readonly value?: Json | undefined;
};

const MAX_VALUE_BYTES = 10 * 1024;

/** Goes on after so many bytes of what is there. @throws UploadFailure when the file cannot be written */
export function createRejects(path: string, bytesToKeep: number) {
  let bytes = bytesToKeep;
  let file: number | undefined;
  guard(() => (bytesToKeep > 0 ? truncateSync(path, bytesToKeep) : rmSync(path, { force: true })));

  function guard<Result>(run: () => Result): Result {
    try {
      return run();
    } catch (error) {
      throw new UploadFailure(`${path} cannot be written (${Object(error).code}).`);
    }
  }

  return {
    bytes: () => bytes,
    add(rejected: Rejected) {
      const line = Buffer.from(`${toLine(rejected)}\n`);
      guard(() => {
        file ??= openSync(path, 'a');
        for (let at = 0; at < line.length; ) at += writeSync(file, line, at);
      });
      bytes += line.length;
    },
    close() {
      if (file !== undefined) closeSync(file);
    },
  };
}

function toLine({ value, ...rest }: Rejected): string {
  const text = value === undefined ? undefined : stringify(value);
  const isSmall = text !== undefined && Buffer.byteLength(text) <= MAX_VALUE_BYTES;
  return isSmall ? `${JSON.stringify(rest).slice(0, -1)},"value":${text}}` : JSON.stringify(rest);
}

/** Nothing for what is nested too deep for it. */
function stringify(value: Json): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}

export function hasBytes(path: string, bytes: number): boolean {
  return bytes === 0 || (statSync(path, { throwIfNoEntry: false })?.size ?? 0) >= bytes;
}
