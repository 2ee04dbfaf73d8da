/** Vercel's AI SDK through `@ai-sdk/openai-compatible`. */
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import {
  APICallError,
  embed,
  embedMany,
  generateObject,
  generateText,
  Output,
  stepCountIs,
  streamObject,
  streamText,
  tool,
} from 'ai';
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
  PDF,
  PNG,
  SLOW,
  THINKING_MODEL,
} from './gateway.ts';

const aiSdk = suite('AI SDK');

const connect = (gateway: Gateway, options: { readonly supportsStructuredOutputs?: boolean } = {}) =>
  createOpenAICompatible({ name: 'gateway', includeUsage: true, ...accessTo(gateway), ...options });
/** What `streamText` is given, besides a prompt. By itself it prints what goes wrong. */
const from = (gateway: Gateway, model: string = MODEL) => ({
  model: connect(gateway)(model),
  maxRetries: 0,
  onError: () => {},
});

for (const door of ['rest', 'function-url'] as const) {
  aiSdk(
    `${door}: generateText has the text, the reason of its end and the usage`,
    inGateway(
      async (gateway) => {
        const model = connect(gateway)(MODEL);
        const answer = await generateText({ model, prompt: 'ECHO one two' });
        assert.is(answer.text, 'one two');
        assert.is(answer.finishReason, 'stop');
        assert.ok((answer.usage.inputTokens ?? 0) > 0);
        assert.is(answer.usage.outputTokens, 2);
        assert.equal(answer.warnings, []);
      },
      { door },
    ),
  );

  aiSdk(
    `${door}: streamText streams the text, and knows the end and the usage`,
    inGateway(
      async (gateway) => {
        const answer = streamText({ ...from(gateway), prompt: 'ECHO one two three' });
        const texts = await collect(answer.textStream);
        assert.ok(texts.length > 1);
        assert.is(texts.join(''), 'one two three');
        assert.is(await answer.finishReason, 'stop');
        const { inputTokens = 0, outputTokens, totalTokens } = await answer.usage;
        assert.ok(inputTokens > 0);
        assert.is(outputTokens, 3);
        assert.is(totalTokens, inputTokens + 3);
      },
      { door },
    ),
  );
}

aiSdk(
  'the parts of a stream come in the grammar of the SDK',
  inGateway(async (gateway) => {
    const answer = streamText({ ...from(gateway), prompt: 'ECHO one two' });
    const types = (await collect(answer.fullStream)).map(({ type }) => type);
    const grammar = ['start', 'start-step', 'text-start', 'text-delta', 'text-end', 'finish-step', 'finish'];
    assert.equal(
      types.filter((type, at) => type !== types[at - 1]),
      grammar,
    );
  }),
);

aiSdk(
  'an answer that reached its limit ends with length',
  inGateway(async (gateway) => {
    const limited = { ...from(gateway), prompt: 'ECHO one two three', maxOutputTokens: 2 };
    assert.is((await generateText(limited)).finishReason, 'length');
    assert.is(await streamText(limited).finishReason, 'length');
  }),
);

aiSdk(
  'an answer that a guardrail stopped ends with content-filter',
  inGateway(async (gateway) => {
    const asked = { ...from(gateway, 'simulator.guardrail-intervened'), prompt: 'Hi' };
    assert.is((await generateText(asked)).finishReason, 'content-filter');
    assert.is(await streamText(asked).finishReason, 'content-filter');
  }),
);

aiSdk(
  'an answer of which Bedrock told no usage is an answer all the same',
  inGateway(async (gateway) => {
    const asked = { ...from(gateway, 'simulator.no-metadata'), prompt: 'Hi' };
    const whole = await generateText(asked);
    assert.is(whole.finishReason, 'stop');
    assert.is(whole.usage.outputTokens, undefined);
    assert.is(await streamText({ ...asked, prompt: 'Hello' }).finishReason, 'stop');
  }),
);

aiSdk(
  'a conversation with a system prompt goes on where it was',
  inGateway(async (gateway) => {
    const { text } = await generateText({
      model: connect(gateway)(MODEL),
      instructions: 'Be brief.',
      messages: [
        { role: 'user', content: 'Tell me about cages' },
        { role: 'assistant', content: 'They keep things in.' },
        { role: 'user', content: 'And birds?' },
      ],
    });
    assert.match(text, 'Before it came 1 turn');
  }),
);

aiSdk(
  'an image and a PDF are taken',
  inGateway(async (gateway) => {
    const { text } = await generateText({
      model: connect(gateway)(MODEL),
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'ECHO seen' },
            { type: 'file', data: PNG, mediaType: 'image/png' },
            { type: 'file', data: PDF, mediaType: 'application/pdf', filename: 'report.pdf' },
          ],
        },
      ],
    });
    assert.is(text, 'seen');
  }),
);

// ---

const City = z.object({ name: z.string(), inhabitants: z.number() });
const EXAMPLE = { name: 'example', inhabitants: 1 };

aiSdk(
  'with structured outputs the model keeps to the schema, in one piece and in a stream',
  inGateway(async (gateway) => {
    const model = connect(gateway, { supportsStructuredOutputs: true })(MODEL);
    const output = Output.object({ schema: City });
    assert.equal((await generateText({ model, output, prompt: 'A city' })).output, EXAMPLE);
    const answer = streamText({ model, output, prompt: 'Another city' });
    assert.equal((await collect(answer.partialOutputStream)).at(-1), EXAMPLE);
    assert.equal(await answer.output, EXAMPLE);
  }),
);

aiSdk(
  'generateObject and streamObject, which are older, have the same object',
  inGateway(async (gateway) => {
    const model = connect(gateway, { supportsStructuredOutputs: true })(MODEL);
    const answer = await generateObject({ model, schema: City, prompt: 'A city' });
    assert.equal([answer.object, answer.finishReason], [EXAMPLE, 'stop']);
    const { partialObjectStream } = streamObject({ model, schema: City, prompt: 'Another city' });
    assert.equal((await collect(partialObjectStream)).at(-1), EXAMPLE);
  }),
);

aiSdk(
  'without structured outputs an object is what the model wrote as JSON',
  inGateway(async (gateway) => {
    const output = Output.object({ schema: City });
    const prompt = `ECHO ${JSON.stringify(EXAMPLE)}`;
    assert.equal((await generateText({ model: connect(gateway)(MODEL), output, prompt })).output, EXAMPLE);
  }),
);

// ---

/** Tools, and what they are called with. */
function createTools() {
  const calls: unknown[] = [];
  const saying = (result: string) => (given: unknown) => {
    calls.push(given);
    return result;
  };
  const tools = {
    weather: tool({ inputSchema: z.object({ city: z.string() }), execute: saying('It is sunny.') }),
    clock: tool({ inputSchema: z.object({}), execute: saying('It is noon.') }),
  };
  return { calls, tools, stopWhen: stepCountIs(3) };
}

for (const [named, inputs, quotes] of [
  ['the weather', [{ city: 'example' }], ['It is sunny.']],
  ['the clock', [{}], ['It is noon.']],
  ['the weather and the clock', [{ city: 'example' }, {}], ['It is sunny.', 'It is noon.']],
] as const) {
  aiSdk(
    `generateText calls ${named} and quotes what came back`,
    inGateway(async (gateway) => {
      const { calls, ...options } = createTools();
      const answer = await generateText({ ...from(gateway), ...options, prompt: `Ask ${named}` });
      assert.equal(calls, inputs);
      for (const quote of quotes) assert.match(answer.text, quote);
      assert.equal(
        answer.steps.map(({ finishReason }) => finishReason),
        ['tool-calls', 'stop'],
      );
    }),
  );

  aiSdk(
    `streamText calls ${named} and quotes what came back`,
    inGateway(async (gateway) => {
      const { calls, ...options } = createTools();
      const answer = streamText({ ...from(gateway), ...options, prompt: `Ask ${named}` });
      const parts = await collect(answer.fullStream);
      assert.equal(calls, inputs);
      for (const quote of quotes) assert.match(await answer.text, quote);
      assert.not(parts.some(({ type }) => type === 'error' || type === 'tool-error'));
      const ids = parts.flatMap((part) => (part.type === 'tool-call' ? part.toolCallId : []));
      assert.is(new Set(ids).size, inputs.length);
    }),
  );
}

aiSdk(
  'toolChoice forces the tool that it names',
  inGateway(async (gateway) => {
    const { tools } = createTools();
    const toolChoice = { type: 'tool', toolName: 'clock' } as const;
    const answer = await generateText({ ...from(gateway), tools, toolChoice, prompt: 'Ask the weather' });
    assert.equal(
      answer.toolCalls.map(({ toolName }) => toolName),
      ['clock'],
    );
  }),
);

aiSdk(
  'reasoning is told apart from the text, in one piece and in a stream',
  inGateway(async (gateway) => {
    const asked = { ...from(gateway, THINKING_MODEL), reasoning: 'medium' as const };
    const whole = await generateText({ ...asked, prompt: 'Why cages?' });
    assert.match(whole.reasoningText ?? '', 'The user wrote about');
    assert.not.match(whole.text, 'The user wrote about');
    const answer = streamText({ ...asked, prompt: 'Why birds?' });
    assert.match((await answer.reasoningText) ?? '', 'The user wrote about');
    assert.match(await answer.text, 'simulator');
  }),
);

aiSdk(
  'reasoning and tools come to an answer, though the SDK sends no signature back',
  inGateway(async (gateway) => {
    const { calls, ...options } = createTools();
    const asked = { ...from(gateway, THINKING_MODEL), reasoning: 'medium' as const, ...options };
    const answer = await generateText({ ...asked, prompt: 'Ask the weather' });
    assert.match(answer.text, 'It is sunny.');
    assert.is(calls.length, 1);
  }),
);

// ---

aiSdk(
  'embed and embedMany give vectors in the order of the values',
  inGateway(async (gateway) => {
    const model = connect(gateway).embeddingModel(EMBEDDING_MODEL);
    const { embeddings, usage } = await embedMany({ model, values: ['cages', 'birds'] });
    const { embedding } = await embed({ model, value: 'birds' });
    assert.is(embedding.length, 1024);
    assert.equal(embeddings[1], embedding);
    assert.not.equal(embeddings[0], embedding);
    assert.ok(usage.tokens > 0);
  }),
);

// ---

aiSdk(
  'a refusal is an APICallError with our sentence and its status',
  inGateway(async (gateway) => {
    const error = await failureOf(
      generateText({ ...from(gateway, 'simulator.access-denied'), maxRetries: 0, prompt: 'Hi' }),
    );
    assert.instance(error, APICallError);
    const { statusCode, message, responseBody = '{}' } = error as APICallError;
    assert.is(statusCode, 502);
    assert.is(message, (JSON.parse(responseBody) as { error: Error }).error.message);
    assert.is(countRequests(gateway), 1);
  }),
);

for (const model of ['simulator.end-mid-stream', 'simulator.throttled-mid-stream'])
  aiSdk(
    `${model}: a stream that breaks has an error part, and never ends with stop`,
    inGateway(async (gateway) => {
      const answer = streamText({ ...from(gateway, model), prompt: 'Hi' });
      const parts = await collect(answer.fullStream);
      assert.ok(parts.some(({ type }) => type === 'text-delta'));
      const errors = parts.flatMap((part) => (part.type === 'error' ? [part.error] : []));
      assert.is(errors.length, 1);
      assert.match((errors[0] as Error).message, /^\w.{15,}\.$/);
      const reasons = parts.flatMap((part) => ('finishReason' in part ? part.finishReason : []));
      assert.ok(reasons.every((reason) => reason === 'error'));
    }),
  );

aiSdk(
  'an abortSignal in the middle of a stream ends the work upstream',
  inGateway(async (gateway) => {
    const leaving = new AbortController();
    const options = { ...from(gateway), prompt: LONG_PROMPT, abortSignal: leaving.signal };
    const types: string[] = [];
    for await (const { type } of streamText(options).fullStream) {
      types.push(type);
      if (type === 'text-delta') leaving.abort();
    }
    assert.is(types.at(-1), 'abort');
    await until(() => gateway.ledger.open === 0);
    assert.is(gateway.ledger.closedEarly, 1);
  }, SLOW),
);

aiSdk.run();
