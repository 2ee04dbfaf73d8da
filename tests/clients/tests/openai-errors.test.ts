/** How failures reach users of the `openai` package: as its own error classes, with our sentence in them. */
import OpenAI from 'openai';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Gateway } from '../../helpers/gateway.ts';
import { accessTo, collect, countRequests, failureOf, inGateway, MODEL } from './gateway.ts';

type ApiError = InstanceType<typeof OpenAI.APIError>;
type ErrorClass = { readonly prototype: ApiError };

const errors = suite('openai errors');

const connect = (gateway: Gateway, options: Partial<ConstructorParameters<typeof OpenAI>[0]> = {}) =>
  new OpenAI({ ...accessTo(gateway), maxRetries: 0, ...options });
const ask = (model: string = MODEL) => ({ model, messages: [{ role: 'user' as const, content: 'Hello' }] });

/** It is of that class, and reads as a sentence. */
function assertError(error: unknown, of: ErrorClass, code: string, status: number | undefined) {
  assert.instance(error, of);
  const { code: said, status: got, message } = error as ApiError;
  assert.is(said, code);
  assert.is(got, status);
  assert.match(message, /^(\d{3} )?\w.{15,}\.$/);
  assert.not.match(message, 'no body');
}

errors(
  'a wrong key is an AuthenticationError',
  inGateway(async (gateway) => {
    const client = connect(gateway, { apiKey: 'wrong' });
    const error = await failureOf(client.chat.completions.create(ask()));
    assert.instance(error, OpenAI.AuthenticationError);
    assert.not.match((error as Error).message, 'no body');
  }),
);

errors(
  'a model that is not on offer is a NotFoundError',
  inGateway(
    async (gateway) => {
      const error = await failureOf(connect(gateway).chat.completions.create(ask('gpt-4o')));
      assertError(error, OpenAI.NotFoundError, 'model_not_found', 404);
      assert.is((error as ApiError).param, 'model');
    },
    { settings: { allowedModels: [MODEL] } },
  ),
);

for (const [field, value] of [
  ['n', 2],
  ['logprobs', true],
  ['temperature', 3],
  ['max_tokens', 0],
] as const)
  errors(
    `${field}: ${value} is a BadRequestError that names the field`,
    inGateway(async (gateway) => {
      const body = { ...ask(), [field]: value, stream: false } as const;
      const error = await failureOf(connect(gateway).chat.completions.create(body));
      assertError(error, OpenAI.BadRequestError, 'invalid_request', 400);
      assert.is((error as ApiError).param, field);
      assert.match((error as Error).message, field);
      assert.is(gateway.ledger.opened, 0);
    }),
  );

errors(
  'an error tells the id of its request',
  inGateway(async (gateway) => {
    const error = await failureOf(connect(gateway).chat.completions.create({ ...ask(), n: 2 }));
    assert.is((error as ApiError).requestID, gateway.records[0]?.request_id);
  }),
);

errors(
  'a request_id that was used before is a ConflictError, and is not sent again',
  inGateway(async (gateway) => {
    const client = connect(gateway, { maxRetries: 2 });
    const body = { ...ask(), request_id: 'mine' };
    await client.chat.completions.create(body);
    const error = await failureOf(client.chat.completions.create(body));
    assertError(error, OpenAI.ConflictError, 'conflict', 409);
    assert.is(countRequests(gateway), 2);
  }),
);

errors(
  'throttling is a RateLimitError, in a stream as well, for nothing was said before',
  inGateway(async (gateway) => {
    const { completions } = connect(gateway).chat;
    for (const stream of [false, true]) {
      const error = await failureOf(completions.create({ ...ask('simulator.throttled'), stream }));
      assertError(error, OpenAI.RateLimitError, 'upstream_throttled', 429);
    }
  }),
);

errors(
  'a throttled request is sent again by the client, as often as it was told to',
  inGateway(async (gateway) => {
    const client = connect(gateway, { maxRetries: 1 });
    const error = await failureOf(client.chat.completions.create(ask('simulator.throttled')));
    assert.instance(error, OpenAI.RateLimitError);
    assert.is(countRequests(gateway), 2);
  }),
);

errors(
  'what would fail again is not sent again, however often the client was told to',
  inGateway(async (gateway) => {
    const client = connect(gateway, { maxRetries: 2 });
    const error = await failureOf(client.chat.completions.create(ask('simulator.access-denied')));
    assertError(error, OpenAI.InternalServerError, 'upstream_access_denied', 502);
    assert.is(countRequests(gateway), 1);
  }),
);

errors(
  'an error says nothing that the upstream said',
  inGateway(async (gateway) => {
    const error = await failureOf(connect(gateway).chat.completions.create(ask('simulator.access-denied')));
    assert.not.match(JSON.stringify(error) + (error as Error).message, /arn:|123456789012/);
  }),
);

const midStream = [
  ['simulator.end-mid-stream', 'upstream_truncated'],
  ['simulator.throttled-mid-stream', 'upstream_throttled'],
] as const;

for (const [model, code] of midStream) {
  errors(
    `${model}: the iterator throws an APIError after what was said`,
    inGateway(async (gateway) => {
      const stream = await connect(gateway).chat.completions.create({ ...ask(model), stream: true });
      const chunks: OpenAI.ChatCompletionChunk[] = [];
      const reading = async () => {
        for await (const chunk of stream) chunks.push(chunk);
      };
      assertError(await failureOf(reading()), OpenAI.APIError, code, undefined);
      assert.ok(chunks.some(({ choices }) => choices[0]?.delta.content));
      assert.ok(chunks.every(({ choices }) => choices[0]?.finish_reason === null));
    }),
  );

  errors(
    `${model}: .stream() rejects, and makes no answer of the half`,
    inGateway(async (gateway) => {
      const stream = connect(gateway).chat.completions.stream(ask(model));
      const all = [stream.finalContent(), stream.finalChatCompletion(), stream.finalMessage()];
      for (const error of await Promise.all(all.map(failureOf)))
        assertError(error, OpenAI.APIError, code, undefined);
    }),
  );

  errors(
    `${model}: a streaming tool runner rejects, and calls no tool`,
    inGateway(async (gateway) => {
      let calls = 0;
      const schema = { type: 'object', properties: {} };
      const run = () => `${calls++}`;
      const described = { name: 'clock', description: 'The time', parameters: schema, function: run };
      const tool = { type: 'function' as const, function: described };
      const runner = connect(gateway).chat.completions.runTools({
        ...ask(model),
        tools: [tool],
        stream: true,
      });
      assertError(await failureOf(runner.finalContent()), OpenAI.APIError, code, undefined);
      assert.is(calls, 0);
      assert.is(countRequests(gateway), 1);
    }),
  );

  errors(
    `${model}: an answer in one piece is an error with a status`,
    inGateway(async (gateway) => {
      const error = await failureOf(connect(gateway).chat.completions.create(ask(model)));
      assert.instance(error, OpenAI.APIError);
      assert.is((error as ApiError).code, code);
      assert.ok(((error as ApiError).status ?? 0) >= 429);
    }),
  );
}

errors(
  'a stream behind a Function URL that breaks throws as well',
  inGateway(
    async (gateway) => {
      const body = { ...ask('simulator.end-mid-stream'), stream: true } as const;
      const stream = await connect(gateway).chat.completions.create(body);
      assertError(await failureOf(collect(stream)), OpenAI.APIError, 'upstream_truncated', undefined);
    },
    { door: 'function-url' },
  ),
);

errors.run();
