import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { toConverseInput } from '../../src/aws/converse.ts';
import type { ChatRequest, Message } from '../../src/chat/request.ts';
import { chatRequest } from '../helpers/requests.ts';

const user = (...texts: string[]): Message => ({
  role: 'user',
  content: texts.map((text) => ({ type: 'text', text })),
});
const messagesOf = (messages: readonly Message[]) => toConverseInput(chatRequest({ messages })).messages;

const converting = suite('toConverseInput');

converting('a plain question is all that is sent of it', () => {
  assert.equal(toConverseInput(chatRequest()), {
    modelId: 'global.amazon.nova-2-lite-v1:0',
    messages: [{ role: 'user', content: [{ text: 'What is a Faraday cage?' }] }],
    inferenceConfig: { maxTokens: 4096, temperature: 0 },
    requestMetadata: { tenant: 'alice', request_id: 'request-1' },
  });
});

converting('system, sampling and stop sequences go where Bedrock looks for them', () => {
  const inference: ChatRequest['inference'] = {
    maxTokens: 9,
    temperature: 0.5,
    topP: 0.9,
    stopSequences: ['END'],
  };
  const input = toConverseInput(chatRequest({ system: ['First.', 'Second.'], inference }));
  assert.equal(input.system, [{ text: 'First.' }, { text: 'Second.' }]);
  assert.equal(input.inferenceConfig, { maxTokens: 9, temperature: 0.5, topP: 0.9, stopSequences: ['END'] });
});

converting('guardrail, service tier and fields for the model alone go where Bedrock looks for them', () => {
  const input = toConverseInput(
    chatRequest({
      guardrail: { id: 'abc', version: '3' },
      serviceTier: 'flex',
      modelFields: { thinking: { type: 'disabled' } },
    }),
  );
  assert.equal(input.guardrailConfig, { guardrailIdentifier: 'abc', guardrailVersion: '3' });
  assert.equal(input.serviceTier, { type: 'flex' });
  assert.equal(input.additionalModelRequestFields, { thinking: { type: 'disabled' } });
});

converting('neighbours of one role are joined, since Bedrock wants turns', () => {
  const assistant: Message = { role: 'assistant', content: [{ type: 'text', text: 'c' }] };
  assert.equal(messagesOf([user('a'), user('b'), assistant, user('d')]), [
    { role: 'user', content: [{ text: 'a' }, { text: 'b' }] },
    { role: 'assistant', content: [{ text: 'c' }] },
    { role: 'user', content: [{ text: 'd' }] },
  ]);
});

converting('blank text, which Bedrock refuses, is left out', () => {
  assert.equal(messagesOf([user(' \n', 'a', '')]), [{ role: 'user', content: [{ text: 'a' }] }]);
});

converting('every kind of content has its place', () => {
  const bytes = Uint8Array.of(1, 2);
  const content: Message['content'] = [
    { type: 'image', format: 'png', bytes },
    { type: 'document', format: 'pdf', name: 'Report', bytes },
    { type: 'tool-use', id: 't1', name: 'look', input: { at: [1] } },
    { type: 'tool-result', id: 't1', text: 'seen', failed: false },
    { type: 'tool-result', id: 't2', text: 'dark', failed: true },
    { type: 'reasoning', text: 'hm', signature: 'sig' },
    { type: 'reasoning', text: '', redacted: 'AAEC' },
  ];
  assert.equal(messagesOf([{ role: 'user', content }])?.[0]?.content, [
    { toolResult: { toolUseId: 't1', content: [{ text: 'seen' }] } },
    { toolResult: { toolUseId: 't2', content: [{ text: 'dark' }], status: 'error' } },
    { image: { format: 'png', source: { bytes } } },
    { document: { format: 'pdf', name: 'Report', source: { bytes } } },
    { toolUse: { toolUseId: 't1', name: 'look', input: { at: [1] } } },
    { reasoningContent: { reasoningText: { text: 'hm', signature: 'sig' } } },
    { reasoningContent: { redactedContent: Buffer.from([0, 1, 2]) } },
  ]);
});

converting('tools come with their schemas and with how they may be chosen', () => {
  const schema = { type: 'object', properties: {} };
  const tools: ChatRequest['tools'] = [
    { name: 'look', description: 'Looks.', inputSchema: schema },
    { name: 'run', inputSchema: schema },
  ];
  const choiceOf = (toolChoice: NonNullable<ChatRequest['toolChoice']>) =>
    toConverseInput(chatRequest({ tools, toolChoice })).toolConfig?.toolChoice;
  assert.equal(toConverseInput(chatRequest({ tools })).toolConfig, {
    tools: [
      { toolSpec: { name: 'look', description: 'Looks.', inputSchema: { json: schema } } },
      { toolSpec: { name: 'run', inputSchema: { json: schema } } },
    ],
  });
  assert.equal(choiceOf({ type: 'auto' }), { auto: {} });
  assert.equal(choiceOf({ type: 'any' }), { any: {} });
  assert.equal(choiceOf({ type: 'tool', name: 'run' }), { tool: { name: 'run' } });
});

converting('an output schema travels as a string', () => {
  const { outputConfig } = toConverseInput(
    chatRequest({ outputSchema: { name: 'out', schema: { type: 'object' } } }),
  );
  assert.equal(outputConfig, {
    textFormat: {
      type: 'json_schema',
      structure: { jsonSchema: { name: 'out', schema: '{"additionalProperties":false,"type":"object"}' } },
    },
  });
});

converting(
  'each object of a schema says that it has no other properties, as Bedrock wants, unless it says otherwise',
  () => {
    const schema = {
      type: 'object',
      properties: {
        type: { type: 'string' },
        list: { type: 'array', items: { type: ['object', 'null'], properties: {} } },
        open: { type: 'object', additionalProperties: { type: 'number' } },
        fixed: { const: { type: 'object' }, enum: [{ type: 'object' }], default: { type: 'object' } },
      },
    };
    const { outputConfig } = toConverseInput(chatRequest({ outputSchema: { name: 'out', schema } }));
    const sent = JSON.parse(outputConfig?.textFormat?.structure?.jsonSchema?.schema ?? '');
    assert.is(sent.additionalProperties, false);
    assert.is(sent.properties.list.items.additionalProperties, false);
    assert.equal(sent.properties.open.additionalProperties, { type: 'number' });
    assert.equal(sent.properties.type, { type: 'string' });
    assert.equal(sent.properties.fixed, schema.properties.fixed);
  },
);

converting('places to remember from go where they stand, and behind their tool', () => {
  const point = { type: 'cache-point' } as const;
  const { system, messages, toolConfig } = toConverseInput(
    chatRequest({
      system: ['a', { ...point, ttl: '1h' }, 'b'],
      messages: [{ role: 'user', content: [{ type: 'text', text: 'c' }, point] }],
      tools: [{ name: 'look', inputSchema: {}, cachePoint: point }],
    }),
  );
  const plainPoint = { cachePoint: { type: 'default' } };
  assert.equal(system, [{ text: 'a' }, { cachePoint: { type: 'default', ttl: '1h' } }, { text: 'b' }]);
  assert.equal(messages, [{ role: 'user', content: [{ text: 'c' }, plainPoint] }]);
  assert.equal(toolConfig?.tools?.[1], plainPoint);
});

converting('a place to remember from with nothing before it is left out, since Bedrock refuses it', () => {
  const point = { type: 'cache-point' } as const;
  const text = { type: 'text', text: 'a' } as const;
  const thought = { type: 'reasoning', text: 'hm', signature: 'sig' } as const;
  const plainPoint = { cachePoint: { type: 'default' } };
  const sent = messagesOf([
    { role: 'user', content: [{ type: 'text', text: ' ' }, point, text, point, point] },
    { role: 'assistant', content: [thought, point, text, point] },
  ]);
  assert.equal(sent?.[0]?.content, [{ text: 'a' }, plainPoint]);
  assert.equal(sent?.[1]?.content?.slice(1), [{ text: 'a' }, plainPoint]);
});

converting(
  'places to remember from meet when messages are joined and results come first, and then one is enough',
  () => {
    const point = { type: 'cache-point' } as const;
    const result = (id: string) => ({ type: 'tool-result', id, text: 'seen', failed: false }) as const;
    const kindsOf = (messages: readonly Message[]) =>
      messagesOf(messages)?.[0]?.content?.flatMap((block) => Object.keys(block));
    const results = ['a', 'b'].map((id): Message => ({ role: 'user', content: [result(id), point] }));
    assert.equal(kindsOf(results), ['toolResult', 'toolResult', 'cachePoint']);
    const late: Message = { role: 'user', content: [{ type: 'text', text: 'c' }, point] };
    assert.equal(kindsOf([late, ...results]), ['toolResult', 'toolResult', 'text', 'cachePoint']);
    const { system } = toConverseInput(chatRequest({ system: [point, 'a', point, point, 'b'] }));
    assert.equal(
      system?.flatMap((part) => Object.keys(part)),
      ['text', 'cachePoint', 'text'],
    );
  },
);

converting('no place to remember from stands behind a document that is no PDF, which Bedrock refuses', () => {
  const point = { type: 'cache-point' } as const;
  const bytes = Uint8Array.of(1);
  const kindsOf = (format: 'pdf' | 'txt') =>
    messagesOf([
      {
        role: 'user',
        content: [{ type: 'text', text: 'a' }, { type: 'document', format, name: 'D', bytes }, point],
      },
    ])?.[0]?.content?.flatMap((block) => Object.keys(block));
  assert.equal(kindsOf('pdf'), ['text', 'document', 'cachePoint']);
  assert.equal(kindsOf('txt'), ['text', 'document']);
});

converting('a message that says nothing is left out, and its neighbours are joined', () => {
  const silent: Message = { role: 'assistant', content: [{ type: 'text', text: ' ' }] };
  assert.equal(messagesOf([user('a'), silent, user('b')]), [
    { role: 'user', content: [{ text: 'a' }, { text: 'b' }] },
  ]);
});

converting('results of tools come before what else the user says in a turn', () => {
  const result = (id: string) => ({ type: 'tool-result', id, text: 'seen', failed: false }) as const;
  const sent = messagesOf([
    user('a'),
    { role: 'user', content: [result('t1')] },
    user('b'),
    { role: 'user', content: [result('t2')] },
  ]);
  assert.equal(
    sent?.[0]?.content?.map(({ text, toolResult }) => text ?? toolResult?.toolUseId),
    ['t1', 't2', 'a', 'b'],
  );
});

converting('documents of one name are told apart, since Bedrock refuses them', () => {
  const bytes = Uint8Array.of(1);
  const report = { type: 'document', format: 'pdf', name: 'Report', bytes } as const;
  const sent = messagesOf([user('a'), { role: 'user', content: [report, report] }, user('b')]);
  const namesOf = (messages: typeof sent) =>
    messages?.[0]?.content?.flatMap(({ document }) => document?.name ?? []);
  assert.equal(namesOf(sent), ['Report', 'Report (2)']);
  const names = ['Report', 'Report (2)', 'Report', `${'a'.repeat(189)} b`, `${'a'.repeat(189)} b`];
  const content = names.map((name) => ({ ...report, name }));
  assert.equal(namesOf(messagesOf([{ role: 'user', content }])), [
    'Report',
    'Report (2)',
    'Report (3)',
    `${'a'.repeat(189)} b`,
    `${'a'.repeat(189)} (2)`,
  ]);
});

converting('a long name leaves room for its number, also when it comes in another message', () => {
  const long = { type: 'document', format: 'pdf', name: 'x'.repeat(200), bytes: Uint8Array.of(1) } as const;
  const assistant: Message = { role: 'assistant', content: [{ type: 'text', text: 'b' }] };
  const turn: Message = { role: 'user', content: [{ type: 'text', text: 'a' }, long] };
  const names = messagesOf([turn, assistant, turn, assistant, turn])?.flatMap(({ content = [] }) =>
    content.flatMap(({ document }) => document?.name ?? []),
  );
  const cut = 'x'.repeat(190);
  assert.equal(names, ['x'.repeat(200), `${cut} (2)`, `${cut} (3)`]);
});

converting('thoughts that nobody signed go without a signature', () => {
  const content: Message['content'] = [
    { type: 'reasoning', text: 'hm' },
    { type: 'text', text: 'a' },
  ];
  const sent = messagesOf([user('q'), { role: 'assistant', content }])?.[1]?.content?.[0];
  assert.equal(Object.keys(sent?.reasoningContent?.reasoningText ?? {}), ['text']);
});

converting('tools that only the conversation knows stand in where there are none, each once', () => {
  const use = (id: string, name: string) => ({ type: 'tool-use', id, name, input: {} }) as const;
  const messages: Message[] = [
    user('a'),
    { role: 'assistant', content: [use('t1', 'look'), use('t2', 'run'), use('t3', 'look')] },
  ];
  const namesFor = (tools: ChatRequest['tools']) =>
    toConverseInput(chatRequest({ messages, tools })).toolConfig?.tools?.map(
      ({ toolSpec }) => toolSpec?.name,
    );
  assert.equal(namesFor([]), ['look', 'run']);
  assert.equal(namesFor([{ name: 'find', inputSchema: {} }]), ['find']);
  assert.not('toolConfig' in toConverseInput(chatRequest({ toolChoice: { type: 'auto' } })));
});

converting('a schema is closed wherever it has objects, and only there', () => {
  const closed = { type: 'object', additionalProperties: false };
  const schema = {
    anyOf: [{ type: 'object' }, { type: 'array', items: [{ type: 'object' }, { type: 'string' }] }],
    properties: { properties: { type: 'string' } },
  };
  const { outputConfig } = toConverseInput(chatRequest({ outputSchema: { name: 'out', schema } }));
  assert.equal(JSON.parse(outputConfig?.textFormat?.structure?.jsonSchema?.schema ?? ''), {
    anyOf: [closed, { type: 'array', items: [closed, { type: 'string' }] }],
    properties: { properties: { type: 'string' } },
  });
});

converting('metadata of the caller has all the room that ours leaves, and no entry without a name', () => {
  const theirs = Object.fromEntries(Array.from({ length: 14 }, (_, n) => [`k${n}`, 'a b.c']));
  const { requestMetadata = {} } = toConverseInput(chatRequest({ metadata: theirs }));
  assert.is(Object.keys(requestMetadata).length, 16);
  assert.is(requestMetadata['k13'], 'a b.c');
  const more = toConverseInput(chatRequest({ metadata: { ...theirs, k14: 'x', k15: 'x' } }));
  assert.equal(more.requestMetadata, requestMetadata);
  assert.is(toConverseInput(chatRequest({ metadata: { '': 'x' } })).requestMetadata?.['_'], 'x');
});

converting('a tool that had nothing to say has a word, since Bedrock refuses a blank', () => {
  const result = { type: 'tool-result', id: 't', text: '\n', failed: false } as const;
  const [message] = messagesOf([{ role: 'user', content: [result] }]) ?? [];
  assert.equal(message?.content, [{ toolResult: { toolUseId: 't', content: [{ text: '(no output)' }] } }]);
});

converting('what the caller says of itself travels along, and cannot stand in for who it is', () => {
  const theirs = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`k${n}`, `v${n}`]));
  const metadata = { tenant: 'mallory', request_id: 'x', 'bad\u0000key': 'bad\u0000value', ...theirs };
  const { requestMetadata = {} } = toConverseInput(chatRequest({ metadata }));
  assert.is(requestMetadata['tenant'], 'alice');
  assert.is(requestMetadata['request_id'], 'request-1');
  assert.is(requestMetadata['bad_key'], 'bad_value');
  assert.ok(Object.keys(requestMetadata).length <= 16);
});

converting('metadata keeps to the letters and the length that Bedrock allows', () => {
  const tenant = `arn:aws:iam::123456789012:user/bob+é${'x'.repeat(300)}`;
  const { requestMetadata } = toConverseInput(chatRequest({ caller: { tenant, kind: 'iam', door: 'rest' } }));
  assert.is(requestMetadata?.['tenant']?.length, 256);
  assert.match(requestMetadata?.['tenant'] ?? '', /^arn:aws:iam::123456789012:user\/bob\+_x+$/);
});

converting.run();
