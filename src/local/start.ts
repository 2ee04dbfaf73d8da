/**
 * `npm start`: the gateway on this machine. It opens the doors over stand-ins for AWS and sets the variables that every AWS SDK reads;
 * the product behind the doors is the one that is deployed, and does not know where it runs.
 */
import { existsSync } from 'node:fs';
import type { Server } from 'node:http';
import { GatewayError } from '../chat/errors.ts';
import { parseSettings } from '../chat/settings.ts';
import { deployedModels, environment, readList, settingsPath, stackName } from '../names.ts';
import { createAwsServer } from './aws.ts';
import { createBedrockSimulator } from './bedrock/simulator.ts';
import { createFunctionUrl } from './doors/function-url.ts';
import type { HttpDoor } from './doors/http-door.ts';
import { createRestApi } from './doors/rest-api.ts';
import { awslambdaStandIn } from './doors/runtime.ts';
import { createKeyring, loadOrCreateAccessKey, loadOrCreateKey, parseKeys } from './keys.ts';
import { help, modelsOnThisMachine, type Options, parseOptions } from './options.ts';
import { createParameterStore } from './ssm/store.ts';

/** What is kept between two starts. */
const KEY_PATH = '.local/api-key';
const ACCESS_KEY_PATH = '.local/iam-key';
const PARAMETERS_PATH = '.local/parameters.json';

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
  env[environment.allowedModels] ||= modelsOnThisMachine;
  env[environment.settingsPath] ||= settingsPath(stackName(env));
  env[environment.settingsMaxAgeSeconds] ||= String(SETTINGS_MAX_AGE_SECONDS);
  parseSettings(new Map(), deployedModels(env));
  const aws = await startAws(options, env);

  Object.assign(globalThis, { awslambda: awslambdaStandIn });
  const [{ handler }, { handler: authorizer }, { gateway }] = await Promise.all([
    import('../http.lambda.ts'),
    import('../authorizer.lambda.ts'),
    import('../wire.ts'),
  ]);
  const restApi = createRestApi({ handler, authorizer, findTenant: createKeyring(apiKeys) });
  const functionUrl = createFunctionUrl({
    handler,
    secretOf: (id) => accessKeys.get(id),
    allowedOrigins: () => readList(env[environment.allowedOrigins]),
  });
  const port = await listen(restApi.server, options.port, 'PORT');
  const functionUrlPort = await listen(functionUrl.server, options.functionUrlPort, 'FUNCTION_URL_PORT');
  env[environment.allowedOrigins] ||= `http://127.0.0.1:${port},http://localhost:${port}`;

  console.log(welcome({ port, functionUrlPort, ...aws }, [...apiKeys.values()][0] ?? ''));
  stopOnSignal([restApi, functionUrl], (reason) => gateway().stop(reason));
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

/** Where answers and settings come from, as lines for the user. */
type AwsPlaces = { readonly bedrock: string; readonly ssm: string };

/** Opens the stand-ins for AWS and points at them with the variables that every AWS SDK reads, unless these point elsewhere. */
async function startAws(options: Options, env: NodeJS.ProcessEnv): Promise<AwsPlaces> {
  const parameters = createParameterStore(options.memory ? {} : { path: PARAMETERS_PATH });
  const server = createAwsServer({ ssm: parameters.handle, bedrock: createBedrockSimulator().handle });
  const url = `http://127.0.0.1:${await listen(server, options.awsPort, 'AWS_PORT')}`;
  const places = { bedrock: pointAtBedrock(options, url, env), ssm: pointAtSsm(url, env) };
  env['AWS_REGION'] ||= env['AWS_DEFAULT_REGION'] || 'us-east-1';
  const isAllHere = options.bedrock === 'simulator' && env[SSM_ENDPOINT] === url;
  if (isAllHere || (options.bedrock !== 'aws' && !hasCredentials(env))) {
    // Servers that check no signature still want to see one; credentials of a profile might have expired.
    for (const name of ['AWS_PROFILE', 'AWS_SESSION_TOKEN', 'AWS_BEARER_TOKEN_BEDROCK']) delete env[name];
    Object.assign(env, { AWS_ACCESS_KEY_ID: 'local', AWS_SECRET_ACCESS_KEY: 'local' });
  }
  return places;
}

const BEDROCK_ENDPOINT = 'AWS_ENDPOINT_URL_BEDROCK_RUNTIME';
const SSM_ENDPOINT = 'AWS_ENDPOINT_URL_SSM';

const hasCredentials = (env: NodeJS.ProcessEnv) =>
  Boolean(env['AWS_ACCESS_KEY_ID'] || env['AWS_PROFILE'] || env['AWS_BEARER_TOKEN_BEDROCK']);

function pointAtBedrock({ bedrock }: Options, url: string, env: NodeJS.ProcessEnv): string {
  if (bedrock === 'endpoint') return `the server at ${env[BEDROCK_ENDPOINT]}`;
  if (bedrock === 'aws') {
    delete env[BEDROCK_ENDPOINT];
    return 'Amazon Bedrock, with your credentials';
  }
  env[BEDROCK_ENDPOINT] = url;
  return `the built-in simulator at ${url}, which is no real model`;
}

function pointAtSsm(url: string, env: NodeJS.ProcessEnv): string {
  env[SSM_ENDPOINT] ||= url;
  const place = env[SSM_ENDPOINT] === url ? 'built in' : 'the server';
  return `${place}, at ${env[SSM_ENDPOINT]}; change them with npm run settings`;
}

function listen(server: Server, port: number, variable: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(toListenError(error, port, variable)));
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      resolve(address && typeof address === 'object' ? address.port : port);
    });
  });
}

const toListenError = (error: unknown, port: number, variable: string) =>
  error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
    ? new Error(`Port ${port} is taken; set ${variable} to another.`)
    : error;

type Places = AwsPlaces & { readonly port: number; readonly functionUrlPort: number };

const welcome = ({ port, functionUrlPort, bedrock, ssm }: Places, key: string) => `
LLM Gateway on this machine

  REST          http://127.0.0.1:${port}
  Function URL  http://127.0.0.1:${functionUrlPort}, for signed requests; npm run call signs
  Bedrock       ${bedrock}
  Settings      ${ssm}

Paste this into another terminal:

  curl -sN http://127.0.0.1:${port}/v1/chat -H 'x-api-key: ${key}' -H 'content-type: application/json' -H 'accept: text/event-stream' -d '{"prompt":"What is a Faraday cage?"}'

Ctrl-C stops the gateway; answers that are running may finish within 10 seconds.
`;

function stopOnSignal(doors: readonly HttpDoor[], stop: (reason: GatewayError) => void) {
  let stoppedAt: number | undefined;
  const onSignal = async () => {
    if (stoppedAt !== undefined) {
      if (Date.now() - stoppedAt > SECOND_SIGNAL_MS) process.exit(1);
      return;
    }
    stoppedAt = Date.now();
    const running = doors.reduce((sum, door) => sum + door.running, 0);
    if (running > 0) console.log(`Stopping; ${running} answers are still running.`);
    const idle = Promise.all(doors.map((door) => door.drain()));
    await Promise.race([idle, sleep(DRAIN_MS)]);
    stop(
      new GatewayError(
        'overloaded',
        'The gateway stopped before the answer was whole; send the request again.',
      ),
    );
    await Promise.race([idle, sleep(FAREWELL_MS)]);
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
