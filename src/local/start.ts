/**
 * `npm start`: the gateway on this machine. It opens the doors over stand-ins for AWS and sets the variables that every AWS SDK reads;
 * the product behind the doors is the one that is deployed, and does not know where it runs.
 */
import { existsSync } from 'node:fs';
import { GatewayError } from '../chat/errors.ts';
import { parseSettings } from '../chat/settings.ts';
import type { InvocationRecord } from '../doors/failed-work.ts';
import type { Job } from '../doors/socket-parts.ts';
import { deployedModels, environment, readList, settingsPath, stackName } from '../names.ts';
import { offerModels } from './bedrock/compatible/models.ts';
import { type Cloud, openCloud } from './cloud.ts';
import { docsAssets } from './docs.ts';
import { createFunctionUrl } from './doors/function-url.ts';
import type { HttpDoor } from './doors/http-door.ts';
import { createRestApi } from './doors/rest-api.ts';
import { awslambdaStandIn } from './doors/runtime.ts';
import { createWebSocketApi, type WebSocketApi } from './doors/websocket-api.ts';
import { createKeyring, loadOrCreateAccessKey, loadOrCreateKey, parseKeys } from './keys.ts';
import type { LocalFunction } from './lambda-invoke.ts';
import { listen } from './listen.ts';
import { help, modelsOnThisMachine, type Options, parseOptions } from './options.ts';
import { pageAssets } from './page.ts';
import { createSite } from './site.ts';

/** What is kept between two starts. */
const KEY_PATH = '.local/api-key';
const ACCESS_KEY_PATH = '.local/iam-key';

/** A laptop asks its own Parameter Store, which can be asked often. */
const SETTINGS_MAX_AGE_SECONDS = 5;

/** How long running answers may go on after Ctrl-C, and how long they then have to say that they were ended. */
const DRAIN_MS = 8_000;
const FAREWELL_MS = 1_500;

/** npm passes a terminal's Ctrl-C on although it was received already; only a later one is the user's second. */
const SECOND_SIGNAL_MS = 2_000;

async function start() {
  const { env } = process;
  if (existsSync('.env')) process.loadEnvFile('.env');
  const options = parseOptions(process.argv.slice(2), env);
  if (options.help) return console.log(help);
  const { apiKeys, accessKeys } = loadKeys(options, env);
  if (options.server) await offerModels(options.server, env);
  env[environment.allowedModels] ||= modelsOnThisMachine;
  env[environment.settingsPath] ||= settingsPath(stackName(env));
  env[environment.settingsMaxAgeSeconds] ||= String(SETTINGS_MAX_AGE_SECONDS);
  parseSettings(new Map(), deployedModels(env));

  // Nothing is read nor opened at import; the global is what the entry points are wrapped in.
  Object.assign(globalThis, { awslambda: awslambdaStandIn });
  const [http, websocket, { handler: authorizer }, { gateway }] = await Promise.all([
    import('../http.lambda.ts'),
    import('../websocket.lambda.ts'),
    import('../authorizer.lambda.ts'),
    import('../wire.ts'),
  ]);
  const findTenant = createKeyring(apiKeys);
  const webSocketApi = createWebSocketApi({ handler: websocket.handler, authorizer, findTenant });
  const { connections } = webSocketApi;
  const worker: LocalFunction = (job, context) => websocket.worker(job as Job, context);
  const failedWork: LocalFunction = (record) => websocket.failedWork(record as InvocationRecord);
  const cloud = await openCloud({ options, env, accessKeys, connections, worker, failedWork });
  const allowedOrigins = () => readList(env[environment.allowedOrigins]);
  const functionUrl = createFunctionUrl({
    handler: http.handler,
    secretOf: (id) => accessKeys.get(id),
    allowedOrigins,
  });
  const functionUrlPort = await listen(functionUrl.server, options.functionUrlPort, 'FUNCTION_URL_PORT');
  const laptop = {
    // Keys that somebody gave are not handed to whoever opens the page.
    ...(!env['LOCAL_API_KEYS'] && { key: [...apiKeys.values()][0] ?? '' }),
    functionUrl: `http://127.0.0.1:${functionUrlPort}`,
    isSimulated: options.bedrock === 'simulator',
  };
  const site = createSite({ ...pageAssets(laptop), ...docsAssets() });
  const restApi = createRestApi({ handler: http.handler, authorizer, findTenant, site, allowedOrigins });
  restApi.server.on('upgrade', webSocketApi.upgrade);
  const port = await listen(restApi.server, options.port, 'PORT');
  env[environment.allowedOrigins] ||= `http://127.0.0.1:${port},http://localhost:${port}`;

  console.log(welcome({ port, functionUrlPort, ...cloud.places }, [...apiKeys.values()][0] ?? ''));
  stopOnSignal({
    doors: [restApi, functionUrl],
    webSocketApi,
    cloud,
    stop: (reason) => gateway().stop(reason),
  });
}

function loadKeys({ memory }: Options, env: NodeJS.ProcessEnv) {
  const { LOCAL_API_KEYS: apiKeys, LOCAL_IAM_KEYS: accessKeys } = env;
  return {
    apiKeys: apiKeys
      ? parseKeys('LOCAL_API_KEYS', apiKeys)
      : new Map([['local', loadOrCreateKey(memory ? undefined : KEY_PATH)]]),
    accessKeys: accessKeys
      ? parseKeys('LOCAL_IAM_KEYS', accessKeys)
      : loadOrCreateAccessKey(memory ? undefined : ACCESS_KEY_PATH),
  };
}

type Places = Cloud['places'] & { readonly port: number; readonly functionUrlPort: number };

const welcome = ({ port, functionUrlPort, bedrock, ssm, dynamodb, opensearch }: Places, key: string) => `
LLM Gateway on this machine

  Chat page     http://127.0.0.1:${port}/
  API described http://127.0.0.1:${port}/docs
  REST          http://127.0.0.1:${port}
  WebSocket     ws://127.0.0.1:${port}/ws
  Function URL  http://127.0.0.1:${functionUrlPort}, for signed requests; npm run call signs
  Bedrock       ${bedrock}
  Settings      ${ssm}
  Tables        ${dynamodb}
  Search        ${opensearch}

Paste this into another terminal:

  curl -sN http://127.0.0.1:${port}/v1/chat -H 'x-api-key: ${key}' -H 'content-type: application/json' -H 'accept: text/event-stream' -d '{"prompt":"What is a Faraday cage?"}'

Ctrl-C stops the gateway; answers that are running may finish within 10 seconds.
`;

type Running = {
  readonly doors: readonly HttpDoor[];
  readonly webSocketApi: WebSocketApi;
  readonly cloud: Cloud;
  readonly stop: (reason: GatewayError) => void;
};

function stopOnSignal({ doors, webSocketApi, cloud, stop }: Running) {
  let stoppedAt: number | undefined;
  const onSignal = async () => {
    if (stoppedAt !== undefined) {
      if (Date.now() - stoppedAt > SECOND_SIGNAL_MS) process.exit(1);
      return;
    }
    stoppedAt = Date.now();
    const running = doors.reduce((sum, door) => sum + door.running, cloud.lambda.running);
    if (running > 0) console.log(`Stopping; ${running} answers are still running.`);
    webSocketApi.drain();
    const idle = Promise.all([...doors.map((door) => door.drain()), cloud.lambda.drain()]);
    await Promise.race([idle, sleep(DRAIN_MS)]);
    stop(
      new GatewayError(
        'overloaded',
        'The gateway stopped before the answer was whole; send the request again.',
      ),
    );
    await Promise.race([idle.then(() => webSocketApi.closeAll()), sleep(FAREWELL_MS)]);
    await cloud.close();
    process.exit(0);
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

start().catch((error) => {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(1);
});
