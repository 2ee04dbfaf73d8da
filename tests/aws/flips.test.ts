/**
 * Settings flipped a thousand times under load, over real sockets and Powertools: parameters enough for two pages, changed one by one
 * as an operator does, and requests that show which settings they were asked with. Time runs a hundred times as fast.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createLiveSettings } from '../../src/aws/parameters.ts';
import { createParameterReader } from '../../src/aws/ssm.ts';
import type { Clock } from '../../src/chat/clock.ts';
import { createParameterStore } from '../../src/local/ssm/store.ts';
import { buildApp, modelThat, say } from '../helpers/app.ts';

const SPEED = 100;
const FLIPS = 1_000;
const PATH = '/LlmGatewayStack';

const startedAt = Date.now();
const fast: Clock = {
  now: () => startedAt + SPEED * (performance.now() - zero),
  after(ms, run) {
    const timer = setTimeout(run, ms / SPEED);
    return () => clearTimeout(timer);
  },
};
const zero = performance.now();

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Every set has one number in all of its values; the names are far enough apart to lie on two pages. */
const setOf = (version: number): Readonly<Record<string, string>> => ({
  'body-limit-bytes': '5000000',
  'default-max-tokens': String(version),
  'default-stop-sequences': JSON.stringify([`stop ${version}`]),
  'default-temperature': '0.5',
  'default-top-p': '0.5',
  'first-event-timeout-seconds': '60',
  'idle-timeout-seconds': '30',
  'log-level': 'INFO',
  'max-tokens-limit': '32768',
  'model-aliases': '{}',
  'model-quirks': '{}',
  'service-tier': 'flex',
  'system-prompt': `system ${version}`,
});

const flipping = suite('a thousand flips of settings under load');

flipping('no request sees half of one set and half of another', async () => {
  const server = createServer(createParameterStore({ now: fast.now }).handle);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const client = new SSMClient({
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    region: 'us-east-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  });
  const put = (name: string, Value = '') =>
    client.send(new PutParameterCommand({ Name: `${PATH}/${name}`, Value, Type: 'String', Overwrite: true }));
  for (const [name, value] of Object.entries(setOf(1))) await put(name, value);

  const loadSettings = createLiveSettings({
    read: createParameterReader(client, PATH),
    deployed: {},
    maxAgeMs: 1_000,
    clock: fast,
    random: Math.random,
    notify: () => undefined,
    onTaken: () => undefined,
  });
  const { chat, asked } = buildApp(modelThat(...say('Hi')), loadSettings);

  // At this speed a cold start has 50 ms before it is 503, which a busy machine may well take.
  while (
    await loadSettings().then(
      () => false,
      () => true,
    )
  )
    await pause(1);

  let isOver = false;
  const load = async () => {
    while (!isOver) {
      assert.is((await chat({ prompt: 'Hi' })).status, 200);
      await pause(1);
    }
  };
  const loads = Array.from({ length: 4 }, load);
  for (let version = 2; version <= FLIPS + 1; version++) {
    const {
      'default-max-tokens': first,
      'default-stop-sequences': second,
      'system-prompt': third,
    } = setOf(version);
    await put('system-prompt', third);
    await put('default-max-tokens', first);
    await put('default-stop-sequences', second);
    // Now and then long enough for the set to be taken, mostly not.
    if (version % 10 === 0) await pause(60);
  }
  await pause(100);
  isOver = true;
  await Promise.all(loads);

  const versions = asked.map(({ system, inference }) => [
    Number(system[0]?.slice('system '.length)),
    inference.maxTokens,
    Number(inference.stopSequences[0]?.slice('stop '.length)),
  ]);
  for (const [one, two, three] of versions) assert.ok(one === two && two === three, `${one} ${two} ${three}`);
  const seen = new Set(versions.map(([version]) => version));
  assert.ok(seen.size > 10, `${asked.length} requests saw ${seen.size} sets`);
  assert.is(versions.at(-1)?.[0], FLIPS + 1);
  client.destroy();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

flipping.run();
