/**
 * `npm run smoke`: asks a gateway that has just been deployed one question of every kind by every door, and says what is not as the
 * contract has it. Exit codes: 0 when all is well, 1 when it is not, 2 for a command that is none, 130 after Ctrl-C.
 */
import { parseArgs } from 'node:util';
import { environment, readList, stackName } from '../src/names.ts';
import { Ending } from './answer.ts';
import { loadEnvFile } from './env-file.ts';
import { checkDoor, type Row } from './smoke/check.ts';
import { checksOf } from './smoke/checks.ts';
import { createDoors, type Door } from './smoke/door.ts';
import { edgesOf } from './smoke/edges.ts';
import { type Measuring, measure } from './smoke/latency.ts';
import { doorNames, findPlaces, type PlaceIo } from './smoke/place.ts';
import * as report from './smoke/report.ts';
import { UsageError } from './usage.ts';

const help = `npm run smoke -- [options]

Checks the deployed gateway that STACK_NAME and STAGE name, door by door. It asks six questions at each, which Bedrock charges for, and
deletes the conversations that it began; one short answer of each door stays in the answer cache until it expires.

  --local                 the gateway of this machine instead (npm start)
  --door DOOR             only this one: rest, websocket or function-url
  --timeout-seconds N     how long each check may take (60)
  --prompt-tokens N,N,…   in place of the checks, how long each door takes to its first text when the question is so long
  --runs N                of how many questions that is the median (3)
  --json                  all at the end, as JSON
  --env FILE              the variables of the deployment (.env)
  --help                  this text

Variables: STACK_NAME, STAGE and REGION_ID say which stack, and your AWS credentials sign. The API key's value is asked of API Gateway
unless GATEWAY_API_KEY says it. With --local: PORT (3000) and FUNCTION_URL_PORT (3001), and the keys as npm run call finds them.
`;

export type Io = PlaceIo & {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Whether colours are of use. */
  readonly isTerminal?: boolean;
  /** Ends the run. What it began is deleted all the same. */
  readonly signal?: AbortSignal;
  readonly fetch?: typeof fetch;
  /** Adds the variables of the deployment to those of the process. Returns the arguments that were not for it. */
  readonly loadVariables?: (args: readonly string[]) => readonly string[];
};

type Env = Readonly<NodeJS.ProcessEnv>;

/** Returns the exit code. */
export async function smoke(args: readonly string[], env: Env, io: Io): Promise<number> {
  const { signal = never } = io;
  try {
    const command = parseCommand(io.loadVariables?.(args) ?? args);
    if (command.isHelp) {
      io.out(help);
      return 0;
    }
    const places = await Promise.race([findPlaces(command, env, io), untilAborted(signal)]);
    const doors = createDoors(places, io.fetch ?? fetch).filter(
      ({ place }) => command.door === undefined || place.name === command.door,
    );
    return await run({ command, doors, env, signal, io });
  } catch (error) {
    if (signal.aborted) return 130;
    if (!(error instanceof Ending || error instanceof UsageError)) throw error;
    io.err(`${error.message}\n`);
    return error instanceof Ending ? error.exitCode : 2;
  }
}

const never = new AbortController().signal;

const untilAborted = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));

type Command = ReturnType<typeof parseCommand>;

function parseCommand(args: readonly string[]) {
  const values = readArguments(args);
  const door = doorNames.find((name) => name === values.door);
  if (values.door !== undefined && door === undefined)
    throw new Ending(2, `--door must be one of ${doorNames.join(', ')}.`);
  const sizes = values['prompt-tokens'];
  return {
    isHelp: values.help ?? false,
    isLocal: values.local ?? false,
    isJson: values.json ?? false,
    door,
    limitSeconds: readCount('--timeout-seconds', values['timeout-seconds'] ?? '60', 600),
    runs: readCount('--runs', values.runs ?? '3', 100),
    promptTokens: sizes?.split(',').map((size) => readCount('--prompt-tokens', size.trim(), 1_000_000)),
  };
}

function readArguments(args: readonly string[]) {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  const options = {
    local: flag,
    door: text,
    'timeout-seconds': text,
    'prompt-tokens': text,
    runs: text,
    json: flag,
    help: flag,
  } as const;
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    throw new Ending(2, `${error instanceof Error ? error.message : error}`.replaceAll('\n', ' '));
  }
}

function readCount(option: string, value: string, most: number): number {
  const count = Number(value);
  if (/^\d+$/.test(value) && count >= 1 && count <= most) return count;
  throw new Ending(2, `${option} must be a whole number from 1 to ${most.toLocaleString('en-US')}.`);
}

type Run = {
  readonly command: Command;
  readonly doors: readonly Door[];
  readonly env: Env;
  readonly signal: AbortSignal;
  readonly io: Io;
};

async function run(given: Run): Promise<number> {
  const { command, env, io } = given;
  const beganAt = new Date();
  const gateway = command.isLocal ? 'this machine' : stackName(env);
  const show = command.isJson ? () => {} : io.out;
  show(`The gateway of ${gateway}\n`);
  const rows = command.promptTokens ? [] : await check(given, show);
  const cells = command.promptTokens ? await compare(given, command.promptTokens, show) : [];
  const isOk =
    rows.every(({ result }) => result !== 'FAILED') && cells.every(({ failure }) => failure === undefined);
  // What AWS does, and what it does not show, is no question of this machine.
  const manual = command.isLocal || command.promptTokens ? [] : report.toManualChecks(beganAt, new Date());
  if (manual.length > 0)
    show(
      `\nWhat cannot be seen from outside, and where to look:\n${manual.map((line) => `  ${line}\n`).join('')}`,
    );
  if (command.isJson) io.out(report.toJson({ gateway, isOk, rows, cells, manual }));
  return isOk ? 0 : 1;
}

type Show = (text: string) => void;

async function check({ command, doors, env, signal, io }: Run, show: Show): Promise<readonly Row[]> {
  const allowed = {
    origins: readList(env[environment.allowedOrigins]),
    models: readList(env[environment.allowedModels]),
  };
  const rows: Row[] = [];
  for (const door of doors) {
    show(report.toHeading(door));
    const checks = [...checksOf(door), ...edgesOf(door, allowed)];
    for await (const row of checkDoor(door, { checks, signal, limitSeconds: command.limitSeconds })) {
      rows.push(row);
      show(report.toLine(row, io.isTerminal ?? false));
    }
  }
  show(report.toSum(rows));
  return rows;
}

async function compare({ command, doors, signal }: Run, sizes: readonly number[], show: Show) {
  const measuring: Measuring = { runs: command.runs, signal, limitSeconds: command.limitSeconds };
  const cells: report.LatencyRow[] = [];
  show(report.toHead(sizes, command.runs));
  for (const door of doors) {
    show(report.toLabel(door));
    for (const size of sizes) {
      const cell = await measure(door, size, measuring);
      cells.push({ door: door.place.name, ...cell });
      show(report.toCell(cell));
    }
    show('\n');
  }
  show(report.toNotes(cells, sizes));
  return cells;
}

if (import.meta.main) {
  const interrupt = new AbortController();
  process.on('SIGINT', () => interrupt.abort());
  process.stdout.on('error', () => process.exit(141)); // as SIGPIPE ends a command whose reader has gone
  const code = await smoke(process.argv.slice(2), process.env, {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    isTerminal: process.stdout.isTTY === true,
    signal: interrupt.signal,
    loadVariables: (args) => loadEnvFile(args, process.env),
  });
  // A question to AWS that was given up may go on for minutes.
  process.stdout.write('', () => process.exit(code));
}
