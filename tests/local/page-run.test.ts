/** One question of the chat page on its way, without a page. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { AnswerEvent } from '../../src/local/page/answer-event.ts';
import type { Door } from '../../src/local/page/door.ts';
import { startRun } from '../../src/local/page/run.ts';

const question = { request_id: 'q1', prompt: 'Hi' };
const start = { type: 'start', chatId: 'c1', model: 'm', cached: undefined } as const;
const delta = { type: 'delta', text: 'A', reasoning: '' } as const;
const done = { type: 'done', stopReason: 'end_turn', usage: undefined, saved: true } as const;

function doorThat(...events: AnswerEvent[]) {
  const state = { isLeft: false, cancelled: [] as string[] };
  const door: Door = {
    async *ask(_, signal) {
      signal.addEventListener('abort', () => (state.isLeft = true));
      yield* events;
    },
    cancel: async (id) => {
      state.cancelled.push(id);
      return true;
    },
  };
  return { door, state };
}

const running = suite('startRun');

running('an answer is complete at its done, and broken off and cancelled without one', async () => {
  const good = doorThat(start, delta, done);
  const whole = startRun(good.door, question, () => {});
  await whole.ended;
  assert.equal([whole.answer.state, good.state.cancelled], ['complete', []]);
  const bad = doorThat(start, delta);
  const cut = startRun(bad.door, question, () => {});
  await cut.ended;
  assert.equal([cut.answer.state, bad.state.cancelled], ['failed', ['q1']]);
  assert.is(cut.answer.failure?.message, 'The answer broke off before its end.');
});

running('what cannot be shown ends the answer, here and at the gateway, and never rejects', async () => {
  const { door, state } = doorThat(start, delta, delta, done);
  const run = startRun(door, question, ({ text }) => {
    if (text === 'A') throw new RangeError('Maximum call stack size exceeded');
  });
  await run.ended;
  assert.is(run.answer.state, 'failed');
  assert.equal(state, { isLeft: true, cancelled: ['q1'] });
});

running.run();
