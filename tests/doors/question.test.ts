import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Caller } from '../../src/chat/request.ts';
import { parseChat } from '../../src/doors/question.ts';
import { failureOf } from '../helpers/rejects.ts';

const caller: Caller = { tenant: 'alice', kind: 'api-key', door: 'rest' };
const parse = (body: unknown) => parseChat(body, caller, 'made-up');
const refusal = (body: unknown) => failureOf(() => parse(body));

const parsing = suite('parseChat');

parsing('a prompt is all that is needed', () => {
  assert.equal(parse({ prompt: 'Hi' }), {
    question: {
      requestId: 'made-up',
      caller,
      system: [],
      messages: [{ role: 'user', content: [{ type: 'text', text: 'Hi' }] }],
      inference: {},
      tools: [],
      chat: 'new',
      store: true,
    },
    stream: undefined,
  });
});

parsing('every field of the contract arrives', () => {
  const { question, stream } = parse({
    prompt: 'Hi',
    model: 'some-model',
    system: 'Be brief.',
    chat_id: 'chat-1',
    request_id: 'mine_1',
    parameters: { temperature: 0.2, top_p: 0.9, max_tokens: 512, stop_sequences: ['END'] },
    cache: 'refresh',
    store: false,
    stream: true,
  });
  assert.is(stream, true);
  assert.is(question.requestId, 'mine_1');
  assert.is(question.model, 'some-model');
  assert.equal(question.system, ['Be brief.']);
  assert.equal(question.chat, { id: 'chat-1' });
  assert.equal(question.inference, { maxTokens: 512, temperature: 0.2, topP: 0.9, stopSequences: ['END'] });
  assert.is(question.cache, 'refresh');
  assert.is(question.store, false);
});

parsing(
  "the predecessor's max_tokens_to_sample is taken for max_tokens, and both at once are refused",
  async () => {
    const { question } = parse({ prompt: 'Hi', parameters: { max_tokens_to_sample: 9 } });
    assert.is(question.inference.maxTokens, 9);
    const error = await refusal({ prompt: 'Hi', parameters: { max_tokens: 9, max_tokens_to_sample: 9 } });
    assert.match(error.message, 'must not hold both');
  },
);

parsing('messages hold text, images and documents', () => {
  const { question } = parse({
    messages: [
      { role: 'user', content: 'Hello' },
      { role: 'assistant', content: 'Hello.' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'What are these?' },
          { type: 'image', format: 'png', bytes: 'AAEC' },
          { type: 'document', format: 'pdf', name: 'Report 1 (final)', bytes: 'AwQ=' },
          { type: 'document', format: 'md', bytes: '' },
        ],
      },
    ],
  });
  assert.equal(question.messages[2]?.content, [
    { type: 'text', text: 'What are these?' },
    { type: 'image', format: 'png', bytes: Buffer.from([0, 1, 2]) },
    { type: 'document', format: 'pdf', name: 'Report 1 (final)', bytes: Buffer.from([3, 4]) },
    { type: 'document', format: 'md', name: 'document', bytes: Buffer.alloc(0) },
  ]);
});

const messages = [{ role: 'user', content: 'Hi' }];
const refusals: [what: string, body: unknown, param: string | undefined, sentence: string][] = [
  ['nothing', {}, 'prompt', 'prompt must be given, or messages in its place, and not both.'],
  ['both', { prompt: 'Hi', messages }, 'prompt', 'and not both'],
  ['a list', [], undefined, 'The body must be an object.'],
  ['a blank prompt', { prompt: ' \n ' }, 'prompt', 'prompt must not be blank.'],
  ['a number for a prompt', { prompt: 7 }, 'prompt', 'prompt must be text.'],
  ['an unknown field', { prompt: 'Hi', promt: 1 }, 'promt', 'promt is not a field of this API.'],
  [
    'an unknown parameter',
    { prompt: 'Hi', parameters: { top_k: 1 } },
    'parameters.top_k',
    'parameters.top_k is not a field',
  ],
  [
    'heat',
    { prompt: 'Hi', parameters: { temperature: 1.1 } },
    'parameters.temperature',
    'must be at most 1.',
  ],
  [
    'cold',
    { prompt: 'Hi', parameters: { temperature: -1 } },
    'parameters.temperature',
    'must be at least 0.',
  ],
  [
    'infinity',
    { prompt: 'Hi', parameters: { temperature: Infinity } },
    'parameters.temperature',
    'must be a number',
  ],
  ['a wide top_p', { prompt: 'Hi', parameters: { top_p: 2 } }, 'parameters.top_p', 'must be at most 1.'],
  [
    'no tokens',
    { prompt: 'Hi', parameters: { max_tokens: 0 } },
    'parameters.max_tokens',
    'must be at least 1.',
  ],
  [
    'half a token',
    { prompt: 'Hi', parameters: { max_tokens: 1.5 } },
    'parameters.max_tokens',
    'must be a whole number.',
  ],
  [
    '17 stops',
    { prompt: 'Hi', parameters: { stop_sequences: Array(17).fill('x') } },
    'parameters.stop_sequences',
    'at most 16 items',
  ],
  [
    'a long stop',
    { prompt: 'Hi', parameters: { stop_sequences: ['x'.repeat(201)] } },
    'parameters.stop_sequences[0]',
    'at most 200 characters',
  ],
  ['an odd id', { prompt: 'Hi', request_id: '"><script>' }, 'request_id', 'must be 1 to 128 of'],
  ['a long id', { prompt: 'Hi', chat_id: 'x'.repeat(129) }, 'chat_id', 'must be 1 to 128 of'],
  ['a chat and messages', { messages, chat_id: 'c' }, 'chat_id', 'must not come with messages'],
  ['an odd cache', { prompt: 'Hi', cache: 'maybe' }, 'cache', 'must be one of "use", "refresh", "off".'],
  ['no messages', { messages: [] }, 'messages', 'at least 1 items'],
  ['5,001 messages', { messages: Array(5001).fill(messages[0]) }, 'messages', 'at most 5000 items'],
  [
    'the assistant first',
    { messages: [{ role: 'assistant', content: 'Hi' }] },
    'messages',
    'must begin with a message of the user',
  ],
  [
    'a system role',
    { messages: [{ role: 'system', content: 'Hi' }] },
    'messages[0].role',
    '"user", "assistant"',
  ],
  [
    'an empty message',
    { messages: [{ role: 'user', content: [] }] },
    'messages[0].content',
    'must hold some text',
  ],
  [
    'an unknown block',
    { messages: [{ role: 'user', content: [{ type: 'video' }] }] },
    'messages[0].content[0].type',
    '"text", "image", "document"',
  ],
  [
    'an image by URL',
    { messages: [{ role: 'user', content: [{ type: 'image', format: 'png', url: 'http://x' }] }] },
    'messages[0].content[0].bytes',
    'must be text',
  ],
  [
    'broken base64',
    { messages: [{ role: 'user', content: [{ type: 'image', format: 'png', bytes: '!' }] }] },
    'messages[0].content[0].bytes',
    'must be base64',
  ],
  [
    'a lone document',
    { messages: [{ role: 'user', content: [{ type: 'document', format: 'pdf', bytes: 'AAEC' }] }] },
    'messages[0].content',
    'a document needs text beside it',
  ],
  [
    'a document with an odd name',
    {
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'x' },
            { type: 'document', format: 'pdf', name: 'a/b', bytes: '' },
          ],
        },
      ],
    },
    'messages[0].content[1].name',
    'must be words of',
  ],
];

for (const [what, body, param, sentence] of refusals) {
  parsing(`${what} is refused with the field and its limit`, async () => {
    const error = await refusal(body);
    assert.is(error.code, 'invalid_request');
    assert.is(error.param, param);
    assert.ok(error.message.includes(sentence), error.message);
  });
}

parsing('at most ten faults are listed, and the others counted', async () => {
  const body = Object.fromEntries(Array.from({ length: 40_000 }, (_, index) => [`field${index}`, 1]));
  const { message } = await refusal(body);
  assert.is(message.split('is not a field').length - 1, 10);
  assert.match(message, /There are \d+ more faults/);
  assert.ok(message.length < 1000);
});

parsing('a long name of a field is quoted in part', async () => {
  const error = await refusal({ prompt: 'Hi', ['x'.repeat(100_000)]: 1 });
  assert.ok(error.message.length < 200);
  assert.ok((error.param ?? '').length < 100);
});

parsing('megabytes of one letter are answered at once in every text field', async () => {
  const long = 'a'.repeat(1_000_000);
  for (const field of ['request_id', 'chat_id', 'model']) await refusal({ prompt: 'Hi', [field]: long });
  const bytes = { type: 'image', format: 'png', bytes: `${long}!` };
  const name = { type: 'document', format: 'pdf', name: `${long}!`, bytes: '' };
  await refusal({ messages: [{ role: 'user', content: [bytes, name] }] });
  parse({ prompt: ' '.repeat(1_000_000) + long });
});

parsing.run();
