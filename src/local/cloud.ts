/**
 * AWS for a gateway on this machine: opens the stand-ins, and points at them with the variables that every AWS SDK reads, unless these
 * point elsewhere.
 */
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { defaultProvider } from '@aws-sdk/credential-provider-node';
import { environment, stackName, type Table, tables } from '../names.ts';
import { createAwsServer } from './aws.ts';
import { createCompatibleBedrock } from './bedrock/compatible/compatible-bedrock.ts';
import { createBedrockSimulator } from './bedrock/simulator.ts';
import type { SecretOf } from './doors/aws-call.ts';
import { type Connections, createConnectionsApi } from './doors/connections.ts';
import { STAGE } from './doors/websocket-event.ts';
import { createDynamoDb } from './dynamodb/server.ts';
import type { AccessKeys } from './keys.ts';
import { createLambdaInvoke, type LambdaInvoke, type LocalFunction } from './lambda-invoke.ts';
import { listen } from './listen.ts';
import { createOpenSearchServer } from './opensearch/server.ts';
import { indexPath, type Options, tablesPath } from './options.ts';
import { createParameterStore } from './ssm/store.ts';
import { createTables } from './tables.ts';

const PARAMETERS_PATH = '.local/parameters.json';

/** DynamoDB deletes what is over within days; here it takes a minute. */
const SWEEP_MS = 60_000;

const WORKER = 'chat-worker';
const FAILED_WORK = 'failed-chat-work';

export type CloudParts = {
  readonly options: Options;
  readonly env: NodeJS.ProcessEnv;
  readonly accessKeys: AccessKeys;
  readonly connections: Connections;
  readonly worker: LocalFunction;
  /** Is told of work that failed. */
  readonly failedWork: LocalFunction;
};

export type Cloud = {
  readonly lambda: LambdaInvoke;
  /** Where answers, settings, tables and the index are, as lines for the user. */
  readonly places: Readonly<Record<'bedrock' | 'ssm' | 'dynamodb' | 'opensearch', string>>;
  close(): Promise<void>;
};

export async function openCloud(parts: CloudParts): Promise<Cloud> {
  const { options, env, connections, worker, failedWork } = parts;
  const kept = (path: string) => (options.memory ? {} : { path });
  const parameters = createParameterStore(kept(PARAMETERS_PATH));
  const dynamodb = await createDynamoDb(kept(tablesPath(options)));
  const secretOf = createSecrets(parts);
  const opensearch = createOpenSearchServer({
    ...kept(indexPath(options)),
    secretOf: (id) => (id === LOCAL ? LOCAL : secretOf(id)),
  });
  const lambda = createLambdaInvoke(
    { [WORKER]: worker, [FAILED_WORK]: failedWork },
    { secretOf, onFailure: { [WORKER]: FAILED_WORK } },
  );
  const server = createAwsServer({
    ssm: parameters.handle,
    dynamodb: dynamodb.handle,
    lambda: lambda.handle,
    connections: createConnectionsApi(connections, { secretOf }),
    opensearch: opensearch.handle,
    bedrock: (options.server ? createCompatibleBedrock(options.server) : createBedrockSimulator()).handle,
  });
  const url = `http://127.0.0.1:${await listen(server, options.awsPort, 'AWS_PORT')}`;
  const places = {
    bedrock: pointAtBedrock(options, url, env),
    ssm: `${pointAt(SSM_ENDPOINT, url, env)}; change them with npm run settings`,
    dynamodb: pointAt(DYNAMODB_ENDPOINT, url, env),
    opensearch: pointAtOpenSearch(`${url}/opensearch`, env),
  };
  env['AWS_ENDPOINT_URL_LAMBDA'] = url;
  env['AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI'] = `${url}/${STAGE}`;
  env[environment.workerFunction] = WORKER;
  env['AWS_REGION'] ||= env['AWS_DEFAULT_REGION'] || 'us-east-1';
  chooseCredentials(options, url, env);
  await requireCredentials(options, env);
  await pointAtTables(env);
  const sweeping = setInterval(() => void dynamodb.sweep().catch(() => undefined), SWEEP_MS);
  return {
    lambda,
    places,
    async close() {
      clearInterval(sweeping);
      await dynamodb.close();
    },
  };
}

const BEDROCK_ENDPOINT = 'AWS_ENDPOINT_URL_BEDROCK_RUNTIME';
const SSM_ENDPOINT = 'AWS_ENDPOINT_URL_SSM';
const DYNAMODB_ENDPOINT = 'AWS_ENDPOINT_URL_DYNAMODB';
const OPENSEARCH_ENDPOINT = 'AWS_ENDPOINT_URL_OPENSEARCH';

/** Id and secret of whoever has no credentials of his own. */
const LOCAL = 'local';

/** Whoever calls from here may sign with the keys of the laptop, the gateway with the credentials that it finds. */
function createSecrets({ accessKeys }: CloudParts): SecretOf {
  const findCredentials = defaultProvider();
  return async (accessKeyId) => {
    const known = accessKeys.get(accessKeyId);
    if (known !== undefined) return known;
    const own = await findCredentials().catch(() => undefined);
    return own?.accessKeyId === accessKeyId ? own.secretAccessKey : undefined;
  };
}

/** Servers that check no signature still want to see one; credentials of a profile might have expired. */
function chooseCredentials({ bedrock }: Options, url: string, env: NodeJS.ProcessEnv) {
  const isAllHere = [BEDROCK_ENDPOINT, SSM_ENDPOINT, DYNAMODB_ENDPOINT, OPENSEARCH_ENDPOINT].every(
    (name) => env[name]?.replace(/\/opensearch$/, '') === url,
  );
  const hasKeys = Boolean(env['AWS_ACCESS_KEY_ID'] || env['AWS_PROFILE']);
  const hasToken = Boolean(env['AWS_BEARER_TOKEN_BEDROCK']);
  if (!isAllHere && (hasKeys || (bedrock === 'aws' && !hasToken))) return;
  for (const name of ['AWS_PROFILE', 'AWS_SESSION_TOKEN']) delete env[name];
  if (isAllHere) delete env['AWS_BEARER_TOKEN_BEDROCK'];
  Object.assign(env, { AWS_ACCESS_KEY_ID: LOCAL, AWS_SECRET_ACCESS_KEY: LOCAL });
}

/** @throws `Error` where Bedrock itself is to be asked and nothing is found to ask it with */
async function requireCredentials({ bedrock }: Options, env: NodeJS.ProcessEnv) {
  if (bedrock !== 'aws' || env['AWS_BEARER_TOKEN_BEDROCK']) return;
  await defaultProvider()().catch((cause) => {
    const ways = 'set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run aws sso login';
    throw new Error(`--bedrock aws found no AWS credentials; ${ways}.`, { cause });
  });
}

function pointAtBedrock({ bedrock, server }: Options, url: string, env: NodeJS.ProcessEnv): string {
  if (bedrock === 'endpoint') return `the server at ${env[BEDROCK_ENDPOINT]}`;
  if (bedrock === 'aws') {
    delete env[BEDROCK_ENDPOINT];
    return 'Amazon Bedrock, with your credentials';
  }
  env[BEDROCK_ENDPOINT] = url;
  if (server) return `the OpenAI-compatible server at ${server.url}`;
  return `the built-in simulator at ${url}, which is no real model`;
}

function pointAt(variable: string, url: string, env: NodeJS.ProcessEnv): string {
  env[variable] ||= url;
  return `${env[variable] === url ? 'built in' : 'the server'}, at ${env[variable]}`;
}

/** `OPENSEARCH_DOMAIN_ENDPOINT` is the deployment's when it comes from `.env`, so it does not decide where a laptop searches. */
function pointAtOpenSearch(url: string, env: NodeJS.ProcessEnv): string {
  const place = pointAt(OPENSEARCH_ENDPOINT, url, env);
  env[environment.openSearchEndpoint] = env[OPENSEARCH_ENDPOINT];
  return `${place}; similar answers come on with npm run settings -- set similar-answers on`;
}

async function pointAtTables(env: NodeJS.ProcessEnv) {
  const client = new DynamoDBClient({ maxAttempts: 2 });
  const names = await createTables(client, stackName(env)).catch((cause) => {
    throw new Error(`The tables cannot be made at ${env[DYNAMODB_ENDPOINT]}.`, { cause });
  });
  client.destroy();
  for (const [table, { variable }] of Object.entries(tables)) env[variable] ||= names[table as Table];
}
