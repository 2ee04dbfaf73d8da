/** Packages that only some tests need, each set in a folder with a package.json and a lockfile of its own. */
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Installs a folder's packages when its package-lock.json is newer than what is there. Ends the process with 1 when npm fails.
 *
 * Their install scripts never run: one of them would compile an addon that the tests have a stand-in for.
 *
 * @param what what somebody who waits is told, such as `AWS’s Runtime Interface Client`
 */
export function installWhenStale(folder: string, what: string) {
  if (isInstalled(folder)) return;
  console.error(`Installing ${what}.`);
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const npm = process.env['npm_execpath'] ?? '';
  const isScript = /npm-cli\.js$/.test(npm);
  const { status } = spawnSync(isScript ? process.execPath : 'npm', isScript ? [npm, ...args] : args, {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  if (status === 0) return;
  console.error(`npm could not install ${what}.`);
  process.exit(1);
}

/** What npm leaves in node_modules is as old as the install. */
function isInstalled(folder: string): boolean {
  const installed = join(folder, 'node_modules/.package-lock.json');
  const ageOf = (path: string) => statSync(path).mtimeMs;
  return existsSync(installed) && ageOf(installed) >= ageOf(join(folder, 'package-lock.json'));
}
