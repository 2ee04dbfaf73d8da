/**
 * `npm run call -- keys`: gives a deployed gateway's API keys to tenants and takes them back.
 */
import { once } from 'node:events';
import { createInterface } from 'node:readline/promises';
import { Command, CommanderError } from 'commander';
import {
  createKey,
  deleteKey,
  describeKeys,
  type Key,
  KeysError,
  listKeys,
  openPlan,
  type Plan,
  readValue,
} from './keys/plan.ts';
import { StackError } from './stack.ts';
import { UsageError } from './usage.ts';

const about = `The API keys of the gateway in your AWS account: those of its usage plan. The keys of a gateway on this machine are LOCAL_API_KEYS.

TENANT is a name of your choice: 1 to 64 characters of A-Z, a-z, 0-9, ".", "_" and "-". The gateway itself, its logs and its tables know a tenant by the id of the key. The value of a key cannot be changed, so rotate makes a second key with an id of its own: it begins without the conversations and learned answers of the old one, which stays valid until revoke --old.`;

/** @see https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-setup-api-keys.html */
const inTime =
  'A change counts within a few minutes. A WebSocket that is open already lives as long as connection-max-age-seconds says.';

const more = `
${inTime}

Variables: STACK_NAME and STAGE say which gateway, REGION_ID (us-east-1) where it is; your AWS credentials sign. They need
cloudformation:DescribeStacks; apigateway:GET, POST and DELETE on /apikeys, /apikeys/* and /usageplans/*/keys; apigateway:PUT on /tags/*.

Exit codes: 0, 1 when a command is refused or fails, 2 for a command that is none.`;

export type Io = {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Whether somebody sees what is written. */
  readonly isTerminal?: boolean;
  /** @defaultValue asks on the terminal, if the process has one */
  readonly ask?: (question: string) => Promise<string>;
};

/** Returns the exit code. Credentials are looked for in the environment of the process, whatever `env` is. */
export async function keys(args: readonly string[], env: NodeJS.ProcessEnv, io: Io): Promise<number> {
  try {
    await createProgram(env, io).parseAsync(args, { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2; // it has said why
    const isUsage = error instanceof UsageError;
    if (!isUsage && !(error instanceof KeysError) && !(error instanceof StackError)) throw error;
    io.err(`${error.message}\n`);
    return isUsage ? 2 : 1;
  }
}

type Options = { readonly json?: true; readonly yes?: true; readonly old?: true };
type Work = (plan: Plan, io: Io, options: Options, tenant: string) => Promise<void>;

function createProgram(env: NodeJS.ProcessEnv, io: Io): Command {
  const program = new Command('npm run call -- keys')
    .description(about)
    .addHelpText('after', more)
    .option('--env <file>', 'the variables of the deployment (default: .env)')
    .helpOption('--help', 'this text')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ writeOut: io.out, writeErr: io.err, outputError: (text) => io.err(toSentence(text)) })
    .exitOverride();
  const add = (usage: string, summary: string, work: Work) => {
    const command = program.command(usage).description(summary);
    return command.action(async () => {
      const [tenant = ''] = command.args;
      if (command.args.length > 0) checkTenant(tenant);
      const plan = await openPlan(env);
      await work(plan, io, command.opts(), tenant).finally(() => plan.client.destroy());
    });
  };
  const json = ['--json', 'as JSON'] as const;
  add('create <tenant>', 'makes a key and prints it', create).option(...json);
  add('list', 'all keys, without their values', list).option(...json);
  add('show <tenant>', 'prints a key again, the newer of two; also by its id', show).option(...json);
  add(
    'rotate <tenant>',
    'makes a second key, a new tenant to the gateway; the old one stays valid until revoke --old',
    rotate,
  ).option(...json);
  add('revoke <tenant>', 'deletes the keys of a tenant for good; also one by its id', revoke)
    .option('--old', 'only the key that a rotation left')
    .option('--yes', 'without a question');
  return program;
}

/** Commander writes `error: too many arguments for 'list'. Expected 0 arguments but got 1: x`; the word may be a key by mistake. */
const toSentence = (text: string): string =>
  text
    .replace(/(got \d+): .*/, '$1')
    .replace(/^error: (.)(.*)$/m, (_, first: string, rest: string) => `${first.toUpperCase()}${rest}.`);

function checkTenant(text: string) {
  if (!/^[\w.-]{1,64}$/.test(text))
    throw new UsageError('TENANT must be 1 to 64 characters of A-Z, a-z, 0-9, ".", "_" and "-".');
}

const create: Work = async (plan, io, { json }, tenant) => {
  if (keysOf(tenant, await listKeys(plan)).length > 0)
    throw new KeysError(`${tenant} has a key already; keys show prints it, keys rotate makes another.`);
  const { id, value } = await createKey(plan, tenant, 1);
  io.out(json ? toJson({ tenant, id, value }) : toText(id, value));
  io.err(`The gateway calls ${tenant} by this id. It counts within a few minutes.\n`);
};

const list: Work = async (plan, io, { json }) => {
  const [ofPlan, details] = await Promise.all([listKeys(plan), describeKeys(plan)]);
  const rows = ofPlan.map((key) => ({ ...key, ...details.get(key.id), note: noteOf(key, ofPlan, plan) }));
  rows.sort((a, b) => (a.name < b.name ? -1 : 1));
  if (json) return io.out(toJson(rows));
  const toLine = (id: string, created: string, enabled: string, tenant: string) =>
    `${id.padEnd(12)}${created.padEnd(12)}${enabled.padEnd(9)}${tenant}\n`;
  io.out(toLine('ID', 'CREATED', 'ENABLED', 'TENANT'));
  for (const { id, created, enabled, tenant, name, note } of rows) {
    const day = created?.toISOString().slice(0, 10) ?? '';
    io.out(toLine(id, day, enabled ? 'yes' : 'no', `${tenant ?? name}${note ? ` (${note})` : ''}`));
  }
};

function noteOf(key: Key, all: readonly Key[], { firstKeyId }: Plan): string | undefined {
  if (key.id === firstKeyId) return 'made by the deployment';
  const isOld = key.tenant !== undefined && keysOf(key.tenant, all)[0] !== key;
  return isOld ? 'old, until keys revoke --old' : undefined;
}

const show: Work = async (plan, io, { json }, tenant) => {
  const [{ id }] = requireKeys(tenant, await listKeys(plan), plan);
  const value = await readValue(plan, id);
  io.out(json ? toJson({ tenant, id, value }) : `${value}\n`);
  if (io.isTerminal) io.err('This is a secret: whoever has it spends in your account.\n');
};

/** API Gateway lets the name of a key be changed, and not its value: a new value is a new key, with an id of its own. */
const rotate: Work = async (plan, io, { json }, tenant) => {
  const [last, ...older] = requireKeys(tenant, await listKeys(plan), plan);
  if (last.tenant === undefined)
    throw new KeysError('This key was not made by keys create; make one for the tenant instead.');
  if (older.length > 0)
    throw new KeysError(`${tenant} has two keys already; take back the old one with keys revoke --old.`);
  const { id, value } = await createKey(plan, tenant, last.number + 1);
  io.out(json ? toJson({ tenant, id, value, oldId: last.id }) : toText(id, value));
  io.err(
    `To the gateway this is a new tenant: the conversations and learned answers of ${last.id} do not move.\n` +
      `The old key ${last.id} stays valid until keys revoke --old ${tenant}.\n`,
  );
};

const revoke: Work = async (plan, io, { old, yes }, tenant) => {
  const all = requireKeys(tenant, await listKeys(plan), plan);
  const doomed = old ? all.slice(1) : all;
  if (doomed.length === 0) throw new KeysError('There is no older key, only one.');
  if (doomed.some(({ id }) => id === plan.firstKeyId))
    throw new KeysError('The deployment made this key, and a later deployment would miss it; it stays.');
  const ids = doomed.map(({ id }) => id).join(' and ');
  const question = `Delete ${ids} for good? Nobody reaches its conversations then. [y/N] `;
  if (!yes && !(await isConfirmed(io, question))) throw new KeysError('Nothing was deleted.');
  for (const { id } of doomed) {
    await deleteKey(plan, id);
    io.out(`${id} is deleted.\n`);
  }
  io.err(`${inTime}\n`);
};

/** The newest first. The name of a tenant goes before the id of a key. */
function keysOf(tenant: string, all: readonly Key[]): Key[] {
  const own = all.filter((key) => key.tenant === tenant);
  return own.sort((a, b) => b.number - a.number);
}

/** What was typed is not shown: it may be a key by mistake. */
function requireKeys(tenant: string, all: readonly Key[], { stack }: Plan): [Key, ...Key[]] {
  const own = keysOf(tenant, all);
  const [first, ...others] = own.length > 0 ? own : all.filter(({ id }) => id === tenant);
  if (first) return [first, ...others];
  throw new KeysError(`No key of ${stack} has this tenant or id; keys list shows all of them.`);
}

const toText = (id: string, value: string): string => `key: ${value}\nid: ${id}\n`;
const toJson = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`;

async function isConfirmed({ ask, isTerminal }: Io, question: string): Promise<boolean> {
  const asker = ask ?? (isTerminal && process.stdin.isTTY ? askOnTerminal : undefined);
  if (!asker) throw new UsageError('Give --yes, for there is no terminal to ask on.');
  return /^y(es)?$/i.test((await asker(question)).trim());
}

async function askOnTerminal(question: string): Promise<string> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  const closed = once(lines, 'close').then(() => ''); // Ctrl-C and Ctrl-D are no
  return await Promise.race([lines.question(question).catch(() => ''), closed]).finally(() => lines.close());
}
