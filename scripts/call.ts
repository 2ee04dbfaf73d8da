/**
 * `npm run call -- "question"`: asks the gateway through any of its doors and prints the answer while it is written; and the other
 * commands for whoever uses or runs a gateway. Exit codes: 0 for a whole answer, 1 for any other, 2 for a command that is none,
 * 130 after Ctrl-C.
 */
import { addAbortSignal } from 'node:stream';
import { text as readText } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { styleText } from 'node:util';
import { Command, CommanderError } from 'commander';
import { Ending } from './answer.ts';
import * as archive from './call/archive.ts';
import { type Calling, type ChatOptions, chat } from './call/chat.ts';
import { type DoorOptions, findDoor } from './call/door.ts';
import { createInterrupts, createPrompt, holdTerminal } from './call/prompt.ts';
import { createScreen, type Io, type Screen, watchInterrupts } from './call/screen.ts';
import { loadEnvFile } from './env-file.ts';
import { UsageError } from './usage.ts';

export type { Io } from './call/screen.ts';

const about =
  'Asks the gateway on this machine, or one that is deployed. What is no command is a question. Without any, it is a conversation, or answers what is piped in.';

const variables = `
Variables, which may stand in .env, or in the file that --env names:
  FUNCTION_URL, REST_URL, WEBSOCKET_URL   where a deployed gateway is; else the
                    doors of this machine: FUNCTION_URL_PORT (3001), PORT (3000)
  GATEWAY_API_KEY   for rest and websocket; else, on this machine, the first of
                    LOCAL_API_KEYS, or the key that npm start made
  AWS credentials   for function-url and --iam, as every AWS tool finds them; on
                    this machine AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY,
                    LOCAL_IAM_KEYS, or the pair that npm start made
  AWS_REGION        where the URL does not say it

Exit codes: 0, 1 when an answer is not whole or a command fails, 2 for a command
that is none, 130 after Ctrl-C, which cancels the answer on the gateway.
`;

/** Returns the exit code. */
export async function call(args: readonly string[], env: NodeJS.ProcessEnv, io: Io): Promise<number> {
  const screen = createScreen(io);
  try {
    const [name = '', ...rest] = args[0] === 'help' && isOther(args[1]) ? [args[1], '--help'] : args;
    if (isOther(name)) return await others[name](rest, env, { ...io, out: screen.out, err: screen.err });
    return await run(args, env, io, screen);
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    if (!(error instanceof CommanderError) && !(error instanceof Ending)) throw error;
    const isOurs = error instanceof Ending;
    screen.err(`${isOurs ? error.message : toSentence(error.message)}\n`);
    return isOurs ? error.exitCode : 2;
  }
}

/** Commands that have files of their own. */
const others = {
  async settings(args: readonly string[], env: NodeJS.ProcessEnv, io: Io) {
    return await (await import('./settings.ts')).settings(args, env, io);
  },
  async upload(args: readonly string[], env: NodeJS.ProcessEnv, io: Io) {
    using interrupt = watchInterrupts(io);
    const { bulkUpload } = await import('./bulk-upload.ts');
    const terminal = io.isTerminal ? process.stderr : undefined;
    return await bulkUpload(args, env, { ...io, terminal, signal: interrupt.signal });
  },
  async keys(args: readonly string[], env: NodeJS.ProcessEnv, io: Io) {
    return await (await import('./keys.ts')).keys(args, env, io);
  },
} as const;

const isOther = (name = ''): name is keyof typeof others => Object.hasOwn(others, name);

type Options = DoorOptions & ChatOptions & archive.ListOptions & { readonly json?: boolean };

async function run(args: readonly string[], env: NodeJS.ProcessEnv, io: Io, screen: Screen) {
  let code = 0;
  const program = createProgram(screen, (work) => async (...given: unknown[]) => {
    const options: Options = (given.at(-1) as Command).optsWithGlobals();
    const calling = { door: findDoor(options, env), env, io, screen, isJson: options.json ?? false };
    code = await work(calling, options, (given.at(-1) as Command).args);
  });
  await program.parseAsync(args, { from: 'user' });
  return code;
}

type Work = (calling: Calling, options: Options, words: readonly string[]) => Promise<number>;
type Action = (work: Work) => (...given: unknown[]) => Promise<void>;

function createProgram(screen: Screen, action: Action): Command {
  const program = new Command('npm run call --')
    .description(about)
    .exitOverride()
    .configureOutput({ writeOut: screen.out, writeErr: screen.err, outputError: () => {} })
    .configureOutput({ getOutHelpWidth: () => 80, getErrHelpWidth: () => 80 })
    .configureHelp({ showGlobalOptions: true })
    .option('--door <door>', 'rest, websocket or function-url (the default)')
    .option('--url <url>', 'where that door is')
    .option('--iam', 'sign what goes through the rest door, instead of showing a key')
    .option('--json', 'each event or item as a line of JSON')
    .helpOption('--help', 'this text');
  const question = addChat(program, action);
  program.command('models').description('the models on offer').action(action(archive.listModels));
  const cancel = program.command('cancel <request_id>').description('cancel a running request');
  cancel.action(action((calling, _, [id = '']) => archive.cancelRequest(calling, id)));
  addChats(program, action);
  addOthers(program);
  const options = question.createHelp().visibleOptions(question);
  const described = options
    .filter(({ long }) => long !== '--help')
    .map(({ flags, description }) => `  ${flags.padEnd(21)}  ${description}\n`);
  return program.addHelpText('after', `\nOptions of chat:\n${described.join('')}${variables}`);
}

function addChat(program: Command, action: Action): Command {
  const maxTokens = createParser('--max-tokens', /^[1-9]\d{0,8}$/, 'a whole number from 1', Number);
  const cache = createParser('--cache', /^(use|refresh|off)$/, 'use, refresh or off', String);
  const chatId = (id: string) => archive.checkId('--chat-id', id);
  const gather = (text: string, before: readonly string[] = []) => [...before, text];
  return program
    .command('chat [question...]', { isDefault: true })
    .description('ask; - reads the question from the standard input')
    .option('--model <id>', "the model that answers, not the gateway's default")
    .option('--system <text>', 'what the model is told before the question')
    .option('--max-tokens <n>', 'how long the answer may be', maxTokens)
    .option('--temperature <n>', 'from 0, the most likely words, to 1', zeroToOne('--temperature'))
    .option('--top-p <n>', 'from 0 to 1, how many of the likely words count', zeroToOne('--top-p'))
    .option('--stop <text>', 'where the answer ends; may be given again', gather)
    .option('--cache <how>', 'use, refresh or off', cache)
    .option('--no-store', 'keep no conversation, and learn no answer')
    .option('--chat-id <id>', 'go on with a conversation; last is the latest here', chatId)
    .action(action((calling, options, words) => chat(words, options, calling)));
}

function addChats(program: Command, action: Action): void {
  const limit = createParser('--limit', /^([1-9]\d?|100)$/, 'a whole number from 1 to 100', Number);
  const chats = program.command('chats').description('your conversations: list, show ID, delete ID');
  chats
    .command('list', { isDefault: true })
    .description('the newest first')
    .option('--limit <n>', 'how many at once, from 1 to 100 (20)', limit)
    .option('--all', 'all of them')
    .action(action((calling, options) => archive.listChats(calling, options)));
  const show = chats.command('show <id>').description('one, turn by turn');
  show.action(action((calling, _, [id = '']) => archive.showChat(calling, id)));
  const remove = chats.command('delete <id>').description('one, for good');
  remove.action(action((calling, _, [id = '']) => archive.deleteChat(calling, id)));
}

/** For the help only, unless options stand before them, which would be taken for ours. */
function addOthers(program: Command): void {
  const descriptions: Record<keyof typeof others, string> = {
    settings: 'read and change the settings of a gateway',
    upload: 'write question/answer pairs, as npm run bulk-upload',
    keys: 'the API keys of a deployed gateway',
  };
  for (const [name, description] of Object.entries(descriptions))
    program
      .command(`${name} [arguments...]`)
      .description(description)
      .allowUnknownOption()
      .action(() => {
        throw new Ending(2, `Write ${name} first: npm run call -- ${name} --help.`);
      });
}

function createParser<T>(option: string, form: RegExp, meaning: string, parse: (value: string) => T) {
  return (value: string): T => {
    if (form.test(value)) return parse(value);
    throw new Ending(2, `${option} must be ${meaning}.`);
  };
}

const zeroToOne = (option: string) =>
  createParser(option, /^(0|1|0?\.\d+|1\.0+)$/, 'a number from 0 to 1', Number);

/** Of a message such as `error: unknown option '--tokens'`. */
function toSentence(message: string): string {
  const words = message.replace(/^error: /, '').replaceAll('\n', ' ');
  return `${words.charAt(0).toUpperCase()}${words.slice(1).replace(/\.?$/, '.')}`;
}

/** A little longer than an answer has to say that it was cancelled. */
const DEPARTURE_MS = 2_500;

async function main(given: readonly string[]): Promise<number> {
  const { env, stdin, stdout, stderr } = process;
  const { interrupts, press } = createInterrupts();
  let departure: number | undefined;
  // Nobody reads on: an answer is cancelled as by Ctrl-C, or it would be paid for to its end.
  const depart = (exitCode: number) => () => {
    if (departure !== undefined) return;
    departure = exitCode;
    setTimeout(() => process.exit(exitCode), DEPARTURE_MS).unref();
    if (!interrupts.emit('SIGINT')) process.exit(exitCode);
  };
  stdout.on('error', depart(141)); // as after SIGPIPE
  stderr.on('error', depart(141));
  process.on('SIGINT', press);
  process.on('SIGHUP', depart(129));
  process.on('SIGTERM', depart(143));
  try {
    const exitCode = await call(loadEnvFile(given, env), env, {
      out: (text) => stdout.write(text),
      err: (text) => stderr.write(text),
      isTerminal: stderr.isTTY === true,
      isOutTerminal: stdout.isTTY === true,
      dim: (text) => styleText('dim', text, { stream: stderr }),
      interrupts,
      leave() {
        stderr.write('\n');
        process.exit(130);
      },
      readInput: (signal) => readText(addAbortSignal(signal, stdin)),
      ...(stdin.isTTY && {
        readLine: createPrompt(stdin, stderr, interrupts),
        holdTerminal: () => holdTerminal(stdin, press),
      }),
      lastChatsPath: '.local/last-chats.json',
      pause: (ms) => sleep(ms, undefined, { ref: false }),
    });
    return departure ?? exitCode;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    stderr.write(`${error.message}\n`);
    return 2;
  }
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
