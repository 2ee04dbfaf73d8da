/**
 * Joins the parts, once per process and not before the first event. The only file that reads the environment and makes AWS
 * clients; where those clients point is left to the variables that every AWS SDK reads.
 */
import { randomUUID } from 'node:crypto';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { Logger } from '@aws-lambda-powertools/logger';
import { BedrockRuntimeClient } from '@aws-sdk/client-bedrock-runtime';
import { SSMClient } from '@aws-sdk/client-ssm';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { createAnswers } from './aws/answers.ts';
import { createBedrockModel } from './aws/bedrock.ts';
import { createChats } from './aws/chats.ts';
import { createConnections } from './aws/connections.ts';
import { createEmbedder } from './aws/embeddings.ts';
import { countMetric, toMetrics } from './aws/metrics.ts';
import { logNotice, logSettingsNotice } from './aws/notices.ts';
import { createOpenSearch } from './aws/opensearch.ts';
import { createLiveSettings } from './aws/parameters.ts';
import { createParts } from './aws/parts.ts';
import { createRequests } from './aws/requests.ts';
import { createSignedFetch, type SignedFetchParts } from './aws/signed-fetch.ts';
import { createSockets } from './aws/sockets.ts';
import { createParameterReader } from './aws/ssm.ts';
import { createDynamoDbClient, type TableParts } from './aws/table.ts';
import { createWorkerStarter } from './aws/worker.ts';
import type { Answers } from './chat/answers.ts';
import { type Ask, createAsk, type Model } from './chat/ask.ts';
import { type Notice, withAttempts } from './chat/attempts.ts';
import { withCache } from './chat/cache.ts';
import type { Clock } from './chat/clock.ts';
import { type Chats, type MemoryNotice, withMemory, withRecall } from './chat/conversation.ts';
import { createEmbed, type Embed } from './chat/embed.ts';
import type { GatewayError } from './chat/errors.ts';
import { underLease } from './chat/lease.ts';
import type { CacheNotice } from './chat/lookup.ts';
import { createSimilar, type QuestionIndex } from './chat/similar.ts';
import { createApp } from './doors/app.ts';
import type { FailedWorkParts } from './doors/failed-work.ts';
import type { LambdaDoorParts } from './doors/lambda.ts';
import { asksModel, type RequestRecord } from './doors/record.ts';
import { connectionLimits } from './doors/socket-actions.ts';
import type { SocketParts } from './doors/socket-parts.ts';
import type { WorkerParts } from './doors/worker.ts';
import {
  DEFAULT_STACK_NAME,
  deployedModels,
  environment,
  type MetricName,
  metricsNamespace,
  questionsIndex,
  readList,
  SERVICE_NAME,
  settingsPath,
  type Table,
  tableName,
  tables,
} from './names.ts';

const SETTINGS_MAX_AGE_SECONDS = 60;

export type Gateway = LambdaDoorParts &
  SocketParts &
  WorkerParts &
  FailedWorkParts & {
    /** Ends every running answer with this failure. */
    stop(reason: GatewayError): void;
  };

let joined: Gateway | undefined;

/** The gateway of this process. */
export function gateway(): Gateway {
  joined ??= join(process.env);
  return joined;
}

function join(env: NodeJS.ProcessEnv): Gateway {
  const clock = systemClock;
  const logger = new Logger({ serviceName: SERVICE_NAME });
  const path = env[environment.settingsPath] || settingsPath(DEFAULT_STACK_NAME);
  const meter = createMeter(clock, metricsNamespace(path));
  const bedrock = createBedrockClient();
  const store = createStore(env, clock);
  const embed = createEmbed({ embedder: createEmbedder(bedrock), clock });
  const signing = { credentials: bedrock.config.credentials, region: env['AWS_REGION'] || 'us-east-1' };
  const endpoint = env[environment.openSearchEndpoint];
  const ask = joinAsk({
    ...store,
    model: createBedrockModel({ client: bedrock, clock }),
    index: endpoint ? createOpenSearch({ endpoint, index: questionsIndex(path), ...signing }) : undefined,
    embed,
    clock,
    notify: (notice) => logNotice(logger, notice, meter),
  });
  const { load: loadSettings, ageSeconds } = createLiveSettings({
    read: createParameterReader(createSsmClient(), path),
    deployed: deployedModels(env),
    maxAgeMs: 1000 * (Number(env[environment.settingsMaxAgeSeconds]) || SETTINGS_MAX_AGE_SECONDS),
    clock,
    random: Math.random,
    notify: (notice) => logSettingsNotice(logger, notice, meter),
    onTaken: ({ logLevel }) => logger.setLogLevel(logLevel),
  });
  const allowedOrigins = readList(env[environment.allowedOrigins]);
  const stopping = new AbortController();
  return {
    ...store,
    ...createCallbacks(env, signing),
    app: createApp({ ...store, ask, embed, loadSettings, clock, allowedOrigins }),
    ask,
    loadSettings,
    allowedOrigins,
    clock,
    random: Math.random,
    log(record) {
      logger.info('request', { ...record });
      meter.measure(record, ageSeconds());
    },
    newRequestId: randomUUID,
    stopping: stopping.signal,
    stop: (reason) => stopping.abort(reason),
  };
}

export type AskParts = {
  readonly model: Model;
  readonly answers: Answers;
  readonly chats: Chats;
  /** Nothing where only the same question has the same answer. */
  readonly index?: QuestionIndex | undefined;
  readonly embed: Embed;
  readonly clock: Clock;
  readonly notify: (notice: Notice | CacheNotice | MemoryNotice) => void;
};

/** All that happens to a question, outermost first: what is told is what is stored, and the model is asked last. */
export function joinAsk({ model, answers, chats, index, embed, clock, notify }: AskParts): Ask {
  const similar = index && createSimilar({ index, embed, answers, clock, notify });
  const known = withCache(withAttempts(model, notify), { answers, similar, clock, notify });
  return withMemory(underLease(withRecall(createAsk({ model: known }), chats)), { chats, notify });
}

/** What is kept in tables. */
function createStore(env: NodeJS.ProcessEnv, { now }: Clock) {
  const client = createDynamoDbClient();
  const partsOf = (table: Table): TableParts => ({
    client,
    name: env[tables[table].variable] || tableName(DEFAULT_STACK_NAME, table),
    now,
  });
  return {
    requests: createRequests(partsOf('requests')),
    addPart: createParts(partsOf('requests')),
    connections: createConnections(partsOf('connections'), connectionLimits),
    answers: createAnswers(partsOf('answers')),
    chats: createChats(partsOf('chats')),
  };
}

/** The calls that need no client of their own. The endpoint of the WebSocket API is its stage's, which AWS has no default for. */
function createCallbacks(env: NodeJS.ProcessEnv, signing: Omit<SignedFetchParts, 'service'>) {
  const manage = createSignedFetch({ ...signing, service: 'execute-api' });
  const invoke = createSignedFetch({ ...signing, service: 'lambda' });
  const lambdaUrl = env['AWS_ENDPOINT_URL_LAMBDA'] || `https://lambda.${signing.region}.amazonaws.com`;
  return {
    sockets: createSockets(manage, env['AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI'] ?? ''),
    startWorker: createWorkerStarter(invoke, lambdaUrl, env[environment.workerFunction] ?? ''),
  };
}

/** Writes the lines that count, whatever the setting `log-level` lets through. */
function createMeter({ now }: Clock, namespace: string) {
  const logger = new Logger({ serviceName: SERVICE_NAME, logLevel: 'INFO' });
  const write = (metrics: object | undefined) => metrics && logger.info('metrics', { ...metrics });
  return {
    count: (name: MetricName) => write(countMetric(name, { now: now(), namespace })),
    measure: (record: Readonly<RequestRecord>, settingsAgeSeconds: number | undefined) =>
      write(toMetrics(record, { now: now(), namespace, isRequest: asksModel(record), settingsAgeSeconds })),
  };
}

export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(run, Math.max(0, ms));
    return () => clearTimeout(timer);
  },
};

/**
 * HTTP/1.1 with connections that stay open: the SDK's own choice opens a new TLS connection for every request. No limit on
 * sockets, since each is a stream that somebody is reading. No request timeout: `chat/ask.ts` keeps the deadlines.
 */
function createBedrockClient(): BedrockRuntimeClient {
  const agent = { keepAlive: true, maxSockets: Number.POSITIVE_INFINITY };
  return new BedrockRuntimeClient({
    maxAttempts: 3,
    retryMode: 'standard',
    requestHandler: new NodeHttpHandler({
      connectionTimeout: 3_000,
      httpAgent: new HttpAgent(agent),
      httpsAgent: new HttpsAgent(agent),
    }),
  });
}

/** The second attempt is for a connection that died while the process was frozen; all else is done in `aws/parameters.ts`. */
const createSsmClient = () =>
  new SSMClient({
    maxAttempts: 2,
    requestHandler: new NodeHttpHandler({ connectionTimeout: 1_000, requestTimeout: 2_000 }),
  });
