/**
 * An execution environment: one process with AWS's Runtime Interface Client in it, which answers one event at a time.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { DeployedFunction } from './functions.ts';
import { FunctionError, type Reply, type RuntimeApi, startRuntimeApi } from './runtime-api.ts';

/** Lambda gives a function 10 s to start; a machine that is busy with tests may take longer. */
const INIT_LIMIT_MS = 30_000;

const CLIENT = join(import.meta.dirname, 'node_modules/aws-lambda-ric/index.mjs');
const HOOK = join(import.meta.dirname, 'native-client.mjs');

/** As Lambda starts Node 24. */
const FLAGS = ['--no-experimental-require-module', '--no-experimental-detect-module'];

/** What Lambda gives every function; nothing of this process's environment. */
const lambdaVariables = ({ folder, handler }: DeployedFunction, address: string) => ({
  AWS_LAMBDA_RUNTIME_API: address,
  _HANDLER: handler,
  LAMBDA_TASK_ROOT: folder,
  LAMBDA_RUNTIME_DIR: '/var/runtime',
  AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x',
  AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
  AWS_LAMBDA_FUNCTION_NAME: 'test',
  AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
  AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '1024',
  // What a function has its logging set to.
  AWS_LAMBDA_LOG_FORMAT: 'JSON',
  AWS_LAMBDA_LOG_LEVEL: 'DEBUG',
  AWS_LAMBDA_LOG_GROUP_NAME: '/aws/lambda/test',
  AWS_LAMBDA_LOG_STREAM_NAME: '2026/01/01/[$LATEST]0123456789abcdef0123456789abcdef',
  AWS_XRAY_CONTEXT_MISSING: 'LOG_ERROR',
  AWS_REGION: 'us-east-1',
  AWS_DEFAULT_REGION: 'us-east-1',
  LANG: 'en_US.UTF-8',
  TZ: ':UTC',
  PATH: '/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin',
  NODE_PATH: '/opt/nodejs/node24/node_modules:/opt/nodejs/node_modules:/var/runtime/node_modules',
  // Its addon is not compiled here.
  AWS_LAMBDA_NODEJS_USE_ALTERNATIVE_CLIENT_1: 'true',
});

const children = new Set<ChildProcess>();
process.once('exit', () => children.forEach((child) => void child.kill('SIGKILL')));

export type Run = {
  /** @throws FunctionError */
  readonly reply: Promise<Reply>;
  /** When the process asks for its next event, or has ended. */
  readonly over: Promise<void>;
};

export class ExecutionEnvironment {
  readonly pid: number;
  /** From the start of the process to its first question for an event. */
  initMs = 0;
  runs = 0;
  isAlive = true;
  readonly #child: ChildProcess;
  readonly #api: RuntimeApi;
  #onOver = () => {};
  #fail = (_: FunctionError) => {};

  private constructor(child: ChildProcess, api: RuntimeApi) {
    this.#child = child;
    this.#api = api;
    this.pid = child.pid ?? 0;
  }

  /** Resolves when it asks for its first event. @throws FunctionError when it ends before */
  static async start(deployed: DeployedFunction, log: (line: string) => void): Promise<ExecutionEnvironment> {
    const began = performance.now();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let onAsked = resolve;
    const api = await startRuntimeApi({ onAsked: () => onAsked(), onInitError: reject });
    const environment = new ExecutionEnvironment(startProcess(deployed, api.address, log), api);
    environment.#fail = reject;
    environment.#child.once('exit', (code, signal) => environment.#end(`It ended with ${signal ?? code}.`));
    const timer = setTimeout(() => environment.stop('Sandbox.Timedout'), INIT_LIMIT_MS);
    await promise
      .catch((error) => {
        environment.stop('Runtime.ExitError');
        throw error;
      })
      .finally(() => clearTimeout(timer));
    environment.initMs = performance.now() - began;
    onAsked = () => environment.#onOver();
    return environment;
  }

  /** Hands it an event. It ends when it takes longer than `timeoutMs`. */
  run(event: unknown, timeoutMs: number): Run {
    this.runs++;
    const over = Promise.withResolvers<void>();
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    const timer = setTimeout(() => this.stop('Sandbox.Timedout'), timeoutMs);
    this.#fail = reject;
    this.#onOver = () => {
      clearTimeout(timer);
      over.resolve();
    };
    const deadline = Date.now() + timeoutMs;
    this.#api.deliver({ id: randomUUID(), text: JSON.stringify(event), deadline, resolve, reject });
    return { reply: promise, over: over.promise };
  }

  /** Kills the process; an event that it has in hand fails with this type. */
  stop(type: string) {
    this.#fail(new FunctionError(type, 'The process was killed.'));
    this.#child.ref();
    this.#child.kill('SIGKILL');
  }

  #end(how: string) {
    this.isAlive = false;
    this.#api.close();
    this.#fail(new FunctionError('Runtime.ExitError', how));
    this.#onOver();
  }
}

function startProcess(
  deployed: DeployedFunction,
  address: string,
  log: (line: string) => void,
): ChildProcess {
  const child = spawn(process.execPath, [...FLAGS, '--import', HOOK, CLIENT], {
    cwd: deployed.folder,
    env: { ...lambdaVariables(deployed, address), ...deployed.environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const output of [child.stdout, child.stderr]) {
    createInterface({ input: output }).on('line', log);
    // Idle processes must not keep this one from ending; what runs has a timer that does.
    (output as Socket).unref();
  }
  child.unref();
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}
