/** A running gateway and its settings: the process that `npm start` starts, and a Parameter Store beside it. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { startParameterStore, type TestStore } from '../helpers/parameter-store.ts';
import { chat, type Running, start, stop } from '../helpers/process.ts';

type Answer = {
  readonly status: number;
  readonly code?: string;
  readonly tokens?: number;
  readonly retryAfter: string | null;
};

const ECHO = 'ECHO one two three four five six seven eight nine ten eleven twelve';

async function ask({ url }: Running): Promise<Answer> {
  const response = await chat(url, { prompt: ECHO });
  const body = (await response.json()) as { error?: { code: string }; usage?: { output_tokens: number } };
  const retryAfter = response.headers.get('retry-after');
  if (body.error) return { status: response.status, code: body.error.code, retryAfter };
  return { status: response.status, tokens: body.usage?.output_tokens ?? 0, retryAfter };
}

/** Asks again and again until the answer is as it should be; the file's time limit ends it when it never is. */
async function askUntil(running: Running, isSo: (answer: Answer) => boolean): Promise<Answer> {
  for (;;) {
    const answer = await ask(running);
    if (isSo(answer)) return answer;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function withGateway(run: (running: Running, store: TestStore) => Promise<void>, isDown = false) {
  const store = await startParameterStore();
  if (isDown) await store.stop();
  const running = await start({ AWS_ENDPOINT_URL_SSM: store.url, SETTINGS_MAX_AGE_SECONDS: '1' });
  try {
    await run(running, store);
  } finally {
    await stop(running);
    await store.stop();
  }
}

const linesOf = (running: Running, message: string) =>
  running
    .output()
    .split('\n')
    .filter((line) => line.includes(`"message":"${message}"`))
    .map((line) => JSON.parse(line));

const retuning = suite('a running gateway');

retuning('answers by a setting soon after it was changed, and says which it took', () =>
  withGateway(async (running, store) => {
    assert.ok((await ask(running)).tokens !== 4);
    await store.set({ 'default-max-tokens': '4' });
    await askUntil(running, ({ tokens }) => tokens === 4);
    assert.equal(linesOf(running, 'settings taken').at(-1).changed, ['default-max-tokens']);
  }),
);

retuning('keeps its settings when one of five that changed is bad, and logs that one by name', () =>
  withGateway(async (running, store) => {
    await ask(running);
    await store.set({
      'default-max-tokens': '4',
      'max-tokens-limit': '20',
      'system-prompt': 'secret-prompt',
      'default-temperature': 'secret-value',
      'idle-timeout-seconds': '9',
    });
    await askUntil(running, () => linesOf(running, 'settings refused').length > 0);
    const [refused] = linesOf(running, 'settings refused');
    assert.equal(refused.settings, ['default-temperature']);
    assert.equal(refused.problems, ['default-temperature must be a number from 0 to 1.']);
    assert.is(linesOf(running, 'metrics').find((line) => 'SettingsRefused' in line)?.SettingsRefused, 1);
    assert.ok((await ask(running)).tokens !== 4);
    assert.not.match(running.output(), 'secret');
    await store.set({ 'default-temperature': '0.5' });
    await askUntil(running, ({ tokens }) => tokens === 4);
  }),
);

retuning('goes on with its settings when Parameter Store is gone', () =>
  withGateway(async (running, store) => {
    await store.set({ 'default-max-tokens': '4' });
    assert.is((await ask(running)).tokens, 4);
    await store.stop();
    await askUntil(running, () => linesOf(running, 'settings unreadable').length > 0);
    for (let n = 0; n < 5; n++) assert.is((await ask(running)).tokens, 4);
    assert.ok(linesOf(running, 'metrics').some((line) => line['SettingsUnreadable'] === 1));
    await store.start();
    await store.set({ 'default-max-tokens': '5' });
    await askUntil(running, ({ tokens }) => tokens === 5);
  }),
);

retuning('that finds none at its start answers 503 config_unavailable, and recovers by itself', () =>
  withGateway(async (running, store) => {
    assert.equal(await ask(running), { status: 503, code: 'config_unavailable', retryAfter: '5' });
    assert.is((await fetch(`${running.url}/health`)).status, 200);
    await store.start();
    await askUntil(running, ({ status }) => status === 200);
  }, true),
);

retuning('that finds bad ones at its start answers 503 config_invalid until they are mended', () =>
  withGateway(async (running, store) => {
    await store.start();
    await store.set({ 'max-tokens-limit': '-1' });
    assert.is((await ask(running)).code, 'config_invalid');
    await store.set({ 'max-tokens-limit': '30' });
    await askUntil(running, ({ status }) => status === 200);
  }, true),
);

retuning('logs what log-level lets through', () =>
  withGateway(async (running, store) => {
    await store.set({ 'log-level': 'ERROR' });
    for (let n = 0; n < 3; n++) assert.is((await ask(running)).status, 200);
    // An error that comes after them shows that their lines would be here by now.
    await store.set({ 'idle-timeout-seconds': 'x' });
    await askUntil(running, () => linesOf(running, 'settings refused').length > 0);
    assert.is(linesOf(running, 'request').length, 0);
    await store.set({ 'log-level': 'INFO', 'idle-timeout-seconds': '30' });
    await askUntil(running, () => linesOf(running, 'request').length > 0);
  }),
);

retuning.run();
