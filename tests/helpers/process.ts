/**
 * The gateway as a process of its own, started as `npm start` starts it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { until } from './gateway.ts';

export const KEY = 'canary-key-0123456789';
export const ACCESS_KEY = { accessKeyId: 'AKIATEST', secretAccessKey: 'canary-secret-0123456789' };

export type Running = {
  readonly process: ChildProcess;
  readonly url: string;
  readonly functionUrl: string;
  readonly socketUrl: string;
  readonly curl: string;
  readonly output: () => string;
};

export async function start(
  env: Record<string, string> = {},
  args: readonly string[] = [],
): Promise<Running> {
  const process_ = spawn(process.execPath, ['src/local/start.ts', '--memory', ...args], {
    env: {
      PATH: process.env['PATH'],
      PORT: '0',
      FUNCTION_URL_PORT: '0',
      AWS_PORT: '0',
      LOCAL_API_KEYS: `alice=${KEY}`,
      LOCAL_IAM_KEYS: `${ACCESS_KEY.accessKeyId}=${ACCESS_KEY.secretAccessKey}`,
      ...env,
    },
  });
  let output = '';
  process_.stdout.on('data', (text) => (output += text));
  process_.stderr.on('data', (text) => (output += text));
  await until(() => output.includes('Ctrl-C stops') || process_.exitCode !== null);
  const url = /REST +(\S+)/.exec(output)?.[1] ?? '';
  const functionUrl = /Function URL +([^,\s]+)/.exec(output)?.[1] ?? '';
  const socketUrl = /WebSocket +(\S+)/.exec(output)?.[1] ?? '';
  const curl = /^ *(curl .*)$/m.exec(output)?.[1] ?? '';
  return { process: process_, url, functionUrl, socketUrl, curl, output: () => output };
}

export const exited = ({ process: child }: Running) =>
  new Promise<number | null>((resolve) =>
    child.exitCode === null ? child.once('exit', resolve) : resolve(child.exitCode),
  );

export async function stop(running: Running) {
  running.process.kill('SIGTERM');
  return await exited(running);
}

export const chat = (url: string, body: object, init: RequestInit = {}) =>
  fetch(`${url}/v1/chat`, {
    method: 'POST',
    headers: { 'x-api-key': KEY, 'content-type': 'application/json' },
    body: JSON.stringify(body),
    ...init,
  });

/** A script of the repository as a command of its own, from its start to its end. */
export async function runScript(path: string, args: readonly string[], env: Record<string, string>) {
  const child = spawn(process.execPath, [path, ...args], { env: { PATH: process.env['PATH'], ...env } });
  let out = '';
  let err = '';
  child.stdout.on('data', (text) => (out += text));
  child.stderr.on('data', (text) => (err += text));
  const code = await new Promise((resolve) => child.once('close', resolve));
  return { code, out, err };
}
