/** An OpenAI-compatible server as the real SDK sees it through Bedrock's listener. */
import { setTimeout } from 'node:timers/promises';
import { ConverseStreamCommand, type ConverseStreamOutput } from '@aws-sdk/client-bedrock-runtime';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bedrockClient } from '../../helpers/bedrock-client.ts';
import {
  DONE,
  llamaCpp,
  type ModelStandIn,
  ollama,
  sendChunks,
  sendJson,
  startCompatibleBedrock,
  startModelServer,
} from '../../helpers/compatible-server.ts';
import { until } from '../../helpers/gateway.ts';
import { rejectionOf } from '../../helpers/rejects.ts';

async function build(respond: ModelStandIn['respond'], key?: string) {
  const models = await startModelServer(respond);
  const bedrock = await startCompatibleBedrock({ url: models.url, ...(key && { key }) });
  const client = bedrockClient(bedrock.url);
  return {
    models,
    url: bedrock.url,
    async ask(modelId = 'llama3.2:1b') {
      const events: ConverseStreamOutput[] = [];
      const messages = [{ role: 'user' as const, content: [{ text: 'Hi' }] }];
      const { stream = [] } = await client.send(new ConverseStreamCommand({ modelId, messages }));
      for await (const event of stream) events.push(event);
      return events;
    },
    async [Symbol.asyncDispose]() {
      client.destroy();
      await bedrock.close();
      await models.close();
    },
  };
}

const converse = suite('createCompatibleBedrock: ConverseStream');

converse('the SDK reads a whole answer, comments between the chunks or not', async () => {
  const { begin, say, stop, usage } = llamaCpp;
  await using bedrock = await build(
    sendChunks([begin, ': keepalive\n\n', say('Grüße'), stop('stop'), usage, DONE]),
  );
  const events = await bedrock.ask();
  assert.equal(
    events.map((event) => Object.keys(event)[0]),
    ['messageStart', 'contentBlockDelta', 'contentBlockStop', 'messageStop', 'metadata'],
  );
  assert.is(events[1]?.contentBlockDelta?.delta?.text, 'Grüße');
  assert.is(events[3]?.messageStop?.stopReason, 'end_turn');
  assert.is(events[4]?.metadata?.usage?.inputTokens, 26);
});

converse(
  'the model’s name arrives as it is, whatever is in it; so does the key, if there is one',
  async () => {
    for (const [model, key] of [
      ['library/llama3.2:1b', 'sesame'],
      ['models/a b.gguf', undefined],
    ] as const) {
      await using bedrock = await build(sendChunks([ollama.stop]), key);
      await bedrock.ask(model);
      const [call] = bedrock.models.calls;
      assert.is(call?.path, '/v1/chat/completions');
      assert.is(call?.body['model'], model);
      assert.is(call?.authorization, key && `Bearer ${key}`);
    }
  },
);

converse(
  'a failure of the server is one that Bedrock has, and that the SDK repeats only where it helps',
  async () => {
    await using bedrock = await build(() => undefined);
    const failures = [
      [400, 'ValidationException', 400],
      [401, 'AccessDeniedException', 403],
      [403, 'AccessDeniedException', 403],
      [404, 'ResourceNotFoundException', 404],
      [408, 'ModelTimeoutException', 408],
      [413, 'ValidationException', 400],
      [429, 'ThrottlingException', 429],
      [500, 'ModelErrorException', 424],
      [503, 'ServiceUnavailableException', 503],
      [504, 'ModelTimeoutException', 408],
    ] as const;
    for (const [status, name, ours] of failures) {
      bedrock.models.respond = sendJson({ error: { message: 'No.'.repeat(1_000) } }, status);
      const error = Object(await rejectionOf(bedrock.ask()));
      assert.equal([error.name, error.$metadata.httpStatusCode], [name, ours]);
      assert.ok(error.message.length < 1_100);
    }
  },
);

converse('a request that Bedrock would refuse is refused, and the server is not asked', async () => {
  await using bedrock = await build(sendChunks([ollama.stop]));
  const send = (path: string, body: string) => fetch(`${bedrock.url}${path}`, { method: 'POST', body });
  const found = await Promise.all([
    send('/model/llama/converse-stream', '{"messages":[]}'),
    send('/model/llama/converse-stream', 'no JSON'),
    send('/model/llama/converse', '{}'),
    send('/', '{}'),
    fetch(`${bedrock.url}/model/llama/converse-stream`),
  ]);
  assert.equal(
    found.map(({ status }) => status),
    [400, 400, 404, 404, 404],
  );
  assert.is(bedrock.models.calls.length, 0);
});

converse('an answer that stops without its end breaks the connection', async () => {
  for (const end of ['whole', 'fin'] as const) {
    await using bedrock = await build(sendChunks([ollama.say('A')], end));
    assert.is(Object(await rejectionOf(bedrock.ask())).code, 'ECONNRESET', end);
  }
});

const post = (url: string, path: string, body: object, init: RequestInit = {}) =>
  fetch(`${url}/model/${path}`, { method: 'POST', body: JSON.stringify(body), ...init });
const hi = { messages: [{ role: 'user', content: [{ text: 'Hi' }] }] };

converse('a client that leaves before the answer has begun ends the question at the server', async () => {
  await using bedrock = await build(() => undefined);
  const leaving = new AbortController();
  const answer = post(bedrock.url, 'llama/converse-stream', hi, { signal: leaving.signal });
  await until(() => bedrock.models.calls.length === 1);
  leaving.abort();
  await rejectionOf(answer);
  await until(() => bedrock.models.leftEarly === 1);
});

converse('the server waits for a client that reads slowly', async () => {
  const megabyte = 'x'.repeat(1_000_000);
  let sent = 0;
  const chunks = {
    *[Symbol.iterator]() {
      for (; sent < 100; sent++) yield ollama.say(megabyte);
      yield ollama.stop;
    },
  };
  await using bedrock = await build(sendChunks(chunks));
  const response = await post(bedrock.url, 'llama/converse-stream', hi);
  // It is stuck when nothing has moved for a while; one that does not wait has sent all by then.
  for (let before = -1; before !== sent; await setTimeout(300)) before = sent;
  assert.ok(sent < 50, `${sent} MB were taken from the server`);
  let received = 0;
  for await (const bytes of response.body ?? []) received += bytes.length;
  assert.ok(received > 100_000_000, `${received} bytes were received`);
});

converse.run();

// ---

const TITAN = 'amazon.titan-embed-text-v2:nomic-embed-text:v1.5';

/** A model whose vectors are this long, unless it is asked for shorter ones and can do that. */
const embedder =
  (length: number, canShorten = false): ModelStandIn['respond'] =>
  (call, response) => {
    const wanted = canShorten ? Number(call.body['dimensions'] ?? length) : length;
    const embedding = Array.from({ length: wanted }, (_, index) => index + 1);
    sendJson({ data: [{ index: 0, embedding }], usage: { prompt_tokens: 7 } })(call, response);
  };

const invoke = suite('createCompatibleBedrock: InvokeModel');

async function embed({ url }: { readonly url: string }, model: string, body: object) {
  const response = await post(url, `${encodeURIComponent(model)}/invoke`, body);
  const { headers } = response;
  const answer = (await response.json()) as { readonly embedding?: number[]; readonly message?: string };
  const error = headers.get('x-amzn-errortype')?.split(':')[0];
  return { ...answer, error, tokens: headers.get('x-amzn-bedrock-input-token-count') };
}

invoke('vectors come in the shape of Titan’s, and the name says of which model', async () => {
  await using bedrock = await build(embedder(3));
  const { error, ...answer } = await embed(bedrock, TITAN, { inputText: 'Hi', dimensions: 3 });
  const embedding = [1, 2, 3];
  const embeddingsByType = { float: embedding };
  assert.equal(answer, { embedding, embeddingsByType, inputTextTokenCount: 7, tokens: '7' });
  const [call] = bedrock.models.calls;
  assert.is(call?.path, '/v1/embeddings');
  assert.equal(call?.body, { model: 'nomic-embed-text:v1.5', input: 'Hi', encoding_format: 'float' });
});

invoke(
  'a shorter vector is filled up with zeros, a longer one shortened by the server or refused',
  async () => {
    await using bedrock = await build(embedder(2));
    const question = { inputText: 'Hi', dimensions: 4 };
    assert.equal((await embed(bedrock, 'bge-m3', question)).embedding, [1, 2, 0, 0]);
    assert.equal(
      bedrock.models.calls.map(({ body }) => body['model']),
      ['bge-m3'],
    );
    bedrock.models.respond = embedder(8, true);
    assert.equal((await embed(bedrock, TITAN, question)).embedding, [1, 2, 3, 4]);
    bedrock.models.respond = embedder(8);
    const { message } = await embed(bedrock, TITAN, question);
    assert.is(message, 'This model’s vectors have 8 numbers, which are more than 4.');
  },
);

invoke('what is no request of Titan’s, and what is no vector, is refused', async () => {
  await using bedrock = await build(sendJson({ data: [] }));
  const { error } = await embed(bedrock, 'cohere.embed-v4:0', { texts: ['Hi'] });
  assert.is(error, 'ValidationException');
  assert.is((await embed(bedrock, TITAN, { inputText: 'Hi' })).error, 'ModelErrorException');
});

invoke.run();
