import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import {
  ConverseStreamCommand,
  type ConverseStreamCommandInput,
  type ConverseStreamOutput,
  InvokeModelCommand,
  ModelStreamErrorException,
} from '@aws-sdk/client-bedrock-runtime';
import { EventStreamCodec } from '@smithy/eventstream-codec';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { faults } from '../../../src/local/bedrock/faults.ts';
import {
  createBedrockSimulator,
  type SimulatorOptions,
  startBedrockSimulator,
} from '../../../src/local/bedrock/simulator.ts';
import { bedrockClient } from '../../helpers/bedrock-client.ts';

/** A simulator without pauses, unless a pace is given, and the real SDK's client for it. */
async function build(options: SimulatorOptions = {}) {
  const simulator = await startBedrockSimulator({ tokensPerSecond: Infinity, ...options });
  const client = bedrockClient(simulator.url);
  const path = (modelId: string, operation = 'converse-stream') =>
    `${simulator.url}/model/${encodeURIComponent(modelId)}/${operation}`;
  return {
    ...simulator,
    client,
    post: (modelId: string, body: string, headers: Record<string, string> = {}) =>
      fetch(path(modelId), { method: 'POST', body, headers }),
    invoke: (modelId: string, body: object, headers: Record<string, string> = {}) =>
      fetch(path(modelId, 'invoke'), { method: 'POST', body: JSON.stringify(body), headers }),
    async [Symbol.asyncDispose]() {
      client.destroy();
      await simulator.close();
    },
  };
}

type Simulator = Awaited<ReturnType<typeof build>>;
type Failure = Error & { code?: string; $metadata?: { httpStatusCode?: number } };

const prompt = (text: string) => ({ messages: [{ role: 'user' as const, content: [{ text }] }] });
const body = (text: string) => JSON.stringify(prompt(text));

/**
 * Asks through the SDK and leaves when told to. `at` says where a failure came from: `client.send`, the iteration of
 * the stream, or nowhere if there was none.
 */
async function ask(
  { client }: Simulator,
  modelId: string,
  text: string,
  more: Partial<ConverseStreamCommandInput> = {},
  leaveWhen: (events: readonly ConverseStreamOutput[]) => boolean = () => false,
) {
  const events: ConverseStreamOutput[] = [];
  const abort = new AbortController();
  let at: 'send' | 'stream' | 'nowhere' = 'send';
  let failure: Failure | undefined;
  let over = false;
  const left = until(() => over || leaveWhen(events)).then(() => abort.abort());
  try {
    const command = new ConverseStreamCommand({ modelId, ...prompt(text), ...more });
    const { stream = [] } = await client.send(command, { abortSignal: abort.signal });
    at = 'stream';
    for await (const event of stream) events.push(event);
    at = 'nowhere';
  } catch (error) {
    failure = error as Failure;
  }
  over = true;
  await left;
  const names = events.map((event) => Object.keys(event)[0]);
  const texts = events.flatMap((event) => event.contentBlockDelta?.delta?.text ?? []);
  const stopReason = events.find((event) => event.messageStop)?.messageStop?.stopReason;
  return { events, names, texts, text: texts.join(''), stopReason, at, failure };
}

const jsonOf = async <Body>(response: Response) => (await response.json()) as Body;

/** Waits for what is bound to happen; the runner's time limit is the only clock. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await setTimeout(2);
}

/** All that the server sends on a connection of our own, and how the connection ended. */
async function askOnSocket(url: string, modelId: string, text: string) {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  const ended = new Promise<string | undefined>((resolve) => {
    socket.once('end', () => resolve('FIN'));
    socket.once('error', (error: Failure) => resolve(error.code));
  });
  const json = body(text);
  socket.write(
    `POST /model/${modelId}/converse-stream HTTP/1.1\r\nhost: x\r\ncontent-length: ${json.length}\r\n\r\n`,
  );
  socket.write(json);
  const how = await ended;
  socket.destroy();
  return { how, received: Buffer.concat(chunks).toString('latin1') };
}

const simulator = suite('startBedrockSimulator');

simulator('the SDK gets the events of an answer in the order of the real service', async () => {
  await using bedrock = await build();
  const { names, text, events, failure } = await ask(bedrock, 'amazon.nova-2-lite-v1:0', 'ECHO Hi there');
  assert.is(failure, undefined);
  assert.is(text, 'Hi there');
  assert.equal(names, [
    'messageStart',
    'contentBlockDelta',
    'contentBlockDelta',
    'contentBlockStop',
    'messageStop',
    'metadata',
  ]);
  assert.is(events[4]?.messageStop?.stopReason, 'end_turn');
  assert.is(events[5]?.metadata?.usage?.outputTokens, 2);
});

simulator('the SDK gets reasoning and a tool call as it does from real models', async () => {
  await using bedrock = await build();
  const { events } = await ask(bedrock, 'simulator.reasoning', 'Rain in Rome?', {
    toolConfig: {
      tools: [
        {
          toolSpec: {
            name: 'weather',
            inputSchema: { json: { type: 'object', properties: { city: { type: 'string' } } } },
          },
        },
      ],
    },
  });
  const blocks = events.flatMap((event) => event.contentBlockStop?.contentBlockIndex ?? []);
  assert.equal(blocks, [0, 1, 2]);
  const input = events.map((event) => event.contentBlockDelta?.delta?.toolUse?.input ?? '').join('');
  assert.equal(JSON.parse(input), { city: 'example' });
  assert.ok(events.some((event) => event.contentBlockDelta?.delta?.reasoningContent?.signature));
});

simulator('the SDK sends thoughts back as it got them, in the open or redacted', async () => {
  await using bedrock = await build();
  for (const modelId of ['simulator.reasoning', 'simulator.redacted-reasoning']) {
    const { events } = await ask(bedrock, modelId, 'Why?');
    const thoughts = events.flatMap((event) => event.contentBlockDelta?.delta?.reasoningContent ?? []);
    const text = thoughts.map((thought) => thought.text ?? '').join('');
    const [redactedContent] = thoughts.flatMap((thought) => thought.redactedContent ?? []);
    const [signature] = thoughts.flatMap((thought) => thought.signature ?? []);
    assert.is(redactedContent !== undefined, modelId.includes('redacted'));
    assert.is(signature === undefined && text === '', modelId.includes('redacted'));
    const reasoningContent = redactedContent ? { redactedContent } : { reasoningText: { text, signature } };
    const messages = [
      ...prompt('Why?').messages,
      { role: 'assistant', content: [{ reasoningContent }, { text: 'So.' }] },
      ...prompt('ECHO I see').messages,
    ] as NonNullable<ConverseStreamCommandInput['messages']>;
    assert.is((await ask(bedrock, modelId, '', { messages })).text, 'I see');
  }
});

simulator('the SDK sends an image and a document as bytes', async () => {
  await using bedrock = await build();
  const bytes = Buffer.from('anything');
  const messages: ConverseStreamCommandInput['messages'] = [
    {
      role: 'user',
      content: [
        { text: 'ECHO seen' },
        { image: { format: 'png', source: { bytes } } },
        { document: { format: 'pdf', name: 'paper', source: { bytes } } },
      ],
    },
  ];
  assert.is((await ask(bedrock, 'simulator.small', '', { messages })).text, 'seen');
});

simulator(
  'what was written to the prompt cache is read by the next request, by none of another simulator',
  async () => {
    await using bedrock = await build();
    await using other = await build();
    const system = [{ text: 'You are brief and kind.' }, { cachePoint: { type: 'default' as const } }];
    const usageOf = async (at: Simulator) => {
      const { events } = await ask(at, 'simulator.small', 'ECHO Hi', { system });
      return events.at(-1)?.metadata?.usage;
    };
    const rest = { inputTokens: 2, outputTokens: 1, totalTokens: 9 };
    assert.equal(await usageOf(bedrock), { ...rest, cacheReadInputTokens: 0, cacheWriteInputTokens: 6 });
    assert.equal(await usageOf(bedrock), { ...rest, cacheReadInputTokens: 6, cacheWriteInputTokens: 0 });
    assert.equal(await usageOf(other), { ...rest, cacheReadInputTokens: 0, cacheWriteInputTokens: 6 });
  },
);

simulator('every frame has both checksums, the headers and the padding of the real service', async () => {
  await using bedrock = await build();
  const response = await bedrock.post('simulator.small', body('ECHO é 🦉'));
  assert.is(response.headers.get('content-type'), 'application/vnd.amazon.eventstream');
  const bytes = Buffer.from(await response.arrayBuffer());
  const codec = new EventStreamCodec(
    (input) => Buffer.from(input).toString(),
    (input) => Buffer.from(input),
  );
  const types: unknown[] = [];
  for (let from = 0; from < bytes.length; from += bytes.readUInt32BE(from)) {
    const { headers, body } = codec.decode(bytes.subarray(from, from + bytes.readUInt32BE(from)));
    types.push(headers[':event-type']?.value);
    assert.is(headers[':message-type']?.value, 'event');
    assert.is(headers[':content-type']?.value, 'application/json');
    assert.match(JSON.parse(Buffer.from(body).toString()).p, /^a[b-zA-Z0-9]*$/);
  }
  assert.is(types[0], 'messageStart');
  assert.is(types.at(-1), 'metadata');
});

simulator('model ids and ARNs come in URL-encoded', async () => {
  await using bedrock = await build();
  const arn = 'arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.simulator.small';
  assert.is((await ask(bedrock, arn, 'ECHO Hi')).text, 'Hi');
  const statusOf = async (encodedId: string) => {
    const url = `${bedrock.url}/model/${encodedId}/converse-stream`;
    return (await fetch(url, { method: 'POST', body: body('ECHO Hi') })).status;
  };
  assert.is(await statusOf('amazon.nova-2-lite-v1%3A0'), 200);
  assert.is(await statusOf('%73imulator.throttled'), 429);
  assert.is(await statusOf('%ZZ'), 400);
});

simulator('many answers at once keep apart', async () => {
  await using bedrock = await build({ tokensPerSecond: 2000 });
  const said = Array.from({ length: 40 }, (_, index) => `answer number ${index}, and no other one`);
  const answers = await Promise.all(said.map((text) => ask(bedrock, 'simulator.small', `ECHO ${text}`)));
  assert.equal(
    answers.map(({ text }) => text),
    said,
  );
  assert.equal(bedrock.ledger, { opened: 40, open: 0, completed: 40, closedEarly: 0 });
});

simulator('tokens come no faster than the pace', async () => {
  await using bedrock = await build({ tokensPerSecond: 100 });
  const start = performance.now();
  const { texts } = await ask(bedrock, 'simulator.small', 'ECHO one two three four five six seven eight');
  assert.is(texts.length, 8);
  assert.ok(performance.now() - start > 75, `${performance.now() - start} ms`);
});

simulator('a request that is not JSON or not of the right shape is a ValidationException', async () => {
  await using bedrock = await build();
  for (const wrong of [
    '',
    '{',
    '[]',
    '{}',
    '{"messages":[]}',
    '{"messages":"hi"}',
    '{"messages":[{"role":"user"}]}',
  ]) {
    const response = await bedrock.post('simulator.small', wrong);
    assert.is(response.status, 400, wrong);
    assert.match(response.headers.get('x-amzn-errortype') ?? '', /^ValidationException(:|$)/);
    assert.ok((await jsonOf<{ message: string }>(response)).message);
  }
});

simulator('any other path or method is an unknown operation', async () => {
  await using bedrock = await build();
  const paths = ['/', '/model/x/converse', '/model/x/y/invoke', '/model//invoke'];
  const responses = [
    ...(await Promise.all(paths.map((path) => fetch(bedrock.url + path, { method: 'POST', body: '{}' })))),
    await fetch(`${bedrock.url}/model/x/converse-stream`),
  ];
  for (const response of responses) {
    assert.is(response.status, 404);
    assert.match(await response.text(), 'UnknownOperationException');
  }
});

simulator('a client that leaves while the model is silent ends the answer at once', async () => {
  await using bedrock = await build();
  const isWaiting = () => bedrock.ledger.open === 1;
  const { at, failure } = await ask(bedrock, 'simulator.small', 'SLOW ECHO hi', {}, isWaiting);
  assert.is(at, 'send');
  assert.is(failure?.name, 'AbortError');
  await until(() => bedrock.ledger.open === 0);
  assert.equal(bedrock.ledger, { opened: 1, open: 0, completed: 0, closedEarly: 1 });
});

simulator('a client that leaves between tokens ends the answer at once', async () => {
  await using bedrock = await build({ tokensPerSecond: 10 });
  const hasBegun = (events: readonly unknown[]) => events.length >= 3;
  const { names } = await ask(bedrock, 'simulator.small', 'Tell me a story', {}, hasBegun);
  assert.not(names.includes('messageStop'));
  await until(() => bedrock.ledger.open === 0);
  assert.equal(bedrock.ledger, { opened: 1, open: 0, completed: 0, closedEarly: 1 });
});

simulator('a slow reader holds the answer back, and gets it whole', async () => {
  await using bedrock = await build();
  const said = 'x'.repeat(20_000_000);
  const response = await bedrock.post('simulator.small', body(`ECHO ${said}`));
  await setTimeout(100);
  assert.is(bedrock.ledger.open, 1);
  assert.ok((await response.arrayBuffer()).byteLength > said.length);
  assert.is(bedrock.ledger.completed, 1);
});

simulator('close breaks off the answers that are still running, and may be called again', async () => {
  const bedrock = await build();
  const running = bedrock.post('simulator.stall-mid-stream', body('Hi')).then((response) => response.text());
  await until(() => bedrock.ledger.open === 1);
  const [result] = await Promise.all([running.catch((error: Error) => error.name), bedrock.close()]);
  assert.is(result, 'TypeError');
  await until(() => bedrock.ledger.open === 0);
  await bedrock.close();
  bedrock.client.destroy();
});

simulator.run();

// ---

const mounted = suite('createBedrockSimulator');

mounted('it answers inside a server of someone else', async () => {
  const { handle, ledger } = createBedrockSimulator({ tokensPerSecond: Infinity });
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/model/')) handle(request, response);
    else response.end('not Bedrock');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const response = await fetch(`${url}/model/x/converse-stream`, { method: 'POST', body: body('ECHO Hi') });
  assert.match(await response.text(), '"text":"Hi"');
  assert.is(await (await fetch(url)).text(), 'not Bedrock');
  assert.is(ledger.opened, 1);
  server.close();
  server.closeAllConnections();
});

mounted.run();

// ---

const failing = suite('faults');

type Seen = {
  readonly at: string;
  readonly name?: string;
  readonly status?: number;
  readonly stopReason?: string;
  /** The last event of a stream that ended without an error. */
  readonly last?: string;
};

const refused = (status: number, name: string): Seen => ({ at: 'send', status, name });
const broken = (name: string): Seen => ({ at: 'stream', name });
const ended = (last: string, stopReason?: string): Seen => ({
  at: 'nowhere',
  last,
  ...(stopReason && { stopReason }),
});
const whole = (stopReason = 'end_turn') => ended('metadata', stopReason);

/** What the real SDK makes of each fault over HTTP/1.1, for a request with temperature and topP, in one attempt. */
const seen: Readonly<Record<keyof typeof faults, Seen>> = {
  throttled: refused(429, 'ThrottlingException'),
  'flaky-throttled': refused(429, 'ThrottlingException'),
  'throttled-first-event': { at: 'send', name: 'ThrottlingException' },
  'throttled-mid-stream': broken('ThrottlingException'),
  'model-stream-error-mid-stream': broken('ModelStreamErrorException'),
  'internal-error': refused(500, 'InternalServerException'),
  'internal-error-mid-stream': broken('InternalServerException'),
  unavailable: refused(503, 'ServiceUnavailableException'),
  'unavailable-mid-stream': broken('ServiceUnavailableException'),
  'reset-before-headers': { at: 'send', name: 'TimeoutError' },
  'reset-mid-stream': broken('Error'),
  'hang-up-mid-stream': broken('Error'),
  'end-mid-stream': ended('contentBlockDelta'),
  'empty-stream': { at: 'nowhere' },
  'stall-before-headers': { at: 'send', name: 'AbortError' },
  'stall-before-first-event': { at: 'send', name: 'AbortError' },
  'stall-mid-stream': broken('Error'),
  'bad-checksum-mid-stream': broken('Error'),
  'cut-frame-mid-stream': broken('Error'),
  'cut-last-frame': { ...broken('Error'), stopReason: 'end_turn' },
  'zero-length-frame-mid-stream': broken('RangeError'),
  'huge-frame-mid-stream': broken('Error'),
  'html-body': { at: 'send', name: 'Error', status: 200 },
  'unknown-event': whole(),
  'empty-delta-mid-stream': whole(),
  'bad-json-mid-stream': broken('SyntaxError'),
  'model-timeout': refused(408, 'ModelTimeoutException'),
  'model-timeout-mid-stream': broken('modelTimeoutException'),
  'access-denied': refused(403, 'AccessDeniedException'),
  'expired-token': refused(403, 'ExpiredTokenException'),
  'input-too-long': refused(400, 'ValidationException'),
  rejected: refused(400, 'ValidationException'),
  'rejected-mid-stream': broken('ValidationException'),
  'refuses-temperature': refused(400, 'ValidationException'),
  'refuses-top-p': refused(400, 'ValidationException'),
  'refuses-stop-sequences': whole(),
  'refuses-both': refused(400, 'ValidationException'),
  'refuses-service-tier': whole(),
  'refuses-cache-points': whole(),
  'refuses-output-config': whole(),
  'refuses-reasoning': whole(),
  'model-error': refused(424, 'ModelErrorException'),
  'model-not-ready': refused(429, 'ModelNotReadyException'),
  'stops-at-max-tokens': whole('max_tokens'),
  'guardrail-intervened': whole('guardrail_intervened'),
  'content-filtered': whole('content_filtered'),
  'malformed-tool-use': whole('malformed_tool_use'),
  'malformed-output': whole('malformed_model_output'),
  'context-window-exceeded': whole('model_context_window_exceeded'),
  'no-metadata': ended('messageStop', 'end_turn'),
  'stall-before-metadata': { ...broken('Error'), stopReason: 'end_turn' },
};

for (const [name, { row, does }] of Object.entries(faults)) {
  failing(`${name} (${row}): ${does}`, async () => {
    await using bedrock = await build();
    const isStalled = (events: readonly ConverseStreamOutput[]) => {
      if (name === 'stall-mid-stream') return events.length >= 4;
      if (name === 'stall-before-metadata') return events.at(-1)?.messageStop !== undefined;
      return name.startsWith('stall') && bedrock.ledger.open === 1;
    };
    const inferenceConfig = { temperature: 0.5, topP: 0.5 };
    const answer = await ask(bedrock, `simulator.${name}`, 'Tell me a story', { inferenceConfig }, isStalled);
    const { at, failure, stopReason } = answer;
    const status = at === 'send' ? failure?.$metadata?.httpStatusCode : undefined;
    const last = at === 'nowhere' ? answer.names.at(-1) : undefined;
    const optional = { name: failure?.name, status, stopReason, last };
    const given = Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined));
    assert.equal({ at, ...given }, seen[name as keyof typeof faults]);
    if (name.endsWith('mid-stream')) {
      assert.is(answer.names[0], 'messageStart');
      assert.ok(answer.texts.length >= 3, `${answer.texts.length} text deltas`);
    }
    await until(() => bedrock.ledger.open === 0);
    assert.is(bedrock.ledger.closedEarly, name.startsWith('stall') ? 1 : 0);
  });
}

failing('every row that a server can produce has a fault', () => {
  const rows = new Set<string>(Object.values(faults).map(({ row }) => row));
  for (let row = 1; row <= 19; row += 1) assert.is(rows.has(`F${row}`), row !== 17, `F${row}`);
});

failing('the header chooses a fault and beats the model id', async () => {
  await using bedrock = await build();
  const withHeader = (modelId: string, fault: string) =>
    bedrock.post(modelId, body('ECHO Hi'), { 'x-simulator-fault': fault });
  assert.is((await withHeader('amazon.nova-2-lite-v1:0', 'throttled')).status, 429);
  assert.is((await withHeader('simulator.throttled', 'internal-error')).status, 500);
});

failing(
  'an unknown fault in a model id is a healthy model, in the header an error that names it',
  async () => {
    await using bedrock = await build();
    for (const modelId of ['simulator.anything', 'simulator.constructor', 'simulator.']) {
      assert.is((await ask(bedrock, modelId, 'ECHO Hi')).text, 'Hi');
    }
    const response = await bedrock.post('simulator.small', body('Hi'), { 'x-simulator-fault': 'thrott1ed' });
    assert.is(response.status, 400);
    assert.match((await jsonOf<{ message: string }>(response)).message, 'thrott1ed');
  },
);

failing('what should not be there is there, and the answer goes on', async () => {
  await using bedrock = await build();
  const odd = await bedrock.post('simulator.unknown-event', body('ECHO one two three four'));
  assert.match(await odd.text(), /three.*weatherReport.*four.*metadata/s);
  const { events, text } = await ask(bedrock, 'simulator.empty-delta-mid-stream', 'ECHO one two three four');
  assert.equal(events[4]?.contentBlockDelta?.delta, {});
  assert.is(text, 'one two three four');
});

failing('an answer of one token still breaks after three text deltas', async () => {
  await using bedrock = await build();
  const cut = await ask(bedrock, 'simulator.end-mid-stream', 'ECHO Hi');
  assert.is(cut.texts.length, 3);
  const inserted = await ask(bedrock, 'simulator.empty-delta-mid-stream', 'ECHO Hi');
  assert.is(inserted.names.at(-1), 'metadata');
});

failing('flaky-throttled refuses every other attempt of one request, and knows requests apart', async () => {
  await using bedrock = await build();
  const statusOf = async (text: string) =>
    (await bedrock.post('simulator.flaky-throttled', body(text))).status;
  const statuses = [];
  for (const text of ['ECHO a', 'ECHO b', 'ECHO a', 'ECHO b', 'ECHO a']) statuses.push(await statusOf(text));
  assert.equal(statuses, [429, 429, 200, 200, 429]);
});

failing('a refused field is named, and without it the request is answered', async () => {
  await using bedrock = await build();
  const cachePoint = { type: 'default' };
  const tools = [{ toolSpec: { name: 'clock', inputSchema: { json: { type: 'object' } } } }, { cachePoint }];
  const cached = (message: string) => [{ role: 'user', content: [{ text: message }, { cachePoint }] }];
  const noCaching = 'did not allow prompt caching. See';
  const schema = '{"type":"object","additionalProperties":false}';
  const outputConfig = { textFormat: { type: 'json_schema', structure: { jsonSchema: { schema } } } };
  const thinking = (fields: object) => ({ additionalModelRequestFields: fields });
  for (const [fault, field, input] of [
    ['refuses-cache-points', noCaching, { toolConfig: { tools } }],
    ['refuses-cache-points', noCaching, { system: [{ text: 'Be brief.' }, { cachePoint }] }],
    ['refuses-cache-points', noCaching, { messages: cached('ECHO Hi') }],
    ['refuses-output-config', 'the outputConfig.textFormat field', { outputConfig }],
    ['refuses-reasoning', 'RequestFields.thinking field', thinking({ thinking: { type: 'adaptive' } })],
    ['refuses-reasoning', 'RequestFields.thinking field', thinking({ reasoningConfig: { type: 'enabled' } })],
    ['refuses-reasoning', 'RequestFields.thinking field', thinking({ reasoning_effort: 'low' })],
    ['refuses-temperature', '`temperature` is deprecated', { inferenceConfig: { temperature: 1 } }],
    ['refuses-top-p', '`top_p` is deprecated', { inferenceConfig: { topP: 1 } }],
    ['refuses-stop-sequences', 'the stopSequences field', { inferenceConfig: { stopSequences: ['END'] } }],
    ['refuses-both', 'cannot both be specified', { inferenceConfig: { temperature: 1, topP: 1 } }],
    ['refuses-service-tier', 'service tier is not supported', { serviceTier: { type: 'flex' } }],
  ] as const) {
    const { failure } = await ask(bedrock, `simulator.${fault}`, 'ECHO Hi', input as object);
    assert.match(failure?.message ?? '', field);
    const isDenied = fault === 'refuses-cache-points';
    assert.is(failure?.name, isDenied ? 'AccessDeniedException' : 'ValidationException');
    assert.is(failure?.$metadata?.httpStatusCode, isDenied ? 403 : 400);
    assert.is((await ask(bedrock, `simulator.${fault}`, 'ECHO Hi')).text, 'Hi');
  }
});

failing('access-denied has a role and an account number in its text, to be kept from callers', async () => {
  await using bedrock = await build();
  const { failure } = await ask(bedrock, 'simulator.access-denied', 'Hi');
  assert.match(failure?.message ?? '', /arn:aws:sts::\d{12}:/);
});

failing('an exception frame carries its message, and details where the service has some', async () => {
  await using bedrock = await build();
  const { failure } = await ask(bedrock, 'simulator.model-stream-error-mid-stream', 'ECHO Hi');
  assert.match(failure?.message ?? '', 'unexpected error');
  assert.instance(failure, ModelStreamErrorException);
  assert.is((failure as ModelStreamErrorException).originalStatusCode, 424);
});

failing('the end of the connection is what the name says', async () => {
  await using bedrock = await build();
  const reset = await askOnSocket(bedrock.url, 'simulator.reset-mid-stream', 'ECHO Hi');
  assert.is(reset.how, 'ECONNRESET');
  assert.match(reset.received, ' please');
  const hangUp = await askOnSocket(bedrock.url, 'simulator.hang-up-mid-stream', 'ECHO Hi');
  assert.is(hangUp.how, 'FIN');
  assert.not.match(hangUp.received, /\r\n0\r\n\r\n$/);
});

failing('a frame of 2 GB is only claimed: its checksum is right, its bytes never come', async () => {
  await using bedrock = await build();
  const response = await bedrock.post('simulator.huge-frame-mid-stream', body('ECHO Hi'));
  const bytes = Buffer.from(await response.arrayBuffer());
  let from = 0;
  while (bytes.readUInt32BE(from) < bytes.length) from += bytes.readUInt32BE(from);
  assert.is(bytes.readUInt32BE(from), 2 ** 31);
  assert.is(bytes.readUInt32BE(from + 8), crc32(bytes.subarray(from, from + 8)));
});

failing.run();

// ---

const embedding = suite('invoke');

embedding('the SDK gets a vector and the token count', async () => {
  await using bedrock = await build();
  const { body, contentType } = await bedrock.client.send(
    new InvokeModelCommand({
      modelId: 'amazon.titan-embed-text-v2:0',
      body: JSON.stringify({ inputText: 'Hi there' }),
    }),
  );
  const answer = JSON.parse(body.transformToString());
  assert.is(contentType, 'application/json');
  assert.is(answer.embedding.length, 1024);
  assert.is(answer.inputTextTokenCount, 2);
  const cohere = { texts: ['Hi there', 'you'], input_type: 'search_query' };
  const response = await bedrock.invoke('cohere.embed-v4:0', cohere);
  assert.is(response.headers.get('x-amzn-bedrock-input-token-count'), '3');
  assert.is((await jsonOf<{ embeddings: number[][] }>(response)).embeddings.length, 2);
});

embedding('a model that does not embed is refused', async () => {
  await using bedrock = await build();
  const response = await bedrock.invoke('amazon.nova-2-lite-v1:0', { inputText: 'Hi' });
  assert.is(response.status, 400);
});

embedding('faults before the stream spoil it too, faults within a stream do not', async () => {
  await using bedrock = await build();
  const invokeWith = (fault: string) =>
    bedrock.invoke('amazon.titan-embed-text-v2:0', { inputText: 'Hi' }, { 'x-simulator-fault': fault });
  assert.is((await invokeWith('throttled')).status, 429);
  const whole = await jsonOf<{ embedding: number[] }>(await invokeWith('throttled-mid-stream'));
  assert.is(whole.embedding.length, 1024);
  assert.is((await bedrock.invoke('simulator.unavailable', { inputText: 'Hi' })).status, 503);
});

embedding.run();
