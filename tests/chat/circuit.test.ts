import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Circuit, createCircuit, type Outcome } from '../../src/chat/circuit.ts';

const circuit = suite('a circuit');

function open(maxFailures = 3, restMs = 1_000) {
  const clock = { at: 0, now: () => clock.at };
  const made = createCircuit({ maxFailures, restMs, clock });
  const attempt = (outcome: Outcome) => tryOnce(made, outcome);
  return { clock, enter: made.enter, attempt };
}

/** Whether it let the try through. */
function tryOnce({ enter }: Circuit, outcome: Outcome): boolean {
  const leave = enter();
  leave?.(outcome);
  return leave !== undefined;
}

circuit('lets everybody through while tries work', () => {
  const { attempt } = open();
  assert.equal(
    [1, 2, 3, 4, 5].map(() => attempt('worked')),
    Array(5).fill(true),
  );
});

circuit('rests after so many failures in a row, and lets nobody through until then', () => {
  const { attempt, clock } = open();
  assert.equal(
    [1, 2, 3].map(() => attempt('failed')),
    [true, true, true],
  );
  assert.not(attempt('worked'));
  clock.at = 999;
  assert.not(attempt('worked'));
  clock.at = 1_000;
  assert.ok(attempt('worked'));
});

circuit('forgets failures when a try works', () => {
  const { attempt } = open();
  for (const outcome of ['failed', 'failed', 'worked', 'failed', 'failed'] as const) attempt(outcome);
  assert.ok(attempt('worked'));
});

circuit('does not count those who left before it was known', () => {
  const { attempt } = open();
  for (const outcome of ['failed', 'left', 'failed', 'left', 'left'] as const) attempt(outcome);
  assert.ok(attempt('failed'));
  assert.not(attempt('worked'));
});

circuit('lets one at a time try after its rest', () => {
  const { enter, attempt, clock } = open();
  for (const _ of [1, 2, 3]) attempt('failed');
  clock.at = 1_000;
  const leave = enter();
  assert.ok(leave);
  assert.is(enter(), undefined);
  leave?.('worked');
  assert.ok(enter());
  assert.ok(enter());
});

circuit('rests again when that one fails', () => {
  const { attempt, clock } = open();
  for (const _ of [1, 2, 3]) attempt('failed');
  clock.at = 1_500;
  assert.ok(attempt('failed'));
  clock.at = 2_499;
  assert.not(attempt('worked'));
  clock.at = 2_500;
  assert.ok(attempt('worked'));
});

circuit('lets the next try when that one has left', () => {
  const { attempt, clock } = open();
  for (const _ of [1, 2, 3]) attempt('failed');
  clock.at = 1_000;
  assert.ok(attempt('left'));
  assert.ok(attempt('worked'));
});

circuit('goes on resting when one works that had begun before', () => {
  const { enter, attempt } = open();
  const leave = enter();
  for (const _ of [1, 2, 3]) attempt('failed');
  leave?.('worked');
  assert.not(attempt('worked'));
});

circuit('goes on resting when one leaves that had begun before', () => {
  const { enter, attempt } = open();
  const leave = enter();
  for (const _ of [1, 2, 3]) attempt('failed');
  leave?.('left');
  assert.not(attempt('worked'));
});

circuit('lets another try when nothing was heard of that one for as long as it rests', () => {
  const { enter, attempt, clock } = open();
  for (const _ of [1, 2, 3]) attempt('failed');
  clock.at = 1_000;
  enter();
  clock.at = 1_999;
  assert.is(enter(), undefined);
  clock.at = 2_000;
  assert.ok(enter());
});

circuit('never lets more through than the failures it bears and one for each rest, whatever happens', () => {
  const step = fc.nat(700);
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { attempt, clock } = open();
      let through = 0;
      for (const ms of steps) {
        clock.at += ms;
        if (attempt('failed')) through += 1;
      }
      assert.ok(through <= 3 + Math.floor(clock.at / 1_000));
    }),
  );
});

circuit.run();
