import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createAsk } from '../../src/chat/ask.ts';
import { type Chats, noSuchChat, type Turn, withMemory, withRecall } from '../../src/chat/conversation.ts';
import { GatewayError } from '../../src/chat/errors.ts';
import { type ChatEvent, isTerminal, type ModelEvent } from '../../src/chat/events.ts';
import type { Conversation } from '../../src/chat/request.ts';
import { begin, end, text } from '../helpers/app.ts';
import { modelOf, type Step } from '../helpers/cache.ts';
import { createManualClock } from '../helpers/manual-clock.ts';
import { chatRequest } from '../helpers/requests.ts';

const late: ModelEvent = { type: 'reasoning-delta', block: 1, text: 'hm' };
const down = new GatewayError('storage_unavailable', 'The table is down.');
const first: Conversation = { chatId: 'c1', isNew: true, isKept: true, maxTurns: 20, ttlSeconds: 60 };
const next: Conversation = { ...first, isNew: false };

const call: ModelEvent[] = [
  { type: 'tool-start', block: 2, id: 't1', name: 'look' },
  { type: 'tool-end', block: 2 },
];

const step = fc.constantFrom<Step>(
  text('a'),
  text('bb'),
  late,
  10,
  5_000,
  end,
  begin,
  down,
  new Error('crash'),
  'hang',
);
const some = fc.oneof(
  { weight: 5, arbitrary: step.map((one) => [one]) },
  fc.constantFrom<Step[]>(call, call.slice(1)),
);
const steps = fc.array(some, { maxLength: 6 }).map((parts) => parts.flat());
const script = fc.record({
  steps: fc.oneof(
    steps,
    steps.map((all): Step[] => [begin, ...all, end]),
  ),
  store: fc.constantFrom('kept', 'kept', 'refused', 'deleted', 'slow', 'too slow'),
  conversation: fc.constantFrom(first, next, { ...next, isKept: false }),
  cancelledAtMs: fc.option(fc.nat(6_000), { nil: undefined }),
});

const always = suite('whatever the model does');

always('one event ends it, and saved is said of just the turns that are there', async () => {
  const reached = new Set<string>();
  await fc.assert(
    fc.asyncProperty(script, async ({ steps, store, conversation, cancelledAtMs }) => {
      const clock = createManualClock();
      const stored: Turn[] = [];
      const keep = async (_key: unknown, kind: Turn) => {
        if (store === 'refused') throw down;
        if (store === 'deleted') throw noSuchChat();
        const ms = { slow: 3_900, 'too slow': 4_100 }[store as string] ?? 0;
        if (ms > 0) await new Promise<void>((resolve) => clock.after(ms, resolve));
        stored.push(kind);
      };
      const chats: Chats = { recall: async () => [], begin: keep, append: keep };
      const abort = new AbortController();
      const ask = withMemory(withRecall(createAsk({ model: modelOf(clock, steps) }), chats), {
        chats,
        notify: () => undefined,
      });
      if (cancelledAtMs !== undefined) clock.after(cancelledAtMs, () => abort.abort());
      const events: ChatEvent[] = [];
      let storedAtEnd = 0;
      const over = (async () => {
        const options = { signal: abort.signal, deadline: clock.now() + 40_000, clock };
        for await (const event of ask(chatRequest({ conversation }), options)) {
          events.push(event);
          storedAtEnd = stored.length;
        }
      })();
      await clock.advance(100_000);
      await over;

      const last = events.at(-1) as ChatEvent;
      assert.is(events.filter(isTerminal).length, 1, 'one terminal');
      assert.ok(isTerminal(last), 'the terminal is last');
      const hasBegun = events[0]?.type === 'start';
      const isKept = hasBegun && conversation.isKept && (store === 'kept' || store === 'slow');
      assert.is(storedAtEnd, isKept ? 1 : 0, 'what began is there when the end is told');
      if (last.type === 'done') assert.is(last.saved, isKept);
      const [kind] = stored;
      if (!kind) return;
      const told = events.map((event) => (event.type === 'text-delta' ? event.text : '')).join('');
      assert.is(kind.completion, told);
      const started = events.findIndex(({ type }) => type === 'tool-start');
      const isCalled = started !== -1 && events.slice(started).some(({ type }) => type === 'tool-end');
      assert.is(kind.reply !== undefined, isCalled, 'whole calls are kept');
      const broken = told === '' && !isCalled ? 'failed' : 'partial';
      const state = { done: 'complete', cancelled: 'cancelled', error: broken }[last.type];
      assert.is(kind.state, state);
      reached.add(kind.state).add(store);
      if (isCalled) reached.add('called');
    }),
    { numRuns: 1_000 },
  );
  for (const what of ['complete', 'cancelled', 'partial', 'failed', 'kept', 'slow', 'called']) {
    assert.ok(reached.has(what), `${what} was never reached`);
  }
});

always.run();
