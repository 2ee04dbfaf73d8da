/** The gateway over real sockets: REST stand-in, Lambda events, the real SDK, the simulator's real frames. */
import type { AddressInfo } from 'node:net';
import { createParser } from 'eventsource-parser';
import { handler as authorizer } from '../../src/authorizer.lambda.ts';
import { createBedrockModel } from '../../src/aws/bedrock.ts';
import { createAsk } from '../../src/chat/ask.ts';
import { defaultSettings, type Settings } from '../../src/chat/settings.ts';
import { createApp } from '../../src/doors/app.ts';
import { createLambdaDoor } from '../../src/doors/lambda.ts';
import type { RequestRecord } from '../../src/doors/record.ts';
import { type Ledger, startBedrockSimulator } from '../../src/local/bedrock/simulator.ts';
import { createRestApi } from '../../src/local/rest-api.ts';
import { awslambdaStandIn } from '../../src/local/runtime.ts';
import { systemClock } from '../../src/wire.ts';
import { bedrockClient } from './bedrock-client.ts';

export const KEY = 'test-key-of-twenty-characters';

export type Gateway = {
  readonly url: string;
  readonly ledger: Ledger;
  readonly records: readonly RequestRecord[];
  chat(body: object, init?: RequestInit): Promise<Response>;
  close(): Promise<void>;
};

type Options = {
  readonly settings?: Partial<Settings>;
  readonly tokensPerSecond?: number;
  /** In place of the simulator. */
  readonly endpoint?: string;
  readonly functionTimeoutMs?: number;
};

export async function startGateway(options: Options = {}): Promise<Gateway> {
  const simulator = await startBedrockSimulator({ tokensPerSecond: options.tokensPerSecond ?? 2000 });
  const client = bedrockClient(options.endpoint ?? simulator.url, 3);
  const settings = { ...defaultSettings, allowedModels: ['*'], ...options.settings };
  const records: RequestRecord[] = [];
  const app = createApp({
    ask: createAsk({ model: createBedrockModel({ client, clock: systemClock }) }),
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
  const { server } = createRestApi({
    handler: createLambdaDoor(awslambdaStandIn.HttpResponseStream, () => parts),
    authorizer,
    findTenant: (key) => (key === KEY ? 'alice' : undefined),
    ...(options.functionTimeoutMs !== undefined && { functionTimeoutMs: options.functionTimeoutMs }),
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    ledger: simulator.ledger,
    records,
    chat: (body, init = {}) =>
      fetch(`${url}/v1/chat`, {
        method: 'POST',
        headers: { 'x-api-key': KEY, 'content-type': 'application/json' },
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
