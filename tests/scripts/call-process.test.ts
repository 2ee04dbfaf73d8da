/**
 * `npm run call` as a process of its own.
 */

import type { ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  delta,
  done,
  event,
  FUNCTION_URL,
  launch,
  PAIR,
  SECRET,
  scriptPath,
  start,
  startDoor,
  stream,
  streaming,
  withFolder,
} from '../helpers/call.ts';

const processes = suite('the command as a process');

processes('it reads .env and the key of npm start from its folder, and the environment beats .env', () =>
  withFolder(async (folder) => {
    await using door = await startDoor(streaming(start, delta('A cage.'), done()));
    const missing = await launch([scriptPath, 'hi'], folder, { FUNCTION_URL: door.url }).ended;
    assert.equal([missing.code, missing.out], [1, '']);
    assert.match(missing.err, /^There is no key .* run npm start first\.\n$/);

    mkdirSync(join(folder, '.local'));
    writeFileSync(join(folder, '.local/iam-key'), `${PAIR}\n`);
    writeFileSync(join(folder, '.env'), `FUNCTION_URL=${door.url}\n`);
    const whole = { code: 0, signal: null, out: 'A cage.\n', err: '' };
    assert.equal(await launch([scriptPath, 'hi'], folder).ended, whole);

    writeFileSync(join(folder, '.env'), 'FUNCTION_URL=http://127.0.0.1:1\nLOCAL_IAM_KEYS=NOBODY=x\n');
    const beaten = await launch([scriptPath, 'hi'], folder, { FUNCTION_URL: door.url, LOCAL_IAM_KEYS: PAIR })
      .ended;
    assert.equal(beaten, whole);
    const other = join(folder, 'prod.env');
    writeFileSync(other, `FUNCTION_URL=${door.url}\nLOCAL_IAM_KEYS=${PAIR}\n`);
    assert.equal(await launch([scriptPath, '--env', other, 'hi'], folder).ended, whole);
    const none = await launch([scriptPath, 'hi', '--env', 'none.env'], folder).ended;
    assert.equal([none.code, none.err], [2, 'There is no file none.env; copy template.env and edit it.\n']);
  }),
);

processes('Ctrl-C cancels on the gateway, and ends it with 130 when the gateway has said so', () =>
  withFolder(async (folder) => {
    let answer: ServerResponse | undefined;
    let child: ChildProcess | undefined;
    await using door = await startDoor(async (response, { request }) => {
      if (request.method === 'POST') {
        answer = response;
        return stream(response).write(start + delta('A'));
      }
      // npm hands a terminal's Ctrl-C on, so that it arrives twice.
      child?.kill('SIGINT');
      await new Promise((resolve) => setTimeout(resolve, 50));
      answer?.end(event('cancelled', { usage: null, estimated: true }));
      response.writeHead(202).end('{}');
    });
    const env = { FUNCTION_URL: door.url, LOCAL_IAM_KEYS: PAIR };
    const running = launch([scriptPath, 'hi'], folder, env);
    child = running.child;
    await new Promise((resolve) => running.child.stdout?.once('data', resolve));
    running.child.kill('SIGINT');
    assert.equal(await running.ended, { code: 130, signal: null, out: 'A\n', err: '' });
    const { request_id: id } = JSON.parse(door.asked[0]?.body ?? '');
    assert.is(door.asked[1]?.request.url, `/v1/requests/${id}`);
  }),
);

processes('a second Ctrl-C leaves a gateway that will not answer', () =>
  withFolder(async (folder) => {
    let sawCancel = () => {};
    const cancelled = new Promise<void>((resolve) => (sawCancel = resolve));
    let sawLeave = () => {};
    const left = new Promise<void>((resolve) => (sawLeave = resolve));
    await using door = await startDoor((response, { request }) => {
      if (request.method === 'DELETE') return sawCancel();
      response.on('close', sawLeave);
      stream(response).write(start + delta('A'));
    });
    const env = { FUNCTION_URL: door.url, LOCAL_IAM_KEYS: PAIR };
    const { child, ended } = launch([scriptPath, 'hi'], folder, env);
    await new Promise((resolve) => child.stdout?.once('data', resolve));
    child.kill('SIGINT');
    await cancelled;
    await new Promise((resolve) => setTimeout(resolve, 350));
    child.kill('SIGINT');
    // Only who leaves in the middle of a line ends it on the other stream.
    assert.equal(await ended, { code: 130, signal: null, out: 'A', err: '\n' });
    await left;
  }),
);

processes('a question of -, or none, is what is piped in', () =>
  withFolder(async (folder) => {
    await using door = await startDoor(streaming(delta('A'), done()));
    const env = { FUNCTION_URL: door.url, LOCAL_IAM_KEYS: PAIR };
    for (const [at, args] of [['-'], [], ['--model', 'm']].entries()) {
      const { child, ended } = launch([scriptPath, ...args], folder, env);
      child.stdin?.end('What is this?\n');
      assert.equal(await ended, { code: 0, signal: null, out: 'A\n', err: '' });
      assert.is(JSON.parse(door.asked[at]?.body ?? '').prompt, 'What is this?\n');
    }
    const { child, ended } = launch([scriptPath], folder, env);
    child.stdin?.end();
    assert.is((await ended).code, 2);
  }),
);

processes('a reader that goes away ends it quietly, and the answer is cancelled', () =>
  withFolder(async (folder) => {
    let goOn = () => {};
    const closed = new Promise<void>((resolve) => (goOn = resolve));
    let isLeft = false;
    let answer: ServerResponse | undefined;
    await using door = await startDoor(async (response, { request }) => {
      if (request.method === 'DELETE') {
        isLeft = true;
        answer?.end(event('cancelled', { usage: null, estimated: true }));
        return response.writeHead(202).end('{}');
      }
      answer = response;
      stream(response).write(delta('A'));
      await closed;
      while (!isLeft) {
        response.write(delta('B'));
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    });
    const { child, ended } = launch([scriptPath, 'hi'], folder, {
      FUNCTION_URL: door.url,
      LOCAL_IAM_KEYS: PAIR,
    });
    child.stdout?.once('data', () => child.stdout?.destroy());
    child.stdout?.once('close', () => goOn());
    const { code, signal, err } = await ended;
    assert.equal({ code, signal, err }, { code: 141, signal: null, err: '' });
    assert.is(isLeft, true);
  }),
);

for (const [signalName, exitCode] of [
  ['SIGHUP', 129],
  ['SIGTERM', 143],
] as const)
  processes(`${signalName}, as of a terminal that is closed, cancels on the gateway too`, () =>
    withFolder(async (folder) => {
      let answer: ServerResponse | undefined;
      await using door = await startDoor((response, { request }) => {
        if (request.method === 'POST') return stream((answer = response)).write(start + delta('A'));
        answer?.end(event('cancelled', { usage: null, estimated: true }));
        return response.writeHead(202).end('{}');
      });
      const { child, ended } = launch([scriptPath, 'hi'], folder, {
        FUNCTION_URL: door.url,
        LOCAL_IAM_KEYS: PAIR,
      });
      await new Promise((resolve) => child.stdout?.once('data', resolve));
      child.kill(signalName);
      assert.equal(await ended, { code: exitCode, signal: null, out: 'A\n', err: '' });
      assert.equal(
        door.asked.map(({ request }) => request.method),
        ['POST', 'DELETE'],
      );
    }),
  );

processes('keys asks about the deployment that --env names, and about no other', () =>
  withFolder(async (folder) => {
    const asked: string[] = [];
    const server = createServer(async (request, response) => {
      asked.push(`${await text(request)} ${request.headers.authorization}`);
      response.writeHead(400, { 'content-type': 'text/xml' }).end(noSuchStack);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const AWS_ENDPOINT_URL = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const credentials = { AWS_ACCESS_KEY_ID: 'AKIATEST', AWS_SECRET_ACCESS_KEY: SECRET };
    writeFileSync(join(folder, '.env'), 'STACK_NAME=Own\nSTAGE=dev\nREGION_ID=eu-west-1\n');
    writeFileSync(join(folder, 'prod.env'), 'STACK_NAME=Prod\n');
    for (const args of [
      ['--env', 'prod.env', 'keys', 'list'],
      ['keys', 'list', '--env', 'prod.env'],
    ]) {
      const { code, err } = await launch([scriptPath, ...args], folder, { AWS_ENDPOINT_URL, ...credentials })
        .ended;
      assert.is(code, 1);
      assert.match(err, /^There is no stack Prod in us-east-1;/);
      assert.match(asked.at(-1) ?? '', /StackName=Prod.*us-east-1\/cloudformation/s);
    }
    server.closeAllConnections();
    server.close();
  }),
);

const noSuchStack =
  '<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code><Message>Stack with id X does not exist</Message></Error></ErrorResponse>';

processes('AWS’s standard chain gives the keys for a Function URL, or one sentence', () =>
  withFolder(async (folder) => {
    const none = await launch([scriptPath, 'hi', '--url', FUNCTION_URL], folder, { LOCAL_IAM_KEYS: PAIR })
      .ended;
    assert.equal([none.code, none.out], [1, '']);
    assert.match(none.err, /^No AWS credentials could be loaded; .*\n$/);

    const program = `
      import { call } from ${JSON.stringify(new URL('../../scripts/call.ts', import.meta.url).href)};
      const fetch = async (url, { headers }) => {
        console.log(headers.get('authorization'), headers.get('x-amz-security-token'));
        return new Response('event: done\\ndata: {}\\n\\n', { headers: { 'content-type': 'text/event-stream' } });
      };
      const out = (text) => process.stdout.write(text);
      process.exitCode = await call(['hi', '--url', '${FUNCTION_URL}'], process.env, { out, err: out, fetch });`;
    const env = { AWS_ACCESS_KEY_ID: 'ASIACHAIN', AWS_SECRET_ACCESS_KEY: SECRET, AWS_SESSION_TOKEN: 'tok' };
    const { code, out } = await launch(['--input-type=module', '-e', program], folder, env).ended;
    assert.match(out, /Credential=ASIACHAIN\/\d{8}\/eu-west-1\/lambda\/aws4_request, .* tok\n$/);
    assert.is(code, 0);
  }),
);

processes.run();
