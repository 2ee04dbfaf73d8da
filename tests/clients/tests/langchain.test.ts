/** LangChain.js through `@langchain/openai`. */
import {
  AIMessage,
  type AIMessageChunk,
  HumanMessage,
  SystemMessage,
  ToolMessage,
} from '@langchain/core/messages';
import type { ToolCall } from '@langchain/core/messages/tool';
import { tool } from '@langchain/core/tools';
import { ChatOpenAI, type ChatOpenAIFields, OpenAIEmbeddings } from '@langchain/openai';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { z } from 'zod';
import { type Gateway, until } from '../../helpers/gateway.ts';
import {
  accessTo,
  collect,
  countRequests,
  EMBEDDING_MODEL,
  failureOf,
  inGateway,
  LONG_PROMPT,
  MODEL,
  PNG,
  SLOW,
  THINKING_MODEL,
} from './gateway.ts';

const langChain = suite('LangChain');

const access = (gateway: Gateway) => {
  const { apiKey, ...configuration } = accessTo(gateway);
  return { apiKey, configuration, maxRetries: 0 };
};
const connect = (gateway: Gateway, fields: Partial<ChatOpenAIFields> = {}) =>
  new ChatOpenAI({ ...access(gateway), model: MODEL, ...fields });

/** The pieces of a stream, put together by the library's own means. */
const join = (chunks: readonly AIMessageChunk[]) => chunks.reduce((whole, chunk) => whole.concat(chunk));

for (const door of ['rest', 'function-url'] as const) {
  langChain(
    `${door}: invoke has the text, the reason of its end and the usage, by chat completions`,
    inGateway(
      async (gateway) => {
        const answer = await connect(gateway).invoke('ECHO one two');
        assert.is(answer.text, 'one two');
        assert.is(answer.response_metadata['finish_reason'], 'stop');
        assert.is(answer.usage_metadata?.output_tokens, 2);
        assert.ok((answer.usage_metadata?.input_tokens ?? 0) > 0);
        assert.is(countRequests(gateway), 1);
        assert.is(gateway.records.length, 1);
      },
      { door },
    ),
  );

  langChain(
    `${door}: the chunks of stream add up to the text, its end and the usage`,
    inGateway(
      async (gateway) => {
        const chunks = await collect(await connect(gateway).stream('ECHO one two three'));
        assert.ok(chunks.length > 3);
        const whole = join(chunks);
        assert.is(whole.text, 'one two three');
        assert.is(whole.response_metadata['finish_reason'], 'stop');
        assert.is(whole.usage_metadata?.output_tokens, 3);
        assert.match(whole.id ?? '', /^chatcmpl-./);
        assert.is(countRequests(gateway), 1);
      },
      { door },
    ),
  );
}

langChain(
  'system messages and what was said before are known to the model',
  inGateway(async (gateway) => {
    const said = [new HumanMessage('Tell me about cages'), new AIMessage('They keep things in.')];
    const asked = [...said, new HumanMessage('And birds?')];
    const model = connect(gateway);
    const plain = await model.invoke(asked);
    const told = await model.invoke([new SystemMessage('Be brief.'), ...asked]);
    assert.match(told.text, 'Before it came 1 turn');
    assert.ok((told.usage_metadata?.input_tokens ?? 0) > (plain.usage_metadata?.input_tokens ?? 0));
  }),
);

langChain(
  'an image in a data: URL is taken',
  inGateway(async (gateway) => {
    const url = `data:image/png;base64,${PNG}`;
    const content = [
      { type: 'text', text: 'ECHO seen' },
      { type: 'image_url', image_url: { url } },
    ];
    const answer = await connect(gateway).invoke([new HumanMessage({ content })]);
    assert.is(answer.text, 'seen');
  }),
);

langChain(
  'maxTokens and stop end an answer',
  inGateway(async (gateway) => {
    const cut = await connect(gateway, { maxTokens: 2 }).invoke('ECHO one two three');
    assert.is(cut.response_metadata['finish_reason'], 'length');
    const stopped = await connect(gateway).invoke('ECHO one END two', { stop: ['END'] });
    assert.is(stopped.text, 'one ');
  }),
);

langChain(
  'an answer of which Bedrock told no usage is an answer all the same',
  inGateway(async (gateway) => {
    const model = connect(gateway, { model: 'simulator.no-metadata' });
    const whole = await model.invoke('Hi');
    assert.is(whole.response_metadata['finish_reason'], 'stop');
    const streamed = join(await collect(await model.stream('Hello')));
    assert.is(streamed.response_metadata['finish_reason'], 'stop');
    assert.is(streamed.usage_metadata, undefined);
  }),
);

// ---

const weather = tool(() => 'It is sunny.', {
  name: 'weather',
  description: 'The weather of a city',
  schema: z.object({ city: z.string() }),
});
const clock = tool(() => 'It is noon.', { name: 'clock', description: 'The time', schema: z.object({}) });
const tools = [weather, clock];

const runTool = async (call: ToolCall): Promise<ToolMessage> => {
  const given = { ...call, type: 'tool_call' as const };
  return call.name === 'clock' ? await clock.invoke(given) : await weather.invoke(given);
};

const CALLS = [
  ['weather', { city: 'example' }],
  ['clock', {}],
] as const;
const toCalls = ({ tool_calls = [] }: AIMessage | AIMessageChunk) =>
  tool_calls.map(({ name, args }) => [name, args]);

langChain(
  'tools that are called together are parsed, in one piece and in a stream',
  inGateway(async (gateway) => {
    const model = connect(gateway).bindTools(tools);
    const whole = await model.invoke('Ask the weather and the clock');
    assert.equal(toCalls(whole), CALLS);
    assert.equal(whole.invalid_tool_calls, []);
    const streamed = join(await collect(await model.stream('Ask the weather and the clock')));
    assert.equal(toCalls(streamed), CALLS);
    assert.equal(streamed.invalid_tool_calls, []);
    assert.is(new Set(streamed.tool_calls?.map(({ id }) => id)).size, 2);
    assert.is(streamed.response_metadata['finish_reason'], 'tool_calls');
  }),
);

for (const how of ['invoke', 'stream'] as const)
  langChain(
    `the results of tools come back as ToolMessages, and are answered, by ${how}`,
    inGateway(async (gateway) => {
      const model = connect(gateway).bindTools(tools);
      const asked = new HumanMessage('Ask the weather and the clock');
      const called =
        how === 'invoke' ? await model.invoke([asked]) : join(await collect(await model.stream([asked])));
      const results = await Promise.all((called.tool_calls ?? []).map(runTool));
      assert.is(results.length, 2);
      const answer = await model.invoke([asked, called, ...results]);
      assert.match(answer.text, 'It is sunny.');
      assert.match(answer.text, 'It is noon.');
    }),
  );

langChain(
  'tool_choice forces the tool that it names',
  inGateway(async (gateway) => {
    const model = connect(gateway).bindTools(tools, { tool_choice: 'clock' });
    assert.equal(toCalls(await model.invoke('Ask the weather')), [['clock', {}]]);
  }),
);

const City = z.object({ name: z.string(), inhabitants: z.number() });

for (const method of ['jsonSchema', 'functionCalling'] as const)
  langChain(
    `withStructuredOutput gives an object that fits the schema, by ${method}`,
    inGateway(async (gateway) => {
      const model = connect(gateway).withStructuredOutput(City, { method, name: 'city' });
      assert.equal(await model.invoke('A city'), { name: 'example', inhabitants: 1 });
    }),
  );

langChain(
  'reasoning_content is kept beside the text, in one piece and in a stream',
  inGateway(async (gateway) => {
    const model = connect(gateway, { model: THINKING_MODEL, modelKwargs: { reasoning_effort: 'medium' } });
    const whole = await model.invoke('Why cages?');
    assert.match(String(whole.additional_kwargs['reasoning_content']), 'The user wrote about');
    assert.not.match(whole.text, 'The user wrote about');
    const streamed = join(await collect(await model.stream('Why birds?')));
    assert.match(String(streamed.additional_kwargs['reasoning_content']), 'The user wrote about');
    assert.match(streamed.text, 'simulator');
  }),
);

langChain(
  'reasoning and tools come to an answer, though the library sends no reasoning back',
  inGateway(async (gateway) => {
    const fields = { model: THINKING_MODEL, modelKwargs: { reasoning_effort: 'medium' } };
    const model = connect(gateway, fields).bindTools([weather]);
    const asked = new HumanMessage('Ask the weather');
    const called = await model.invoke([asked]);
    const tool_call_id = called.tool_calls?.[0]?.id ?? '';
    const result = new ToolMessage({ content: 'It is sunny.', tool_call_id });
    assert.match((await model.invoke([asked, called, result])).text, 'It is sunny.');
  }),
);

// ---

langChain(
  'embedQuery and embedDocuments give the same vector for the same text',
  inGateway(async (gateway) => {
    const embeddings = new OpenAIEmbeddings({ ...access(gateway), model: EMBEDDING_MODEL });
    const [cages, birds] = await embeddings.embedDocuments(['cages', 'birds']);
    assert.is(cages?.length, 1024);
    assert.equal(await embeddings.embedQuery('birds'), birds);
    assert.not.equal(cages, birds);
  }),
);

langChain(
  'dimensions decides how long an embedding is',
  inGateway(async (gateway) => {
    const fields = { ...access(gateway), model: EMBEDDING_MODEL, dimensions: 256 };
    assert.is((await new OpenAIEmbeddings(fields).embedQuery('birds')).length, 256);
  }),
);

// ---

langChain(
  'a refusal tells its status, its code and our sentence',
  inGateway(async (gateway) => {
    const error = (await failureOf(
      connect(gateway, { model: 'simulator.access-denied' }).invoke('Hi'),
    )) as Error;
    assert.match(error.message, /^502 [A-Z].{15,}\.$/);
    assert.is((error as Error & { code?: unknown }).code, 'upstream_access_denied');
    assert.is(countRequests(gateway), 1);
  }),
);

langChain(
  'throttling is what the library knows as a rate limit',
  inGateway(async (gateway) => {
    const error = await failureOf(connect(gateway, { model: 'simulator.throttled' }).invoke('Hi'));
    assert.is((error as { lc_error_code?: unknown }).lc_error_code, 'MODEL_RATE_LIMIT');
  }),
);

for (const model of ['simulator.end-mid-stream', 'simulator.throttled-mid-stream'])
  langChain(
    `${model}: a stream that breaks throws after what was said`,
    inGateway(async (gateway) => {
      const chunks: AIMessageChunk[] = [];
      const reading = async () => {
        for await (const chunk of await connect(gateway, { model }).stream('Hi')) chunks.push(chunk);
      };
      const error = (await failureOf(reading())) as Error;
      assert.match(error.message, /^\w.{15,}\.$/);
      assert.ok(chunks.some(({ text }) => text !== ''));
      assert.ok(chunks.every(({ response_metadata }) => response_metadata['finish_reason'] === undefined));
    }),
  );

langChain(
  'a signal that aborts in the middle of a stream ends the work upstream',
  inGateway(async (gateway) => {
    const leaving = new AbortController();
    const reading = async () => {
      const stream = await connect(gateway).stream(LONG_PROMPT, { signal: leaving.signal });
      for await (const { text } of stream) if (text !== '') leaving.abort();
    };
    await reading().catch(() => {}); // whether it throws or just ends is the library's business
    await until(() => gateway.ledger.open === 0);
    assert.is(gateway.ledger.closedEarly, 1);
  }, SLOW),
);

langChain.run();
