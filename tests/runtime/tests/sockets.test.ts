/** What the WebSocket's functions and the authorizer reply, and what all of them write to the log. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Envelope } from '../../../src/doors/envelope.ts';
import { openSocket } from '../../helpers/clients.ts';
import { people, until } from '../../helpers/gateway.ts';
import { type RuntimeGateway, startRuntime } from '../gateway.ts';
import { readWrites } from '../replies.ts';
import { FunctionError } from '../runtime-api.ts';
import { ORIGIN } from '../stage.ts';

const inGateway = (test: (gateway: RuntimeGateway) => Promise<void>) => async () => {
  const gateway = await startRuntime({ door: 'websocket' });
  try {
    await test(gateway);
  } finally {
    await gateway.close();
  }
};

const socketEvent = (eventType: string, identity: object, rest: object = {}) => ({
  requestContext: {
    eventType,
    routeKey: `$${eventType.toLowerCase()}`,
    connectionId: 'c1=',
    connectedAt: Date.now(),
    requestId: 'e1=',
    identity,
  },
  ...rest,
});

const alice = { apiKeyId: 'alice' };
const offer = { 'Sec-WebSocket-Protocol': `llm-gateway, llm-gateway.key.${people.alice.key}` };

const sockets = suite('the functions behind the WebSocket');

sockets(
  '$connect is accepted or refused with its status, in one piece',
  inGateway(async ({ functions: { websocket } }) => {
    const connect = (identity: object, headers: object) =>
      websocket.call(socketEvent('CONNECT', identity, { headers }));
    assert.equal(await connect(alice, offer), {
      statusCode: 200,
      headers: { 'Sec-WebSocket-Protocol': 'llm-gateway' },
    });
    assert.equal(await connect(alice, { Origin: ORIGIN }), { statusCode: 200 });
    assert.equal(await connect(alice, { Origin: 'https://evil.example' }), { statusCode: 403 });
    assert.equal(await connect({}, offer), { statusCode: 401 });
    assert.equal(await websocket.call(socketEvent('DISCONNECT', {})), { statusCode: 200 });
    const reply = await websocket.invoke(socketEvent('DISCONNECT', {}));
    assert.equal([reply.isStreamed, reply.contentType], [false, 'application/json']);
    assert.equal(await readWrites(reply), ['{"statusCode":200}']);
  }),
);

sockets(
  'a handshake without a key is refused, and one with it is let in and told of its end',
  inGateway(async ({ socketUrl, records }) => {
    const refused = await openSocket(socketUrl, { key: '' }).catch((error: Error) => error.message);
    assert.is(refused, 'The handshake was refused.');
    const { socket, next } = await openSocket(socketUrl, people.alice);
    assert.is(socket.protocol, 'llm-gateway');
    socket.send('{"action":"ping"}');
    assert.equal(await next(), { type: 'pong' });
    socket.close();
    await until(() => records.some(({ method }) => method === 'DISCONNECT'));
    assert.equal(
      records.map(({ method, status }) => [method, status]),
      [
        ['CONNECT', 200],
        ['MESSAGE', 200],
        ['DISCONNECT', undefined],
      ],
    );
  }),
);

sockets(
  'the worker streams the frames of a job once, however often it is delivered',
  inGateway(async ({ functions: { worker }, socketUrl, jobs, ledger, records }) => {
    const { socket, next } = await openSocket(socketUrl, people.alice);
    socket.send('{"action":"chat","prompt":"ECHO one two three","request_id":"r1"}');
    const frames = [await next()];
    while (frames.at(-1)?.type !== 'done') frames.push(await next());
    assert.equal(
      frames.map(({ seq }) => seq),
      frames.map((_, index) => index),
    );
    assert.is(frames.map(({ text = '' }) => text).join(''), 'one two three');
    assert.equal(jobs.length, 1);
    assert.equal(Object.keys(jobs[0] as object), ['tenant', 'requestId', 'connectionId']);
    await worker.settle();
    assert.is(await worker.call(jobs[0]), null);
    socket.send('{"action":"ping"}');
    assert.equal(await next(), { type: 'pong' });
    assert.is(ledger.opened, 1);
    assert.is(records.filter(({ method }) => method === 'WORK').length, 2);
    socket.close();
  }),
);

sockets(
  'a worker whose process dies in mid-answer leaves a client who is told',
  inGateway(async ({ functions: { worker }, socketUrl, ledger, records }) => {
    const { socket, next } = await openSocket(socketUrl, people.alice);
    socket.send('{"action":"chat","prompt":"Hi","model":"simulator.stall-mid-stream","request_id":"r1"}');
    assert.is((await next()).type, 'start');
    for (const environment of worker.environments) environment.stop('Runtime.OutOfMemory');
    let frame = await next();
    while (frame.type === 'delta') frame = await next();
    assert.is((frame['error'] as Envelope['error']).code, 'internal_error');
    await until(() => ledger.closedEarly === 1);
    await until(() => records.some(({ method }) => method === 'FAILED_WORK'));
    const { cause } = records.find(({ method }) => method === 'FAILED_WORK') ?? {};
    assert.equal(cause, ['RetriesExhausted', 'Runtime.OutOfMemory']);
    socket.close();
  }),
);

sockets.run();

// ---

const finding = suite('the authorizer');

finding(
  'hands on the key wherever it is, and says Unauthorized where there is none',
  inGateway(async ({ functions: { authorizer: keyFinder } }) => {
    const { key } = people.alice;
    const ask = (headers: object) => keyFinder.call({ type: 'REQUEST', methodArn: 'arn:x', headers });
    for (const headers of [{ 'x-api-key': key }, { Authorization: `Bearer ${key}` }, offer]) {
      const { usageIdentifierKey } = (await ask(headers)) as Record<string, unknown>;
      assert.is(usageIdentifierKey, key);
    }
    const refusal = await ask({}).catch((error: unknown) => error);
    assert.ok(refusal instanceof FunctionError);
    assert.is(refusal.message, 'Unauthorized');
    assert.is(keyFinder.environments.length, 1);
  }),
);

finding.run();

// ---

const log = suite('the log');

log(
  'holds no prompt, no answer and no key, whatever comes in by which door',
  inGateway(async (gateway) => {
    const { key } = people.alice;
    const [prompt, answer] = ['Nachtigall', 'Trapsen'];
    const body = { prompt: `ECHO ${answer} ${prompt}`, system: prompt, stream: true };
    await gateway.ask({ ...body, request_id: 'r1' });
    await gateway.ask({ ...body, model: 'simulator.rejected-mid-stream' });
    await gateway.ask({ ...body, [prompt]: 1 });
    await (await gateway.chat(body)).text();
    const refused = await gateway.chat({ ...body, temperature: prompt });
    assert.is(((await refused.json()) as Envelope).error.code, 'invalid_request');
    await gateway.send('/v1/chat', { headers: { authorization: '' }, method: 'POST', body: `{${prompt}` });
    const { functions, lines } = gateway;
    await functions.authorizer.call({ headers: { cookie: key } }).catch(() => undefined);
    await Promise.all(Object.values(functions).map(({ settle }) => settle()));
    assert.ok(lines.filter((line) => line.includes('"message":"request"')).length >= 10);
    for (const secret of [prompt, answer, key]) assert.not.match(lines.join('\n'), secret);
  }),
);

log.run();
