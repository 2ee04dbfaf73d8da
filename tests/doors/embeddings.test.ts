import { createServer } from 'node:http';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { toMetrics } from '../../src/aws/metrics.ts';
import type { EmbedCall, Embedder } from '../../src/chat/embed.ts';
import { GatewayError } from '../../src/chat/errors.ts';
import type { Settings } from '../../src/chat/settings.ts';
import type { Edge } from '../../src/doors/edge.ts';
import { asksModel } from '../../src/doors/record.ts';
import { embed as simulate } from '../../src/local/bedrock/embeddings.ts';
import { createBedrockSimulator } from '../../src/local/bedrock/simulator.ts';
import { bodyOf, buildApp, silent } from '../helpers/app.ts';
import { readMetrics, sumsOf } from '../helpers/emf.ts';
import { type Gateway, type GatewayOptions, listen, startGateway, stop, until } from '../helpers/gateway.ts';

const TITAN = 'amazon.titan-embed-text-v2:0';
const COHERE = 'global.cohere.embed-v4:0';
const json = { 'content-type': 'application/json' };

/** A vector that tells which text it is of. */
const countChars: Embedder = async ({ texts, dimensions }) => ({
  vectors: texts.map((text) => [text.length, -0.1, ...Array(dimensions - 2).fill(0)]),
  inputTokens: texts.length * 3,
});

function build(embedder: Embedder = countChars, settings: Partial<Settings> = {}) {
  const calls: EmbedCall[] = [];
  const noting: Embedder = (call, signal) => {
    calls.push(call);
    return embedder(call, signal);
  };
  const everything = { allowedModels: ['*'], modelCeiling: ['*'], ...settings };
  const app = buildApp(silent, everything, [], undefined, undefined, noting);
  const embed = (body: unknown, changes: Partial<Edge> = {}) =>
    app.send('/v1/embeddings', { method: 'POST', headers: json, body: JSON.stringify(body) }, changes);
  return { ...app, calls, embed };
}

const refusalOf = async (response: Response) => {
  const { code, message, param } = (await bodyOf(response)).error;
  return { status: response.status, code, message, param };
};

const whole = suite('POST /v1/embeddings');

whole('is OpenAI’s list, with floats unless something else is asked for', async () => {
  for (const encoding_format of [undefined, null, 'float']) {
    const { embed, calls, record } = build();
    const response = await embed({ model: COHERE, input: ['abc', 'de'], dimensions: 256, encoding_format });
    assert.is(response.status, 200);
    assert.is(response.headers.get('x-request-id'), 'made-up');
    const tail = Array(254).fill(0);
    assert.equal(await bodyOf(response), {
      object: 'list',
      data: [
        { object: 'embedding', index: 0, embedding: [3, -0.1, ...tail] },
        { object: 'embedding', index: 1, embedding: [2, -0.1, ...tail] },
      ],
      model: COHERE,
      usage: { prompt_tokens: 6, total_tokens: 6 },
    });
    assert.equal(calls, [
      {
        model: COHERE,
        family: 'cohere-v4',
        texts: ['abc', 'de'],
        dimensions: 256,
        inputType: 'search_document',
      },
    ]);
    assert.equal(record, {
      request_id: 'made-up',
      method: 'POST',
      route: '/v1/embeddings',
      status: 200,
      model: COHERE,
      outcome: 'done',
      input_tokens: 6,
    });
  }
});

whole('a single text is a list of one, and what it is for is passed on', async () => {
  const { embed, calls } = build();
  const response = await embed({ model: COHERE, input: 'abc', input_type: 'search_query' });
  assert.is(((await bodyOf(response))['data'] as unknown[]).length, 1);
  assert.equal([calls[0]?.texts, calls[0]?.inputType], [['abc'], 'search_query']);
});

whole('null is as good as nothing, and unknown fields are ignored', async () => {
  const { embed, calls } = build();
  const nulls = { encoding_format: null, dimensions: null, input_type: null, user: null };
  assert.is((await embed({ model: TITAN, input: 'a', ...nulls, user: 7, whatever: {} })).status, 200);
  assert.equal([calls[0]?.dimensions, calls[0]?.inputType], [1024, 'search_document']);
});

whole('2,048 texts are taken, in their order', async () => {
  const { embed } = build();
  const input = Array.from({ length: 2048 }, (_, n) => 'x'.repeat(n % 100) + 1);
  const { data } = (await bodyOf(await embed({ model: TITAN, input, dimensions: 256 }))) as unknown as {
    data: { index: number; embedding: number[] }[];
  };
  assert.equal(
    data.map(({ index, embedding }) => [index, embedding[0]]),
    input.map((text, index) => [index, text.length]),
  );
});

whole('what is wrong with a request is said before any call', async () => {
  const rows: [unknown, number, string, string | null, RegExp][] = [
    [[], 400, 'invalid_request', null, /^The body must be an object\.$/],
    [{ input: 'a' }, 400, 'invalid_request', 'model', /^model must be text\.$/],
    [{ model: '', input: 'a' }, 400, 'invalid_request', 'model', /at least 1 characters/],
    [{ model: 'x'.repeat(2049), input: 'a' }, 400, 'invalid_request', 'model', /at most 2048 characters/],
    [
      { model: TITAN },
      400,
      'invalid_request',
      'input',
      /^input must be a text, tokens of cl100k_base from 0 to 100255, or a list of either\.$/,
    ],
    [{ model: TITAN, input: null }, 400, 'invalid_request', 'input', /^input must be a text, tokens/],
    [{ model: TITAN, input: 7 }, 400, 'invalid_request', 'input', /^input must be a text, tokens/],
    [{ model: TITAN, input: {} }, 400, 'invalid_request', 'input', /^input must be a text, tokens/],
    [{ model: TITAN, input: [['a']] }, 400, 'invalid_request', 'input', /^input must be a text, tokens/],
    [{ model: TITAN, input: ['a', null] }, 400, 'invalid_request', 'input', /^input must be a text, tokens/],
    [{ model: TITAN, input: '' }, 400, 'invalid_request', 'input', /^input must not be blank\.$/],
    [{ model: TITAN, input: ' \n' }, 400, 'invalid_request', 'input', /^input must not be blank\.$/],
    [
      { model: TITAN, input: ['a', ' '] },
      400,
      'invalid_request',
      'input[1]',
      /^input\[1\] must not be blank/,
    ],
    [{ model: TITAN, input: [] }, 400, 'invalid_request', 'input', /^input must be a text, tokens/],
    [{ model: TITAN, input: Array(2049).fill('a') }, 400, 'invalid_request', 'input', /at most 2048 items/],
    [
      { model: TITAN, input: 'a', encoding_format: 'int8' },
      400,
      'invalid_request',
      'encoding_format',
      /one of "float", "base64"/,
    ],
    [{ model: TITAN, input: 'a', dimensions: '256' }, 400, 'invalid_request', 'dimensions', /number/],
    [{ model: TITAN, input: 'a', dimensions: 256.5 }, 400, 'invalid_request', 'dimensions', /whole number/],
    [{ model: TITAN, input: 'a', dimensions: 1536 }, 400, 'invalid_request', 'dimensions', /256, 512, 1024/],
    [
      { model: TITAN, input: 'a', input_type: 'image' },
      400,
      'invalid_request',
      'input_type',
      /"search_query"/,
    ],
    [{ model: 'amazon.nova-lite-v1:0', input: 'a' }, 400, 'invalid_request', 'model', /titan-embed-text-v2/],
    [{ model: 'amazon.secret', input: 'a' }, 404, 'model_not_found', 'model', /GET \/v1\/models/],
  ];
  for (const [body, status, code, param, message] of rows) {
    const { embed, calls, record } = build(countChars, { allowedModels: [TITAN, '*nova*'] });
    const refusal = await refusalOf(await embed(body));
    assert.equal([refusal.status, refusal.code, refusal.param], [status, code, param], JSON.stringify(body));
    assert.match(refusal.message, message);
    assert.is(calls.length, 0);
    assert.equal([record.outcome, record.code], ['error', code]);
  }
});

whole('tokens of OpenAI’s vocabulary, which LangChain for Python sends, are read as text', async () => {
  const textsOf = async (input: unknown) => {
    const { embed, calls } = build();
    assert.is((await embed({ model: TITAN, input })).status, 200, JSON.stringify(input));
    return calls.flatMap(({ texts }) => texts);
  };
  const [hello, clock] = [
    [9906, 1917],
    [11410, 243, 108],
  ];
  assert.equal(await textsOf(hello), ['Hello world']);
  assert.equal(await textsOf([hello, clock]), ['Hello world', ' 🕰']);
});

whole('tokens that are none, and those that stand for white space, are refused', async () => {
  for (const input of [[1, -1], [100_256], [1.5], [[1], []], ['a', 5], [['a', 1]]]) {
    const { embed } = build();
    const { status, code, param } = await refusalOf(await embed({ model: TITAN, input }));
    assert.equal(
      [status, code, param?.slice(0, 5)],
      [400, 'invalid_request', 'input'],
      JSON.stringify(input),
    );
  }
  const { embed } = build();
  const { message } = await refusalOf(await embed({ model: TITAN, input: [[9906], [220]] }));
  assert.is(message, 'input[1] must not be blank.');
});

whole('a body over the limit is refused', async () => {
  const { embed } = build(countChars, { bodyLimitBytes: 1_024 });
  assert.is((await embed({ model: TITAN, input: 'a'.repeat(1_024) })).status, 413);
});

whole('a caller without identity is refused, and other methods too', async () => {
  const { embed, send } = build();
  assert.is((await embed({ model: TITAN, input: 'a' }, { caller: undefined })).status, 401);
  const wrong = await send('/v1/embeddings');
  assert.equal([wrong.status, wrong.headers.get('allow')], [405, 'POST']);
});

const stuck: Embedder = () => new Promise(() => {});

whole(
  'a request that takes too long is over at 290 seconds on the REST door, and no sooner elsewhere',
  async () => {
    for (const [door, seconds] of [
      ['rest', 290],
      ['function-url', 895],
    ] as const) {
      const { embed, clock, record } = build(stuck, { firstEventTimeoutSeconds: 900 });
      const caller = { tenant: 'alice', kind: 'iam', door } as const;
      let response: Response | undefined;
      embed({ model: TITAN, input: 'a' }, { door, caller }).then((answer) => (response = answer));
      await clock.advance(seconds * 1000 - 1);
      assert.is(response, undefined, door);
      await clock.advance(1);
      assert.is(response?.status, 504, door);
      assert.equal([record.outcome, record.code], ['error', 'deadline_exceeded']);
    }
  },
);

whole('the function’s own time is kept where it is shorter', async () => {
  const { embed, clock, record } = build(stuck);
  const pending = embed({ model: TITAN, input: 'a' }, { deadline: clock.now() + 10_000 });
  await clock.advance(10_000);
  assert.is((await pending).status, 504);
  assert.is(record.code, 'deadline_exceeded');
});

whole('a model is waited for as long as first-event-timeout-seconds says', async () => {
  const { embed, clock } = build(stuck, { firstEventTimeoutSeconds: 5 });
  const pending = embed({ model: TITAN, input: 'a' });
  await clock.advance(5_000);
  assert.equal(await refusalOf(await pending), {
    status: 504,
    code: 'upstream_timeout',
    message: 'The model did not answer within 5 seconds.',
    param: null,
  });
});

whole('a caller who leaves is noted as that', async () => {
  const { embed, left, record, clock } = build(stuck);
  const pending = embed({ model: TITAN, input: 'a' });
  await clock.advance(0);
  left.abort();
  assert.is((await pending).status, 499);
  assert.equal([record.outcome, record.code], ['cancelled', 'cancelled']);
});

whole('counts as a request with its tokens, and is not timed with the answers', async () => {
  const { embed, record } = build();
  await embed({ model: TITAN, input: 'a' });
  assert.ok(asksModel(record));
  const measured = { ...record, door: 'rest', total_ms: 70 };
  const around = { now: 1, namespace: 'LlmGateway/Test', isRequest: true, settingsAgeSeconds: undefined };
  assert.equal(sumsOf(readMetrics(JSON.stringify(toMetrics(measured, around)))), {
    Requests: 1,
    'Requests Door=rest': 1,
    InputTokens: 3,
    'InputTokens Door=rest': 3,
  });
  const failed = build(() => Promise.reject(new GatewayError('upstream_error', 'No.')));
  await failed.embed({ model: TITAN, input: 'a' });
  const sums = sumsOf(readMetrics(JSON.stringify(toMetrics(failed.record, around))));
  assert.equal([sums['Requests'], sums['Errors Code=upstream_error'], sums['Faults']], [1, 1, 1]);
});

whole.run();

// ---

const asEmbeddings = async (response: Response) =>
  (await response.json()) as {
    readonly data: readonly { readonly index: number; readonly embedding: string | number[] }[];
    readonly model: string;
    readonly usage: { readonly prompt_tokens: number };
  };

const embedAt = async ({ send }: Pick<Gateway, 'send'>, body: object, init: RequestInit = {}) =>
  await send('/v1/embeddings', { method: 'POST', headers: json, body: JSON.stringify(body), ...init });

/** As openai-node reads what it asked for by default. */
function decode(embedding: unknown): number[] {
  assert.type(embedding, 'string');
  const bytes = Buffer.from(String(embedding), 'base64');
  return Array.from(new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4));
}

const narrow = (vector: readonly number[]) => vector.map(Math.fround);

async function inGateway(options: GatewayOptions, test: (gateway: Gateway) => Promise<void>) {
  const gateway = await startGateway(options);
  try {
    await test(gateway);
  } finally {
    await gateway.close();
  }
}

/** A Bedrock at which everything goes wrong in this way. */
async function startFaulty(fault: string) {
  const { handle, ledger } = createBedrockSimulator();
  const server = createServer((request, response) => {
    request.headers['x-simulator-fault'] = fault;
    handle(request, response);
  });
  return { endpoint: await listen(server), ledger, close: () => stop(server) };
}

const doors = suite('embeddings over the simulator');

for (const door of ['rest', 'function-url'] as const) {
  doors(`FAULTS 6.31: base64 that was asked for is base64, with every dimension (${door})`, () =>
    inGateway({ door }, async (gateway) => {
      const input = ['A Faraday cage', 'Ein Käfig, 日本語'];
      for (const [model, lengths] of [
        [TITAN, [256, 512, 1024]],
        ['cohere.embed-multilingual-v3', [1024]],
        [COHERE, [256, 512, 1024, 1536]],
      ] as const) {
        for (const dimensions of [undefined, ...lengths]) {
          const ask = { model, input, dimensions };
          const floats = await asEmbeddings(await embedAt(gateway, ask));
          const coded = await asEmbeddings(await embedAt(gateway, { ...ask, encoding_format: 'base64' }));
          for (const n of [0, 1]) {
            const vector = floats.data[n]?.embedding as number[];
            assert.is(vector.length, dimensions ?? lengths.at(-1), model);
            assert.ok(vector.some((value) => value !== 0));
            assert.equal(decode(coded.data[n]?.embedding), narrow(vector), model);
          }
          assert.equal([floats.model, coded.usage.prompt_tokens > 0], [model, true]);
        }
      }
    }),
  );
}

doors('600 texts to Titan arrive in their order, with all their tokens', () =>
  inGateway({}, async (gateway) => {
    const input = Array.from({ length: 600 }, (_, n) => `text number ${n}`);
    const response = await embedAt(gateway, { model: TITAN, input, dimensions: 256 });
    const { data, usage } = await asEmbeddings(response);
    const made = input.map((inputText) => simulate(TITAN, { inputText, dimensions: 256 }));
    assert.equal(
      data,
      made.map(({ body }, index) => {
        return { object: 'embedding', index, embedding: (body as { embedding: number[] }).embedding };
      }),
    );
    assert.is(
      usage.prompt_tokens,
      made.reduce((sum, { inputTokens }) => sum + inputTokens, 0),
    );
    assert.is(gateway.ledger.opened, 600);
  }),
);

doors('a name of OpenAI’s is an alias, and the answer names the model', () =>
  inGateway(
    { settings: { modelAliases: new Map([['text-embedding-3-small', COHERE]]) } },
    async (gateway) => {
      const response = await embedAt(gateway, { model: 'text-embedding-3-small', input: 'Hi' });
      const { data, model } = await asEmbeddings(response);
      assert.equal([data[0]?.embedding.length, model], [1536, COHERE]);
      assert.is(gateway.records.at(-1)?.model, COHERE);
    },
  ),
);

doors('throttling is 429 with retry-after, once the SDK has tried again', async () => {
  const bedrock = await startFaulty('throttled');
  await inGateway({ endpoint: bedrock.endpoint }, async (gateway) => {
    const response = await embedAt(gateway, { model: TITAN, input: 'Hi' });
    assert.equal([response.status, response.headers.get('retry-after')], [429, '1']);
    assert.is((await bodyOf(response)).error.code, 'upstream_throttled');
  });
  assert.is(bedrock.ledger.opened, 3);
  await bedrock.close();
});

doors('a client who leaves leaves no call open at Bedrock', async () => {
  const bedrock = await startFaulty('stall-before-headers');
  await inGateway({ endpoint: bedrock.endpoint }, async (gateway) => {
    const leaving = new AbortController();
    const input = Array(20).fill('Hi');
    const pending = embedAt(gateway, { model: TITAN, input }, { signal: leaving.signal });
    pending.catch(() => undefined);
    await until(() => bedrock.ledger.open === 8);
    leaving.abort();
    await until(() => bedrock.ledger.open === 0 && gateway.records.length > 0);
    assert.is(gateway.records.at(-1)?.outcome, 'cancelled');
    assert.equal([bedrock.ledger.opened, bedrock.ledger.closedEarly], [8, 8]);
  });
  await bedrock.close();
});

doors('what Bedrock sends and nobody can read is 502', async () => {
  const bedrock = await startFaulty('html-body');
  await inGateway({ endpoint: bedrock.endpoint }, async (gateway) => {
    const response = await embedAt(gateway, { model: TITAN, input: 'Hi' });
    assert.is(response.status, 502);
    const { code, message } = (await bodyOf(response)).error;
    assert.is(code, 'upstream_protocol_error');
    assert.not.match(message, 'html');
  });
  await bedrock.close();
});

doors.run();
