/**
 * Ctrl-C while `npm run call` waits for an answer over HTTP.
 */
import type { ServerResponse } from 'node:http';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Io } from '../../scripts/call.ts';
import { createKeyboard, delta, event, run, start, startDoor, stream } from '../helpers/call.ts';

const cancelling = suite('Ctrl-C over HTTP');

const usage = { input_tokens: 12, output_tokens: 3 };
const cancelled = event('cancelled', { usage, estimated: true });

/** Asks a door that begins to answer, and answers the cancels with these statuses, the last one again and again. */
async function interrupt(statuses: readonly number[], end: string, changes: Partial<Io> = {}) {
  const answers: ServerResponse[] = [];
  const left = [...statuses];
  await using door = await startDoor((response, { request }) => {
    if (request.method === 'POST') {
      answers.push(response);
      return stream(response).write(start + delta('A'));
    }
    const status = left.length > 1 ? left.shift() : left[0];
    if (status === 202 && end) answers[0]?.end(end);
    response.writeHead(status ?? 500).end('{}');
  });
  const { interrupts, press } = createKeyboard();
  const written: string[] = [];
  const out = (text: string) => {
    written.push(text);
    if (text === 'A') press();
  };
  const ran = await run(['hi', '--url', door.url], {}, { interrupts, out, ...changes });
  const { request_id: id } = JSON.parse(door.asked[0]?.body ?? '{}');
  const cancels = door.asked.slice(1).map(({ request }) => `${request.method} ${request.url}`);
  return { ...ran, out: written.join(''), cancels, path: `DELETE /v1/requests/${id}` };
}

const forever = () => new Promise<void>(() => {});

cancelling('cancels on the gateway, reads on to the end, and tells what was used', async () => {
  const { code, out, err, cancels, path } = await interrupt([202], delta('B') + cancelled, {
    pause: forever,
  });
  assert.equal([code, out, cancels], [130, 'AB\n', [path]]);
  assert.is(err, 'The answer was cancelled; about 12 tokens were read and 3 written.\n');
});

cancelling('an answer that ended meanwhile is no whole one for a command that was interrupted', async () => {
  const { code, out, err } = await interrupt([202], delta('B') + event('done', {}), { pause: forever });
  assert.equal([code, out, err], [130, 'AB\n', '']);
});

cancelling('a gateway that does not say how it ended is left after two seconds', async () => {
  const pauses: number[] = [];
  let leave = () => {};
  const pause = (ms: number) => {
    pauses.push(ms);
    return new Promise<void>((resolve) => (leave = resolve));
  };
  const left = interrupt([202], '', { pause });
  setTimeout(() => leave(), 100);
  const { code, out, err } = await left;
  assert.equal({ code, out, err, pauses }, { code: 130, out: 'A\n', err: '', pauses: [2_000] });
});

cancelling('a gateway that does not take the cancel is told again', async () => {
  const pause = (ms: number) => (ms === 2_000 ? forever() : Promise.resolve());
  const told = await interrupt([404, 429, 503, 202], cancelled, { pause });
  assert.equal([told.code, told.cancels], [130, Array(4).fill(told.path)]);
});

cancelling('a gateway that never takes it is left after two seconds, and who pays is told', async () => {
  let leave = () => {};
  const pause = (ms: number) =>
    ms === 2_000 ? new Promise<void>((resolve) => (leave = resolve)) : new Promise<void>(setImmediate);
  const refused = interrupt([503], '', { pause });
  setTimeout(() => leave(), 100);
  const { code, out, err, cancels } = await refused;
  assert.equal([code, out], [130, 'A\n']);
  assert.is(err, 'The gateway did not confirm the cancel; the answer may run to its end.\n');
  assert.ok(cancels.length > 1);
});

cancelling('an answer that breaks off on its way is cancelled too, once', async () => {
  await using door = await startDoor((response, { request }) => {
    if (request.method === 'POST') return stream(response).end(start + delta('A'));
    return response.writeHead(503).end('{}');
  });
  const ran = await run(['hi', '--url', door.url], {}, { pause: forever });
  assert.equal(ran, { code: 1, out: 'A\n', err: 'The answer broke off before its end.\n' });
  const { request_id: id } = JSON.parse(door.asked[0]?.body ?? '{}');
  assert.equal(
    door.asked.map(({ request }) => `${request.method} ${request.url}`),
    ['POST /v1/chat', `DELETE /v1/requests/${id}`],
  );
});

cancelling('a connection that stays open after the answer is closed', async () => {
  await using door = await startDoor((response) => stream(response).write(delta('A') + event('done', {})));
  const pauses: number[] = [];
  const pause = async (ms: number) => void pauses.push(ms);
  const ran = await run(['hi', '--url', door.url], {}, { pause });
  assert.equal({ ...ran, pauses }, { code: 0, out: 'A\n', err: '', pauses: [2_000] });
});

cancelling('an answer that has not begun is cancelled too', async () => {
  const { interrupts, press } = createKeyboard();
  let answer: ServerResponse | undefined;
  await using door = await startDoor((response, { request }) => {
    if (request.method === 'POST') {
      answer = response;
      return press();
    }
    const envelope = { error: { code: 'cancelled', message: 'The request was cancelled.' } };
    answer?.writeHead(499).end(JSON.stringify(envelope));
    response.writeHead(202).end('{}');
  });
  const ran = await run(['hi', '--url', door.url], {}, { interrupts, pause: forever });
  assert.equal(ran, { code: 130, out: '', err: '' });
  assert.is(door.asked.length, 2);
});

cancelling('a second one leaves, however many there were before', async () => {
  const { interrupts, press } = createKeyboard();
  let left = 0;
  const leave = () => void left++;
  const out = (text: string) => {
    if (text !== 'A') return;
    press();
    assert.is(left, 0);
    press();
    assert.is(left, 1);
  };
  assert.is((await interrupt([202], cancelled, { interrupts, leave, out })).code, 130);
  press();
  assert.is(left, 1);
});

cancelling.run();
