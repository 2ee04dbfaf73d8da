/** The gateway as clients find it: an address, a key, and a model behind it that answers at once. */
import { createSigningFetch } from '../../../samples/signing-fetch.ts';
import { type Gateway, type GatewayOptions, people, startGateway, until } from '../../helpers/gateway.ts';

export const MODEL = 'global.amazon.nova-2-lite-v1:0';
export const THINKING_MODEL = 'global.anthropic.claude-haiku-4-5-20251001-v1:0';
export const EMBEDDING_MODEL = 'amazon.titan-embed-text-v2:0';

/** A question whose answer can be left in the middle, at `SLOW.tokensPerSecond`. */
export const LONG_PROMPT = `ECHO ${'word '.repeat(200)}`;
export const SLOW = { tokensPerSecond: 25 } as const satisfies GatewayOptions;

/** Opens the gateway for a test, and closes it when nothing is running upstream any more. */
export const inGateway =
  (test: (gateway: Gateway) => Promise<void>, options: GatewayOptions = {}) =>
  async () => {
    const gateway = await startGateway({ tokensPerSecond: Infinity, ...options });
    try {
      await test(gateway);
      await until(() => gateway.ledger.open === 0);
    } finally {
      await gateway.close();
    }
  };

/** The three things that every client is told. Behind a Function URL the key is as good as none, and each request is signed. */
export const accessTo = ({ url, door }: Gateway) => ({
  baseURL: `${url}/v1`,
  apiKey: door === 'function-url' ? 'unused' : people.alice.key,
  ...(door === 'function-url' && { fetch: createSigningFetch({ credentials: async () => people.alice }) }),
});

/** How many requests have come to a route so far. */
export const countRequests = ({ records }: Gateway, route = '/v1/chat/completions') =>
  records.filter((record) => record.route === route).length;

/** What a promise fails with. */
export const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => Promise.reject(new Error('It should have failed.')),
    (error: unknown) => error,
  );

export async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** A red dot, as PNG. */
export const PNG =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==';
export const PDF = Buffer.from('%PDF-1.4\n%%EOF\n').toString('base64');
