/**
 * Faults that users met at other gateways, each by its number in the list of faults, section 6. Of those that are not here 14 and 15 are
 * tested with the Lambda door, 22 and 25 to 29 concern no OpenAI client, and 31 is tested with the embeddings.
 */
import { createParser } from 'eventsource-parser';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { toConverseInput } from '../../src/aws/converse.ts';
import type { ModelEvent } from '../../src/chat/events.ts';
import { buildApp, modelThat, say, usage } from '../helpers/app.ts';
import { startBytesServer } from '../helpers/bytes-server.ts';
import { frame, stopFrame, usageFrame } from '../helpers/frames.ts';
import { type Gateway, type GatewayOptions, startGateway, until } from '../helpers/gateway.ts';

const json = { 'content-type': 'application/json' };
const PATH = '/v1/chat/completions';
const hi = [{ role: 'user', content: 'Hi' }];
const look = { type: 'function', function: { name: 'look', parameters: { type: 'object', properties: {} } } };

type Call = { index?: number; id?: string; function: { name?: string; arguments: string } };
type Choice = {
  index: number;
  finish_reason: string | null;
  delta: { content?: string; tool_calls?: Call[] };
  message: { content: string | null; tool_calls?: Call[]; reasoning_details?: object[] };
};
type Body = {
  choices?: Choice[];
  usage?: Record<string, unknown> | null;
  error?: { code: string; message: string; type: string; param: string | null };
};

const post = (body: object): RequestInit => ({
  method: 'POST',
  headers: json,
  body: JSON.stringify({ messages: hi, ...body }),
});

/** What a client reads of a stream, and whether it was told to be whole. */
async function read(response: Response) {
  const chunks: Body[] = [];
  let isWhole = false;
  const parser = createParser({
    onEvent({ data }) {
      if (data === '[DONE]') isWhole = true;
      else chunks.push(JSON.parse(data));
    },
  });
  parser.feed(await response.text());
  return { chunks, isWhole, choices: chunks.flatMap(({ choices = [] }) => choices) };
}

/** The gateway over real sockets and frames. */
const inGateway =
  (test: (gateway: Gateway) => Promise<void>, options: GatewayOptions = {}) =>
  async () => {
    const gateway = await startGateway(options);
    try {
      await test(gateway);
      await until(() => gateway.ledger.open === 0);
    } finally {
      await gateway.close();
    }
  };

/** The gateway before a Bedrock that sends these frames. */
async function afterFrames(frames: readonly Buffer[], body: object = {}) {
  const bedrock = await startBytesServer();
  bedrock.script = { pieces: frames, end: 'whole' };
  const gateway = await startGateway({ endpoint: bedrock.url });
  try {
    const streamed = await read(await gateway.send(PATH, post({ stream: true, ...body })));
    const whole = (await (await gateway.send(PATH, post(body))).json()) as Body;
    return { ...streamed, whole };
  } finally {
    await gateway.close();
    await bedrock.close();
  }
}

const begin = frame('messageStart', { role: 'assistant' });
const textAt = (contentBlockIndex: number, text: string) =>
  frame('contentBlockDelta', { contentBlockIndex, delta: { text } });
const toolAt = (contentBlockIndex: number, toolUseId: string) =>
  frame('contentBlockStart', {
    contentBlockIndex,
    start: { toolUse: { toolUseId, name: `tool_${toolUseId}` } },
  });
const inputAt = (contentBlockIndex: number, input: string) =>
  frame('contentBlockDelta', { contentBlockIndex, delta: { toolUse: { input } } });
const endAt = (contentBlockIndex: number) => frame('contentBlockStop', { contentBlockIndex });

/** A text, a thought-less gap in the numbers, and two calls of which the pieces come mixed. */
const parallel = [
  begin,
  textAt(0, 'I '),
  textAt(0, 'look'),
  endAt(0),
  textAt(1, ' twice.'),
  endAt(1),
  toolAt(3, 'a'),
  toolAt(4, 'b'),
  inputAt(4, '{"b":'),
  inputAt(3, '{"a":1}'),
  inputAt(4, '2}'),
  endAt(4),
  endAt(3),
  stopFrame('tool_use'),
  usageFrame,
];

/** What Bedrock would be sent for this body. */
async function sentFor(body: object) {
  const { asked, send } = buildApp(modelThat(...say('Hi')));
  const response = await send(PATH, post(body));
  const [request] = asked;
  if (!request) throw new Error(`refused: ${await response.text()}`);
  return toConverseInput(request);
}

const faults = suite('faults of other gateways');

faults('FAULTS 6.1: tool calls are numbered from 0, whatever blocks came before them', async () => {
  const { choices } = await afterFrames(parallel);
  const begun = choices.flatMap(({ delta }) => delta.tool_calls ?? []).filter(({ id }) => id);
  assert.equal(
    begun.map(({ index, id }) => [index, id]),
    [
      [0, 'a'],
      [1, 'b'],
    ],
  );
});

faults('FAULTS 6.2: all of an answer is one choice', async () => {
  const { choices } = await afterFrames(parallel);
  assert.ok(choices.length > 5 && choices.every(({ index }) => index === 0));
});

faults('FAULTS 6.3: parallel calls whose pieces come mixed are put together each for itself', async () => {
  const { choices, whole } = await afterFrames(parallel);
  const argumentsOf = (at: number) =>
    choices
      .flatMap(({ delta }) => delta.tool_calls ?? [])
      .map(({ index, function: { arguments: piece } }) => (index === at ? piece : ''))
      .join('');
  assert.equal([argumentsOf(0), argumentsOf(1)], ['{"a":1}', '{"b":2}']);
  assert.equal(
    whole.choices?.[0]?.message.tool_calls?.map((call) => call.function.arguments),
    ['{"a":1}', '{"b":2}'],
  );
});

faults('FAULTS 6.4: text beside calls is kept, and all blocks of it', async () => {
  const { choices, whole } = await afterFrames(parallel);
  assert.is(whole.choices?.[0]?.message.content, 'I look twice.');
  assert.is(choices.map(({ delta }) => delta.content ?? '').join(''), 'I look twice.');
});

faults(
  'FAULTS 6.5: what fails before the first token has its own status, also when a stream was asked for',
  inGateway(async (gateway) => {
    for (const model of ['simulator.throttled', 'simulator.throttled-first-event']) {
      const response = await gateway.send(PATH, post({ model, stream: true }));
      assert.is(response.status, 429, model);
      assert.ok(Number(response.headers.get('retry-after')) >= 1);
      assert.is(((await response.json()) as Body).error?.type, 'rate_limit_error');
    }
  }),
);

for (const [model, code] of [
  ['simulator.throttled-mid-stream', 'upstream_throttled'],
  ['simulator.model-stream-error-mid-stream', 'upstream_error'],
  ['simulator.unavailable-mid-stream', 'upstream_unavailable'],
] as const) {
  faults(
    `FAULTS 6.6: an exception in mid-stream is an error and no finish: ${code}`,
    inGateway(async (gateway) => {
      const { chunks, choices, isWhole } = await read(
        await gateway.send(PATH, post({ model, stream: true })),
      );
      assert.is(chunks.at(-1)?.error?.code, code);
      assert.ok(choices.length > 1 && choices.every(({ finish_reason }) => finish_reason === null));
      assert.not(isWhole);
    }),
  );
}

for (const model of [
  'simulator.end-mid-stream',
  'simulator.reset-mid-stream',
  'simulator.hang-up-mid-stream',
]) {
  faults(
    `FAULTS 6.7: a stream without an end is an error, and in one piece a 502: ${model}`,
    inGateway(async (gateway) => {
      const { chunks, choices, isWhole } = await read(
        await gateway.send(PATH, post({ model, stream: true })),
      );
      assert.is(chunks.at(-1)?.error?.code, 'upstream_truncated');
      assert.ok(choices.every(({ finish_reason }) => finish_reason === null));
      assert.not(isWhole);
      assert.is((await gateway.send(PATH, post({ model }))).status, 502);
    }),
  );
}

faults(
  'FAULTS 6.8: what may pass with another try says so, and what will not says that',
  inGateway(async (gateway) => {
    const statusOf = async (model: string) => {
      const { status, headers } = await gateway.send(PATH, post({ model }));
      return [status, headers.get('x-should-retry')];
    };
    assert.equal(await statusOf('simulator.internal-error-mid-stream'), [502, null]);
    assert.equal(await statusOf('simulator.throttled-mid-stream'), [429, null]);
    assert.equal(await statusOf('simulator.access-denied'), [502, 'false']);
    assert.equal(await statusOf('simulator.rejected'), [400, null]);
  }),
);

faults(
  'FAULTS 6.9: another model stands in when the first fails before its first token, and never after',
  inGateway(
    async (gateway) => {
      const first = await read(
        await gateway.send(PATH, post({ model: 'simulator.throttled-first-event', stream: true })),
      );
      assert.ok(first.isWhole);
      const late = await read(
        await gateway.send(PATH, post({ model: 'simulator.throttled-mid-stream', stream: true })),
      );
      assert.not(late.isWhole);
    },
    { settings: { fallbackModels: ['global.amazon.nova-2-lite-v1:0'] } },
  ),
);

faults(
  'FAULTS 6.10: usage counts what the prompt cache read and wrote, in a stream only when asked',
  async () => {
    const cached = {
      inputTokens: 1,
      outputTokens: 2,
      totalTokens: 12,
      cacheReadInputTokens: 4,
      cacheWriteInputTokens: 5,
    };
    const frames = [
      begin,
      textAt(0, 'A'),
      endAt(0),
      stopFrame('end_turn'),
      frame('metadata', { usage: cached, metrics: { latencyMs: 1 } }),
    ];
    const wanted = {
      prompt_tokens: 10,
      completion_tokens: 2,
      total_tokens: 12,
      prompt_tokens_details: { cached_tokens: 4, cache_write_tokens: 5 },
    };
    const asked = await afterFrames(frames, { stream_options: { include_usage: true }, cache: 'off' });
    assert.equal(asked.chunks.at(-1)?.usage, wanted);
    assert.equal(asked.whole.usage, wanted);
    const unasked = await afterFrames(frames, { cache: 'off' });
    assert.ok(unasked.chunks.every((chunk) => !('usage' in chunk)));
    assert.not('stream_options' in (await sentFor({ stream_options: { include_usage: true } })));
  },
);

faults(
  'FAULTS 6.11: an answer that calls tools says so, also when the model says that it is at its end',
  async () => {
    const frames = parallel.with(-2, stopFrame('end_turn'));
    const { choices, whole } = await afterFrames(frames);
    assert.is(choices.at(-1)?.finish_reason, 'tool_calls');
    assert.is(whole.choices?.[0]?.finish_reason, 'tool_calls');
  },
);

faults(
  'FAULTS 6.12 and 6.13: a client that leaves ends the call, and what it cost is written down',
  inGateway(
    async (gateway) => {
      const leaving = new AbortController();
      const response = await gateway.send(PATH, { ...post({ stream: true }), signal: leaving.signal });
      await response.body?.getReader().read();
      leaving.abort();
      await until(() => gateway.ledger.closedEarly === 1 && gateway.records.length === 1);
      const [record] = gateway.records;
      assert.is(record?.outcome, 'cancelled');
      assert.ok((record?.input_tokens ?? 0) > 0);
    },
    { tokensPerSecond: 20 },
  ),
);

const calls = [
  ...hi,
  {
    role: 'assistant',
    content: null,
    tool_calls: ['a', 'b'].map((id) => ({
      id,
      type: 'function',
      function: { name: 'look', arguments: '{}' },
    })),
  },
  { role: 'tool', tool_call_id: 'a', content: 'one' },
  { role: 'tool', tool_call_id: 'b', content: 'two' },
  { role: 'user', content: 'And now?' },
];

faults(
  'FAULTS 6.16: a history with calls is accepted without tools, and with none of them to be called',
  async () => {
    for (const body of [{}, { tools: [] }, { tools: [look], tool_choice: 'none' }]) {
      const { toolConfig } = await sentFor({ messages: calls, ...body });
      assert.equal(
        toolConfig?.tools?.map(({ toolSpec }) => toolSpec?.name),
        ['look'],
        JSON.stringify(body),
      );
      assert.match(toolConfig?.tools?.[0]?.toolSpec?.description ?? '', 'do not call');
      assert.is(toolConfig?.toolChoice, undefined);
    }
  },
);

faults('FAULTS 6.17: results of parallel calls are one turn of the user', async () => {
  const { messages = [] } = await sentFor({ messages: calls, tools: [look] });
  assert.equal(
    messages.map(({ role }) => role),
    ['user', 'assistant', 'user'],
  );
  assert.equal(
    messages[2]?.content?.map(({ toolResult, text }) => toolResult?.toolUseId ?? text),
    ['a', 'b', 'And now?'],
  );
});

faults(
  'FAULTS 6.17: a result without its call, and a call without its result, are refused plainly',
  inGateway(async (gateway) => {
    const refused = async (messages: object[]) => {
      const response = await gateway.send(PATH, post({ messages, tools: [look] }));
      const { error } = (await response.json()) as Body;
      return [response.status, error?.code, error?.param];
    };
    const wanted = [400, 'invalid_request', 'messages'];
    assert.equal(await refused([...hi, { role: 'tool', tool_call_id: 'x', content: 'one' }]), wanted);
    assert.equal(
      await refused(calls.filter((message) => !('tool_call_id' in message && message.tool_call_id === 'b'))),
      wanted,
    );
  }),
);

faults('FAULTS 6.18: signed and encrypted thoughts go out and come back unchanged', async () => {
  const thinking: ModelEvent[] = [
    { type: 'begin', model: 'some-model' },
    { type: 'reasoning-delta', block: 0, text: 'h' },
    { type: 'reasoning-delta', block: 0, text: 'm' },
    { type: 'reasoning-signature', block: 0, signature: 'sig' },
    { type: 'reasoning-signature', block: 1, redacted: 'AAEC' },
    { type: 'tool-start', block: 2, id: 'a', name: 'look' },
    { type: 'tool-end', block: 2 },
    { type: 'end', stopReason: 'tool_use', usage },
  ];
  const { asked, send } = buildApp(modelThat(...thinking));
  const { choices = [] } = (await (await send(PATH, post({ tools: [look] }))).json()) as Body;
  const messages = [...hi, choices[0]?.message, { role: 'tool', tool_call_id: 'a', content: 'seen' }];
  await (await send(PATH, post({ messages, tools: [look] }))).text();
  const sent = asked[1] && toConverseInput(asked[1]).messages?.[1]?.content;
  assert.equal(sent?.slice(0, 2), [
    { reasoningContent: { reasoningText: { text: 'hm', signature: 'sig' } } },
    { reasoningContent: { redactedContent: Buffer.from('AAEC', 'base64') } },
  ]);
});

for (const model of ['simulator.refuses-temperature', 'simulator.refuses-both']) {
  faults(
    `FAULTS 6.19: a field that a new model refuses is left out in one further try: ${model}`,
    inGateway(async (gateway) => {
      const body = { model, temperature: 0.5, top_p: 0.9 };
      assert.is((await gateway.send(PATH, post(body))).status, 200);
      assert.is(gateway.ledger.opened, 2);
    }),
  );
}

faults(
  'FAULTS 6.20: blank texts of a conversation, which Bedrock refuses, are left out',
  inGateway(async (gateway) => {
    const messages = [
      { role: 'system', content: ' ' },
      {
        role: 'user',
        content: [
          { type: 'text', text: '' },
          { type: 'text', text: 'Hi' },
        ],
      },
      { role: 'assistant', content: '\n' },
      { role: 'user', content: 'Hello?' },
    ];
    assert.is((await gateway.send(PATH, post({ messages }))).status, 200);
  }),
);

faults('FAULTS 6.21: a document has a text beside it and a name that Bedrock takes', async () => {
  const file = {
    type: 'file',
    file: { file_data: 'data:application/pdf;base64,aGk=', filename: 'Q3_été  2026.pdf' },
  };
  const { messages } = await sentFor({
    messages: [{ role: 'user', content: [{ type: 'text', text: 'Read' }, file, file] }],
  });
  assert.equal(
    messages?.[0]?.content?.flatMap(({ document }) => document?.name ?? []),
    ['Q3 t 2026', 'Q3 t 2026 (2)'],
  );
});

faults('FAULTS 6.23: a schema for the answer is Bedrock’s to enforce', async () => {
  const schema = { type: 'object', properties: { a: { type: 'number' } }, required: ['a'] };
  const response_format = { type: 'json_schema', json_schema: { name: 'shape', schema, strict: true } };
  const { outputConfig } = await sentFor({ response_format });
  assert.equal(outputConfig?.textFormat?.structure?.jsonSchema, {
    name: 'shape',
    schema: JSON.stringify({ additionalProperties: false, ...schema }),
  });
});

faults('FAULTS 6.24: the guardrail and the service tier are the operator’s', async () => {
  const settings = { guardrailId: 'abc', guardrailVersion: '1', serviceTier: 'flex' } as const;
  const { asked, send } = buildApp(modelThat(...say('Hi')), settings);
  await send(PATH, post({ service_tier: 'priority' }));
  const sent = asked[0] && toConverseInput(asked[0]);
  assert.equal(sent?.guardrailConfig, { guardrailIdentifier: 'abc', guardrailVersion: '1' });
  assert.equal(sent?.serviceTier, { type: 'flex' });
});

faults(
  'FAULTS 6.28: an answer from the cache streams like any other, and never across tenants',
  inGateway(async (gateway) => {
    const ask = async (client: Pick<Gateway, 'send'>) => {
      const response = await client.send(
        PATH,
        post({ stream: true, stream_options: { include_usage: true } }),
      );
      const { chunks, isWhole } = await read(response);
      const shapes = new Set(
        chunks.map((chunk) =>
          [...Object.keys(chunk), ...Object.keys(chunk.choices?.[0]?.delta ?? {})].join(),
        ),
      );
      return { cache: response.headers.get('x-cache'), isWhole, shapes: [...shapes] };
    };
    const [first, second, foreign] = [await ask(gateway), await ask(gateway), await ask(gateway.as('bob'))];
    assert.equal([first.cache, second.cache, foreign.cache], ['miss', 'hit', 'miss']);
    assert.equal(second, { ...first, cache: 'hit' });
    assert.ok(first.isWhole);
  }),
);

faults(
  'FAULTS 6.30: errors are OpenAI’s error objects, whatever is wrong',
  inGateway(
    async (gateway) => {
      const errorOf = async (init: RequestInit, path = PATH) => {
        const response = await gateway.send(path, init);
        const { error } = (await response.json()) as Body;
        assert.type(error?.message, 'string');
        return [response.status, error?.type, error?.code];
      };
      assert.equal(await errorOf(post({ n: 2 })), [400, 'invalid_request_error', 'invalid_request']);
      assert.equal(await errorOf({ ...post({}), body: '{' }), [400, 'invalid_request_error', 'invalid_json']);
      assert.equal(await errorOf(post({ model: 'gpt-4o' })), [404, 'not_found_error', 'model_not_found']);
      assert.equal(await errorOf(post({}), '/v1/responses'), [404, 'not_found_error', 'not_found']);
      assert.equal(await errorOf({}), [405, 'invalid_request_error', 'method_not_allowed']);
      assert.equal(await errorOf({}, '/v1/models/gpt-4o'), [404, 'not_found_error', 'model_not_found']);
    },
    { settings: { allowedModels: ['global.amazon.nova-2-lite-v1:0'] } },
  ),
);

faults.run();
