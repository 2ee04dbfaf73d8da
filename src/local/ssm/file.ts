/**
 * The parameters as they lie on disk: one JSON file, written anew at every change, so that it is always whole. SecureStrings are in it as
 * they are; the file is its owner's only.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';

export const parameterType = z.enum(['String', 'StringList', 'SecureString']);
export const parameterTier = z.enum(['Standard', 'Advanced']);

const version = z.object({
  name: z.string(),
  number: z.int().positive(),
  value: z.string(),
  type: parameterType,
  tier: parameterTier,
  changedAtMs: z.number(),
});

/** One version of a parameter. */
export type Version = Readonly<z.infer<typeof version>>;

/**
 * The versions in a file, none when there is no file.
 *
 * @throws `Error` with a sentence for whoever starts the gateway when the file does not hold parameters
 */
export function loadVersions(path: string): readonly Version[] {
  try {
    return z.array(version).parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return [];
    const message = `The parameters in ${path} cannot be read: delete the file to start without any.`;
    throw new Error(message, { cause });
  }
}

/** Returns when they are on disk. The file has either the old ones or the new ones, whenever the power fails. */
export function saveVersions(path: string, versions: readonly Version[]): void {
  const temporary = `${path}.tmp`;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(temporary, `${JSON.stringify(versions, undefined, 2)}\n`, { mode: 0o600, flush: true });
  renameSync(temporary, path);
}
