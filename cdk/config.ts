/**
 * What the deployment's variables say, checked as a whole. The only file of this program that reads the environment.
 */
import { type Problem, parseSettings, SettingsError, settingsTable } from '../src/chat/settings.ts';
import { stackName } from '../src/names.ts';
import { contradictions, warnings } from './config/contradictions.ts';
import { findMisspellings, findStrangers } from './config/misspellings.ts';
import { describe } from './config/variable-kinds.ts';
import { table, type Values, type Variable } from './config/variables.ts';

/** An image in ECR: `name`, `name:tag` or `name@sha256:…`. */
export type ImageReference = { readonly repository: string; readonly tagOrDigest: string };

export type OpenSearch = {
  readonly endpoint: string;
  /** What requests are signed for: a domain's service or a serverless collection's. */
  readonly service: 'es' | 'aoss';
  /** The name of the domain, the id of the collection. */
  readonly name: string;
  readonly region: string;
};

export type Network = {
  readonly vpcId: string;
  readonly subnetIds: readonly string[];
  readonly securityGroupIds: readonly string[];
};

export type Config = {
  readonly stackName: string;
  readonly region: string;
  readonly hasRest: boolean;
  readonly hasWebSocket: boolean;
  /** How callers of API Gateway prove who they are; at least one. The Function URL takes signatures only. */
  readonly useApiKey: boolean;
  readonly useIam: boolean;
  /** Setting name → first value, of every setting that has one. */
  readonly settings: ReadonlyMap<string, string>;
  readonly defaultModel: string;
  /** Model ids, in which `*` stands for any run of characters. */
  readonly allowedModels: readonly string[];
  readonly images: { readonly rest?: ImageReference; readonly websocket?: ImageReference };
  readonly openSearch?: OpenSearch;
  readonly network?: Network;
  readonly iamCallers: readonly string[];
  readonly allowedOrigins: readonly string[];
  readonly allowedCidrs: readonly string[];
  readonly hasFirewall: boolean;
  readonly logRole: 'create' | 'existing' | 'none';
  readonly reservedConcurrency?: number;
  readonly provisionedConcurrency: number;
  readonly logRetentionDays: number;
  readonly retainData: boolean;
  readonly alarmEmail?: string;
  readonly settingsMaxAgeSeconds: number;
  /** What is allowed and should be known all the same, as sentences. */
  readonly warnings: readonly string[];
};

type Environment = Readonly<Record<string, string | undefined>>;

type Key = keyof Values;

/** The deployment's variables are wrong; each problem is a sentence that names one of them. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems.map(({ sentence }) => sentence).join('\n'));
    this.problems = problems;
  }
}

/**
 * What this process was started with.
 *
 * @throws `ConfigError` with every problem there is
 */
export const loadConfig = (): Config => parseConfig(process.env);

/**
 * The deployment that these variables describe. White space around a value does not count, and an empty one is as good as none. Names
 * that only look like one of ours are refused, since what they say would be passed over.
 *
 * @throws `ConfigError` with every problem there is
 */
export function parseConfig(env: Environment): Config {
  const { values, wrong, problems } = readVariables(env);
  const all = [
    ...problems,
    ...findMisspellings(env),
    ...findContradictions(values, wrong),
    ...findSettingProblems(values, wrong),
  ];
  if (all.length > 0) throw new ConfigError(all);
  return toConfig(values, [...warnings.flatMap((warn) => warn(values) || []), ...findStrangers(env)]);
}

/** Values of all variables: the default where one is unset or wrong, so that the others can still be held against each other. */
function readVariables(env: Environment) {
  const problems: Problem[] = [];
  const wrong = new Set<string>();
  const pairs = Object.entries<Variable>(table).map(([key, { name, defaultText, kind }]) => {
    const text = env[name]?.trim() || defaultText;
    const value = text === '' ? undefined : kind.parse(text);
    if (text === '' || value !== undefined) return [key, value];
    wrong.add(key);
    problems.push({ name, sentence: `${name} ${describe(kind, text)}.` });
    return [key, defaultText === '' ? undefined : kind.parse(defaultText)];
  });
  // The table says what each key holds.
  return { values: Object.fromEntries(pairs) as Values, wrong, problems };
}

/** A rule that reads a wrong value is left out: what it would say might not be so. */
const findContradictions = (values: Values, wrong: ReadonlySet<string>): Problem[] =>
  contradictions
    .filter(({ reads }) => !reads.some((key) => wrong.has(key)))
    .flatMap(({ reads: [first], find }) => {
      const sentence = find(values);
      return sentence ? [{ name: table[first].name, sentence }] : [];
    });

/** Setting → the variable that says its first value, and that value. */
const settingSources: Readonly<Record<string, { key: Key; toText: (values: Values) => string }>> = {
  'default-model': { key: 'defaultModel', toText: ({ defaultModel }) => defaultModel },
  'allowed-models': { key: 'allowedModels', toText: ({ allowedModels }) => allowedModels.join() },
  'default-max-tokens': { key: 'defaultMaxTokens', toText: ({ defaultMaxTokens }) => defaultMaxTokens },
  'default-temperature': {
    key: 'defaultTemperature',
    toText: ({ defaultTemperature }) => defaultTemperature,
  },
  'history-ttl-seconds': { key: 'historyTtlDays', toText: ({ historyTtlDays }) => toSeconds(historyTtlDays) },
  'cache-ttl-seconds': { key: 'cacheTtlDays', toText: ({ cacheTtlDays }) => toSeconds(cacheTtlDays) },
};

const toSeconds = (days: number) => String(days * 24 * 60 * 60);

/** Parameter Store takes no empty values: a setting without one keeps its default in the code. */
const firstSettings = (values: Values): ReadonlyMap<string, string> =>
  new Map(
    settingsTable
      .map(({ name, default: text = '' }) => [name, settingSources[name]?.toText(values) ?? text] as const)
      .filter(([, text]) => text !== ''),
  );

/** What the gateway itself would refuse, told by the variable that the operator wrote. */
function findSettingProblems(values: Values, wrong: ReadonlySet<string>): Problem[] {
  const { defaultModel, allowedModels } = values;
  if (wrong.has('defaultModel') || wrong.has('allowedModels')) return [];
  try {
    parseSettings(firstSettings(values), { defaultModel, allowedModels: allowedModels.join() });
    return [];
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    return error.problems.map((problem) => toVariableProblem(problem, values));
  }
}

function toVariableProblem(problem: Problem, { defaultModel }: Values): Problem {
  const source = settingSources[problem.name];
  if (!source) return problem;
  const { name } = table[source.key];
  const sentence =
    source.key === 'defaultModel'
      ? `DEFAULT_MODEL must be one of the models that ALLOWED_MODELS lets through, and ${defaultModel} is not.`
      : `${name} makes a setting that the gateway refuses: ${problem.sentence}`;
  return { name, sentence };
}

function toConfig(values: Values, warnings: readonly string[]): Config {
  const { gatewayType, restImage, websocketImage, openSearch, vpcId, alarmEmail, reservedConcurrency } =
    values;
  const { useApiKey, useIam, defaultModel, allowedModels, hasFirewall, logRole, provisionedConcurrency } =
    values;
  return {
    stackName: stackName({ STACK_NAME: values.stackName, STAGE: values.stage }),
    region: values.region,
    hasRest: gatewayType !== 'websocket',
    hasWebSocket: gatewayType !== 'rest',
    useApiKey,
    useIam,
    settings: firstSettings(values),
    defaultModel,
    allowedModels,
    images: { ...(restImage && { rest: restImage }), ...(websocketImage && { websocket: websocketImage }) },
    ...(openSearch && { openSearch }),
    ...(vpcId && {
      network: { vpcId, subnetIds: values.subnets ?? [], securityGroupIds: values.securityGroups ?? [] },
    }),
    iamCallers: values.iamCallers ?? [],
    allowedOrigins: values.allowedOrigins ?? [],
    allowedCidrs: values.allowedCidrs ?? [],
    hasFirewall,
    logRole,
    ...(reservedConcurrency !== undefined && { reservedConcurrency }),
    provisionedConcurrency,
    logRetentionDays: values.logRetentionDays,
    retainData: values.retainData,
    ...(alarmEmail && { alarmEmail }),
    settingsMaxAgeSeconds: values.settingsMaxAgeSeconds,
    warnings,
  };
}
