/**
 * `npm run test:clients [-- pattern…]`: the packages that people point at the gateway, against the gateway. Installs them when
 * package-lock.json is newer than what is there, checks the types, starts the repository's test runner in this folder, and then
 * the clients of the WebSocket, which take a minute. With a pattern only the test files that fit it run.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { installWhenStale } from '../helpers/install.ts';

const HERE = import.meta.dirname;
const ROOT = join(HERE, '../..');
const RUNNER = join(HERE, '../run.ts');
const COMPILER = join(ROOT, 'node_modules/typescript/bin/tsc');

/** A file loads a package of some megabytes first, on machines that may be busy. */
const FILE_LIMIT_MS = 120_000;

/** Whether it ended well. */
function run(cwd: string, script: string, ...args: readonly string[]): boolean {
  return spawnSync(process.execPath, [script, ...args], { cwd, stdio: 'inherit' }).status === 0;
}

const patterns = process.argv.slice(2);

installWhenStale(HERE, 'the clients: openai, the AI SDK and LangChain.js');
const areGood = [
  run(ROOT, COMPILER, '-p', HERE),
  run(HERE, RUNNER, '--timeout', String(FILE_LIMIT_MS), ...patterns),
  patterns.length > 0 || run(ROOT, join(HERE, 'websocket.ts')),
];
process.exitCode = areGood.every(Boolean) ? 0 : 1;
