/**
 * The names that code and infrastructure must agree on: environment variables, the path of the settings, and later tables.
 */

/** Read by `wire.ts`, set by the deployment. Every one is optional. */
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
  requestsTable: 'REQUESTS_TABLE',
  connectionsTable: 'CONNECTIONS_TABLE',
  /** The name of the function that answers what came over a WebSocket. */
  workerFunction: 'WORKER_FUNCTION',
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

/** The tables. Each has one key, and rows whose time has passed may be deleted. */
export const tables = ['requests', 'connections'] as const;
export const TABLE_KEY = 'pk';
export const TABLE_TTL = 'ttl';

/** The table of a stack: `LlmGatewayStack-requests`. */
export const tableName = (stack: string, table: (typeof tables)[number]): string => `${stack}-${table}`;

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

export const METRICS_NAMESPACE = 'LlmGateway';
