/**
 * The file with the variables of a deployment: `.env`, or the one that `--env` names.
 */
import { existsSync, readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { UsageError } from './usage.ts';

/**
 * Takes `--env FILE` out of the arguments and adds to `env` what the file says. A variable that is there already stays, even an empty
 * one: so does `node --env-file`, whose parser this is. Without `--env` the file is `.env`, if there is one.
 *
 * @returns the other arguments
 * @throws UsageError when the file that was named cannot be read
 */
export function loadEnvFile(args: readonly string[], env: NodeJS.ProcessEnv): string[] {
  const { file, rest } = takeFile(args);
  const path = file ?? '.env';
  if (file === undefined && !existsSync(path)) return rest;
  for (const [name, value] of Object.entries(parseEnv(readFile(path)))) env[name] ??= value;
  return rest;
}

function takeFile(args: readonly string[]): { file: string | undefined; rest: string[] } {
  const at = args.findIndex((arg) => arg === '--env' || arg.startsWith('--env='));
  if (at < 0) return { file: undefined, rest: [...args] };
  const isJoined = args[at] !== '--env';
  const file = isJoined ? args[at]?.slice('--env='.length) : args[at + 1];
  if (!file || (!isJoined && file.startsWith('-'))) throw new UsageError('--env takes the name of a file.');
  return { file, rest: args.toSpliced(at, isJoined ? 1 : 2) };
}

function readFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    if (code === 'ENOENT') throw new UsageError(`There is no file ${path}; copy template.env and edit it.`);
    throw new UsageError(`The file ${path} could not be read (${code}).`);
  }
}
