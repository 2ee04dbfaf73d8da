import { createParser } from 'eventsource-parser';
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { toFailure } from '../../src/chat/ask.ts';
import { GatewayError } from '../../src/chat/errors.ts';
import type { ChatEvent, Delta, Done } from '../../src/chat/events.ts';
import { createCompletionWriter } from '../../src/doors/openai-answer.ts';
import { failureOf } from '../helpers/rejects.ts';

const NOW = 1_795_396_767_789;
const usage = { inputTokens: 5, outputTokens: 2, cacheReadTokens: 3, cacheWriteTokens: 1 };
const start: ChatEvent = { type: 'start', requestId: 'r', model: 'some-model', cached: false };
const done = (stopReason = 'end_turn', used: Done['usage'] = usage): ChatEvent => ({
  type: 'done',
  stopReason,
  usage: used,
  saved: false,
  timing: { firstEventMs: 1, totalMs: 2 },
});
const say = (text: string, block = 0): Delta => ({ type: 'text-delta', block, text });
const think = (text: string, block = 0): Delta => ({ type: 'reasoning-delta', block, text });
const call = (block: number, id: string, ...json: string[]): Delta[] => [
  { type: 'tool-start', block, id, name: `tool_${id}` },
  ...json.map((piece): Delta => ({ type: 'tool-delta', block, json: piece })),
  { type: 'tool-end', block },
];
const cut = new GatewayError('upstream_truncated', 'The answer broke off before its end.');

type Piece = { role?: string; content?: string; reasoning_content?: string; reasoning_details?: unknown[] };
type ToolPiece = {
  index: number;
  id?: string;
  type?: string;
  function: { name?: string; arguments: string };
};
type Chunk = {
  id: string;
  object: string;
  created: number;
  model: string;
  choices: {
    index: number;
    delta: Piece & { tool_calls?: ToolPiece[] };
    finish_reason: string | null;
    logprobs: null;
  }[];
  usage?: object | null;
  error?: Record<string, unknown>;
};

const writerFor = (includeUsage = false) =>
  createCompletionWriter({ requestId: 'r', now: NOW, includeUsage });

/** What a client's parser reads of the stream; `[DONE]` last where it came. */
function streamed(events: readonly ChatEvent[], includeUsage = false) {
  const writer = writerFor(includeUsage);
  const chunks: Chunk[] = [];
  let isDone = false;
  const parser = createParser({
    onEvent({ event, data }) {
      assert.is(event, undefined);
      assert.not(isDone, 'nothing comes after [DONE]');
      if (data === '[DONE]') isDone = true;
      else chunks.push(JSON.parse(data) as Chunk);
    },
  });
  for (const event of events) parser.feed(writer.encode(event));
  return { chunks, isDone, choices: chunks.flatMap(({ choices = [] }) => choices) };
}

async function* stream(events: readonly ChatEvent[]) {
  yield* events;
}

type Completion = {
  choices: { message: Record<string, unknown>; finish_reason: string }[];
} & Record<string, unknown>;
const collected = async (events: readonly ChatEvent[]) =>
  (await writerFor().collect(stream(events))) as Completion;

/** What a client makes of the pieces. */
function assemble(choices: Chunk['choices']) {
  const calls = new Map<
    number,
    { id: string; type: string; function: { name: string; arguments: string } }
  >();
  let content = '';
  let reasoning_content = '';
  let reasoning_details: unknown;
  for (const { delta } of choices) {
    content += delta.content ?? '';
    reasoning_content += delta.reasoning_content ?? '';
    reasoning_details = delta.reasoning_details ?? reasoning_details;
    for (const { index, id, type, function: given } of delta.tool_calls ?? []) {
      const known = calls.get(index);
      if (known) known.function.arguments += given.arguments;
      else {
        const name = given.name ?? '';
        calls.set(index, { id: id ?? '', type: type ?? '', function: { name, arguments: given.arguments } });
      }
    }
  }
  const tool_calls = [...calls].sort(([a], [b]) => a - b).map(([, whole]) => whole);
  return {
    role: choices[0]?.delta.role,
    content: content === '' && tool_calls.length > 0 ? null : content,
    refusal: null,
    ...(reasoning_content !== '' && { reasoning_content }),
    ...(reasoning_details !== undefined && { reasoning_details }),
    ...(tool_calls.length > 0 && { tool_calls }),
  };
}

const streaming = suite('an answer as chunks');

streaming('has one id, one creation and one model; role first, finish last, then [DONE]', () => {
  const { chunks, choices, isDone } = streamed([start, say('A'), say(' B'), done()]);
  assert.is(
    new Set(chunks.map(({ id, object, created, model }) => [id, object, created, model].join())).size,
    1,
  );
  const [{ id, object, created, model } = {}] = chunks;
  assert.equal(
    [id, object, created, model],
    ['chatcmpl-r', 'chat.completion.chunk', 1_795_396_767, 'some-model'],
  );
  assert.equal(
    choices.map(({ index, delta, finish_reason }) => [index, delta, finish_reason]),
    [
      [0, { role: 'assistant', content: '' }, null],
      [0, { content: 'A' }, null],
      [0, { content: ' B' }, null],
      [0, {}, 'stop'],
    ],
  );
  assert.ok(choices.every(({ logprobs }) => logprobs === null));
  assert.ok(chunks.every((chunk) => !('usage' in chunk)));
  assert.is(chunks.length, choices.length, 'no chunk without a choice');
  assert.ok(isDone);
});

streaming('tells its usage only when asked, in a chunk of its own after the finish', () => {
  const { chunks, isDone } = streamed([start, say('A'), done()], true);
  const prompt_tokens_details = { cached_tokens: 3, cache_write_tokens: 1 };
  assert.equal(chunks.at(-1)?.choices, []);
  assert.equal(chunks.at(-1)?.usage, {
    prompt_tokens: 9,
    completion_tokens: 2,
    total_tokens: 11,
    prompt_tokens_details,
  });
  assert.ok(chunks.slice(0, -1).every((chunk) => chunk.usage === null));
  assert.ok(isDone);
});

streaming('tells no usage that Bedrock did not', () => {
  const { chunks, isDone } = streamed([start, done('end_turn', null)], true);
  assert.is(chunks.length, 2);
  assert.ok(isDone);
});

streaming('thoughts are told as they come, and whole with the finish so that they can be sent back', () => {
  const events: ChatEvent[] = [
    start,
    think('h'),
    think('m'),
    { type: 'reasoning-signature', block: 0, signature: 'sig' },
    { type: 'reasoning-signature', block: 1, redacted: 'aGk=' },
    say('A', 2),
    done(),
  ];
  const { choices } = streamed(events);
  assert.equal(
    choices.map(({ delta }) => delta),
    [
      { role: 'assistant', content: '' },
      { reasoning_content: 'h' },
      { reasoning_content: 'm' },
      { content: 'A' },
      {
        reasoning_details: [
          { type: 'reasoning.text', index: 0, text: 'hm', signature: 'sig' },
          { type: 'reasoning.encrypted', index: 1, data: 'aGk=' },
        ],
      },
    ],
  );
});

streaming('thoughts of several blocks are each signed for themselves', async () => {
  const sign = (block: number, signature: string): Delta => ({
    type: 'reasoning-signature',
    block,
    signature,
  });
  const events = [start, think('a', 3), think('b', 5), sign(5, 'two'), think('c', 3), sign(3, 'one'), done()];
  const reasoning_details = [
    { type: 'reasoning.text', index: 0, text: 'b', signature: 'two' },
    { type: 'reasoning.text', index: 1, text: 'ac', signature: 'one' },
  ];
  assert.equal(streamed(events).choices.at(-1)?.delta, { reasoning_details });
  const message = (await collected(events)).choices[0]?.message;
  assert.equal([message?.['reasoning_content'], message?.['reasoning_details']], ['abc', reasoning_details]);
});

streaming('a call of which nothing but white space came has empty arguments', async () => {
  const events = [start, ...call(0, 'a', '', ' \n'), done('tool_use')];
  const pieces = streamed(events).choices.flatMap(({ delta }) => delta.tool_calls ?? []);
  assert.equal(JSON.parse(pieces.map((piece) => piece.function.arguments).join('')), {});
  assert.is(pieces.length, 3, 'an empty piece is not told');
  const [choice] = (await collected(events)).choices;
  const [made] = (choice?.message['tool_calls'] ?? []) as ToolPiece[];
  assert.equal(JSON.parse(made?.function.arguments ?? ''), {});
});

streaming('pieces of a call that never began are passed over', async () => {
  const events = [start, ...call(0, 'a', '{}').slice(1), done()];
  assert.is(streamed(events).choices.length, 2);
  assert.not('tool_calls' in ((await collected(events)).choices[0]?.message ?? {}));
});

for (const [word, reason] of [
  ['end_turn', 'stop'],
  ['stop_sequence', 'stop'],
  ['something_new', 'stop'],
  ['max_tokens', 'length'],
  ['model_context_window_exceeded', 'length'],
  ['guardrail_intervened', 'content_filter'],
  ['content_filtered', 'content_filter'],
  ['refusal', 'content_filter'],
] as const) {
  streaming(`${word} is ${reason}`, async () => {
    assert.is(streamed([start, done(word)]).choices.at(-1)?.finish_reason, reason);
    assert.is((await collected([start, done(word)])).choices[0]?.finish_reason, reason);
  });
}

streaming('a cut call is a cut answer, and not one to act on', () => {
  const events = [start, ...call(0, 'a', '{"x":').slice(0, -1), done('max_tokens')];
  assert.is(streamed(events).choices.at(-1)?.finish_reason, 'length');
});

for (const [what, event, code] of [
  ['a failure', toFailure(cut), 'upstream_truncated'],
  ['a cancel', { type: 'cancelled', usage, estimated: true }, 'cancelled'],
] as const) {
  streaming(`${what} in mid-answer is an error without choices, without a finish and without [DONE]`, () => {
    const { chunks, choices, isDone } = streamed([start, say('A'), event], true);
    const last = chunks.at(-1);
    assert.is(last?.error?.['code'], code);
    assert.is(last?.error?.['request_id'], 'r');
    assert.equal(Object.keys(last ?? {}), ['error']);
    assert.ok(choices.every(({ finish_reason }) => finish_reason === null));
    assert.not(isDone);
  });
}

const whole = suite('an answer in one piece');

whole('is a completion, with text, calls, thoughts and usage', async () => {
  const events: ChatEvent[] = [
    start,
    think('hm'),
    { type: 'reasoning-signature', block: 0, signature: 'sig' },
    say('I look.', 1),
    ...call(2, 'a', '{"at"', ':1}'),
    ...call(3, 'b'),
    done('tool_use'),
  ];
  assert.equal(await collected(events), {
    id: 'chatcmpl-r',
    object: 'chat.completion',
    created: 1_795_396_767,
    model: 'some-model',
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant',
          content: 'I look.',
          refusal: null,
          reasoning_content: 'hm',
          reasoning_details: [{ type: 'reasoning.text', index: 0, text: 'hm', signature: 'sig' }],
          tool_calls: [
            { id: 'a', type: 'function', function: { name: 'tool_a', arguments: '{"at":1}' } },
            { id: 'b', type: 'function', function: { name: 'tool_b', arguments: '{}' } },
          ],
        },
        logprobs: null,
        finish_reason: 'tool_calls',
      },
    ],
    usage: {
      prompt_tokens: 9,
      completion_tokens: 2,
      total_tokens: 11,
      prompt_tokens_details: { cached_tokens: 3, cache_write_tokens: 1 },
    },
  });
});

whole('without a word it is an empty text, and null beside calls', async () => {
  const contentOf = async (events: ChatEvent[]) => (await collected(events)).choices[0]?.message['content'];
  assert.is(await contentOf([start, done()]), '');
  assert.is(await contentOf([start, ...call(0, 'a'), done('tool_use')]), null);
  assert.is((await collected([start, done('end_turn', null)]))['usage'], null);
});

whole('is never made of what broke off', async () => {
  for (const [code, ...events] of [
    ['upstream_truncated', start, say('A'), toFailure(cut)],
    ['cancelled', start, say('A'), { type: 'cancelled', usage, estimated: true }],
    ['internal_error', start, say('A')],
  ] as const) {
    assert.is((await failureOf(() => collected(events))).code, code);
  }
});

const any = suite('any answer');

const textOf = fc.string({ unit: 'binary', maxLength: 8 });
const block = (index: number) =>
  fc.oneof(
    fc.array(textOf, { maxLength: 3 }).map((texts): Delta[] => texts.map((piece) => say(piece, index))),
    fc
      .array(textOf, { maxLength: 3 })
      .map((texts): Delta[] => [
        ...texts.map((piece) => think(piece, index)),
        { type: 'reasoning-signature', block: index, signature: 'sig' },
      ]),
    fc.array(textOf, { maxLength: 3 }).map((pieces) => call(index, `c${index}`, ...pieces)),
  );
/** Blocks in any order, and their pieces mixed as those of parallel calls may be. */
const answers = fc.tuple(...Array.from({ length: 5 }, (_, index) => block(2 * index))).chain((blocks) =>
  fc.infiniteStream(fc.nat()).map((picks) => {
    const left = blocks.map((deltas) => [...deltas]).filter((deltas) => deltas.length > 0);
    const mixed: Delta[] = [];
    while (left.length > 0) {
      const at = (picks.next().value ?? 0) % left.length;
      const next = left[at]?.shift();
      if (next) mixed.push(next);
      if (left[at]?.length === 0) left.splice(at, 1);
    }
    return mixed;
  }),
);

any('says the same as chunks and in one piece, with one finish and calls from 0 on', async () => {
  await fc.assert(
    fc.asyncProperty(answers, fc.boolean(), async (deltas, includeUsage) => {
      const events = [start, ...deltas, done('tool_use')];
      const { choices, isDone, chunks } = streamed(events, includeUsage);
      const { choices: [choice] = [] } = await collected(events);
      assert.equal(assemble(choices), choice?.message);
      assert.equal(
        choices.flatMap(({ finish_reason }) => finish_reason ?? []),
        [choice?.finish_reason],
      );
      const first = choices.flatMap(({ delta }) => delta.tool_calls ?? []).filter(({ id }) => id);
      assert.equal(
        first.map(({ index }) => index),
        first.map((_, at) => at),
      );
      assert.ok(choices.every(({ index }) => index === 0));
      assert.ok(isDone && chunks.every(({ error }) => error === undefined));
    }),
    { numRuns: 300 },
  );
});

any('that breaks off anywhere has no finish and no [DONE]', () => {
  fc.assert(
    fc.property(answers, fc.nat({ max: 40 }), (deltas, at) => {
      const { choices, isDone, chunks } = streamed([start, ...deltas.slice(0, at), toFailure(cut)]);
      assert.ok(choices.every(({ finish_reason }) => finish_reason === null));
      assert.is(isDone, false);
      assert.is(chunks.filter(({ error }) => error).length, 1);
    }),
    { numRuns: 200 },
  );
});

streaming.run();
whole.run();
any.run();
