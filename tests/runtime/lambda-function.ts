/**
 * A function as Lambda runs it: a process for each event that is under way, warm ones first, and a new one when none is free.
 */
import { buffer } from 'node:stream/consumers';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ExecutionEnvironment, type Run } from './environment.ts';
import type { DeployedFunction } from './functions.ts';
import type { Reply } from './runtime-api.ts';

/** Lambda's longest. */
const TIMEOUT_MS = 900_000;

export type LambdaFunction = {
  /** @throws FunctionError when it fails before it replies */
  invoke(event: unknown, timeoutMs?: number): Promise<Reply>;
  /**
   * The JSON that a function which does not stream replies with. Settles when its process is free again, so that calls in a row share one.
   *
   * @throws FunctionError
   */
  call(event: unknown, timeoutMs?: number): Promise<unknown>;
  /** All that were started, in that order. */
  readonly environments: readonly ExecutionEnvironment[];
  /** Resolves when no event is under way and every line that was logged has been read. */
  settle(): Promise<void>;
};

export function createLambdaFunction(
  deployed: DeployedFunction,
  log: (line: string) => void,
): LambdaFunction {
  const environments: ExecutionEnvironment[] = [];
  const warm: ExecutionEnvironment[] = [];
  const underWay = new Set<Promise<void>>();

  const start = async () => {
    const environment = await ExecutionEnvironment.start(deployed, log);
    environments.push(environment);
    return environment;
  };

  const takeWarm = (): ExecutionEnvironment | undefined => {
    const environment = warm.pop();
    return environment === undefined || environment.isAlive ? environment : takeWarm();
  };

  const begin = async (event: unknown, timeoutMs: number): Promise<Run> => {
    const environment = takeWarm() ?? (await start());
    const run = environment.run(event, timeoutMs);
    void run.over.then(() => environment.isAlive && warm.push(environment));
    return run;
  };

  const run = (event: unknown, timeoutMs = TIMEOUT_MS): Promise<Run> => {
    const beginning = begin(event, timeoutMs);
    const over = beginning.then(({ over }) => over).catch(() => undefined);
    underWay.add(over);
    void over.then(() => underWay.delete(over));
    return beginning;
  };

  return {
    invoke: async (event, timeoutMs) => await (await run(event, timeoutMs)).reply,
    async call(event, timeoutMs) {
      const { reply, over } = await run(event, timeoutMs);
      try {
        return JSON.parse(String(await buffer((await reply).body)));
      } finally {
        await over;
      }
    },
    environments,
    async settle() {
      while (underWay.size > 0) await Promise.all(underWay);
      await nextTurn();
    },
  };
}
