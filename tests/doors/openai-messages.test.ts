import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ContentBlock } from '../../src/chat/request.ts';
import { hi, questionOf, refusalOf, text } from '../helpers/completions.ts';

const png = `data:image/png;base64,${Buffer.from('png').toString('base64')}`;
const pdf = `data:application/pdf;base64,${Buffer.from('pdf').toString('base64')}`;
const point: ContentBlock = { type: 'cache-point' };

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

const dataUrl = (mediaType: string, data = 'aGk=') => `data:${mediaType};base64,${data}`;
/** What a file of this URL and name becomes. */
const fileOf = (file_data: string, filename?: string) => {
  const file = { type: 'file', file: { file_data, filename } };
  const content = [{ type: 'text', text: 'Look' }, file];
  return questionOf({ messages: [{ role: 'user', content }] }).messages[0]?.content[1];
};

const office = 'application/vnd.openxmlformats-officedocument';
for (const [mediaType, type, format] of [
  ['image/png', 'image', 'png'],
  ['image/jpeg', 'image', 'jpeg'],
  ['image/jpg', 'image', 'jpeg'],
  ['image/gif', 'image', 'gif'],
  ['image/webp', 'image', 'webp'],
  ['application/pdf', 'document', 'pdf'],
  ['text/csv', 'document', 'csv'],
  ['application/msword', 'document', 'doc'],
  [`${office}.wordprocessingml.document`, 'document', 'docx'],
  ['application/vnd.ms-excel', 'document', 'xls'],
  [`${office}.spreadsheetml.sheet`, 'document', 'xlsx'],
  ['text/html', 'document', 'html'],
  ['text/plain', 'document', 'txt'],
  ['text/markdown', 'document', 'md'],
] as const) {
  messages(`${mediaType} is ${format}, in letters of any case`, () => {
    for (const url of [dataUrl(mediaType), `DATA:${mediaType.toUpperCase()};BASE64,aGk=`]) {
      const { bytes, name: _, ...rest } = { name: '', bytes: Buffer.alloc(0), ...fileOf(url) };
      assert.equal([rest, Buffer.from(bytes).toString()], [{ type, format }, 'hi']);
    }
  });
}

messages('the name of a document keeps to what Bedrock takes', () => {
  const nameOf = (filename: string) => Object(fileOf(pdf, filename)).name;
  assert.is(nameOf(' [a]  (b)-c_d.xhtml'), '[a] (b)-c d');
  assert.is(nameOf('a.folder'), 'a folder', 'an ending has five letters at most');
  assert.is(nameOf('é.pdf'), 'document');
  assert.is(nameOf('x'.repeat(201)), 'x'.repeat(200));
  assert.is(nameOf(`${'x'.repeat(199)} y`), 'x'.repeat(199), 'no space at its end');
});

for (const url of [
  'https://example.com/a.png',
  'http://169.254.169.254/latest/meta-data/',
  'file:///etc/passwd',
  'data:image/png,plain',
  'data:image/svg+xml;base64,PHN2Zz4=',
  'data:image/png;base64,',
  'data:image/png;base64,@@@@',
  'data:image/png;base64,A',
  'data:image/png;base64',
  'data:image/png;base64;charset=utf-8,aGk=',
  'data:image/png;base64,aGk===',
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
        { id: 'call_2', type: 'function', function: { name: 'now', arguments: ' \n' } },
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

messages('text beside calls comes before them, and a place to remember from behind', () => {
  const call = { id: 'functions.look:0', type: 'function', function: { name: 'look', arguments: '{}' } };
  const control = { cache_control: { type: 'ephemeral' } };
  const assistant = { role: 'assistant', content: 'I look.', tool_calls: [call], ...control };
  const result = { role: 'tool', tool_call_id: 'functions.look:0', content: 'seen' };
  assert.equal(questionOf({ messages: [...hi, assistant, result] }).messages[1]?.content, [
    text('I look.'),
    { type: 'tool-use', id: 'functions.look:0', name: 'look', input: {} },
    point,
  ]);
});

messages('what the assistant and a tool say is text or nothing', () => {
  for (const message of [{ role: 'assistant' }, { role: 'tool', tool_call_id: 'a' }]) {
    const { param } = refusalOf({ messages: [...hi, { ...message, content: false }] });
    assert.is(param, 'messages[1].content');
  }
});

messages('an id of a call is refused for other characters', () => {
  const result = { role: 'tool', tool_call_id: 'a b', content: 'seen' };
  assert.is(
    refusalOf({ messages: [...hi, result] }).message,
    'messages[1].tool_call_id must be 1 to 64 of A-Z, a-z, 0-9, _ . : and -.',
  );
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

messages('thoughts count by what they say they are', () => {
  const contentOf = (...reasoning_details: object[]) => {
    const assistant = { role: 'assistant', content: 'Hello.', reasoning_details };
    return questionOf({ messages: [...hi, assistant, ...hi] }).messages[1]?.content.slice(0, -1);
  };
  assert.equal(contentOf({ type: 'reasoning.summary', text: 'hm', signature: 'sig' }), []);
  assert.equal(contentOf({ type: 'reasoning.text', text: 'hm', data: 'aGk=' }), []);
  assert.equal(contentOf({ type: 'reasoning.text', signature: 'sig' }), [
    { type: 'reasoning', text: '', signature: 'sig' },
  ]);
  const details = [{ type: 'reasoning.encrypted', data: '@' }];
  assert.is(
    refusalOf({ messages: [...hi, { role: 'assistant', reasoning_details: details }] }).message,
    'messages[1].reasoning_details[0].data must be base64.',
  );
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

messages('cache_control counts behind a file and the result of a tool, for as long as Bedrock knows', () => {
  const list = (ttl: string) => [
    {
      role: 'user',
      content: [
        { type: 'text', text: 'Read' },
        { type: 'file', file: { file_data: pdf }, cache_control: { type: 'ephemeral', ttl } },
      ],
    },
    { role: 'tool', tool_call_id: 'a', content: 'seen', cache_control: { type: 'ephemeral', ttl: null } },
  ];
  const said = questionOf({ messages: list('5m') }).messages;
  assert.equal(
    said.map(({ content }) => content.at(-1)),
    [{ ...point, ttl: '5m' }, point],
  );
  assert.is(refusalOf({ messages: list('2h') }).param, 'messages[0].content[1].cache_control.ttl');
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

messages.run();
