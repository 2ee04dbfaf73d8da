/** `npm start` as a user runs it: a process of its own, its printed command pasted into a shell. */
import { spawn } from 'node:child_process';
import { AwsClient } from 'aws4fetch';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { startBytesServer } from '../helpers/bytes-server.ts';
import { openSocket, readSse } from '../helpers/clients.ts';
import { shortAnswer } from '../helpers/frames.ts';
import { until } from '../helpers/gateway.ts';
import { ACCESS_KEY, chat, exited, KEY, runScript, start, stop } from '../helpers/process.ts';

async function shell(command: string): Promise<string[]> {
  const child = spawn('bash', ['-c', command]);
  const pieces: string[] = [];
  child.stdout.on('data', (text) => pieces.push(String(text)));
  await new Promise((resolve) => child.once('close', resolve));
  return pieces;
}

const starting = suite('npm start');

starting('the printed curl streams an answer, a piece at a time', async () => {
  const running = await start();
  const pieces = await shell(running.curl);
  const text = pieces.join('');
  assert.ok(pieces.length > 10, `${pieces.length} pieces`);
  assert.match(text, /^event: start\n/);
  assert.match(text, /\nevent: done\ndata: \{"stop_reason":"end_turn"[^\n]*\n\n$/);
  await stop(running);
});

starting('logs one line for each request, and neither the question, the answer nor the key', async () => {
  const running = await start();
  const answer = await (await chat(running.url, { prompt: 'ECHO canary-answer' })).text();
  assert.match(answer, 'canary-answer');
  await fetch(`${running.url}/v1/models`, { headers: { authorization: `Bearer ${KEY}` } });
  await until(() => running.output().split('"message":"request"').length === 3);
  await stop(running);
  const logs = running
    .output()
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));
  assert.equal(
    logs.map(({ message }) => message),
    ['settings taken', 'request', 'metrics', 'request'],
  );
  assert.is(logs[1].tenant, 'alice');
  assert.is(logs[1].outcome, 'done');
  assert.not.match(JSON.stringify(logs), 'canary');
});

starting('AWS_ENDPOINT_URL_BEDROCK_RUNTIME puts another server in the simulator’s place', async () => {
  const server = await startBytesServer();
  server.script = { pieces: shortAnswer, end: 'whole' };
  const running = await start({ AWS_ENDPOINT_URL_BEDROCK_RUNTIME: server.url });
  assert.match(running.output(), `the server at ${server.url}`);
  assert.is(
    ((await (await chat(running.url, { prompt: 'Hi' })).json()) as { completion: string }).completion,
    'A cage.',
  );
  await stop(running);
  await server.close();
});

starting(
  'npm run call prints the answer of the Function URL, signed with the key that the gateway was given',
  async () => {
    const running = await start();
    const ask = (secret: string) =>
      runScript('scripts/call.ts', ['ECHO one two three'], {
        FUNCTION_URL: running.functionUrl,
        AWS_ACCESS_KEY_ID: ACCESS_KEY.accessKeyId,
        AWS_SECRET_ACCESS_KEY: secret,
      });
    assert.equal(await ask(ACCESS_KEY.secretAccessKey), { code: 0, out: 'one two three\n', err: '' });
    const refused = await ask('another-secret');
    assert.is(refused.code, 1);
    assert.match(refused.err, /^forbidden: The signature does not match/);
    await stop(running);
    const [record] = running
      .output()
      .split('\n')
      .filter((line) => line.includes('"message":"request"'));
    assert.match(record ?? '', `"door":"function-url","tenant":"${ACCESS_KEY.accessKeyId}"`);
    assert.not.match(running.output(), ACCESS_KEY.secretAccessKey);
  },
);

starting('ALLOWED_ORIGINS means the same on both doors, spaces and all', async () => {
  const running = await start({ ALLOWED_ORIGINS: 'https://a.test, https://b.test' });
  const headers = { origin: 'https://b.test', 'access-control-request-method': 'POST' };
  for (const url of [running.url, running.functionUrl]) {
    const response = await fetch(`${url}/v1/chat`, { method: 'OPTIONS', headers });
    assert.is(response.headers.get('access-control-allow-origin'), 'https://b.test', url);
  }
  await stop(running);
});

starting(
  'a profile whose credentials have expired is nothing to a gateway that needs no account',
  async () => {
    const running = await start({ AWS_PROFILE: 'expired', AWS_SESSION_TOKEN: 'old' });
    assert.is((await chat(running.url, { prompt: 'ECHO Hi', request_id: 'r1' })).status, 200);
    await stop(running);
  },
);

starting('a default model that is not allowed is told before anybody asks', async () => {
  const running = await start({ DEFAULT_MODEL: 'a.one', ALLOWED_MODELS: 'b.two' });
  assert.is(await exited(running), 1);
  assert.match(running.output(), /^default-model must be one of the models that allowed-models/);
});

starting('Bedrock itself without credentials for it is told in one sentence', async () => {
  const running = await start({ AWS_EC2_METADATA_DISABLED: 'true', HOME: '/nowhere' }, ['--bedrock', 'aws']);
  assert.is(await exited(running), 1);
  assert.match(running.output(), /^--bedrock aws found no AWS credentials; set AWS_PROFILE, .*\.\n$/);
});

starting('a port that is taken is told in one sentence', async () => {
  const first = await start();
  const second = await start({ PORT: new URL(first.url).port });
  assert.is(await exited(second), 1);
  assert.is(second.output().trim(), `Port ${new URL(first.url).port} is taken; set PORT to another.`);
  await stop(first);
});

starting(
  'after Ctrl-C a running answer ends well, a stalled one is told, and a new one is refused',
  async () => {
    const running = await start();
    const finishing = chat(running.url, { prompt: `ECHO ${'word '.repeat(60)}`, stream: true }).then(readSse);
    const stalled = chat(running.url, { prompt: 'Hi', model: 'simulator.stall-mid-stream', stream: true });
    await stalled;
    running.process.kill('SIGINT');
    await until(() => running.output().includes('Stopping'));
    running.process.kill('SIGINT');
    const refused = await chat(running.url, { prompt: 'Hi' });
    assert.is(refused.status, 503);
    assert.is(((await refused.json()) as { error: { code: string } }).error.code, 'overloaded');
    assert.is((await finishing).at(-1)?.name, 'done');
    const told = (await readSse(await stalled)).at(-1);
    assert.is(told?.name, 'error');
    assert.match(JSON.stringify(told?.data), '"code":"overloaded"');
    assert.is(await exited(running), 0);
  },
);

starting(
  'after Ctrl-C a WebSocket’s running answer ends well, a stalled one is told, and it closes',
  async () => {
    const running = await start();
    const { socket, next } = await openSocket(running.socketUrl, { key: KEY });
    const closed = new Promise<CloseEvent>((resolve) => socket.addEventListener('close', resolve));
    const ask = (question: object) => socket.send(JSON.stringify({ action: 'chat', ...question }));
    ask({ request_id: 'finishing', prompt: `ECHO ${'word '.repeat(60)}` });
    ask({ request_id: 'stalled', prompt: 'Hi', model: 'simulator.stall-mid-stream' });
    const frames = [await next()];
    while (new Set(frames.map((frame) => frame.request_id)).size < 2) frames.push(await next());
    running.process.kill('SIGINT');
    const ends = () => frames.filter(({ type }) => ['done', 'error', 'cancelled'].includes(type));
    while (ends().length < 2) frames.push(await next());
    assert.equal(
      ends().map(({ type, request_id: id }) => [id, type]),
      [
        ['finishing', 'done'],
        ['stalled', 'error'],
      ],
    );
    assert.match(JSON.stringify(ends()[1]), '"code":"overloaded"');
    assert.is((await closed).code, 1001);
    assert.is(await exited(running), 0);
  },
);

starting('the log of a WebSocket’s answer has neither the question, the answer nor the key', async () => {
  const running = await start();
  const { socket, next } = await openSocket(running.socketUrl, { key: KEY });
  socket.send(JSON.stringify({ action: 'chat', request_id: 'r1', prompt: 'ECHO canary-answer' }));
  while ((await next()).type !== 'done');
  socket.close();
  const logs = () =>
    running
      .output()
      .split('\n')
      .filter((line) => line.includes('"message":"request"'));
  await until(() => logs().length === 4);
  assert.equal(
    logs()
      .map((line) => JSON.parse(line).method)
      .sort(),
    ['CONNECT', 'DISCONNECT', 'MESSAGE', 'WORK'],
  );
  assert.ok(logs().every((line) => line.includes('"door":"websocket"')));
  assert.not.match(logs().join(''), 'canary');
  await stop(running);
});

starting('work that fails is told to the function that the deployment tells of it', async () => {
  const running = await start();
  const [, awsUrl = ''] = /Tables +built in, at (\S+)/.exec(running.output()) ?? [];
  const aws = new AwsClient({ ...ACCESS_KEY, service: 'lambda', region: 'us-east-1', retries: 0 });
  const invocation = { method: 'POST', headers: { 'x-amz-invocation-type': 'Event' }, body: 'null' };
  const url = `${awsUrl}/2015-03-31/functions/chat-worker/invocations`;
  assert.is((await aws.fetch(url, invocation)).status, 202);
  await until(() => running.output().includes('"method":"FAILED_WORK"'));
  await stop(running);
});

starting('what it is asked in vain is told in a sentence each', async () => {
  const running = await start({ PORT: 'x', AWS_PORT: '-1' });
  assert.is(await exited(running), 1);
  assert.match(running.output(), /^PORT must be a whole number from 0 to 65535\.\nAWS_PORT must/);
});

starting.run();
