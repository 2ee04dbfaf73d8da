/**
 * `npm run bulk-upload -- <file>`: writes the items of a file into a DynamoDB table, such as question/answer pairs into the gateway's
 * answers. It may be interrupted at any time and goes on from there. Exit codes: 0, 1 when an item was rejected or the run failed, 2 for a
 * command that is none, 130 after Ctrl-C.
 */
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { embeddingModel } from '../src/chat/similarity.ts';
import { stackName, tableName } from '../src/names.ts';
import { findSearch } from './bulk-upload/search.ts';
import {
  describeTable,
  findPlace,
  hasQuestionKey,
  MAX_CONCURRENCY,
  type Place,
  UploadFailure,
  type Where,
} from './bulk-upload/table.ts';
import { type Job, type Result, upload } from './bulk-upload/upload.ts';
import { readStack, regionOf, StackError } from './stack.ts';
import { isUsageError, UsageError } from './usage.ts';

const help = `npm run bulk-upload -- <file> [options]

Writes the items of a file into a DynamoDB table: question/answer pairs into the answers of the gateway, or any items into any table.

  -t, --table NAME      the table; without it the answers of the gateway that STACK_NAME and STAGE name
  --local               the table of the gateway on this machine, as npm start makes it, instead of one in AWS
  --endpoint-url URL    the table in another DynamoDB
  --questions           pk is a question as people write it, and the item its answer; the default for a table that is named
                        like the gateway's answers and whose only key is pk, a string
  --no-questions        the items go into the table as they are
  --similar             also puts the questions into the index that similar ones are searched in; one that is there already stays
  --replace             an item takes the place of what the table has under its key (the default)
  --keep-existing       what the table has under the key stays, and is counted
  --dry-run             tells what would be rejected, and writes nothing into the table
  --restart             begins anew where an earlier upload of the file was interrupted
  --concurrency N       how many requests at once, from 1 to 64 (8)
  --quiet               no progress
  --help                this text

The file is UTF-8 and of any size: a JSON list of objects, or JSON Lines, an object on each line.

  [ { "pk": "What is a Faraday cage?", "answer": "A shield made of a conductor." },
    { "pk": "Who repairs masts?", "answer": "The field team.", "topic": "masts" } ]

Each object needs the key of the table, of the right type (a key of type B as base64 text), and is at most 400 KB as DynamoDB counts. Of
two objects with the same key the later one wins. With --questions, { "pk": "…", "answer": "…" } is a complete item: pk is stored in the
form by which chat finds it however it is capitalised, spaced or ended, and beside it question (as it was written), kind (curated) and
source (the name of the file), whatever the item says there. Whole numbers beyond 9007199254740991 are rejected, since they would
be changed; write them as text.

With --similar an item counts as written once its question is in the index, too; the questions that go there are in the summary: 60 written,
0 rejected, 60 indexed. Each that is new takes a call of the model ${embeddingModel.model}, --concurrency of them at once. Questions of
more than 1,500 bytes, and those that are no prose (several lines, symbols, code, addresses), are not indexed, and are counted. Without --local, OPENSEARCH_DOMAIN_ENDPOINT names the domain or the collection.

Files that it leaves beside yours:
  <file>.rejected.jsonl      the items that were not written, each with its number, its line and the reason; none when all were
  <file>.checkpoint.json     only while it runs or after it was interrupted: run the same command again to go on from there

AWS: credentials and profile as for every AWS tool; they must allow dynamodb:DescribeTable and dynamodb:BatchWriteItem, with --keep-existing
dynamodb:PutItem in its place, and without -t cloudformation:DescribeStacks; with --similar also bedrock:InvokeModel on that model, and
es:ESHttpPost and es:ESHttpPut on the index, or aoss:APIAccessAll and what a collection's data access policy asks for. The region is that of REGION_ID, AWS_REGION
or AWS_DEFAULT_REGION, else us-east-1. AWS_PORT (4566) says where the gateway on this machine has its tables and its index,
AWS_ENDPOINT_URL_DYNAMODB names another DynamoDB.

Examples:
  npm run bulk-upload -- samples/network-outages.json --local
  npm run bulk-upload -- samples/network-outages.json --local --similar
  npm run bulk-upload -- answers.json --dry-run
  npm run bulk-upload -- stock.jsonl -t Stock --keep-existing --concurrency 16

Exit codes: 0 when all was written, 1 when an item was rejected or the upload failed, 2 for a command that is none, 130 after Ctrl-C.
`;

const GIVE_UP_MS = 120_000;
const PROGRESS_MS = 5_000;

export type Io = {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Where a progress bar can be drawn. */
  readonly terminal?: NodeJS.WritableStream | undefined;
  /** Ctrl-C. */
  readonly signal?: AbortSignal;
  /** How long DynamoDB may take nothing at all. @defaultValue 2 minutes */
  readonly giveUpMs?: number;
  /** How often progress is told where there is no bar. @defaultValue 5 seconds */
  readonly progressMs?: number;
};

const never = new AbortController().signal;

/** Returns the exit code. */
export async function bulkUpload(args: readonly string[], env: NodeJS.ProcessEnv, io: Io): Promise<number> {
  try {
    const command = parseCommand(args);
    if (command.isHelp) {
      io.out(help);
      return args.length === 0 ? 2 : 0;
    }
    const job = await toJob(command, env, io);
    return tellResult(await upload(job), job, io);
  } catch (error) {
    if (io.signal?.aborted) return 130;
    io.err(`${describe(error)}\n`);
    return isUsageError(error) ? 2 : 1;
  }
}

const flag = { type: 'boolean' } as const;

function parseCommand(args: readonly string[]) {
  const { positionals, values } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      table: { type: 'string', short: 't' },
      'endpoint-url': { type: 'string' },
      concurrency: { type: 'string', default: '8' },
      local: flag,
      questions: flag,
      'no-questions': flag,
      similar: flag,
      replace: flag,
      'keep-existing': flag,
      'dry-run': flag,
      restart: flag,
      quiet: flag,
      help: flag,
    },
  });
  const isHelp = values.help ?? args.length === 0;
  if (!isHelp) checkOptions(values, positionals);
  return { isHelp, path: positionals[0] ?? '', values };
}

type Values = ReturnType<typeof parseCommand>['values'];

const OPPOSITES = [
  ['local', 'endpoint-url'],
  ['replace', 'keep-existing'],
  ['questions', 'no-questions'],
  ['similar', 'no-questions'],
  ['dry-run', 'restart'],
] as const;

function checkOptions(values: Values, positionals: readonly string[]): void {
  if (positionals.length !== 1) throw new UsageError('Name one file to upload.');
  for (const [one, other] of OPPOSITES) {
    if (values[one] && values[other]) throw new UsageError(`Give --${one} or --${other}, not both.`);
  }
  const { table, concurrency, 'endpoint-url': url } = values;
  if (table !== undefined && !/^[\w.-]{3,255}$/.test(table))
    throw new UsageError('--table must be 3 to 255 letters, digits, dots, dashes and underscores.');
  if (!/^\d{1,2}$/.test(concurrency) || Number(concurrency) < 1 || Number(concurrency) > MAX_CONCURRENCY)
    throw new UsageError(`--concurrency must be a whole number from 1 to ${MAX_CONCURRENCY}.`);
  if (url !== undefined && !/^https?:$/.test(URL.parse(url)?.protocol ?? ''))
    throw new UsageError('--endpoint-url must be an http or https URL, such as http://127.0.0.1:4566.');
}

async function toJob(
  { path, values }: ReturnType<typeof parseCommand>,
  env: NodeJS.ProcessEnv,
  io: Io,
): Promise<Job> {
  const { signal = never, giveUpMs = GIVE_UP_MS, progressMs = PROGRESS_MS } = io;
  const where = {
    localPort: values.local ? env['AWS_PORT'] || '4566' : undefined,
    url: values['endpoint-url'],
  };
  const place =
    values.table === undefined ? await findAnswers(where, env) : findPlace(values.table, where, env);
  const table = await describeTable(place, signal);
  if (values.questions && !hasQuestionKey(table))
    throw new UploadFailure(
      `--questions needs a table whose only key is pk, a string; ${place.table} has another.`,
    );
  const isAnswers = ANSWERS_TABLE.test(place.table) && hasQuestionKey(table);
  const questions = values.questions ?? (isAnswers && !values['no-questions']);
  if (values.similar && !questions)
    throw new UsageError(
      '--similar is for the answers of a gateway; give --questions if this table has them.',
    );
  return {
    path,
    place,
    table,
    questions,
    search: values.similar ? findSearch(place, env) : undefined,
    keepExisting: values['keep-existing'] ?? false,
    dryRun: values['dry-run'] ?? false,
    restart: values.restart ?? false,
    concurrency: Number(values.concurrency),
    signal,
    giveUpMs,
    progress: values.quiet ? undefined : { terminal: io.terminal, everyMs: progressMs, line: io.err },
    tell: (sentence: string) => io.err(`${sentence}\n`),
  };
}

/** The gateway's own, as `npm start` and as CloudFormation name them. */
const ANSWERS_TABLE = /-answers(-[A-Za-z0-9]+)?$/;

/** What was deployed says itself what its table is called; elsewhere it is as `npm start` makes it. */
async function findAnswers(where: Where, env: NodeJS.ProcessEnv): Promise<Place> {
  const isElsewhere =
    where.localPort || where.url || env['AWS_ENDPOINT_URL_DYNAMODB'] || env['AWS_ENDPOINT_URL'];
  if (isElsewhere) return findPlace(tableName(stackName(env), 'answers'), where, env);
  const table = (await readStack(env)).get('AnswersTable') ?? '';
  return findPlace(table, where, { ...env, REGION_ID: regionOf(env) });
}

function tellResult(result: Result, { search, dryRun, signal }: Job, io: Io): number {
  const { written, kept, rejected, indexed, rejectsPath, failure, canGoOn } = result;
  if (failure !== undefined) io.err(`${failure}\n`);
  if (signal.aborted) io.err('The upload was interrupted.\n');
  if (canGoOn) io.err('Run the same command again to go on from here.\n');
  const counts = [`${written} ${dryRun ? 'valid' : 'written'}`, `${rejected} rejected`];
  if (kept > 0) counts.push(`${kept} kept`);
  if (search && !dryRun) counts.push(`${indexed} indexed`);
  io.out(`${counts.join(', ')}\n`);
  const others = search ? written + kept - indexed : 0;
  if (others > 0) io.out(`Too long or no prose, so found in their own words only: ${others}\n`);
  if (rejected > 0) io.out(`The rejected items, each with its reason, are in ${rejectsPath}\n`);
  if (signal.aborted) return 130;
  return failure !== undefined || rejected > 0 ? 1 : 0;
}

function describe(error: unknown): string {
  const isOurs = error instanceof UploadFailure || error instanceof StackError;
  if (isUsageError(error) || isOurs) return error.message;
  return `The upload failed (${error instanceof Error ? error.name : 'no error'}).`;
}

if (import.meta.main) {
  if (existsSync('.env')) process.loadEnvFile('.env');
  const interrupt = new AbortController();
  process.once('SIGINT', () => interrupt.abort()); // the second one ends it at once
  process.stdout.on('error', () => process.exit()); // whoever read on has read enough
  process.exitCode = await bulkUpload(process.argv.slice(2), process.env, {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    terminal: process.stderr.isTTY ? process.stderr : undefined,
    signal: interrupt.signal,
  });
}
