/**
 * Bedrock Runtime in front of an OpenAI-compatible server: it takes ConverseStream and InvokeModel (embeddings), asks that server, and
 * answers in Bedrock's frames, as fast as they are read. It checks no signature.
 */
import { once } from 'node:events';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import { EventSourceParserStream } from 'eventsource-parser/stream';
import {
  encodeFrame,
  invalid,
  jsonReply,
  play,
  type Reply,
  refusal,
  ServiceException,
  type Step,
} from '../replies.ts';
import { parseConverseRequest } from '../request.ts';
import { ROUTE } from '../simulator.ts';
import { toSteps } from './completion-chunks.ts';
import { toCompletion } from './completion-request.ts';
import { embed } from './embeddings.ts';
import { type ModelServer, post } from './model-server.ts';

/** A node:http request listener for `POST /model/{modelId}/converse-stream` and `…/invoke`; 404 for all else. */
export function createCompatibleBedrock(server: ModelServer): { readonly handle: RequestListener } {
  /** Never rejects: a refusal that cannot be sent any more ends the connection. */
  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const client = new AbortController();
    response.once('close', () => client.abort());
    try {
      await answer(request, response, client.signal);
    } catch (error) {
      await send(refusal(toException(error)), response, client.signal);
    }
  }

  async function answer(request: IncomingMessage, response: ServerResponse, gone: AbortSignal) {
    const [, encodedModel = '', operation] = ROUTE.exec(request.url ?? '') ?? [];
    if (request.method !== 'POST' || !operation) throw unknownOperation();
    const model = decodeURIComponent(encodedModel);
    const body = await json(request).catch(() => {
      throw invalid('Malformed input request, please reformat your input and try again.');
    });
    if (operation === 'converse-stream') await converse(model, body, response, gone);
    else {
      const { body: embedding, inputTokens } = await embed(server, model, body, gone);
      const headers = { 'x-amzn-bedrock-input-token-count': String(inputTokens) };
      await send(jsonReply(200, embedding, headers), response, gone);
    }
  }

  async function converse(model: string, body: unknown, response: ServerResponse, gone: AbortSignal) {
    const request = parseConverseRequest(body);
    const completion = toCompletion(model, request, Object(body).additionalModelRequestFields);
    const { body: bytes } = await post(server, '/chat/completions', completion, gone);
    response.writeHead(200, { 'content-type': 'application/vnd.amazon.eventstream' }).flushHeaders();
    const messages = bytes?.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
    if (messages) await stream(toSteps(messages), response, gone);
    response.end();
  }

  return { handle };
}

/** Waits for a reader who does not keep up, and takes no more from the server meanwhile. */
async function stream(steps: AsyncIterable<Step>, response: ServerResponse, gone: AbortSignal) {
  for await (const step of steps) {
    if (step.kind !== 'event' && step.kind !== 'exception') continue;
    const isTaken = response.write(encodeFrame(step.kind, step.type, step.payload));
    if (!isTaken) await once(response, 'drain', { signal: gone });
  }
}

const send = (reply: Reply, response: ServerResponse, gone: AbortSignal) =>
  play(reply, response, { tokensPerSecond: Infinity, gone }).catch(() => response.destroy());

const unknownOperation = () =>
  new ServiceException(404, 'UnknownOperationException', 'Only ConverseStream and InvokeModel are here.');

const toException = (error: unknown) =>
  error instanceof ServiceException
    ? error
    : new ServiceException(500, 'InternalServerException', 'The request could not be passed on.');
