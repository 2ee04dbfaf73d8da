/**
 * The names that code and infrastructure must agree on: environment variables, the path of the settings, the tables.
 */

/** Read by `wire.ts`, set by the deployment; so are the variables that name the `tables`. Every one is optional. */
export const environment = {
  defaultModel: 'DEFAULT_MODEL',
  /** Comma-separated model ids; `*` stands for any run of characters. */
  allowedModels: 'ALLOWED_MODELS',
  /** Comma-separated origins, or `*`. */
  allowedOrigins: 'ALLOWED_ORIGINS',
  /** Where the settings lie in Parameter Store, such as `/LlmGatewayStack`. */
  settingsPath: 'SETTINGS_PATH',
  /** How old they may grow; 60 unless set. */
  settingsMaxAgeSeconds: 'SETTINGS_MAX_AGE_SECONDS',
  /** The name of the function that answers what came over a WebSocket. */
  workerFunction: 'WORKER_FUNCTION',
  /** An OpenSearch domain or collection, for similar answers. */
  openSearchEndpoint: 'OPENSEARCH_DOMAIN_ENDPOINT',
} as const;

/** `a, b` as `['a', 'b']`. */
export const readList = (value = ''): readonly string[] =>
  value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');

type Variables = Readonly<Record<string, string | undefined>>;

/** The models that the deployment says; nothing for a variable that is unset or empty. */
export const deployedModels = (variables: Variables) => ({
  defaultModel: variables[environment.defaultModel] || undefined,
  allowedModels: variables[environment.allowedModels] || undefined,
});

export const DEFAULT_STACK_NAME = 'LlmGatewayStack';

/** The stack that the deployment's variables name: two stages live in one account. */
export const stackName = (variables: Variables): string =>
  [variables['STACK_NAME'] || DEFAULT_STACK_NAME, variables['STAGE']].filter(Boolean).join('-');

/** The parameters below it are the settings. */
export const settingsPath = (stack: string): string => `/${stack}`;

/** The tables, each with the variable that names it. Their key is `pk`, a string; rows whose `ttl` has passed may be deleted. */
export const tables = {
  answers: { variable: 'ANSWERS_TABLE' },
  chats: {
    variable: 'CHATS_TABLE',
    sortKey: { name: 'sk', type: 'N' },
    /** All of the row, by a string and a number; rows without them are not in it. */
    index: { name: 'by-tenant', key: 'tenant', sortKey: 'updatedAt' },
  },
  connections: { variable: 'CONNECTIONS_TABLE' },
  requests: { variable: 'REQUESTS_TABLE' },
  /** A day or a month of a tenant. */
  usage: { variable: 'USAGE_TABLE', sortKey: { name: 'sk', type: 'S' } },
} as const satisfies Record<string, TableShape>;

export type TableShape = {
  readonly variable: string;
  /** `N` is a number, `S` a string. */
  readonly sortKey?: { readonly name: string; readonly type: 'N' | 'S' };
  readonly index?: { readonly name: string; readonly key: string; readonly sortKey: string };
};

export type Table = keyof typeof tables;
export const TABLE_KEY = 'pk';
export const TABLE_TTL = 'ttl';

/** The table of a stack: `LlmGatewayStack-requests`. */
export const tableName = (stack: string, table: Table): string => `${stack}-${table}`;

/** Headers of an answer that a page may read: the app allows it on the REST door, the Function URL's own setting on the other. */
export const EXPOSED_HEADERS = [
  'retry-after',
  'x-cache',
  'x-cancellable',
  'x-chat-id',
  'x-request-id',
  'x-should-retry',
];

export const SERVICE_NAME = 'llm-gateway';

/** What the gateway counts, by the names and units that CloudWatch has it under. */
export const metricUnits = {
  // Of requests that ask a model: all together, and by `Door`.
  Requests: 'Count',
  Cancelled: 'Count',
  CacheHits: 'Count',
  CacheMisses: 'Count',
  SimilarHits: 'Count',
  InputTokens: 'Count',
  OutputTokens: 'Count',
  FirstEventMs: 'Milliseconds',
  TotalMs: 'Milliseconds',
  // Of all requests: together, and by `Code`.
  Errors: 'Count',
  // Without a dimension.
  Faults: 'Count',
  SettingsAgeSeconds: 'Seconds',
  AnswerAltered: 'Count',
  AnswerNotLearned: 'Count',
  CacheUnavailable: 'Count',
  SettingsRefused: 'Count',
  SettingsUnreadable: 'Count',
  SimilarUnavailable: 'Count',
  TurnLost: 'Count',
} as const;

export type MetricName = keyof typeof metricUnits;

/** The metrics of a stack have a namespace of their own, after the path of its settings: two stages live in one account. */
export const metricsNamespace = (path: string): string => `LlmGateway${path}`;

/**
 * The index of a stack's questions, in whatever OpenSearch it uses: two stages may share one. Vectors of another embedding model would be in
 * another index.
 */
export const questionsIndex = (path: string): string =>
  `${path.replace(/^\//, '').replaceAll('/', '-').toLowerCase()}-questions-titan-v2`;
