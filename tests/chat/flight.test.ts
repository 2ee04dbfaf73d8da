import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createFlight } from '../../src/chat/flight.ts';
import { createManualClock, settle } from '../helpers/manual-clock.ts';

const failure = new Error('It broke.');

const flying = suite('createFlight');

flying('whoever comes when all is over hears it from the beginning', async () => {
  for (const end of ['end', 'fail']) {
    let opened = 0;
    const flight = createFlight(
      async function* () {
        opened++;
        yield* [1, 2, 3];
        if (end === 'fail') throw failure;
      },
      () => undefined,
    );
    const listen = async () => {
      const heard: number[] = [];
      try {
        for await (const item of flight.listen(new AbortController().signal)) heard.push(item);
        return [heard, 'end'];
      } catch (error) {
        assert.is(error, failure);
        return [heard, 'fail'];
      }
    };
    assert.equal(await listen(), [[1, 2, 3], end]);
    assert.equal(await listen(), [[1, 2, 3], end]);
    assert.is(opened, 1);
  }
});

flying('a source that cannot even be opened fails for whoever listens', async () => {
  let overs = 0;
  const flight = createFlight<number>(
    () => {
      throw failure;
    },
    () => overs++,
  );
  const listen = () => Array.fromAsync(flight.listen(new AbortController().signal));
  const ends = await Promise.allSettled([listen(), listen()]);
  for (const end of ends) assert.is(end.status === 'rejected' && end.reason, failure);
  assert.is(overs, 1);
});

flying('a source that fails at being let go is nobody’s concern', async () => {
  const flight = createFlight(
    () => ({
      [Symbol.asyncIterator]: () => ({
        next: async () => ({ done: false, value: 1 }),
        return: () => Promise.reject(failure),
      }),
    }),
    () => undefined,
  );
  for await (const item of flight.listen(new AbortController().signal)) if (item === 1) break;
  await settle();
});

flying('a flight that was left before it began makes no call', async () => {
  let opened = 0;
  let overs = 0;
  const flight = createFlight<number>(
    async function* () {
      yield opened++;
    },
    () => overs++,
  );
  assert.equal(await Array.fromAsync(flight.listen(AbortSignal.abort())), []);
  assert.equal([opened, overs], [0, 1]);
});

flying.run();

// ---

const script = fc.record({
  /** How long each item takes to come. */
  delaysMs: fc.array(fc.constantFrom(0, 0, 1, 5), { maxLength: 6 }),
  ends: fc.constantFrom('end', 'fail', 'hang'),
  /** Does not notice when it is let go. */
  isDeaf: fc.boolean(),
  listeners: fc.array(
    fc.record({
      joinsAtMs: fc.nat(12),
      pauseMs: fc.constantFrom(0, 0, 2, 7),
      aborts: fc.option(fc.nat(25), { nil: undefined }),
      returnsAfter: fc.option(fc.integer({ min: 1, max: 6 }), { nil: undefined }),
    }),
    { minLength: 1, maxLength: 5 },
  ),
});

type Script = typeof script extends fc.Arbitrary<infer T> ? T : never;

async function play({ delaysMs, ends, isDeaf, listeners }: Script) {
  const clock = createManualClock(0);
  const pause = (ms: number) => new Promise<void>((resolve) => clock.after(ms, resolve));
  const source = { opened: 0, asked: 0, letGo: 0, aborts: 0, overs: 0, present: 0, isOver: false };
  const people = listeners.map((plan) => ({
    ...plan,
    asked: 0,
    heard: [] as number[],
    end: 'none',
    isIn: false,
  }));
  const leave = (person: (typeof people)[number]) => {
    if (person.isIn) source.present--;
    person.isIn = false;
  };

  const flight = createFlight<number>(
    (signal) => {
      source.opened++;
      signal.addEventListener('abort', () => {
        source.aborts++;
        assert.ok(source.present === 0 || source.isOver, 'not let go while somebody waits for more');
      });
      const called = new Promise<never>((_, reject) => {
        if (!isDeaf) signal.addEventListener('abort', () => reject(new Error('called off')));
      });
      called.catch(() => undefined);
      const next = async (): Promise<IteratorResult<number>> => {
        const n = source.asked++;
        assert.ok(
          source.asked <= Math.max(...people.map(({ asked }) => asked)),
          'no faster than the fastest',
        );
        const delayMs = delaysMs[n];
        const isOver = delayMs === undefined;
        await Promise.race([isOver && ends === 'hang' ? new Promise(() => {}) : pause(delayMs ?? 0), called]);
        source.isOver = isOver;
        if (isOver && ends === 'fail') throw failure;
        return isOver ? { done: true, value: undefined } : { done: false, value: n };
      };
      const letGo = async (): Promise<IteratorResult<number>> => {
        source.letGo++;
        return { done: true, value: undefined };
      };
      return { [Symbol.asyncIterator]: () => ({ next, return: letGo }) };
    },
    () => source.overs++,
  );

  for (const person of people) {
    const abort = new AbortController();
    const listen = async () => {
      if (source.overs > 0) return;
      source.present++;
      person.isIn = true;
      const items = flight.listen(abort.signal);
      try {
        for (;;) {
          person.asked++;
          const { done, value } = await items.next();
          if (!person.isIn) return;
          if (done) break;
          person.heard.push(value);
          if (person.heard.length === person.returnsAfter) {
            leave(person);
            await items.return();
            return;
          }
          await pause(person.pauseMs);
          if (!person.isIn) return void items.return();
        }
        person.end = 'end';
      } catch (error) {
        if (person.isIn) person.end = error === failure ? 'fail' : 'else';
      }
      leave(person);
    };
    clock.after(person.joinsAtMs, listen);
    const { aborts } = person;
    if (aborts === undefined) continue;
    clock.after(person.joinsAtMs + aborts, () => {
      if (!person.isIn) return;
      // Whoever has the end in hand leaves by himself.
      leave(person);
      abort.abort();
      if (source.present === 0 && source.opened > 0) assert.is(source.aborts, 1, 'let go at once');
    });
  }
  await clock.advance(1_000);
  return { source, people };
}

const always = suite('whoever comes and goes');

always('all who stay hear all of it, from one source, which is let go when the last has left', async () => {
  const reached = new Set<string>();
  await fc.assert(
    fc.asyncProperty(script, async (plot) => {
      const { source, people } = await play(plot);
      const all = plot.delaysMs.map((_, n) => n);
      for (const { heard, end, isIn } of people) {
        assert.equal(heard, all.slice(0, heard.length), 'in order');
        if (isIn) assert.equal([plot.ends, heard], ['hang', all], 'waits for what never comes');
        if (end !== 'none') assert.equal([end, heard], [plot.ends, all], 'the end comes after all');
        reached.add(isIn ? 'waits' : end);
      }
      assert.is(source.opened, 1);
      assert.is(source.present, people.filter(({ isIn }) => isIn).length);
      const isLeft = source.present === 0;
      assert.is(source.aborts, isLeft ? 1 : 0, 'aborted when all have left');
      assert.is(source.letGo > 0, isLeft, 'returned when all have left');
      assert.is(source.overs, isLeft || (plot.ends !== 'hang' && source.asked > all.length) ? 1 : 0);
      reached.add(isLeft && source.asked <= all.length ? 'abandoned' : 'heard out');
      if (people.filter(({ heard }) => heard.length > 0).length > 2) reached.add('shared');
    }),
    { numRuns: 600 },
  );
  for (const what of ['waits', 'end', 'fail', 'none', 'abandoned', 'heard out', 'shared']) {
    assert.ok(reached.has(what), `${what} was never reached`);
  }
});

always.run();
