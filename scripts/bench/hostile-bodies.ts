/**
 * What hostile bodies do to everybody else. Twenty streams run through the gateway of this machine, quiet and beside ten hostile requests
 * a second, by turns; printed are the gaps between tokens, their ratio, and how fast the hostile were refused.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { type BenchOptions, ms, percentile, sleep } from './figures.ts';

const KEY = 'bench-key';
const STREAMS = 20;
const HOSTILE_PER_SECOND = 10;

/** Each as `[name, body, status]`. */
const hostileBodies = (): [string, Buffer, number][] => {
  const keys = Array.from({ length: 200_000 }, (_, n) => `"k${n}":0`).join(',');
  return [
    ['200 KB of nested brackets', Buffer.alloc(200_000, '['), 400],
    ['5 MB of nested brackets', Buffer.alloc(5_000_000, '['), 400],
    ['6 MB of nested brackets', Buffer.alloc(6_000_000, '['), 413],
    ['200,000 unknown keys', Buffer.from(`{"prompt":"Hi",${keys}}`), 400],
    ['1 MB of broken UTF-8', Buffer.alloc(1_000_000, 0xff), 400],
  ];
};

const headers = { 'x-api-key': KEY, 'content-type': 'application/json' };

type Refused = { readonly name: string; readonly ms: number; readonly isAsExpected: boolean };

/** In a thread of its own, so that making these requests does not disturb the watch over the streams. */
async function attack(url: string): Promise<void> {
  const bodies = hostileBodies();
  let isOn = false;
  parentPort?.on('message', (message: boolean) => (isOn = message));
  for (let n = 0; ; n = (n + 1) % bodies.length) {
    await sleep(1000 / HOSTILE_PER_SECOND);
    const body = bodies[n];
    if (isOn && body) void attackOnce(url, ...body).then((refused) => parentPort?.postMessage(refused));
  }
}

/** By node:http, which sends the bytes as they lie: `fetch` would copy them first, at the cost of everybody on this machine. */
function attackOnce(url: string, name: string, body: Buffer, status: number): Promise<Refused> {
  const began = performance.now();
  return new Promise((resolve) => {
    const settle = (isAsExpected: boolean) => resolve({ name, ms: performance.now() - began, isAsExpected });
    const sending = request(`${url}/v1/chat`, { method: 'POST', headers }, async (response) => {
      let length = 0;
      for await (const chunk of response) length += chunk.length;
      settle(response.statusCode === status && length < 4096);
    });
    sending.on('error', () => settle(false)).end(body);
  });
}

/** `seconds` is for each of the two phases of a round. */
export async function benchHostileBodies({ rounds, seconds }: BenchOptions): Promise<void> {
  const phaseMs = 1000 * seconds;
  const { gateway, url } = await startGateway();
  const attacker = new Worker(new URL(import.meta.url), { workerData: { url } });
  const refusals: Refused[] = [];
  attacker.on('message', (refused: Refused) => refusals.push(refused));

  const gaps: number[] = [];
  let isOver = false;
  const streams = Array.from({ length: STREAMS }, async () => {
    while (!isOver) await watchOne(url, gaps);
  });
  await sleep(2_000);

  const rows: { quiet: number; hostile: number }[] = [];
  const phase = async (isHostile: boolean) => {
    attacker.postMessage(isHostile);
    await sleep(500);
    gaps.length = 0;
    await sleep(phaseMs);
    return percentile(gaps, 99);
  };
  for (let round = 1; round <= rounds; round++) {
    const row = { quiet: await phase(false), hostile: await phase(true) };
    rows.push(row);
    const ratio = (row.hostile / row.quiet).toFixed(2);
    console.log(
      `round ${round}: p99 gap ${ms(row.quiet)} quiet, ${ms(row.hostile)} beside hostile requests, ${ratio} x`,
    );
  }
  isOver = true;
  await Promise.all(streams);
  await attacker.terminate();
  gateway.kill('SIGTERM');

  const ratios = rows.map(({ quiet, hostile }) => hostile / quiet);
  console.log(
    `p99 gap between tokens of ${STREAMS} streams: ${percentile(ratios, 50).toFixed(2)} x (median of ${rows.length} rounds)`,
  );
  for (const [name] of hostileBodies()) {
    const all = refusals.filter((refused) => refused.name === name);
    const times = all.map((refused) => refused.ms);
    const odd = all.filter(({ isAsExpected }) => !isAsExpected).length;
    console.log(
      `${name}: ${all.length} refused in p50 ${ms(percentile(times, 50))}, p99 ${ms(percentile(times, 99))}; ${odd} not as expected`,
    );
  }
}

/** Reads one answer to its end and notes the time between its pieces. */
async function watchOne(url: string, gaps: number[]): Promise<void> {
  const body = JSON.stringify({ prompt: `Question ${Math.random()}`, stream: true });
  const response = await fetch(`${url}/v1/chat`, { method: 'POST', headers, body });
  let last: number | undefined;
  for await (const _ of response.body ?? []) {
    const now = performance.now();
    if (last !== undefined) gaps.push(now - last);
    last = now;
  }
}

async function startGateway(): Promise<{ gateway: ChildProcess; url: string }> {
  const gateway = spawn(process.execPath, ['src/local/start.ts', '--memory'], {
    env: {
      PATH: process.env['PATH'],
      PORT: '0',
      FUNCTION_URL_PORT: '0',
      AWS_PORT: '0',
      LOCAL_API_KEYS: `bench=${KEY}`,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  gateway.stdout.on('data', (text) => (output += output.length < 10_000 ? text : ''));
  while (!output.includes('Ctrl-C stops')) await once(gateway.stdout, 'data');
  return { gateway, url: /REST +(\S+)/.exec(output)?.[1] ?? '' };
}

if (!isMainThread) await attack((workerData as { url: string }).url);
