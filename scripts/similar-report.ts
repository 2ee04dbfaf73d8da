/**
 * `npm run similar-report -- <paraphrases.json> <near-misses.json>`: tells an operator which `similar-threshold` to choose, by what it would
 * do to questions of his own. Exit codes: 0, 1 when it failed, 2 for a command that is none.
 */
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { table } from '../src/chat/setting-table.ts';
import { embeddingModel } from '../src/chat/similarity.ts';
import { type Findings, findNearest, findSafe, toFindings } from './similar-report/rates.ts';
import { toReport } from './similar-report/report.ts';
import {
  readQuestions,
  readSamples,
  requireOthers,
  type Sample,
  SampleProblem,
  type Text,
} from './similar-report/samples.ts';
import { embedAll, findPlace, type Place, VectorFailure } from './similar-report/vectors.ts';
import { isUsageError, UsageError } from './usage.ts';

const help = `npm run similar-report -- <paraphrases.json> <near-misses.json> [options]

Tells which similar-threshold to choose: what share of the paraphrases, questions that were asked in other words, each threshold answers,
and what share of the near misses, which sound alike but mean something else. It asks Bedrock for the vector of each text, once, and
changes nothing.

  --answers FILE    more questions that there are answers to: a file as npm run bulk-upload takes it
  --threshold X     one more threshold, from 0.5 to 1, and the one whose misses are listed, in place of the default
  --local           the vectors of the gateway on this machine, as npm start makes them: not Titan's, but enough to try the command
  --json            the figures as JSON: { "paraphrases": N, "near_misses": N, "safe": X or null,
                    "rates": [{ "threshold": X, "hits": N, "wrong": N, "false_hits": N }] }
  --help            this text

Each file is a JSON list of objects, or JSON Lines:

  [ { "question": "What is a Faraday cage?", "asked": "Could you explain Faraday cages?" } ]
  [ { "question": "What is a Faraday cage?", "asked": "What is a Faraday motor?" } ]

What the paraphrases ask must be answered as their questions, what the near misses ask as none. All questions of both files count as
answered, so what is asked must not be one of them itself. Hits are paraphrases that their own question answers, wrong are those that
another one does, false hits are near misses that any question answers.

AWS: credentials and profile as for every AWS tool; they must allow bedrock:InvokeModel for ${embeddingModel.model}, of which
a thousand questions cost less than a cent. The region is that of REGION_ID, AWS_REGION or AWS_DEFAULT_REGION, else us-east-1. AWS_PORT
(4566) says where the gateway on this machine has its Bedrock, AWS_ENDPOINT_URL_BEDROCK_RUNTIME names another. NO_COLOR takes the colours
away.

Examples:
  npm run similar-report -- samples/paraphrases.json samples/near-misses.json --local
  npm run similar-report -- paraphrases.json near-misses.json --answers answers.json --threshold 0.975

Exit codes: 0, 1 when it failed, 2 for a command that is none.
`;

export type Io = {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Whether `out` is one. */
  readonly isTerminal?: boolean;
};

/** Returns the exit code. */
export async function similarReport(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  io: Io,
): Promise<number> {
  try {
    const command = parseCommand(args);
    if (command.isHelp) {
      io.out(help);
      return args.length === 0 ? 2 : 0;
    }
    await report(command, env, io);
    return 0;
  } catch (error) {
    io.err(`${describe(error)}\n`);
    return isUsageError(error) ? 2 : 1;
  }
}

const flag = { type: 'boolean' } as const;
const { kind, default: usual } = table.similarThreshold;

function parseCommand(args: readonly string[]) {
  const { positionals, values } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      answers: { type: 'string' },
      threshold: { type: 'string', default: usual },
      local: flag,
      json: flag,
      help: flag,
    },
  });
  const isHelp = values.help ?? args.length === 0;
  const [paraphrases = '', nearMisses = ''] = positionals;
  const threshold = kind.parse(values.threshold);
  if (!isHelp && positionals.length !== 2)
    throw new UsageError('Name two files: the paraphrases, then the near misses.');
  if (threshold === undefined) throw new UsageError(`--threshold must be ${kind.allowed}.`);
  return { isHelp, paraphrases, nearMisses, ...values, threshold };
}

type Command = ReturnType<typeof parseCommand>;

async function report(command: Command, env: NodeJS.ProcessEnv, io: Io): Promise<void> {
  const { local = false, json = false } = command;
  const findings = await measure(command, findPlace(local, env), io);
  if (json) return io.out(`${JSON.stringify(toJson(findings), undefined, 2)}\n`);
  const isColoured = io.isTerminal === true && !env['NO_COLOR'];
  io.out(toReport(findings, { isColoured, option: local ? '' : ' --aws' }));
}

/** @throws SampleProblem, VectorFailure */
async function measure(command: Command, place: Place, io: Io): Promise<Findings> {
  const paraphrases = await readSamples(command.paraphrases);
  const nearMisses = await readSamples(command.nearMisses);
  const answered = command.answers === undefined ? [] : await readQuestions(command.answers);
  const samples = [...paraphrases, ...nearMisses];
  const all = [...answered, ...samples.map(({ question }) => question)];
  const questions = new Map(all.map((question) => [question.comparable, question]));
  requireOthers(command.paraphrases, paraphrases, questions);
  requireOthers(command.nearMisses, nearMisses, questions);
  const texts = new Set([...questions.keys(), ...samples.map(({ asked }) => asked.comparable)]);
  io.err(`Vectors of ${texts.size} texts from ${place.endpoint ?? `Bedrock in ${place.region}`}.\n`);
  const vectors = await embedAll([...texts], place);
  const withVector = (text: Text) => ({ ...text, vector: vectors.get(text.comparable) ?? [] });
  const corpus = [...questions.values()].map(withVector);
  const match = ({ question, asked }: Sample) => findNearest(withVector(asked), question.comparable, corpus);
  return toFindings(paraphrases.map(match), nearMisses.map(match), command.threshold);
}

const toJson = ({ rates, paraphrases, nearMisses }: Findings) => ({
  paraphrases: paraphrases.length,
  near_misses: nearMisses.length,
  safe: findSafe(rates)?.threshold ?? null,
  rates: rates.map(({ falseHits, ...rate }) => ({ ...rate, false_hits: falseHits })),
});

function describe(error: unknown): string {
  const isOurs = error instanceof SampleProblem || error instanceof VectorFailure;
  if (isUsageError(error) || isOurs) return error.message;
  return `The report failed (${error instanceof Error ? error.name : 'no error'}).`;
}

if (import.meta.main) {
  if (existsSync('.env')) process.loadEnvFile('.env');
  process.stdout.on('error', () => process.exit()); // whoever read on has read enough
  process.exitCode = await similarReport(process.argv.slice(2), process.env, {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    isTerminal: process.stdout.isTTY,
  });
}
