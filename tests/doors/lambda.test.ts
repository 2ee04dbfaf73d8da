import { EventEmitter } from 'node:events';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { GatewayError } from '../../src/chat/errors.ts';
import type { Edge } from '../../src/doors/edge.ts';
import { createLambdaDoor, type Prelude, type ResponseStream } from '../../src/doors/lambda.ts';
import type { HttpEvent } from '../../src/doors/lambda-event.ts';
import type { RequestRecord } from '../../src/doors/record.ts';
import { buildApp, modelThat, say, silent } from '../helpers/app.ts';
import { functionUrlEvent, restEvent } from '../helpers/lambda-events.ts';
import { createManualClock, settle } from '../helpers/manual-clock.ts';

/** What the runtime gives a streaming function: no `Writable`, and the prelude leaves with the first write only. */
function fakeStream({ isFull = false } = {}) {
  const emitter = new EventEmitter();
  const seen = {
    sent: [] as string[],
    ended: false,
    prelude: undefined as undefined | { statusCode: number; headers: Record<string, string> },
  };
  let metadata: object | undefined;
  const stream: ResponseStream = {
    write(chunk) {
      assert.not.ok(seen.ended, 'a write after the end');
      seen.prelude ??= metadata as NonNullable<typeof seen.prelude>;
      if (chunk.length > 0) seen.sent.push(typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString());
      return !isFull;
    },
    end() {
      seen.ended = true;
    },
    on: (event, listener) => emitter.on(event, listener),
    off: (event, listener) => emitter.off(event, listener),
  };
  const prelude: Prelude = {
    from(given, meta) {
      metadata = meta;
      return given;
    },
  };
  return { stream, prelude, seen, emitter };
}

type Fetch = (request: Request, edge: Edge) => Response | Promise<Response>;

function buildDoor(fetch: Fetch, fake = fakeStream()) {
  const clock = createManualClock();
  const records: RequestRecord[] = [];
  const stopping = new AbortController();
  const door = createLambdaDoor(fake.prelude, () => ({
    app: { fetch },
    clock,
    log: (record) => void records.push({ ...record }),
    newRequestId: () => 'made-up',
    stopping: stopping.signal,
  }));
  const invoke = (event: HttpEvent = restEvent(), remainingMs = 900_000) =>
    door(event, fake.stream, { getRemainingTimeInMillis: () => remainingMs });
  return { ...fake, clock, records, stopping, invoke };
}

const answering = suite('createLambdaDoor');

answering('status, headers and body leave as they are', async () => {
  const { invoke, seen, records } = buildDoor(
    () => new Response('hello', { status: 201, headers: { 'x-one': '1' } }),
  );
  await invoke();
  assert.is(seen.prelude?.statusCode, 201);
  assert.is(seen.prelude?.headers['x-one'], '1');
  assert.equal(seen.sent, ['hello']);
  assert.ok(seen.ended);
  assert.is(records.length, 1);
});

answering('the prelude leaves although the body is empty', async () => {
  for (const body of [null, '', new ReadableStream({ start: (controller) => controller.close() })]) {
    const { invoke, seen } = buildDoor(() => new Response(body, { status: 202 }));
    await invoke();
    assert.is(seen.prelude?.statusCode, 202);
    assert.ok(seen.ended);
  }
});

answering('the prelude leaves before the body begins', async () => {
  const { invoke, seen } = buildDoor(() => new Response(new ReadableStream({ start: () => {} })));
  void invoke();
  await settle();
  assert.is(seen.prelude?.statusCode, 200);
  assert.not.ok(seen.ended);
});

answering(
  'the caller, the deadline and the signal come from the event, the context and the stream',
  async () => {
    let seenEdge: Edge | undefined;
    const { invoke, clock } = buildDoor((_request, edge) => {
      seenEdge = edge;
      return new Response('');
    });
    await invoke(restEvent(), 60_000);
    assert.equal(seenEdge?.caller, { tenant: 'alice', kind: 'api-key', door: 'rest' });
    assert.is(seenEdge?.deadline, clock.now() + 55_000);
    assert.is(seenEdge?.signal.aborted, false);
  },
);

answering('a Function URL’s event is its own door, with its own caller', async () => {
  let seenEdge: Edge | undefined;
  const { invoke, records } = buildDoor((_request, edge) => {
    seenEdge = edge;
    return new Response('');
  });
  await invoke(functionUrlEvent());
  const tenant = 'arn:aws:iam::123456789012:user/bob';
  assert.is(seenEdge?.door, 'function-url');
  assert.equal(seenEdge?.caller, { tenant, kind: 'iam', door: 'function-url' });
  assert.is(records[0]?.door, 'function-url');
  assert.is(records[0]?.tenant, 'user/bob', 'no account in the log');
  assert.is(records[0]?.method, 'POST');
});

answering('a method that no request can carry is 405 in the envelope', async () => {
  for (const httpMethod of ['TRACE', 'CONNECT', 'bad method']) {
    const { invoke, seen } = buildDoor(() => new Response('unreachable'));
    await invoke(restEvent({ httpMethod }));
    assert.is(seen.prelude?.statusCode, 405);
    assert.is(seen.prelude?.headers['allow'], 'GET, POST, DELETE');
    assert.is(JSON.parse(seen.sent.join('')).error.code, 'method_not_allowed');
    assert.is(seen.prelude?.headers['x-request-id'], 'made-up');
  }
});

answering('an app that throws is 500 in the envelope and one line in the log', async () => {
  const { invoke, seen, records } = buildDoor(() => Promise.reject(new Error('secret')));
  await invoke();
  assert.is(seen.prelude?.statusCode, 500);
  assert.not.match(seen.sent.join(''), 'secret');
  assert.is(records[0]?.code, 'internal_error');
  assert.is(records[0]?.status, 500);
});

answering('a body that breaks ends the response and neither rejects nor adds text', async () => {
  const { invoke, seen } = buildDoor(
    () => new Response(new ReadableStream({ start: (controller) => controller.error(new Error('secret')) })),
  );
  await invoke();
  assert.is(seen.prelude?.statusCode, 200);
  assert.equal(seen.sent, []);
  assert.ok(seen.ended);
});

answering.run();

// ---

const pacing = suite('readers');

function endless() {
  const seen = { pulled: 0, cancelled: false };
  const body = new ReadableStream({
    pull(controller) {
      seen.pulled++;
      controller.enqueue(new Uint8Array(10));
    },
    cancel() {
      seen.cancelled = true;
    },
  });
  return { body, seen };
}

pacing('a slow reader is waited for', async () => {
  const { body, seen: source } = endless();
  const { invoke, emitter } = buildDoor(() => new Response(body), fakeStream({ isFull: true }));
  void invoke();
  await settle(20);
  const before = source.pulled;
  assert.ok(before < 5, `${before} pulled`);
  emitter.emit('drain');
  await settle(20);
  assert.is(source.pulled, before + 1);
});

pacing('a reader who leaves is not written to any more, and the body is called off', async () => {
  const { body, seen: source } = endless();
  const { invoke, emitter, seen } = buildDoor(() => new Response(body), fakeStream({ isFull: true }));
  const over = invoke();
  await settle();
  emitter.emit('close');
  await over;
  assert.ok(source.cancelled);
  assert.ok(seen.ended);
  assert.is(emitter.listenerCount('drain'), 0);
});

pacing('a reader who has left before the answer gets nothing of it', async () => {
  const { body, seen: source } = endless();
  const fake = fakeStream();
  const { invoke, seen } = buildDoor(async () => {
    fake.emitter.emit('close');
    return new Response(body);
  }, fake);
  await invoke();
  assert.equal([seen.sent, seen.ended], [[], true]);
  assert.ok(source.cancelled);
});

pacing('a body that says nothing is called off too, and its end is waited for', async () => {
  let settleBody = () => {};
  const body = new ReadableStream({
    cancel: () => new Promise<void>((resolve) => (settleBody = resolve)),
  });
  const { invoke, emitter, seen } = buildDoor(() => new Response(body));
  let isOver = false;
  const over = invoke().then(() => (isOver = true));
  await settle();
  emitter.emit('close');
  await settle();
  assert.equal([seen.ended, isOver], [true, false]);
  settleBody();
  await over;
});

pacing('a reader who does not read for a minute is given up', async () => {
  const { body, seen: source } = endless();
  const { invoke, clock, seen } = buildDoor(() => new Response(body), fakeStream({ isFull: true }));
  const over = invoke();
  await settle();
  await clock.advance(59_000);
  assert.not.ok(seen.ended);
  await clock.advance(1_000);
  await over;
  assert.ok(source.cancelled);
});

pacing('a reader who leaves while the model is silent calls it off', async () => {
  let aborted = false;
  const { app } = buildApp(async function* (_request, signal) {
    signal.addEventListener('abort', () => (aborted = true));
    yield* say().slice(0, 1);
    await new Promise(() => {});
  });
  const { invoke, emitter, records } = buildDoor((request, edge) => app.fetch(request, edge));
  const over = invoke(restEvent({ body: '{"prompt":"Hi","stream":true}' }));
  await settle();
  emitter.emit('close');
  await over;
  assert.ok(aborted);
  assert.is(records[0]?.outcome, 'cancelled');
});

pacing('a reader who leaves before the first event calls the model off too', async () => {
  let aborted = false;
  const { app } = buildApp((request, signal) => {
    signal.addEventListener('abort', () => (aborted = true));
    return silent(request, signal);
  });
  for (const stream of [true, false]) {
    aborted = false;
    const { invoke, emitter } = buildDoor((request, edge) => app.fetch(request, edge));
    const over = invoke(restEvent({ body: JSON.stringify({ prompt: 'Hi', stream }) }));
    await settle();
    emitter.emit('close');
    await over;
    assert.ok(aborted, `stream: ${stream}`);
  }
});

pacing('a gateway that stops ends running answers with its reason', async () => {
  const { app } = buildApp(async function* () {
    yield* say('A ').slice(0, 2);
    await new Promise(() => {});
  });
  const { invoke, stopping, seen } = buildDoor((request, edge) => app.fetch(request, edge));
  const over = invoke(restEvent({ body: '{"prompt":"Hi","stream":true}' }));
  await settle();
  stopping.abort(new GatewayError('overloaded', 'The gateway is stopping.'));
  await over;
  assert.match(seen.sent.join(''), /event: delta\n.*event: error\ndata: \{"error":\{"code":"overloaded"/s);
});

pacing('an answer ends 5 seconds before the function would', async () => {
  const { app, clock: appClock } = buildApp(async function* () {
    yield* say('A ').slice(0, 2);
    await new Promise(() => {});
  });
  const { invoke, seen } = buildDoor((request, edge) => app.fetch(request, edge));
  const over = invoke(restEvent({ body: '{"prompt":"Hi","stream":true}' }), 20_000);
  await settle();
  await appClock.advance(15_000);
  await over;
  assert.match(seen.sent.join(''), 'deadline_exceeded');
});

pacing.run();

// ---

const joining = suite('the door and the app');

joining('a request through the whole app is answered', async () => {
  const { app } = buildApp(modelThat(...say('A cage.')));
  const { invoke, seen } = buildDoor((request, edge) => app.fetch(request, edge));
  await invoke();
  assert.is(JSON.parse(seen.sent.join('')).completion, 'A cage.');
});

joining('a Function URL’s event without an identity is 401, before anything is read', async () => {
  const { app, asked } = buildApp(modelThat(...say('A cage.')));
  const { invoke, seen } = buildDoor((request, edge) => app.fetch(request, edge));
  await invoke(functionUrlEvent({ body: '{' }, null));
  assert.is(seen.prelude?.statusCode, 401);
  assert.match(JSON.parse(seen.sent.join('')).error.message, 'Signature Version 4');
  assert.is(asked.length, 0);
});

joining('CORS headers are the app’s on the REST door and the platform’s on the Function URL', async () => {
  const origin = 'https://page.test';
  const { app } = buildApp(modelThat(...say('A cage.')), {}, [origin]);
  const allowedOrigin = async (event: HttpEvent) => {
    const { invoke, seen } = buildDoor((request, edge) => app.fetch(request, edge));
    await invoke(event);
    assert.is(seen.prelude?.statusCode, 200);
    return seen.prelude?.headers['access-control-allow-origin'];
  };
  const type = 'application/json';
  const multiValueHeaders = { 'content-type': [type], origin: [origin] };
  assert.is(await allowedOrigin(restEvent({ multiValueHeaders })), origin);
  assert.is(await allowedOrigin(functionUrlEvent({ headers: { 'content-type': type, origin } })), undefined);
});

joining.run();
