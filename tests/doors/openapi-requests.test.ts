/** What the document says of a body, and what the door says: the same, but for the rules that the descriptions tell. */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ChatArchive } from '../../src/doors/chats.ts';
import { buildApp, silent } from '../helpers/app.ts';
import { openFaultsOf, post, resolve, type Schema } from '../helpers/openapi.ts';

/** Sentences for what concerns more than one field, the text within a text, or what depends on the model. */
const toldInWords = [
  /^The key \w+ is not allowed$/,
  /^prompt must be given, or messages in its place, and not both$/,
  /^chat_id must not come with messages: /,
  /^messages must begin with a message of the user$/,
  /^parameters must not hold both max_tokens and max_tokens_to_sample$/,
  /^messages\[\d+\]\.content must hold some text, and a document needs text beside it$/,
  /^messages must hold a message of the user or of a tool/,
  /^tool_choice must name one of tools, or "required" some$/,
  /^The tool call "[^"]+" (was|has) /,
  / must be a data: URL in base64 of /,
  / must be an object with a file_data, which is /,
  /\.arguments must be a JSON object as text$/,
  /^dimensions must be one of /,
  /^model must be one that embeds texts/,
  // When it was tokens.
  /^input\[\d+\] must not be blank$/,
];

const image = 'data:image/png;base64,AAAA';
const tool = {
  type: 'function',
  function: { name: 'look', description: 'Looks.', parameters: { type: 'object' } },
};

/** Bodies that say everything there is to say. */
const seeds: Readonly<Record<string, { readonly schema: string; readonly bodies: readonly object[] }>> = {
  '/v1/chat': {
    schema: 'ChatRequest',
    bodies: [
      {
        prompt: 'Hi',
        model: 'some-model',
        system: 'Be kind.',
        request_id: 'mine',
        parameters: { temperature: 0.2, top_p: 1, max_tokens: 5, stop_sequences: ['END'] },
        cache: 'use',
        store: true,
        stream: false,
      },
      { prompt: 'Hi', chat_id: 'a-chat', parameters: { max_tokens_to_sample: 5 } },
      {
        messages: [
          { role: 'user', content: 'Hi' },
          { role: 'assistant', content: 'Hello' },
          {
            role: 'user',
            content: [
              { type: 'text', text: 'Hi' },
              { type: 'image', format: 'png', bytes: 'AAAA' },
              { type: 'document', format: 'pdf', name: 'A name', bytes: 'AAA=' },
            ],
          },
        ],
      },
    ],
  },
  '/v1/chat/completions': {
    schema: 'ChatCompletionRequest',
    bodies: [
      {
        model: 'some-model',
        messages: [
          { role: 'system', content: 'Be kind.' },
          { role: 'developer', content: [{ type: 'text', text: 'Be brief.' }] },
          {
            role: 'user',
            content: [
              { type: 'text', text: 'Hi', cache_control: { type: 'ephemeral', ttl: '5m' } },
              { type: 'image_url', image_url: { url: image } },
              { type: 'image_url', image_url: image },
              { type: 'file', file: { file_data: 'data:text/plain;base64,AAAA', filename: 'a.txt' } },
            ],
          },
          {
            role: 'assistant',
            content: null,
            tool_calls: [{ id: 'call:1', type: 'function', function: { name: 'look', arguments: '{}' } }],
            reasoning_details: [{ type: 'reasoning.text', text: 'Hm', signature: 'AAAA', data: 'AAAA' }],
          },
          { role: 'tool', tool_call_id: 'call:1', content: 'Seen.' },
        ],
        tools: [tool],
        tool_choice: { type: 'function', function: { name: 'look' } },
        response_format: { type: 'json_schema', json_schema: { name: 'shape', schema: { type: 'object' } } },
      },
      {
        messages: [{ role: 'user', content: 'Hi' }],
        max_tokens: 5,
        max_completion_tokens: 5,
        temperature: 2,
        top_p: 0,
        stop: 'END',
        stream: false,
        stream_options: { include_usage: true },
        reasoning_effort: 'low',
        user: 'me',
        metadata: { team: 'blue' },
        n: 1,
        logprobs: false,
        functions: null,
        function_call: null,
        chat_id: 'new',
        request_id: 'mine',
        cache: 'off',
        store: false,
      },
    ],
  },
  '/v1/embeddings': {
    schema: 'EmbeddingsRequest',
    bodies: [
      {
        model: 'cohere.embed-v4:0',
        input: ['one', 'two'],
        encoding_format: 'float',
        dimensions: 256,
        input_type: 'clustering',
      },
      { model: 'amazon.titan-embed-text-v2:0', input: 'one', encoding_format: null },
      { model: 'amazon.titan-embed-text-v2:0', input: [[9906], [1917]] },
    ],
  },
};

/** What stands at the edges of what is allowed. Lengths are told in words where a character takes two units. */
const telling = fc.oneof(
  fc.constantFrom<unknown>(null, true, false, -1, 0, 0.5, 1, 1.5, 2, 3, 100_255, 100_256, 2 ** 53, 1e300),
  fc.constantFrom(
    '',
    ' ',
    '\u3000\ufeff',
    'Hi',
    'new',
    'use',
    'text',
    'tool',
    'required',
    'png',
    '1h',
    'a b',
    'a  b',
  ),
  fc.constantFrom('AAA', 'AA==', 'A A=', 'data:,', image, image.toUpperCase(), '{}', '[]', 'reasoning.text'),
  fc.constantFrom(...[64, 65, 128, 129, 200, 201, 2048, 2049].map((length) => 'x'.repeat(length))),
  fc.constantFrom<unknown>(
    [],
    {},
    [''],
    ['a', 'b'],
    [1],
    [[1]],
    [[]],
    Array(17).fill('a'),
    Array(2049).fill('a'),
  ),
  fc.constantFrom<unknown>(
    { type: 'text' },
    { type: 'text', text: '' },
    { role: 'user', content: 'Hi' },
    tool,
  ),
  fc.jsonValue({ maxDepth: 3 }),
);

type Edit = {
  readonly at: number;
  readonly how: 'set' | 'delete' | 'add' | 'double';
  readonly value: unknown;
};
const edits = fc.array(
  fc.record<Edit>({
    at: fc.nat(),
    how: fc.constantFrom('set', 'set', 'set', 'delete', 'add', 'double'),
    value: telling,
  }),
  { maxLength: 3 },
);

type Branch = Record<string, unknown> | unknown[];

/** Everything in it that has a place: a field or an item. */
function placesIn(branch: unknown): [Branch, string][] {
  if (typeof branch !== 'object' || branch === null) return [];
  return Object.entries(branch).flatMap(([key, value]): [Branch, string][] => [
    [branch as Branch, key],
    ...placesIn(value),
  ]);
}

function edited(seed: object, changes: readonly Edit[]): object {
  const body = structuredClone(seed);
  for (const { at, how, value: shared } of changes) {
    const value = structuredClone(shared);
    const places = placesIn(body);
    const [branch, key] = places[at % places.length] ?? [body as Branch, 'prompt'];
    if (Array.isArray(branch)) {
      const item = branch[Number(key)];
      const items = { set: [value], delete: [], add: [item, value], double: [item, item] }[how];
      branch.splice(Number(key), 1, ...items);
    } else if (how === 'delete') delete branch[key];
    else branch[how === 'add' ? 'made_up' : key] = value;
  }
  return body;
}

const requests = suite('what the document says of a body');

for (const [path, { schema: name, bodies }] of Object.entries(seeds)) {
  const schema: Schema = { $ref: `#/components/schemas/${name}` };

  requests(`is what the door says of it, at ${path}`, async () => {
    const seen = { refused: 0, taken: 0 };
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...bodies), edits, async (seed, changes) => {
        const body: unknown = JSON.parse(JSON.stringify(edited(seed, changes)));
        const faults = openFaultsOf(schema, body);
        const refusal = await refusalOf(path, body);
        if (refusal === '') seen.taken++;
        else seen.refused++;
        const undescribed = sentencesOf(refusal).filter(
          (said) => !toldInWords.some((rule) => rule.test(said)),
        );
        if (faults === '')
          assert.equal(undescribed, [], `Refused, but not described: ${undescribed.join('; ')}`);
        else assert.is.not(refusal, '', `Taken, but not described: ${faults}`);
      }),
      { numRuns: 500, includeErrorInReport: true },
    );
    assert.ok(Math.min(seen.refused, seen.taken) > 20, JSON.stringify(seen));
  });

  requests(`takes those with everything in them, at ${path}`, async () => {
    for (const body of bodies) {
      assert.is(openFaultsOf(schema, body), '');
      assert.is(await refusalOf(path, body), '');
    }
  });
}

const ask = (content: unknown) => ({ messages: [{ role: 'user', content }] });
const hear = (answer: object) => ({
  messages: [...ask('Hi').messages, { role: 'assistant', ...answer }, ...ask('Hi').messages],
});
const complete = (field: string, value: unknown) => ({ ...ask('Hi'), [field]: value });
const embed = (input: unknown) => ({ model: 'amazon.titan-embed-text-v2:0', input });

/** What is checked in code, and what may be left out or come in two forms: both sides of each rule. */
const edges: readonly [path: string, taken: readonly object[], refused: readonly object[]][] = [
  [
    '/v1/chat',
    [ask('Hi'), ask([{ type: 'text', text: 'Hi' }])],
    [ask(' '), ask([]), ask(undefined), ask({}), { prompt: ' ' }],
  ],
  [
    '/v1/chat/completions',
    [
      ask('Hi'),
      ask([{ type: 'image_url', image_url: image }]),
      ask([{ type: 'image_url', image_url: { url: image } }]),
      hear({}),
      hear({ content: null }),
      hear({ content: 'Hello' }),
      complete('stop', 'END'),
      complete('stop', 'x'.repeat(200)),
      complete('n', 1),
      complete('logprobs', false),
      complete('functions', null),
    ],
    [
      ask(' '),
      ask([]),
      ask(undefined),
      ask([{ type: 'image_url', image_url: 1 }]),
      hear({ content: 1 }),
      complete('stop', ''),
      complete('stop', 'x'.repeat(201)),
      complete('n', 2),
      complete('logprobs', true),
      complete('functions', []),
    ],
  ],
  [
    '/v1/embeddings',
    [embed('a'), embed(Array(2048).fill('a'))],
    [embed(' '), embed([]), embed(Array(2049).fill('a'))],
  ],
];

for (const [path, taken, refused] of edges) {
  const schema: Schema = { $ref: `#/components/schemas/${seeds[path]?.schema}` };

  requests(`and in the document’s words alone where they suffice, at ${path}`, async () => {
    for (const body of taken.map((one) => JSON.parse(JSON.stringify(one)))) {
      const saying = JSON.stringify(body).slice(0, 200);
      assert.equal([openFaultsOf(schema, body), await refusalOf(path, body)], ['', ''], saying);
    }
    for (const body of refused.map((one) => JSON.parse(JSON.stringify(one)))) {
      const saying = JSON.stringify(body).slice(0, 200);
      assert.is.not(openFaultsOf(schema, body), '', saying);
      assert.is.not(await refusalOf(path, body), '', saying);
    }
  });
}

requests('and of how much a page holds', async () => {
  const limits: number[] = [];
  const chats: ChatArchive = {
    async list(_, { limit }) {
      limits.push(limit);
      return { chats: [] };
    },
    read: async () => undefined,
    remove: async () => false,
  };
  const { send } = buildApp(silent, {}, [], undefined, chats);
  const described = { $ref: '#/components/schemas/Limit' };
  for (const limit of [-1, 0, 1, 1.5, 99, 100, 101]) {
    const { status } = await send(`/v1/chats?limit=${limit}`);
    assert.is(openFaultsOf(described, limit) === '', status === 200, String(limit));
  }
  await send('/v1/chats');
  assert.is(limits.at(-1), resolve(described)['default']);
  assert.not('pattern' in resolve(described));
});

async function refusalOf(path: string, body: unknown): Promise<string> {
  const response = await post(path, body);
  if (response.status !== 400) return '';
  const { error } = (await response.json()) as { error: { message: string } };
  return error.message;
}

const sentencesOf = (message: string) => message.split(/\.(?: |$)/).filter((sentence) => sentence !== '');

requests.run();
