import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { embed } from '../../../src/local/bedrock/embeddings.ts';
import { simulateAnswer } from '../../../src/local/bedrock/model.ts';
import { parseConverseRequest } from '../../../src/local/bedrock/request.ts';
import { exampleOf } from '../../../src/local/bedrock/schema-examples.ts';
import { splitTokens } from '../../../src/local/bedrock/tokens.ts';

type Delta = {
  text?: string;
  toolUse?: { input: string };
  reasoningContent?: { text?: string; signature?: string };
};
type Usage = { inputTokens: number; outputTokens: number; totalTokens: number };

/** An answer taken apart: the request is a prompt or messages, with more fields if wanted. */
function ask(prompt: string | object[], more: object = {}, modelId = 'simulator.small') {
  const messages = typeof prompt === 'string' ? [user(prompt)] : prompt;
  const steps = simulateAnswer(modelId, parseConverseRequest({ messages, ...more }));
  const events = steps.flatMap((step) => (step.kind === 'event' ? step : []));
  const payloads = (type: string) =>
    events.filter((event) => event.type === type).map(({ payload }) => payload);
  const deltas = payloads('contentBlockDelta').map((payload) => payload['delta'] as Delta);
  return {
    steps,
    deltas,
    types: events.map(({ type }) => type),
    text: deltas.map(({ text }) => text ?? '').join(''),
    input: deltas.flatMap(({ toolUse }) => toolUse?.input ?? []),
    tools: payloads('contentBlockStart').map(({ start }) => (start as { toolUse: object }).toolUse),
    indexes: payloads('contentBlockStart').map(({ contentBlockIndex }) => contentBlockIndex),
    stopReason: payloads('messageStop')[0]?.['stopReason'],
    usage: payloads('metadata')[0]?.['usage'] as Usage,
  };
}

const user = (...texts: string[]) => ({ role: 'user', content: texts.map((text) => ({ text })) });
const assistant = (text: string) => ({ role: 'assistant', content: [{ text }] });
const tool = (name: string, json: object) => ({
  toolSpec: { name, inputSchema: { json: { type: 'object', ...json } } },
});
const text = () => fc.string({ unit: 'binary', maxLength: 400 });

const answering = suite('simulateAnswer');

answering('an answer is messageStart, the block, messageStop and metadata', () => {
  const { types } = ask('Hello there');
  const deltas = types.filter((type) => type === 'contentBlockDelta');
  const expected = ['messageStart', ...deltas, 'contentBlockStop', 'messageStop', 'metadata'];
  assert.equal(types, expected);
});

answering('small talk has 40 to 120 tokens, one per delta, and says that it is simulated', () => {
  fc.assert(
    fc.property(fc.array(text(), { minLength: 1, maxLength: 4 }), (prompts) => {
      const plain = prompts.map((prompt) => `About ${prompt}`);
      const answer = ask(plain.flatMap((prompt) => [user(prompt), assistant('Hm.')]).slice(0, -1));
      assert.ok(answer.deltas.length >= 40 && answer.deltas.length <= 120, `${answer.deltas.length} tokens`);
      assert.is(answer.usage.outputTokens, answer.deltas.length);
      assert.match(answer.text, /^This is the built-in simulator, not a real model\./);
    }),
  );
});

answering('the same question gets the same answer, another one another', () => {
  assert.equal(ask('Why is the sky blue?').steps, ask('Why is the sky blue?').steps);
  assert.is.not(ask('Why is the sky blue?').text, ask('Why is the sea blue?').text);
});

answering('small talk names words of the question', () => {
  assert.match(ask('Will it rain in Paris tomorrow?').text, 'Will, rain, Paris and tomorrow');
});

answering('small talk counts the turns before and names words of the last one', () => {
  const first = ask('Hello');
  assert.match(first.text, 'It is the first turn of this conversation.');
  const third = ask([
    user('One'),
    assistant('1'),
    user('Talk about Kafka'),
    assistant('2'),
    user('And now?'),
  ]);
  assert.match(third.text, 'Before it came 2 turns, most recently about Talk, about and Kafka.');
});

answering('ECHO returns any text unchanged, in whole code points', () => {
  fc.assert(
    fc.property(text(), (said) => {
      const answer = ask(`ECHO ${said}`);
      assert.is(answer.text, said);
      for (const delta of answer.deltas) assert.is(delta.text?.isWellFormed(), true);
    }),
  );
});

answering('an ECHO of nothing has no content block', () => {
  assert.equal(ask('ECHO ').types, ['messageStart', 'messageStop', 'metadata']);
});

answering('a long ECHO takes no more than 120 deltas', () => {
  for (const said of [
    'word '.repeat(100_000),
    'x'.repeat(500_000),
    ' '.repeat(500_000),
    '🦉'.repeat(100_000),
  ]) {
    const answer = ask(`ECHO ${said}`);
    assert.is(answer.text, said);
    assert.ok(answer.deltas.length <= 120 && answer.deltas.length > 100, `${answer.deltas.length} deltas`);
  }
});

answering('the prompt is the last user message', () => {
  assert.is(ask([user('ECHO one'), assistant('one'), user('ECHO two')]).text, 'two');
});

answering('SLOW waits three seconds before the first event and then answers the rest', () => {
  const { steps, text } = ask('SLOW ECHO hi');
  assert.equal(steps[0], { kind: 'wait', ms: 3000 });
  assert.is(text, 'hi');
});

answering('an answer never exceeds maxTokens and says so when it was cut', () => {
  fc.assert(
    fc.property(text(), fc.integer({ min: 1, max: 50 }), (said, maxTokens) => {
      const whole = splitTokens(said).length;
      const answer = ask(`ECHO ${said}`, { inferenceConfig: { maxTokens } });
      assert.is(answer.usage.outputTokens, Math.min(whole, maxTokens));
      assert.is(answer.stopReason, whole > maxTokens ? 'max_tokens' : 'end_turn');
      assert.ok(said.startsWith(answer.text));
    }),
  );
});

answering('maxTokens counts reasoning too and can cut the arguments of a tool', () => {
  const thinking = { additionalModelRequestFields: { thinking: { type: 'adaptive' } } };
  const cutThought = ask('Hello', { ...thinking, inferenceConfig: { maxTokens: 5 } });
  assert.is(cutThought.text, '');
  assert.is(cutThought.stopReason, 'max_tokens');
  assert.not(cutThought.deltas.some(({ reasoningContent }) => reasoningContent?.signature));
  const toolConfig = { tools: [tool('add', { properties: { a: {}, b: {} } })] };
  const whole = ask('Add', { toolConfig });
  const cutTool = ask('Add', { toolConfig, inferenceConfig: { maxTokens: whole.usage.outputTokens - 3 } });
  assert.is(cutTool.stopReason, 'max_tokens');
  assert.ok(whole.input.join('').startsWith(cutTool.input.join('')));
  assert.is.not(whole.input.join(''), cutTool.input.join(''));
});

answering('the text ends before a stop sequence, also one that spans tokens', () => {
  const cases = [
    ['one two three', ['two'], 'one '],
    ['one two three', ['e tw'], 'on'],
    ['one two three', ['three', 'two'], 'one '],
    ['one two three', ['one'], ''],
    ['one two three', ['four', ''], undefined],
  ] as const;
  for (const [said, stopSequences, left] of cases) {
    const answer = ask(`ECHO ${said}`, { inferenceConfig: { stopSequences, maxTokens: 100 } });
    assert.is(answer.text, left ?? said);
    assert.is(answer.stopReason, left === undefined ? 'end_turn' : 'stop_sequence');
  }
});

answering('a stop sequence beyond maxTokens is not reached', () => {
  const answer = ask('ECHO a b c d e f', { inferenceConfig: { maxTokens: 3, stopSequences: ['e'] } });
  assert.is(answer.text, 'a b c');
  assert.is(answer.stopReason, 'max_tokens');
});

answering('usage grows with the input and adds up', () => {
  const short = ask('Hello').usage;
  const long = ask('Hello', { system: [{ text: 'Answer in one sentence.' }] }).usage;
  assert.ok(long.inputTokens > short.inputTokens);
  assert.is(long.totalTokens, long.inputTokens + long.outputTokens);
});

answering('the first tool is called after a few words, its arguments in several pieces', () => {
  const schema = { properties: { city: { type: 'string' }, days: { type: 'integer' } } };
  const answer = ask('Rain?', { toolConfig: { tools: [tool('weather', schema), tool('other', {})] } });
  assert.equal(JSON.parse(answer.input.join('')), { city: 'example', days: 1 });
  assert.ok(answer.input.length > 3);
  assert.match(answer.text, 'weather');
  assert.is(answer.stopReason, 'tool_use');
  assert.equal(
    answer.types.filter((type) => type !== 'contentBlockDelta'),
    ['messageStart', 'contentBlockStop', 'contentBlockStart', 'contentBlockStop', 'messageStop', 'metadata'],
  );
});

answering('a forced tool is called whatever its place, and must exist', () => {
  const tools = [tool('first', {}), tool('second', {})];
  const force = (name: string) => ({ toolConfig: { tools, toolChoice: { tool: { name } } } });
  assert.match(JSON.stringify(ask('Go', force('second')).tools), '"name":"second"');
  assert.throws(() => ask('Go', force('third')), /Tool 'third' not found/);
});

answering('a tool without properties gets no input delta', () => {
  const answer = ask('What time is it?', { toolConfig: { tools: [tool('clock', {})] } });
  assert.equal(answer.input, []);
  assert.is(answer.tools.length, 1);
  assert.is(answer.stopReason, 'tool_use');
});

answering('tool use ids look like the real ones and differ from turn to turn', () => {
  const toolConfig = { tools: [tool('clock', {})] };
  const first = JSON.stringify(ask('Time?', { toolConfig }).tools);
  const later = JSON.stringify(ask([user('Time?'), assistant('Noon'), user('Time?')], { toolConfig }).tools);
  assert.match(first, /"toolUseId":"tooluse_[\w-]{22}"/);
  assert.is.not(first, later);
});

answering('after a tool result the answer quotes it', () => {
  const toolUse = { toolUseId: 'tooluse_1', name: 'clock', input: {} };
  const toolResult = { toolUseId: 'tooluse_1', content: [{ json: { noon: true } }, { text: 'bells ring' }] };
  const messages = [
    user('Time?'),
    { role: 'assistant', content: [{ toolUse }] },
    { role: 'user', content: [{ toolResult }] },
  ];
  const answer = ask(messages, { toolConfig: { tools: [tool('clock', {})] } });
  assert.match(answer.text, '{"noon":true}\nbells ring');
  assert.is(answer.stopReason, 'end_turn');
  assert.throws(() => ask(messages), /toolConfig field must be defined/);
});

answering('an output schema is answered with a fitting object', () => {
  const properties = { ok: { type: 'boolean' } };
  const schema = { type: 'object', properties, required: ['ok'], additionalProperties: false };
  const jsonSchema = { schema: JSON.stringify(schema) };
  const outputConfig = { textFormat: { type: 'json_schema', structure: { jsonSchema } } };
  assert.equal(JSON.parse(ask('Fine?', { outputConfig }).text), { ok: true });
});

answering('every tool that the prompt names is called in one answer, each in a block of its own', () => {
  const city = { properties: { city: { type: 'string' } } };
  const tools = [tool('get_weather', city), tool('get_time', {}), tool('get_news', city)];
  const answer = ask('Call get_time, get_news and get_weather', { toolConfig: { tools } });
  const calls = answer.tools as { name: string; toolUseId: string }[];
  const names = calls.map(({ name }) => name);
  assert.equal(names, ['get_weather', 'get_time', 'get_news']);
  assert.is(new Set(calls.map(({ toolUseId }) => toolUseId)).size, 3);
  assert.equal(answer.indexes, [1, 2, 3]);
  assert.match(answer.text, 'the tools get_weather, get_time and get_news');
  assert.is(answer.stopReason, 'tool_use');
});

answering.run();

// ---

const examples = suite('exampleOf');

examples('a value is made for each kind of schema', () => {
  const $defs = { city: { type: 'string', enum: ['Paris', 'Rome'] }, 'a/b': { const: 7 } };
  const cases: [schema: object, expected: unknown][] = [
    [{ const: 'fixed' }, 'fixed'],
    [{ type: 'string', default: 'usual' }, 'usual'],
    [{ enum: ['red', 'green'] }, 'red'],
    [{ type: 'boolean' }, true],
    [{ type: ['null', 'integer'] }, 1],
    [{ type: 'null' }, null],
    [{ type: 'string', format: 'date' }, '2026-01-01'],
    [{ type: 'string', maxLength: 3 }, 'exa'],
    [{ type: 'string', minLength: 10 }, 'example ex'],
    [{ type: 'integer', minimum: 5 }, 5],
    [{ type: 'integer', exclusiveMinimum: 5 }, 6],
    [{ type: 'integer', minimum: 2.2, maximum: 3.9 }, 3],
    [{ type: 'integer', maximum: -4 }, -4],
    [{ type: 'integer', minimum: 7, multipleOf: 5 }, 10],
    [{ type: 'number', exclusiveMinimum: 0, exclusiveMaximum: 1 }, 0.5],
    [{ type: 'number', minimum: 0.25, maximum: 0.5 }, 0.25],
    [{ type: 'array', items: { type: 'boolean' }, minItems: 2 }, [true, true]],
    [{ type: 'array', prefixItems: [{ const: 1 }, { const: 2 }] }, [1, 2]],
    [{ properties: { a: { properties: { b: { type: 'integer' } } } } }, { a: { b: 1 } }],
    [{ anyOf: [{ type: 'integer' }, { type: 'null' }] }, 1],
    [{ oneOf: [{ const: 'one' }, { const: 'two' }] }, 'one'],
    [{ allOf: [{ properties: { a: { const: 1 } } }, { properties: { b: { const: 2 } } }] }, { a: 1, b: 2 }],
    [
      { $defs, properties: { city: { $ref: '#/$defs/city' }, odd: { $ref: '#/$defs/a~1b' } } },
      { city: 'Paris', odd: 7 },
    ],
  ];
  for (const [schema, expected] of cases) assert.equal(exampleOf(schema), expected, JSON.stringify(schema));
});

examples('a recursive schema ends at its first repetition', () => {
  const tree = { type: 'object', properties: { value: { type: 'integer' }, next: { $ref: '#' } } };
  assert.equal(exampleOf(tree), { value: 1, next: { value: 1 } });
});

examples('a schema that multiplies is cut off instead of filling the memory', () => {
  const level = (next: number) => ({
    properties: Object.fromEntries('abcdefgh'.split('').map((key) => [key, { $ref: `#/$defs/${next}` }])),
  });
  const $defs = Object.fromEntries(Array.from({ length: 30 }, (_, index) => [index, level(index + 1)]));
  assert.ok(JSON.stringify(exampleOf({ $defs, $ref: '#/$defs/0' })).length < 100_000);
});

examples('anything at all is taken for a schema without a throw', () => {
  fc.assert(fc.property(fc.json(), (json) => void exampleOf(JSON.parse(json))));
});

examples.run();

// ---

const embedding = suite('embed');

const TITAN = 'amazon.titan-embed-text-v2:0';
type TitanBody = {
  embedding?: number[];
  embeddingsByType: { float?: number[]; binary?: number[] };
  inputTextTokenCount: number;
};
type CohereBody = {
  embeddings: number[][] & Record<string, number[][]>;
  response_type: string;
  texts: string[];
  id: string;
};

const titan = (inputText: string, more: object = {}) =>
  embed(TITAN, { inputText, ...more }).body as TitanBody;
const cohere = (modelId: string, more: object = {}) =>
  embed(modelId, { texts: ['one', 'two'], input_type: 'search_query', ...more }).body as CohereBody;
const dot = (a: number[] = [], b: number[] = []) =>
  a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0);
const likeness = (a: string, b: string) => dot(titan(a).embedding, titan(b).embedding);

embedding('the same text has the same vector of length one', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 1 }), (said) => {
      const vector = titan(said).embedding;
      assert.equal(vector, titan(said).embedding);
      assert.is(vector?.length, 1024);
      assert.ok(Math.abs(dot(vector, vector) - 1) < 1e-9);
    }),
  );
});

embedding('similar texts are closer than different ones', () => {
  const question = 'What is the capital of France?';
  const same = likeness(question, 'what is the capital of france');
  const similar = likeness(question, 'Which city is the capital of France?');
  const other = likeness(question, 'My tomatoes have brown leaves');
  assert.ok(same > 0.999, `same ${same}`);
  assert.ok(similar > 0.6 && similar < same, `similar ${similar}`);
  assert.ok(other < 0.2, `other ${other}`);
});

embedding('the phrases around a question, its order and its endings hardly count', () => {
  for (const [asked, otherwise] of [
    [
      'What is a Faraday cage?',
      'Could you please tell me what Faraday cages are and how you would define them?',
    ],
    ['How do I restart a base station?', 'Can you explain restarting base stations?'],
    ['What does VSWR mean?', 'Hi! Please describe exactly what the definition of VSWR is.'],
    ['The batteries failed, and calls dropped.', 'calls drop and the battery fails'],
  ] as const)
    assert.ok(likeness(asked, otherwise) >= 0.98, `${likeness(asked, otherwise)} ${otherwise}`);
});

embedding('another word, another number and a not make another question', () => {
  for (const other of ['What is a Faraday motor?', 'What is not a Faraday cage?', 'Who sells Faraday cages?'])
    assert.ok(
      likeness('What is a Faraday cage?', other) < 0.9,
      `${likeness('What is a Faraday cage?', other)} ${other}`,
    );
  assert.ok(likeness('What is error 502?', 'What is error 503?') < 0.9);
  assert.ok(likeness('What is a ring?', 'What is red?') < 0.9, 'endings of short words are no endings');
});

embedding('no two texts have the same vector, not even of words that hardly count', () => {
  const words = fc.array(fc.constantFrom('the', 'The', 'is', 'what', 'cage', 'cages', '?', '.'), {
    minLength: 1,
  });
  const texts = fc.uniqueArray(
    words.map((list) => list.join(' ')),
    { minLength: 2, maxLength: 2 },
  );
  fc.assert(
    fc.property(texts, ([one = '', other = '']) => {
      assert.not.equal(titan(one).embedding, titan(other).embedding);
      assert.ok(likeness(one, one) > 0.999);
    }),
  );
});

embedding('Titan takes dimensions, normalize and embedding types', () => {
  const small = titan('one word and one more', {
    dimensions: 256,
    normalize: false,
    embeddingTypes: ['float', 'binary'],
  });
  assert.is(small.embedding?.length, 256);
  assert.ok(dot(small.embedding, small.embedding) > 1);
  assert.equal(small.embeddingsByType.float, small.embedding);
  assert.equal([...new Set(small.embeddingsByType.binary)].sort(), [0, 1]);
  assert.is(small.inputTextTokenCount, 5);
  assert.not('embedding' in titan('a', { embeddingTypes: ['binary'] }));
  assert.throws(() => titan('a', { dimensions: 100 }), /dimensions/);
});

embedding('Cohere answers with lists, or by type when types were asked for', () => {
  const plain = cohere('cohere.embed-english-v3');
  assert.equal(
    plain.embeddings.map((vector) => vector.length),
    [1024, 1024],
  );
  assert.is(plain.response_type, 'embeddings_floats');
  assert.equal(plain.texts, ['one', 'two']);
  const types = ['float', 'int8', 'uint8', 'binary', 'ubinary'];
  const typed = cohere('us.cohere.embed-v4:0', { embedding_types: types, output_dimension: 256 });
  assert.is(typed.response_type, 'embeddings_by_type');
  const lengths = types.map((type) => typed.embeddings[type]?.[1]?.length);
  assert.equal(lengths, [256, 256, 256, 32, 32]);
  assert.is(cohere('cohere.embed-v4:0').embeddings[0]?.length, 1536);
});

embedding('texts that are too long are refused', () => {
  assert.ok(titan('x'.repeat(50_000)));
  assert.throws(() => titan('x'.repeat(50_001)), /inputText: expected maxLength: 50000, actual: 50001/);
  const long = ['x', 'x'.repeat(2049)];
  assert.throws(
    () => cohere('cohere.embed-multilingual-v3', { texts: long }),
    /#\/texts\/1: expected maxLength: 2048, actual: 2049/,
  );
  assert.ok(cohere('cohere.embed-english-v3', { texts: ['x'.repeat(2048)], truncate: 'END' }));
  assert.ok(cohere('cohere.embed-v4:0', { texts: long }));
  assert.throws(() => cohere('cohere.embed-english-v3', { texts: Array(97).fill('x') }), /texts/);
});

embedding('fields are those of the version', () => {
  assert.ok(cohere('cohere.embed-v4:0', { truncate: 'LEFT', max_tokens: 512 }));
  const extraneous = (key: string) => new RegExp(`extraneous key \\[${key}\\] is not permitted`);
  const v3 = (more: object) => () => cohere('cohere.embed-english-v3', more);
  assert.throws(v3({ output_dimension: 256 }), extraneous('output_dimension'));
  assert.throws(v3({ max_tokens: 512 }), extraneous('max_tokens'));
  assert.throws(v3({ truncate: 'LEFT' }), /truncate/);
  assert.throws(() => cohere('cohere.embed-v4:0', { truncate: 'START' }), /truncate/);
  assert.throws(() => titan('a', { output_dimension: 256 }), extraneous('output_dimension'));
});

embedding('other models and other shapes are refused', () => {
  assert.throws(() => embed('amazon.nova-2-lite-v1:0', {}), /model identifier is invalid/);
  assert.throws(() => embed(TITAN, { inputText: '' }), /inputText/);
  assert.throws(() => embed('cohere.embed-v4:0', { texts: ['a'] }), /input_type/);
});

embedding.run();

// ---

const tokens = suite('splitTokens');

tokens('the tokens joined are the text', () => {
  fc.assert(fc.property(text(), (said) => assert.is(splitTokens(said).join(''), said)));
});

tokens('words and punctuation marks are tokens with the blanks before them', () => {
  assert.equal(splitTokens('Built-in, yes!  Ça va?'), ['Built-in', ',', ' yes', '!', '  Ça', ' va', '?']);
});

tokens.run();
