import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { KeptAnswer } from '../../src/chat/answers.ts';
import type { ModelEvent } from '../../src/chat/events.ts';
import { createRecorder, nothing, replay } from '../../src/chat/replay.ts';
import { say } from '../helpers/app.ts';

const curated: KeptAnswer = { origin: 'curated', text: 'Metal.', reasoning: '' };
const learned: KeptAnswer = { origin: 'learned', model: 'some-model', text: 'Metal.', reasoning: 'Well.' };
const tell = (answer: KeptAnswer) => Array.fromAsync(replay(answer, 'asked-model'));
const textOf = (events: readonly ModelEvent[], type: ModelEvent['type']) =>
  events.map((event) => (event.type === type && 'text' in event ? event.text : '')).join('');
const piecesOf = async (text: string) =>
  (await tell({ ...curated, text })).flatMap((event) => ('text' in event ? [event.text] : []));
const free = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0 };

const retelling = suite('replay');

retelling('is told as a model tells it, names whose answer it is, and costs nothing', async () => {
  assert.equal(await tell(curated), [
    { type: 'begin', model: 'asked-model', cached: 'curated' },
    { type: 'text-delta', block: 0, text: 'Metal.' },
    { type: 'end', stopReason: 'end_turn', usage: free },
  ]);
  assert.equal(nothing, free);
});

retelling('of a learned answer names the model that gave it, and tells its reasoning first', async () => {
  assert.equal(await tell(learned), [
    { type: 'begin', model: 'some-model', cached: 'learned' },
    { type: 'reasoning-delta', block: 0, text: 'Well.' },
    { type: 'text-delta', block: 1, text: 'Metal.' },
    { type: 'end', stopReason: 'end_turn', usage: free },
  ]);
});

retelling('of several words comes in several deltas, cut between words', async () => {
  const text = 'A Faraday cage is an enclosure\nof  metal that keeps fields out.';
  assert.equal(await piecesOf(text), [
    'A Faraday cage is an ',
    'enclosure\nof  metal that ',
    'keeps fields ',
    'out.',
  ]);
});

retelling('keeps blanks with the word before, and cuts what has none after 24 characters', async () => {
  const [a, b] = ['a'.repeat(24), 'b'.repeat(24)];
  assert.equal(await piecesOf(`${a} \n ${b}b\u2028${a}`), [`${a} \n `, b, 'b\u2028', a]);
  assert.equal(await piecesOf('a😀'.repeat(20)), ['a😀'.repeat(12), 'a😀'.repeat(8)]);
  assert.equal(await piecesOf(`a${'😀'.repeat(30)}`), [`a${'😀'.repeat(23)}`, '😀'.repeat(7)]);
});

retelling(
  'says every character once, in pieces of 24 at most where there is a blank, and cuts none',
  async () => {
    const texts = fc.string({ unit: fc.constantFrom(...'aé😀🏳️ \n\u2028\u00a0'), maxLength: 120 });
    const anyText = fc.oneof(texts, fc.string({ unit: 'binary', maxLength: 120 }));
    await fc.assert(
      fc.asyncProperty(anyText, anyText, async (text, reasoning) => {
        const events = await tell({ ...curated, text, reasoning });
        assert.is(textOf(events, 'text-delta'), text);
        assert.is(textOf(events, 'reasoning-delta'), reasoning);
        for (const event of events) {
          if (!('text' in event)) continue;
          assert.ok(event.text !== '' && event.text.isWellFormed());
          assert.ok([...event.text.replace(/\s+$/u, '')].length <= 24);
        }
      }),
      { numRuns: 200 },
    );
  },
);

retelling('of a long text without a blank, or of blanks alone, takes no longer than it should', async () => {
  for (const text of ['x'.repeat(350_000), ' '.repeat(350_000)]) {
    assert.is(textOf(await tell({ ...curated, text }), 'text-delta'), text);
  }
});

retelling.run();

// ---

const recording = suite('createRecorder');

const record = (...events: readonly ModelEvent[]) => {
  const recorder = createRecorder();
  for (const event of events) recorder.note(event);
  return recorder.answer();
};
const [begin, , whole] = say('A cage') as [ModelEvent, ModelEvent, ModelEvent];
const text = (piece: string): ModelEvent => ({ type: 'text-delta', block: 1, text: piece });
const thought = (piece: string): ModelEvent => ({ type: 'reasoning-delta', block: 0, text: piece });

recording('has the whole answer, its reasoning, and the model that gave it', () => {
  const signature: ModelEvent = { type: 'reasoning-signature', block: 0, signature: 'sig' };
  assert.equal(record(begin, thought('We'), thought('ll'), signature, text('A '), text('cage'), whole), {
    origin: 'learned',
    model: 'some-model',
    text: 'A cage',
    reasoning: 'Well',
  });
  assert.is(record(...say('A', ' cage'))?.reasoning, '');
});

const broken: [what: string, events: ModelEvent[]][] = [
  ...['max_tokens', 'stop_sequence', 'tool_use', 'guardrail_intervened', 'content_filtered', 'whatever'].map(
    (stopReason): [string, ModelEvent[]] => [
      `ended by ${stopReason}`,
      [begin, text('A'), { type: 'end', stopReason, usage: null }],
    ],
  ),
  ['without an end', [begin, text('A')]],
  ['without text', [begin, whole]],
  ['of reasoning alone', [begin, thought('A'), whole]],
  ['that starts a tool', [begin, text('A'), { type: 'tool-start', block: 1, id: 't', name: 'n' }, whole]],
  ['that feeds a tool', [begin, text('A'), { type: 'tool-delta', block: 1, json: '{}' }, whole]],
  ['that ends a tool', [begin, text('A'), { type: 'tool-end', block: 1 }, whole]],
];
for (const [what, events] of broken) {
  recording(`refuses an answer ${what}`, () => assert.is(record(...events), undefined));
}

recording.run();
