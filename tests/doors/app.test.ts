import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { GatewayError } from '../../src/chat/errors.ts';
import type { RequestRegistry } from '../../src/chat/lease.ts';
import { alice, bodyOf, buildApp, modelThat, say, silent, usage } from '../helpers/app.ts';
import { settle } from '../helpers/manual-clock.ts';
import { memoryRegistry } from '../helpers/registry.ts';
import { defaultSettings } from '../helpers/requests.ts';

const sse = { accept: 'text/event-stream' };
const never = () => new Promise<never>(() => {});

const whole = suite('POST /v1/chat in one piece');

whole('is the answer with its usage', async () => {
  const { chat } = buildApp(modelThat(...say('A ', 'cage.')));
  const response = await chat({ prompt: 'What is it?' });
  assert.is(response.status, 200);
  assert.equal(await bodyOf(response), {
    request_id: 'made-up',
    model: 'some-model',
    cached: false,
    completion: 'A cage.',
    stop_reason: 'end_turn',
    usage: { input_tokens: 5, output_tokens: 2, cache_read_tokens: 0, cache_write_tokens: 0 },
    saved: false,
  });
  assert.is(response.headers.get('x-request-id'), 'made-up');
  assert.is(response.headers.get('x-cache'), 'miss');
});

whole('brings the reasoning where there was some', async () => {
  const [begin, ...rest] = say('A cage.');
  assert.ok(begin);
  const { chat } = buildApp(modelThat(begin, { type: 'reasoning-delta', block: 0, text: 'Hm.' }, ...rest));
  assert.is((await bodyOf(await chat({ prompt: 'x' })))['reasoning'], 'Hm.');
});

whole('bears the id that the caller chose', async () => {
  const { chat, record } = buildApp(modelThat(...say('x')));
  const response = await chat({ prompt: 'x', request_id: 'mine', cache: 'off' });
  assert.is((await bodyOf(response))['request_id'], 'mine');
  assert.is(response.headers.get('x-request-id'), 'mine');
  assert.is(response.headers.get('x-cache'), 'off');
  assert.is(record.request_id, 'mine');
});

whole('has a real status however late it fails', async () => {
  const { chat } = buildApp(
    modelThat(...say('A ').slice(0, 2), new GatewayError('upstream_unavailable', 'It is gone.')),
  );
  const response = await chat({ prompt: 'x' });
  assert.is(response.status, 503);
  assert.is((await bodyOf(response)).error.code, 'upstream_unavailable');
});

whole('is 499 when it was cancelled', async () => {
  const { chat, left } = buildApp(silent);
  left.abort();
  const response = await chat({ prompt: 'x' });
  assert.is(response.status, 499);
  assert.is((await bodyOf(response)).error.code, 'cancelled');
});

whole('ends at 290 seconds on the REST door with the advice to stream', async () => {
  const { chat, clock } = buildApp(async function* () {
    yield { type: 'begin', model: 'm' };
    for (;;) {
      await new Promise<void>((resolve) => clock.after(5_000, resolve));
      yield { type: 'text-delta', block: 0, text: 'more' };
    }
  });
  const pending = chat({ prompt: 'x' });
  await clock.advance(290_000);
  const response = await pending;
  assert.is(response.status, 504);
  const { error } = await bodyOf(response);
  assert.is(error.code, 'deadline_exceeded');
  assert.match(error.message, '"stream": true');
});

whole('ends with the function where that is sooner', async () => {
  const { chat, clock, record } = buildApp(silent, { firstEventTimeoutSeconds: 60 });
  const pending = chat({ prompt: 'x' }, {}, { deadline: clock.now() + 20_000 });
  await clock.advance(20_000);
  assert.is((await bodyOf(await pending)).error.code, 'deadline_exceeded');
  assert.equal(record.cause?.[0], 'GatewayError', 'what was given up is in the record');
});

whole.run();

// ---

const stream = suite('POST /v1/chat as a stream');

stream('is asked for by the Accept header or by the body, and the body wins', async () => {
  const { chat } = buildApp(modelThat(...say('x')));
  const typeOf = async (...args: Parameters<typeof chat>) =>
    (await chat(...args)).headers.get('content-type');
  const [json, events] = ['application/json', 'text/event-stream; charset=utf-8'];
  assert.is(await typeOf({ prompt: 'x' }, sse), events);
  assert.is(await typeOf({ prompt: 'x', stream: true }), events);
  assert.is(await typeOf({ prompt: 'x', stream: false }, sse), json);
  assert.is(await typeOf({ prompt: 'x' }), json);
  assert.is(await typeOf({ prompt: 'x' }, { accept: '*/*' }), json);
  assert.is(await typeOf({ prompt: 'x' }, { accept: 'application/json, text/event-stream;q=0.5' }), json);
  assert.is(await typeOf({ prompt: 'x' }, { accept: 'text/event-stream, application/json;q=0.5' }), events);
});

stream('is never cached nor transformed on its way', async () => {
  const response = await buildApp(modelThat(...say('x'))).chat({ prompt: 'x', stream: true });
  assert.is(response.headers.get('cache-control'), 'no-cache, no-transform');
  assert.is(response.headers.get('x-request-id'), 'made-up');
  await response.text();
});

stream('has a real status when it fails before the first event', async () => {
  const { chat } = buildApp(
    modelThat(new GatewayError('upstream_throttled', 'Wait.', { retryAfterSeconds: 3 })),
  );
  const response = await chat({ prompt: 'x', stream: true });
  assert.is(response.status, 429);
  assert.is(response.headers.get('retry-after'), '3');
  assert.is((await bodyOf(response)).error.retryable, true);
});

stream('has an error event when it fails after the first event', async () => {
  const { chat } = buildApp(
    modelThat(...say('A ').slice(0, 2), new GatewayError('upstream_throttled', 'Wait.')),
  );
  const response = await chat({ prompt: 'x', stream: true });
  assert.is(response.status, 200);
  assert.match(
    await response.text(),
    /event: delta\n.*\n\nevent: error\ndata: \{"error":\{"code":"upstream_throttled"/,
  );
});

stream('is committed after 10 seconds without an event, and fails as an event from then on', async () => {
  const { chat, clock } = buildApp(silent, { firstEventTimeoutSeconds: 60 });
  let response: Response | undefined;
  const pending = chat({ prompt: 'x', stream: true }).then((answer) => (response = answer));
  await clock.advance(9_999);
  assert.is(response, undefined);
  await clock.advance(1);
  await pending;
  assert.is(response?.status, 200);
  const text = response?.text();
  await clock.advance(50_000);
  assert.match((await text) ?? '', /^(: ping\n\n)+event: error\ndata: \{"error":\{"code":"upstream_timeout"/);
});

stream('calls the model off when its reader leaves', async () => {
  let aborted = false;
  const { chat, record } = buildApp(async function* (_request, signal) {
    signal.addEventListener('abort', () => (aborted = true));
    yield { type: 'begin', model: 'm' };
    await never();
  });
  const response = await chat({ prompt: 'x', stream: true });
  await response.body?.cancel();
  await settle();
  assert.ok(aborted);
  assert.is(record.outcome, 'cancelled');
});

stream('ends when whoever waits for it is gone', async () => {
  const { chat, left } = buildApp(async function* () {
    yield { type: 'begin', model: 'm' };
    await never();
  });
  const response = await chat({ prompt: 'x', stream: true });
  const text = response.text();
  left.abort();
  assert.match(await text, /event: cancelled\n/);
});

stream('has no ping for a reader who has enough to read', async () => {
  let isRead = false;
  const { chat, clock } = buildApp(async function* () {
    yield { type: 'begin', model: 'm' };
    for (let count = 0; count < 40; count++) yield { type: 'text-delta', block: 0, text: 'x'.repeat(1_000) };
    isRead = true;
    yield { type: 'end', stopReason: 'end_turn', usage };
  });
  const response = await chat({ prompt: 'x', stream: true });
  await settle(20);
  await clock.advance(20_000);
  assert.not(isRead, 'the model waits');
  const text = await response.text();
  assert.match(text, 'event: done');
  assert.not.match(text, ': ping');
});

stream('of a conversation that is there names it only while it is kept', async () => {
  const { chat } = buildApp(modelThat(...say('x')), { history: defaultSettings.history });
  const idOf = async (changes: object) =>
    (await chat({ prompt: 'x', chat_id: 'c1', stream: true, ...changes })).headers.get('x-chat-id');
  assert.is(await idOf({}), 'c1');
  assert.is(await idOf({ store: false }), null);
});

stream.run();

// ---

const gate = suite('what every route has in common');

gate(
  'nobody gets past /health and /openapi.json without being known, and no body is read for him',
  async () => {
    const { app, send, asked } = buildApp(modelThat(...say('x')));
    assert.equal(await bodyOf(await send('/health', {}, { caller: undefined })), { status: 'ok' });
    const open = ['/health', '/openapi.json'];
    const routes = app.routes.filter(({ method, path }) => method !== 'ALL' && !open.includes(path));
    assert.ok(routes.length >= 2);
    for (const { method, path } of [...routes, { method: 'GET', path: '/nowhere' }]) {
      const response = await send(
        path,
        { method, ...(method === 'POST' && { body: 'not json' }) },
        { caller: undefined },
      );
      assert.is(response.status, 401, `${method} ${path}`);
      assert.is((await bodyOf(response)).error.code, 'unauthorized');
    }
    assert.is(asked.length, 0);
  },
);

gate('a wrong path is 404 and a wrong method 405 with the right ones, both in the envelope', async () => {
  const { send } = buildApp(modelThat());
  const lost = await send('/v1/nothing');
  assert.is(lost.status, 404);
  assert.is((await bodyOf(lost)).error.code, 'not_found');
  const wrong = await send('/v1/chat', { method: 'PUT' });
  assert.is(wrong.status, 405);
  assert.is(wrong.headers.get('allow'), 'POST');
  assert.is((await bodyOf(wrong)).error.code, 'method_not_allowed');
});

gate('a refused request reaches no model', async () => {
  const { chat, asked } = buildApp(modelThat(...say('x')), { bodyLimitBytes: 200 });
  const refused: [number, unknown, Record<string, string>?][] = [
    [400, '{'],
    [400, { prompt: ' ' }],
    [404, { prompt: 'x', model: 'nobody.knows' }],
    [404, { prompt: 'x', chat_id: 'unknown' }],
    [413, { prompt: 'x'.repeat(200) }],
    [415, 'prompt=x', { 'content-type': 'application/x-www-form-urlencoded' }],
  ];
  for (const [status, body, headers] of refused) assert.is((await chat(body, headers)).status, status);
  assert.is(asked.length, 0);
});

gate('a model that is not on offer is refused by its field', async () => {
  const { chat, send } = buildApp(modelThat(...say('x')));
  const missing = [chat({ prompt: 'x', model: 'nobody.knows' }), send('/v1/models/nobody.knows')];
  for (const response of await Promise.all(missing)) {
    const { error } = await bodyOf(response);
    assert.equal([error.code, error.param], ['model_not_found', 'model']);
  }
});

gate('what breaks inside is 500 without a word of why, and the log knows where', async () => {
  const { chat, record } = buildApp(() => {
    throw new TypeError('secret prompt');
  });
  const response = await chat({ prompt: 'x' });
  assert.is(response.status, 500);
  assert.not.match(await response.text(), 'secret');
  assert.is(record.code, 'internal_error');
  assert.is(record.cause?.[0], 'TypeError');
  assert.match(record.cause?.[1] ?? '', 'app.test.ts');
  assert.not.match(JSON.stringify(record), 'secret');
});

gate('listed origins get CORS headers, others get none, and a preflight needs no key', async () => {
  const { send } = buildApp(modelThat(), {}, ['https://page.test']);
  const preflight = {
    method: 'OPTIONS',
    headers: {
      origin: 'https://page.test',
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,x-stainless-lang',
    },
  };
  const allowed = await send('/v1/chat', preflight, { caller: undefined });
  assert.is(allowed.status, 204);
  assert.is(allowed.headers.get('access-control-allow-origin'), 'https://page.test');
  assert.is(allowed.headers.get('access-control-allow-headers'), 'authorization,x-stainless-lang');
  assert.is(allowed.headers.get('access-control-allow-credentials'), null);
  const foreign = await send('/health', { headers: { origin: 'https://evil.test' } });
  assert.is(foreign.headers.get('access-control-allow-origin'), null);
});

gate.run();

// ---

const cancels = suite('cancelling over HTTP');

const down = new GatewayError('storage_unavailable', 'Down.');
const broken: RequestRegistry = { open: () => Promise.reject(down), cancel: () => Promise.reject(down) };

cancels('is answered with 202 for a running request, and with the same 404 for any other', async () => {
  const requests = memoryRegistry();
  await requests.open({ tenant: 'alice', requestId: 'r1' }, 1);
  const { send } = buildApp(silent, {}, [], requests);
  const cancel = (id: string) => send(`/v1/requests/${id}`, { method: 'DELETE' });
  const taken = await cancel('r1');
  assert.is(taken.status, 202);
  assert.equal(await bodyOf(taken), { request_id: 'r1', status: 'cancelling' });
  for (const id of ['r1', 'unknown']) {
    const refused = await cancel(id);
    const { error } = await bodyOf(refused);
    assert.equal([refused.status, error.code], [404, 'not_found'], id);
    assert.is(error.message, 'There is no running request with this id.');
  }
});

cancels('no table is asked for what is no id', async () => {
  const { send } = buildApp(silent, {}, [], broken);
  for (const id of ['not%20an%20id', 'r1%23x', 'x'.repeat(129)]) {
    assert.is((await send(`/v1/requests/${id}`, { method: 'DELETE' })).status, 404, id);
  }
});

cancels('is for those who are known, and nothing but DELETE', async () => {
  const { send } = buildApp(silent);
  const anonymous = await send('/v1/requests/r1', { method: 'DELETE' }, { caller: undefined });
  assert.is(anonymous.status, 401);
  const wrong = await send('/v1/requests/r1', { method: 'POST' });
  assert.equal([wrong.status, wrong.headers.get('allow')], [405, 'DELETE']);
});

cancels('a request runs though the tables are down, and says that it cannot be cancelled', async () => {
  const { chat, send } = buildApp(modelThat(...say('Hi')), {}, [], broken);
  for (const stream of [true, false]) {
    const response = await chat({ prompt: 'Hi', stream });
    assert.equal([response.status, response.headers.get('x-cancellable')], [200, 'false']);
    await response.text();
  }
  assert.is((await send('/v1/requests/r1', { method: 'DELETE' })).status, 503);
});

cancels('a caller who chose the id is refused then, since it could be used twice', async () => {
  const { chat, asked } = buildApp(modelThat(...say('Hi')), {}, [], broken);
  const response = await chat({ prompt: 'Hi', request_id: 'r1' });
  assert.equal([response.status, response.headers.get('retry-after')], [503, null]);
  assert.is((await bodyOf(response)).error.code, 'storage_unavailable');
  assert.is(asked.length, 0);
});

cancels('any other failure of the registry is the request’s', async () => {
  const failing: RequestRegistry = {
    ...broken,
    open: () => Promise.reject(new GatewayError('conflict', 'Twice.')),
  };
  const { chat, asked } = buildApp(modelThat(...say('Hi')), {}, [], failing);
  assert.is((await chat({ prompt: 'Hi' })).status, 409);
  assert.is(asked.length, 0);
});

cancels('a request can be cancelled until 5 seconds after its deadline, when its end is told', async () => {
  const untils: number[] = [];
  const noting: RequestRegistry = {
    ...broken,
    open: (key, until) => {
      untils.push(until);
      return memoryRegistry().open(key, until);
    },
  };
  const { chat, clock } = buildApp(modelThat(...say('Hi')), {}, [], noting);
  await chat({ prompt: 'Hi' }, {}, { deadline: clock.now() + 20_000 });
  assert.equal(untils, [clock.now() + 25_000]);
});

cancels('a request that can be cancelled says nothing of it', async () => {
  const { chat } = buildApp(modelThat(...say('Hi')));
  assert.is((await chat({ prompt: 'Hi' })).headers.get('x-cancellable'), null);
});

cancels.run();

const models = suite('GET /v1/models');

models('lists the default first and leaves out wildcards', async () => {
  const { send } = buildApp(modelThat(), {
    defaultModel: 'b.two',
    allowedModels: ['global.a.one', 'b.two', 'c.*'],
    modelCeiling: ['*'],
  });
  assert.equal(await bodyOf(await send('/v1/models')), {
    object: 'list',
    data: [
      { id: 'b.two', object: 'model', created: 0, owned_by: 'b' },
      { id: 'global.a.one', object: 'model', created: 0, owned_by: 'a' },
    ],
  });
});

models('whose id begins with where they run belong to whoever comes next', async () => {
  const ids = ['us-gov.anthropic.claude-x', 'apac.amazon.nova-x', 'global', 'meta.llama-x'];
  const { send } = buildApp(modelThat(), {
    allowedModels: ['*'],
    modelCeiling: ['*'],
    modelAliases: new Map([['fast', 'us.amazon.nova-x']]),
  });
  const ownerOf = async (id: string) => (await bodyOf(await send(`/v1/models/${id}`)))['owned_by'];
  assert.equal(await Promise.all(ids.map(ownerOf)), ['anthropic', 'amazon', 'global', 'meta']);
  const { id, owned_by } = await bodyOf(await send('/v1/models/fast'));
  assert.equal([id, owned_by], ['fast', 'amazon'], 'another name keeps to what was asked');
});

models.run();

// ---

const records = suite('the record of a request');

records('tells how it went and nothing of what was said', async () => {
  const { chat, record } = buildApp(modelThat(...say('canary-answer')));
  await (await chat({ prompt: 'canary-prompt', stream: true })).text();
  await settle();
  assert.equal(record, {
    request_id: 'made-up',
    method: 'POST',
    route: '/v1/chat',
    status: 200,
    stream: true,
    model: 'some-model',
    outcome: 'done',
    stop_reason: 'end_turn',
    input_tokens: usage.inputTokens,
    output_tokens: usage.outputTokens,
    first_event_ms: 0,
    saved: false,
    cache: 'miss',
  });
});

records('names the route and never the path', async () => {
  for (const [path, route] of [
    ['/health', '/health'],
    ['/v1/models?x=canary', '/v1/models'],
    ['/canary', undefined],
  ] as const) {
    const { send, record } = buildApp(modelThat());
    const { status } = await send(path);
    assert.is(record.route, route);
    assert.is(record.status, status);
    assert.is(record.code, route ? undefined : 'not_found');
  }
});

records('names the cause of a failure and quotes nothing of it', async () => {
  const cause = Object.assign(new Error('canary arn:aws:iam::123456789012:role/x'), {
    name: 'AccessDeniedException',
  });
  const { chat, record } = buildApp(modelThat(new GatewayError('upstream_access_denied', 'No.', { cause })));
  const response = await chat({ prompt: 'x' }, {}, { caller: alice });
  assert.is(response.headers.get('x-should-retry'), 'false');
  assert.equal(record.cause, ['AccessDeniedException']);
  assert.is(record.model, 'global.amazon.nova-2-lite-v1:0');
  assert.not.match(JSON.stringify(record) + (await response.text()), /canary|arn:|\d{12}/);
});

records.run();
