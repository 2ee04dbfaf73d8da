import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { caller, hi, parse, questionOf, refusalOf, text } from '../helpers/completions.ts';

const parsing = suite('parseCompletion');

parsing('messages are all that is needed; nothing is kept, and nothing streams', () => {
  assert.equal(parse({}), {
    question: {
      requestId: 'made-up',
      caller,
      system: [],
      messages: [{ role: 'user', content: [text('Hi')] }],
      inference: {},
      tools: [],
      metadata: {},
      chat: 'none',
      store: true,
    },
    stream: false,
    includeUsage: false,
  });
});

parsing('null in place of an optional field is as if it were not there', () => {
  const fields =
    'model max_tokens max_completion_tokens temperature top_p stop stream stream_options tools tool_choice response_format reasoning_effort user metadata n logprobs functions function_call chat_id request_id cache store';
  const nulls = Object.fromEntries(fields.split(' ').map((field) => [field, null]));
  assert.equal(parse(nulls), parse({}));
});

parsing('fields that nobody knows are ignored, at every depth', () => {
  const messages = [{ role: 'user', name: 'Al', content: [{ type: 'text', text: 'Hi', annotations: [] }] }];
  assert.equal(parse({ messages, seed: 7, presence_penalty: 1, safety: { on: true } }), parse({}));
});

parsing('every field that means something arrives', () => {
  const { question, stream, includeUsage } = parse({
    model: 'some-model',
    max_tokens: 9,
    temperature: 0.3,
    top_p: 0.8,
    stop: ['END', 'FIN'],
    stream: true,
    stream_options: { include_usage: true },
    reasoning_effort: 'high',
    user: 'u-1',
    metadata: { team: 'blue' },
    request_id: 'mine',
    cache: 'refresh',
    store: false,
  });
  assert.equal([stream, includeUsage], [true, true]);
  assert.is(question.model, 'some-model');
  assert.equal(question.inference, {
    maxTokens: 9,
    temperature: 0.3,
    topP: 0.8,
    stopSequences: ['END', 'FIN'],
  });
  assert.is(question.effort, 'high');
  assert.equal(question.metadata, { team: 'blue', user: 'u-1' });
  assert.equal([question.requestId, question.cache, question.store], ['mine', 'refresh', false]);
});

parsing(
  'the user comes before other metadata, of which not all may be sent, and is nobody else’s word',
  () => {
    const { metadata } = questionOf({ user: 'u-1', metadata: { team: 'blue', user: 'u-2' } });
    assert.equal(Object.entries(metadata ?? {}), [
      ['user', 'u-1'],
      ['team', 'blue'],
    ]);
  },
);

parsing('the newer word for the longest answer beats the older', () => {
  assert.is(questionOf({ max_completion_tokens: 5, max_tokens: 9 }).inference.maxTokens, 5);
});

parsing('a temperature above 1 is OpenAI’s and becomes the highest that Bedrock has', () => {
  assert.is(questionOf({ temperature: 1.7 }).inference.temperature, 1);
  assert.is(refusalOf({ temperature: 2.1 }).message, 'temperature must be at most 2.');
});

parsing('one stop sequence may come without a list', () => {
  assert.equal(questionOf({ stop: 'END' }).inference.stopSequences, ['END']);
});

parsing('what would change the answer and cannot be had is refused, and why', () => {
  assert.is(refusalOf({ n: 2 }).message, 'n must be 1: a question has one answer here.');
  assert.is(refusalOf({ logprobs: true }).message, 'logprobs must be false: Bedrock tells no probabilities.');
  assert.is(refusalOf({ functions: [] }).message, 'functions is not supported any more: send tools.');
  assert.is(
    refusalOf({ function_call: 'auto' }).message,
    'function_call is not supported any more: send tool_choice.',
  );
  assert.equal(parse({ n: 1, logprobs: false }), parse({}));
});

parsing('usage is told in a stream to those alone who say so', () => {
  for (const stream_options of [{}, { include_usage: null }, { include_usage: false }]) {
    assert.is(parse({ stream: true, stream_options }).includeUsage, false);
  }
});

parsing('zero is a value like any other', () => {
  assert.equal(questionOf({ temperature: 0, top_p: 0 }).inference, { temperature: 0, topP: 0 });
});

parsing('user beats an entry of that name in metadata', () => {
  assert.equal(questionOf({ user: 'u-1', metadata: { user: 'u-2' } }).metadata, { user: 'u-1' });
});

const listOf = <Item>(length: number, item: Item) => Array<Item>(length).fill(item);
const hello = { role: 'user', content: 'Hi' };
const aTool = { type: 'function', function: { name: 'look' } };

for (const [field, body] of [
  ['messages', (longer: number) => ({ messages: listOf(5_000 + longer, hello) })],
  ['model', (longer: number) => ({ model: 'm'.repeat(2_048 + longer) })],
  ['stop', (longer: number) => ({ stop: listOf(16 + longer, 'END') })],
  ['stop[0]', (longer: number) => ({ stop: 'x'.repeat(200 + longer) })],
  ['tools', (longer: number) => ({ tools: listOf(128 + longer, aTool) })],
  ['top_p', (longer: number) => ({ top_p: 1 + longer })],
  [
    'tools[0].function.name',
    (longer: number) => ({ tools: [{ type: 'function', function: { name: 'a'.repeat(64 + longer) } }] }),
  ],
  [
    'messages[1].tool_call_id',
    (longer: number) => ({
      messages: [...hi, { role: 'tool', content: 'x', tool_call_id: 'a'.repeat(64 + longer) }],
    }),
  ],
] as const) {
  parsing(`${field} goes to its limit, and not beyond it`, () => {
    parse(body(0));
    assert.is(refusalOf(body(1)).param, field);
  });
}

for (const [field, value] of [
  ['model', ''],
  ['max_tokens', 0],
  ['max_completion_tokens', 1.5],
  ['temperature', -0.1],
  ['top_p', -0.1],
  ['stop', ['']],
  ['reasoning_effort', 'extreme'],
  ['cache', 'on'],
  ['request_id', 'a/b'],
  ['metadata', { team: 7 }],
] as const) {
  parsing(`${field} is refused by its name: ${JSON.stringify(value)}`, () => {
    assert.match(refusalOf({ [field]: value }).param ?? '', field);
  });
}

const tools = suite('the tools of OpenAI');
const look = { type: 'function', function: { name: 'look' } };

tools('arrive with their schema, and with an empty one where there is none', () => {
  const parameters = { type: 'object', properties: { at: { type: 'number' } } };
  const described = {
    type: 'function',
    function: { name: 'find', description: 'Finds.', parameters, strict: true },
  };
  assert.equal(questionOf({ tools: [look, described] }).tools, [
    { name: 'look', inputSchema: { type: 'object', properties: {} } },
    { name: 'find', description: 'Finds.', inputSchema: parameters },
  ]);
  const open = { type: 'function', function: { name: 'look', parameters: {} } };
  assert.equal(questionOf({ tools: [open] }).tools[0]?.inputSchema, { type: 'object' });
  const blank = { type: 'function', function: { name: 'look', description: ' ' } };
  assert.not('description' in (questionOf({ tools: [blank] }).tools[0] ?? {}));
});

tools('a schema that says its type keeps it, also where Bedrock will refuse it', () => {
  const parameters = { type: 'array' };
  const open = { type: 'function', function: { name: 'look', parameters } };
  assert.equal(questionOf({ tools: [open] }).tools[0]?.inputSchema, parameters);
});

tools('an empty list is none, and there is nothing to choose', () => {
  assert.equal(parse({ tools: [], tool_choice: 'auto' }), parse({}));
});

tools('the choice among them arrives in the words of the gateway', () => {
  const choiceOf = (tool_choice: unknown) => questionOf({ tools: [look], tool_choice }).toolChoice;
  assert.equal(choiceOf('auto'), { type: 'auto' });
  assert.equal(choiceOf('required'), { type: 'any' });
  assert.equal(choiceOf(look), { type: 'tool', name: 'look' });
  assert.is(choiceOf(null), undefined);
  assert.equal(questionOf({ tools: [look], tool_choice: 'none' }).tools, []);
});

tools('a choice of what is not there is refused', () => {
  const sentence = 'tool_choice must name one of tools, or "required" some.';
  assert.is(
    refusalOf({ tools: [look], tool_choice: { type: 'function', function: { name: 'x' } } }).message,
    sentence,
  );
  assert.is(refusalOf({ tool_choice: 'required' }).message, sentence);
  assert.match(
    refusalOf({ tools: [look], tool_choice: 'any' }).message,
    'tool_choice must be "none", "auto"',
  );
});

tools('names that Bedrock would not take are refused', () => {
  const named = (name: string) => refusalOf({ tools: [{ type: 'function', function: { name } }] }).message;
  assert.is(named('a.b'), 'tools[0].function.name must be 1 to 64 of A-Z, a-z, 0-9, _ and -.');
  assert.match(refusalOf({ tools: [{ type: 'custom', custom: { name: 'x' } }] }).message, 'tools[0].type');
});

const formats = suite('response_format');

formats('a schema is what the answer must fit', () => {
  const schema = { type: 'object', properties: { a: { type: 'string' } } };
  const response_format = { type: 'json_schema', json_schema: { name: 'shape', schema, strict: true } };
  assert.equal(questionOf({ response_format }).outputSchema, { name: 'shape', schema });
});

formats('what an operator wrote, which is no JSON, is not asked for where JSON is wanted', () => {
  const response_format = { type: 'json_object' };
  assert.is(questionOf({ response_format, cache: 'use' }).cache, undefined);
  assert.is(questionOf({ response_format, cache: 'off' }).cache, 'off');
  assert.is(questionOf({ cache: 'use' }).cache, 'use');
});

formats('a schema that is not there lets any object through', () => {
  const response_format = { type: 'json_schema', json_schema: { name: 'shape' } };
  assert.equal(questionOf({ response_format }).outputSchema, { name: 'shape', schema: { type: 'object' } });
});

formats('what the system said comes before the words for it', () => {
  const list = [{ role: 'system', content: 'Be brief.' }, ...hi];
  const { system } = questionOf({ messages: list, response_format: { type: 'json_object' } });
  assert.equal(system, ['Be brief.', 'Answer with one JSON object and nothing else.']);
});

formats('any JSON object is asked for in words, since Bedrock knows no such format', () => {
  const { system, outputSchema } = questionOf({ response_format: { type: 'json_object' } });
  assert.equal(system, ['Answer with one JSON object and nothing else.']);
  assert.is(outputSchema, undefined);
  assert.equal(questionOf({ response_format: { type: 'text' } }), questionOf({}));
});

const chats = suite('chat_id on the OpenAI door');
const history = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: 'Old' },
  { role: 'assistant', content: 'Older' },
  { role: 'user', content: 'New' },
  { role: 'user', content: 'Newer' },
];

chats('"new" begins a conversation with all that is there', () => {
  const { chat, messages: said } = questionOf({ chat_id: 'new', messages: history });
  assert.is(chat, 'new');
  assert.is(said.length, 4);
});

chats('an id goes on with one, and only what comes after the last answer counts', () => {
  const { chat, messages: said, system } = questionOf({ chat_id: 'c1', messages: history });
  assert.equal(chat, { id: 'c1' });
  assert.equal(said, [
    { role: 'user', content: [text('New')] },
    { role: 'user', content: [text('Newer')] },
  ]);
  assert.equal(system, ['Be brief.']);
});

chats('of several answers the last is the one that counts', () => {
  const longer = [...history, { role: 'assistant', content: 'Newest' }, ...hi];
  const { messages: said } = questionOf({ chat_id: 'c1', messages: longer });
  assert.equal(said, [{ role: 'user', content: [text('Hi')] }]);
});

chats('a new one may begin with a greeting too', () => {
  const greeting = { role: 'assistant', content: 'Welcome!' };
  const { messages: said } = questionOf({ chat_id: 'new', messages: [greeting, ...hi] });
  assert.equal(
    said.map(({ role }) => role),
    ['user', 'assistant', 'user'],
  );
});

chats('with nothing after the last answer there is no question', () => {
  const { message } = refusalOf({ chat_id: 'c1', messages: history.slice(0, 3) });
  assert.is(
    message,
    'messages must hold a message of the user or of a tool after the last of the assistant.',
  );
  assert.match(refusalOf({ chat_id: 'a/b' }).message, 'chat_id must be 1 to 128 of');
});

parsing.run();
tools.run();
formats.run();
chats.run();
