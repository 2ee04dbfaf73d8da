import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createAsk } from '../../src/chat/ask.ts';
import { type Turn, withRecall } from '../../src/chat/conversation.ts';
import type { ContentBlock, Message } from '../../src/chat/request.ts';
import { joinTurns } from '../../src/chat/tool-turns.ts';
import { modelThat, say } from '../helpers/app.ts';
import { createManualClock } from '../helpers/manual-clock.ts';
import { failureOf } from '../helpers/rejects.ts';
import { chatRequest } from '../helpers/requests.ts';

const words = (text: string): ContentBlock => ({ type: 'text', text });
const use = (id: string): ContentBlock => ({ type: 'tool-use', id, name: 'look', input: {} });
const result = (id: string): ContentBlock => ({
  type: 'tool-result',
  id,
  text: `found ${id}`,
  failed: false,
});
const thought: ContentBlock = { type: 'reasoning', text: 'Hm.', signature: 's' };
const user = (...content: ContentBlock[]): Message => ({ role: 'user', content });
const assistant = (...content: ContentBlock[]): Message => ({ role: 'assistant', content });

/** A turn of which the answer's text is that of its blocks, as it is kept. */
const turn = (asked: readonly Message[], answer: readonly ContentBlock[], model = 'm'): Turn => ({
  messages: asked,
  completion: answer.map((block) => (block.type === 'text' ? block.text : '')).join(''),
  ...(answer.some(({ type }) => type === 'tool-use') && { reply: answer }),
  model,
  state: 'complete',
  usage: null,
  at: 1,
});

const join = (turns: readonly Turn[], ...messages: Message[]) => joinTurns(turns, { messages, model: 'm' });
const forgotten = user(words('What was said before is not kept any more.'));
const [asked, other] = [user(words('Where?')), user(words('Never mind.'))];

const joining = suite('joinTurns');

joining('an answer that called tools is sent back whole, and what the tools returned after it', () => {
  const answer = [thought, words('Let me look.'), use('a'), use('b')];
  const results = [user(result('b')), user(result('a'), words('And?'))];
  assert.equal(join([turn([asked], answer)], ...results), [asked, assistant(...answer), ...results]);
  assert.equal(join([turn([asked], answer), turn(results, [words('Here.')])], other), [
    ...[asked, assistant(...answer), ...results, assistant(words('Here.'))],
    other,
  ]);
});

joining('of an answer whose calls nobody answered its text stays', () => {
  const answer = [thought, words('Let me look.'), use('a')];
  const text = assistant(words('Let me look.'));
  assert.equal(join([turn([asked], answer)], other), [asked, text, other]);
  assert.equal(join([turn([asked], answer), turn([other], [words('Well.')])], other), [
    ...[asked, text, other, assistant(words('Well.'))],
    other,
  ]);
});

joining('an answer that was nothing but calls is passed over with its question when nobody answered', () => {
  assert.equal(join([turn([asked], [thought, use('a')])], other), [other]);
  const again = [turn([asked], [use('a')]), turn([user(result('a'))], [words(' '), use('b')])];
  assert.equal(join(again, other), [other]);
});

joining('a turn that came to nothing is passed over, so its results can be sent again', () => {
  const failed = { ...turn([user(result('a'))], []), state: 'failed' } as const;
  const turns = [turn([asked], [use('a')]), failed];
  assert.equal(join(turns, user(result('a'))), [asked, assistant(use('a')), user(result('a'))]);
});

joining('results at the beginning that lost their calls go, and answers to nothing else', () => {
  const lost = turn([user(result('a'))], [words('Here.')]);
  const half = turn([user(result('a')), user(result('b'), words('And?'))], [words('There.')]);
  assert.equal(join([lost, half], other), [user(words('And?')), assistant(words('There.')), other]);
  const more = turn([user(result('a')), assistant(words('So.')), asked], [words('There.')]);
  assert.equal(join([more], other), [other]);
});

joining('results that were sent twice count once', () => {
  const [one, two] = [words('One.'), words('Two.')].map((answer) => turn([user(result('a'))], [answer]));
  assert.ok(one && two);
  const found = join([turn([asked], [use('a')]), one, two], other);
  assert.equal(found, [asked, assistant(use('a')), user(result('a')), assistant(words('One.')), other]);
});

joining('a row of calls longer than what is remembered goes on', () => {
  const row = [turn([user(result('a'))], [use('b')]), turn([user(result('b'))], [use('c')])];
  assert.equal(join(row, user(result('c'))), [
    ...[forgotten, assistant(use('b')), user(result('b'))],
    ...[assistant(use('c')), user(result('c'))],
  ]);
});

joining('a stored call that the next turn answers only in part is left out, with that result', () => {
  const turns = [
    turn([asked], [words('Let me look.'), use('a'), use('b')]),
    turn([user(result('a'), words('Only that.'))], [words('Well.')]),
  ];
  assert.equal(join(turns, other), [
    ...[asked, assistant(words('Let me look.')), user(words('Only that.')), assistant(words('Well.'))],
    other,
  ]);
});

joining('what another model thought is left out', () => {
  const answer = [thought, words('Let me look.'), use('a')];
  assert.equal(join([turn([asked], answer, 'another')], user(result('a'))), [
    asked,
    assistant(words('Let me look.'), use('a')),
    user(result('a')),
  ]);
});

joining('a first turn may bring calls and results of its own', () => {
  const whole = [asked, assistant(use('a')), user(result('a')), assistant(words('Here.')), other];
  assert.equal(join([turn(whole, [use('a')])], user(result('a'))), [
    ...[...whole, assistant(use('a'))],
    user(result('a')),
  ]);
  assert.equal(
    join([turn(whole, [use('a')])], other),
    [other],
    'the results in it are not for its own answer',
  );
});

joining('an id may come again in a later message', () => {
  const own = [asked, assistant(use('a')), user(result('a')), assistant(use('a')), user(result('a'))];
  assert.equal(join([], ...own), own);
});

const long = 'x'.repeat(65);
const stored = [turn([asked], [use('a'), use('b')])];
for (const [what, turns, own, message] of [
  [
    'a result without its call',
    [],
    [user(result('a'))],
    'The tool call "a" was not made in the message before its result.',
  ],
  [
    'a result in the wrong place',
    [],
    [asked, assistant(use('a')), user(result('a')), assistant(words('Here.')), user(result('a'))],
    'The tool call "a" was not made in the message before its result.',
  ],
  [
    'a call without its result',
    [],
    [asked, assistant(use('a'), use('b')), user(result('a')), other],
    'The tool call "b" has no result in the message after it.',
  ],
  [
    'a call at the end',
    [],
    [asked, assistant(use('a'))],
    'The tool call "a" has no result in the message after it.',
  ],
  [
    'a call that is made twice',
    [],
    [asked, assistant(use('a')), assistant(use('a')), user(result('a'))],
    'The tool call "a" was made twice in one message.',
  ],
  [
    'two results of one call',
    [],
    [asked, assistant(use('a')), user(result('a')), user(result('a'))],
    'The tool call "a" has two results.',
  ],
  [
    'results of some stored calls only',
    stored,
    [user(result('a'), words('Never mind the other.'))],
    'The tool call "b" has no result in the message after it.',
  ],
  [
    'a result beside those of stored calls',
    stored,
    [user(result('a'), result('b'), result('c'))],
    'The tool call "c" was not made in the message before its result.',
  ],
  [
    'a result of a stored call that has been answered',
    [...stored, turn([user(result('a'), result('b'))], [words('Here.')])],
    [user(result('a'), result('b'))],
    'The tool call "a" was not made in the message before its result.',
  ],
  [
    'an id of 65 characters',
    [],
    [user(result(long))],
    `The tool call "${long.slice(1)}" was not made in the message before its result.`,
  ],
] as const) {
  joining(`${what} is refused`, async () => {
    const error = await failureOf(() => join(turns, ...own));
    assert.equal([error.code, error.message, error.param], ['invalid_request', message, 'messages']);
  });
}

joining.run();

// ---

const ids = ['a', 'b', 'c'];
const someIds = fc.uniqueArray(fc.constantFrom(...ids), { maxLength: 3 });
const said = fc.constantFrom(words('Where?'), words('And then?'));

/** What a user says at once: results, words, or both, in one message or in several. */
const asking = fc
  .record({ results: someIds, text: fc.option(said, { nil: undefined }), isOne: fc.boolean() })
  .map(({ results, text, isOne }): Message[] => {
    const blocks = [...results.map(result), ...(text || results.length === 0 ? [text ?? words('Hi.')] : [])];
    return isOne ? [user(...blocks)] : blocks.map((block) => user(block));
  });

/** Sound by itself: words and whole exchanges. */
const exchanges = fc
  .array(fc.uniqueArray(fc.constantFrom(...ids), { maxLength: 2 }), { maxLength: 2 })
  .map((rounds) => [
    asked,
    ...rounds.flatMap((calls) => [
      assistant(words('So.'), ...calls.map(use)),
      user(...calls.map(result), words('Go on.')),
    ]),
  ]);

const answering = fc
  .record({
    blocks: fc.uniqueArray(fc.constantFrom(words('Here.'), words(' '), thought, ...ids.map(use))),
    model: fc.constantFrom('m', 'another'),
    state: fc.constantFrom('complete', 'partial', 'cancelled', 'failed'),
  })
  .map(({ blocks, model, state }) => ({ ...turn([], blocks, model), state }));

const history = fc
  .tuple(exchanges, fc.array(fc.tuple(asking, answering), { maxLength: 7 }))
  .map(([opening, turns]): Turn[] =>
    turns.map(([messages, answer], n) => ({ ...answer, messages: n === 0 ? opening : messages })),
  );

/** What Bedrock would say. */
function faultIn(messages: readonly Message[]): string | undefined {
  const sides: { role: string; blocks: ContentBlock[] }[] = [];
  for (const { role, content } of messages) {
    if (content.length === 0) return 'an empty message';
    if (sides.at(-1)?.role !== role) sides.push({ role, blocks: [] });
    sides.at(-1)?.blocks.push(...content);
  }
  if (sides[0]?.role !== 'user') return 'not begun by the user';
  const idsIn = (n: number, kind: string) =>
    (sides[n]?.blocks ?? []).flatMap((block) => (block.type === kind && 'id' in block ? [block.id] : []));
  for (let n = 0; n <= sides.length; n++) {
    const calls = idsIn(n - 1, 'tool-use').sort();
    const results = idsIn(n, 'tool-result').sort();
    if (new Set(calls).size < calls.length) return 'a call twice';
    if (calls.join() !== results.join()) return `calls ${calls} and results ${results}`;
    if (calls.length > 0 && sides[n - 1]?.role !== 'assistant') return 'a call of the user';
  }
  return undefined;
}

/** The messages that the model is asked, or the refusal. */
async function recall(turns: readonly Turn[], messages: readonly Message[], maxTurns: number) {
  const heard: (readonly Message[])[] = [];
  const model = modelThat(...say('Here.'));
  const ask = withRecall(
    createAsk({
      model: (request, signal) => {
        heard.push(request.messages);
        return model(request, signal);
      },
    }),
    { recall: async (_, most) => turns.slice(-most) },
  );
  const conversation = { chatId: 'c1', isNew: false, isKept: true, maxTurns, ttlSeconds: 60 };
  const request = chatRequest({ model: 'm', messages, conversation });
  const signal = new AbortController().signal;
  const clock = createManualClock();
  const events = await Array.fromAsync(ask(request, { signal, deadline: clock.now() + 60_000, clock }));
  const [first] = events;
  assert.is(heard.length, first?.type === 'error' ? 0 : 1);
  return { asked: heard[0], refusal: first?.type === 'error' ? first : undefined, events };
}

const always = suite('whatever was said before');

always('what is sound by itself is asked, unchanged, behind what Bedrock takes', async () => {
  const reached = new Set<string>();
  await fc.assert(
    fc.asyncProperty(history, exchanges, fc.integer({ min: 1, max: 7 }), async (turns, own, maxTurns) => {
      const { asked = [] } = await recall(turns, own, maxTurns);
      assert.is(faultIn(asked), undefined);
      assert.equal(asked.slice(-own.length), own);
      const before = asked.slice(0, -own.length).flatMap(({ content }) => content);
      for (const { type } of before) reached.add(type);
    }),
    { numRuns: 2_000 },
  );
  assert.equal([...reached].sort(), ['reasoning', 'text', 'tool-result', 'tool-use']);
});

always(
  'the results of all the calls of the last answer are taken, however little is remembered',
  async () => {
    let forgot = 0;
    await fc.assert(
      fc.asyncProperty(
        history.filter((turns) => turns.at(-1)?.reply !== undefined),
        fc.integer({ min: 1, max: 7 }),
        async (turns, maxTurns) => {
          const reply = turns.at(-1)?.reply ?? [];
          const calls = reply.flatMap((block) => (block.type === 'tool-use' ? [block.id] : []));
          const own = [user(...calls.map(result)), asked];
          const { asked: messages = [] } = await recall(turns, own, maxTurns);
          assert.is(faultIn(messages), undefined);
          assert.equal(messages.slice(-2), own);
          const answer = messages.at(-3)?.content ?? [];
          const isSame = turns.at(-1)?.model === 'm';
          assert.equal(
            answer,
            reply.filter(({ type }) => isSame || type !== 'reasoning'),
          );
          if (JSON.stringify(messages[0]) === JSON.stringify(forgotten)) forgot++;
        },
      ),
      { numRuns: 1_000 },
    );
    assert.ok(forgot > 0);
  },
);

always('what is asked is taken or refused by its id, and what is taken Bedrock takes', async () => {
  const reached = { taken: 0, refused: 0 };
  const pair = fc
    .tuple(asking, someIds, asking)
    .map(([head, calls, tail]) => [...head, assistant(words('So.'), ...calls.map(use)), ...tail]);
  const owns = fc.oneof(asking, pair);
  await fc.assert(
    fc.asyncProperty(history, owns, async (turns, own) => {
      const { asked, refusal, events } = await recall(turns, own, 7);
      if (refusal) {
        reached.refused++;
        assert.equal([events.length, refusal.code, refusal.param], [1, 'invalid_request', 'messages']);
        assert.ok(faultIn(own), 'what is sound is not refused');
      } else {
        reached.taken++;
        assert.is(faultIn(asked ?? []), undefined);
        assert.equal(asked?.slice(-own.length), own);
      }
    }),
    { numRuns: 2_000 },
  );
  assert.ok(reached.taken > 100 && reached.refused > 100);
});

always.run();
