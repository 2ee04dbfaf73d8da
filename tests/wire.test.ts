/**
 * What only the joined gateway shows: its own transport to Bedrock, and what it takes from the environment.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../src/wire.ts';
import { startBytesServer } from './helpers/bytes-server.ts';
import { shortAnswer } from './helpers/frames.ts';
import { chat, KEY, start, stop } from './helpers/process.ts';

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

wiring('a time that is up already is waited for without a word', async () => {
  const warnings: string[] = [];
  const note = ({ name }: Error) => void warnings.push(name);
  process.on('warning', note);
  await new Promise<void>((resolve) => systemClock.after(-5, resolve));
  process.off('warning', note);
  assert.equal(warnings, []);
});

wiring.run();
