import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createBedrockModel } from '../../src/aws/bedrock.ts';
import { createAsk } from '../../src/chat/ask.ts';
import { type ChatEvent, isTerminal } from '../../src/chat/events.ts';
import type { ChatRequest } from '../../src/chat/request.ts';
import { systemClock } from '../../src/wire.ts';
import { bedrockClient } from '../helpers/bedrock-client.ts';
import { type BytesServer, type Script, startBytesServer } from '../helpers/bytes-server.ts';
import { frame, shortAnswer, stopFrame, textFrame, usageFrame } from '../helpers/frames.ts';
import { chatRequest } from '../helpers/requests.ts';

/** Runs `test` with a question that goes through the real SDK to a server that says what the script says. */
async function overTheWire(
  test: (
    tell: (script: Script, changes?: Partial<ChatRequest>) => Promise<ChatEvent[]>,
    server: BytesServer,
  ) => Promise<void>,
) {
  const server = await startBytesServer();
  const client = bedrockClient(server.url);
  const ask = createAsk({ model: createBedrockModel({ client, clock: systemClock }) });
  try {
    await test(async (script, changes) => {
      server.script = script;
      const options = {
        signal: new AbortController().signal,
        deadline: Date.now() + 60_000,
        clock: systemClock,
      };
      return await Array.fromAsync(ask(chatRequest(changes), options));
    }, server);
  } finally {
    client.destroy();
    await server.close();
  }
}

const textOf = (events: readonly ChatEvent[]) =>
  events.map((event) => (event.type === 'text-delta' ? event.text : '')).join('');

const codeOf = (events: readonly ChatEvent[]) => {
  const last = events.at(-1);
  return last?.type === 'error' ? last.code : last?.type;
};

const whole = Buffer.concat(shortAnswer);
const endOfMessageStop = whole.length - usageFrame.length;

const cutting = suite('a stream that is cut');

cutting('cut in two at any byte it is the same answer', () =>
  overTheWire(async (tell) => {
    for (let at = 0; at <= whole.length; at++) {
      const events = await tell({ pieces: [whole.subarray(0, at), whole.subarray(at)], end: 'whole' });
      assert.is(textOf(events), 'A cage.', `cut at ${at}`);
      assert.is(codeOf(events), 'done', `cut at ${at}`);
      assert.is(events.filter(isTerminal).length, 1);
    }
  }),
);

for (const end of ['whole', 'fin', 'reset'] as const) {
  cutting(`truncated at any byte by ${end} it is done only after messageStop`, () =>
    overTheWire(async (tell) => {
      for (let at = 0; at < whole.length; at++) {
        const events = await tell({ pieces: [whole.subarray(0, at)], end });
        const isWhole = at >= endOfMessageStop;
        const expected = isWhole ? ['done'] : ['upstream_truncated', 'upstream_protocol_error'];
        // A reset overtakes what was sent before it: the end of the answer may be lost with it, or all of it.
        if (end === 'reset') expected.push('upstream_truncated', 'upstream_unreachable');
        assert.ok(expected.includes(String(codeOf(events))), `truncated at ${at}: ${codeOf(events)}`);
        assert.is(events.filter(isTerminal).length, 1, `truncated at ${at}`);
        assert.ok('A cage.'.startsWith(textOf(events)));
      }
    }),
  );
}

cutting.run();

// ---

const ending = suite('how an answer ends');

ending('the usage is told when Bedrock tells it', () =>
  overTheWire(async (tell) => {
    const done = (await tell({ pieces: shortAnswer, end: 'whole' })).at(-1);
    assert.ok(done?.type === 'done');
    assert.equal(done.usage, { inputTokens: 5, outputTokens: 2, cacheReadTokens: 0, cacheWriteTokens: 0 });
    assert.is(done.stopReason, 'end_turn');
  }),
);

ending('tokens of the prompt cache are told apart', () =>
  overTheWire(async (tell) => {
    const usage = {
      inputTokens: 1,
      outputTokens: 2,
      totalTokens: 3,
      cacheReadInputTokens: 4,
      cacheWriteInputTokens: 5,
    };
    const pieces = [...shortAnswer.slice(0, -1), frame('metadata', { usage, metrics: { latencyMs: 1 } })];
    const done = (await tell({ pieces, end: 'whole' })).at(-1);
    assert.ok(done?.type === 'done');
    assert.equal(done.usage, { inputTokens: 1, outputTokens: 2, cacheReadTokens: 4, cacheWriteTokens: 5 });
  }),
);

ending('an answer whose usage never comes is done without it, and the connection is let go', () =>
  overTheWire(async (tell, server) => {
    const events = await tell({ pieces: shortAnswer.slice(0, -1), end: 'open' });
    const done = events.at(-1);
    assert.ok(done?.type === 'done');
    assert.is(done.usage, null);
    while (server.brokenOff === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }),
);

ending('an exception after messageStop does not spoil an answer that is whole', () =>
  overTheWire(async (tell) => {
    const events = await tell({
      pieces: [...shortAnswer.slice(0, -1), Buffer.from('garbage garbage garbage')],
      end: 'whole',
    });
    assert.is(codeOf(events), 'done');
  }),
);

ending('the connection of a whole answer is used again', () =>
  overTheWire(async (tell, server) => {
    for (let count = 0; count < 5; count++) await tell({ pieces: shortAnswer, end: 'whole' });
    assert.is(server.connections, 1);
  }),
);

ending('stop reasons are handed on as they come, also those of tomorrow', () =>
  overTheWire(async (tell) => {
    for (const stopReason of ['max_tokens', 'guardrail_intervened', 'something_new']) {
      const done = (
        await tell({ pieces: [...shortAnswer.slice(0, 4), stopFrame(stopReason), usageFrame], end: 'whole' })
      ).at(-1);
      assert.ok(done?.type === 'done');
      assert.is(done.stopReason, stopReason);
    }
  }),
);

ending('an answer that Bedrock could not read is a failure, however it ends', () =>
  overTheWire(async (tell) => {
    for (const stopReason of ['malformed_tool_use', 'malformed_model_output']) {
      const pieces = [...shortAnswer.slice(0, 4), stopFrame(stopReason), usageFrame];
      assert.is(codeOf(await tell({ pieces, end: 'whole' })), 'upstream_error', stopReason);
    }
  }),
);

ending.run();

// ---

const kinds = suite('kinds of content');
const start = frame('messageStart', { role: 'assistant' });
const blockStop = (contentBlockIndex: number) => frame('contentBlockStop', { contentBlockIndex });
const delta = (contentBlockIndex: number, value: object) =>
  frame('contentBlockDelta', { contentBlockIndex, delta: value });

kinds('reasoning comes with its signature, and what was redacted comes as base64', () =>
  overTheWire(async (tell) => {
    const pieces = [
      start,
      delta(0, { reasoningContent: { text: 'hm ' } }),
      delta(0, { reasoningContent: { signature: 'c2ln' } }),
      blockStop(0),
      delta(1, { reasoningContent: { redactedContent: 'AAEC' } }),
      blockStop(1),
      stopFrame('end_turn'),
      usageFrame,
    ];
    assert.equal((await tell({ pieces, end: 'whole' })).slice(1, -1), [
      { type: 'reasoning-delta', block: 0, text: 'hm ' },
      { type: 'reasoning-signature', block: 0, signature: 'c2ln' },
      { type: 'reasoning-signature', block: 1, redacted: 'AAEC' },
    ]);
  }),
);

kinds('parallel tool calls keep their blocks apart, also when their pieces interleave', () =>
  overTheWire(async (tell) => {
    const toolStart = (contentBlockIndex: number, toolUseId: string) =>
      frame('contentBlockStart', { contentBlockIndex, start: { toolUse: { toolUseId, name: 'look' } } });
    const pieces = [
      start,
      textFrame('Let me look.'),
      blockStop(0),
      toolStart(1, 'one'),
      toolStart(2, 'two'),
      delta(2, { toolUse: { input: '{"b"' } }),
      delta(1, { toolUse: { input: '{"a":1}' } }),
      delta(2, { toolUse: { input: ':2}' } }),
      blockStop(1),
      blockStop(2),
      stopFrame('tool_use'),
      usageFrame,
    ];
    assert.equal((await tell({ pieces, end: 'whole' })).slice(1, -1), [
      { type: 'text-delta', block: 0, text: 'Let me look.' },
      { type: 'tool-start', block: 1, id: 'one', name: 'look' },
      { type: 'tool-start', block: 2, id: 'two', name: 'look' },
      { type: 'tool-delta', block: 2, json: '{"b"' },
      { type: 'tool-delta', block: 1, json: '{"a":1}' },
      { type: 'tool-delta', block: 2, json: ':2}' },
      { type: 'tool-end', block: 1 },
      { type: 'tool-end', block: 2 },
    ]);
  }),
);

kinds('content and events of tomorrow are left out, and the answer is whole', () =>
  overTheWire(async (tell) => {
    const pieces = [
      start,
      frame('somethingNew', { contentBlockIndex: 0 }),
      delta(0, { hologram: { depth: 3 } }),
      delta(0, { citation: { title: 'A book' } }),
      ...shortAnswer.slice(1),
    ];
    const events = await tell({ pieces, end: 'whole' });
    assert.is(textOf(events), 'A cage.');
    assert.is(codeOf(events), 'done');
  }),
);

kinds('a delta that is none, and bytes that are no JSON, are upstream_protocol_error', () =>
  overTheWire(async (tell) => {
    for (const bad of [
      { contentBlockIndex: 0, delta: {} },
      { contentBlockIndex: 0 },
      { delta: { text: 'x' } },
    ]) {
      const events = await tell({
        pieces: [start, frame('contentBlockDelta', bad), ...shortAnswer.slice(4)],
        end: 'whole',
      });
      assert.is(codeOf(events), 'upstream_protocol_error', JSON.stringify(bad));
    }
  }),
);

kinds.run();

// ---

const leaving = suite('a reader who leaves');

leaving('breaks off the upstream although the model is silent', async () => {
  const server = await startBytesServer();
  const client = bedrockClient(server.url);
  const ask = createAsk({ model: createBedrockModel({ client, clock: systemClock }) });
  server.script = { pieces: shortAnswer.slice(0, 2), end: 'open' };
  const leave = new AbortController();
  const events: ChatEvent[] = [];
  for await (const event of ask(chatRequest(), {
    signal: leave.signal,
    deadline: Date.now() + 60_000,
    clock: systemClock,
  })) {
    events.push(event);
    if (event.type === 'text-delta') setImmediate(() => leave.abort());
  }
  assert.is(codeOf(events), 'cancelled');
  while (server.brokenOff === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  client.destroy();
  await server.close();
});

leaving.run();
