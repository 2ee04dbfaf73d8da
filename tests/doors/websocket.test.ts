import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { GatewayError } from '../../src/chat/errors.ts';
import type { Caller } from '../../src/chat/request.ts';
import type { Envelope } from '../../src/doors/envelope.ts';
import type { PostResult } from '../../src/doors/frames.ts';
import type { RequestRecord } from '../../src/doors/record.ts';
import { connectionLimits } from '../../src/doors/socket-actions.ts';
import type { Connections, Job, SocketParts } from '../../src/doors/socket-parts.ts';
import { createWebSocketDoor } from '../../src/doors/websocket.ts';
import { createManualClock } from '../helpers/manual-clock.ts';
import { memoryRegistry } from '../helpers/registry.ts';
import { defaultSettings } from '../helpers/requests.ts';

const HOUR_MS = 3_600_000;
const down = () => Promise.reject(new GatewayError('storage_unavailable', 'The tables are down.'));

type Row = { readonly caller: Caller; readonly expiresAt: number; readonly slots: Map<string, string> };

/** As `aws/connections.ts`, without time. */
function memoryConnections() {
  const rows = new Map<string, Row>();
  let slotCount = 0;
  const connections: Connections = {
    add: async (id, caller, expiresAt) => void rows.set(id, { caller, expiresAt, slots: new Map() }),
    enter: async (id) => rows.get(id),
    reserve: async (id, requestId) => {
      const row = rows.get(id);
      if (!row || row.slots.size >= connectionLimits.running) return undefined;
      const slot = `${requestId}#${slotCount++}`;
      row.slots.set(slot, requestId);
      return slot;
    },
    isOpen: async (id) => rows.has(id),
    release: async (id, slots) => {
      for (const slot of slots) rows.get(id)?.slots.delete(slot);
    },
    remove: async (id) => {
      const { caller, slots } = rows.get(id) ?? {};
      rows.delete(id);
      return [...(slots?.values() ?? [])].map((requestId) => ({ tenant: caller?.tenant ?? '', requestId }));
    },
  };
  return { rows, connections };
}

async function build(changes: Partial<SocketParts> = {}, reply: PostResult = 'sent') {
  const clock = createManualClock();
  const registry = memoryRegistry(clock.now);
  const { rows, connections } = memoryConnections();
  const posted: { readonly to: string; readonly frame: Record<string, unknown> }[] = [];
  const closed: string[] = [];
  const jobs: Job[] = [];
  const records: RequestRecord[] = [];
  const parts: SocketParts = {
    loadSettings: async () => defaultSettings,
    allowedOrigins: ['https://chat.test'],
    clock,
    log: (record) => void records.push({ ...record }),
    connections,
    sockets: {
      post: async (to, text) => {
        posted.push({ to, frame: JSON.parse(text) });
        return reply;
      },
      close: async (connectionId) => void closed.push(connectionId),
    },
    requests: registry,
    addPart: async () => undefined,
    startWorker: async (job) => void jobs.push(job),
    ...changes,
  };
  const door = createWebSocketDoor(() => parts);
  let count = 0;
  const event = (
    eventType: 'CONNECT' | 'MESSAGE' | 'DISCONNECT',
    { connectionId = 'c1=', messageId }: { readonly connectionId?: string; readonly messageId?: string } = {},
  ) => ({
    eventType,
    routeKey: '$default',
    connectionId,
    connectedAt: 0,
    requestId: `event${count++}=`,
    messageId: messageId ?? `message${count}=`,
  });
  const connect = (headers = {}, identity: object = { apiKeyId: 'alice' }, connectionId = 'c1=') =>
    door({ requestContext: { ...event('CONNECT', { connectionId }), identity }, headers });
  const say = (message: unknown, from: Parameters<typeof event>[1] = {}) => {
    const body = typeof message === 'string' ? message : JSON.stringify(message);
    return door({ requestContext: event('MESSAGE', from), body });
  };
  const leave = () => door({ requestContext: event('DISCONNECT') });
  const errors = () => posted.map(({ frame }) => frame['error'] as Envelope['error'] | undefined);
  const codes = () => errors().map((error) => error?.code);
  const messages = () => errors().map((error) => error?.message);
  return { clock, registry, rows, posted, closed, jobs, records, connect, say, leave, codes, messages };
}

const connected = async (...given: Parameters<typeof build>) => {
  const built = await build(...given);
  await built.connect();
  return built;
};
const chat = { action: 'chat', prompt: 'Why?', request_id: 'r1' };

const connecting = suite('$connect');

connecting('a principal that signed is the tenant, and the log names it without its account', async () => {
  const { connect, say, rows, records } = await build();
  const role = 'arn:aws:sts::123456789012:assumed-role/Front';
  await connect({}, { userArn: `${role}/session-1` });
  await say({ action: 'ping' });
  assert.equal(rows.get('c1=')?.caller, { tenant: role, kind: 'iam', door: 'websocket' });
  assert.equal(
    records.map(({ tenant }) => tenant),
    ['assumed-role/Front', 'assumed-role/Front'],
  );
});

connecting('whoever AWS vouches for is let in, for as long as the settings say', async () => {
  const { connect, rows, clock } = await build();
  assert.equal(await connect(), { statusCode: 200 });
  assert.is(rows.get('c1=')?.expiresAt, clock.now() + HOUR_MS);
  assert.equal(rows.get('c1=')?.caller, { tenant: 'alice', kind: 'api-key', door: 'websocket' });
});

connecting('nobody else is, whatever he writes into his headers', async () => {
  const { connect, rows, records } = await build();
  for (const identity of [{}, { apiKeyId: null, userArn: '' }]) {
    assert.is((await connect({ 'x-api-key': 'k', apiKeyId: 'alice' }, identity)).statusCode, 401);
  }
  assert.is(rows.size, 0);
  assert.is(records[0]?.code, 'unauthorized');
});

connecting('a page connects only from an origin on the list; what is no page has none', async () => {
  const listed = await build();
  assert.is((await listed.connect({ Origin: 'https://chat.test' })).statusCode, 200);
  for (const origin of ['https://evil.test', 'https://chat.test.evil.test', 'null', '']) {
    assert.is((await listed.connect({ origin })).statusCode, 403, origin);
  }
  const open = await build({ allowedOrigins: ['*'] });
  assert.is((await open.connect({ origin: 'https://evil.test' })).statusCode, 200);
});

connecting('the subprotocol is selected when it is offered, and the one with the key never', async () => {
  const { connect } = await build();
  const offer = 'llm-gateway.key.secret, llm-gateway';
  const selected = { statusCode: 200, headers: { 'Sec-WebSocket-Protocol': 'llm-gateway' } };
  assert.equal(await connect({ 'SEC-WebSocket-protocol': offer }), selected);
  for (const other of ['llm-gateway.key.secret', 'graphql-ws', '']) {
    assert.equal(await connect({ 'sec-websocket-protocol': other }), { statusCode: 200 });
  }
});

connecting.run();

// ---

const receiving = suite('messages');

receiving('a chat is stored and left to a worker that is told ids only; nothing is said yet', async () => {
  const { say, jobs, posted, registry, records } = await connected();
  assert.equal(await say(chat), { statusCode: 200 });
  assert.equal(jobs, [{ tenant: 'alice', requestId: 'r1', connectionId: 'c1=' }]);
  assert.equal(posted, []);
  const claimed = await registry.claim({ tenant: 'alice', requestId: 'r1' }, 1e12);
  assert.is(claimed?.text, JSON.stringify(chat));
  assert.is(claimed?.connectionId, 'c1=');
  assert.is(records.at(-1)?.status, 200);
  assert.not.match(JSON.stringify(records), 'Why');
});

receiving('a chat without an id gets one from its message', async () => {
  const { say, jobs } = await connected();
  await say({ action: 'sendmessage', prompt: 'Why?' }, { messageId: 'a+b/c=' });
  assert.is(jobs[0]?.requestId, 'abc');
});

receiving('a ping is answered, and only to its connection', async () => {
  const { connect, say, posted } = await connected();
  await connect({}, { apiKeyId: 'bob' }, 'c2=');
  await say({ action: 'ping' }, { connectionId: 'c2=' });
  assert.equal(posted, [{ to: 'c2=', frame: { type: 'pong' } }]);
});

receiving('a message that names a connection is refused, and its own connection hears of it', async () => {
  const { say, posted, jobs, messages } = await connected();
  await say({ ...chat, connectionId: 'c2=' });
  assert.is(messages()[0], 'connectionId is not a field of this API.');
  assert.is(posted[0]?.to, 'c1=');
  assert.equal(jobs, []);
});

receiving('parts that are too long together are refused before anybody parses them', async () => {
  const { say, codes, jobs } = await connected({
    loadSettings: async () => ({ ...defaultSettings, bodyLimitBytes: 1024 }),
    addPart: async () => 'x'.repeat(1025),
  });
  await say({ action: 'part', request_id: 'r1', n: 0, of: 1, data: 'x' });
  assert.equal(codes(), ['payload_too_large']);
  assert.equal(jobs, []);
});

receiving('a refusal is an error frame with the id of its message, and without seq', async () => {
  const { say, posted, codes } = await connected();
  const part = { action: 'part', request_id: 'r2', n: 3, of: 2, data: 'x' };
  const refused = ['{', '{"action":"ping","x":1,"request_id":"r7"}', { ...chat, model: 'x.unknown' }, part];
  for (const message of refused) await say(message);
  assert.equal(codes(), ['invalid_json', 'invalid_request', 'model_not_found', 'invalid_request']);
  assert.equal(
    posted.map(({ frame }) => [frame['request_id'], frame['n']]),
    [
      ['message2', undefined],
      ['r7', undefined],
      ['r1', undefined],
      ['r2', 3],
    ],
  );
  assert.ok(posted.every(({ frame }) => frame['type'] === 'error' && !('seq' in frame)));
});

receiving('a connection whose identity has expired is told so and closed', async () => {
  const { say, clock, closed, codes, jobs } = await connected();
  await clock.advance(HOUR_MS - 1);
  await say(chat);
  await clock.advance(1);
  await say({ ...chat, request_id: 'r2' });
  await say(chat, { connectionId: 'unknown=' });
  assert.equal(codes(), ['unauthorized', 'unauthorized']);
  assert.equal(closed, ['c1=', 'unknown=']);
  assert.is(jobs.length, 1);
});

receiving('messages that come too fast are rate_limited', async () => {
  const { say, codes, messages, closed } = await build({
    connections: { ...memoryConnections().connections, enter: async () => 'busy' },
  });
  await say(chat);
  assert.is(codes()[0], 'rate_limited');
  assert.match(messages()[0] ?? '', 'at most 10 messages a second');
  assert.equal(closed, []);
});

receiving('the ninth question at once is rate_limited, until one is over', async () => {
  const { say, codes, messages, posted, jobs, rows } = await connected();
  for (let n = 0; n < 9; n++) await say({ ...chat, request_id: `r${n}` });
  assert.is(jobs.length, 8);
  assert.equal(codes(), ['rate_limited']);
  assert.match(messages()[0] ?? '', 'at most 8 requests at once');
  assert.is(posted[0]?.frame['request_id'], 'r8');
  assert.not('seq' in (posted[0]?.frame ?? {}));
  rows.get('c1=')?.slots.delete('r0#0');
  await say({ ...chat, request_id: 'r8' });
  assert.is(jobs.length, 9);
});

receiving(
  'a message that is delivered three times asks once; another with its id is a conflict',
  async () => {
    const { say, jobs, posted, codes, rows } = await connected();
    await Promise.all([1, 2, 3].map(() => say(chat, { messageId: 'm=' })));
    assert.is(jobs.length, 1);
    assert.equal(posted, []);
    assert.is(rows.get('c1=')?.slots.size, 1);
    await say(chat);
    assert.is(codes()[0], 'conflict');
    assert.is(jobs.length, 1);
    assert.is(rows.get('c1=')?.slots.size, 1);
  },
);

receiving('a question whose worker cannot be started is over at once', async () => {
  const { say, codes, registry, rows } = await connected({
    startWorker: () => Promise.reject(new GatewayError('overloaded', 'No room.')),
  });
  await say(chat);
  assert.is(codes()[0], 'overloaded');
  assert.is(registry.stateOf({ tenant: 'alice', requestId: 'r1' }), 'error');
  assert.is(rows.get('c1=')?.slots.size, 0);
});

receiving('a chat that came in parts is asked when the last is there', async () => {
  const parts: string[] = [];
  const { say, jobs, codes, messages } = await connected({
    addPart: async (_key, { n, of, data }) => {
      parts[n] = data;
      return parts.filter(Boolean).length === of ? parts.join('') : undefined;
    },
  });
  const send = async (whole: string) => {
    parts.length = 0;
    const part = { action: 'part', request_id: 'r1', of: 2 };
    await say({ ...part, n: 1, data: whole.slice(9) });
    await say({ ...part, n: 0, data: whole.slice(0, 9) });
  };
  await send('{"action":"chat","prompt":"😀"}');
  assert.equal(jobs[0], { tenant: 'alice', requestId: 'r1', connectionId: 'c1=' });
  for (const wrong of [{ ...chat, request_id: 'r2' }, { action: 'ping' }, { ...chat, prompt: '' }]) {
    await send(JSON.stringify(wrong));
  }
  assert.equal(codes(), ['invalid_request', 'invalid_request', 'invalid_request']);
  for (const n of [0, 1]) assert.match(messages()[n] ?? '', 'the action "chat" and their own request_id');
  assert.is(jobs.length, 1);
});

receiving('a chat longer than the settings allow is refused, and takes no slot', async () => {
  const long = JSON.stringify({ ...chat, prompt: 'é' });
  const { say, codes, messages, rows } = await connected({
    loadSettings: async () => ({ ...defaultSettings, bodyLimitBytes: long.length }),
  });
  await say(long);
  assert.is(codes()[0], 'payload_too_large');
  assert.is(messages()[0], `The message must be at most ${long.length} bytes.`);
  assert.is(rows.get('c1=')?.slots.size, 0);
});

receiving('a cancel is taken in silence; unknown, foreign and ended all get the same sentence', async () => {
  const { connect, say, posted, codes, messages, registry } = await connected();
  await connect({}, { apiKeyId: 'bob' }, 'c2=');
  const cancel = { action: 'cancel', request_id: 'r1' };
  await say(chat);
  await say(cancel, { connectionId: 'c2=' });
  assert.is(posted.length, 1);
  await say(cancel);
  assert.is(posted.length, 1);
  const claimed = await registry.claim({ tenant: 'alice', requestId: 'r1' }, 1e12);
  assert.ok(await claimed?.lease.isCancelled());
  await claimed?.lease.end('done');
  await say(cancel);
  await say({ ...cancel, request_id: 'never' });
  assert.equal(codes(), ['not_found', 'not_found', 'not_found']);
  assert.is(new Set(messages()).size, 1);
});

receiving(
  'a connection that is gone when it is answered is forgotten, and what it waited for cancelled',
  async () => {
    const { say, rows, registry } = await connected({}, 'gone');
    await say(chat);
    await say({ ...chat, request_id: '#' });
    assert.is(rows.size, 0);
    assert.not(await registry.cancel({ tenant: 'alice', requestId: 'r1' }));
  },
);

receiving('tables that are down are a 503 frame, and what is our fault names nothing', async () => {
  const all = memoryConnections().connections;
  const secret = () => Promise.reject(new TypeError('secret'));
  for (const [enter, code] of [
    [down, 'storage_unavailable'],
    [secret, 'internal_error'],
  ] as const) {
    const { say, codes, posted } = await build({ connections: { ...all, enter } });
    assert.is((await say(chat)).statusCode, 200);
    assert.is(codes()[0], code);
    assert.not.match(JSON.stringify(posted), 'secret');
  }
  const stored = await connected({ requests: { ...memoryRegistry(), store: down, cancel: down } });
  await stored.say(chat);
  await stored.say({ action: 'cancel', request_id: 'r1' });
  assert.equal(stored.codes(), ['storage_unavailable', 'storage_unavailable']);
  assert.is(stored.rows.get('c1=')?.slots.size, 0);
});

receiving.run();

// ---

const leaving = suite('$disconnect');

leaving('while a question is being stored cancels it all the same', async () => {
  const registry = memoryRegistry();
  let leave: () => Promise<unknown> = async () => undefined;
  const requests: SocketParts['requests'] = {
    ...registry,
    store: async (...call) => {
      await leave();
      return await registry.store(...call);
    },
  };
  const built = await connected({ requests });
  leave = built.leave;
  await built.say(chat);
  const claimed = await registry.claim({ tenant: 'alice', requestId: 'r1' }, 1);
  assert.ok(claimed?.isCancelled);
});

leaving('what the connection waited for is cancelled', async () => {
  const { say, leave, rows, registry } = await connected();
  await say(chat);
  await say({ ...chat, request_id: 'r2' });
  assert.equal(await leave(), { statusCode: 200 });
  assert.is(rows.size, 0);
  for (const requestId of ['r1', 'r2']) {
    const claimed = await registry.claim({ tenant: 'alice', requestId }, 1e12);
    assert.ok(await claimed?.lease.isCancelled());
  }
});

leaving('tables that are down are a status in the log, at both ends of a connection', async () => {
  const connections = { ...memoryConnections().connections, add: down, remove: down };
  const { connect, leave, records } = await build({ connections });
  assert.is((await connect()).statusCode, 503);
  assert.is((await leave()).statusCode, 503);
  assert.equal(
    records.map(({ method, code }) => [method, code]),
    [
      ['CONNECT', 'storage_unavailable'],
      ['DISCONNECT', 'storage_unavailable'],
    ],
  );
});

leaving.run();
