import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createLiveSettings, type Reading, type SettingsNotice } from '../../src/aws/parameters.ts';
import type { Settings } from '../../src/chat/settings.ts';
import { createManualClock, settle } from '../helpers/manual-clock.ts';
import { failureOf } from '../helpers/rejects.ts';

const SECOND = 1_000;

/** Settings that age for 60 s without jitter, and a store that answers what `store` holds. */
function setUp(random = () => 0.5) {
  const clock = createManualClock(10_000_000);
  const store = {
    texts: {} as Record<string, string>,
    changedAt: 0,
    error: undefined as Error | undefined,
    /** How long a reading takes. */
    delayMs: 0,
    reads: 0,
  };
  const notices: SettingsNotice[] = [];
  const taken: Settings[] = [];
  const read = async (): Promise<Reading> => {
    store.reads++;
    if (store.delayMs > 0) await new Promise<void>((resolve) => clock.after(store.delayMs, resolve));
    if (store.error) throw store.error;
    return { texts: new Map(Object.entries(store.texts)), changedAt: store.changedAt };
  };
  const { load, ageSeconds } = createLiveSettings({
    read,
    deployed: {},
    maxAgeMs: 60 * SECOND,
    clock,
    random,
    notify: (notice) => notices.push(notice),
    onTaken: (settings) => taken.push(settings),
  });
  const set = (texts: Record<string, string>) => {
    store.texts = { ...store.texts, ...texts };
    store.changedAt = clock.now();
  };
  /** As `set`, but long ago. */
  const hold = (texts: Record<string, string>) => {
    store.texts = texts;
    store.changedAt = clock.now() - 3_600 * SECOND;
  };
  const tokens = async () => (await load()).defaultMaxTokens;
  /** Lets the promise wait while time passes. */
  const during = async <T>(ms: number, promise: Promise<T>): Promise<T> => {
    promise.catch(() => undefined);
    await clock.advance(ms);
    return await promise;
  };
  return { clock, store, notices, taken, load, ageSeconds, set, hold, tokens, during };
}

const types = (notices: readonly SettingsNotice[]) => notices.map(({ type }) => type);

const first = suite('the first settings');

first('are read once, however many wait for them', async () => {
  const { load, store, hold, notices, taken } = setUp();
  hold({ 'default-max-tokens': '16', mystery: 'x' });
  const all = await Promise.all(Array.from({ length: 500 }, load));
  assert.is(store.reads, 1);
  assert.ok(all.every((settings) => settings.defaultMaxTokens === 16));
  assert.equal(notices, [
    { type: 'settings-taken', changed: ['default-max-tokens', 'mystery'], unknown: ['mystery'] },
  ]);
  assert.is(taken.length, 1);
});

first('are tried for 5 s, then config_unavailable, then tried anew', async () => {
  const { load, store, notices, during, clock } = setUp();
  store.error = new Error('down');
  const error = await failureOf(() => during(6 * SECOND, load()));
  assert.is(error.code, 'config_unavailable');
  assert.is(error.retryAfterSeconds, 5);
  assert.ok(store.reads > 3 && store.reads < 10, `${store.reads} reads`);
  assert.equal(types(notices), ['settings-unreadable']);
  const before = store.reads;
  store.error = undefined;
  await clock.advance(SECOND);
  assert.is((await load()).defaultMaxTokens, 4096);
  assert.is(store.reads, before + 1);
});

first('say the same for a moment before they are tried anew', async () => {
  const { load, store, during } = setUp();
  store.error = new Error('down');
  await failureOf(() => during(3_200, load()));
  const before = store.reads;
  assert.is((await failureOf(load)).code, 'config_unavailable');
  assert.is(store.reads, before);
});

first('come when the store recovers while they are being tried', async () => {
  const { load, store, during, clock } = setUp();
  store.error = new Error('down');
  const waiting = load();
  await clock.advance(500);
  store.error = undefined;
  assert.is((await during(2 * SECOND, waiting)).defaultMaxTokens, 4096);
});

first('are given up in time when the store never answers', async () => {
  const { load, store, during } = setUp();
  store.delayMs = 1e9;
  assert.is((await failureOf(() => during(8 * SECOND, load()))).code, 'config_unavailable');
});

first('are waited for while they are being changed', async () => {
  const { load, set, during, clock, notices } = setUp();
  set({ 'default-max-tokens': '16' });
  const waiting = load();
  await clock.advance(SECOND);
  set({ 'max-tokens-limit': '17' });
  const { defaultMaxTokens, maxTokensLimit } = await during(3 * SECOND, waiting);
  assert.equal([defaultMaxTokens, maxTokensLimit], [16, 17]);
  assert.equal(types(notices), ['settings-taken']);
});

first('that are not valid are config_invalid, and named', async () => {
  const { load, hold, notices, store, clock } = setUp();
  hold({ 'default-max-tokens': '0', 'log-level': 'secret value' });
  const error = await failureOf(load);
  assert.is(error.code, 'config_invalid');
  assert.is(store.reads, 1);
  const [notice] = notices;
  assert.equal(notice?.type === 'settings-refused' && notice.names, ['default-max-tokens', 'log-level']);
  assert.not.match(JSON.stringify(notices), 'secret value');
  hold({ 'default-max-tokens': '7', 'log-level': 'WARN' });
  await clock.advance(SECOND);
  assert.is((await load()).defaultMaxTokens, 7);
});

first.run();

// ---

const ageing = suite('settings that age');

ageing('serve without a reading until half their age, then are refreshed beside the request', async () => {
  const { clock, store, set, tokens } = setUp();
  await tokens();
  set({ 'default-max-tokens': '16' });
  await clock.advance(29 * SECOND);
  assert.is(await tokens(), 4096);
  assert.is(store.reads, 1);
  await clock.advance(SECOND);
  assert.is(await tokens(), 4096, 'nobody waits for the refresh');
  assert.is(store.reads, 2);
  await settle();
  assert.is(await tokens(), 16);
  assert.is(store.reads, 2);
});

ageing('are refreshed first when they are too old', async () => {
  const { clock, set, tokens, notices } = setUp();
  await tokens();
  set({ 'default-max-tokens': '16' });
  await clock.advance(60 * SECOND);
  assert.is(await tokens(), 16);
  assert.equal(notices.at(-1), { type: 'settings-taken', changed: ['default-max-tokens'], unknown: [] });
});

ageing('wait at most 1 s for that, and a later request only for the rest of it', async () => {
  const { clock, store, set, tokens, during } = setUp();
  await tokens();
  set({ 'default-max-tokens': '16' });
  store.delayMs = 1_500;
  await clock.advance(60 * SECOND);
  const asked = clock.now();
  let answeredAt: number[] = [];
  const ask = async () => {
    assert.is(await tokens(), 4096);
    answeredAt = [...answeredAt, clock.now() - asked];
  };
  const one = ask();
  await clock.advance(900);
  const two = ask();
  await during(200, Promise.all([one, two]));
  assert.equal(answeredAt, [1_000, 1_000]);
  await during(0, ask());
  assert.equal(answeredAt.at(-1), 1_100, 'who comes after that does not wait at all');
  await clock.advance(500);
  assert.is(await tokens(), 16);
});

ageing('get up to a fifth more or less', async () => {
  for (const [random, lifetimeSeconds] of [
    [0, 48],
    [1, 72],
  ] as const) {
    const { clock, store, tokens } = setUp(() => random);
    await tokens();
    await clock.advance((lifetimeSeconds / 2) * SECOND - 1);
    await tokens();
    assert.is(store.reads, 1);
    await clock.advance(2);
    await tokens();
    assert.is(store.reads, 2);
  }
});

ageing('are read once for all who ask', async () => {
  const { clock, store, load } = setUp();
  await load();
  await clock.advance(60 * SECOND);
  await Promise.all(Array.from({ length: 500 }, load));
  assert.is(store.reads, 2);
});

ageing('that stay as they were are no news', async () => {
  const { clock, load, notices, taken } = setUp();
  const before = await load();
  await clock.advance(60 * SECOND);
  assert.is(await load(), before);
  assert.is(notices.length, 1);
  assert.is(taken.length, 1);
});

ageing('follow a setting that was deleted back to its default', async () => {
  const { clock, store, hold, tokens } = setUp();
  hold({ 'default-max-tokens': '16' });
  assert.is(await tokens(), 16);
  store.texts = {};
  store.changedAt = 0;
  await clock.advance(60 * SECOND);
  assert.is(await tokens(), 4096);
});

ageing.run();

// ---

const failing = suite('settings that cannot be had');

failing('the last good ones serve for an hour', async () => {
  const { clock, store, tokens, notices, hold } = setUp();
  hold({ 'default-max-tokens': '16' });
  await tokens();
  store.error = new Error('down');
  for (let minute = 0; minute < 59; minute++) {
    await clock.advance(60 * SECOND);
    assert.is(await tokens(), 16, `minute ${minute}`);
  }
  const [, unreadable] = notices;
  assert.ok(unreadable?.type === 'settings-unreadable' && unreadable.ageSeconds === 60);
  await clock.advance(61 * SECOND);
  assert.is((await failureOf(tokens)).code, 'config_unavailable');
  store.error = undefined;
  await clock.advance(60 * SECOND);
  assert.is(await tokens(), 16);
});

failing('are not asked for again before half the age has passed', async () => {
  const { clock, store, tokens } = setUp();
  await tokens();
  store.error = new Error('down');
  await clock.advance(60 * SECOND);
  for (let n = 0; n < 10; n++) await tokens();
  assert.is(store.reads, 2);
  await clock.advance(30 * SECOND);
  await tokens();
  assert.is(store.reads, 3);
});

failing('one bad value among five changes nothing, is named, and stays refused however long', async () => {
  const { clock, set, load, notices } = setUp();
  const before = await load();
  set({
    'default-max-tokens': '16',
    'max-tokens-limit': '100',
    'system-prompt': 'canary',
    'default-temperature': 'hot',
    'log-level': 'DEBUG',
  });
  for (let minute = 0; minute < 120; minute++) {
    await clock.advance(60 * SECOND);
    assert.is(await load(), before);
  }
  const refused = notices.at(-1);
  assert.equal(refused?.type === 'settings-refused' && refused.names, ['default-temperature']);
  assert.not.match(JSON.stringify(notices), 'canary');
  set({ 'default-temperature': '0.5' });
  await clock.advance(60 * SECOND);
  assert.is((await load()).defaultTemperature, 0.5);
  assert.is((await load()).logLevel, 'DEBUG');
});

failing('a frozen process reads again when it wakes up', async () => {
  const clock = createManualClock();
  let frozenMs = 0;
  let reads = 0;
  const { load } = createLiveSettings({
    read: () => {
      reads++;
      if (reads === 2) return new Promise(() => undefined);
      return Promise.resolve({ texts: new Map([['default-max-tokens', String(reads)]]), changedAt: 0 });
    },
    deployed: {},
    maxAgeMs: 60 * SECOND,
    clock: { now: () => clock.now() + frozenMs, after: clock.after },
    random: () => 0.5,
    notify: (notice) => assert.is(notice.type, 'settings-taken'),
    onTaken: () => undefined,
  });
  await load();
  await clock.advance(30 * SECOND);
  await load();
  frozenMs = 600 * SECOND;
  await clock.advance(2 * SECOND);
  assert.is((await load()).defaultMaxTokens, 3);
  assert.is(reads, 3);
});

failing.run();

// ---

const changing = suite('settings under change');

changing('are left alone until nothing has changed for 2 s', async () => {
  const { clock, set, tokens, load } = setUp();
  await tokens();
  await clock.advance(59 * SECOND);
  set({ 'default-max-tokens': '16' });
  await clock.advance(SECOND);
  const asked = tokens();
  await clock.advance(500);
  set({ 'max-tokens-limit': '17' });
  await clock.advance(500);
  assert.is(await asked, 4096);
  await clock.advance(SECOND);
  assert.is(await tokens(), 4096, 'half of the change');
  await clock.advance(2 * SECOND);
  assert.is((await load()).defaultMaxTokens, 16);
  assert.is((await load()).maxTokensLimit, 17);
});

changing('are taken although their clock is ahead of ours', async () => {
  const { clock, store, set, tokens, during } = setUp();
  await tokens();
  set({ 'default-max-tokens': '16' });
  store.changedAt = clock.now() + 3_600 * SECOND;
  await clock.advance(60 * SECOND);
  assert.is(await during(SECOND, tokens()), 4096);
  await clock.advance(SECOND);
  assert.is(await tokens(), 16);
});

changing('that never rest are left for later', async () => {
  const { clock, store, set, tokens, notices } = setUp();
  await tokens();
  await clock.advance(60 * SECOND);
  for (let n = 0; n < 30; n++) {
    set({ 'default-max-tokens': String(100 + n) });
    const asked = tokens();
    await clock.advance(SECOND);
    assert.is(await asked, 4096);
  }
  assert.ok(types(notices).includes('settings-unreadable'));
  assert.ok(store.reads < 15, `${store.reads} reads`);
  await clock.advance(60 * SECOND);
  assert.is(await tokens(), 129);
});

changing(
  'no request ever sees half of a change, whatever the order of reads, writes and requests',
  async () => {
    const step = fc.record({
      waitMs: fc.constantFrom(0, 1, 300, 1_000, 2_500, 20_000, 70_000),
      what: fc.constantFrom('ask', 'ask', 'flip', 'half', 'break', 'mend', 'slow', 'fast'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const { clock, store, set, load } = setUp();
        let version = 1;
        const both = () => ({ 'default-max-tokens': String(version), 'max-tokens-limit': String(version) });
        set(both());
        const seen: Settings[] = [];
        const asking: Promise<unknown>[] = [];
        for (const { waitMs, what } of steps) {
          if (what === 'flip' || what === 'half') {
            version++;
            set({ 'default-max-tokens': String(version) });
            if (what === 'half') await clock.advance(400);
            set(both());
          }
          if (what === 'break') store.error = new Error('down');
          if (what === 'mend') store.error = undefined;
          if (what === 'slow') store.delayMs = 1_200;
          if (what === 'fast') store.delayMs = 0;
          if (what === 'ask')
            asking.push(
              load().then(
                (settings) => seen.push(settings),
                () => undefined,
              ),
            );
          await clock.advance(waitMs);
        }
        await clock.advance(20 * SECOND);
        await Promise.all(asking);
        assert.ok(seen.every(({ defaultMaxTokens, maxTokensLimit }) => defaultMaxTokens === maxTokensLimit));
      }),
    );
  },
);

changing.run();

// ---

const aging = suite('ageSeconds');

aging('is the time since they were last known to be what is stored', async () => {
  const { clock, load, ageSeconds, store } = setUp();
  assert.is(ageSeconds(), undefined);
  await load();
  assert.is(ageSeconds(), 0);
  await clock.advance(29 * SECOND);
  assert.is(ageSeconds(), 29, 'unread, they age');
  await clock.advance(SECOND);
  await load();
  await settle();
  assert.is(ageSeconds(), 0, 'read again and found the same, they are new');
  store.error = new Error('down');
  await clock.advance(90 * SECOND);
  await load();
  await settle();
  assert.is(ageSeconds(), 90, 'unreadable, they age on');
});

aging('there is none while there are no settings', async () => {
  const { clock, load, ageSeconds, store, during } = setUp();
  store.error = new Error('down');
  await failureOf(during(10 * SECOND, load()));
  assert.is(ageSeconds(), undefined);
  await clock.advance(2 * SECOND);
  store.error = undefined;
  await load();
  assert.is(ageSeconds(), 0);
});

aging.run();
