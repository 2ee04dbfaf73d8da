/**
 * What a soak is made of: chance that can be repeated, many jobs at once of which none can hang, and at the end a table and a verdict.
 */
import { createHash } from 'node:crypto';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

/** How long a single job may take; what still waits then is a failure, and the soak goes on without it. */
const JOB_MS = 20_000;

/** With so many failures nothing new begins: what is broken is known by then. */
const MAX_FAILURES = 20;

const PROGRESS_MS = 5_000;

export type Job = { readonly name: string; readonly run: () => Promise<void> };

export type Soak = ReturnType<typeof createSoak>;

type Limits = {
  /** For all of it: then the process says what it still waits for, and ends with 1. */
  readonly limitMs: number;
  /** How soon after a cancel, or after its client left, a call to Bedrock is to be over. */
  readonly closedMs: number;
};

function createSoak(seed: number, { limitMs, closedMs }: Limits) {
  const failures: string[] = [];
  const rows: Readonly<Record<string, string | number>>[] = [];
  const waiting = new Set<string>();
  const began = performance.now();
  const delay = monitorEventLoopDelay();
  delay.enable();
  const seconds = () => `${((performance.now() - began) / 1000).toFixed(0).padStart(4)} s`;

  const overtime = setTimeout(() => {
    const names = [...waiting].slice(0, 10).join(', ') || 'what comes between the jobs';
    failures.push(`The soak took over ${limitMs / 1000} s; it was still waiting for ${names}.`);
    process.exit(finish());
  }, limitMs);

  /** Prints the table and the verdict. The exit code. */
  function finish(): number {
    clearTimeout(overtime);
    console.table(rows);
    console.log(`times in ms; this process itself was held up for ${Math.round(delay.max / 1e6)} ms at most`);
    for (const failure of failures.slice(0, MAX_FAILURES)) console.log(`- ${failure}`);
    const count = failures.length;
    console.log(
      count === 0 ? `OK after${seconds()}` : `FAILED after${seconds()}: ${count} failures, seed ${seed}`,
    );
    return count === 0 ? 0 : 1;
  }

  async function run({ name, run: work }: Job): Promise<void> {
    const over = new AbortController();
    waiting.add(name);
    try {
      const late = sleep(JOB_MS, true, { signal: over.signal }).catch(() => false);
      const isLate = await Promise.race([work().then(() => false), late]);
      if (isLate) failures.push(`${name}: still waiting after ${JOB_MS / 1000} s.`);
    } catch (error) {
      failures.push(`${name}: ${error}`);
    } finally {
      over.abort();
      waiting.delete(name);
    }
  }

  return {
    finish,
    closedMs,
    fail: (sentence: string) => void failures.push(sentence),
    addRow: (row: Readonly<Record<string, string | number>>) => void rows.push(row),

    /** From 0 up to 1, and always the same for the same seed and names. */
    draw(...names: readonly (string | number)[]): number {
      const bytes = createHash('sha256')
        .update([seed, ...names].join(' '))
        .digest();
      return bytes.readUInt32BE() / 2 ** 32;
    },

    /** Runs the jobs in their order, so many at once. */
    async runAll(title: string, jobs: readonly Job[], atOnce: number): Promise<void> {
      const queue = [...jobs];
      const tell = () =>
        console.log(`${seconds()}  ${title}: ${jobs.length - queue.length} of ${jobs.length} begun`);
      const progress = setInterval(tell, PROGRESS_MS);
      const worker = async () => {
        for (let job = queue.shift(); job && failures.length < MAX_FAILURES; job = queue.shift())
          await run(job);
      };
      await Promise.all(Array.from({ length: atOnce }, worker));
      clearInterval(progress);
      console.log(`${seconds()}  ${title}: ${jobs.length - queue.length} of ${jobs.length} over`);
    },
  };
}

const SOAK_OPTIONS = {
  quick: { type: 'boolean' },
  seed: { type: 'string' },
  help: { type: 'boolean' },
} as const;

/** A soak as a command: full or quick, by a seed that is told. Ends the process, with 1 when anything failed. */
export async function runSoak<Size extends Pick<Limits, 'limitMs'> & Partial<Limits>>(
  { name, sizes }: { readonly name: string; readonly sizes: Readonly<Record<'full' | 'quick', Size>> },
  work: (soak: Soak, size: Size) => Promise<void>,
): Promise<never> {
  const { values } = parseArgs({ options: SOAK_OPTIONS });
  if (values.help) {
    console.log(toHelp(name));
    process.exit();
  }
  const size = sizes[values.quick ? 'quick' : 'full'];
  const seed = Number(values.seed ?? Math.floor(1e6 * Math.random()));
  console.log(`seed ${seed}`);
  const soak = createSoak(seed, { closedMs: 0, ...size });
  await work(soak, size);
  // Connections that are kept alive would keep the process as well.
  process.exit(soak.finish());
}

const toHelp = (name: string) => `npm run ${name} -- [options]

  --quick    some seconds of it, for CI
  --seed N   the same soak again
  --help     this text
`;

/** `p50`, `p99` and `max` of so many milliseconds. */
export function spread(times: readonly number[]) {
  const sorted = [...times].sort((one, other) => one - other);
  const at = (share: number) => Math.round(sorted[Math.ceil(share * sorted.length) - 1] ?? 0);
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}
