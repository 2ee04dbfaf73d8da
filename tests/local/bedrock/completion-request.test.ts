import type { ConverseStreamCommandInput } from '@aws-sdk/client-bedrock-runtime';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { toCompletion } from '../../../src/local/bedrock/compatible/completion-request.ts';
import { parseConverseRequest } from '../../../src/local/bedrock/request.ts';

/** Bytes travel as base64. */
const inBase64 = (_: string, value: unknown) =>
  Object(value).type === 'Buffer' ? Buffer.from(Object(value).data).toString('base64') : value;

/** The body for a request as the SDK would send it, as it goes over the wire. */
function toBody(request: Omit<ConverseStreamCommandInput, 'modelId'>): Record<string, unknown> {
  const input = JSON.parse(JSON.stringify(request, inBase64));
  const fields = input.additionalModelRequestFields;
  return JSON.parse(JSON.stringify(toCompletion('llama3.2:1b', parseConverseRequest(input), fields)));
}

const user = (...content: object[]) => ({ role: 'user' as const, content: content as never[] });
const assistant = (...content: object[]) => ({ role: 'assistant' as const, content: content as never[] });
const hi = [user({ text: 'Hi' })];

const writing = suite('toCompletion');

writing('asks for a stream with its usage, and says nothing that was not said', () => {
  assert.equal(toBody({ messages: hi }), {
    model: 'llama3.2:1b',
    messages: [{ role: 'user', content: 'Hi' }],
    stream: true,
    stream_options: { include_usage: true },
  });
});

writing('passes on the system prompt, the limits and the fields that are the model’s own', () => {
  const body = toBody({
    messages: hi,
    system: [{ text: 'Be brief.' }, { cachePoint: { type: 'default' } }, { text: 'Be kind.' }],
    inferenceConfig: { maxTokens: 9, temperature: 0.5, topP: 0.9, stopSequences: ['END'] },
    additionalModelRequestFields: { top_k: 40, model: 'another', stream: false },
    requestMetadata: { tenant: 'alice' },
  });
  assert.equal(body, {
    top_k: 40,
    model: 'llama3.2:1b',
    messages: [
      { role: 'system', content: 'Be brief.\n\nBe kind.' },
      { role: 'user', content: 'Hi' },
    ],
    max_tokens: 9,
    temperature: 0.5,
    top_p: 0.9,
    stop: ['END'],
    stream: true,
    stream_options: { include_usage: true },
  });
});

writing('texts are one text, and images parts beside it', () => {
  const image = { format: 'png', source: { bytes: Buffer.from('PNG') } };
  const cachePoint = { type: 'default' };
  const { messages } = toBody({
    messages: [
      user({ text: 'One' }, { cachePoint }, { text: 'Two' }),
      assistant({ text: 'Ok' }),
      user({ text: 'See' }, { image }),
    ],
  });
  assert.equal(messages, [
    { role: 'user', content: 'One\n\nTwo' },
    { role: 'assistant', content: 'Ok' },
    {
      role: 'user',
      content: [
        { type: 'text', text: 'See' },
        { type: 'image_url', image_url: { url: 'data:image/png;base64,UE5H' } },
      ],
    },
  ]);
});

writing('a document that is a text is told, another is refused by its format', () => {
  const document = (format: string) => ({
    document: { format, name: 'Notes', source: { bytes: Buffer.from('a;b') } },
  });
  assert.equal(toBody({ messages: [user(document('csv'), { text: 'Sum?' })] })['messages'], [
    { role: 'user', content: 'Notes.csv:\n\na;b\n\nSum?' },
  ]);
  assert.throws(
    () => toBody({ messages: [user(document('pdf'), { text: 'Sum?' })] }),
    /no documents as pdf, only as csv, html, md, txt/,
  );
});

const inputSchema = { json: { type: 'object', properties: {} } };
const toolConfig = {
  tools: [
    { toolSpec: { name: 'weather', description: 'Tells it.', inputSchema } },
    { cachePoint: { type: 'default' as const } },
  ],
};

writing('tools, calls and their results, which come before what the user says', () => {
  const call = (toolUseId: string) => ({
    toolUse: { toolUseId, name: 'weather', input: { city: toolUseId } },
  });
  const result = (toolUseId: string, status: string, ...content: object[]) => ({
    toolResult: { toolUseId, status, content },
  });
  const thought = { reasoningContent: { reasoningText: { text: 'Hm' } } };
  const { messages, tools } = toBody({
    toolConfig,
    messages: [
      ...hi,
      assistant(thought, call('a'), call('b')),
      user(
        result('a', 'success', { text: 'sunny' }, { json: { degrees: 20 } }),
        result('b', 'error', { text: 'no such place' }),
        { text: 'And?' },
      ),
    ],
  });
  const made = (id: string) => ({
    id,
    type: 'function',
    function: { name: 'weather', arguments: `{"city":"${id}"}` },
  });
  assert.equal(messages, [
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: null, tool_calls: [made('a'), made('b')] },
    { role: 'tool', tool_call_id: 'a', content: 'sunny\n\n{"degrees":20}' },
    { role: 'tool', tool_call_id: 'b', content: 'Error: no such place' },
    { role: 'user', content: 'And?' },
  ]);
  assert.equal(tools, [
    {
      type: 'function',
      function: { name: 'weather', description: 'Tells it.', parameters: inputSchema.json },
    },
  ]);
});

writing('says which tool to call in OpenAI’s words', () => {
  const choices = [{ auto: {} }, { any: {} }, { tool: { name: 'weather' } }];
  assert.equal(
    choices.map(
      (toolChoice) =>
        toBody({ messages: hi, toolConfig: { ...toolConfig, toolChoice } as never })['tool_choice'],
    ),
    ['auto', 'required', { type: 'function', function: { name: 'weather' } }],
  );
  assert.is(toBody({ messages: hi, toolConfig })['tool_choice'], undefined);
});

writing('an image as the result of a tool is refused', () => {
  const image = { format: 'png', source: { bytes: Buffer.from('PNG') } };
  const messages = [
    ...hi,
    assistant({ toolUse: { toolUseId: 'a', name: 'weather', input: {} } }),
    user({ toolResult: { toolUseId: 'a', content: [{ image }] } }),
  ];
  assert.throws(() => toBody({ messages, toolConfig }), /no images and no documents in the results of tools/);
});

writing('a schema for the answer is a response_format', () => {
  const schema = { type: 'object', properties: { n: { type: 'number' } }, additionalProperties: false };
  const outputConfig = {
    textFormat: {
      type: 'json_schema' as const,
      structure: { jsonSchema: { name: 'n', schema: JSON.stringify(schema) } },
    },
  };
  assert.equal(toBody({ messages: hi, outputConfig })['response_format'], {
    type: 'json_schema',
    json_schema: { name: 'answer', schema, strict: true },
  });
});

writing.run();
