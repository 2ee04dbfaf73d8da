/**
 * The gateway as it is deployed: the embedded doors and services, and between them its functions under the Runtime Interface Client.
 */
import type { APIGatewayAuthorizerResult } from 'aws-lambda';
import type { RequestRecord } from '../../src/doors/record.ts';
import type { SocketReply } from '../../src/doors/socket-event.ts';
import { createBedrockSimulator } from '../../src/local/bedrock/simulator.ts';
import { createConnectionsApi } from '../../src/local/doors/connections.ts';
import { createFunctionUrl } from '../../src/local/doors/function-url.ts';
import { createRestApi } from '../../src/local/doors/rest-api.ts';
import { createWebSocketApi } from '../../src/local/doors/websocket-api.ts';
import { createDynamoDb } from '../../src/local/dynamodb/server.ts';
import { createLambdaInvoke } from '../../src/local/lambda-invoke.ts';
import { createOpenSearchServer } from '../../src/local/opensearch/server.ts';
import { createTables } from '../../src/local/tables.ts';
import { dynamoClient } from '../helpers/dynamodb.ts';
import type { GatewayOptions } from '../helpers/gateway.ts';
import { clientOf, findSecret, findTenant, type Gateway, listen, people, stop } from '../helpers/gateway.ts';
import { toHandler, toStreamingHandler } from './doors.ts';
import {
  createStage,
  type Functions,
  isKeyOfRole,
  STACK,
  type Stage,
  secretOfRoles,
  workerFunction,
} from './stage.ts';

/** API Gateway waits no longer for a function that does not stream. */
const INTEGRATION_MS = 29_000;

/** A model that falls silent is given up after this; nobody tells a function that its reader has left. */
const IDLE_TIMEOUT_SECONDS = 5;

export type RuntimeOptions = Pick<
  GatewayOptions,
  'door' | 'settings' | 'tokensPerSecond' | 'functionTimeoutMs'
>;

/** `notices` stay empty: they end up in the log, and `lines` has them. */
export type RuntimeGateway = Gateway & {
  readonly functions: Functions;
  /** What the functions wrote to their standard output and error. */
  readonly lines: readonly string[];
  /** What the worker was invoked with. */
  readonly jobs: readonly unknown[];
};

let stage: Promise<Stage> | undefined;

export async function startRuntime(options: RuntimeOptions = {}): Promise<RuntimeGateway> {
  const { door = 'rest', tokensPerSecond = 2000 } = options;
  stage ??= createStage();
  const { prepare, use, url: awsUrl } = await stage;
  const settings = { allowedModels: ['*'], idleTimeoutSeconds: IDLE_TIMEOUT_SECONDS, ...options.settings };
  const functions = await prepare(settings);

  const records: RequestRecord[] = [];
  const lines: string[] = [];
  const jobs: unknown[] = [];
  const refused: string[] = [];
  const log = (line: string) => {
    lines.push(line);
    records.push(...toRecords(line));
  };

  const authorizer = toHandler<APIGatewayAuthorizerResult>(functions.authorizer, INTEGRATION_MS);
  const webSocketApi = createWebSocketApi({
    handler: toHandler<SocketReply>(functions.websocket, INTEGRATION_MS),
    authorizer,
    findTenant,
  });
  const secretOf = (id: string) => (isKeyOfRole(id) ? secretOfRoles : undefined);
  const lambda = createLambdaInvoke(
    {
      [workerFunction]: (job, context) => {
        jobs.push(job);
        return functions.worker.call(job, context.getRemainingTimeInMillis());
      },
      failedWork: toHandler(functions.failedWork, INTEGRATION_MS),
    },
    { secretOf, onFailure: { [workerFunction]: 'failedWork' } },
  );
  const simulator = createBedrockSimulator({ tokensPerSecond });
  const openSearch = createOpenSearchServer({ secretOf });
  const database = await createDynamoDb();
  use({
    dynamodb: database.handle,
    bedrock: simulator.handle,
    lambda: lambda.handle,
    connections: createConnectionsApi(webSocketApi.connections, { secretOf }),
    opensearch: openSearch.handle,
    log,
    refuse: (sentence) => void refused.push(sentence),
  });
  const dynamo = dynamoClient(awsUrl, 3);
  const tables = await createTables(dynamo, STACK);

  const { server } = createHttpDoor(options, toStreamingHandler(functions.http), authorizer);
  server.on('upgrade', webSocketApi.upgrade);
  const url = await listen(server);
  const socketUrl = `${url.replace('http', 'ws')}/ws`;
  const places = { door, url, socketUrl, records };

  return {
    door,
    tenant: door === 'function-url' ? people.alice.accessKeyId : people.alice.tenant,
    url,
    socketUrl,
    ledger: simulator.ledger,
    records,
    notices: [],
    functions,
    lines,
    jobs,
    tables: { client: dynamo, ...tables },
    searches: openSearch.calls,
    indexQuestion: () => Promise.reject(new Error('The functions index what they learn, and nothing else.')),
    ...clientOf(people.alice, places),
    as: (who) => clientOf(people[who], places),
    async close() {
      await webSocketApi.closeAll();
      await lambda.drain();
      await Promise.all(Object.values(functions).map(({ settle }) => settle()));
      use(undefined);
      await stop(server);
      dynamo.destroy();
      await database.close();
      checkLog(lines);
      if (refused.length > 0) throw new Error([...new Set(refused)].join('\n'));
    },
  };
}

function createHttpDoor(
  { door, functionTimeoutMs }: RuntimeOptions,
  handler: ReturnType<typeof toStreamingHandler>,
  authorizer: (event: unknown) => Promise<APIGatewayAuthorizerResult>,
) {
  const common = {
    handler,
    ...(functionTimeoutMs !== undefined && { limits: { functionMs: functionTimeoutMs } }),
  };
  return door === 'function-url'
    ? createFunctionUrl({ ...common, secretOf: findSecret, allowedOrigins: () => [] })
    : createRestApi({ ...common, authorizer, findTenant });
}

/** After every test: the log is JSON, line by line, and holds no key, and no prompt of those that ask for an echo. @throws Error */
function checkLog(lines: readonly string[]) {
  const secrets = ['ECHO', ...Object.values(people).map(({ key }) => key), secretOfRoles];
  for (const line of lines) {
    if (!line.startsWith('{') || !line.endsWith('}'))
      throw new Error(`A line of the log is no JSON: ${line}`);
    JSON.parse(line);
    const secret = secrets.find((text) => line.includes(text));
    if (secret !== undefined) throw new Error(`A line of the log holds ${secret}: ${line}`);
  }
}

/** The record of a request, if this is its line; the logger's own fields are among it. */
const toRecords = (line: string): RequestRecord[] =>
  line.includes('"message":"request"') ? [JSON.parse(line) as RequestRecord] : [];
