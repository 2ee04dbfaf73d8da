import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createAnswers } from '../../src/aws/answers.ts';
import type { Answers } from '../../src/chat/answers.ts';
import type { Clock } from '../../src/chat/clock.ts';
import { GatewayError } from '../../src/chat/errors.ts';
import type { ModelEvent } from '../../src/chat/events.ts';
import { begin, end, say, text, usage } from '../helpers/app.ts';
import { endOf, memoryAnswers, modelOf, type Step, startProcess, textOf } from '../helpers/cache.ts';
import { createManualClock, settle } from '../helpers/manual-clock.ts';
import { inTables, START_MS } from '../helpers/tables.ts';

const WHOLE = 'A cage of metal.';
const cut: ModelEvent = { type: 'end', stopReason: 'max_tokens', usage };
const slowly: Step[] = [100, begin, 400, text('A ca'), 400, text('ge of '), 400, text('metal.'), 100, end];
const quickly: Step[] = say('A c', 'age of metal', '.');
const failure = new GatewayError('upstream_error', 'Not now.');

/** Two processes over one table; each has a model of its own. */
function build(
  one: readonly Step[],
  other: readonly Step[] = quickly,
  change: (answers: Answers, clock: Clock) => Partial<Answers> = () => ({}),
) {
  const clock = createManualClock();
  const memory = memoryAnswers(clock.now);
  const answers = { ...memory.answers, ...change(memory.answers, clock) };
  const processes = [one, other].map((script) => startProcess(modelOf(clock, script), answers, clock));
  return { ...memory, clock, processes: processes as [(typeof processes)[0], (typeof processes)[0]] };
}

const following = suite('the same question in two processes');

following('is asked once; the other follows, and is told what was learned', async () => {
  const { processes, clock, claims } = build(slowly);
  const [leader, follower] = processes;
  const first = leader.hear();
  await settle();
  const second = follower.hear();
  await clock.advance(1_400);
  await first.over;
  assert.equal(second.statuses, ['miss']);
  await clock.advance(250);
  await second.over;
  const [start] = second.events;
  assert.equal([textOf(first), textOf(second), endOf(second)], [WHOLE, WHOLE, 'done']);
  assert.equal([start?.type === 'start' && start.cached, second.statuses], ['learned', ['miss', 'hit']]);
  assert.equal([leader.asked.length, follower.asked.length, claims().length], [1, 0, 0]);
});

following(
  'is asked once over the real table, too',
  inTables(async ({ answers: table }) => {
    const clock = createManualClock(START_MS);
    const stored = createAnswers({ ...table, now: clock.now });
    let busy = 0;
    const during = async <T>(call: Promise<T>): Promise<T> => {
      busy++;
      return await call.finally(() => busy--);
    };
    const answers: Answers = {
      find: (keys) => during(stored.find(keys)),
      claim: (...given) => during(stored.claim(...given)),
      release: (...given) => during(stored.release(...given)),
      learn: (...given) => during(stored.learn(...given)),
    };
    const processes = Array.from({ length: 5 }, () => startProcess(modelOf(clock, slowly), answers, clock));
    const hearings = processes.map(({ hear }) => hear());
    let isOver = false;
    const over = Promise.all(hearings.map((each) => each.over)).then(() => {
      isOver = true;
    });
    while (!isOver) await (busy > 0 ? settle(1) : clock.advance(50));
    await over;
    assert.equal(hearings.map(textOf), Array(5).fill(WHOLE));
    assert.is(processes.flatMap(({ asked }) => asked).length, 1);
    const endings = hearings.map(({ statuses }) => statuses.join());
    assert.equal(endings.sort(), ['miss', ...Array(4).fill('miss,hit')]);
  }),
);

/** Counts the calls of the table. */
const counting = (calls: { find: number; claim: number }) => (answers: Answers) => ({
  find: (...given: Parameters<Answers['find']>) => {
    calls.find++;
    return answers.find(...given);
  },
  claim: (...given: Parameters<Answers['claim']>) => {
    calls.claim++;
    return answers.claim(...given);
  },
});

following('is claimed once, looked for four times a second, and no more once it is found', async () => {
  const calls = { find: 0, claim: 0 };
  const { processes, clock } = build(slowly, quickly, counting(calls));
  const [leader, follower] = processes;
  leader.hear();
  await settle();
  follower.hear();
  await clock.advance(249);
  assert.equal(calls, { find: 2, claim: 1 });
  await clock.advance(1);
  assert.equal(calls, { find: 3, claim: 1 });
  await clock.advance(60_000);
  assert.equal(calls, { find: 8, claim: 1 });
});

for (const [what, script] of [
  ['fails', [100, begin, text('A'), 500, failure]],
  ['is cut', [100, begin, text('A'), 500, cut]],
  ['is left', [100, begin, text('A'), 'hang']],
] satisfies [string, Step[]][]) {
  following(`is asked by the other when the first one’s answer ${what}`, async () => {
    const { processes, clock, claims } = build(script);
    const [leader, follower] = processes;
    const first = leader.hear();
    await settle();
    const second = follower.hear();
    await clock.advance(700);
    if (what === 'is left') first.leave();
    await clock.advance(300);
    await Promise.all([first.over, second.over]);
    assert.equal([textOf(second), endOf(second), second.statuses], [WHOLE, 'done', ['miss']]);
    assert.equal([follower.asked.length, claims().length], [1, 0]);
  });
}

const dead = 'dead process';
for (const [what, leaseMs, firstEventMs, asksAtMs] of [
  ['its claim is over', 5_000, 60_000, 5_000],
  ['half of its own patience is gone', 30_000, 8_000, 4_000],
] as const) {
  following(`is asked by the other when the first has died, as soon as ${what}`, async () => {
    const { processes, clock, rows } = build(quickly);
    const [leader, follower] = processes;
    await leader.ask();
    const [learned = ''] = rows.keys();
    rows.set(learned, { owner: dead, until: clock.now() + leaseMs });
    const hearing = follower.hear({ patience: { firstEventMs, idleMs: 30_000 } });
    await clock.advance(asksAtMs - 250);
    assert.is(follower.asked.length, 0);
    await clock.advance(250);
    await hearing.over;
    assert.equal([textOf(hearing), hearing.statuses], [WHOLE, ['miss']]);
    assert.is((await leader.ask()).cached, 'learned');
  });
}

following('is claimed for 30 seconds', async () => {
  const { processes, clock, rows } = build([begin, 'hang']);
  processes[0].hear();
  await settle();
  assert.equal(
    [...rows.values()].map((row) => 'until' in row && row.until - clock.now()),
    [30_000],
  );
});

following('is asked by the other when looking for the answer fails or takes too long', async () => {
  for (const find of [() => Promise.reject(new Error('down')), () => new Promise<never>(() => {})]) {
    let finds = 0;
    const { processes, clock } = build([begin, 'hang'], quickly, (answers) => ({
      find: (keys) => (++finds > 2 ? find() : answers.find(keys)),
    }));
    const [leader, follower] = processes;
    leader.hear();
    await settle();
    const hearing = follower.hear();
    await clock.advance(250 + 1_000);
    await hearing.over;
    assert.equal([textOf(hearing), follower.asked.length], [WHOLE, 1]);
  }
});

following('is looked for and asked no more by whoever left while he followed', async () => {
  const calls = { find: 0, claim: 0 };
  const { processes, clock } = build([begin, 'hang'], quickly, counting(calls));
  const [leader, follower] = processes;
  leader.hear();
  await settle();
  const hearing = follower.hear();
  await clock.advance(1_000);
  hearing.leave();
  await hearing.over;
  const looks = calls.find;
  await clock.advance(5_000);
  assert.equal([follower.asked.length, calls.find - looks], [0, 1]);
});

following('that was found by a claim is told at once', async () => {
  const { processes, clock } = build(quickly, quickly, () => ({ find: async () => ({}) }));
  const [leader, follower] = processes;
  await leader.ask();
  const { cached, statuses } = await follower.ask();
  assert.equal([cached, statuses, follower.asked.length, clock.armed], ['learned', ['hit'], 0, 0]);
});

following.run();
