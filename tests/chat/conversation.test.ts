import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createAsk, type Model } from '../../src/chat/ask.ts';
import {
  type Chats,
  noSuchChat,
  type Turn,
  toPlainText,
  withMemory,
  withRecall,
} from '../../src/chat/conversation.ts';
import { GatewayError } from '../../src/chat/errors.ts';
import type { ChatEvent, ModelEvent } from '../../src/chat/events.ts';
import type { ChatRequest, Conversation, Message } from '../../src/chat/request.ts';
import { begin, modelThat, say, text, usage } from '../helpers/app.ts';
import { modelOf, type Step } from '../helpers/cache.ts';
import { createManualClock, settle } from '../helpers/manual-clock.ts';
import { chatRequest, question } from '../helpers/requests.ts';

const down = new GatewayError('storage_unavailable', 'The table is down.');
const said = (role: Message['role'], words: string): Message => ({
  role,
  content: [{ type: 'text', text: words }],
});
const first: Conversation = { chatId: 'c1', isNew: true, isKept: true, maxTurns: 20, ttlSeconds: 60 };
const next: Conversation = { ...first, isNew: false };

const turn = (asked: string, completion: string): Turn => ({
  messages: [said('user', asked)],
  completion,
  model: 'some-model',
  state: 'complete',
  usage: null,
  at: 1,
});

type Call = { readonly name: string; readonly given: readonly unknown[] };

/** Conversations as arrays. What each call was given is in `calls`; `change` spoils them. */
function build(model: Model, change: Partial<Chats> = {}, lifeMs = 900_000) {
  const clock = createManualClock();
  const kept: Turn[] = [];
  const calls: Call[] = [];
  const note =
    <Given extends unknown[], Result>(name: string, run: (...given: Given) => Promise<Result>) =>
    (...given: Given) => {
      calls.push({ name, given });
      return run(...given);
    };
  const keep = async (_key: unknown, kind: Turn) => void kept.push(kind);
  const chats: Chats = {
    recall: note('recall', change.recall ?? (async () => kept)),
    begin: note('begin', change.begin ?? keep),
    append: note('append', change.append ?? keep),
  };
  const asked: ChatRequest[] = [];
  const notices: unknown[] = [];
  const counted: Model = (request, signal) => {
    asked.push(request);
    return model(request, signal);
  };
  const remembering = withMemory(withRecall(createAsk({ model: counted }), chats), {
    chats,
    notify: (notice) => notices.push(notice),
  });
  const abort = new AbortController();
  const deadline = clock.now() + lifeMs;
  const hear = (changes: Partial<ChatRequest> = {}) => {
    const events: ChatEvent[] = [];
    const options = { signal: abort.signal, deadline, clock };
    const over = (async () => {
      for await (const event of remembering(chatRequest({ conversation: first, ...changes }), options)) {
        events.push(event);
      }
    })();
    return { events, over };
  };
  const ask = async (changes?: Partial<ChatRequest>) => {
    const { events, over } = hear(changes);
    await over;
    return events;
  };
  return { clock, kept, calls, asked, notices, abort, hear, ask };
}

const codeOf = (events: readonly ChatEvent[]) => {
  const last = events.at(-1);
  return last?.type === 'error' ? last.code : last?.type;
};
const isSaved = (events: readonly ChatEvent[]) => {
  const last = events.at(-1);
  return last?.type === 'done' && last.saved;
};
const whole = modelThat(...say('A ', 'cage'));

const recalling = suite('withRecall');

recalling('what was said before comes before the question, in its order', async () => {
  const turns = [turn('One?', 'First.'), turn('Two?', 'Second.')];
  const { ask, asked, calls } = build(whole, { recall: async () => turns });
  await ask({ conversation: { ...next, maxTurns: 7 } });
  assert.equal(asked[0]?.messages, [
    said('user', 'One?'),
    said('assistant', 'First.'),
    said('user', 'Two?'),
    said('assistant', 'Second.'),
    ...question.messages,
  ]);
  assert.equal(calls[0], { name: 'recall', given: [{ tenant: 'alice', chatId: 'c1' }, 7] });
});

recalling('turns that came to nothing are passed over, and all that was asked with them', async () => {
  const opening = {
    ...turn('', 'First.'),
    messages: [said('user', 'a'), said('assistant', 'b'), said('user', 'c')],
  };
  const turns = [turn('Zero?', ''), opening, turn('Two?', ' \n')];
  const { ask, asked } = build(whole, { recall: async () => turns });
  await ask({ conversation: next });
  assert.equal(asked[0]?.messages, [...opening.messages, said('assistant', 'First.'), ...question.messages]);
});

recalling('nothing is recalled for a new conversation, or where there is none', async () => {
  const { ask, asked, calls } = build(whole);
  await ask();
  const { conversation: _, ...alone } = chatRequest();
  await Array.fromAsync(
    withRecall(createAsk({ model: whole }), { recall: () => Promise.reject(down) })(alone, {
      signal: new AbortController().signal,
      deadline: Number.POSITIVE_INFINITY,
      clock: createManualClock(),
    }),
  );
  assert.equal(asked[0]?.messages, question.messages);
  assert.equal(
    calls.map(({ name }) => name),
    ['begin'],
  );
});

recalling('a conversation that is not there is not_found, and nobody is asked', async () => {
  const { ask, asked, calls } = build(whole, { recall: async () => undefined });
  const events = await ask({ conversation: next });
  assert.equal([codeOf(events), events.length], ['not_found', 1]);
  assert.is(events[0]?.type === 'error' && events[0].param, 'chat_id');
  assert.equal([asked.length, calls.length], [0, 1]);
});

recalling('a conversation that cannot be read fails, and nobody is asked', async () => {
  const unreadable = new GatewayError('history_unavailable', 'It is broken.');
  for (const [error, code] of [
    [unreadable, 'history_unavailable'],
    [new Error('crash'), 'internal_error'],
  ] as const) {
    const { ask, asked, kept } = build(whole, { recall: () => Promise.reject(error) });
    const events = await ask({ conversation: next });
    assert.equal([codeOf(events), events.length, asked.length, kept.length], [code, 1, 0, 0]);
  }
});

const results: Message = {
  role: 'user',
  content: [{ type: 'tool-result', id: 't1', text: 'a cage', failed: false }],
};

recalling('an answer that called tools comes before what they returned, whole', async () => {
  const reply = [
    { type: 'reasoning', text: 'Hm.', signature: 's' },
    { type: 'tool-use', id: 't1', name: 'look', input: { at: 1 } },
  ] as const;
  const turns = [{ ...turn('What?', ''), reply }];
  const { ask, asked } = build(whole, { recall: async () => turns });
  await ask({ conversation: next, model: 'some-model', messages: [results] });
  assert.equal(asked[0]?.messages, [said('user', 'What?'), { role: 'assistant', content: reply }, results]);
});

recalling('results of calls that nobody made are refused, in a conversation of any kind', async () => {
  for (const conversation of [next, first]) {
    const { ask, asked, kept } = build(whole);
    const events = await ask({ conversation, messages: [results] });
    assert.equal([codeOf(events), events.length, asked.length, kept.length], ['invalid_request', 1, 0, 0]);
    assert.is(events[0]?.type === 'error' && events[0].param, 'messages');
  }
});

recalling.run();

// ---

const keeping = suite('withMemory');

keeping('a new conversation is begun with its first turn, and its id is told', async () => {
  const { ask, kept, calls, clock } = build(whole);
  const events = await ask();
  assert.equal(events[0], {
    type: 'start',
    requestId: 'request-1',
    model: 'some-model',
    cached: false,
    chatId: 'c1',
  });
  assert.ok(isSaved(events));
  const whatWasSaid: Turn = {
    messages: question.messages,
    completion: 'A cage',
    model: 'some-model',
    state: 'complete',
    stopReason: 'end_turn',
    usage,
    at: clock.now(),
  };
  assert.equal(kept, [whatWasSaid]);
  assert.equal(calls, [{ name: 'begin', given: [{ tenant: 'alice', chatId: 'c1' }, whatWasSaid, 60] }]);
});

keeping('a further turn is added, without what was recalled for it', async () => {
  const { ask, kept, calls } = build(whole);
  kept.push(turn('One?', 'First.'));
  assert.ok(isSaved(await ask({ conversation: next })));
  assert.equal(
    calls.map(({ name }) => name),
    ['recall', 'append'],
  );
  assert.equal(kept[1]?.messages, question.messages);
});

keeping('the end is told only when the turn is kept', async () => {
  let done = () => {};
  const begin_ = () => new Promise<void>((resolve) => (done = resolve));
  const { hear } = build(whole, { begin: begin_ });
  const { events, over } = hear();
  await settle();
  assert.is(codeOf(events), 'text-delta');
  done();
  await over;
  assert.ok(isSaved(events));
});

const call: ModelEvent[] = [
  { type: 'tool-start', block: 2, id: 't1', name: 'look' },
  { type: 'tool-delta', block: 2, json: '{"at":1}' },
  { type: 'tool-end', block: 2 },
];
const reply = [{ type: 'tool-use', id: 't1', name: 'look', input: { at: 1 } }] as const;
const late: ModelEvent = { type: 'reasoning-delta', block: 1, text: 'hm' };
const ends: [what: string, script: Step[], expected: Partial<Turn>][] = [
  [
    'whole, without a count of its tokens',
    [begin, text('A'), { type: 'end', stopReason: 'max_tokens', usage: null }],
    { state: 'complete', completion: 'A', stopReason: 'max_tokens', usage: null },
  ],
  [
    'broken off',
    [begin, text('A '), late, text('ca'), down],
    { state: 'partial', completion: 'A ca', usage: null },
  ],
  [
    'with a call of a tool',
    [begin, text('A'), ...call, { type: 'end', stopReason: 'tool_use', usage: null }],
    {
      state: 'complete',
      completion: 'A',
      stopReason: 'tool_use',
      usage: null,
      reply: [{ type: 'text', text: 'A' }, ...reply],
    },
  ],
  [
    'broken off after a call, before its first word',
    [begin, ...call, down],
    { state: 'partial', completion: '', usage: null, reply },
  ],
  [
    'broken off in the midst of a call',
    [begin, ...call.slice(0, 2), down],
    { state: 'failed', completion: '', usage: null },
  ],
  ['broken off before its first word', [begin, late, down], { state: 'failed', completion: '', usage: null }],
];
for (const [what, script, expected] of ends) {
  keeping(`an answer ${what} is kept as ${expected.state}`, async () => {
    const { ask, kept, clock } = build(modelOf(createManualClock(), script));
    await ask();
    const { messages } = question;
    assert.equal(kept, [{ messages, model: 'some-model', at: clock.now(), ...expected }]);
  });
}

keeping('an answer that is cancelled is kept as far as it came, with what it has probably cost', async () => {
  const { hear, kept, abort } = build(modelOf(createManualClock(), [begin, text('A ca'), 'hang']));
  const { events, over } = hear();
  await settle();
  abort.abort();
  await over;
  const last = events.at(-1);
  assert.ok(last?.type === 'cancelled');
  assert.equal(
    kept.map(({ state, completion, usage }) => ({ state, completion, usage })),
    [{ state: 'cancelled', completion: 'A ca', usage: last.usage }],
  );
});

keeping('a question whose answer never began is not kept', async () => {
  const { ask, calls } = build(modelThat(down));
  assert.is(codeOf(await ask()), 'storage_unavailable');
  assert.equal(calls, []);
});

keeping('nothing is kept, and no id told, where nothing is to be stored', async () => {
  const { ask, calls, asked } = build(whole);
  const { conversation: _, ...alone } = chatRequest({ store: false });
  for (const events of [
    await ask({ conversation: { ...next, isKept: false } }),
    await Array.fromAsync(
      withMemory(createAsk({ model: whole }), {
        chats: { begin: () => Promise.reject(down), append: () => Promise.reject(down) },
        notify: () => assert.unreachable(),
      })(alone, { signal: new AbortController().signal, deadline: 2_000_000, clock: createManualClock() }),
    ),
  ]) {
    assert.not(isSaved(events));
    assert.not('chatId' in (events[0] ?? {}));
    assert.is(codeOf(events), 'done');
  }
  assert.equal([calls.map(({ name }) => name), asked.length], [['recall'], 1]);
});

keeping('a turn that cannot be kept is told of: the answer is whole, but not saved', async () => {
  for (const cause of [down, new Error('crash')]) {
    const { ask, notices } = build(whole, { begin: () => Promise.reject(cause) });
    const events = await ask();
    assert.equal([codeOf(events), isSaved(events)], ['done', false]);
    assert.equal(notices, [{ type: 'turn-lost', cause }]);
  }
});

keeping(
  'a turn of a broken answer that cannot be kept is told of, and the failure is the answer’s',
  async () => {
    const { ask, notices } = build(modelThat(begin, new GatewayError('upstream_error', 'It failed.')), {
      begin: () => Promise.reject(down),
    });
    assert.is(codeOf(await ask()), 'upstream_error');
    assert.is(notices.length, 1);
  },
);

keeping('a turn of a conversation that was deleted meanwhile is not saved, and nobody is told', async () => {
  const { ask, notices } = build(whole, { append: () => Promise.reject(noSuchChat()) });
  const events = await ask({ conversation: next });
  assert.equal([codeOf(events), isSaved(events), notices], ['done', false, []]);
});

for (const [what, endsAfterDeadlineMs, ms] of [
  ['four seconds', -10_000, 4_000],
  ['four seconds, also at the deadline', 0, 4_000],
  ['until 4.5 seconds after the deadline', 4_000, 500],
] as const) {
  keeping(`a turn that is not kept is awaited for ${what}, and told of`, async () => {
    const clock = createManualClock();
    const deadline = clock.now() - endsAfterDeadlineMs;
    const notices: unknown[] = [];
    const slow = { begin: () => new Promise<never>(() => {}), append: () => Promise.reject(down) };
    const parts = { chats: slow, notify: (notice: unknown) => notices.push(notice) };
    const events: ChatEvent[] = [];
    const over = (async () => {
      const options = { signal: new AbortController().signal, deadline, clock };
      const answer = withMemory(async function* () {
        yield { type: 'start', requestId: 'r', model: 'm', cached: false };
        yield {
          type: 'done',
          stopReason: 'end_turn',
          usage,
          saved: false,
          timing: { firstEventMs: 0, totalMs: 0 },
        };
      }, parts);
      for await (const event of answer(chatRequest({ conversation: first }), options)) events.push(event);
    })();
    await clock.advance(ms - 1);
    assert.is(codeOf(events), 'start');
    await clock.advance(1);
    await over;
    assert.equal([codeOf(events), isSaved(events), notices], ['done', false, [{ type: 'turn-lost' }]]);
    assert.is(clock.armed, 0);
  });
}

keeping.run();

// ---

const wording = suite('toPlainText');

wording('is what a message says in words, a line for each block', () => {
  const image = { type: 'image', format: 'png', bytes: new Uint8Array() } as const;
  const content = [{ type: 'text', text: 'What is' }, image, { type: 'text', text: 'this?' }] as const;
  assert.is(toPlainText({ role: 'user', content }), 'What is\nthis?');
  assert.is(toPlainText({ role: 'user', content: [image] }), '');
});

wording.run();
