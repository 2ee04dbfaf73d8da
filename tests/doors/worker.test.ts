import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createAsk, type Model } from '../../src/chat/ask.ts';
import { GatewayError } from '../../src/chat/errors.ts';
import type { ModelEvent } from '../../src/chat/events.ts';
import { underLease } from '../../src/chat/lease.ts';
import type { PostResult } from '../../src/doors/frames.ts';
import type { RequestRecord } from '../../src/doors/record.ts';
import type { Connections } from '../../src/doors/socket-parts.ts';
import { createWorker, type WorkerParts } from '../../src/doors/worker.ts';
import { alice, modelThat, say, silent, usage } from '../helpers/app.ts';
import { createManualClock, settle } from '../helpers/manual-clock.ts';
import { memoryRegistry } from '../helpers/registry.ts';
import { defaultSettings } from '../helpers/requests.ts';

const key = { tenant: 'alice', requestId: 'r1' };
const job = { ...key, connectionId: 'c1=' };
const text = JSON.stringify({ action: 'chat', prompt: 'Why?' });
const context = { getRemainingTimeInMillis: () => 900_000 };
const wrong = () => Promise.reject(new GatewayError('config_invalid', 'The settings are wrong.'));
const down = () => Promise.reject(new GatewayError('storage_unavailable', 'The tables are down.'));

const silentAfter = (...events: ModelEvent[]): Model =>
  async function* (request, signal) {
    yield* events;
    yield* silent(request, signal);
  };

type Changes = Partial<Omit<WorkerParts, 'connections'>> & {
  readonly connections?: Partial<Connections>;
  readonly reply?: (n: number) => PostResult;
};

async function build(model: Model, { connections, reply = () => 'sent', ...changes }: Changes = {}) {
  const clock = createManualClock();
  const registry = memoryRegistry(clock.now);
  const seen = { calls: 0, aborted: false, removed: [] as string[], released: [] as string[] };
  const posted: { readonly to: string; readonly frame: Record<string, unknown> }[] = [];
  const records: RequestRecord[] = [];
  const parts: WorkerParts = {
    ask: underLease(
      createAsk({
        model: (request, signal) => {
          seen.calls++;
          signal.addEventListener('abort', () => (seen.aborted = true));
          return model(request, signal);
        },
      }),
    ),
    loadSettings: async () => defaultSettings,
    clock,
    random: () => 0,
    log: (record) => void records.push({ ...record }),
    stopping: new AbortController().signal,
    requests: registry,
    sockets: {
      post: async (to, frame) => {
        posted.push({ to, frame: JSON.parse(frame) });
        return reply(posted.length - 1);
      },
      close: async () => undefined,
    },
    ...changes,
    connections: {
      add: down,
      enter: down,
      reserve: down,
      isOpen: down,
      release: async (_id, slots) => void seen.released.push(...slots),
      remove: async (id) => {
        seen.removed.push(id);
        return [key];
      },
      ...connections,
    },
  };
  const worker = createWorker(() => parts);
  const waiting = { text, caller: { ...alice, door: 'websocket' } as const, connectionId: 'c1=' };
  await registry.store(key, { ...waiting, slot: 's1', messageId: 'm' }, clock.now() + 90_000);
  const types = () => posted.map(({ frame }) => frame['type']);
  const errors = () =>
    posted.flatMap(({ frame }) => (frame['error'] as { code: string } | undefined)?.code ?? []);
  return { clock, registry, seen, posted, records, parts, types, errors, work: () => worker(job, context) };
}

const working = suite('createWorker');

working('a question is answered to its connection, and then takes no room there', async () => {
  const { work, posted, types, registry, seen, records, clock } = await build(modelThat(...say('A cage.')));
  await work();
  assert.equal(types(), ['start', 'delta', 'done']);
  assert.ok(
    posted.every(({ to, frame }, n) => to === 'c1=' && frame['seq'] === n && frame['request_id'] === 'r1'),
  );
  assert.is(posted[1]?.frame['text'], 'A cage.');
  assert.is(registry.stateOf(key), 'done');
  assert.equal(seen.released, ['s1']);
  assert.is(clock.armed, 0);
  const [record, ...others] = records;
  assert.equal(others, []);
  assert.is(record?.outcome, 'done');
  assert.is(record?.output_tokens, usage.outputTokens);
  assert.not.match(JSON.stringify(record), /Why|cage/);
});

working('the log names a principal that signed without its account', async () => {
  const { records, parts } = await build(silent);
  const tenant = 'arn:aws:iam::123456789012:user/bob';
  await createWorker(() => parts)({ ...job, tenant }, context);
  assert.is(records[0]?.tenant, 'user/bob');
});

working('a job that is delivered twice asks once', async () => {
  const { work, seen, types } = await build(modelThat(...say('A')));
  await Promise.all([work(), work()]);
  await work();
  assert.is(seen.calls, 1);
  assert.equal(types(), ['start', 'delta', 'done']);
});

working('a question that was cancelled while it waited makes no call', async () => {
  const { work, registry, seen, posted } = await build(modelThat(...say('A')));
  assert.ok(await registry.cancel(key));
  await work();
  assert.is(seen.calls, 0);
  assert.is(posted.length, 1);
  assert.is(posted[0]?.frame['type'], 'cancelled');
  assert.is(posted[0]?.frame['seq'], 0);
  assert.is(registry.stateOf(key), 'cancelled');
  assert.equal(seen.released, ['s1']);
});

working('a cancel in the middle ends the answer', async () => {
  const { work, registry, seen, types, clock } = await build(silentAfter(...say().slice(0, 1)));
  const over = work();
  await clock.advance(10);
  assert.ok(await registry.cancel(key));
  await clock.advance(490);
  await over;
  assert.equal(types(), ['start', 'cancelled']);
  assert.ok(seen.aborted);
});

working('a connection that is gone is forgotten; the model is called off', async () => {
  const { work, registry, seen, posted, records } = await build(silentAfter(...say('A').slice(0, 2)), {
    reply: (n) => (n === 0 ? 'sent' : 'gone'),
  });
  await work();
  assert.is(posted.length, 2);
  assert.ok(seen.aborted);
  assert.equal(seen.removed, ['c1=']);
  assert.is(registry.stateOf(key), 'cancelled');
  assert.is(records[0]?.delivery, 'gone');
});

working('a question that was cancelled and is refused all the same ends as cancelled', async () => {
  const { work, registry, types } = await build(silent, { loadSettings: down });
  assert.ok(await registry.cancel(key));
  await work();
  assert.equal(types(), ['cancelled']);
  assert.is(registry.stateOf(key), 'cancelled');
});

working('settings that broke since the question was taken are an error, and its end', async () => {
  const { work, posted, errors, registry, seen, records } = await build(silent, { loadSettings: wrong });
  await work();
  assert.is(posted.length, 1);
  assert.is(posted[0]?.frame['seq'], 0);
  assert.equal(errors(), ['config_invalid']);
  assert.is(registry.stateOf(key), 'error');
  assert.is(records[0]?.code, 'config_invalid');
  assert.is(seen.calls, 0);
  assert.equal(seen.released, ['s1']);
});

working('an answer ends before the time of its function does, or when the process must', async () => {
  const late = await build(async function* (_request, signal) {
    yield* say().slice(0, 1);
    while (!signal.aborted) {
      await new Promise<void>((resolve) => late.clock.after(20_000, resolve));
      yield* say('A').slice(1, 2);
    }
  });
  const over = late.work();
  await late.clock.advance(895_000);
  await over;
  assert.equal(late.errors(), ['deadline_exceeded']);
  const stopping = AbortSignal.abort(new GatewayError('overloaded', 'The gateway is stopping.'));
  const stopped = await build(silent, { stopping });
  await stopped.work();
  assert.equal(stopped.errors(), ['overloaded']);
  assert.is(stopped.registry.stateOf(key), 'error');
});

working('tables that are down before the answer are an error frame without seq', async () => {
  const { work, posted, records } = await build(silent, { requests: { ...memoryRegistry(), claim: down } });
  await work();
  assert.is(posted.length, 1);
  assert.is(posted[0]?.to, 'c1=');
  assert.is(posted[0]?.frame['request_id'], 'r1');
  assert.not('seq' in (posted[0]?.frame ?? {}));
  assert.is(records[0]?.code, 'storage_unavailable');
});

working('tables that are down while it is answered change nothing about it', async () => {
  const caller = { ...alice, door: 'websocket' } as const;
  const lease = { isCancelled: down, end: down, isLost: () => false };
  const requests = {
    ...memoryRegistry(),
    claim: async () => ({ text, caller, connectionId: 'c1=', slot: 's1', isCancelled: false, lease }),
  };
  const answered = await build(modelThat(...say('A')), { requests });
  await answered.work();
  assert.equal(answered.types(), ['start', 'delta', 'done']);
  const refused = await build(silent, { requests, loadSettings: wrong });
  await refused.work();
  assert.equal(refused.errors(), ['config_invalid']);
  assert.is(refused.posted[0]?.frame['seq'], 0);
});

working('frames leave as far apart as the settings say', async () => {
  const { work, types, registry, clock } = await build(
    async function* (request, signal) {
      yield* say('A').slice(0, 2);
      await settle();
      yield* silentAfter(...say('B').slice(1, 2))(request, signal);
    },
    { loadSettings: async () => ({ ...defaultSettings, frameGapMs: 70 }) },
  );
  const over = work();
  await clock.advance(69);
  assert.equal(types(), ['start', 'delta']);
  await clock.advance(1);
  assert.equal(types(), ['start', 'delta', 'delta']);
  await registry.cancel(key);
  await clock.advance(500);
  await over;
});

working('tables that are down after the answer change nothing about it', async () => {
  for (const reply of ['sent', 'gone'] as const) {
    const connections = { release: down, remove: down };
    const { work, types, records } = await build(modelThat(...say('A')), { connections, reply: () => reply });
    await work();
    assert.equal(types(), reply === 'sent' ? ['start', 'delta', 'done'] : ['start']);
    assert.is(records[0]?.code, undefined);
  }
});

working.run();
