/**
 * `npm run synth`, `deploy`, `diff` and `destroy`: the cdk command that is installed here, with the variables of the deployment. Before it
 * deploys it asks the doctor, and before it destroys it says what stays. The exit code is that of the cdk command.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { type Config, ConfigError, parseConfig } from '../cdk/config.ts';
import { diagnose } from './doctor.ts';
import { loadEnvFile } from './env-file.ts';
import { regionOf } from './stack.ts';
import { UsageError } from './usage.ts';

const help = `npm run synth|deploy|diff|destroy -- [options]

  synth       the CloudFormation template, into cdk.out (with --no-quiet on the screen too); needs neither network nor credentials
  diff        what a deployment would change
  deploy      runs npm run doctor, deploys, and writes the stack's outputs into cdk.out/outputs.json
  destroy     takes the stack down; RETAIN_DATA says whether its tables stay

  --env FILE       the variables of the deployment, instead of .env; exported variables win over both
  --skip-doctor    deploys whatever the doctor would say
  --help           this text

All other options go to the cdk command, and win over those that it is given here (--require-approval never, --outputs-file, --app):
  npm run deploy -- --env prod.env --profile production
  npm run deploy -- --require-approval broadening
  npm run destroy -- --force
`;

const VERBS = ['synth', 'deploy', 'diff', 'destroy'] as const;
type Verb = (typeof VERBS)[number];

export type Io = {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** The program of the cdk command. @defaultValue the one in node_modules */
  readonly cli?: string;
  /** @defaultValue that of `npm run doctor` */
  readonly diagnose?: typeof diagnose;
};

const CLI = 'node_modules/aws-cdk/bin/cdk';

/** Returns the exit code. Adds the variables of the env file to `env`, which for credentials must be that of the process. */
export async function cdk(args: readonly string[], env: NodeJS.ProcessEnv, io: Io): Promise<number> {
  try {
    const [verb, ...rest] = loadEnvFile(args, env);
    if (verb === undefined || rest.includes('--help')) {
      io.out(help);
      return verb === undefined ? 2 : 0;
    }
    if (!isVerb(verb)) throw new UsageError(`There is no command ${verb}; there are ${VERBS.join(', ')}.`);
    return await run(verb, rest, env, io);
  } catch (error) {
    if (error instanceof ConfigError) io.err(`${error.message}\n`);
    else if (error instanceof UsageError) io.err(`${error.message}\n`);
    else throw error;
    return error instanceof UsageError ? 2 : 1;
  }
}

const isVerb = (word: string): word is Verb => VERBS.some((verb) => verb === word);

async function run(verb: Verb, args: readonly string[], env: NodeJS.ProcessEnv, io: Io): Promise<number> {
  const passed = args.filter((arg) => arg !== '--skip-doctor');
  const profile = argumentOf('--profile', passed);
  if (profile !== undefined) env['AWS_PROFILE'] = profile; // so that the doctor looks at the same account
  const config = parseConfig(env);
  if (verb === 'deploy' && !args.includes('--skip-doctor')) {
    const code = await (io.diagnose ?? diagnose)(env, io);
    if (code !== 0) {
      io.err('Nothing was deployed. To do it all the same: npm run deploy -- --skip-doctor\n');
      return code;
    }
  }
  if (verb === 'destroy') io.out(`${whatStays(config)}\n`);
  const code = await runCli([verb, ...withDefaults(verb, passed), ...passed], env, io.cli ?? CLI);
  if (verb === 'synth' && code === 0) {
    const folder = argumentOf('--output', passed) ?? argumentOf('-o', passed) ?? 'cdk.out';
    io.out(`The template is ${folder}/${config.stackName}.template.json.\n`);
  }
  return code;
}

/** What destroying the stack leaves behind. */
function whatStays({ stackName, retainData, logRole }: Config): string {
  const data = retainData
    ? `RETAIN_DATA is true: the tables of ${stackName} that hold answers, conversations and usage stay, protected from deletion, and a new deployment makes new ones.`
    : `RETAIN_DATA is false: the tables of ${stackName} go, with all that is in them.`;
  const role = "API Gateway's role for logs, if this stack made it, stays, since other APIs may use it.";
  return logRole === 'create' ? `${data}\n${role}` : data;
}

/** What the user does not say otherwise. */
function withDefaults(verb: Verb, args: readonly string[]): string[] {
  const defaults: [names: string[], args: string[]][] = [
    // Not cdk.json's, which reads .env whatever --env says; and the Node that runs this, in case PATH has an older one.
    [
      ['--app', '-a'],
      ['--app', `"${process.execPath}" cdk/app.ts`],
    ],
    [['--notices', '--no-notices'], ['--no-notices']],
  ];
  // The template is thousands of lines, and lies in a file.
  if (verb === 'synth') defaults.push([['--quiet', '-q', '--json', '-j'], ['--quiet']]);
  if (verb === 'deploy') {
    defaults.push(
      [['--require-approval'], ['--require-approval', 'never']],
      [
        ['--outputs-file', '-O'],
        ['--outputs-file', 'cdk.out/outputs.json'],
      ],
    );
  }
  return defaults.flatMap(([names, given]) => (names.some((name) => has(name, args)) ? [] : given));
}

const has = (name: string, args: readonly string[]): boolean =>
  args.some((arg) => arg === name || arg.startsWith(`${name}=`));

function argumentOf(name: string, args: readonly string[]): string | undefined {
  const at = args.findIndex((arg) => arg === name || arg.startsWith(`${name}=`));
  return args[at] === name ? args[at + 1] : args[at]?.slice(name.length + 1);
}

/**
 * Ctrl-C reaches the command by itself, since it is in the terminal's foreground with us; it may have to ask or clean up, so we end when
 * it does. A signal that was sent to us alone is passed on.
 */
function runCli(args: readonly string[], env: NodeJS.ProcessEnv, cli: string): Promise<number> {
  const child = spawn(process.execPath, [cli, ...args], {
    stdio: 'inherit',
    env: { ...env, AWS_REGION: regionOf(env), CDK_DISABLE_CLI_TELEMETRY: 'true' },
  });
  const wait = () => {};
  const passOn = (signal: NodeJS.Signals) => child.kill(signal);
  process.on('SIGINT', wait);
  process.on('SIGTERM', passOn);
  return new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? 128 + (signal ? constants.signals[signal] : 0)));
  }).finally(() => {
    process.off('SIGINT', wait);
    process.off('SIGTERM', passOn);
  });
}

if (import.meta.main) {
  process.exitCode = await cdk(process.argv.slice(2), process.env, {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
  });
}
