/**
 * `npm run test:runtime [-- pattern…]`: the deployed bundles under AWS's own Runtime Interface Client. Installs the client when
 * package-lock.json is newer than what is there, synthesises the stack, and starts the repository's test runner in this folder.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { copyFunctions, FUNCTIONS_VARIABLE, synthesizeFunctions } from './functions.ts';

const HERE = import.meta.dirname;
const RUNNER = join(HERE, '../run.ts');

/** A file starts a dozen processes, on machines that may be busy. */
const FILE_LIMIT_MS = 120_000;

/** What npm leaves in node_modules; its age is that of the install. */
const INSTALLED = join(HERE, 'node_modules/.package-lock.json');

function isInstalled(): boolean {
  const ageOf = (path: string) => statSync(path).mtimeMs;
  return existsSync(INSTALLED) && ageOf(INSTALLED) >= ageOf(join(HERE, 'package-lock.json'));
}

/** Without its scripts: one of them would compile the addon that `native-client.cjs` stands in for. */
function install() {
  console.error('Installing AWS’s Runtime Interface Client.');
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const npm = process.env['npm_execpath'] ?? '';
  const isScript = /npm-cli\.js$/.test(npm);
  const { status } = spawnSync(isScript ? process.execPath : 'npm', isScript ? [npm, ...args] : args, {
    cwd: HERE,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  if (status === 0) return;
  console.error('The Runtime Interface Client could not be installed.');
  process.exit(1);
}

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

if (!isInstalled()) install();
process.exitCode = runTests();
