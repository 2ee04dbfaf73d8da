/**
 * What only the joined gateway shows: its own transport to Bedrock, and what it takes from the environment.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../src/wire.ts';
import { startBytesServer } from './helpers/bytes-server.ts';
import { openSocket } from './helpers/clients.ts';
import { startDynamoDb } from './helpers/dynamodb.ts';
import { readMetrics, sumsOf } from './helpers/emf.ts';
import { shortAnswer } from './helpers/frames.ts';
import { until } from './helpers/gateway.ts';
import { startParameterStore } from './helpers/parameter-store.ts';
import { chat, KEY, type Running, start, stop } from './helpers/process.ts';

/** A server whose queue of connections is full: the kernel answers no more of them, and the server never looks. */
async function startDeafServer(): Promise<{ url: string; close(): void }> {
  const source = `const server = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
    process.stdout.write(String(server.address().port), () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));
  });`;
  const child: ChildProcess = spawn(process.execPath, ['-e', source], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const port = await new Promise<number>((resolve) =>
    child.stdout?.once('data', (text) => resolve(Number(text))),
  );
  const fillers: Socket[] = Array.from({ length: 8 }, () => connect(port, '127.0.0.1').on('error', () => {}));
  return {
    url: `http://127.0.0.1:${port}`,
    close() {
      for (const filler of fillers) filler.destroy();
      child.kill('SIGKILL');
    },
  };
}

const wiring = suite('the joined gateway');

wiring('a Bedrock that does not take the connection is given up after 3 seconds, three times', async () => {
  const deaf = await startDeafServer();
  const running = await start({ AWS_ENDPOINT_URL_BEDROCK_RUNTIME: deaf.url });
  const response = await chat(running.url, { prompt: 'Hi' });
  assert.is(response.status, 502);
  assert.match(await response.text(), '"code":"upstream_unreachable"');
  await stop(running);
  deaf.close();
});

wiring('one connection to Bedrock serves one request after the other', async () => {
  const server = await startBytesServer();
  server.script = { pieces: shortAnswer, end: 'whole' };
  const running = await start({ AWS_ENDPOINT_URL_BEDROCK_RUNTIME: server.url });
  for (let count = 0; count < 4; count++) assert.is((await chat(running.url, { prompt: 'Hi' })).status, 200);
  assert.is(server.connections, 1);
  await stop(running);
  await server.close();
});

wiring('DEFAULT_MODEL, ALLOWED_MODELS and ALLOWED_ORIGINS are taken from the environment', async () => {
  const running = await start({
    DEFAULT_MODEL: 'simulator.one',
    ALLOWED_MODELS: ' simulator.one , simulator.t* ',
    ALLOWED_ORIGINS: 'https://page.test',
  });
  const headers = { 'x-api-key': KEY, origin: 'https://page.test' };
  const models = await fetch(`${running.url}/v1/models`, { headers });
  assert.is(models.headers.get('access-control-allow-origin'), 'https://page.test');
  assert.equal(
    ((await models.json()) as { data: { id: string }[] }).data.map(({ id }) => id),
    ['simulator.one'],
  );
  assert.is((await chat(running.url, { prompt: 'ECHO hi', model: 'simulator.two' })).status, 200);
  assert.is((await chat(running.url, { prompt: 'ECHO hi', model: 'simulator.x' })).status, 404);
  await stop(running);
});

wiring('a question in other words is looked for in the index that stands in for OpenSearch', async () => {
  const store = await startParameterStore();
  await store.set({ 'similar-answers': 'on' });
  const running = await start({ AWS_ENDPOINT_URL_SSM: store.url });
  const cachedOf = async (prompt: string) =>
    ((await (await chat(running.url, { prompt })).json()) as { cached: unknown }).cached;
  assert.is(await cachedOf('What is a Faraday cage?'), false);
  assert.is(await cachedOf('Explain what a Faraday cage is.'), 'similar');
  assert.is(await cachedOf('What is a Faraday motor?'), false);
  await stop(running);
  await store.stop();
});

wiring('a time that is up already is waited for without a word', async () => {
  const warnings: string[] = [];
  const note = ({ name }: Error) => void warnings.push(name);
  process.on('warning', note);
  await new Promise<void>((resolve) => systemClock.after(-5, resolve));
  process.off('warning', note);
  assert.equal(warnings, []);
});

wiring.run();

// ---

const linesOf = (running: Running, message: string) =>
  running
    .output()
    .split('\n')
    .filter((line) => line.includes(`"message":"${message}"`));

const sums = (running: Running) => sumsOf(linesOf(running, 'metrics').flatMap(readMetrics));

const measuring = suite('the metrics of the joined gateway');

measuring(
  'are written whatever log-level says, one line for a request, and quote nothing of it',
  async () => {
    const store = await startParameterStore();
    await store.set({ 'log-level': 'ERROR' });
    const running = await start({ AWS_ENDPOINT_URL_SSM: store.url });
    const ask = async (body: object) => await (await chat(running.url, body)).text();
    const canary = { prompt: 'ECHO canary-prompt', request_id: 'canary-id' };
    await ask(canary);
    await ask({ ...canary, request_id: 'canary-id-2' });
    await ask({ prompt: 'Hi', request_id: 'canary/' });
    await ask({ prompt: 'Hi', model: 'simulator.end-mid-stream' });
    await fetch(`${running.url}/health`);
    await fetch(`${running.url}/v1/models`, { headers: { 'x-api-key': KEY } });
    await fetch(`${running.url}/nowhere`, { headers: { 'x-api-key': KEY } });
    const { socket, next } = await openSocket(running.socketUrl, { key: KEY });
    socket.send(JSON.stringify({ action: 'chat', prompt: 'ECHO canary-prompt one', request_id: 'canary-3' }));
    while ((await next()).type !== 'done');
    await until(() => sums(running)['Requests'] === 5);
    socket.close();
    await stop(running);
    await store.stop();
    assert.equal(linesOf(running, 'request'), []);
    assert.is(linesOf(running, 'metrics').length, 6);
    assert.not.match(running.output(), /canary-(prompt|id|3)|"tenant"|"request_id"|"alice"/);
    const { FirstEventMs, TotalMs, ...counted } = sums(running);
    assert.ok(Number(TotalMs) >= Number(FirstEventMs) && Number(FirstEventMs) >= 0);
    const expected = {
      Requests: 5,
      'Requests Door=rest': 4,
      'Requests Door=websocket': 1,
      CacheHits: 1,
      'CacheHits Door=rest': 1,
      Errors: 3,
      'Errors Code=invalid_request': 1,
      'Errors Code=upstream_truncated': 1,
      'Errors Code=not_found': 1,
      Faults: 1,
    };
    for (const [name, count] of Object.entries(expected)) assert.is(counted[name], count, name);
    assert.is(counted['Cancelled'], undefined);
    assert.type(counted['SettingsAgeSeconds'], 'number');
  },
);

measuring('count what goes wrong unseen, though the lines that say so are not let through', async () => {
  const store = await startParameterStore();
  await store.set({ 'log-level': 'ERROR' });
  let isDown = false;
  const database = await startDynamoDb({
    fault: (_, input) =>
      isDown && JSON.stringify(input).includes('-answers') ? { type: 'down' } : undefined,
  });
  const running = await start({
    AWS_ENDPOINT_URL_SSM: store.url,
    AWS_ENDPOINT_URL_DYNAMODB: database.url,
  });
  isDown = true;
  assert.is((await chat(running.url, { prompt: 'ECHO Hi' })).status, 200);
  await until(() => sums(running)['CacheUnavailable'] !== undefined);
  await stop(running);
  await Promise.all([store.stop(), database.close()]);
  assert.not.match(running.output(), 'answer cache passed by');
});

measuring('count a search that cannot be reached, and answer without it', async () => {
  const store = await startParameterStore();
  await store.set({ 'similar-answers': 'on' });
  const running = await start({
    AWS_ENDPOINT_URL_SSM: store.url,
    AWS_ENDPOINT_URL_OPENSEARCH: 'http://127.0.0.1:1',
  });
  assert.is((await chat(running.url, { prompt: 'ECHO Hi' })).status, 200);
  await until(() => sums(running)['SimilarUnavailable'] !== undefined);
  await stop(running);
  await store.stop();
  assert.match(running.output(), 'similar questions not searched');
});

measuring.run();
