/** Similar answers on the laptop: `npm start` as a user runs it, with an index of its own. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createOpenSearch, type OpenSearchError } from '../../../src/aws/opensearch.ts';
import { toCuratedEntry } from '../../../src/chat/similarity.ts';
import { indexPath } from '../../../src/local/options.ts';
import { until } from '../../helpers/gateway.ts';
import { startOpenSearch } from '../../helpers/opensearch.ts';
import { ACCESS_KEY, chat, type Running, runScript, start, stop } from '../../helpers/process.ts';
import { rejectionOf } from '../../helpers/rejects.ts';

const never = new AbortController().signal;

/** The index of a gateway that has told where it is. */
function indexOf(output: string, accessKeyId = 'local', secretAccessKey = 'local') {
  const [, endpoint = ''] = /Search .*(http:\S+);/.exec(output) ?? [];
  const credentials = async () => ({ accessKeyId, secretAccessKey });
  return createOpenSearch({ endpoint, index: 'questions', credentials, region: 'us-east-1' });
}

/** A gateway that keeps what it has, in a folder. */
async function startIn(cwd: string) {
  const child = spawn(process.execPath, [resolve('src/local/start.ts')], {
    cwd,
    env: { PATH: process.env['PATH'], PORT: '0', FUNCTION_URL_PORT: '0', AWS_PORT: '0' },
  });
  let output = '';
  child.stdout.on('data', (text) => (output += text));
  child.stderr.on('data', (text) => (output += text));
  await until(() => output.includes('Ctrl-C stops') || child.exitCode !== null);
  const stop = () =>
    new Promise((done) => {
      child.once('exit', done);
      child.kill('SIGTERM');
    });
  return { output: () => output, stop };
}

async function disposable() {
  const server = await startOpenSearch();
  return { ...server, [Symbol.asyncDispose]: server.close };
}

const starting = suite('similar answers on the laptop');

/** Whether a question is ever answered as another. A machine that is busy may be too late for the first ones. */
async function isAnsweredSimilarly(running: Running): Promise<boolean> {
  const [, port = ''] = /Settings .*:(\d+);/.exec(running.output()) ?? [];
  const values = ['similar-answers=on', 'similar-threshold=0.6'];
  const { code } = await runScript('scripts/settings.ts', ['set', ...values], { AWS_PORT: port });
  assert.is(code, 0);
  for (const word of ['a', 'the', 'any', 'some', 'every']) {
    const response = await chat(running.url, { prompt: `ECHO what is ${word} Faraday cage made of` });
    const { cached } = (await response.json()) as { readonly cached: unknown };
    if (cached === 'similar') return true;
  }
  return false;
}

starting('come from the built-in index, whatever the deployment has', async () => {
  await using deployed = await disposable();
  const running = await start({ OPENSEARCH_DOMAIN_ENDPOINT: deployed.url });
  assert.match(
    running.output(),
    /Search +built in, at http:\/\/127\.0\.0\.1:\d+\/opensearch; similar answers/,
  );
  assert.ok(await isAnsweredSimilarly(running));
  await stop(running);
  assert.equal(deployed.calls, []);
});

starting('come from another index where AWS_ENDPOINT_URL_OPENSEARCH names one', async () => {
  await using other = await disposable();
  const running = await start({
    AWS_ENDPOINT_URL_OPENSEARCH: other.url,
    AWS_ACCESS_KEY_ID: 'AKIASEARCH',
    AWS_SECRET_ACCESS_KEY: 'of the search',
  });
  assert.match(running.output(), `the server, at ${other.url}; similar answers`);
  assert.ok(await isAnsweredSimilarly(running));
  await stop(running);
  assert.ok(other.calls.includes('PUT /llmgatewaystack-questions-titan-v2'));
});

starting('are found in the built-in index by whoever signs as nobody in particular', async () => {
  const credentials = { AWS_ACCESS_KEY_ID: 'AKIAREAL', AWS_SECRET_ACCESS_KEY: 'of the account' };
  const running = await start({ ...credentials, AWS_ENDPOINT_URL_BEDROCK_RUNTIME: 'http://127.0.0.1:9' });
  const ask = (id: string, secret: string) =>
    indexOf(running.output(), id, secret).known(['a question'], 0, never);
  assert.equal(await ask('local', 'local'), new Set());
  assert.equal(await ask('AKIAREAL', 'of the account'), new Set());
  assert.equal(await ask(ACCESS_KEY.accessKeyId, ACCESS_KEY.secretAccessKey), new Set());
  for (const id of ['local', 'AKIAREAL', 'AKIAOTHER']) {
    assert.is(((await rejectionOf(ask(id, 'another'))) as OpenSearchError).status, 403, id);
  }
  await stop(running);
});

starting('are found after a restart', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'laptop '));
  const vector = Array.from({ length: 1024 }, (_, at) => Number(at === 0));
  const first = await startIn(folder);
  await indexOf(first.output()).add([toCuratedEntry('a question', vector)], never);
  await first.stop();
  assert.equal(readdirSync(join(folder, '.local', 'opensearch')), ['questions.jsonl']);
  const second = await startIn(folder);
  assert.equal(await indexOf(second.output()).known(['a question'], 0, never), new Set(['a question']));
  await second.stop();
  rmSync(folder, { recursive: true });
});

starting('are kept apart for each kind of Bedrock, whose vectors have nothing in common', () => {
  const kinds = ['simulator', 'aws', 'endpoint', 'compatible'] as const;
  const paths = kinds.map((bedrock) => indexPath({ bedrock }));
  assert.is(paths[0], '.local/opensearch');
  assert.is(new Set(paths).size, 4);
});

starting.run();
