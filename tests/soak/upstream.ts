/**
 * Bedrock's simulator behind a server that keeps books: which request called it, how often, and when each call was over. Requests are
 * told apart by their model, since nothing else of them is in the URL.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createBedrockSimulator, type Ledger } from '../../src/local/bedrock/simulator.ts';

export type Call = { closedAt: number | undefined };

export type Upstream = {
  readonly url: string;
  readonly ledger: Ledger;
  /** By the model that was asked for. Times are those of `performance.now()`. */
  readonly calls: ReadonlyMap<string, readonly Call[]>;
  close(): Promise<void>;
};

/** `waitMs` says how long a model is silent before its answer begins. */
export async function startUpstream(
  tokensPerSecond: number,
  waitMs: (model: string) => number = () => 0,
): Promise<Upstream> {
  const { handle, ledger } = createBedrockSimulator({ tokensPerSecond });
  const calls = new Map<string, Call[]>();
  const server = createServer(async (request, response) => {
    const model = decodeURIComponent(request.url?.split('/')[2] ?? '');
    const call: Call = { closedAt: undefined };
    calls.set(model, [...(calls.get(model) ?? []), call]);
    response.once('close', () => (call.closedAt = performance.now()));
    if (waitMs(model) > 0) await sleep(waitMs(model));
    handle(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  async function close() {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }

  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, ledger, calls, close };
}
