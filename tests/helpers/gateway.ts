/** The gateway over real sockets: the stand-ins for AWS, real events, the real SDKs, the simulator's real frames. */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { handler as authorizer } from '../../src/authorizer.lambda.ts';
import { createAnswers } from '../../src/aws/answers.ts';
import { createBedrockModel } from '../../src/aws/bedrock.ts';
import { createChats } from '../../src/aws/chats.ts';
import { createConnections } from '../../src/aws/connections.ts';
import { createEmbedder } from '../../src/aws/embeddings.ts';
import { createOpenSearch } from '../../src/aws/opensearch.ts';
import { createParts } from '../../src/aws/parts.ts';
import { createRequests } from '../../src/aws/requests.ts';
import { createSignedFetch } from '../../src/aws/signed-fetch.ts';
import { createSockets } from '../../src/aws/sockets.ts';
import { createWorkerStarter } from '../../src/aws/worker.ts';
import { createEmbed } from '../../src/chat/embed.ts';
import type { Caller } from '../../src/chat/request.ts';
import type { Settings } from '../../src/chat/settings.ts';
import { embeddingModel, toComparable, toCuratedEntry } from '../../src/chat/similarity.ts';
import { createApp } from '../../src/doors/app.ts';
import { createFailedWork, type InvocationRecord } from '../../src/doors/failed-work.ts';
import { createLambdaDoor } from '../../src/doors/lambda.ts';
import type { RequestRecord } from '../../src/doors/record.ts';
import { connectionLimits } from '../../src/doors/socket-actions.ts';
import type { Job } from '../../src/doors/socket-parts.ts';
import { createWebSocketDoor } from '../../src/doors/websocket.ts';
import { createWorker } from '../../src/doors/worker.ts';
import { createAwsServer } from '../../src/local/aws.ts';
import { type Ledger, startBedrockSimulator } from '../../src/local/bedrock/simulator.ts';
import { type ConnectionsApiOptions, createConnectionsApi } from '../../src/local/doors/connections.ts';
import { createFunctionUrl } from '../../src/local/doors/function-url.ts';
import { createRestApi } from '../../src/local/doors/rest-api.ts';
import { awslambdaStandIn } from '../../src/local/doors/runtime.ts';
import { createWebSocketApi } from '../../src/local/doors/websocket-api.ts';
import type { DynamoDbOptions } from '../../src/local/dynamodb/server.ts';
import { createLambdaInvoke, type LambdaInvokeOptions } from '../../src/local/lambda-invoke.ts';
import {
  createOpenSearchServer,
  type OpenSearchServer,
  type OpenSearchServerOptions,
} from '../../src/local/opensearch/server.ts';
import { createTables } from '../../src/local/tables.ts';
import type { Table } from '../../src/names.ts';
import { joinAsk, systemClock } from '../../src/wire.ts';
import { bedrockClient } from './bedrock-client.ts';
import { httpClient, type TestClient, type Who, webSocketClient } from './clients.ts';
import { dynamoClient, startDynamoDb } from './dynamodb.ts';
import { defaultSettings } from './requests.ts';

/** A key and a pair that signs for each of two tenants. */
export const people = {
  alice: {
    tenant: 'alice',
    key: 'key-of-alice-0123456789',
    accessKeyId: 'AKIAALICE',
    secretAccessKey: 'hers',
  },
  bob: { tenant: 'bob', key: 'key-of-bob-0123456789', accessKeyId: 'AKIABOB', secretAccessKey: 'his' },
} as const satisfies Record<string, Who>;

/** What the product signs with. */
const own = { accessKeyId: 'AKIAGATEWAY', secretAccessKey: 'its own' };

export type Gateway = TestClient & {
  readonly door: Caller['door'];
  /** Who `ask`, `send` and the rest call as. */
  readonly tenant: string;
  readonly url: string;
  /** `ws://…/ws` of the WebSocket door. */
  readonly socketUrl: string;
  readonly ledger: Ledger;
  readonly records: readonly RequestRecord[];
  /** What whoever runs it would be told, by its type. */
  readonly notices: readonly string[];
  /** The names of the tables, and a client for them. */
  readonly tables: Readonly<Record<Table, string>> & { readonly client: DynamoDBClient };
  /** What OpenSearch was asked. */
  readonly searches: OpenSearchServer['calls'];
  /** Puts the question of an answer in the table into OpenSearch, as an operator does. */
  indexQuestion(question: string): Promise<void>;
  /** The same door for somebody else. */
  as(who: keyof typeof people): TestClient;
  close(): Promise<void>;
};

export type GatewayOptions = {
  readonly door?: Gateway['door'];
  readonly settings?: Partial<Settings>;
  readonly tokensPerSecond?: number;
  /** In place of the simulator. */
  readonly endpoint?: string;
  readonly functionTimeoutMs?: number;
  /** What goes wrong with AWS. */
  readonly dynamoFault?: DynamoDbOptions['fault'];
  readonly postFault?: ConnectionsApiOptions['fault'];
  readonly invokeFault?: LambdaInvokeOptions['fault'];
  readonly searchFault?: OpenSearchServerOptions['fault'];
  /** Workers that run when it rejects are dead, as far as Lambda knows. */
  readonly workerDeath?: Promise<never>;
};

export async function startGateway(options: GatewayOptions = {}): Promise<Gateway> {
  const {
    door = 'rest',
    functionTimeoutMs,
    dynamoFault,
    postFault,
    invokeFault,
    searchFault,
    workerDeath,
  } = options;
  const simulator = await startBedrockSimulator({ tokensPerSecond: options.tokensPerSecond ?? 2000 });
  const database = await startDynamoDb({ ...(dynamoFault && { fault: dynamoFault }) });
  const dynamo = dynamoClient(database.url, 3);
  const tables = await createTables(dynamo, 'test');
  const bedrock = bedrockClient(options.endpoint ?? simulator.url, 3);
  const records: RequestRecord[] = [];
  const notices: string[] = [];

  const webSocketApi = createWebSocketApi({
    handler: (event) => createWebSocketDoor(() => parts)(event),
    authorizer,
    findTenant,
  });
  const secretOf = (id: string) => (id === own.accessKeyId ? own.secretAccessKey : undefined);
  const lambda = createLambdaInvoke(
    {
      worker: (job, context) =>
        Promise.race([createWorker(() => parts)(job as Job, context), ...(workerDeath ? [workerDeath] : [])]),
      failedWork: (record) => createFailedWork(() => parts)(record as InvocationRecord),
    },
    { secretOf, onFailure: { worker: 'failedWork' }, ...(invokeFault && { fault: invokeFault }) },
  );
  const faults = { ...(postFault && { fault: postFault }) };
  const openSearch = createOpenSearchServer({ secretOf, ...(searchFault && { fault: searchFault }) });
  const refuse = () => {
    throw new Error('This service has a server of its own here.');
  };
  const aws = createAwsServer({
    lambda: lambda.handle,
    connections: createConnectionsApi(webSocketApi.connections, { secretOf, ...faults }),
    ssm: refuse,
    opensearch: openSearch.handle,
    dynamodb: refuse,
    bedrock: refuse,
  });
  const awsUrl = await listen(aws);
  const signed = { credentials: async () => own, region: 'us-east-1' };
  const index = createOpenSearch({ endpoint: `${awsUrl}/opensearch`, index: 'test-questions', ...signed });
  const embed = createEmbed({ embedder: createEmbedder(bedrock), clock: systemClock });
  const parts = buildParts(awsUrl);

  const common = {
    handler: createLambdaDoor(awslambdaStandIn.HttpResponseStream, () => parts),
    ...(functionTimeoutMs !== undefined && { limits: { functionMs: functionTimeoutMs } }),
  };
  const { server } =
    door === 'function-url'
      ? createFunctionUrl({ ...common, secretOf: findSecret, allowedOrigins: () => [] })
      : createRestApi({ ...common, authorizer, findTenant });
  server.on('upgrade', webSocketApi.upgrade);
  const url = await listen(server);
  const socketUrl = `${url.replace('http', 'ws')}/ws`;
  const places = { door, url, socketUrl, records };

  function buildParts(awsUrl: string) {
    const settings = { ...defaultSettings, allowedModels: ['*'], modelCeiling: ['*'], ...options.settings };
    const partsOf = (table: Table) => ({ client: dynamo, name: tables[table], now: systemClock.now });
    const requests = createRequests(partsOf('requests'));
    const chats = createChats(partsOf('chats'));
    const manage = createSignedFetch({ ...signed, service: 'execute-api' });
    const invoke = createSignedFetch({ ...signed, service: 'lambda' });
    const ask = joinAsk({
      model: createBedrockModel({ client: bedrock, clock: systemClock }),
      index,
      embed,
      answers: createAnswers(partsOf('answers')),
      chats,
      clock: systemClock,
      notify: (notice) => void notices.push(notice.type),
    });
    const loadSettings = async () => settings;
    const allowedOrigins = ['https://app.example'];
    return {
      app: createApp({ ask, embed, requests, chats, loadSettings, clock: systemClock, allowedOrigins: [] }),
      ask,
      requests,
      addPart: createParts(partsOf('requests')),
      connections: createConnections(partsOf('connections'), connectionLimits),
      sockets: createSockets(manage, `${awsUrl}/local`),
      startWorker: createWorkerStarter(invoke, awsUrl, 'worker'),
      loadSettings,
      allowedOrigins,
      clock: systemClock,
      random: Math.random,
      log: (record: Readonly<RequestRecord>) => void records.push({ ...record }),
      newRequestId: () => crypto.randomUUID(),
      stopping: new AbortController().signal,
    };
  }

  return {
    door,
    tenant: door === 'function-url' ? people.alice.accessKeyId : people.alice.tenant,
    url,
    socketUrl,
    ledger: simulator.ledger,
    records,
    notices,
    tables: { client: dynamo, ...tables },
    searches: openSearch.calls,
    async indexQuestion(question) {
      const text = toComparable(question) ?? '';
      const asked = { ...embeddingModel, texts: [text], patienceMs: 10_000 };
      const signal = new AbortController().signal;
      const { vectors } = await embed(asked, { signal, deadline: systemClock.now() + 10_000 });
      await index.add([toCuratedEntry(text, vectors[0] ?? [])], signal);
    },
    ...clientOf(people.alice, places),
    as: (who) => clientOf(people[who], places),
    async close() {
      await webSocketApi.closeAll();
      await lambda.drain();
      await Promise.all([stop(server), stop(aws)]);
      bedrock.destroy();
      dynamo.destroy();
      await database.close();
      await simulator.close();
    },
  };
}

/** Whoever comes in by this door. */
export const clientOf = (
  who: Who,
  { door, url, socketUrl, records }: Pick<Gateway, 'door' | 'url' | 'socketUrl' | 'records'>,
): TestClient =>
  door === 'websocket' ? webSocketClient(socketUrl, url, who, records) : httpClient(url, who, door);

export const findTenant = (key: string) => Object.values(people).find((who) => who.key === key)?.tenant;

export const findSecret = (id: string) =>
  Object.values(people).find(({ accessKeyId }) => accessKeyId === id)?.secretAccessKey;

export async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

export async function stop(server: Server) {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

/** Waits until it is so; a file's time limit ends it when it never is. */
export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5));
}
