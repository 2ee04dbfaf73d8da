/**
 * An embedded stand-in for Amazon Bedrock Runtime: ConverseStream and InvokeModel (embeddings) over HTTP/1.1, for the
 * laptop and for tests. It checks no signature. What it says comes from `model.ts`, what goes wrong on
 * request from `faults.ts`.
 */
import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { embed } from './embeddings.ts';
import type { Fault } from './fault-kinds.ts';
import { findFault } from './faults.ts';
import { simulateAnswer } from './model.ts';
import { createPromptCache, type PromptCache } from './prompt-cache.ts';
import { invalid, jsonReply, play, type Reply, refusal, ServiceException, streamReply } from './replies.ts';
import { parseConverseRequest } from './request.ts';

/** Counts of requests, kept up to date: `opened` = `open` + `completed` + `closedEarly`. */
export type Ledger = {
  /** Received in all, refused ones and unknown paths included. */
  readonly opened: number;
  /** Still being read or answered. */
  readonly open: number;
  /** Answered to the end, or to the break that a fault asked for. */
  readonly completed: number;
  /** Left by the client before the end. */
  readonly closedEarly: number;
};

/** How a simulator behaves. */
export type SimulatorOptions = {
  /** Pace of the answers; `Infinity` sends them without any pause. @defaultValue 50 */
  readonly tokensPerSecond?: number;
};

/** A simulator without a server of its own. */
export type BedrockSimulator = {
  /** A node:http request listener for `POST /model/{modelId}/converse-stream` and `…/invoke`; 404 for all else. */
  readonly handle: (request: IncomingMessage, response: ServerResponse) => void;
  readonly ledger: Ledger;
};

/** Creates a simulator to be mounted in a server. Throws RangeError for a pace of 0 or less. */
export function createBedrockSimulator({ tokensPerSecond = 50 }: SimulatorOptions = {}): BedrockSimulator {
  if (!(tokensPerSecond > 0)) throw new RangeError('tokensPerSecond must be above 0.');
  const ledger = { opened: 0, open: 0, completed: 0, closedEarly: 0 };
  const memory: Memory = { refusedOnce: new Set(), promptCache: createPromptCache() };

  /** Never rejects: what goes wrong here ends the connection. */
  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    ledger.opened += 1;
    ledger.open += 1;
    const client = new AbortController();
    response.once('close', () => client.abort());
    try {
      const reply = toReply(request, await text(request), memory);
      response.setHeader('x-amzn-requestid', randomUUID());
      await play(reply, response, { tokensPerSecond, gone: client.signal });
      ledger.completed += 1;
    } catch {
      ledger.closedEarly += 1;
      response.destroy();
    } finally {
      ledger.open -= 1;
    }
  }

  return { handle, ledger };
}

/** A simulator that listens on its own port. */
export type BedrockServer = {
  readonly url: string;
  readonly ledger: Ledger;
  /** Stops listening and breaks off what is still being answered. */
  readonly close: () => Promise<void>;
};

/** Starts a simulator on 127.0.0.1, on any free port unless one is given. */
export async function startBedrockSimulator(
  options: SimulatorOptions & { readonly port?: number } = {},
): Promise<BedrockServer> {
  const { handle, ledger } = createBedrockSimulator(options);
  const server = createServer(handle).listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  async function close(): Promise<void> {
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  }

  return { url: `http://127.0.0.1:${port}`, ledger, close };
}

/** The model as it stands in the path, and the operation. */
export const ROUTE = /^\/model\/([^/?]+)\/(converse-stream|invoke)(?:\?|$)/;

/** The words of AWS's common front end for a path that no operation has. */
const UNKNOWN_OPERATION = jsonReply(
  404,
  { Output: { __type: 'com.amazon.coral.service#UnknownOperationException' }, Version: '1.0' },
  { 'x-amzn-errortype': 'UnknownOperationException' },
);

/** What is remembered from request to request. */
type Memory = { readonly refusedOnce: Set<string>; readonly promptCache: PromptCache };

function toReply(request: IncomingMessage, body: string, { refusedOnce, promptCache }: Memory): Reply {
  const { method, url = '', headers } = request;
  const [, encodedModelId = '', operation] = ROUTE.exec(url) ?? [];
  if (method !== 'POST' || operation === undefined) return UNKNOWN_OPERATION;
  try {
    const modelId = parseModelId(encodedModelId);
    const input = parseJson(body);
    const converse = operation === 'converse-stream' ? parseConverseRequest(input) : undefined;
    const answer = () =>
      converse ? streamReply(simulateAnswer(modelId, converse, promptCache)) : embeddingReply(modelId, input);
    const fault = chooseFault(modelId, headers['x-simulator-fault']);
    if (!fault || (fault.stage === 'stream' && !converse)) return answer();
    const isRetry = () => toggle(refusedOnce, createHash('sha256').update(url).update(body).digest('hex'));
    return fault.spoil(answer, { request: converse ?? {}, isRetry });
  } catch (error) {
    if (error instanceof ServiceException) return refusal(error);
    return refusal(new ServiceException(500, 'InternalServerException', `The simulator failed: ${error}`));
  }
}

function embeddingReply(modelId: string, input: unknown): Reply {
  const { body, inputTokens } = embed(modelId, input);
  return jsonReply(200, body, { 'x-amzn-bedrock-input-token-count': String(inputTokens) });
}

function chooseFault(modelId: string, header: string | string[] | undefined): Fault | undefined {
  const [, name] = /^simulator\.(.+)$/.exec(modelId) ?? [];
  if (header === undefined) return name === undefined ? undefined : findFault(name);
  const fault = findFault(String(header));
  // A misspelt header in a test must not pass for a healthy answer.
  if (!fault) throw invalid(`The simulator knows no fault named '${header}'.`);
  return fault;
}

/** Takes the key out if it was in, else puts it in; says whether it was in. */
function toggle(keys: Set<string>, key: string): boolean {
  const known = keys.delete(key);
  if (!known) keys.add(key);
  return known;
}

function parseModelId(encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch {
    throw invalid('The provided model identifier is invalid.');
  }
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    throw invalid('Malformed input request, please reformat your input and try again.');
  }
}
