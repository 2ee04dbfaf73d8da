/** The upload as a process of its own, which can be killed, and of which the memory is watched. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

const WATCH_MS = 20;

export type Uploader = {
  kill(): void;
  readonly over: Promise<{ code: number | null; out: string; err: string; peakMb: number }>;
};

/** With `heapMb` it fails as soon as what it holds on to is more. */
export function startUploader(path: string, url: string, table: string, heapMb?: number): Uploader {
  const args = ['scripts/bulk-upload.ts', path, '-t', table, '--endpoint-url', url, '--quiet'];
  const limit = heapMb === undefined ? [] : [`--max-old-space-size=${heapMb}`];
  const child = spawn(process.execPath, [...limit, ...args], { env: { PATH: process.env['PATH'] } });
  let out = '';
  let err = '';
  let peakMb = 0;
  child.stdout.on('data', (text) => (out += text));
  child.stderr.on('data', (text) => (err += text));
  const watch = setInterval(() => (peakMb = Math.max(peakMb, readPeakMb(child.pid))), WATCH_MS);
  const over = new Promise<{ code: number | null; out: string; err: string; peakMb: number }>((resolve) => {
    child.once('close', (code) => {
      clearInterval(watch);
      resolve({ code, out, err, peakMb });
    });
  });
  return { kill: () => void child.kill('SIGKILL'), over };
}

/** 0 where the system does not tell. */
function readPeakMb(pid: number | undefined): number {
  try {
    const [, kilobytes = '0'] = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return Math.round(Number(kilobytes) / 1024);
  } catch {
    return 0;
  }
}
