/**
 * Settings flipped a thousand times under load, over real sockets and Powertools: parameters enough for two pages, changed one by one
 * as an operator does, and requests that show which settings they were asked with. Time passes when the test says so, whatever the
 * machine is doing.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createLiveSettings } from '../../src/aws/parameters.ts';
import { createParameterReader } from '../../src/aws/ssm.ts';
import { createParameterStore } from '../../src/local/ssm/store.ts';
import { buildApp, modelThat, say } from '../helpers/app.ts';
import { createManualClock } from '../helpers/manual-clock.ts';

const FLIPS = 1_000;
const PATH = '/LlmGatewayStack';

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
  const clock = createManualClock();
  const server = createServer(createParameterStore({ now: clock.now }).handle);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const client = new SSMClient({
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    region: 'us-east-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  });
  const put = (name: string, Value = '') =>
    client.send(new PutParameterCommand({ Name: `${PATH}/${name}`, Value, Type: 'String', Overwrite: true }));
  for (const [name, value] of Object.entries(setOf(1))) await put(name, value);

  const { load: loadSettings } = createLiveSettings({
    read: createParameterReader(client, PATH),
    deployed: {},
    maxAgeMs: 1_000,
    clock,
    random: Math.random,
    notify: () => undefined,
    onTaken: () => undefined,
  });
  const { chat, asked } = buildApp(modelThat(...say('Hi')), loadSettings);

  const coldStart = loadSettings();
  for (let isCold = true; isCold; await clock.advance(100))
    isCold = (await Promise.race([coldStart, pause(1)])) === undefined;

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
    for (const [name, value] of [
      ['system-prompt', third],
      ['default-max-tokens', first],
      ['default-stop-sequences', second],
    ] as const) {
      await put(name, value);
      await clock.advance(300);
    }
    // Now and then long enough for the set to be taken, mostly not.
    for (let ms = version % 10 === 0 ? 4_000 : 500; ms > 0; ms -= 500) {
      await pause(1);
      await clock.advance(500);
    }
  }
  for (let ms = 0; ms < 10_000; ms += 500) {
    await pause(5);
    await clock.advance(500);
  }
  isOver = true;
  await Promise.all(loads);

  const versions = asked.map(({ system, inference }) => [
    Number(String(system[0]).slice('system '.length)),
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
