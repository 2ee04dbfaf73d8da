import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createRequest } from '../../src/chat/create-request.ts';
import {
  createEmbed,
  createEmbedRequest,
  type EmbedCall,
  type Embedder,
  type EmbedQuestion,
  type EmbedRequest,
  findFamily,
} from '../../src/chat/embed.ts';
import { GatewayError } from '../../src/chat/errors.ts';
import type { Settings } from '../../src/chat/settings.ts';
import { createManualClock, settle } from '../helpers/manual-clock.ts';
import { failureOf } from '../helpers/rejects.ts';
import { defaultSettings, question } from '../helpers/requests.ts';

const TITAN = 'amazon.titan-embed-text-v2:0';

const families = suite('findFamily');

families('a model is known behind any profile and by its ARN, and nothing else is taken for it', () => {
  for (const [model, family] of [
    [TITAN, 'titan-v2'],
    ['amazon.titan-embed-text-v2', 'titan-v2'],
    ['us.amazon.titan-embed-text-v2:0:8k', 'titan-v2'],
    ['arn:aws:bedrock:us-east-1::foundation-model/amazon.titan-embed-text-v2:0', 'titan-v2'],
    ['cohere.embed-english-v3', 'cohere-v3'],
    ['cohere.embed-multilingual-v3', 'cohere-v3'],
    ['cohere.embed-english-v3:0:512', 'cohere-v3'],
    ['cohere.embed-v4:0', 'cohere-v4'],
    ['us.cohere.embed-v4:0', 'cohere-v4'],
    ['global.cohere.embed-v4:0', 'cohere-v4'],
    ['arn:aws:bedrock:us-east-1:123456789012:inference-profile/global.cohere.embed-v4:0', 'cohere-v4'],
    ['amazon.titan-embed-text-v1', undefined],
    ['amazon.titan-embed-text-v20:0', undefined],
    ['amazon.titan-embed-image-v1', undefined],
    ['notamazon.titan-embed-text-v2:0', undefined],
    ['cohere.embed-french-v3', undefined],
    ['cohere.embed-english-v30', undefined],
    ['cohere.embed-v40:0', undefined],
    ['mycohere.embed-v4:0', undefined],
    ['mycohere.embed-english-v3', undefined],
    ['cohere.command-r-v1:0', undefined],
    ['global.amazon.nova-2-lite-v1:0', undefined],
  ] as const) {
    assert.is(findFamily(model), family, model);
  }
});

families.run();

// ---

const open: Settings = { ...defaultSettings, allowedModels: ['*'], modelCeiling: ['*'] };
const asked: EmbedQuestion = { model: TITAN, texts: ['Hi'], inputType: 'search_document' };
const create = (changes: Partial<EmbedQuestion> = {}, settings: Partial<Settings> = {}) =>
  createEmbedRequest({ ...asked, ...changes }, { ...open, ...settings });

const creating = suite('createEmbedRequest');

creating('an alias is resolved, and what was left open is filled in', () => {
  const settings = {
    modelAliases: new Map([['text-embedding-3-small', 'global.cohere.embed-v4:0']]),
    firstEventTimeoutSeconds: 7,
  };
  assert.equal(create({ model: 'text-embedding-3-small' }, settings), {
    model: 'global.cohere.embed-v4:0',
    family: 'cohere-v4',
    texts: ['Hi'],
    dimensions: 1536,
    inputType: 'search_document',
    patienceMs: 7_000,
  });
  assert.is(create().dimensions, 1024);
  assert.is(create({ model: 'cohere.embed-english-v3' }).dimensions, 1024);
});

creating('the shipped settings let Titan through', () => {
  assert.is(createEmbedRequest(asked, defaultSettings).model, TITAN);
});

creating('a model that is not offered is refused in the words of a chat', async () => {
  const settings = { allowedModels: ['cohere.*'] };
  const { code, message, param } = await failureOf(() => create({}, settings));
  const chat = await failureOf(() => createRequest({ ...question, model: TITAN }, { ...open, ...settings }));
  assert.equal([code, message, param], ['model_not_found', chat.message, 'model']);
});

creating('a model that makes no embeddings is refused, and those that do are named', async () => {
  for (const model of ['global.amazon.nova-2-lite-v1:0', 'amazon.titan-embed-text-v1']) {
    const { code, message, param } = await failureOf(() => create({ model }));
    assert.equal([code, param], ['invalid_request', 'model']);
    for (const name of ['amazon.titan-embed-text-v2', 'cohere.embed-english-v3', 'cohere.embed-v4'])
      assert.match(message, name);
  }
});

creating(
  'each model takes its own lengths of vectors, and names them when another is asked for',
  async () => {
    for (const [model, allowed] of [
      [TITAN, [256, 512, 1024]],
      ['cohere.embed-english-v3', [1024]],
      ['cohere.embed-v4:0', [256, 512, 1024, 1536]],
    ] as const) {
      for (const dimensions of allowed) assert.is(create({ model, dimensions }).dimensions, dimensions);
      for (const dimensions of [0, 255, 1536, 3072, -1].filter(
        (other) => !allowed.some((one) => one === other),
      )) {
        const { code, message, param } = await failureOf(() => create({ model, dimensions }));
        assert.equal([code, param], ['invalid_request', 'dimensions']);
        const list = allowed.length > 1 ? `one of ${allowed.join(', ')}` : '1024';
        assert.is(message, `dimensions must be ${list} for this model.`);
      }
    }
  },
);

creating('Cohere v3 takes 2,048 characters, however wide they are, and the others more', async () => {
  const [fits, long, wide] = ['x'.repeat(2048), 'x'.repeat(2049), '😀'.repeat(2048)];
  const v3 = 'cohere.embed-multilingual-v3';
  assert.equal(create({ model: v3, texts: [fits, wide] }).texts, [fits, wide]);
  for (const model of [TITAN, 'cohere.embed-v4:0'])
    assert.equal(create({ model, texts: [long] }).texts, [long]);
  const one = await failureOf(() => create({ model: v3, texts: [long] }));
  assert.equal([one.code, one.param], ['invalid_request', 'input']);
  const second = await failureOf(() => create({ model: v3, texts: [fits, `${wide}x`] }));
  assert.is(second.param, 'input[1]');
  assert.is(second.message, 'input[1] must have at most 2048 characters for this model.');
});

creating.run();

// ---

const request = (changes: Partial<EmbedRequest> = {}): EmbedRequest => ({
  model: TITAN,
  family: 'titan-v2',
  texts: ['1'],
  dimensions: 1024,
  inputType: 'search_document',
  patienceMs: 60_000,
  ...changes,
});

const numbers = (count: number) => Array.from({ length: count }, (_, n) => String(n));
const answerTo = ({ texts }: EmbedCall) => ({
  vectors: texts.map((text) => [Number(text)]),
  inputTokens: texts.length,
});

/** `embed` over calls that the test ends one by one. */
function build() {
  const clock = createManualClock();
  const left = new AbortController();
  const calls: { call: EmbedCall; signal: AbortSignal; end(): void; fail(error: unknown): void }[] = [];
  const embedder: Embedder = (call, signal) => {
    const { promise, resolve, reject } = Promise.withResolvers<ReturnType<typeof answerTo>>();
    calls.push({ call, signal, end: () => resolve(answerTo(call)), fail: reject });
    return promise;
  };
  const embed = createEmbed({ embedder, clock });
  const options = { signal: left.signal, deadline: clock.now() + 200_000 };
  return {
    clock,
    calls,
    left,
    embed: (changes: Partial<EmbedRequest> = {}, others: Partial<typeof options> = {}) =>
      embed(request(changes), { ...options, ...others }),
  };
}

const embedding = suite('createEmbed');

embedding('each call gets what it needs and no more texts than its model takes', async () => {
  for (const [family, sizes] of [
    ['titan-v2', Array(193).fill(1)],
    ['cohere-v3', [96, 96, 1]],
    ['cohere-v4', [96, 96, 1]],
  ] as const) {
    const seen: EmbedCall[] = [];
    const embedder: Embedder = async (call) => {
      seen.push(call);
      return answerTo(call);
    };
    const embed = createEmbed({ embedder, clock: createManualClock() });
    const options = { signal: new AbortController().signal, deadline: 2_000_000 };
    const { vectors, inputTokens } = await embed(request({ family, texts: numbers(193) }), options);
    assert.equal(
      seen.map(({ texts }) => texts.length),
      sizes,
    );
    const { patienceMs, texts, ...others } = request({ family });
    assert.equal(seen[0], { ...others, texts: numbers(sizes[0]) });
    assert.equal(vectors.flat(), numbers(193).map(Number));
    assert.is(inputTokens, 193);
  }
});

embedding('eight calls are open at a time, and their order does not matter', async () => {
  const { embed, calls, clock } = build();
  const pending = embed({ texts: numbers(20) });
  await settle();
  assert.is(calls.length, 8);
  for (let round = 0; round < 3; round++) {
    for (const { end } of calls.toReversed()) end();
    await settle();
    assert.is(calls.length, Math.min(20, 8 * (round + 2)));
  }
  const { vectors, inputTokens } = await pending;
  assert.equal(vectors.flat(), numbers(20).map(Number));
  assert.is(inputTokens, 20);
  assert.is(clock.armed, 0);
  assert.not(calls.some(({ signal }) => signal.aborted));
});

embedding('the first failure is told, and calls off what runs and what waits', async () => {
  const { embed, calls, clock } = build();
  const failure = failureOf(embed({ texts: numbers(20) }));
  await settle();
  calls[3]?.fail(new GatewayError('upstream_throttled', 'Wait.', { retryAfterSeconds: 4 }));
  calls[4]?.fail(new GatewayError('upstream_error', 'Too late.'));
  calls[5]?.end();
  const { code, retryAfterSeconds } = await failure;
  assert.equal([code, retryAfterSeconds], ['upstream_throttled', 4]);
  await settle();
  assert.is(calls.length, 8);
  assert.ok(calls.every(({ signal }) => signal.aborted));
  for (const { end } of calls) end();
  await settle();
  assert.equal([calls.length, clock.armed], [8, 0]);
});

embedding('what breaks without a name is our fault', async () => {
  const { embed, calls } = build();
  const failure = failureOf(embed());
  await settle();
  calls[0]?.fail(new TypeError('x'));
  const { code, cause } = await failure;
  assert.equal([code, (cause as Error).name], ['internal_error', 'TypeError']);
});

embedding('a caller who leaves calls everything off, though no call heeds it', async () => {
  const { embed, calls, left, clock } = build();
  const failure = failureOf(embed({ texts: numbers(20) }));
  await settle();
  left.abort();
  assert.is((await failure).code, 'cancelled');
  assert.ok(calls.every(({ signal }) => signal.aborted));
  for (const { end } of calls) end();
  await settle();
  assert.equal([calls.length, clock.armed], [8, 0]);
});

embedding('a caller who has left already makes no call', async () => {
  const { embed, calls, left } = build();
  left.abort();
  assert.is((await failureOf(embed())).code, 'cancelled');
  assert.is(calls.length, 0);
});

embedding('a gateway that stops says so in its own words', async () => {
  const { embed, left } = build();
  const failure = failureOf(embed());
  left.abort(new GatewayError('overloaded', 'It stops.'));
  assert.is((await failure).code, 'overloaded');
});

embedding('a call may be silent for so long, counted for each', async () => {
  const { embed, calls, clock } = build();
  const failure = failureOf(embed({ texts: numbers(9), patienceMs: 60_000 }));
  await clock.advance(59_999);
  calls[0]?.end();
  await settle();
  assert.is(calls.length, 9);
  for (const { end } of calls.slice(1, 8)) end();
  await clock.advance(59_999);
  assert.not(calls[8]?.signal.aborted);
  await clock.advance(1);
  const { code, message } = await failure;
  assert.equal([code, message], ['upstream_timeout', 'The model did not answer within 60 seconds.']);
  assert.ok(calls[8]?.signal.aborted);
});

embedding('all of it ends at the deadline, with the advice to send less', async () => {
  const { embed, calls, clock } = build();
  let told: GatewayError | undefined;
  const deadline = clock.now() + 30_000;
  failureOf(embed({}, { deadline })).then((error) => (told = error));
  await clock.advance(29_999);
  assert.is(told, undefined);
  await clock.advance(1);
  assert.is(told?.code, 'deadline_exceeded');
  assert.match(told?.message ?? '', 'fewer texts');
  assert.ok(calls[0]?.signal.aborted);
});

embedding('nothing listens to the caller afterwards', async () => {
  const { embed, calls, left } = build();
  const pending = embed();
  await settle();
  calls[0]?.end();
  await pending;
  left.abort();
  assert.not(calls[0]?.signal.aborted);
});

embedding.run();
