/**
 * `npm run test:readme`: does what the README says, as a reader would. In a copy of the repository it starts the gateway and runs every
 * block of `sh` and `js` in order, on ports of its own. A word after the language names what a block needs that may not be here: an
 * `account`, a `model-server`, `docker`, or the `aws` command. Such a block is listed, and not run. A comment that begins with `→` says what the
 * block prints; `…` in it stands for anything. Ends with 1 when a block failed.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { installWhenStale } from './helpers/install.ts';

const ROOT = join(import.meta.dirname, '..');
const CLIENTS = join(import.meta.dirname, 'clients');

/** The slowest is the synthesis of the stack. */
const BLOCK_LIMIT_MS = 180_000;

/** Of a tenth of a second each. */
const START_TRIES = 600;
const STOP_TRIES = 150;

type Block = {
  readonly language: 'sh' | 'js';
  /** What it takes beside this repository. */
  readonly needs: string | undefined;
  readonly code: string;
  readonly heading: string;
};

type Place = { readonly folder: string; readonly ports: ReadonlyMap<string, number> };

function readBlocks(readme: string): Block[] {
  const blocks: Block[] = [];
  let heading = '';
  const parts = /^#+ (?<title>.+)$|^```(?<language>sh|js)(?: (?<needs>\S+))?\n(?<code>[\s\S]*?)^```$/gm;
  for (const { groups = {} } of readme.matchAll(parts)) {
    const { title, language, needs, code = '' } = groups;
    if (title !== undefined) heading = title;
    if (language === 'sh' || language === 'js') blocks.push({ language, needs, code, heading });
  }
  return blocks;
}

/** As a clone would have it, with what is not committed yet, and without installing the packages anew. */
function copyRepository(): string {
  const folder = mkdtempSync(join(tmpdir(), 'readme-'));
  const listed = spawnSync('git', ['ls-files', '-z', '-co', '--exclude-standard'], { cwd: ROOT });
  const files = listed.stdout.toString().split('\0').filter(Boolean);
  for (const file of files.filter((name) => existsSync(join(ROOT, name))))
    cpSync(join(ROOT, file), join(folder, file));
  // Links to the same files where the disk can have them; a link to the folder would show what is run where it really lies.
  const packages = [join(ROOT, 'node_modules'), join(folder, 'node_modules')];
  if (spawnSync('cp', ['-al', ...packages]).status !== 0) {
    rmSync(join(folder, 'node_modules'), { recursive: true, force: true });
    spawnSync('cp', ['-R', ...packages]);
  }
  symlinkSync(join(CLIENTS, 'node_modules/openai'), join(folder, 'node_modules/openai'));
  return folder;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' ? (address?.port ?? 0) : 0;
}

const portVariables: Readonly<Record<string, string>> = {
  3000: 'PORT',
  3001: 'FUNCTION_URL_PORT',
  4566: 'AWS_PORT',
};

async function settle(): Promise<Place> {
  const ports = new Map<string, number>();
  for (const usual of Object.keys(portVariables)) ports.set(usual, await freePort());
  return { folder: copyRepository(), ports };
}

/** A reader's environment: nothing of ours, the ports apart. What a block exports is there for the next. */
function environmentOf({ ports }: Place): NodeJS.ProcessEnv {
  const own = [...ports].map(([usual, port]) => [portVariables[usual], String(port)]);
  return { PATH: process.env['PATH'], HOME: process.env['HOME'], ...Object.fromEntries(own) };
}

const usesPorts = (code: string, { ports }: Place) =>
  code.replace(/(127\.0\.0\.1|localhost):(\d+)/g, (said, host, port) =>
    ports.has(port) ? `${host}:${ports.get(port)}` : said,
  );

type Outcome = { readonly isGood: boolean; readonly output: string };

async function run({ language, code }: Block, place: Place): Promise<Outcome> {
  const text = usesPorts(code, place);
  const path = join(place.folder, language === 'sh' ? 'block.sh' : 'block.js');
  // A refused request is a failure, although curl is content with any answer.
  const shell = [
    'set -euo pipefail',
    'curl() { command curl --fail-with-body "$@"; }',
    '[ -f exported.sh ] && . ./exported.sh',
    text,
    'export -p > exported.sh',
  ];
  writeFileSync(path, language === 'sh' ? shell.join('\n') : text);
  const js = `[ -f exported.sh ] && . ./exported.sh; exec ${JSON.stringify(process.execPath)} block.js`;
  const child = spawn('bash', language === 'sh' ? [path] : ['-c', js], {
    cwd: place.folder,
    env: environmentOf(place),
    // Open and silent, as a terminal is where nobody types.
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: BLOCK_LIMIT_MS,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  const code_ = await new Promise<number | null>((resolve) => child.once('close', resolve));
  const missing = expectations(text).filter((expected) => !says(output, expected));
  const complaints = missing.map((expected) => `It should have printed: ${expected}\n`).join('');
  return { isGood: code_ === 0 && missing.length === 0, output: `${output}\n${complaints}` };
}

const expectations = (code: string) =>
  [...code.matchAll(/^(?:#|\/\/) → (.+)$/gm)].map(([, expected = '']) => expected);

function says(output: string, expected: string): boolean {
  let at = 0;
  return expected.split('…').every((piece) => {
    const found = output.indexOf(piece.trim(), at);
    at = found + piece.trim().length;
    return found >= 0;
  });
}

const gateways = new Set<ChildProcess>();

/** `npm start`, until it is ready. */
async function start(place: Place): Promise<Outcome> {
  const gateway = spawn('npm', ['start'], {
    cwd: place.folder,
    env: environmentOf(place),
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  gateways.add(gateway);
  gateway.once('exit', () => gateways.delete(gateway));
  let output = '';
  for (const stream of [gateway.stdout, gateway.stderr]) stream.on('data', (chunk) => (output += chunk));
  const isReady = () => output.includes('Ctrl-C stops');
  for (let tries = 0; tries < START_TRIES && !isReady() && gateways.has(gateway); tries++) await sleep(100);
  return { isGood: isReady(), output };
}

/** What was started, with all that it started. */
const signal = (name: NodeJS.Signals) => {
  for (const { pid = 0 } of gateways) process.kill(-pid, name);
};

async function stop() {
  signal('SIGTERM');
  for (let tries = 0; tries < STOP_TRIES && gateways.size > 0; tries++) await sleep(100);
}

const canHave = (needs: string) => needs === 'aws' && spawnSync('aws', ['--version']).status === 0;

/** npm scripts that the text names somewhere, and that are not there. */
function unknownScripts(readme: string): string[] {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const named = [...readme.matchAll(/\bnpm run (?:--silent )?([\w:-]+)/g)].map(([, name = '']) => name);
  return [...new Set(named)].filter((name) => !Object.hasOwn(scripts, name));
}

const firstLine = ({ code }: Block) => {
  const lines = code.trimEnd().split('\n');
  return `${lines[0]}${lines.length > 1 ? ` (+${lines.length - 1} lines)` : ''}`;
};

async function main(): Promise<number> {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
  installWhenStale(CLIENTS, 'the clients that the README shows');
  const place = await settle();
  const counts = { ok: 0, FAIL: 0, 'not run': 0 };
  const tell = (mark: keyof typeof counts, what: string) => {
    counts[mark]++;
    console.log(`${mark.padEnd(7)}  ${what}`);
  };
  for (const name of unknownScripts(readme)) tell('FAIL', `package.json has no script ${name}`);
  for (const block of readBlocks(readme)) {
    const what = `${block.heading}: ${firstLine(block)}`;
    if (block.needs !== undefined && !canHave(block.needs)) {
      tell('not run', `${what}; needs ${block.needs}`);
    } else {
      const { isGood, output } =
        block.code.trim() === 'npm start' ? await start(place) : await run(block, place);
      tell(isGood ? 'ok' : 'FAIL', isGood ? what : `${what}\n${output}`);
    }
  }
  await stop();
  rmSync(place.folder, { recursive: true, force: true, maxRetries: 5 });
  console.log(`${counts.ok} blocks ran, ${counts.FAIL} failed, ${counts['not run']} need what is not here`);
  return counts.FAIL > 0 || counts.ok === 0 ? 1 : 0;
}

// A group of its own does not hear of Ctrl-C.
process.once('exit', () => signal('SIGKILL'));
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, () => process.exit(1));
process.exitCode = await main();
