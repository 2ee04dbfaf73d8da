/** What else the `openai` package sends and reads: schemas, images, documents, embeddings, models. */
import OpenAI from 'openai';
import { LengthFinishReasonError } from 'openai/error';
import { zodResponseFormat } from 'openai/helpers/zod';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { z } from 'zod';
import type { Gateway } from '../../helpers/gateway.ts';
import { accessTo, collect, EMBEDDING_MODEL, failureOf, inGateway, MODEL, PDF, PNG } from './gateway.ts';

const content = suite('openai content');

const connect = (gateway: Gateway) => new OpenAI({ ...accessTo(gateway), maxRetries: 0 });
const ask = (said: string | OpenAI.ChatCompletionContentPart[]) => ({
  model: MODEL,
  messages: [{ role: 'user' as const, content: said }],
});

const City = z.object({ name: z.string(), inhabitants: z.int(), isCapital: z.boolean() });
const asCity = { response_format: zodResponseFormat(City, 'city') };
const EXAMPLE = { name: 'example', inhabitants: 1, isCapital: true };

content(
  'parse gives an object that fits the schema',
  inGateway(async (gateway) => {
    const { choices } = await connect(gateway).chat.completions.parse({ ...ask('A city'), ...asCity });
    assert.equal(choices[0]?.message.parsed, EXAMPLE);
  }),
);

content(
  'a stream with a schema is parsed at its end',
  inGateway(async (gateway) => {
    const stream = connect(gateway).chat.completions.stream({ ...ask('A city'), ...asCity });
    const { choices } = await stream.finalChatCompletion();
    assert.equal(choices[0]?.message.parsed, EXAMPLE);
  }),
);

content(
  'parse throws at an answer that was cut off, and makes no object of half a text',
  inGateway(async (gateway) => {
    const cut = { ...ask('A city'), ...asCity, max_tokens: 3 };
    const error = await failureOf(connect(gateway).chat.completions.parse(cut));
    assert.instance(error, LengthFinishReasonError);
  }),
);

content(
  'json_object is taken',
  inGateway(async (gateway) => {
    const body = { ...ask('ECHO {"a":1}'), response_format: { type: 'json_object' as const } };
    const { choices } = await connect(gateway).chat.completions.create(body);
    assert.equal(JSON.parse(choices[0]?.message.content ?? ''), { a: 1 });
  }),
);

const image = (url: string) => [
  { type: 'text' as const, text: 'ECHO seen' },
  { type: 'image_url' as const, image_url: { url, detail: 'low' as const } },
];
const file = (file_data: string) => [
  { type: 'text' as const, text: 'ECHO read' },
  { type: 'file' as const, file: { filename: 'report.pdf', file_data } },
];

content(
  'an image in a data: URL is taken',
  inGateway(async (gateway) => {
    const body = ask(image(`data:image/png;base64,${PNG}`));
    const { choices } = await connect(gateway).chat.completions.create(body);
    assert.is(choices[0]?.message.content, 'seen');
  }),
);

content(
  'a PDF as file_data is taken',
  inGateway(async (gateway) => {
    const body = ask(file(`data:application/pdf;base64,${PDF}`));
    const { choices } = await connect(gateway).chat.completions.create(body);
    assert.is(choices[0]?.message.content, 'read');
  }),
);

for (const [what, parts, field] of [
  ['an image elsewhere', image('https://example.com/cat.png'), 'image_url'],
  ['an image that is none', image('data:text/plain;base64,aGk='), 'image_url'],
  ['a file that is no data: URL', file('https://example.com/report.pdf'), 'file'],
] as const)
  content(
    `${what} is refused, and the field is named`,
    inGateway(async (gateway) => {
      const error = await failureOf(connect(gateway).chat.completions.create(ask([...parts])));
      assert.instance(error, OpenAI.BadRequestError);
      const { param, message } = error as InstanceType<typeof OpenAI.BadRequestError>;
      assert.match(param ?? '', `messages[0].content[1].${field}`);
      assert.match(message, 'data: URL');
      assert.is(gateway.ledger.opened, 0);
    }),
  );

// ---

content(
  'an embedding is the same as base64, which the package asks for by itself, and as numbers',
  inGateway(async (gateway) => {
    const { embeddings } = connect(gateway);
    const body = { model: EMBEDDING_MODEL, input: 'A Faraday cage' };
    const [usual] = (await embeddings.create(body)).data;
    const [numbers] = (await embeddings.create({ ...body, encoding_format: 'float' })).data;
    assert.is(usual?.embedding.length, 1024);
    assert.equal([...(usual?.embedding ?? [])], numbers?.embedding.map(Math.fround));
    assert.ok(numbers?.embedding.some((value) => value !== 0));
  }),
);

content(
  'dimensions decides how long an embedding is',
  inGateway(async (gateway) => {
    const body = { model: EMBEDDING_MODEL, input: 'A Faraday cage', dimensions: 256 };
    const { data } = await connect(gateway).embeddings.create(body);
    assert.is(data[0]?.embedding.length, 256);
  }),
);

content(
  'many texts give as many embeddings, in their order, and their tokens together',
  inGateway(async (gateway) => {
    const { embeddings } = connect(gateway);
    const body = { model: EMBEDDING_MODEL, encoding_format: 'float' } as const;
    const texts = ['cages', 'birds that sing', 'cages'];
    const { data, usage, object } = await embeddings.create({ ...body, input: texts });
    const [alone] = (await embeddings.create({ ...body, input: 'birds that sing' })).data;
    assert.is(object, 'list');
    assert.equal(
      data.map(({ index }) => index),
      [0, 1, 2],
    );
    assert.equal(data[1]?.embedding, alone?.embedding);
    assert.equal(data[2]?.embedding, data[0]?.embedding);
    assert.not.equal(data[1]?.embedding, data[0]?.embedding);
    assert.ok(usage.prompt_tokens > 3 && usage.total_tokens === usage.prompt_tokens);
  }),
);

content(
  'a model that does not embed is refused as the caller’s mistake',
  inGateway(async (gateway) => {
    const error = await failureOf(connect(gateway).embeddings.create({ model: MODEL, input: 'Hi' }));
    assert.instance(error, OpenAI.BadRequestError);
    assert.is((error as { param?: unknown }).param, 'model');
  }),
);

// ---

content(
  'models.list names those on offer, the default first',
  inGateway(
    async (gateway) => {
      const models = await collect(connect(gateway).models.list());
      assert.equal(
        models.map(({ id }) => id),
        [MODEL, EMBEDDING_MODEL],
      );
      assert.ok(models.every(({ object }) => object === 'model'));
      assert.is(models[0]?.owned_by, 'amazon');
    },
    { settings: { defaultModel: MODEL, allowedModels: [EMBEDDING_MODEL, MODEL] } },
  ),
);

content(
  'a conversation may begin with a greeting of the assistant',
  inGateway(async (gateway) => {
    const { choices } = await connect(gateway).chat.completions.create({
      model: MODEL,
      messages: [
        { role: 'assistant', content: 'Welcome!' },
        { role: 'user', content: 'ECHO Hello' },
      ],
    });
    assert.is(choices[0]?.message.content, 'Hello');
  }),
);

content(
  'a tool whose parameters are an empty schema is taken',
  inGateway(async (gateway) => {
    const { choices } = await connect(gateway).chat.completions.create({
      model: MODEL,
      messages: [{ role: 'user', content: 'What time is it?' }],
      tools: [{ type: 'function', function: { name: 'clock', parameters: {} } }],
    });
    assert.is(choices[0]?.finish_reason, 'tool_calls');
  }),
);

const PROFILE = 'arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3';

for (const id of [MODEL, PROFILE])
  content(
    `models.retrieve finds ${id.includes('/') ? 'an id with a slash' : 'an id with a colon'}`,
    inGateway(async (gateway) => {
      const model = await connect(gateway).models.retrieve(id);
      assert.is(model.id, id);
      assert.is(model.object, 'model');
      assert.type(model.created, 'number');
    }),
  );

content(
  'models.retrieve throws NotFoundError for a model that is not on offer',
  inGateway(
    async (gateway) => {
      const error = await failureOf(connect(gateway).models.retrieve('gpt-4o'));
      assert.instance(error, OpenAI.NotFoundError);
      assert.is((error as { code?: unknown }).code, 'model_not_found');
    },
    { settings: { allowedModels: [MODEL] } },
  ),
);

content.run();
