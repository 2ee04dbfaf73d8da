/** The whole gateway in front of an OpenAI-compatible server. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readSse } from '../../helpers/clients.ts';
import {
  DONE,
  llamaCpp,
  type ModelStandIn,
  ollama,
  sendChunks,
  sendJson,
  sendModels,
  startCompatibleBedrock,
  startModelServer,
} from '../../helpers/compatible-server.ts';
import { people, startGateway, until } from '../../helpers/gateway.ts';
import { chat, exited, KEY, type Running, start as startProcess, stop } from '../../helpers/process.ts';

type Respond = ModelStandIn['respond'];

const MODEL = 'llama3.2:1b';

async function build(respond: Respond) {
  const models = await startModelServer(respond);
  const bedrock = await startCompatibleBedrock({ url: models.url });
  const gateway = await startGateway({ endpoint: bedrock.url, settings: { defaultModel: MODEL } });
  return {
    ...gateway,
    models,
    async [Symbol.asyncDispose]() {
      await gateway.close();
      await bedrock.close();
      await models.close();
    },
  };
}

const through = suite('The gateway over an OpenAI-compatible server');

through('streams thoughts and text, and tells the usage', async () => {
  const chunks = [
    ollama.think('Hm.'),
    ollama.say('A'),
    ollama.say(' cage.'),
    ollama.stop,
    ollama.usage,
    DONE,
  ];
  await using gateway = await build(sendChunks(chunks));
  const { events } = await gateway.ask({ prompt: 'What is it?' });
  const [start, ...others] = events.map(({ name, data }) => [name, data['reasoning'] ?? data['text']]);
  assert.is(start?.[0], 'start');
  assert.equal(others, [
    ['delta', 'Hm.'],
    ['delta', 'A'],
    ['delta', ' cage.'],
    ['done', undefined],
  ]);
  assert.is(events[0]?.data['model'], MODEL);
  const usage = { input_tokens: 26, output_tokens: 5, cache_read_tokens: 0, cache_write_tokens: 0 };
  assert.equal(events.at(-1)?.data['usage'], usage);
});

through('every failure is one of the gateway’s, in its own words', async () => {
  const failures: [string, Respond][] = [
    ['upstream_truncated', sendChunks([ollama.say('A')])],
    ['upstream_truncated', sendChunks([ollama.say('A')], 'fin')],
    ['upstream_truncated', sendChunks([], 'fin')],
    ['upstream_error', sendChunks([{ error: { message: 'secret' } }])],
    ['upstream_error', sendChunks([ollama.say('A'), { error: { message: 'secret' } }])],
    ['upstream_rejected', sendJson({ error: { message: 'secret' } }, 400)],
    ['context_length_exceeded', sendJson({ error: { type: 'exceed_context_size_error' } }, 400)],
  ];
  for (const [code, respond] of failures) {
    await using gateway = await build(respond);
    const { error } = await gateway.ask({ prompt: 'Hi' });
    assert.is(error?.code, code);
    assert.not.match(error?.message ?? '', 'secret');
  }
});

through('a server that went away is upstream_unavailable', async () => {
  await using gateway = await build(sendChunks([]));
  await gateway.models.close();
  assert.is((await gateway.ask({ prompt: 'Hi' })).error?.code, 'upstream_unavailable');
});

through('a client that leaves, and a cancel, end the question at the server', async () => {
  await using gateway = await build(sendChunks([ollama.say('A')], 'open'));
  const leave = await gateway.begin({ prompt: 'Hi' });
  leave();
  await until(() => gateway.models.leftEarly === 1);
  await gateway.begin({ prompt: 'Hi', request_id: 'mine' });
  assert.is(await gateway.cancel('mine'), undefined);
  await until(() => gateway.models.leftEarly === 2);
});

through('tools work through /v1/chat/completions, there and back', async () => {
  const { call, argue, stop: end } = llamaCpp;
  await using gateway = await build(
    sendChunks([call(0, 'a1', 'weather', '{"city"'), argue(0, ':"Rome"}'), end('tool_calls'), DONE]),
  );
  const parameters = { type: 'object', properties: { city: { type: 'string' } } };
  const tools = [{ type: 'function', function: { name: 'weather', parameters } }];
  const complete = async (messages: object[]) => {
    const body = JSON.stringify({ model: MODEL, messages, tools });
    const headers = { 'content-type': 'application/json' };
    const response = await gateway.send('/v1/chat/completions', { method: 'POST', headers, body });
    return ((await response.json()) as { choices: { message: Record<string, unknown> }[] }).choices[0];
  };
  const question = { role: 'user', content: 'Rain in Rome?' };
  const asked = await complete([question]);
  const tool_calls = [
    { id: 'a1', type: 'function', function: { name: 'weather', arguments: '{"city":"Rome"}' } },
  ];
  assert.equal(asked?.message['tool_calls'], tool_calls);

  gateway.models.respond = sendChunks([ollama.say('No.'), ollama.stop, DONE]);
  const result = { role: 'tool', tool_call_id: 'a1', content: 'sunny' };
  const answered = await complete([question, { role: 'assistant', content: null, tool_calls }, result]);
  assert.is(answered?.message['content'], 'No.');
  assert.equal(gateway.models.calls.at(-1)?.body['messages'], [
    question,
    { role: 'assistant', content: null, tool_calls },
    result,
  ]);
});

through('vectors of a model that embeds come through /v1/embeddings', async () => {
  await using gateway = await build(
    sendJson({ data: [{ embedding: [0.6, 0.8] }], usage: { prompt_tokens: 2 } }),
  );
  const body = { model: 'amazon.titan-embed-text-v2:nomic-embed-text:latest', input: 'Hi', dimensions: 256 };
  const headers = { 'content-type': 'application/json' };
  const init = { method: 'POST', headers, body: JSON.stringify(body) };
  const answer = await (await gateway.send('/v1/embeddings', init)).json();
  const { data, usage } = answer as { data: { embedding: number[] }[]; usage: { prompt_tokens: number } };
  assert.equal(data[0]?.embedding, [0.6, 0.8, ...Array(254).fill(0)]);
  assert.is(usage.prompt_tokens, 2);
});

through.run();

// ---

/** `npm start -- --bedrock URL`. */
const start = (bedrock: string, env: Record<string, string> = {}) =>
  startProcess(env, ['--bedrock', bedrock]);

/** Names the models, and answers with the one that it was asked for. */
const models =
  (...ids: string[]): Respond =>
  (call, response) =>
    call.path === '/v1/models'
      ? sendModels(...ids)(call, response)
      : sendChunks([ollama.say(`I am ${call.body['model']}.`), ollama.stop, DONE])(call, response);

const completionOf = async (response: Response) =>
  ((await response.json()) as { completion: string }).completion;

const idsOf = async ({ url }: Running) => {
  const response = await fetch(`${url}/v1/models`, { headers: { 'x-api-key': KEY } });
  return ((await response.json()) as { data: { id: string }[] }).data.map(({ id }) => id);
};

const starting = suite('npm start -- --bedrock URL');

starting('offers the models of the server, and asks the first that chats', async () => {
  const server = await startModelServer(
    models('Qwen3-Embedding:0.6b', 'library/llama3.2:1b', 'a model', 'qwen3:8b'),
  );
  const running = await start(server.url);
  assert.match(running.output(), `Bedrock       the OpenAI-compatible server at ${server.url}\n`);
  assert.equal(await idsOf(running), [
    'library/llama3.2:1b',
    'amazon.titan-embed-text-v2:Qwen3-Embedding:0.6b',
    'qwen3:8b',
  ]);
  const read = await fetch(`${running.url}/v1/models/library/llama3.2:1b`, { headers: { 'x-api-key': KEY } });
  assert.is(read.status, 200);
  assert.is(await completionOf(await chat(running.url, { prompt: 'Who?' })), 'I am library/llama3.2:1b.');
  const other = await chat(running.url, { prompt: 'Who?', model: 'qwen3:8b' });
  assert.is(await completionOf(other), 'I am qwen3:8b.');
  await stop(running);
  await server.close();
});

starting('a server that is not there is told in one sentence', async () => {
  const server = await startModelServer();
  await server.close();
  const running = await start(`${server.url}/`);
  assert.is(await exited(running), 1);
  assert.is(running.output().trim(), `--bedrock ${server.url} cannot be reached; is the server running?`);
});

starting('another gateway is such a server, with its key', async () => {
  const other = await startGateway({ door: 'rest' });
  const running = await start(`${other.url}/v1`, { OPENAI_API_KEY: people.alice.key });
  assert.is(await completionOf(await chat(running.url, { prompt: 'ECHO one two three' })), 'one two three');
  const streamed = await chat(running.url, { prompt: 'What is a cage?', stream: true });
  const events = await readSse(streamed);
  assert.is(events.at(-1)?.name, 'done');
  assert.ok(events.length > 20, `${events.length} events`);
  assert.ok(Number(Object(events.at(-1)?.data['usage']).output_tokens) > 20);
  assert.not.match(running.output(), people.alice.key);
  await stop(running);
  await other.close();
});

starting.run();
