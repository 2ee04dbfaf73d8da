/**
 * `npm run test:runtime [-- pattern…]`: the deployed bundles under AWS's own Runtime Interface Client. Installs the client when
 * package-lock.json is newer than what is there, synthesises the stack, and starts the repository's test runner in this folder.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installWhenStale } from '../helpers/install.ts';
import { copyFunctions, FUNCTIONS_VARIABLE, synthesizeFunctions } from './functions.ts';

const HERE = import.meta.dirname;
const RUNNER = join(HERE, '../run.ts');

/** A file starts a dozen processes, on machines that may be busy. */
const FILE_LIMIT_MS = 120_000;

function runTests(): number {
  const folder = mkdtempSync(join(tmpdir(), 'llm-gateway-functions-'));
  try {
    const functions = copyFunctions(synthesizeFunctions(join(folder, 'cdk.out')), folder);
    const args = [RUNNER, '--timeout', String(FILE_LIMIT_MS), ...process.argv.slice(2)];
    const env = { ...process.env, [FUNCTIONS_VARIABLE]: JSON.stringify(functions) };
    return spawnSync(process.execPath, args, { cwd: HERE, stdio: 'inherit', env }).status ?? 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

installWhenStale(HERE, 'AWS’s Runtime Interface Client');
process.exitCode = runTests();
