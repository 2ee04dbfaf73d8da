/**
 * `npm run doctor`: looks whether the account is ready for what `.env` says, before `npm run deploy` finds out the slow way. It changes
 * nothing; asking the models costs a few tokens. Exit codes: 0, 1 when there is a problem, 2 for a command that is none.
 */
import { parseArgs } from 'node:util';
import { type Config, ConfigError, parseConfig } from '../cdk/config.ts';
import { checkBootstrap, checkCredentials, checkLogRole } from './doctor/account.ts';
import { checkConcurrency } from './doctor/concurrency.ts';
import { type Finding, ok, type Place, problem, warning } from './doctor/finding.ts';
import { checkModels } from './doctor/models.ts';
import { loadEnvFile } from './env-file.ts';
import { readStack, regionOf } from './stack.ts';
import { isUsageError } from './usage.ts';

const help = `npm run doctor -- [options]

Checks the AWS account before a deployment: the configuration, credentials, CDK's bootstrap, API Gateway's role for logs, Lambda's quota,
and that every model of DEFAULT_MODEL and ALLOWED_MODELS answers (those with * in their name apart), and with OPENSEARCH_DOMAIN_ENDPOINT the
one that embeds questions. It changes nothing.

  --env FILE    the variables of the deployment, instead of .env; exported variables win over both
  --json        the findings as JSON: [{ "check": …, "result": "ok" | "warning" | "problem", "sentence": … }]
  --help        this text

Your principal needs sts:GetCallerIdentity, ssm:GetParameter, apigateway:GET, lambda:GetAccountSettings, cloudformation:DescribeStacks and
bedrock:InvokeModel; what it may not do is told as a warning.

Exit codes: 0 when there is no problem, 1 when there is one, 2 for a command that is none.
`;

/** For each question to AWS, in milliseconds. */
const LIMIT_MS = 10_000;

export type Io = {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** @defaultValue 10 seconds */
  readonly limitMs?: number;
};

/** Returns the exit code. Adds the variables of the env file to `env`, which for credentials must be that of the process. */
export async function doctor(args: readonly string[], env: NodeJS.ProcessEnv, io: Io): Promise<number> {
  try {
    const { values } = parseArgs({
      args: loadEnvFile(args, env),
      options: { json: { type: 'boolean' }, help: { type: 'boolean' } },
    });
    if (values.help) {
      io.out(help);
      return 0;
    }
    return await diagnose(env, io, values.json);
  } catch (error) {
    if (!isUsageError(error)) throw error;
    io.err(`${error.message}\n`);
    return 2;
  }
}

/** Says what is found for these variables, and returns 1 when a part of it is a problem. */
export async function diagnose(env: NodeJS.ProcessEnv, io: Io, asJson = false): Promise<number> {
  const findings = await examine(env, io.limitMs ?? LIMIT_MS);
  io.out(asJson ? `${JSON.stringify(findings, undefined, 2)}\n` : toText(findings));
  return findings.some(({ result }) => result === 'problem') ? 1 : 0;
}

async function examine(env: NodeJS.ProcessEnv, limitMs: number): Promise<Finding[]> {
  const { config, findings } = readConfig(env);
  const place = { region: config?.region ?? regionOf(env), limitMs };
  const { account, finding } = await checkCredentials(place);
  if (account === undefined) return [...findings, finding];
  const checks = [checkBootstrap(account, place), ...(config ? checkAll(config, env, place) : [])];
  return [...findings, finding, ...(await Promise.all(checks)).flat()];
}

const checkAll = (config: Config, env: NodeJS.ProcessEnv, place: Place) => [
  checkLogRole(config, place),
  checkConcurrency(config, place, () => isDeployed(env)),
  checkModels(config, place),
];

const isDeployed = (env: NodeJS.ProcessEnv): Promise<boolean> =>
  readStack(env).then(
    () => true,
    () => false,
  );

/** The configuration, unless it has problems, and what there is to say of it. */
function readConfig(env: NodeJS.ProcessEnv): { config?: Config; findings: Finding[] } {
  const check = 'configuration';
  try {
    const config = parseConfig(env);
    const findings = config.warnings.map((sentence) => warning(check, sentence));
    return {
      config,
      findings: [ok(check, `It makes the stack ${config.stackName} in ${config.region}.`), ...findings],
    };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { findings: error.problems.map(({ sentence }) => problem(check, sentence)) };
  }
}

function toText(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ check }) => check.length));
  const lines = findings.map(
    ({ check, result, sentence }) => `${result.padEnd(9)}${check.padEnd(width + 2)}${sentence}\n`,
  );
  const count = (wanted: string) => findings.filter(({ result }) => result === wanted).length;
  return `${lines.join('')}\nProblems: ${count('problem')}. Warnings: ${count('warning')}.\n`;
}

if (import.meta.main) {
  process.stdout.on('error', () => process.exit()); // whoever read on has read enough
  const code = await doctor(process.argv.slice(2), process.env, {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
  });
  // A question that was given up may go on for ever.
  process.stdout.write('', () => process.exit(code));
}
