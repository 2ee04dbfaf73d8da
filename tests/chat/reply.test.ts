import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Delta } from '../../src/chat/events.ts';
import { createReply } from '../../src/chat/reply.ts';
import type { ContentBlock } from '../../src/chat/request.ts';

const call = (block: number, id: string, ...pieces: string[]): Delta[] => [
  { type: 'tool-start', block, id, name: `tool-${id}` },
  ...pieces.map((json): Delta => ({ type: 'tool-delta', block, json })),
  { type: 'tool-end', block },
];
const use = (id: string, input: { [name: string]: number } = {}): ContentBlock => ({
  type: 'tool-use',
  id,
  name: `tool-${id}`,
  input,
});
const thought = (block: number, text: string): Delta => ({ type: 'reasoning-delta', block, text });
const signed = (block: number, signature: string): Delta => ({
  type: 'reasoning-signature',
  block,
  signature,
});
const text = (block: number, piece: string): Delta => ({ type: 'text-delta', block, text: piece });

function replyOf(...deltas: Delta[]) {
  const reply = createReply();
  for (const delta of deltas) reply.note(delta);
  return reply.blocks();
}

const telling = suite('createReply');

telling('is all that a model said, block by block, in the order in which they began', () => {
  const [start, one, two, end] = call(5, 'a', '{"n":', '1}') as [Delta, Delta, Delta, Delta];
  const [otherStart, other, otherEnd] = call(4, 'b', '{"n":2}') as [Delta, Delta, Delta];
  const deltas = [
    ...[thought(0, 'H'), thought(0, 'm.'), signed(0, 's'), signed(0, 'ig')],
    ...[text(2, 'Let me '), start, text(2, 'look.'), one, otherStart, other, two, otherEnd, end],
  ];
  assert.equal(replyOf(...deltas), [
    { type: 'reasoning', text: 'Hm.', signature: 'sig' },
    { type: 'text', text: 'Let me look.' },
    use('a', { n: 1 }),
    use('b', { n: 2 }),
  ]);
});

telling('there is none where no tool was called', () => {
  assert.is(replyOf(), undefined);
  assert.is(replyOf(thought(0, 'Hm.'), signed(0, 's'), text(1, 'No.')), undefined);
});

for (const [what, deltas] of [
  ['that did not come to its end', call(1, 'a', '{}').slice(0, -1)],
  ['of which the input was cut', call(1, 'a', '{"n":')],
  ['of which the input is a list', call(1, 'a', '[1]')],
  ['of which the input is null', call(1, 'a', 'null')],
  ['of which the input is a text', call(1, 'a', '"n"')],
  ['that never began', call(1, 'a', '{}').slice(1)],
] as const) {
  telling(`a call ${what} is none`, () => {
    assert.is(replyOf(text(0, 'So'), ...deltas), undefined);
    assert.equal(replyOf(...call(0, 'b'), ...deltas), [use('b')]);
  });
}

telling('a call without any input has an empty one', () => {
  for (const pieces of [[], [''], [' ', '\n'], ['{', '}']]) {
    assert.equal(replyOf(...call(0, 'a', ...pieces)), [use('a')]);
  }
});

telling('reasoning that is redacted is kept as it came, and such without a signature is not', () => {
  const deltas: Delta[] = [
    thought(0, 'In vain.'),
    { type: 'reasoning-signature', block: 1, redacted: 'AA==' },
    { type: 'reasoning-signature', block: 1, redacted: 'AQ==' },
    signed(2, 'only signed'),
  ];
  assert.equal(replyOf(...deltas, ...call(3, 'a')), [
    { type: 'reasoning', text: '', redacted: 'AA==' },
    { type: 'reasoning', text: '', redacted: 'AQ==' },
    { type: 'reasoning', text: '', signature: 'only signed' },
    use('a'),
  ]);
});

telling('it ends with no reasoning, as one that broke off would', () => {
  const broken = [thought(1, 'And'), signed(1, 's'), thought(2, 'now'), signed(2, 't')];
  assert.equal(replyOf(...call(0, 'a'), ...broken), [use('a')]);
  assert.equal(replyOf(...call(0, 'a'), ...broken, text(3, 'So')), [
    use('a'),
    { type: 'reasoning', text: 'And', signature: 's' },
    { type: 'reasoning', text: 'now', signature: 't' },
    { type: 'text', text: 'So' },
  ]);
});

telling('blank text is left out', () => {
  assert.equal(replyOf(text(0, ' '), text(0, '\n'), ...call(1, 'a')), [use('a')]);
});

telling('of two calls with one id the first counts', () => {
  assert.equal(replyOf(...call(0, 'a', '{"n":1}'), ...call(1, 'a', '{"n":2}')), [use('a', { n: 1 })]);
});

telling.run();
