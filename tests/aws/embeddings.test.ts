/** The real SDK against the simulator, and against bytes that are not Bedrock's. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createEmbedder, toInvokeInput } from '../../src/aws/embeddings.ts';
import type { EmbedCall } from '../../src/chat/embed.ts';
import { embed as simulate } from '../../src/local/bedrock/embeddings.ts';
import { startBedrockSimulator } from '../../src/local/bedrock/simulator.ts';
import { bedrockClient } from '../helpers/bedrock-client.ts';
import { startBytesServer } from '../helpers/bytes-server.ts';
import { failureOf } from '../helpers/rejects.ts';

const never = new AbortController().signal;

const titan: EmbedCall = {
  model: 'amazon.titan-embed-text-v2:0',
  family: 'titan-v2',
  texts: ['A Faraday cage'],
  dimensions: 256,
  inputType: 'search_query',
};
const cohere3: EmbedCall = {
  ...titan,
  model: 'cohere.embed-english-v3',
  family: 'cohere-v3',
  texts: ['one', 'two words'],
  dimensions: 1024,
};
const cohere4: EmbedCall = {
  ...cohere3,
  model: 'us.cohere.embed-v4:0',
  family: 'cohere-v4',
  dimensions: 512,
};

const bodyOf = (call: EmbedCall) => JSON.parse(String(toInvokeInput(call).body));

const asking = suite('toInvokeInput');

asking('says to each family what it understands, and nothing else', () => {
  assert.equal(bodyOf(titan), { inputText: 'A Faraday cage', dimensions: 256 });
  assert.equal(bodyOf(cohere3), { texts: ['one', 'two words'], input_type: 'search_query' });
  assert.equal(bodyOf(cohere4), { ...bodyOf(cohere3), output_dimension: 512 });
  const { body, ...others } = toInvokeInput(titan);
  assert.equal(others, {
    modelId: 'amazon.titan-embed-text-v2:0',
    contentType: 'application/json',
    accept: 'application/json',
  });
});

asking.run();

// ---

const over = suite('createEmbedder over the simulator');

over('brings the vectors that the model made, in their order, and the tokens that were counted', async () => {
  const simulator = await startBedrockSimulator();
  const client = bedrockClient(simulator.url);
  const embedder = createEmbedder(client);
  for (const [call, tokens] of [
    [titan, 3],
    [cohere3, 3],
    [cohere4, 3],
  ] as const) {
    const { vectors, inputTokens } = await embedder(call, never);
    const made = simulate(call.model, bodyOf(call)).body as Record<string, unknown>;
    assert.equal(vectors, call.family === 'titan-v2' ? [made['embedding']] : made['embeddings'], call.model);
    assert.ok(vectors.every(({ length }) => length === call.dimensions));
    assert.is(inputTokens, tokens, call.model);
  }
  client.destroy();
  await simulator.close();
});

over('names what the simulator refuses, after the tries that the SDK makes', async () => {
  const simulator = await startBedrockSimulator();
  for (const [fault, code, tries] of [
    ['throttled', 'upstream_throttled', 2],
    ['unavailable', 'upstream_unavailable', 2],
    ['reset-before-headers', 'upstream_unreachable', 2],
    ['access-denied', 'upstream_access_denied', 1],
    ['input-too-long', 'context_length_exceeded', 1],
    ['rejected', 'upstream_rejected', 1],
    ['model-timeout', 'upstream_timeout', 1],
    ['html-body', 'upstream_protocol_error', 1],
  ] as const) {
    const client = bedrockClient(simulator.url, 2);
    const before = simulator.ledger.opened;
    const error = await failureOf(createEmbedder(client)({ ...titan, model: `simulator.${fault}` }, never));
    assert.is(error.code, code, fault);
    assert.is(simulator.ledger.opened - before, tries, fault);
    assert.ok(error.cause instanceof Error, fault);
    client.destroy();
  }
  await simulator.close();
});

over('lets go of a silent model when it is told to', async () => {
  const simulator = await startBedrockSimulator();
  const client = bedrockClient(simulator.url);
  const left = new AbortController();
  const call = { ...titan, model: 'simulator.stall-before-headers' };
  const failure = failureOf(createEmbedder(client)(call, left.signal));
  while (simulator.ledger.open === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  left.abort();
  await failure;
  while (simulator.ledger.open > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.is(simulator.ledger.closedEarly, 1);
  client.destroy();
  await simulator.close();
});

over.run();

// ---

/** What the embedder makes of this body. */
async function withBytes(
  test: (read: (call: EmbedCall, body: unknown) => Promise<unknown>) => Promise<void>,
) {
  const server = await startBytesServer();
  const client = bedrockClient(server.url);
  try {
    await test(async (call, body) => {
      const text = typeof body === 'string' ? body : JSON.stringify(body);
      server.script = { pieces: [Buffer.from(text)], end: 'whole' };
      return await createEmbedder(client)(call, never);
    });
  } finally {
    client.destroy();
    await server.close();
  }
}

const reading = suite('what Bedrock sends');

const vector = (length: number, fill = 0.5): number[] => Array(length).fill(fill);
const list = (length: number, fill?: number) => ({
  embeddings: [vector(length, fill), vector(length, fill)],
});

reading('may be a list or an object by type, and no count of tokens is 0', () =>
  withBytes(async (read) => {
    const { embeddings } = list(1024);
    const expected = { vectors: embeddings, inputTokens: 0 };
    assert.equal(await read(cohere3, { embeddings, response_type: 'embeddings_floats' }), expected);
    assert.equal(await read(cohere3, { embeddings: { float: embeddings, int8: [[1]] } }), expected);
    for (const inputTextTokenCount of [undefined, null, -1, 1.5, 'many']) {
      const answer = { embedding: vector(256), inputTextTokenCount };
      assert.equal(await read(titan, answer), { vectors: [vector(256)], inputTokens: 0 });
    }
    const counted = { embedding: vector(256), inputTextTokenCount: 9 };
    assert.equal(await read(titan, counted), { vectors: [vector(256)], inputTokens: 9 });
  }),
);

reading('is refused unless it is a vector of the right length for each text', () =>
  withBytes(async (read) => {
    const [one] = list(1024).embeddings;
    const bad: [EmbedCall, unknown][] = [
      [titan, 'not JSON'],
      [titan, ''],
      [titan, 'null'],
      [titan, '7'],
      [titan, []],
      [titan, {}],
      [titan, { embedding: null }],
      [titan, { embedding: vector(255) }],
      [titan, { embedding: vector(1024) }],
      [titan, { embedding: [...vector(255), '0.5'] }],
      [titan, { embedding: [...vector(255), null] }],
      [titan, { embedding: { length: 256 } }],
      [titan, JSON.stringify({ embedding: vector(256, 7) }).replace('7', 'NaN')],
      [titan, JSON.stringify({ embedding: vector(256, 7) }).replace('7', '1e999')],
      [titan, { embedding: vector(256, 1e39) }],
      [titan, { embeddingsByType: { binary: [vector(256, 1)] } }],
      [titan, { embeddings: [vector(256)] }],
      [cohere3, { embeddings: [] }],
      [cohere3, { embeddings: [one] }],
      [cohere3, { embeddings: [one, one, one] }],
      [cohere3, { embeddings: [one, one, 'x'] }],
      [cohere3, { embeddings: [one, vector(1023)] }],
      [cohere3, { embeddings: one }],
      [cohere3, { embeddings: 'xx' }],
      [cohere3, { embeddings: null }],
      [cohere3, { embeddings: { int8: [one, one] } }],
      [cohere3, { embeddings: { float: 'xx' } }],
      [cohere3, { embedding: one }],
      [cohere4, list(1536)],
      [cohere4, { message: 'No.' }],
    ];
    for (const [call, body] of bad) {
      const error = await failureOf(read(call, body));
      assert.is(error.code, 'upstream_protocol_error', JSON.stringify(body).slice(0, 80));
    }
  }),
);

reading.run();
