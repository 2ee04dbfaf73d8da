import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createContinuation } from '../../src/chat/continuation.ts';
import type { ModelEvent } from '../../src/chat/events.ts';

type Worded = Extract<ModelEvent, { readonly text: string }>;

const begin: ModelEvent = { type: 'begin', model: 'some-model' };
const end: ModelEvent = { type: 'end', stopReason: 'end_turn', usage: null };
const text = (piece: string, block = 0): ModelEvent => ({ type: 'text-delta', block, text: piece });

/** Tells the first, breaks off, and tells the second: what was heard of each. */
function retell(first: readonly ModelEvent[], second: readonly ModelEvent[]) {
  const continuation = createContinuation();
  const before = first.map((event) => continuation.next(event));
  continuation.restart();
  const after: (ModelEvent | 'told' | 'differs')[] = [];
  for (const event of second) {
    const next = continuation.next(event);
    after.push(next);
    if (next === 'differs') break;
  }
  return { before, after };
}

const going = suite('createContinuation');

going('tells everything the first time', () => {
  const events = [begin, text('A '), text('cage'), text(' is', 1), end];
  assert.equal(retell(events, []).before, events);
});

going('tells nothing twice, and the rest of a piece that was cut', () => {
  const { after } = retell([begin, text('A ca')], [begin, text('A cage'), text('.'), end]);
  assert.equal(after, ['told', text('ge'), text('.'), end]);
});

going('goes on after a break between pieces, and after a second one', () => {
  const continuation = createContinuation();
  for (const event of [begin, text('A ')]) continuation.next(event);
  continuation.restart();
  assert.equal([begin, text('A '), text('ca')].map(continuation.next), ['told', 'told', text('ca')]);
  continuation.restart();
  assert.equal([begin, text('A c'), text('age')].map(continuation.next), ['told', 'told', text('ge')]);
});

going('takes what was learned of a model for that model’s own telling', () => {
  const { after } = retell([begin, text('A ')], [{ ...begin, cached: 'learned' }, text('A cage')]);
  assert.equal(after, ['told', text('cage')]);
});

const differing: [what: string, first: ModelEvent[], second: ModelEvent[]][] = [
  ['another word', [begin, text('A ')], [begin, text('The ')]],
  ['another word behind the same', [begin, text('A cage')], [begin, text('A c'), text('oat')]],
  [
    'the same words as reasoning',
    [begin, text('A ')],
    [begin, { type: 'reasoning-delta', block: 0, text: 'A ' }],
  ],
  ['the same words in another block', [begin, text('A ')], [begin, text('A ', 1)]],
  ['a block that ends earlier', [begin, text('A cage')], [begin, text('A '), text('cage', 1)]],
  ['a block that goes on', [begin, text('A '), text('cage', 1)], [begin, text('A cage')]],
  ['an earlier end', [begin, text('A cage')], [begin, text('A '), end]],
  ['another model', [begin], [{ ...begin, model: 'other-model' }]],
  ['another tool', [{ type: 'tool-end', block: 1 }], [{ type: 'tool-end', block: 2 }]],
  ['words for a mark', [begin, text('A\0text-delta 1')], [begin, text('A'), text('x', 1)]],
];
for (const [what, first, second] of differing) {
  going(`hears that it is another telling by ${what}`, () => {
    const { after } = retell(first, second);
    assert.is(after.at(-1), 'differs');
    assert.ok(after.slice(0, -1).every((next) => next === 'told'));
  });
}

going.run();

// ---

/** Runs of words of one kind and block each, neighbours in different blocks. */
const runsOf = (unit: 'binary' | fc.Arbitrary<string>) =>
  fc
    .array(fc.tuple(fc.string({ unit, minLength: 1, maxLength: 8 }), fc.boolean()), { maxLength: 4 })
    .map((runs) =>
      runs.map(
        ([words, isThought], block): Worded => ({
          type: isThought ? 'reasoning-delta' : 'text-delta',
          block,
          text: words,
        }),
      ),
    );

/** Cuts each run after each character for which the dice say so. */
const cutBy = (runs: readonly Worded[], dice: readonly boolean[]): ModelEvent[] => {
  let at = 0;
  const pieces = runs.flatMap((run) => {
    const parts = [''];
    for (const char of run.text) {
      if (dice[at++ % dice.length] && parts.at(-1) !== '') parts.push('');
      parts[parts.length - 1] += char;
    }
    return parts.map((part): ModelEvent => ({ ...run, text: part }));
  });
  return [begin, ...pieces, end];
};

/** What was told, with pieces of one run joined. */
const join = (events: readonly ModelEvent[]) => {
  const runs: ModelEvent[] = [];
  for (const event of events) {
    const last = runs.at(-1);
    if (last && 'text' in event && 'text' in last && last.type === event.type && last.block === event.block) {
      runs[runs.length - 1] = { ...last, text: last.text + event.text };
    } else runs.push(event);
  }
  return runs;
};

const heard = (...tellings: (ModelEvent | 'told' | 'differs')[][]) =>
  tellings.flat().filter((next) => next !== 'told' && next !== 'differs');
const dice = fc.array(fc.boolean(), { minLength: 1, maxLength: 20 });
const isWellFormed = (event: ModelEvent) => !('text' in event) || event.text.isWellFormed();

/** Whether the one telling begins with the other, the last run of which may go on. */
const begins = (whole: readonly ModelEvent[], part: readonly ModelEvent[]) =>
  part.every((event, n) => {
    const same = whole[n];
    const isLast = n === part.length - 1;
    if (!same || !('text' in event) || !('text' in same))
      return JSON.stringify(same) === JSON.stringify(event);
    const isAlike = same.type === event.type && same.block === event.block;
    return isAlike && (isLast ? same.text.startsWith(event.text) : same.text === event.text);
  });

const always = suite('an answer told again');

always('is heard whole and once, wherever it broke off and however it is cut', () => {
  fc.assert(
    fc.property(runsOf('binary'), dice, dice, fc.nat(30), fc.nat(30), (runs, one, other, ...breaks) => {
      const tellings = [cutBy(runs, one), cutBy(runs, other), cutBy(runs, one)];
      const continuation = createContinuation();
      const told = tellings.flatMap((events, n) => {
        continuation.restart();
        const isLast = n === tellings.length - 1;
        const until = isLast ? events.length : Math.min(breaks[n] ?? 0, events.length - 1);
        return heard(events.slice(0, until).map(continuation.next));
      });
      assert.equal(join(told), [begin, ...runs, end]);
      assert.ok(told.every(isWellFormed));
    }),
    { numRuns: 1_000 },
  );
});

/** Answers that often begin alike. */
const alike = runsOf(fc.constantFrom('a', '😀', '😁', '\0'));

always('is refused as soon as it is another, and nothing wrong is heard', () => {
  const reached = { refused: 0, refusedLate: 0, heard: 0 };
  fc.assert(
    fc.property(alike, fc.option(alike), dice, dice, fc.nat(20), (runs, others, one, other, at) => {
      const first = cutBy(runs, one).slice(0, -1).slice(0, at);
      const second = cutBy(others ?? runs, other);
      const { after } = retell(first, second);
      const all = join([...first, ...heard(after)]);
      if (after.at(-1) === 'differs') {
        assert.equal(all, join(first), 'nothing is heard of another telling');
        assert.not(begins(join(second), join(first)), 'not refused without a reason');
        reached.refused++;
        if (after.length > 2) reached.refusedLate++;
      } else {
        assert.equal(all, join(second), 'what was heard is what was told again');
        if (first.length > 1) reached.heard++;
      }
    }),
    { numRuns: 2_000 },
  );
  for (const [what, times] of Object.entries(reached)) assert.ok(times > 20, `${what}: ${times} times`);
});

always.run();
