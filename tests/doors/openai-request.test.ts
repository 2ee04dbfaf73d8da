import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { GatewayError } from '../../src/chat/errors.ts';
import type { Caller, ContentBlock } from '../../src/chat/request.ts';
import { parseCompletion } from '../../src/doors/openai-request.ts';

const caller: Caller = { tenant: 'alice', kind: 'api-key', door: 'rest' };
const hi = [{ role: 'user', content: 'Hi' }];
const parse = (body: object) => parseCompletion({ messages: hi, ...body }, caller, 'made-up');
const questionOf = (body: object) => parse(body).question;
const png = `data:image/png;base64,${Buffer.from('png').toString('base64')}`;
const pdf = `data:application/pdf;base64,${Buffer.from('pdf').toString('base64')}`;
const text = (said: string): ContentBlock => ({ type: 'text', text: said });
const point: ContentBlock = { type: 'cache-point' };

/** What it is refused for. */
function refusalOf(body: object): { message: string; param: string | undefined } {
  try {
    parse(body);
  } catch (error) {
    if (error instanceof GatewayError && error.code === 'invalid_request') {
      return { message: error.message, param: error.param };
    }
    throw error;
  }
  throw new Error('It was not refused.');
}

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

const messages = suite('the messages of OpenAI');

messages('what the system and the developer say is told apart, in order, wherever it stood', () => {
  const list = [
    { role: 'system', content: 'One.' },
    { role: 'user', content: 'Hi' },
    {
      role: 'developer',
      content: [
        { type: 'text', text: 'Two.' },
        { type: 'text', text: ' ' },
      ],
    },
    { role: 'assistant', content: 'Hello.' },
    { role: 'user', content: 'Why?' },
  ];
  const { system, messages: said } = questionOf({ messages: list });
  assert.equal(system, ['One.', 'Two.']);
  assert.equal(
    said.map(({ role }) => role),
    ['user', 'assistant', 'user'],
  );
});

messages('images and files travel as data: URLs', () => {
  const content = [
    { type: 'text', text: 'Look' },
    { type: 'image_url', image_url: { url: png, detail: 'high' } },
    { type: 'image_url', image_url: png },
    { type: 'file', file: { file_data: pdf, filename: 'Q3_report (final).v2.pdf' } },
    { type: 'file', file: { file_data: png, filename: 'a.png' } },
    { type: 'file', file: { file_data: 'data:text/plain;charset=utf-8;base64,aGk=' } },
  ];
  const [message] = questionOf({ messages: [{ role: 'user', content }] }).messages;
  const image = { type: 'image', format: 'png', bytes: Buffer.from('png') };
  assert.equal(message?.content, [
    text('Look'),
    image,
    image,
    { type: 'document', format: 'pdf', name: 'Q3 report (final) v2', bytes: Buffer.from('pdf') },
    image,
    { type: 'document', format: 'txt', name: 'document', bytes: Buffer.from('hi') },
  ]);
});

for (const url of [
  'https://example.com/a.png',
  'http://169.254.169.254/latest/meta-data/',
  'file:///etc/passwd',
  'data:image/png,plain',
  'data:image/svg+xml;base64,PHN2Zz4=',
  'data:image/png;base64,',
  'data:image/png;base64,@@@@',
  'data:image/png;base64',
  '',
]) {
  messages(`an image at ${url || 'nowhere'} is refused by its field, and nothing is fetched`, () => {
    const content = [{ type: 'image_url', image_url: { url } }];
    const { message, param } = refusalOf({ messages: [{ role: 'user', content }] });
    assert.is(param, 'messages[0].content[0].image_url.url');
    assert.match(message, 'must be a data: URL in base64 of image/png, image/jpeg');
  });
}

messages('a file by its id, audio and other parts are refused by name', () => {
  const refused = (part: object) => refusalOf({ messages: [{ role: 'user', content: [part] }] });
  assert.match(
    refused({ type: 'file', file: { file_id: 'f-1' } }).message,
    'messages[0].content[0].file must be an object with a file_data, which is a data: URL in base64 of',
  );
  assert.is(
    refused({ type: 'input_audio', input_audio: {} }).message,
    'messages[0].content[0].type must be one of "text", "image_url", "file".',
  );
});

messages('a message of the user says something, and a document has text beside it', () => {
  const refused = (content: unknown) => refusalOf({ messages: [{ role: 'user', content }] }).message;
  const sentence = 'messages[0].content must hold some text, and a document needs text beside it.';
  for (const content of ['', ' \n', [], [{ type: 'file', file: { file_data: pdf } }]]) {
    assert.is(refused(content), sentence);
  }
  const { messages: said } = questionOf({
    messages: [
      {
        role: 'user',
        content: [{ type: 'image_url', image_url: { url: png }, cache_control: { type: 'ephemeral' } }],
      },
    ],
  });
  assert.is(said[0]?.content.length, 2);
});

messages('calls and their results are the assistant’s and the user’s', () => {
  const list = [
    ...hi,
    {
      role: 'assistant',
      content: null,
      tool_calls: [
        { id: 'call_1', type: 'function', function: { name: 'look', arguments: '{"at":[1]}' } },
        { id: 'call_2', type: 'function', function: { name: 'now', arguments: '' } },
      ],
    },
    { role: 'tool', tool_call_id: 'call_1', content: 'seen' },
    {
      role: 'tool',
      tool_call_id: 'call_2',
      content: [
        { type: 'text', text: 'a' },
        { type: 'text', text: 'b' },
      ],
    },
  ];
  assert.equal(questionOf({ messages: list }).messages.slice(1), [
    {
      role: 'assistant',
      content: [
        { type: 'tool-use', id: 'call_1', name: 'look', input: { at: [1] } },
        { type: 'tool-use', id: 'call_2', name: 'now', input: {} },
      ],
    },
    { role: 'user', content: [{ type: 'tool-result', id: 'call_1', text: 'seen', failed: false }] },
    { role: 'user', content: [{ type: 'tool-result', id: 'call_2', text: 'a\nb', failed: false }] },
  ]);
});

messages('a tool that says nothing has an empty result', () => {
  for (const content of [null, undefined, '', []]) {
    const [, said] = questionOf({ messages: [...hi, { role: 'tool', tool_call_id: 'c', content }] }).messages;
    assert.equal(said?.content, [{ type: 'tool-result', id: 'c', text: '', failed: false }]);
  }
});

messages('arguments that are no JSON object are refused by their field', () => {
  for (const given of ['{', '[]', '7', 'null', 'NaN']) {
    const call = { id: 'c', type: 'function', function: { name: 'look', arguments: given } };
    const { message } = refusalOf({ messages: [...hi, { role: 'assistant', tool_calls: [call] }] });
    assert.is(message, 'messages[1].tool_calls[0].function.arguments must be a JSON object as text.');
  }
});

messages('signed thoughts come back before what was said, others are left out', () => {
  const reasoning_details = [
    { type: 'reasoning.text', index: 0, text: 'hm', signature: 'sig', format: 'anything' },
    { type: 'reasoning.encrypted', index: 1, data: 'aGk=' },
    { type: 'reasoning.text', index: 2, text: 'unsigned', signature: null },
    { type: 'reasoning.summary', index: 3, summary: 'short' },
  ];
  const assistant = { role: 'assistant', content: 'Hello.', reasoning_content: 'hm', reasoning_details };
  const [, message] = questionOf({ messages: [...hi, assistant, ...hi] }).messages;
  assert.equal(message?.content, [
    { type: 'reasoning', text: 'hm', signature: 'sig' },
    { type: 'reasoning', text: '', redacted: 'aGk=' },
    text('Hello.'),
  ]);
});

messages('cache_control on a part, a message and a tool makes a place to remember from behind it', () => {
  const control = { cache_control: { type: 'ephemeral' } };
  const {
    system,
    messages: said,
    tools,
  } = questionOf({
    messages: [
      {
        role: 'system',
        content: [
          { type: 'text', text: 'Long.', ...control },
          { type: 'text', text: 'Short.' },
        ],
      },
      { role: 'developer', content: 'Whole.', cache_control: { type: 'ephemeral', ttl: '1h' } },
      { role: 'system', content: ' ', ...control },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'a', ...control },
          { type: 'text', text: 'b' },
        ],
      },
      { role: 'assistant', content: 'c', ...control },
      { role: 'user', content: 'd', ...control },
    ],
    tools: [{ type: 'function', function: { name: 'look' }, ...control }],
  });
  assert.equal(system, ['Long.', point, 'Short.', 'Whole.', { type: 'cache-point', ttl: '1h' }]);
  assert.equal(
    said.map(({ content }) => content),
    [
      [text('a'), point, text('b')],
      [text('c'), point],
      [text('d'), point],
    ],
  );
  assert.equal(tools[0]?.cachePoint, point);
});

messages('an assistant that greets first is told so, since at Bedrock the user speaks first', () => {
  const greeting = { role: 'assistant', content: 'Welcome!' };
  const { messages: said } = questionOf({ messages: [greeting, ...hi] });
  assert.equal(said, [
    { role: 'user', content: [text('(The conversation begins.)')] },
    { role: 'assistant', content: [text('Welcome!')] },
    { role: 'user', content: [text('Hi')] },
  ]);
});

messages('somebody has to have said something', () => {
  const sentence = 'messages must hold a message of the user or of a tool.';
  for (const role of ['system', 'assistant']) {
    const { message, param } = refusalOf({ messages: [{ role, content: 'Hi' }] });
    assert.equal([message, param], [sentence, 'messages']);
  }
  assert.is(refusalOf({ messages: [] }).message, 'messages must have at least 1 items.');
  assert.is(
    refusalOf({ messages: [{ role: 'function', content: '' }] }).message,
    'messages[0].role must be one of "system", "developer", "user", "assistant", "tool".',
  );
});

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

chats('with nothing after the last answer there is no question', () => {
  const { message } = refusalOf({ chat_id: 'c1', messages: history.slice(0, 3) });
  assert.is(
    message,
    'messages must hold a message of the user or of a tool after the last of the assistant.',
  );
  assert.match(refusalOf({ chat_id: 'a/b' }).message, 'chat_id must be 1 to 128 of');
});

parsing.run();
messages.run();
tools.run();
formats.run();
chats.run();
