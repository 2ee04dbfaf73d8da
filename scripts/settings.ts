/**
 * `npm run settings`: reads and changes the settings of a gateway in SSM Parameter Store. What it writes it has held against the same
 * table that the gateway reads by, so a mistake is told here and not in a log.
 */
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { isOffered, type ModelRules, resolveModel } from '../src/chat/models.ts';
import type { Setting } from '../src/chat/setting-table.ts';
import { type Deployed, parseSettings, SettingsError, settingsTable } from '../src/chat/settings.ts';
import { environment } from '../src/names.ts';
import { findPlace, type Place, read, write } from './parameter-store.ts';
import { isUsageError, UsageError } from './usage.ts';

const help = `npm run settings -- <command> [options]

  list                      all settings, what they are and what they may be
  get NAME                  the value of one
  set NAME VALUE            changes one
  set NAME=VALUE …          changes several, or none if one of them is wrong
  unset NAME …              back to the default

  --aws                     the gateway in your AWS account, instead of the one on this machine
  --endpoint-url URL        another Parameter Store
  --help                    this text

Variables: STACK_NAME and STAGE say which gateway, REGION_ID (us-east-1) where it is, AWS_PORT (4566) where the one on this machine is,
DEFAULT_MODEL and ALLOWED_MODELS what it was deployed with.
`;

export type Io = { readonly out: (text: string) => void; readonly err: (text: string) => void };

/** Returns the exit code: 0, 1 when the command was refused or failed, 2 when it was none. */
export async function settings(args: readonly string[], env: NodeJS.ProcessEnv, io: Io): Promise<number> {
  try {
    const { positionals, values } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        aws: { type: 'boolean' },
        'endpoint-url': { type: 'string' },
        help: { type: 'boolean' },
      },
    });
    const [command, ...rest] = positionals;
    if (values.help || command === undefined) {
      io.out(help);
      return values.help ? 0 : 2;
    }
    const hasSearch = !values.aws || Boolean(env[environment.openSearchEndpoint]?.trim());
    return await run(command, rest, { ...findPlace(values, env), hasSearch }, io);
  } catch (error) {
    io.err(`${describe(error)}\n`);
    return isUsageError(error) ? 2 : 1;
  }
}

/** Also whether it was deployed with somewhere to search similar questions, as far as is known here. */
type Gateway = Place & { readonly hasSearch: boolean };

function run(command: string, names: readonly string[], place: Gateway, io: Io): Promise<number> {
  switch (command) {
    case 'list':
      return list(place, io);
    case 'get':
      return get(names, place, io);
    case 'set':
      return change(parsePairs(names), place, io);
    case 'unset':
      return change(new Map(names.map((name) => [name, undefined])), place, io);
    default:
      throw new UsageError(`There is no command ${command}; there are list, get, set and unset.`);
  }
}

async function list(place: Place, io: Io): Promise<number> {
  const texts = await read(place);
  for (const setting of settingsTable) {
    const value = texts.get(setting.name);
    const shown = value ?? defaultOf(setting, place.deployed);
    const first = place.firstValues.get(setting.name);
    const notes = [
      ...(value === undefined ? ['default'] : []),
      ...(first !== undefined && first !== shown ? [`the deployment says ${first}`] : []),
    ];
    const note = notes.length > 0 ? `  (${notes.join('; ')})` : '';
    io.out(`${setting.name} = ${shown || 'none'}${note}\n`);
    io.out(`    ${setting.meaning} Takes ${setting.kind.allowed}.\n`);
  }
  const unknown = [...texts.keys()].filter((name) => !findSetting(name));
  if (unknown.length > 0) io.err(`Not settings of this version: ${unknown.join(', ')}.\n`);
  return 0;
}

async function get(names: readonly string[], place: Place, io: Io): Promise<number> {
  const [name, ...others] = names;
  if (name === undefined || others.length > 0) throw new UsageError('get takes the name of one setting.');
  const setting = requireSetting(name);
  const texts = await read(place);
  io.out(`${texts.get(name) ?? defaultOf(setting, place.deployed)}\n`);
  return 0;
}

/** Writes the changes, where no value means the default, or nothing at all when the settings would not be valid with them. */
async function change(
  changes: ReadonlyMap<string, string | undefined>,
  place: Gateway,
  io: Io,
): Promise<number> {
  if (changes.size === 0) throw new UsageError('Name the settings to change.');
  const texts = new Map(await read(place));
  for (const [name, value] of changes) {
    if (value === undefined) texts.delete(name);
    else texts.set(name, value);
  }
  const problems = findProblems(changes, texts, place.deployed);
  if (problems.length > 0) {
    io.err(`Nothing was changed:\n${problems.map((problem) => `  ${problem}\n`).join('')}`);
    return 1;
  }
  await write(changes, place);
  for (const [name, value] of changes)
    io.out(value === undefined ? `${name} unset\n` : `${name} = ${value}\n`);
  for (const warning of findWarnings(changes, texts, place)) io.err(`${warning}\n`);
  return 0;
}

function findProblems(
  changes: ReadonlyMap<string, string | undefined>,
  texts: ReadonlyMap<string, string>,
  deployed: Deployed,
): string[] {
  const names = settingsTable.map(({ name }) => name).join(', ');
  const unknown = [...changes.keys()].filter((name) => !findSetting(name));
  const tooLong = [...changes].filter(([, value]) => Buffer.byteLength(value ?? '') > MAX_VALUE_BYTES);
  return [
    ...unknown.map((name) => `${name} is no setting; there are ${names}.`),
    ...tooLong.map(
      ([name]) => `${name} must be at most ${MAX_VALUE_BYTES} bytes, as Parameter Store allows.`,
    ),
    ...sentencesOf(() => parseSettings(texts, deployed)),
  ];
}

/** @see https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html */
const MAX_VALUE_BYTES = 4096;

function sentencesOf(parse: () => unknown): readonly string[] {
  try {
    parse();
    return [];
  } catch (error) {
    if (error instanceof SettingsError) return error.problems.map(({ sentence }) => sentence);
    throw error;
  }
}

/** What the gateway was not deployed for. */
function findWarnings(
  changes: ReadonlyMap<string, string | undefined>,
  texts: ReadonlyMap<string, string>,
  { deployed, hasSearch }: Gateway,
): string[] {
  const warnings = findStrangeModels(changes, texts, deployed);
  if (changes.get('similar-answers') === 'on' && !hasSearch) {
    warnings.push(
      'Warning: similar-answers does nothing before a deployment with OPENSEARCH_DOMAIN_ENDPOINT.',
    );
  }
  return warnings;
}

/** It may not call them, so it will not offer them. */
function findStrangeModels(
  changes: ReadonlyMap<string, string | undefined>,
  texts: ReadonlyMap<string, string>,
  deployed: Deployed,
): string[] {
  const rules = parseSettings(texts, deployed);
  const named: Readonly<Record<string, readonly string[]>> = {
    'allowed-models': rules.allowedModels.filter((id) => !id.includes('*')),
    'fallback-models': rules.fallbackModels.map((name) => resolveModel(name, rules)),
    'model-aliases': [...rules.modelAliases.values()],
  };
  const deployedFor: ModelRules = { ...rules, allowedModels: ['*'] };
  return Object.entries(named)
    .filter(([name]) => changes.has(name))
    .flatMap(([name, ids]) => ids.filter((id) => !isOffered(id, deployedFor)).map((id) => [name, id]))
    .map(
      ([name, id]) =>
        `Warning: ${name} names ${id}, which ALLOWED_MODELS of the deployment does not let through; it will not be offered.`,
    );
}

function parsePairs(words: readonly string[]): ReadonlyMap<string, string> {
  const isAssigned = words.some((word, at) => at % 2 === 0 && word.includes('='));
  if (isAssigned) return new Map(words.map(splitPair));
  if (words.length % 2 !== 0)
    throw new UsageError('set takes NAME VALUE, or NAME=VALUE as often as you like.');
  return new Map(words.flatMap((word, at) => (at % 2 === 0 ? [[word, words[at + 1] ?? '']] : [])));
}

function splitPair(word: string): [string, string] {
  const [, name, value] = /^([^=]+)=(.*)$/s.exec(word) ?? [];
  if (name === undefined || value === undefined) throw new UsageError(`${word} must be NAME=VALUE.`);
  return [name, value];
}

const findSetting = (name: string): Setting | undefined =>
  settingsTable.find((setting) => setting.name === name);

function requireSetting(name: string): Setting {
  const setting = findSetting(name);
  if (setting) return setting;
  throw new UsageError(
    `${name} is no setting; there are ${settingsTable.map((row) => row.name).join(', ')}.`,
  );
}

const defaultOf = ({ name, default: otherwise = '' }: Setting, deployed: Deployed): string =>
  (name === 'default-model' && deployed.defaultModel) ||
  (name === 'allowed-models' && deployed.allowedModels) ||
  otherwise;

function describe(error: unknown): string {
  if (isUsageError(error)) return error.message;
  if (!(error instanceof Error)) return 'The command failed.';
  if ('code' in error && error.code === 'ECONNREFUSED') {
    return 'There is no Parameter Store at that address; start the gateway with npm start, or name another place with --aws.';
  }
  return `Parameter Store did not take the command: ${error.name}: ${error.message}`;
}

if (import.meta.main) {
  if (existsSync('.env')) process.loadEnvFile('.env');
  process.stdout.on('error', () => process.exit()); // whoever read on has read enough
  process.exitCode = await settings(process.argv.slice(2), process.env, {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
  });
}
