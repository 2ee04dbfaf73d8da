import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { withCache } from '../../src/chat/cache.ts';
import { type ErrorCode, GatewayError } from '../../src/chat/errors.ts';
import type { ChatRequest } from '../../src/chat/request.ts';
import { begin, end, modelThat, say, text, usage } from '../helpers/app.ts';
import {
  endOf,
  type Hearing,
  memoryAnswers,
  modelOf,
  type Step,
  startProcess,
  textOf,
} from '../helpers/cache.ts';
import { createManualClock, settle } from '../helpers/manual-clock.ts';
import { chatRequest, question } from '../helpers/requests.ts';

const WHOLE = 'A cage of metal.';
const slowly: Step[] = [10, begin, 10, text('A ca'), 10, text('ge of '), 10, text('metal.'), 10, end];
const quickly: Step[] = say('A c', 'age of metal', '.');
const failure = (code: ErrorCode) => new GatewayError(code, 'Not now.');
const { caching } = chatRequest();
const free = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0 };

function build(...scripts: (readonly Step[])[]) {
  const clock = createManualClock();
  const memory = memoryAnswers(clock.now);
  const process = startProcess(modelOf(clock, ...scripts), memory.answers, clock);
  return { ...memory, ...process, clock };
}

const overall = (hearings: readonly Hearing[]) => Promise.all(hearings.map(({ over }) => over));
const usageOf = ({ events }: Hearing) => {
  const last = events.at(-1);
  return last?.type === 'done' ? last.usage : undefined;
};

const sharing = suite('the same question at the same time');

sharing('of 100 is asked once, all hear the whole answer, and one pays', async () => {
  const { hear, clock, asked, openCalls, claims } = build(slowly);
  const hearings = Array.from({ length: 100 }, () => hear());
  await clock.advance(60);
  await overall(hearings);
  const [first, ...others] = hearings as [Hearing, ...Hearing[]];
  for (const one of hearings) {
    assert.equal([textOf(one), endOf(one), one.statuses], [WHOLE, 'done', ['miss']]);
    assert.equal(one.events.slice(0, -1), first.events.slice(0, -1));
  }
  assert.equal(usageOf(first), usage);
  for (const one of others) assert.equal(usageOf(one), free);
  assert.equal([asked.length, openCalls(), claims().length, clock.armed], [1, 0, 0, 0]);
});

sharing('is heard by each as it comes', async () => {
  const { hear, clock } = build(slowly);
  const hearings = [hear(), hear()];
  await clock.advance(30);
  for (const one of hearings) assert.is(textOf(one), 'A cage of ');
});

sharing('goes on when whoever asked first leaves, at any point', async () => {
  for (let leavesAtMs = 0; leavesAtMs <= 45; leavesAtMs += 5) {
    const { hear, clock, asked, rows, openCalls } = build(slowly);
    const first = hear();
    const others = [hear(), hear()];
    await clock.advance(leavesAtMs);
    first.leave();
    await first.over;
    await clock.advance(60);
    await overall(others);
    for (const one of others) assert.equal([textOf(one), endOf(one)], [WHOLE, 'done']);
    assert.is(endOf(first), 'cancelled');
    assert.equal([asked.length, rows.size, openCalls()], [1, 1, 0]);
  }
});

sharing('is let go, and its claim with it, at once when all have left, and can be asked anew', async () => {
  for (const leavesAtMs of [0, 5, 15, 45]) {
    const { hear, clock, asked, openCalls, claims } = build(slowly);
    const hearings = [hear(), hear()];
    await clock.advance(leavesAtMs);
    assert.equal([openCalls(), claims().length], [1, 1]);
    for (const one of hearings) one.leave();
    await settle();
    assert.equal([openCalls(), claims().length], [0, 0]);
    const again = hear();
    await clock.advance(60);
    await again.over;
    assert.equal([textOf(again), asked.length], [WHOLE, 2]);
  }
});

sharing('is heard from its beginning by whoever comes late', async () => {
  const { hear, clock, asked } = build(slowly);
  const first = hear();
  await clock.advance(35);
  const late = hear();
  await settle();
  assert.is(textOf(late), 'A cage of ');
  await clock.advance(60);
  await overall([first, late]);
  assert.equal([textOf(late), endOf(late), usageOf(late), asked.length], [WHOLE, 'done', free, 1]);
});

const separate: [what: string, changes: Partial<ChatRequest>][] = [
  ['of two tenants', { caller: { ...question.caller, tenant: 'bob' } }],
  ['that may be stored and that may not', { store: false }],
  ['that an operator may answer and may not', { caching: { ...caching, curated: false } }],
  ['to be refreshed', { caching: { ...caching, mode: 'refresh' } }],
  ['with the cache off', { caching: { ...caching, mode: 'off' } }],
];
for (const [what, changes] of separate) {
  sharing(`${what} is not shared`, async () => {
    const { hear, clock, openCalls, claims, rows } = build(slowly);
    const one = hear();
    const other = hear(changes);
    await clock.advance(5);
    // The one that may be answered by a claim of the same key awaits it; everything else is asked.
    const isAwaiting = changes.caching?.curated === false;
    assert.is(openCalls(), isAwaiting ? 1 : 2);
    await clock.advance(1_000);
    await overall([one, other]);
    assert.equal([textOf(one), textOf(other)], [WHOLE, WHOLE]);
    assert.equal(usageOf(other), isAwaiting ? free : usage);
    assert.is(claims().length, 0);
    assert.ok(rows.size > 0);
  });
}

sharing('is not shared where an operator’s answer may serve just one of them', async () => {
  const { hear, clock, rows } = build(slowly);
  rows.set('what is a faraday cage', { origin: 'curated', text: 'A cage.', reasoning: '' });
  const hearings = [hear(), hear({ caching: { ...caching, curated: false } })];
  await clock.advance(60);
  await overall(hearings);
  assert.equal(hearings.map(textOf), ['A cage.', WHOLE]);
});

sharing('costs the others nothing, also when nobody knows what it cost', async () => {
  const { hear, clock } = build([
    10,
    begin,
    10,
    text(WHOLE),
    { type: 'end', stopReason: 'end_turn', usage: null },
  ]);
  const hearings = [hear(), hear()];
  await clock.advance(60);
  await overall(hearings);
  assert.equal(hearings.map(usageOf), [null, free]);
});

sharing('is over after its end', async () => {
  const { answers } = memoryAnswers(() => 0);
  const parts = { answers, clock: createManualClock(), notify: () => undefined };
  const listen = withCache(modelThat(...say('A cage')), parts);
  const signal = new AbortController().signal;
  assert.equal(await Array.fromAsync(listen(chatRequest(), signal)), say('A cage'));
});

sharing('of all tenants is shared where answers are', async () => {
  const { hear, clock, asked } = build(slowly);
  const shared: Partial<ChatRequest> = { caching: { ...caching, scope: 'shared' } };
  const hearings = [hear(shared), hear({ ...shared, caller: { ...question.caller, tenant: 'bob' } })];
  await clock.advance(60);
  await overall(hearings);
  assert.equal([...hearings.map(textOf), asked.length], [WHOLE, WHOLE, 1]);
});

sharing.run();

// ---

const failing = suite('an answer that fails whoever listens to it');

const breaks: [what: string, script: Step[], code: ErrorCode][] = [
  ['before its first event', [10, failure('upstream_throttled')], 'upstream_throttled'],
  ['before its first word', [10, begin, 10, failure('upstream_error')], 'upstream_error'],
  ['in mid-answer', [10, begin, text('A ca'), 10, failure('upstream_stalled')], 'upstream_stalled'],
  ['by merely stopping', [10, begin, text('A ca'), 10], 'upstream_truncated'],
];
for (const [what, script, code] of breaks) {
  failing(`${what} is asked for once more, by all who did not ask`, async () => {
    const { hear, clock, asked, openCalls, claims } = build(script, quickly);
    const first = hear();
    const others = Array.from({ length: 20 }, () => hear());
    await clock.advance(100);
    await overall([first, ...others]);
    assert.is(endOf(first), code);
    for (const one of others) assert.equal([textOf(one), endOf(one)], [WHOLE, 'done']);
    assert.equal(others.map(usageOf).filter((each) => each?.inputTokens === usage.inputTokens).length, 1);
    assert.equal([asked.length, openCalls(), claims().length], [2, 0, 0]);
  });
}

failing('for a reason that will not pass fails all of them, and is not asked for again', async () => {
  for (const error of [failure('upstream_rejected'), new Error('crash')]) {
    const { hear, clock, asked } = build([10, begin, text('A'), 10, error], quickly);
    const hearings = [hear(), hear(), hear()];
    await clock.advance(100);
    await overall(hearings);
    const code = error instanceof GatewayError ? error.code : 'internal_error';
    assert.equal(hearings.map(endOf), [code, code, code]);
    assert.is(asked.length, 1);
  }
});

failing('a second time is given up', async () => {
  const { hear, clock, asked } = build(
    [10, begin, 10, failure('upstream_throttled')],
    [10, begin, 10, failure('upstream_error')],
    quickly,
  );
  const hearings = [hear(), hear(), hear()];
  await clock.advance(100);
  await overall(hearings);
  assert.equal(hearings.map(endOf), ['upstream_throttled', 'upstream_error', 'upstream_error']);
  assert.is(asked.length, 2);
});

failing('and is another the second time is cut rather than mixed', async () => {
  const { hear, clock } = build(
    [10, begin, text('A ca'), 10, failure('upstream_error')],
    say('Not ', 'A cage.'),
  );
  const hearings = [hear(), hear(), hear()];
  await clock.advance(100);
  await overall(hearings);
  const [, ...others] = hearings;
  for (const one of others) assert.equal([textOf(one), endOf(one)], ['A ca', 'upstream_truncated']);
});

failing('is asked for again from the beginning by whoever had heard nothing of it', async () => {
  const { hear, clock } = build([10, failure('upstream_error')], say('The cage.'));
  const [, other] = [hear(), hear()] as const;
  await clock.advance(100);
  await other.over;
  assert.equal([textOf(other), endOf(other), other.statuses], ['The cage.', 'done', ['miss', 'miss']]);
});

failing('after he left is nobody’s concern', async () => {
  const { hear, clock, asked } = build([10, begin, 10, failure('upstream_error')], quickly);
  const [first, other] = [hear(), hear()] as const;
  await clock.advance(15);
  other.leave();
  await clock.advance(100);
  await overall([first, other]);
  assert.equal([endOf(first), endOf(other), asked.length], ['upstream_error', 'cancelled', 1]);
});

failing.run();
