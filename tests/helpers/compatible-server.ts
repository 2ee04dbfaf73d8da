/** A stand-in for Ollama, llama.cpp and their like: chunks as these send them, and Bedrock's listener in front of it. */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import { createCompatibleBedrock } from '../../src/local/bedrock/compatible/compatible-bedrock.ts';
import { listen, stop } from './gateway.ts';

export type Call = {
  readonly path: string;
  readonly body: Record<string, unknown>;
  readonly authorization: string | undefined;
};
type Respond = (call: Call, response: ServerResponse) => unknown;

export type ModelStandIn = {
  readonly url: string;
  readonly calls: readonly Call[];
  /** Answers that were left before their end. */
  readonly leftEarly: number;
  respond: Respond;
  close(): Promise<void>;
};

export async function startModelServer(respond: Respond = () => undefined): Promise<ModelStandIn> {
  const calls: Call[] = [];
  let leftEarly = 0;
  const server = createServer(async (request, response) => {
    const body = (await json(request).catch(() => ({}))) as Call['body'];
    const call = { path: request.url ?? '', body, authorization: request.headers.authorization };
    calls.push(call);
    response.once('close', () => {
      if (!response.writableFinished) leftEarly++;
    });
    await self.respond(call, response);
  });
  const self = {
    url: `${await listen(server)}/v1`,
    calls,
    get leftEarly() {
      return leftEarly;
    },
    respond,
    close: () => stop(server),
  };
  return self;
}

/** Bedrock in front of a model server. */
export async function startCompatibleBedrock(server: { readonly url: string; readonly key?: string }) {
  const bedrock = createServer(createCompatibleBedrock(server).handle);
  return { url: await listen(bedrock), close: () => stop(bedrock) };
}

export const sendJson =
  (value: unknown, status = 200): Respond =>
  (_, response) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));

export const sendModels = (...ids: string[]) =>
  sendJson({ object: 'list', data: ids.map((id) => ({ id, object: 'model' })) });

/** The chunks, a string as the bytes it is. `fin` cuts the body off, `open` never ends it. */
export const sendChunks =
  (chunks: Iterable<object | string>, end: 'whole' | 'fin' | 'open' = 'whole'): Respond =>
  async (_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
    for (const chunk of chunks) {
      const bytes = typeof chunk === 'string' ? chunk : `data: ${JSON.stringify(chunk)}\n\n`;
      if (!response.write(bytes)) await once(response, 'drain');
    }
    if (end === 'whole') response.end();
    if (end === 'fin') response.socket?.end();
  };

export const DONE = 'data: [DONE]\n\n';

const piece = (delta: object, finish_reason: string | null = null) => ({
  id: 'chatcmpl-1',
  object: 'chat.completion.chunk',
  created: 1_760_000_000,
  model: 'llama3.2:1b',
  choices: [{ index: 0, delta, finish_reason }],
});
const usage = { prompt_tokens: 26, completion_tokens: 5, total_tokens: 31 };
const closing = { ...piece({}), choices: [], usage };

/** Ollama says its role each time; calls come whole, and after them it may say `stop`. */
export const ollama = {
  say: (content: string) => piece({ role: 'assistant', content }),
  think: (reasoning: string) => piece({ role: 'assistant', content: '', reasoning }),
  call: (index: number, id: string, name: string, args: string) =>
    piece({
      role: 'assistant',
      content: '',
      tool_calls: [{ id, index, type: 'function', function: { name, arguments: args } }],
    }),
  stop: piece({ role: 'assistant', content: '' }, 'stop'),
  usage: closing,
};

/** llama.cpp begins with nothing, and sends calls in pieces. */
export const llamaCpp = {
  begin: piece({ role: 'assistant', content: null }),
  say: (content: string) => piece({ content }),
  think: (reasoning_content: string) => piece({ reasoning_content }),
  call: (index: number, id: string, name: string, args: string) =>
    piece({ tool_calls: [{ index, id, type: 'function', function: { name, arguments: args } }] }),
  argue: (index: number, args: string) => piece({ tool_calls: [{ index, function: { arguments: args } }] }),
  stop: (reason: string) => piece({}, reason),
  usage: { ...closing, timings: { prompt_n: 26, predicted_per_second: 40.1 } },
};
