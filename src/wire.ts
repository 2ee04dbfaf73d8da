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
import { createBedrockModel } from './aws/bedrock.ts';
import { countMetric } from './aws/metrics.ts';
import { createLiveSettings, type SettingsNotice } from './aws/parameters.ts';
import { createParameterReader } from './aws/ssm.ts';
import { createAsk } from './chat/ask.ts';
import { type Notice, withAttempts } from './chat/attempts.ts';
import type { Clock } from './chat/clock.ts';
import type { GatewayError } from './chat/errors.ts';
import { createApp } from './doors/app.ts';
import type { LambdaDoorParts } from './doors/lambda.ts';
import {
  DEFAULT_STACK_NAME,
  deployedModels,
  environment,
  readList,
  SERVICE_NAME,
  settingsPath,
} from './names.ts';

const SETTINGS_MAX_AGE_SECONDS = 60;

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
  const logger = new Logger({ serviceName: SERVICE_NAME });
  const model = createBedrockModel({ client: createBedrockClient(), clock });
  const app = createApp({
    ask: createAsk({ model: withAttempts(model, (notice) => logNotice(logger, notice)) }),
    loadSettings: createLiveSettings({
      read: createParameterReader(
        createSsmClient(),
        env[environment.settingsPath] || settingsPath(DEFAULT_STACK_NAME),
      ),
      deployed: deployedModels(env),
      maxAgeMs: 1000 * (Number(env[environment.settingsMaxAgeSeconds]) || SETTINGS_MAX_AGE_SECONDS),
      clock,
      random: Math.random,
      notify: (notice) => logSettingsNotice(logger, notice, clock.now()),
      onTaken: ({ logLevel }) => logger.setLogLevel(logLevel),
    }),
    clock,
    allowedOrigins: readList(env[environment.allowedOrigins]),
  });
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

function logNotice(logger: Logger, notice: Notice) {
  if (notice.type === 'field-refused') {
    const { omit, oneOf } = notice.quirk;
    logger.warn('model refuses fields', { model: notice.model, omit, one_of: oneOf });
  } else {
    logger.warn('fell back to another model', { from: notice.from, to: notice.to, code: notice.code });
  }
}

function logSettingsNotice(logger: Logger, notice: SettingsNotice, now: number) {
  switch (notice.type) {
    case 'settings-taken':
      logger.info('settings taken', { changed: notice.changed });
      if (notice.unknown.length > 0) logger.warn('settings unknown', { settings: notice.unknown });
      return;
    case 'settings-refused': {
      const { names, sentences } = notice;
      logger.error('settings refused', {
        settings: names,
        problems: sentences,
        ...countMetric('SettingsRefused', now),
      });
      return;
    }
    case 'settings-unreadable': {
      const { cause, ageSeconds } = notice;
      const counted = countMetric('SettingsUnreadable', now);
      logger.error('settings unreadable', { cause: namesOf(cause), age_seconds: ageSeconds, ...counted });
    }
  }
}

/** What was thrown, outermost first. No messages: they may quote. */
const namesOf = (thrown: unknown): string[] =>
  thrown instanceof Error ? [thrown.name, ...namesOf(thrown.cause)] : [];

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

/** The second attempt is for a connection that died while the process was frozen; all else is done in `aws/parameters.ts`. */
const createSsmClient = () =>
  new SSMClient({
    maxAttempts: 2,
    requestHandler: new NodeHttpHandler({ connectionTimeout: 1_000, requestTimeout: 2_000 }),
  });
