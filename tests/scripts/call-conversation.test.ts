/**
 * `npm run call` without a question, on a terminal.
 */
import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { PassThrough } from 'node:stream';
import { text as readText } from 'node:stream/consumers';
import type { ReadStream } from 'node:tty';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createInterrupts, createPrompt, holdTerminal } from '../../scripts/call/prompt.ts';
import type { Line } from '../../scripts/call/screen.ts';
import type { Io } from '../../scripts/call.ts';
import { createKeyboard, delta, done, event, run, start, startDoor, stream } from '../helpers/call.ts';

const conversation = suite('a conversation');

/** Types these lines, and then Ctrl-D, to a door that answers each question with the next conversation's id. */
async function talk(lines: readonly string[], args: readonly string[] = [], changes: Partial<Io> = {}) {
  await using door = await startDoor((response, { body }) => {
    const { prompt, chat_id: id } = JSON.parse(body);
    if (prompt === 'fail') return response.writeHead(503).end('{}');
    const from = event('start', { chat_id: id ?? `c-${door.asked.length}`, model: 'm', cached: false });
    return stream(response).end(from + delta(`${prompt}!`) + done());
  });
  const typed = [...lines];
  const readLine = async (): Promise<Line> => {
    const text = typed.shift();
    return text === undefined ? { exitCode: 0 } : { text };
  };
  const ran = await run(args, { FUNCTION_URL: door.url }, { readLine, ...changes });
  const asked = door.asked.map(({ body }) => {
    const { prompt, chat_id: id, model, store } = JSON.parse(body);
    return [prompt, id, ...(model ? [model] : []), ...(store === false ? [store] : [])];
  });
  return { ...ran, asked };
}

conversation('goes on with the id of its first answer until Ctrl-D', async () => {
  const { code, out, err, asked } = await talk(['one', 'two', 'three']);
  assert.equal([code, out, err], [0, 'one!\ntwo!\nthree!\n', '']);
  assert.equal(asked, [
    ['one', undefined],
    ['two', 'c-1'],
    ['three', 'c-1'],
  ]);
});

conversation('/new begins another one, /model asks another model, and /quit ends it', async () => {
  const { code, asked } = await talk(['one', '/new', 'two', ' /model m:2 ', 'three', '/quit', 'never']);
  assert.is(code, 0);
  assert.equal(asked, [
    ['one', undefined],
    ['two', undefined],
    ['three', 'c-2', 'm:2'],
  ]);
});

conversation('options hold for every question, and it may begin where another ended', async () => {
  const { asked } = await talk(['one', 'two'], ['--model', 'm:1', '--chat-id', 'c-9']);
  assert.equal(asked, [
    ['one', 'c-9', 'm:1'],
    ['two', 'c-9', 'm:1'],
  ]);
  const watched = await talk(['one'], ['--no-store'], { isTerminal: true });
  assert.equal(watched.asked, [['one', undefined, false]]);
  assert.match(watched.err, /^Nothing is stored, so each question stands alone\./);
});

conversation('nothing is asked of the model by an empty line, or a command that is none', async () => {
  const { err, asked } = await talk(['', '  ', '/model', '/help', '/etc/hosts?']);
  assert.equal(asked, [['/etc/hosts?', undefined]]);
  const keys = '/new, /model ID, /quit or Ctrl-D; Ctrl-C cancels an answer.\n';
  assert.is(err, keys + keys);
});

conversation('an answer that fails does not end it', async () => {
  const { code, out, err } = await talk(['fail', 'two']);
  assert.equal([code, out], [0, 'two!\n']);
  assert.is(err, 'The gateway answered with HTTP 503, and no reason.\n');
});

conversation('Ctrl-C cancels an answer and comes back; at an empty prompt it ends with 130', async () => {
  const { interrupts, press } = createKeyboard();
  let answer: ServerResponse | undefined;
  await using door = await startDoor((response, { request, body }) => {
    if (request.method === 'DELETE') {
      answer?.end(event('cancelled', {}));
      return response.writeHead(202).end('{}');
    }
    answer = stream(response);
    answer.write(start + delta(JSON.parse(body).prompt));
    return JSON.parse(body).prompt === 'two' ? answer.end(done()) : undefined;
  });
  const held: string[] = [];
  const holdTerminal = () => {
    held.push('held');
    return { [Symbol.dispose]: () => void held.push('given back') };
  };
  const lines: Line[] = [{ text: 'one' }, { text: 'two' }, { exitCode: 130 }];
  const readLine = async (): Promise<Line> => {
    held.push('read');
    return lines.shift() ?? { exitCode: -1 };
  };
  const out = (text: string) => text === 'one' && press();
  const pause = () => new Promise<void>(() => {});
  const io = { interrupts, readLine, holdTerminal, out, pause };
  assert.is((await run(['--url', door.url], {}, io)).code, 130);
  assert.equal(
    door.asked.map(({ request }) => request.method),
    ['POST', 'DELETE', 'POST'],
  );
  const each = ['read', 'held', 'given back'];
  assert.equal(held, [...each, ...each, 'read']);
  assert.is(interrupts.listenerCount('SIGINT'), 0);
});

conversation('what is wrong with the command ends it before anything is typed', async () => {
  const { code, asked } = await talk(['one'], ['--url', 'ftp://a']);
  assert.equal([code, asked], [2, []]);
});

conversation.run();

// ---

const prompt = suite('the prompt');

function openPrompt() {
  const input = new PassThrough();
  const output = new PassThrough();
  const interrupts = new EventEmitter();
  return { input, output, interrupts, readLine: createPrompt(input, output, interrupts) };
}

prompt('gives one line after the other', async () => {
  const { input, output, readLine } = openPrompt();
  input.write('one\n');
  assert.equal(await readLine('> '), { text: 'one' });
  input.write('two\n');
  assert.equal(await readLine('> '), { text: 'two' });
  output.end();
  assert.is(await readText(output), '> > ');
});

prompt('what is pasted at once is one question, whether its last line is ended or not', async () => {
  const { input, readLine } = openPrompt();
  input.write('one\n\ntwo\n');
  assert.equal(await readLine('> '), { text: 'one\n\ntwo' });
});

prompt('the end of the input ends the conversation, and Ctrl-C does so with 130', async () => {
  const ending = openPrompt();
  ending.input.end();
  assert.equal(await ending.readLine('> '), { exitCode: 0 });
  const { interrupts, readLine } = openPrompt();
  const reading = readLine('> ');
  interrupts.emit('SIGINT');
  assert.equal(await reading, { exitCode: 130 });
  assert.is(interrupts.listenerCount('SIGINT'), 0);
});

prompt('a held terminal hears Ctrl-C among the keys, and is given back as it was', async () => {
  const input = new PassThrough();
  const modes: boolean[] = [];
  const terminal = Object.assign(input, { setRawMode: (isRaw: boolean) => modes.push(isRaw) });
  let pressed = 0;
  {
    using _ = holdTerminal(terminal as unknown as ReadStream, () => pressed++);
    input.write('abc');
    input.write('d\u0003');
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal([pressed, modes], [1, [true]]);
  }
  input.write('\u0003');
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal([pressed, modes, input.isPaused()], [1, [true, false], true]);
});

prompt('Ctrl-C twice at once is one', async () => {
  const { interrupts, press } = createInterrupts();
  let heard = 0;
  interrupts.on('SIGINT', () => heard++);
  press();
  press();
  assert.is(heard, 1);
});

prompt.run();
