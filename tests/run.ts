/**
 * The test runner: `node tests/run.ts [--timeout <ms>] [pattern…]`, a pattern being a glob or a part of a path.
 * One process per test file, in parallel, with a hard time limit. uvu exits with 0 after several kinds of
 * failure (lukeed/uvu #60, #80), so a file is green only if all of its tests are seen to have run and passed.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { availableParallelism, constants, devNull } from 'node:os';
import { join, matchesGlob, relative } from 'node:path';
import { parseArgs, stripVTControlCharacters, styleText } from 'node:util';

type Exit = { code: number | null; signal: string | null; timedOut: boolean; output: string };
type Verdict = { passed: number; failed: number; skipped: number; reasons: string[] };

const DEFAULT_LIMIT_MS = 60_000;
const DRAIN_MS = 1000; // for whoever left the group and still holds the file's output open
/** What Node has compiled for one file it need not compile for the next: half of the time that a small one takes. */
const COMPILED = join(import.meta.dirname, '../node_modules/.cache/compiled');
const colours = process.stdout.isTTY === true && !process.env['NO_COLOR'];
const running = new Set<ChildProcess>();

if (import.meta.main) await main();

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { timeout: { type: 'string' } },
  });
  const limitMs = Number(values.timeout ?? process.env['TEST_FILE_TIMEOUT_MS'] ?? DEFAULT_LIMIT_MS);
  if (!(limitMs > 0)) throw new Error('The time limit must be a number of milliseconds.');
  killWhatRunsWhenWeEnd();

  const sum = { passed: 0, failed: 0, skipped: 0 };
  const queue = findFiles(positionals);
  if (queue.length === 0) {
    console.log(`No test file matches ${positionals.join(', ') || 'tests/**/*.test.ts'}.`);
    sum.failed = 1;
  }
  const work = async () => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const verdict = await runFile(file, limitMs);
      sum.passed += verdict.passed;
      sum.failed += verdict.failed;
      sum.skipped += verdict.skipped;
    }
  };
  // One more than there are processors: a good part of a file's time is waiting for servers to start and stop.
  await Promise.all(Array.from({ length: availableParallelism() + 1 }, work));

  console.log(`\n${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`);
  process.exitCode = sum.failed > 0 ? 1 : 0;
}

/** Without a pattern all files, else those that fit any pattern; nothing at all if one pattern fits no file. */
function findFiles(patterns: readonly string[]): string[] {
  const all = [...testFiles('tests')].sort();
  if (patterns.length === 0) return all;
  const fitting = patterns.map((pattern) => {
    const wanted = relative('', pattern); // forgives ./ and absolute paths
    return all.filter((file) => (wanted.includes('*') ? matchesGlob(file, wanted) : file.includes(wanted)));
  });
  return fitting.some((files) => files.length === 0) ? [] : [...new Set(fitting.flat())];
}

/** A folder with its own package.json has its own dependencies, and its own way to be run. */
function* testFiles(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isFile() && entry.name.endsWith('.test.ts')) yield path;
    const isForeign = entry.name === 'node_modules' || existsSync(join(path, 'package.json'));
    if (entry.isDirectory() && !isForeign) yield* testFiles(path);
  }
}

/** Runs one file and reports it: a line when it is green, everything it printed when it is red. */
async function runFile(file: string, limitMs: number): Promise<Verdict> {
  const startedAtMs = performance.now();
  const exit = await spawnFile(file, limitMs);
  const seconds = ((performance.now() - startedAtMs) / 1000).toFixed(1);
  const verdict = judge(exit, readFileSync(file, 'utf8'));
  const isGreen = verdict.reasons.length === 0;
  if (!isGreen) console.log(exit.output.trimEnd());
  const mark = isGreen ? `${paint('green', 'ok')}  ` : paint('red', 'FAIL');
  const detail = isGreen ? `${verdict.passed} passed` : verdict.reasons.join('; ');
  console.log(`${mark}  ${file}  ${detail}  ${seconds} s`);
  return verdict;
}

/** Tests start servers, so the file gets a process group of its own, and nothing of the group outlives it. */
function spawnFile(file: string, limitMs: number): Promise<Exit> {
  const child = spawn(process.execPath, [file], {
    env: testEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: process.platform !== 'win32',
  });
  const exit: Exit = { code: null, signal: null, timedOut: false, output: '' };
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      exit.output += text;
    });
  }
  running.add(child);
  const timer = setTimeout(() => {
    exit.timedOut = true;
    killGroup(child);
  }, limitMs);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', () => {
      clearTimeout(timer);
      killGroup(child);
      setTimeout(() => [child.stdout, child.stderr].map((stream) => stream.destroy()), DRAIN_MS).unref();
    });
    child.on('close', (code, signal) => {
      running.delete(child);
      resolve({ ...exit, code, signal });
    });
  });
}

function judge({ code, signal, timedOut, output }: Exit, source: string): Verdict {
  const plain = stripVTControlCharacters(output);
  const { summaries, total, passed, skipped } = countTests(plain);
  const hasEmptySuite = /\(0 \/ 0\)$/m.test(plain); // the end of the line that uvu prints for each suite
  const unrun = unrunSuites(source);
  const reasons = [
    timedOut && 'took too long, and was killed: an open handle, or a promise that never settles',
    !timedOut && code !== 0 && `ended with ${signal ?? `exit code ${code}`}`,
    summaries === 0 && 'no summary from uvu: it did not come to the end',
    hasEmptySuite && 'a suite without tests',
    passed < total && `${total - passed} of ${total} tests did not pass`,
    skipped > 0 && `${skipped} skipped (is a .skip or .only left in?)`,
    unrun.length > 0 && `no .run() after the last test of: ${unrun.join(', ')}`,
  ].filter((reason) => reason !== false);
  return { passed, failed: Math.max(total - passed, reasons.length > 0 ? 1 : 0), skipped, reasons };
}

/** uvu prints one summary for all suites; a second one follows when a suite was added after an `await`. */
function countTests(output: string): { summaries: number; total: number; passed: number; skipped: number } {
  const counts = { summaries: 0, total: 0, passed: 0, skipped: 0 };
  for (const match of output.matchAll(/^ {2}Total: +(\d+)\n {2}Passed: +(\d+)\n {2}Skipped: +(\d+)\n/gm)) {
    counts.summaries += 1;
    counts.total += Number(match[1]);
    counts.passed += Number(match[2]);
    counts.skipped += Number(match[3]);
  }
  return counts;
}

/** The suites in a file whose last mention is not `.run()`: uvu knows nothing of them, or of their last tests. */
export function unrunSuites(source: string): string[] {
  const created = [
    ...source.matchAll(/^ *(?:export )?const (\w+) = suite\b|^import .*\b(test)\b.* from 'uvu';/gm),
  ];
  return created
    .map((match) => ({ name: match[1] ?? match[2] ?? '', at: match.index + match[0].length }))
    .filter(({ name, at }, index, all) => {
      const next = all.findIndex((other, otherIndex) => otherIndex > index && other.name === name);
      const mentions = source.slice(at, all[next]?.at).matchAll(new RegExp(`\\b${name}(\\.\\w+)*\\(`, 'g'));
      const last = [...mentions].at(-1);
      return last !== undefined && last[1] !== '.run';
    })
    .map(({ name }) => name);
}

/** Tests must never touch the developer's AWS account, nor wait for the metadata service that gives out keys. */
function testEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^AWS_|^(FORCE|NO)_COLOR$/i.test(name));
  return {
    ...Object.fromEntries(kept),
    AWS_CONFIG_FILE: devNull,
    AWS_SHARED_CREDENTIALS_FILE: devNull,
    AWS_EC2_METADATA_DISABLED: 'true',
    NODE_COMPILE_CACHE: COMPILED,
    ...(colours ? { FORCE_COLOR: '1' } : { NO_COLOR: '1' }),
  };
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(process.platform === 'win32' ? child.pid : -child.pid, 'SIGKILL');
  } catch {
    // All of it has ended already.
  }
}

/** Groups of their own also means that Ctrl-C does not reach them. */
function killWhatRunsWhenWeEnd(): void {
  process.on('exit', () => running.forEach(killGroup));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => process.exit(128 + constants.signals[signal]));
  }
}

function paint(colour: 'green' | 'red', text: string): string {
  return colours ? styleText(colour, text, { validateStream: false }) : text;
}
