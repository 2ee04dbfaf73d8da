/**
 * The deployment's variables as one table: for each what it is called, what it is when nobody says, what it may be, and what it
 * means. The template, the README and the errors say the same as this.
 */
import { settingsTable } from '../../src/chat/settings.ts';
import { DEFAULT_STACK_NAME } from '../../src/names.ts';
import {
  cidr,
  image,
  type Kind,
  likeSetting,
  listOf,
  matching,
  oneOf,
  oneOfNumbers,
  openSearch,
  origins,
  principal,
  trueOrFalse,
  wholeNumber,
} from './variable-kinds.ts';

/** A row of the table. */
export type Variable<T = unknown> = {
  readonly name: string;
  /** As an operator would write it; empty where the variable may be absent. */
  readonly defaultText: string;
  readonly kind: Kind<T>;
  readonly meaning: string;
};

const given = <T>(name: string, defaultText: string, kind: Kind<T>, meaning: string): Variable<T> => ({
  name,
  defaultText,
  kind,
  meaning,
});

const optional = <T>(name: string, kind: Kind<T>, meaning: string): Variable<T | undefined> => ({
  name,
  defaultText: '',
  kind,
  meaning,
});

const defaultOf = (setting: string) => settingsTable.find(({ name }) => name === setting)?.default ?? '';

/** @see https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html */
const LOG_RETENTION_DAYS = [
  1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
];

const listOfIds = (prefix: string, what: string, maxItems: number) =>
  listOf(
    matching(new RegExp(`^${prefix}-([0-9a-f]{8}|[0-9a-f]{17})$`), ''),
    `at most ${maxItems} ${what}, such as ${prefix}-0123456789abcdef0, with commas between them`,
    { items: maxItems },
  );

export const table = {
  gatewayType: given(
    'API_GATEWAY_TYPE',
    'rest',
    oneOf('rest', 'websocket', 'both'),
    'Which APIs there are in API Gateway. The Function URL is always there.',
  ),
  useApiKey: given(
    'API_GATEWAY_USE_API_KEY',
    'true',
    trueOrFalse,
    'Whether callers of API Gateway need an API key.',
  ),
  useIam: given(
    'API_GATEWAY_USE_IAM_AUTH',
    'false',
    trueOrFalse,
    'Whether callers of API Gateway must sign with IAM credentials; with the key as well when both are true. The Function URL always asks for a signature, and never for a key.',
  ),
  defaultModel: given(
    'DEFAULT_MODEL',
    defaultOf('default-model'),
    likeSetting('default-model'),
    'Answers when a request names no model; one of `ALLOWED_MODELS`. First value of the setting `default-model`.',
  ),
  allowedModels: given(
    'ALLOWED_MODELS',
    defaultOf('allowed-models'),
    listOf(
      likeSetting('allowed-models'),
      `${likeSetting('allowed-models').allowed}, at most 2000 characters`,
      { chars: 2_000 },
    ),
    'The models that the functions have the right to call. First value of the setting `allowed-models`, which can only narrow it down.',
  ),
  defaultMaxTokens: given(
    'DEFAULT_MAX_TOKENS',
    defaultOf('default-max-tokens'),
    likeSetting('default-max-tokens'),
    'Longest answer, in tokens, when a request does not say. First value of the setting `default-max-tokens`.',
  ),
  defaultTemperature: given(
    'DEFAULT_TEMP',
    defaultOf('default-temperature'),
    likeSetting('default-temperature'),
    'The temperature when a request does not say. First value of the setting `default-temperature`.',
  ),
  region: given(
    'REGION_ID',
    'us-east-1',
    matching(/^[a-z]{2,4}(-[a-z]+){1,3}-\d{1,2}$/, 'an AWS region such as us-east-1'),
    'The region that the stack goes to.',
  ),
  stackName: given(
    'STACK_NAME',
    DEFAULT_STACK_NAME,
    // Its name begins the path of the settings, and Parameter Store refuses paths that begin so.
    matching(
      /^(?!aws|ssm)[a-z][a-z0-9-]{0,99}$/i,
      'a letter and then letters, digits and hyphens, at most 100 characters with STAGE, without aws or ssm at the beginning',
    ),
    'The name of the stack.',
  ),
  stage: optional(
    'STAGE',
    matching(/^[a-z0-9-]{1,64}$/i, 'letters, digits and hyphens, at most 64 of them'),
    'Makes the stack’s name `STACK_NAME-STAGE`, so that several live in one account.',
  ),
  restImage: optional(
    'ECR_REST_REPOSITORY',
    image,
    'Deploys the function of the REST API and the Function URL from this image in ECR, in place of the bundle.',
  ),
  websocketImage: optional(
    'ECR_WEBSOCKET_REPOSITORY',
    image,
    'Deploys the functions of the WebSocket API from this image in ECR, in place of the bundle.',
  ),
  openSearch: optional(
    'OPENSEARCH_DOMAIN_ENDPOINT',
    openSearch,
    'The OpenSearch domain (2.9 or later) or serverless vector search collection that finds what was asked before in other words, while the setting `similar-answers` is on. It must be there already, in the deployment’s own account and region.',
  ),
  vpcId: optional(
    'VPC_ID',
    matching(/^vpc-([0-9a-f]{8}|[0-9a-f]{17})$/, 'a VPC’s id such as vpc-0123456789abcdef0'),
    'The VPC that the functions run in. The three VPC variables are set together.',
  ),
  subnets: optional('VPC_SUBNETS', listOfIds('subnet', 'subnet ids', 16), 'Its subnets for the functions.'),
  securityGroups: optional(
    'VPC_SECURITY_GROUPS',
    listOfIds('sg', 'security group ids', 5),
    'Its security groups for the functions.',
  ),
  iamCallers: optional(
    'IAM_CALLERS',
    listOf(
      principal,
      'at most 20 ARNs of roles, users or account roots, such as arn:aws:iam::123456789012:role/Name, with commas between them, at most 2000 characters',
      // Each makes two statements of some 400 characters in a function's resource policy, which holds 20 KB.
      { items: 20, chars: 2_000 },
    ),
    'Who may call the Function URL, and the REST API when it takes IAM; others need the managed policy that the stack puts out.',
  ),
  allowedOrigins: optional(
    'ALLOWED_ORIGINS',
    origins,
    'The origins whose pages may call (CORS) and open a WebSocket.',
  ),
  allowedCidrs: optional(
    'ALLOWED_CIDRS',
    listOf(
      cidr,
      'at most 80 IPv4 or IPv6 blocks, such as 203.0.113.0/24 or 2001:db8::/32, with commas between them',
      // An API's resource policy holds 8,192 characters, and an IPv6 block takes up to 46 with its quotes.
      { items: 80 },
    ),
    'The public addresses that may call the REST API; the other doors are open to all.',
  ),
  hasFirewall: given(
    'ENABLE_WAF',
    'false',
    trueOrFalse,
    'Puts a web ACL in front of the REST API. It costs money while nobody calls, too.',
  ),
  logRole: given(
    'API_GATEWAY_LOG_ROLE',
    'create',
    oneOf('create', 'existing', 'none'),
    'Access logs need a role that API Gateway has once per account and region: make it and leave it there, use the one that is there, or do without access logs.',
  ),
  reservedConcurrency: optional(
    'RESERVED_CONCURRENCY',
    wholeNumber(1, 100_000, ' (0 would switch the function off)'),
    'The most requests at once that each function that asks models takes. A new account has 10 for all its functions and can reserve none.',
  ),
  provisionedConcurrency: given(
    'PROVISIONED_CONCURRENCY',
    '0',
    wholeNumber(0, 100_000),
    'How many instances of each function behind the doors are kept warm; they cost money while nobody calls, too.',
  ),
  historyTtlDays: given(
    'HISTORY_TTL_DAYS',
    '30',
    wholeNumber(1, 365),
    'How many days a turn of a conversation is kept. First value of the setting `history-ttl-seconds`.',
  ),
  cacheTtlDays: given(
    'CACHE_TTL_DAYS',
    '30',
    wholeNumber(1, 365),
    'How many days a learned answer is kept. First value of the setting `cache-ttl-seconds`.',
  ),
  logRetentionDays: given(
    'LOG_RETENTION_DAYS',
    '30',
    oneOfNumbers(LOG_RETENTION_DAYS),
    'How many days logs are kept.',
  ),
  retainData: given(
    'RETAIN_DATA',
    'true',
    trueOrFalse,
    'Whether the tables and what is in them stay when the stack is destroyed.',
  ),
  alarmEmail: optional(
    'ALARM_EMAIL',
    matching(/^(?=.{3,254}$)[^\s@,;<>"]+@[^\s@,;<>".]+(\.[^\s@,;<>".]+)+$/, 'one e-mail address'),
    'Who gets the alarms by e-mail; AWS asks the address for consent first.',
  ),
  settingsMaxAgeSeconds: given(
    'SETTINGS_MAX_AGE_SECONDS',
    '60',
    wholeNumber(5, 3_600),
    'How long, in seconds, an edit of a setting may take to have effect.',
  ),
};

type Table = typeof table;

export type Values = { readonly [Key in keyof Table]: Table[Key] extends Variable<infer T> ? T : never };

export const variables: readonly Variable[] = Object.values(table);
