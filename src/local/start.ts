/**
 * `npm start`: the gateway on this machine. It opens the doors over stand-ins for AWS and sets the variables that every AWS SDK reads;
 * the product behind the doors is the one that is deployed, and does not know where it runs.
 */
import type { Server } from 'node:http';
import { GatewayError } from '../chat/errors.ts';
import { defaultSettings } from '../chat/settings.ts';
import { environment } from '../names.ts';
import { startBedrockSimulator } from './bedrock/simulator.ts';
import { createKeyring, loadOrCreateKey, parseKeys } from './keys.ts';
import { help, type Options, parseOptions } from './options.ts';
import { createRestApi, type RestApi } from './rest-api.ts';
import { awslambdaStandIn } from './runtime.ts';

const KEY_PATH = '.local/api-key';

/** How long running answers may go on after Ctrl-C, and how long they then have to say that they were ended. */
const DRAIN_MS = 8_000;
const FAREWELL_MS = 1_500;

/** npm passes a terminal's Ctrl-C on although it was received already; only a later one is the user's second. */
const SECOND_SIGNAL_MS = 2_000;

async function start() {
  const { env } = process;
  const options = parseOptions(process.argv.slice(2), env);
  if (options.help) return console.log(help);
  const keys = env['LOCAL_API_KEYS']
    ? parseKeys('LOCAL_API_KEYS', env['LOCAL_API_KEYS'])
    : new Map([['local', loadOrCreateKey(options.memory ? undefined : KEY_PATH)]]);

  const bedrock = await pointAtBedrock(options, env);
  env['AWS_REGION'] ||= env['AWS_DEFAULT_REGION'] || 'us-east-1';
  env[environment.allowedModels] ||= [...defaultSettings.allowedModels, 'simulator.*'].join(',');

  Object.assign(globalThis, { awslambda: awslambdaStandIn });
  const [{ handler }, { handler: authorizer }, { gateway }] = await Promise.all([
    import('../http.lambda.ts'),
    import('../authorizer.lambda.ts'),
    import('../wire.ts'),
  ]);
  const restApi = createRestApi({ handler, authorizer, findTenant: createKeyring(keys) });
  const port = await listen(restApi.server, options.port, 'PORT');
  env[environment.allowedOrigins] ||= `http://127.0.0.1:${port},http://localhost:${port}`;

  console.log(welcome(port, bedrock, [...keys.values()][0] ?? ''));
  stopOnSignal(restApi, (reason) => gateway().stop(reason));
}

/** Where answers come from, as a line for the user. Credentials are only made up for servers that do not check them. */
async function pointAtBedrock({ bedrock, awsPort }: Options, env: NodeJS.ProcessEnv): Promise<string> {
  const endpoint = 'AWS_ENDPOINT_URL_BEDROCK_RUNTIME';
  if (bedrock === 'aws') {
    delete env[endpoint];
    return 'Amazon Bedrock, with your credentials';
  }
  if (!env['AWS_ACCESS_KEY_ID'] && !env['AWS_PROFILE'] && !env['AWS_BEARER_TOKEN_BEDROCK']) {
    Object.assign(env, { AWS_ACCESS_KEY_ID: 'local', AWS_SECRET_ACCESS_KEY: 'local' });
  }
  if (bedrock === 'endpoint') return `the server at ${env[endpoint]}`;
  const simulator = await startBedrockSimulator({ port: awsPort }).catch((error) => {
    throw toListenError(error, awsPort, 'AWS_PORT');
  });
  env[endpoint] = simulator.url;
  return `the built-in simulator at ${simulator.url}, which is no real model`;
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

const welcome = (port: number, bedrock: string, key: string) => `
LLM Gateway on this machine

  REST      http://127.0.0.1:${port}
  Bedrock   ${bedrock}

Paste this into another terminal:

  curl -sN http://127.0.0.1:${port}/v1/chat -H 'x-api-key: ${key}' -H 'content-type: application/json' -H 'accept: text/event-stream' -d '{"prompt":"What is a Faraday cage?"}'

Ctrl-C stops the gateway; answers that are running may finish within 10 seconds.
`;

function stopOnSignal(restApi: RestApi, stop: (reason: GatewayError) => void) {
  let stoppedAt: number | undefined;
  const onSignal = async () => {
    if (stoppedAt !== undefined) {
      if (Date.now() - stoppedAt > SECOND_SIGNAL_MS) process.exit(1);
      return;
    }
    stoppedAt = Date.now();
    if (restApi.running > 0) console.log(`Stopping; ${restApi.running} answers are still running.`);
    const idle = restApi.drain();
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
