/**
 * Joins the parts, once per process and not before the first event. The only file that reads the environment and makes AWS
 * clients; where those clients point is left to the variables that every AWS SDK reads.
 */
import { randomUUID } from 'node:crypto';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { Logger } from '@aws-lambda-powertools/logger';
import { BedrockRuntimeClient } from '@aws-sdk/client-bedrock-runtime';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { createBedrockModel } from './aws/bedrock.ts';
import { createAsk } from './chat/ask.ts';
import type { Clock } from './chat/clock.ts';
import type { GatewayError } from './chat/errors.ts';
import { defaultSettings, type Settings } from './chat/settings.ts';
import { createApp } from './doors/app.ts';
import type { LambdaDoorParts } from './doors/lambda.ts';
import { environment, SERVICE_NAME } from './names.ts';

export type Gateway = LambdaDoorParts & {
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
  const settings = readSettings(env);
  const ask = createAsk({ model: createBedrockModel({ client: createBedrockClient(), clock }) });
  const app = createApp({
    ask,
    loadSettings: async () => settings,
    clock,
    allowedOrigins: readList(env[environment.allowedOrigins]) ?? [],
  });
  const logger = new Logger({ serviceName: SERVICE_NAME });
  const stopping = new AbortController();
  return {
    app,
    clock,
    log: (record) => logger.info('request', { ...record }),
    newRequestId: randomUUID,
    stopping: stopping.signal,
    stop: (reason) => stopping.abort(reason),
  };
}

export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms);
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

function readSettings(env: NodeJS.ProcessEnv): Settings {
  return {
    ...defaultSettings,
    defaultModel: env[environment.defaultModel] || defaultSettings.defaultModel,
    allowedModels: readList(env[environment.allowedModels]) ?? defaultSettings.allowedModels,
  };
}

/** `a, b` as `['a', 'b']`; nothing for a variable that is unset or empty. */
function readList(value: string | undefined): readonly string[] | undefined {
  const items = value?.split(',').map((item) => item.trim());
  const filled = items?.filter((item) => item !== '');
  return filled?.length ? filled : undefined;
}
