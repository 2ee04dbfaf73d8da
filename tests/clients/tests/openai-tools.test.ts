/** Tools and reasoning by the `openai` package, and what its tool runner makes of them. */
import OpenAI from 'openai';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Gateway } from '../../helpers/gateway.ts';
import { accessTo, collect, failureOf, inGateway, MODEL, THINKING_MODEL } from './gateway.ts';

type Message = OpenAI.ChatCompletionMessageParam;
type Assistant = OpenAI.ChatCompletionMessage & {
  readonly reasoning_content?: string;
  readonly reasoning_details?: readonly { readonly type: string; readonly signature?: string }[];
};

const tools = suite('openai tools');

const connect = (gateway: Gateway) => new OpenAI({ ...accessTo(gateway), maxRetries: 0 });

const schema = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
const weather = {
  type: 'function',
  function: { name: 'weather', description: 'The weather of a city', parameters: schema },
} as const satisfies OpenAI.ChatCompletionTool;
const clock = {
  type: 'function',
  function: { name: 'clock', parameters: { type: 'object', properties: {} } },
} as const satisfies OpenAI.ChatCompletionTool;

const ask = (content: string) => ({
  model: MODEL,
  messages: [{ role: 'user' as const, content }],
  tools: [weather, clock],
});

/** The same tools for the runner, and what they are called with, as it came. */
function runnableTools() {
  const calls: string[] = [];
  const runnable = ({ function: described }: typeof weather | typeof clock, result: string) => ({
    type: 'function' as const,
    function: {
      description: 'A tool',
      ...described,
      function(given: string) {
        calls.push(`${described.name} ${given}`);
        return result;
      },
    },
  });
  return { calls, tools: [runnable(weather, 'It is sunny.'), runnable(clock, 'It is noon.')] };
}

for (const stream of [false, true]) {
  const how = stream ? 'in a stream' : 'in one piece';
  const runTools = (gateway: Gateway, content: string, own = runnableTools()) => {
    const { completions } = connect(gateway).chat;
    const body = { ...ask(content), tools: own.tools };
    return {
      calls: own.calls,
      runner: stream ? completions.runTools({ ...body, stream }) : completions.runTools({ ...body, stream }),
    };
  };

  tools(
    `runTools calls a tool and gets an answer that quotes it, ${how}`,
    inGateway(async (gateway) => {
      const { runner, calls } = runTools(gateway, 'Ask the weather');
      assert.match((await runner.finalContent()) ?? '', 'It is sunny.');
      assert.equal(calls, ['weather {"city":"example"}']);
      assert.is(gateway.ledger.completed, 2);
    }),
  );

  tools(
    `a tool without arguments is called with an empty object, ${how}`,
    inGateway(async (gateway) => {
      const { runner, calls } = runTools(gateway, 'Ask the clock');
      assert.match((await runner.finalContent()) ?? '', 'It is noon.');
      assert.equal(calls, ['clock {}']);
    }),
  );

  tools(
    `tools that are called together are told apart, and both results come back, ${how}`,
    inGateway(async (gateway) => {
      const { runner, calls } = runTools(gateway, 'Ask the weather and the clock');
      const said = (await runner.finalContent()) ?? '';
      assert.match(said, 'It is sunny.');
      assert.match(said, 'It is noon.');
      assert.equal(calls.toSorted(), ['clock {}', 'weather {"city":"example"}']);
      const [called] = runner.allChatCompletions();
      assert.is(called?.choices[0]?.finish_reason, 'tool_calls');
      const ids = called?.choices[0]?.message.tool_calls?.map(({ id }) => id);
      assert.is(new Set(ids).size, 2);
    }),
  );

  tools(
    `runTools with reasoning comes to its answer, ${how}, though it sends no reasoning back`,
    inGateway(async (gateway) => {
      const own = runnableTools();
      const body = {
        ...ask('Ask the weather'),
        model: THINKING_MODEL,
        reasoning_effort: 'medium' as const,
        tools: own.tools,
      };
      const { completions } = connect(gateway).chat;
      const runner = stream
        ? completions.runTools({ ...body, stream })
        : completions.runTools({ ...body, stream });
      assert.match((await runner.finalContent()) ?? '', 'It is sunny.');
      assert.is(own.calls.length, 1);
    }),
  );
}

tools(
  'a stream of tool calls numbers them from 0, and names each once',
  inGateway(async (gateway) => {
    const body = { ...ask('Ask the weather and the clock'), stream: true } as const;
    const chunks = await collect(await connect(gateway).chat.completions.create(body));
    const pieces = chunks.flatMap(({ choices }) => choices[0]?.delta.tool_calls ?? []);
    assert.equal(new Set(pieces.map(({ index }) => index)), new Set([0, 1]));
    const named = pieces.filter((piece) => piece.id !== undefined || piece.type !== undefined);
    assert.equal(
      named.map(({ index, type, function: called }) => [index, type, called?.name]),
      [
        [0, 'function', 'weather'],
        [1, 'function', 'clock'],
      ],
    );
    const argumentsOf = (wanted: number) =>
      pieces.map(({ index, function: called }) => (index === wanted ? called?.arguments : '')).join('');
    assert.is(argumentsOf(0), '{"city":"example"}');
    assert.is(argumentsOf(1), '{}');
  }),
);

tools(
  'what was said before a tool call is not lost',
  inGateway(async (gateway) => {
    const { choices } = await connect(gateway).chat.completions.create(ask('Ask the weather'));
    assert.match(choices[0]?.message.content ?? '', 'I will call the tool weather');
    assert.is(choices[0]?.message.tool_calls?.length, 1);
  }),
);

const toNames = ({ choices }: OpenAI.ChatCompletion) =>
  choices[0]?.message.tool_calls?.map((call) => (call.type === 'function' ? call.function.name : ''));

tools(
  'tool_choice forces the tool that it names',
  inGateway(async (gateway) => {
    const forced = { type: 'function' as const, function: { name: 'clock' } };
    const { completions } = connect(gateway).chat;
    const answer = await completions.create({ ...ask('Ask the weather'), tool_choice: forced });
    assert.equal(toNames(answer), ['clock']);
  }),
);

tools(
  'tool_choice required has a tool called',
  inGateway(async (gateway) => {
    const { completions } = connect(gateway).chat;
    const answer = await completions.create({ ...ask('Ask the weather'), tool_choice: 'required' });
    assert.equal(toNames(answer), ['weather']);
    assert.is(answer.choices[0]?.finish_reason, 'tool_calls');
  }),
);

tools(
  'tool_choice none has no tool called',
  inGateway(async (gateway) => {
    const { completions } = connect(gateway).chat;
    const { choices } = await completions.create({ ...ask('Ask the weather'), tool_choice: 'none' });
    assert.is(choices[0]?.message.tool_calls, undefined);
    assert.is(choices[0]?.finish_reason, 'stop');
  }),
);

/** A tool call and its result, as a client that writes its own loop sends them. */
async function callWeather(gateway: Gateway, changes: Partial<OpenAI.ChatCompletionCreateParams> = {}) {
  const body = { ...ask('Ask the weather'), ...changes, stream: false } as const;
  const answer = await connect(gateway).chat.completions.create(body);
  const message = answer.choices[0]?.message as Assistant;
  const id = message.tool_calls?.[0]?.id ?? '';
  const result: Message = { role: 'tool', tool_call_id: id, content: 'It is sunny.' };
  const next = (said: Assistant) => ({ ...body, messages: [...body.messages, said as Message, result] });
  return { message, next };
}

tools(
  'a conversation with tool calls goes on with tool_choice none, or with no tools at all',
  inGateway(async (gateway) => {
    const { message, next } = await callWeather(gateway);
    const { completions } = connect(gateway).chat;
    const { tools: _, ...bare } = next(message);
    for (const body of [{ ...next(message), tool_choice: 'none' as const }, bare]) {
      const { choices } = await completions.create(body);
      assert.match(choices[0]?.message.content ?? '', 'It is sunny.');
      assert.is(choices[0]?.finish_reason, 'stop');
    }
  }),
);

tools(
  'in a conversation that the gateway keeps, the results of tools are all that is sent',
  inGateway(async (gateway) => {
    const { completions } = connect(gateway).chat;
    const begun = { ...ask('Ask the weather'), chat_id: 'new' };
    const { data, response } = await completions.create(begun).withResponse();
    const id = data.choices[0]?.message.tool_calls?.[0]?.id ?? '';
    const messages = [{ role: 'tool' as const, tool_call_id: id, content: 'It is sunny.' }];
    const next = { model: MODEL, messages, tools: begun.tools, chat_id: response.headers.get('x-chat-id') };
    const { choices } = await completions.create(next);
    assert.match(choices[0]?.message.content ?? '', 'It is sunny.');
  }),
);

const thinking = { model: THINKING_MODEL, reasoning_effort: 'medium' } as const;

tools(
  'reasoning comes beside the answer, with its signature',
  inGateway(async (gateway) => {
    const { message } = await callWeather(gateway, thinking);
    assert.match(message.reasoning_content ?? '', 'The user wrote about');
    assert.is(message.reasoning_details?.length, 1);
    assert.is(message.reasoning_details?.[0]?.type, 'reasoning.text');
    assert.ok(message.reasoning_details?.[0]?.signature);
    assert.not.match(message.content ?? '', 'The user wrote about');
  }),
);

tools(
  'signed reasoning that is sent back with the tool’s result is taken',
  inGateway(async (gateway) => {
    const { message, next } = await callWeather(gateway, thinking);
    const { choices } = await connect(gateway).chat.completions.create(next(message));
    assert.match(choices[0]?.message.content ?? '', 'It is sunny.');
  }),
);

tools(
  'reasoning whose signature was altered is refused as the caller’s mistake',
  inGateway(async (gateway) => {
    const { message, next } = await callWeather(gateway, thinking);
    const reasoning_details = message.reasoning_details?.map((detail) => ({
      ...detail,
      signature: 'forged',
    }));
    const altered = { ...message, ...(reasoning_details && { reasoning_details }) };
    const error = await failureOf(connect(gateway).chat.completions.create(next(altered)));
    assert.instance(error, OpenAI.BadRequestError);
  }),
);

tools(
  'a stream tells the reasoning before the text, and what is to be sent back with its finish reason',
  inGateway(async (gateway) => {
    const body = { ...ask('Ask the weather'), ...thinking, stream: true } as const;
    const chunks = await collect(await connect(gateway).chat.completions.create(body));
    const deltas = chunks.map(({ choices }) => choices[0]?.delta as Partial<Assistant> | undefined);
    const lastThought = deltas.findLastIndex((delta) => delta?.reasoning_content);
    const firstWord = deltas.findIndex((delta) => delta?.content);
    assert.ok(lastThought >= 0 && lastThought < firstWord);
    const kept = deltas.filter((delta) => delta?.reasoning_details !== undefined);
    assert.is(kept.length, 1);
    assert.is(kept[0], deltas[chunks.findIndex(({ choices }) => choices[0]?.finish_reason)]);
    const { message } = await callWeather(gateway, thinking);
    assert.equal(kept[0]?.reasoning_details, message.reasoning_details);
  }),
);

tools(
  'a tool can be forced where reasoning was asked for',
  inGateway(async (gateway) => {
    const { completions } = connect(gateway).chat;
    const forced = { type: 'function' as const, function: { name: 'clock' } };
    for (const tool_choice of [forced, 'required'] as const) {
      const answer = await completions.create({ ...ask('Ask the clock'), ...thinking, tool_choice });
      assert.equal(toNames(answer), ['clock']);
    }
  }),
);

tools.run();
