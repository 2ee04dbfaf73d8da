/** The gateway over real sockets: REST stand-in, Lambda events, the real SDK, the simulator's real frames. */
import type { AddressInfo } from 'node:net';
import { AwsClient } from 'aws4fetch';
import { createParser } from 'eventsource-parser';
import { handler as authorizer } from '../../src/authorizer.lambda.ts';
import { createBedrockModel } from '../../src/aws/bedrock.ts';
import { createAsk } from '../../src/chat/ask.ts';
import { withAttempts } from '../../src/chat/attempts.ts';
import type { Settings } from '../../src/chat/settings.ts';
import { createApp } from '../../src/doors/app.ts';
import { createLambdaDoor } from '../../src/doors/lambda.ts';
import type { RequestRecord } from '../../src/doors/record.ts';
import { type Ledger, startBedrockSimulator } from '../../src/local/bedrock/simulator.ts';
import { createFunctionUrl } from '../../src/local/doors/function-url.ts';
import { createRestApi } from '../../src/local/doors/rest-api.ts';
import { awslambdaStandIn } from '../../src/local/doors/runtime.ts';
import { systemClock } from '../../src/wire.ts';
import { bedrockClient } from './bedrock-client.ts';
import { defaultSettings } from './requests.ts';

export const KEY = 'test-key-of-twenty-characters';
const ACCESS_KEY = { accessKeyId: 'AKIATEST', secretAccessKey: 'test-secret' };

export type Gateway = {
  readonly door: 'rest' | 'function-url';
  /** Who `send` and `chat` call as. */
  readonly tenant: string;
  readonly url: string;
  readonly ledger: Ledger;
  readonly records: readonly RequestRecord[];
  /** A request of a known caller. */
  send(path: string, init?: RequestInit): Promise<Response>;
  chat(body: object, init?: RequestInit): Promise<Response>;
  close(): Promise<void>;
};

type Options = {
  readonly door?: Gateway['door'];
  readonly settings?: Partial<Settings>;
  readonly tokensPerSecond?: number;
  /** In place of the simulator. */
  readonly endpoint?: string;
  readonly functionTimeoutMs?: number;
};

export async function startGateway(options: Options = {}): Promise<Gateway> {
  const { door = 'rest', functionTimeoutMs } = options;
  const simulator = await startBedrockSimulator({ tokensPerSecond: options.tokensPerSecond ?? 2000 });
  const client = bedrockClient(options.endpoint ?? simulator.url, 3);
  const settings = { ...defaultSettings, allowedModels: ['*'], modelCeiling: ['*'], ...options.settings };
  const records: RequestRecord[] = [];
  const model = withAttempts(createBedrockModel({ client, clock: systemClock }), () => undefined);
  const app = createApp({
    ask: createAsk({ model }),
    loadSettings: async () => settings,
    clock: systemClock,
    allowedOrigins: [],
  });
  const parts = {
    app,
    clock: systemClock,
    log: (record: Readonly<RequestRecord>) => void records.push({ ...record }),
    newRequestId: () => crypto.randomUUID(),
    stopping: new AbortController().signal,
  };
  const common = {
    handler: createLambdaDoor(awslambdaStandIn.HttpResponseStream, () => parts),
    ...(functionTimeoutMs !== undefined && { limits: { functionMs: functionTimeoutMs } }),
  };
  const { server } =
    door === 'rest'
      ? createRestApi({ ...common, authorizer, findTenant: (key) => (key === KEY ? 'alice' : undefined) })
      : createFunctionUrl({ ...common, secretOf, allowedOrigins: () => [] });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const send = async (path: string, init: RequestInit = {}) =>
    await fetch(`${url}${path}`, door === 'rest' ? withKey(init) : await signed(`${url}${path}`, init));
  return {
    door,
    tenant: door === 'rest' ? 'alice' : ACCESS_KEY.accessKeyId,
    url,
    ledger: simulator.ledger,
    records,
    send,
    chat: (body, init = {}) =>
      send('/v1/chat', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
        ...init,
      }),
    async close() {
      client.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await simulator.close();
    },
  };
}

const secretOf = (id: string) => (id === ACCESS_KEY.accessKeyId ? ACCESS_KEY.secretAccessKey : undefined);

function withKey(init: RequestInit): RequestInit {
  const headers = new Headers(init.headers);
  headers.set('x-api-key', KEY);
  return { ...init, headers };
}

async function signed(url: string, init: RequestInit): Promise<RequestInit> {
  const aws = new AwsClient({ ...ACCESS_KEY, service: 'lambda', region: 'us-east-1' });
  if (!(init.body instanceof ReadableStream))
    return { ...init, headers: (await aws.sign(url, init)).headers };
  const body = await new Response(init.body).arrayBuffer();
  const { headers } = await aws.sign(url, { ...init, body });
  return { ...init, headers, body: new Blob([body]).stream() };
}

export type SseEvent = { readonly name: string; readonly data: Record<string, unknown> };

/** The events of a stream, as a client's parser reads them. */
export async function readSse(response: Response): Promise<SseEvent[]> {
  const events: SseEvent[] = [];
  const parser = createParser({
    onEvent: ({ event = '', data }) => void events.push({ name: event, data: JSON.parse(data) }),
  });
  parser.feed(await response.text());
  return events;
}

/** Waits until it is so; a file's time limit ends it when it never is. */
export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5));
}
