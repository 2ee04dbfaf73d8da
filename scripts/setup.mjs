/**
 * Runs before `npm start`, `npm test` and `npm run check`: installs the dependencies when package-lock.json
 * asks for others than are there, and sees to it that a Node which runs TypeScript will run what follows.
 * Plain JavaScript without dependencies, because it is the one file that an old Node has to understand.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { uptime } from 'node:os';
import { delimiter, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const NEEDED_NODE = 24;
const STAMP = 'node_modules/.setup-stamp';
const LOCK = '.setup-lock';
const LOCK_MAX_AGE_MS = 15 * 60_000; // the slowest install we saw took two minutes
const LOCK_POLL_MS = 250;

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
if (!isInstalled()) underLock(() => isInstalled() || install());
requireNode();

function isInstalled() {
  return existsSync(STAMP) && readFileSync(STAMP, 'utf8') === fingerprint();
}

/** What node_modules is made from: the lockfile, and the machine that optional packages are chosen for. */
function fingerprint() {
  const libc = process.report?.getReport().header.glibcVersionRuntime ? 'glibc' : 'other';
  const machine = `${process.platform} ${process.arch} ${libc}`;
  return createHash('sha256').update(readFileSync('package-lock.json')).update(machine).digest('hex');
}

function install() {
  console.error('Installing the dependencies; this can take a minute.');
  rmSync(STAMP, { force: true }); // before npm, which may die halfway through removing what was there
  const { status, signal, error } = runNpm([
    'ci',
    '--include=dev', // also with NODE_ENV=production
    '--include=optional', // Node 24 comes as an optional dependency
    '--ignore-scripts', // none is needed; the same line in .npmrc would silently disable this script too
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ]);
  if (status !== 0) {
    const how = error
      ? `could not be started (${error.message})`
      : `ended with ${signal ?? `code ${status}`}`;
    fail(`The dependencies could not be installed: "npm ci" ${how}.`);
  }
  linkNode();
  writeFileSync(STAMP, fingerprint());
}

/** npm 10 installs our Node and then deletes .bin/node, together with the Nodes that are for other machines. */
function linkNode() {
  if (existsSync('node_modules/.bin/node')) return;
  const os = process.platform === 'win32' ? 'win' : process.platform;
  runNpm(['rebuild', `node-${os}-${process.arch}`, '--ignore-scripts', '--loglevel=error']);
}

/** The npm that runs us, on the Node that runs us. Under any other package manager: the npm on the PATH. */
function runNpm(args) {
  const npm = process.env.npm_execpath ?? '';
  const stdio = ['ignore', 'ignore', 'inherit'];
  if (/npm-cli\.js$/.test(npm)) return spawnSync(process.execPath, [npm, ...args], { stdio });
  return spawnSync('npm', args, { stdio, shell: process.platform === 'win32' }); // npm.cmd needs a shell
}

/** Of two simultaneous first runs one works, and the other waits until it finds the work done. */
function underLock(work) {
  const mine = `${LOCK}/${process.pid}`;
  for (let waits = 0; !takeLock(mine); waits++) {
    if (isInstalled()) return;
    if (waits === 0) console.error('Waiting for the install that is already running.');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOCK_POLL_MS);
  }
  process.on('exit', () => existsSync(mine) && rmSync(LOCK, { recursive: true, force: true }));
  work();
}

/** The lock is a directory that holds one file, named after its owner's process id. */
function takeLock(mine) {
  try {
    mkdirSync(LOCK);
  } catch (error) {
    if (error.code !== 'EEXIST') fail(`Setup cannot write to this folder (${error.code}).`);
    return takeOver(mine);
  }
  writeFileSync(mine, '');
  return true;
}

/** Of several processes that see a dead owner, one takes over: only one can rename the owner's very file. */
function takeOver(mine) {
  try {
    const [owner] = readdirSync(LOCK);
    if (!isAbandoned(owner)) return false;
    if (owner === undefined) return rmdirSync(LOCK) ?? false; // died before it wrote its file: begin again
    utimesSync(`${LOCK}/${owner}`, new Date(), new Date()); // first, so that ours never looks old
    renameSync(`${LOCK}/${owner}`, mine);
    return true;
  } catch {
    return false; // another process was faster
  }
}

function isAbandoned(owner) {
  const sinceMs = statSync(owner ? `${LOCK}/${owner}` : LOCK).mtimeMs;
  const ageMs = Date.now() - sinceMs;
  if (ageMs > LOCK_MAX_AGE_MS || ageMs > uptime() * 1000) return true;
  return owner ? !isAlive(Number(owner)) : ageMs > 10_000;
}

function isAlive(pid) {
  if (pid === process.pid) return false; // ours, from an earlier life: containers deal out the same ids again
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** Asks the shell, as npm will: node_modules/.bin comes first on the PATH, and the Node installed there wins. */
function requireNode() {
  process.env.PATH = [resolve('node_modules/.bin'), process.env.PATH].join(delimiter);
  const { stdout } = spawnSync('node --version', { shell: true, encoding: 'utf8' });
  const version = stdout?.trim() || 'missing';
  if (Number.parseInt(version.slice(1), 10) >= NEEDED_NODE) return;
  const why = existsSync('node_modules/.bin/node') ? ' (the one that npm installed cannot run here)' : '';
  fail(
    `Node.js ${NEEDED_NODE} or newer is needed, but here "node" is ${version}${why}. ` +
      `Install it from https://nodejs.org or with "nvm install ${NEEDED_NODE}", and try again.`,
  );
}

function fail(sentence) {
  console.error(sentence);
  process.exit(1);
}
