import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createAsk, type Model } from '../../src/chat/ask.ts';
import { GatewayError } from '../../src/chat/errors.ts';
import { underLease } from '../../src/chat/lease.ts';
import {
  createFailedWork,
  type FailedWorkParts,
  type InvocationRecord,
  LAST_SEQ,
} from '../../src/doors/failed-work.ts';
import type { PostResult } from '../../src/doors/frames.ts';
import { asksModel, type RequestRecord } from '../../src/doors/record.ts';
import { createWorker, type WorkerParts } from '../../src/doors/worker.ts';
import { say } from '../helpers/app.ts';
import { createManualClock } from '../helpers/manual-clock.ts';
import { memoryRegistry } from '../helpers/registry.ts';
import { defaultSettings } from '../helpers/requests.ts';

const key = { tenant: 'arn:aws:iam::123456789012:user/bob', requestId: 'r1' };
const job = { ...key, connectionId: 'c1=' };
const down = () => Promise.reject(new GatewayError('storage_unavailable', 'The tables are down.'));
const terminals: readonly unknown[] = ['done', 'error', 'cancelled'];

const invocation = (condition: string, requestId = 'i1'): InvocationRecord => ({
  requestContext: { requestId, condition },
  requestPayload: job,
  ...(condition === 'RetriesExhausted' && { responsePayload: { errorType: 'Sandbox.Timedout' } }),
});

type Posted = Readonly<Record<string, unknown>>;

async function build({
  reply = (_n: number): PostResult => 'sent',
  ...changes
}: { reply?: (n: number) => PostResult } & Partial<FailedWorkParts> = {}) {
  const clock = createManualClock();
  const registry = memoryRegistry(clock.now);
  const posted: Posted[] = [];
  const records: RequestRecord[] = [];
  const slots = new Set(['s1']);
  const removed: string[] = [];
  const parts = {
    clock,
    random: () => 0,
    log: (record: Readonly<RequestRecord>) => void records.push({ ...record }),
    requests: registry,
    sockets: {
      post: async (to: string, frame: string) => {
        assert.is(to, 'c1=');
        posted.push(JSON.parse(frame));
        return reply(posted.length - 1);
      },
      close: async () => undefined,
    },
    connections: {
      add: down,
      enter: down,
      reserve: down,
      isOpen: down,
      release: async (_id: string, taken: readonly string[]) => void taken.map((slot) => slots.delete(slot)),
      remove: async (id: string) => {
        removed.push(id);
        return [key];
      },
    },
    ...changes,
  };
  const caller = { tenant: key.tenant, kind: 'iam', door: 'websocket' } as const;
  const text = JSON.stringify({ action: 'chat', prompt: 'Why?' });
  const waiting = { text, caller, connectionId: 'c1=', slot: 's1', messageId: 'm' };
  await registry.store(key, waiting, clock.now() + 90_000);
  const report = createFailedWork(() => parts);
  return { clock, registry, posted, records, slots, removed, parts, report };
}

const failing = suite('createFailedWork');

failing('a worker that died in the middle: the client hears of it, and may ask the next', async () => {
  const { registry, report, posted, records, slots } = await build();
  await registry.claim(key, 2_000_000);
  await report(invocation('RetriesExhausted'));
  const error = {
    code: 'internal_error',
    message: 'The gateway lost this answer before it was whole; ask again under another request_id.',
    type: 'server_error',
    param: null,
    request_id: 'r1',
    retryable: false,
    status: 500,
  };
  assert.equal(posted, [{ type: 'error', request_id: 'r1', seq: 2_147_483_647, error }]);
  assert.is(registry.stateOf(key), 'error');
  assert.equal([...slots], []);
  const cause = ['RetriesExhausted', 'Sandbox.Timedout'];
  const told = { outcome: 'error', code: 'internal_error', total_ms: 0 };
  const record = { request_id: 'r1', method: 'FAILED_WORK', door: 'websocket', tenant: 'user/bob' };
  assert.equal(records, [{ ...record, cause, ...told }]);
});

failing('a question that no worker took was never asked, and may be sent again', async () => {
  for (const condition of ['EventAgeExceeded', 'ZeroReservedConcurrency', 'RetriesExhausted']) {
    const { registry, report, posted } = await build();
    await report(invocation(condition));
    const [frame, ...others] = posted;
    const { code, retryable } = (frame?.['error'] ?? {}) as Record<string, unknown>;
    assert.equal([code, retryable, frame?.['seq'], others], ['overloaded', true, LAST_SEQ, []]);
    assert.is(registry.stateOf(key), 'error');
  }
});

failing('what was cancelled ends as cancelled', async () => {
  const { registry, report, posted, records } = await build();
  await registry.claim(key, 2_000_000);
  assert.ok(await registry.cancel(key));
  await report(invocation('RetriesExhausted'));
  assert.equal(
    posted.map(({ type, seq }) => [type, seq]),
    [['cancelled', LAST_SEQ]],
  );
  assert.is(registry.stateOf(key), 'cancelled');
  assert.is(records[0]?.outcome, 'cancelled');
});

failing('a delivery that grew too old says nothing of the one that runs', async () => {
  const { registry, report, posted, records, slots } = await build();
  await registry.claim(key, 2_000_000);
  await report(invocation('EventAgeExceeded'));
  assert.equal([posted, registry.stateOf(key), [...slots]], [[], 'running', ['s1']]);
  assert.is(records.length, 1);
  assert.not(asksModel(records[0] as RequestRecord));
});

failing('of a request that has ended nothing is said, and it takes no room any more', async () => {
  const { registry, report, posted, slots, records } = await build();
  const claimed = await registry.claim(key, 2_000_000);
  await claimed?.lease.end('done');
  await report(invocation('RetriesExhausted'));
  assert.equal([posted, registry.stateOf(key), [...slots]], [[], 'done', []]);
  assert.is(records[0]?.outcome, undefined);
});

failing('a connection that is gone is forgotten', async () => {
  const { report, removed, records } = await build({ reply: () => 'gone' });
  await report(invocation('RetriesExhausted'));
  assert.equal([removed, records[0]?.delivery], [['c1='], 'gone']);
});

failing('a frame that may not have arrived is sent again as it was, and so is a whole record', async () => {
  const { report, posted, clock } = await build({ reply: (n) => (n === 0 ? 'failed' : 'sent') });
  const reported = report(invocation('RetriesExhausted'));
  await clock.advance(1_000);
  await reported;
  await report(invocation('RetriesExhausted'));
  assert.is(posted.length, 3);
  assert.is(new Set(posted.map((frame) => JSON.stringify(frame))).size, 1);
  await report(invocation('RetriesExhausted', 'i2'));
  assert.is(posted.length, 3, 'another invocation of the same job has nothing to add');
});

failing('whatever fails is logged, and Lambda is not made to try again', async () => {
  const dead = await build();
  const requests = { ...dead.registry, abandon: down };
  const tables = await build({ requests });
  await tables.report(invocation('RetriesExhausted'));
  assert.equal([tables.posted, tables.records[0]?.code], [[], 'storage_unavailable']);
  for (const release of [
    dead.parts.connections,
    { ...dead.parts.connections, release: down, remove: down },
  ]) {
    const { report, posted, records } = await build({ connections: release });
    await report(invocation('RetriesExhausted'));
    await report(invocation('RetriesExhausted', 'i2'));
    assert.equal([posted.length, records.length], [1, 2]);
  }
  for (const nonsense of [{}, null, { requestContext: {}, requestPayload: 'x' }]) {
    const { report, records, posted } = await build();
    await report(nonsense as unknown as InvocationRecord);
    assert.equal([records.length, posted], [1, []]);
    assert.is(records[0]?.method, 'FAILED_WORK');
  }
});

failing.run();

// ---

/** Says a word every 80 ms. */
const slowModel = (clock: WorkerParts['clock'], words: readonly string[], onAbort: () => void): Model =>
  async function* (_, signal) {
    signal.addEventListener('abort', onAbort);
    for (const event of say(...words)) {
      await new Promise<void>((resolve) => clock.after(80, resolve));
      yield event;
    }
  };

/** What is called is never heard of again once the caller is dead. */
function mortal<Parts extends object>(parts: Parts, isDead: () => boolean): Parts {
  const never = new Promise<never>(() => undefined);
  const call = async (run: () => unknown) => {
    if (isDead()) return await never;
    const result = await run();
    return isDead() ? await never : result;
  };
  const entries = Object.entries(parts).map(([name, run]) => [
    name,
    name === 'isLost' ? run : (...args: unknown[]) => call(() => run(...args)),
  ]);
  return Object.fromEntries(entries) as Parts;
}

/** What a worker has of the table, until it dies. */
function mortalRequests(registry: WorkerParts['requests'], isDead: () => boolean): WorkerParts['requests'] {
  const requests = mortal(registry, isDead);
  return {
    ...requests,
    async claim(claimedKey, until) {
      const claimed = await requests.claim(claimedKey, until);
      return claimed && { ...claimed, lease: mortal(claimed.lease, isDead) };
    },
  };
}

type Story = {
  /** When deliveries of the job reach a worker, in milliseconds. */
  readonly deliveries: readonly { readonly at: number; readonly diesAfter: number | undefined }[];
  readonly reports: readonly { readonly at: number; readonly condition: string; readonly by: string }[];
  readonly cancelAt: number | undefined;
};

async function play({ deliveries, reports, cancelAt }: Story, words = ['one ', 'two ', 'three']) {
  const world = await build();
  const { clock, registry, parts, posted, report } = world;
  const began = clock.now();
  let aborts = 0;
  const post = async (to: string, frame: string) => {
    await new Promise<void>((resolve) => clock.after(15, resolve));
    return await parts.sockets.post(to, frame);
  };
  const runWorker = async (diesAfter = Number.POSITIVE_INFINITY) => {
    const diesAt = clock.now() + diesAfter;
    const isDead = () => clock.now() >= diesAt;
    const own: WorkerParts = {
      ...parts,
      ask: underLease(createAsk({ model: slowModel(clock, words, () => aborts++) })),
      loadSettings: async () => defaultSettings,
      stopping: new AbortController().signal,
      requests: mortalRequests(registry, isDead),
      sockets: { ...parts.sockets, ...mortal({ post }, isDead) },
      connections: mortal(parts.connections, isDead),
      log: (record) => void (isDead() || parts.log(record)),
    };
    await createWorker(() => own)(job, { getRemainingTimeInMillis: () => 900_000 });
  };
  let isCancelled = false;
  const at = (ms: number, run: () => unknown) => void clock.after(began + ms - clock.now(), () => void run());
  for (const delivery of deliveries) at(delivery.at, () => runWorker(delivery.diesAfter));
  for (const { at: ms, condition, by } of reports) at(ms, () => report(invocation(condition, by)));
  if (cancelAt !== undefined) at(cancelAt, async () => (isCancelled = await registry.cancel(key)));
  await clock.advance(5_000);
  const ends = posted.filter(({ type, seq }) => seq !== undefined && terminals.includes(type));
  return {
    ...world,
    isCancelled,
    aborts: () => aborts,
    ends: [...new Set(ends.map((frame) => JSON.stringify(frame)))].map((text) => JSON.parse(text) as Posted),
  };
}

const stories = suite('a worker and the report of its failure');

stories('in any order: never two ends, and the one there is is the one that is stored', async () => {
  const at = fc.nat({ max: 900 });
  const story: fc.Arbitrary<Story> = fc.record({
    deliveries: fc.array(fc.record({ at, diesAfter: fc.option(fc.nat({ max: 600 }), { nil: undefined }) }), {
      maxLength: 2,
    }),
    reports: fc.array(
      fc.record({
        at: fc.nat({ max: 1_200 }),
        condition: fc.constantFrom('RetriesExhausted', 'EventAgeExceeded'),
        by: fc.constantFrom('i1', 'i2'),
      }),
      { maxLength: 3 },
    ),
    cancelAt: fc.option(at, { nil: undefined }),
  });
  await fc.assert(
    fc.asyncProperty(story, async (told) => {
      const { ends, registry, records, isCancelled, slots } = await play(told);
      const state = registry.stateOf(key) ?? '';
      assert.ok(ends.length <= 1, JSON.stringify(ends));
      for (const { type } of ends) assert.is(type, state);
      const isOver = terminals.includes(state);
      if (isOver) assert.is(state === 'cancelled', isCancelled);
      const isImmortal =
        told.deliveries.length > 0 && told.deliveries.every(({ diesAfter }) => diesAfter === undefined);
      const isReported = told.reports.some(({ condition }) => condition === 'RetriesExhausted');
      if (isImmortal || isReported) assert.ok(isOver, state);
      const byReport = records.some(
        ({ method, outcome }) => method === 'FAILED_WORK' && outcome !== undefined,
      );
      if (byReport)
        assert.equal(
          ends.map(({ seq }) => seq),
          [LAST_SEQ],
        );
      if (isImmortal && !byReport) assert.is(ends.length, 1);
      if (isImmortal) assert.equal([...slots], []);
    }),
    { numRuns: 300 },
  );
});

stories(
  'a worker whose request somebody else ended stops within half a second, and frees no more than its own',
  async () => {
    const { posted, ends, records, aborts } = await play(
      {
        deliveries: [{ at: 0, diesAfter: undefined }],
        reports: [{ at: 120, condition: 'RetriesExhausted', by: 'i1' }],
        cancelAt: undefined,
      },
      Array.from({ length: 1_000 }, () => 'word '),
    );
    assert.equal(
      ends.map(({ type, seq }) => [type, seq]),
      [['error', LAST_SEQ]],
    );
    assert.ok(posted.length < 12, `${posted.length} frames`);
    assert.is(aborts(), 1);
    assert.equal(records.map(({ method }) => method).sort(), ['FAILED_WORK', 'WORK']);
  },
);

stories.run();
