/**
 * The table that is written to: where it is, what its keys are, and what goes wrong with it, in sentences.
 */
import { DescribeTableCommand, DynamoDBClient, type DynamoDBClientConfig } from '@aws-sdk/client-dynamodb';
import { TABLE_KEY } from '../../src/names.ts';
import { isLoopback } from '../credentials.ts';
import type { Keys } from './validation.ts';

/** Ends the upload, with a sentence for whoever started it. */
export class UploadFailure extends Error {}

/** `endpoint` is undefined for AWS's own. */
export type Place = {
  readonly config: DynamoDBClientConfig;
  readonly table: string;
  readonly endpoint: string | undefined;
};

/** `id` is another one when the table was made anew under its old name. */
export type Table = { readonly id: string; readonly keys: Keys };

/** Requests at once. */
export const MAX_CONCURRENCY = 64;

const agent = { maxSockets: MAX_CONCURRENCY };

export const connections = {
  connectionTimeout: 5_000,
  requestTimeout: 30_000,
  throwOnRequestTimeout: true,
  httpAgent: agent,
  httpsAgent: agent,
};

/** On this machine, at a URL, or else where the SDK finds its own endpoint and credentials. */
export type Where = { readonly localPort?: string | undefined; readonly url?: string | undefined };

/** @throws UploadFailure when the environment says no place */
export function findPlace(table: string, { localPort, url }: Where, env: NodeJS.ProcessEnv): Place {
  const local = localPort && `http://127.0.0.1:${localPort}`;
  const endpoint = local || url || env['AWS_ENDPOINT_URL_DYNAMODB'] || env['AWS_ENDPOINT_URL'] || undefined;
  if (endpoint && !URL.canParse(endpoint))
    throw new UploadFailure('AWS_PORT must be a port, and what AWS_ENDPOINT_URL_… says a URL.');
  const hasKeys = Boolean(env['AWS_ACCESS_KEY_ID'] || env['AWS_PROFILE']);
  const needsNoKeys = Boolean(local) || (isHere(endpoint) && !hasKeys);
  return {
    table,
    endpoint,
    config: {
      region: env['REGION_ID'] || env['AWS_REGION'] || env['AWS_DEFAULT_REGION'] || 'us-east-1',
      ...(endpoint && { endpoint }),
      ...(needsNoKeys && { credentials: { accessKeyId: 'local', secretAccessKey: 'local' } }),
      requestHandler: connections,
    },
  };
}

export const isHere = (endpoint: string | undefined) =>
  endpoint !== undefined && isLoopback(new URL(endpoint));

/** @throws UploadFailure */
export async function describeTable(place: Place, signal: AbortSignal): Promise<Table> {
  const client = new DynamoDBClient(place.config);
  try {
    const describe = new DescribeTableCommand({ TableName: place.table });
    const { Table: table = {} } = await client.send(describe, { abortSignal: signal });
    const { TableArn = '', TableId = '', KeySchema = [], AttributeDefinitions = [], TableStatus } = table;
    if (TableStatus !== 'ACTIVE' && TableStatus !== 'UPDATING')
      throw new UploadFailure(
        `The table ${place.table} cannot be written to yet; its status is ${TableStatus}.`,
      );
    const typeOf = (name: string) =>
      AttributeDefinitions.find(({ AttributeName }) => AttributeName === name)?.AttributeType ?? 'S';
    const keys = KeySchema.map(({ AttributeName: name = '', KeyType }) => ({
      name,
      type: typeOf(name),
      maxBytes: KeyType === 'HASH' ? 2048 : 1024,
    }));
    return { id: [TableArn, TableId].join(' '), keys };
  } catch (error) {
    throw toFailure(error, place);
  } finally {
    client.destroy();
  }
}

/** Only `pk`, a string, as in every table of the gateway that has no sort key. */
export const hasQuestionKey = ({ keys: [hash, ...others] }: Table): boolean =>
  hash?.name === TABLE_KEY && hash.type === 'S' && others.length === 0;

const passing = new Set([
  'ProvisionedThroughputExceededException',
  'ThrottlingException',
  'Throttling',
  'RequestLimitExceeded',
  'InternalServerError',
  'ServiceUnavailable',
  'TimeoutError',
]);
const brokenConnection = /^(ECONN|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|UND_ERR)/;

const partsOf = (error: unknown) => {
  const { name, code, $metadata } = Object(error) as Record<string, unknown>;
  const { httpStatusCode } = Object($metadata) as Record<string, unknown>;
  return { name: String(name), code: String(code ?? ''), status: Number(httpStatusCode ?? 0) };
};

/** Another try may do it. */
export function isPassing(error: unknown): boolean {
  const { name, code, status } = partsOf(error);
  return passing.has(name) || status >= 500 || brokenConnection.test(code);
}

/** The name of the error when one item of several may be the reason. */
export function refusalOf(error: unknown): string | undefined {
  const { name } = partsOf(error);
  const isOfItem = name === 'ValidationException' || name === 'ItemCollectionSizeLimitExceededException';
  return isOfItem ? name : undefined;
}

/** What DynamoDB says may quote items, so only its name for the failure is told. */
export function toFailure(error: unknown, { table, endpoint }: Place): unknown {
  if (error instanceof UploadFailure) return error;
  const { name, code } = partsOf(error);
  const start = isHere(endpoint) ? '; start the gateway with npm start, or name another place' : '';
  if (brokenConnection.test(code) || name === 'TimeoutError')
    return new UploadFailure(`DynamoDB cannot be reached at ${endpoint ?? 'AWS'} (${code || name})${start}.`);
  if (isPassing(error)) return new UploadFailure(`DynamoDB is too busy (${name}); try again later.`);
  const sentence = sentences(table).find(([names]) => names.test(name))?.[1];
  return sentence || '$metadata' in Object(error)
    ? new UploadFailure(`${sentence ?? 'DynamoDB refused what it was asked'} (${name}).`, { cause: error })
    : error;
}

const sentences = (table: string): [names: RegExp, sentence: string][] => [
  [
    /^ResourceNotFoundException$/,
    `There is no table ${table} in this account and region; name another with --table, or use --local for the gateway on this machine`,
  ],
  [
    /^(Credentials|TokenProvider|Provider)\w*Error$/,
    'There are no AWS credentials; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, renew your sign-in with aws sso login, or use --local',
  ],
  [/^AccessDenied/, `These AWS credentials may not describe ${table} or write to it`],
  [
    /^(UnrecognizedClient|InvalidSignature|ExpiredToken|InvalidClientTokenId|IncompleteSignature|MissingAuthentication|Signature)/,
    'AWS did not accept the credentials; renew them',
  ],
];
