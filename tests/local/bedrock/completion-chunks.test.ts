/** Chunks as servers send them, read as the real SDK reads Bedrock. */
import type { EventSourceMessage } from 'eventsource-parser';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { toSteps } from '../../../src/local/bedrock/compatible/completion-chunks.ts';
import type { Step } from '../../../src/local/bedrock/replies.ts';
import { llamaCpp, ollama } from '../../helpers/compatible-server.ts';
import { rejectionOf } from '../../helpers/rejects.ts';

type Said = object | string;

async function* messagesOf(chunks: readonly Said[]): AsyncGenerator<EventSourceMessage> {
  for (const chunk of chunks)
    yield {
      id: undefined,
      event: undefined,
      data: typeof chunk === 'string' ? chunk : JSON.stringify(chunk),
    };
}

/** The steps in short: `0 text A` is a delta of the block 0. */
async function read(...chunks: Said[]): Promise<string[]> {
  return await Array.fromAsync(toSteps(messagesOf(chunks)), inShort);
}

function inShort(step: Step): string {
  if (step.kind !== 'event') return step.kind === 'exception' ? step.type : step.kind;
  const { contentBlockIndex: at, delta, start, stopReason, usage } = step.payload as Record<string, never>;
  switch (step.type) {
    case 'contentBlockStart':
      return `${at} start ${Object(start).toolUse.toolUseId} ${Object(start).toolUse.name}`;
    case 'contentBlockDelta': {
      const { text, reasoningContent, toolUse } = Object(delta);
      if (reasoningContent) return `${at} thought ${reasoningContent.text}`;
      return toolUse ? `${at} input ${toolUse.input}` : `${at} text ${text}`;
    }
    case 'contentBlockStop':
      return `${at} stop`;
    case 'messageStop':
      return `end ${stopReason}`;
    case 'metadata':
      return `used ${JSON.stringify(usage)}`;
    default:
      return step.type;
  }
}

const USED = 'used {"inputTokens":26,"outputTokens":5,"totalTokens":31,"cacheReadInputTokens":0}';

const reading = suite('toSteps');

reading('a text of Ollama is one block, and the usage comes after the end', async () => {
  assert.equal(await read(ollama.say('A'), ollama.say(' cage.'), ollama.stop, ollama.usage, '[DONE]'), [
    'messageStart',
    '0 text A',
    '0 text  cage.',
    '0 stop',
    'end end_turn',
    USED,
  ]);
});

reading('thoughts are a block before the text, by either name', async () => {
  const whole = [
    'messageStart',
    '0 thought Hm',
    '0 thought .',
    '0 stop',
    '1 text Yes',
    '1 stop',
    'end end_turn',
  ];
  const { begin, think, say, stop } = llamaCpp;
  assert.equal(await read(begin, think('Hm'), think('.'), say('Yes'), stop('stop')), whole);
  assert.equal(await read(ollama.think('Hm'), ollama.think('.'), ollama.say('Yes'), ollama.stop), whole);
});

reading('a call in pieces streams as it comes, and ends the text before it', async () => {
  const { begin, say, call, argue, stop, usage } = llamaCpp;
  assert.equal(
    await read(
      begin,
      say('Wait'),
      call(0, 'abc', 'weather', '{'),
      argue(0, '"city":'),
      argue(0, '"Rome"}'),
      stop('tool_calls'),
      usage,
    ),
    [
      'messageStart',
      '0 text Wait',
      '0 stop',
      '1 start abc weather',
      '1 input {',
      '1 input "city":',
      '1 input "Rome"}',
      '1 stop',
      'end tool_use',
      USED,
    ],
  );
});

reading('calls that take turns come out one after another, each whole', async () => {
  const { call, argue, say, stop } = llamaCpp;
  assert.equal(
    await read(
      call(0, 'a', 'one', '{'),
      call(1, 'b', 'two', '{"x"'),
      argue(0, '}'),
      say('Both.'),
      argue(1, ':1}'),
      stop('tool_calls'),
    ),
    [
      'messageStart',
      '0 start a one',
      '0 input {',
      '0 input }',
      '0 stop',
      '1 start b two',
      '1 input {"x"',
      '1 input :1}',
      '1 stop',
      '2 text Both.',
      '2 stop',
      'end tool_use',
    ],
  );
});

reading('the first of several calls waits for nobody, nor for the end of the text before it', async () => {
  const { say, call, argue } = llamaCpp;
  const chunks = [say('Wait'), call(0, 'a', 'one', ''), argue(0, '{}'), call(1, 'b', 'two', '{}')];
  const seen: string[] = [];
  const collected = (async () => {
    for await (const step of toSteps(messagesOf(chunks))) seen.push(inShort(step));
  })();
  assert.match(String(await rejectionOf(collected)), 'broke off');
  assert.equal(seen, ['messageStart', '0 text Wait', '0 stop', '1 start a one', '1 input {}']);
});

reading('whole calls of Ollama are told apart by their ids, and its stop is a tool_use', async () => {
  assert.equal(
    await read(ollama.call(0, 'call_a', 'one', '{}'), ollama.call(0, 'call_b', 'two', '{}'), ollama.stop),
    [
      'messageStart',
      '0 start call_a one',
      '0 input {}',
      '0 stop',
      '1 start call_b two',
      '1 input {}',
      '1 stop',
      'end tool_use',
    ],
  );
});

reading('calls without an id are told apart by their names, and one whose id comes late is one', async () => {
  const piece = (index: number | undefined, id: string | undefined, name?: string, text?: string) => ({
    choices: [{ delta: { tool_calls: [{ index, id, function: { name, arguments: text } }] } }],
  });
  const inputs = async (...pieces: object[]) =>
    (await read(...pieces, llamaCpp.stop('tool_calls')))
      .filter((step) => / start | input /.test(step))
      .map((step) => step.replace(/call_[\w-]{36}/, '?'));
  const bare = await inputs(
    piece(undefined, undefined, 'f', '{"a":1}'),
    piece(undefined, undefined, 'g', '{"b":2}'),
  );
  assert.equal(bare, ['0 start ? f', '0 input {"a":1}', '1 start ? g', '1 input {"b":2}']);
  const late = await inputs(
    piece(0, undefined, 'f', ''),
    piece(0, 'late', undefined, '{"a"'),
    piece(0, 'late', 'f', ':1}'),
  );
  assert.equal(late, ['0 start ? f', '0 input {"a"', '0 input :1}']);
  const repeated = await inputs(piece(0, 'one', 'f', '{"a"'), piece(0, undefined, 'f', ':1}'));
  assert.equal(repeated, ['0 start one f', '0 input {"a"', '0 input :1}']);
});

reading('an id that Bedrock would not take becomes one that it does', async () => {
  for (const id of ['', 'functions.one:0', 'x'.repeat(65)]) {
    const [, start] = await read(llamaCpp.call(0, id, 'one', '{}'), llamaCpp.stop('tool_calls'));
    assert.match(start ?? '', /^0 start call_[a-zA-Z0-9_-]{1,59} one$/);
  }
});

reading('a server says in its own words why it stopped', async () => {
  const ends = { length: 'max_tokens', content_filter: 'content_filtered', function_call: 'tool_use' };
  for (const [reason, stopReason] of Object.entries(ends)) {
    assert.is((await read(ollama.say('A'), llamaCpp.stop(reason))).at(-1), `end ${stopReason}`);
  }
  assert.is((await read(ollama.say('A'), llamaCpp.stop('abort'))).at(-1), 'modelStreamErrorException');
});

reading('what comes after the end, and an end within a call, are not dressed up', async () => {
  const twice = await read(ollama.say('A'), ollama.stop, ollama.say('B'), ollama.stop);
  assert.equal(twice, ['messageStart', '0 text A', '0 stop', 'end end_turn']);
  const { call, stop } = llamaCpp;
  assert.is((await read(call(0, 'a', 'one', '{'), stop('length'))).at(-1), 'end max_tokens');
});

reading('a server without usage, or with it in the last chunk, is understood', async () => {
  assert.is((await read(ollama.say('A'), ollama.stop, '[DONE]')).at(-1), 'end end_turn');
  const prompt_tokens_details = { cached_tokens: 20 };
  const usage = { prompt_tokens: 26, completion_tokens: 5, prompt_tokens_details };
  const used = 'used {"inputTokens":6,"outputTokens":5,"totalTokens":31,"cacheReadInputTokens":20}';
  assert.equal((await read({ ...ollama.say('A'), usage }, { ...ollama.stop, usage }, { usage })).slice(-2), [
    'end end_turn',
    used,
  ]);
  const odd = { prompt_tokens: 3, completion_tokens: 5, prompt_tokens_details: { cached_tokens: 9 } };
  assert.match(
    (await read(ollama.say('A'), { ...ollama.stop, usage: odd })).at(-1) ?? '',
    '"inputTokens":0,',
  );
});

reading('an answer without a finish_reason is broken off, even after [DONE]', async () => {
  for (const chunks of [[], [ollama.say('A')], [ollama.say('A'), '[DONE]'], ['[DONE]']])
    assert.match(String(await rejectionOf(read(...chunks))), 'broke off');
});

reading(
  'a failure, and what nobody can read, end the answer with an exception without foreign words',
  async () => {
    for (const said of [{ error: { message: 'secret' } }, { choices: 3 }, '{"choices":']) {
      const steps = await Array.fromAsync(toSteps(messagesOf([ollama.say('A'), said, ollama.stop])));
      assert.equal(steps.map(inShort), ['messageStart', '0 text A', 'modelStreamErrorException']);
      assert.not.match(JSON.stringify(steps), 'secret');
    }
  },
);

reading.run();
