/**
 * What `npm run call` shows of an answer, and of what is none.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type Answer,
  ask,
  delta,
  done,
  event,
  FUNCTION_URL,
  failure,
  fetchOf,
  ID,
  run,
  SECRET,
  start,
  startDoor,
  stream,
  streaming,
} from '../helpers/call.ts';
import { rejectionOf } from '../helpers/rejects.ts';

const answers = suite('the answer');

answers('each delta is written as it arrives, before the gateway has sent the next', async () => {
  const written: string[] = [];
  let wake = () => {};
  const outWrote = (text: string) =>
    new Promise<void>((resolve) => {
      wake = () => written.includes(text) && resolve();
      wake();
    });
  const answer: Answer = async (response) => {
    stream(response).write(start + delta('A '));
    await outWrote('A ');
    response.write(delta('Faraday'));
    await outWrote('Faraday');
    response.end(delta(' cage.') + done());
  };
  const out = (text: string) => {
    written.push(text);
    wake();
  };
  assert.is((await ask(answer, [], { out })).code, 0);
  assert.equal(written, ['A ', 'Faraday', ' cage.', '\n']);
});

answers('it ends in a line break, and only in one', async () => {
  assert.equal(await ask(streaming(start, delta('A cage.'), done())), { code: 0, out: 'A cage.\n', err: '' });
  assert.equal(await ask(streaming(start, delta('A cage.\n'), done())), {
    code: 0,
    out: 'A cage.\n',
    err: '',
  });
  assert.equal(await ask(streaming(start, done())), { code: 0, out: '', err: '' });
});

answers('bytes that are cut anywhere, comments and events that are new are all the same', async () => {
  const text = [
    start,
    ': ping\n\n',
    delta('Käfig 🕰'),
    event('later', { text: 'no' }),
    'data: {"text":"no"}\n\n',
    done(),
  ];
  const bytes = new TextEncoder().encode(text.join(''));
  const single = Array.from(bytes, (byte) => Uint8Array.of(byte));
  const { fetch } = fetchOf(single);
  assert.equal(await run(['hi'], {}, { fetch }), { code: 0, out: 'Käfig 🕰\n', err: '' });
});

answers('an answer that was cut at its limit says so, on a line of its own', async () => {
  const both: string[] = [];
  const write = (text: string) => void both.push(text);
  const { code } = await ask(streaming(delta('A'), done('max_tokens')), [], { out: write, err: write });
  assert.is(code, 0);
  assert.equal(both, ['A', '\n', 'The answer was cut at its limit of tokens; --max-tokens raises it.\n']);
});

answers('an answer that a filter, a guardrail or a full context cut is not whole', async () => {
  for (const [reason, sentence] of [
    ['content_filtered', 'The provider of the model filtered the answer.'],
    ['guardrail_intervened', 'A guardrail stepped into the answer.'],
    ['model_context_window_exceeded', 'The answer was cut where the context of the model is full.'],
  ] as const) {
    const cut = streaming(delta('A'), done(reason));
    assert.equal(await ask(cut), { code: 1, out: 'A\n', err: `${sentence}\n` });
    const json = await ask(cut, ['--json']);
    assert.equal([json.code, json.err], [1, `${sentence}\n`]);
  }
  assert.is((await ask(streaming(delta('A'), done('stop_sequence')))).code, 0);
});

answers('reasoning is for somebody who watches, dimmed and apart from the answer', async () => {
  const events = [
    event('delta', { reasoning: 'hm' }),
    event('delta', { reasoning: '…' }),
    delta('A'),
    done(),
  ];
  assert.equal(await ask(streaming(...events)), { code: 0, out: 'A\n', err: '' });
  const both: string[] = [];
  const write = (text: string) => void both.push(text);
  const dim = (text: string) => `<${text}>`;
  await ask(streaming(...events), [], { out: write, err: write, isTerminal: true, dim });
  assert.equal(both, ['<hm>', '<…>', '\n', 'A', '\n', '<first token after 0 ms\n>']);
  const { err } = await ask(streaming(event('delta', { reasoning: 'hm' }), done()), [], {
    isTerminal: true,
    dim,
  });
  assert.is(err, '<hm>\n<first token after 0 ms\n>');
});

answers('who watches is told what answered, how fast, and how to go on', async () => {
  const ticks = [0, 312, 2312];
  const io = () => ({ isTerminal: true, now: () => ticks.shift() ?? 2312 });
  const usage = { input_tokens: 12, output_tokens: 96 };
  const end = event('done', { stop_reason: 'end_turn', usage });
  const { out, err } = await ask(streaming(start, delta('A'), delta('B'), end), [], io());
  assert.is(out, 'AB\n');
  assert.is(err, 'm · first token after 312 ms · 48 tokens/s · 12 tokens in, 96 out · chat c-1\n');
  const quick = await ask(streaming(start, delta('A'), end), [], { isTerminal: true });
  assert.is(quick.err, 'm · first token after 0 ms · 12 tokens in, 96 out · chat c-1\n');
  const cached = event('start', { request_id: 'r-1', model: 'm', cached: 'curated' });
  const served = await ask(streaming(cached, delta('A'), end), [], { isTerminal: true });
  assert.is(served.err, 'm · cached (curated) · first token after 0 ms\n');
});

answers('a terminal is not given what it would obey, wherever the answer was cut', async () => {
  const evil = ['A\u001b', '[2J\u009b1m', 'B\tC\r\u0007\u007f\n'];
  const events = [event('delta', { reasoning: '\u001b[8m' }), ...evil.map(delta), done()];
  const seen = await ask(streaming(...events), [], { isOutTerminal: true, isTerminal: true });
  assert.is(seen.out, 'A␛[2J\ufffd1mB\tC␍␇␡\n');
  assert.match(seen.err, /^␛\[8m\n/);
  assert.is((await ask(streaming(...events))).out, evil.join(''));
  const failed = event('error', { error: { code: 'a', message: '\u001b]0;x' } });
  assert.is((await ask(streaming(failed), [], { isTerminal: true })).err, 'a: ␛]0;x\n');
});

answers('--json writes every event as a line, and nothing else', async () => {
  const events = [start, event('delta', { reasoning: 'hm' }), delta('A\n'), done('max_tokens')];
  const { code, out, err } = await ask(streaming(...events), ['--json'], { isTerminal: true });
  assert.equal({ code, err }, { code: 0, err: '' });
  assert.equal(
    out,
    [
      '{"event":"start","request_id":"r-1","chat_id":"c-1","model":"m","cached":false}\n',
      '{"event":"delta","reasoning":"hm"}\n',
      '{"event":"delta","text":"A\\n"}\n',
      '{"event":"done","stop_reason":"max_tokens","usage":null,"saved":true}\n',
    ].join(''),
  );
});

answers('a stream without an end has broken off, however it stopped', async () => {
  const brokenOff = { code: 1, out: 'A\n', err: 'The answer broke off before its end.\n' };
  assert.equal(await ask(streaming(start, delta('A'))), brokenOff);
  assert.equal(await ask(streaming(start, delta('A'), done().trimEnd())), brokenOff);
  assert.equal(
    await ask((response) => stream(response).write(delta('A'), () => response.destroy())),
    brokenOff,
  );
  assert.equal(await ask((response) => stream(response).end()), { ...brokenOff, out: '' });
});

answers('what comes after the end is not looked at', async () => {
  const whole = { code: 0, out: 'A\n', err: '' };
  assert.equal(
    await ask(streaming(delta('A'), done(), delta('B'), event('error', { error: failure }))),
    whole,
  );
  const { fetch } = fetchOf([delta('A') + done()], true);
  assert.equal(await run(['hi'], {}, { fetch }), whole);
});

answers('an error in the stream is told with its request, after the text that came', async () => {
  const err = 'upstream_stalled: The model fell silent.\nrequest id: r-1\n';
  assert.equal(await ask(streaming(delta('A'), event('error', { error: failure }))), {
    code: 1,
    out: 'A\n',
    err,
  });
  assert.equal(await ask(streaming(event('error', { error: failure }), done())), { code: 1, out: '', err });
  const json = await ask(streaming(event('error', { error: failure })), ['--json']);
  assert.equal(json, { code: 1, out: `{"event":"error","error":${JSON.stringify(failure)}}\n`, err });
  assert.equal(await ask(streaming('event: error\ndata: oops\n\n')), {
    code: 1,
    out: '',
    err: 'The answer failed, for no reason that was given.\n',
  });
});

answers('a mistake of its own is not taken for the end of an answer', async () => {
  const out = () => {
    throw new Error('a mistake');
  };
  const error = await rejectionOf(run(['hi'], {}, { ...fetchOf([delta('A'), done()]), out }));
  assert.is(error instanceof Error && error.message, 'a mistake');
});

answers('a cancelled answer is no whole one', async () => {
  const events = [delta('A'), event('cancelled', { usage: null, estimated: true })];
  assert.equal(await ask(streaming(...events)), { code: 1, out: 'A\n', err: 'The answer was cancelled.\n' });
  const usage = { input_tokens: 12, output_tokens: 3 };
  const { err } = await ask(streaming(delta('A'), event('cancelled', { usage, estimated: true })));
  assert.is(err, 'The answer was cancelled; about 12 tokens were read and 3 written.\n');
});

answers.run();

// ---

const refusals = suite('an answer that is none');

const answering =
  (status: number, body: string, headers: Record<string, string> = {}): Answer =>
  (response) =>
    response.writeHead(status, headers).end(body);

refusals('the gateway’s envelope is told as code, message and request', async () => {
  const envelope = JSON.stringify({
    error: { code: 'rate_limited', message: 'Too many.', request_id: 'r-9' },
  });
  assert.equal(await ask(answering(429, envelope)), {
    code: 1,
    out: '',
    err: 'rate_limited: Too many.\nrequest id: r-9\n',
  });
  const anonymous = JSON.stringify({ error: { code: 'internal_error', message: 'It failed.' } });
  const { err } = await ask(answering(500, anonymous, { 'x-request-id': 'r-8' }));
  assert.is(err, 'internal_error: It failed.\nrequest id: r-8\n');
});

refusals('what AWS says in front of the gateway is told in its first line only', async () => {
  const forbidden = 'The gateway answered with HTTP 403: Forbidden\n';
  assert.equal(await ask(answering(403, '{"Message":"Forbidden"}')), { code: 1, out: '', err: forbidden });
  assert.is((await ask(answering(403, '{"message":"Forbidden"}'))).err, forbidden);
  const quoting = JSON.stringify({
    message: 'No match.\n\nThe Canonical String was x-amz-security-token:canary',
  });
  assert.is((await ask(answering(403, quoting))).err, 'The gateway answered with HTTP 403: No match.\n');
});

refusals('an error page of something else is told by its status', async () => {
  const expected = 'The gateway answered with HTTP 502, and no reason.\n';
  for (const body of ['', '<html>', '[]', 'null', '{"error":"Bad Gateway"}'])
    assert.equal(await ask(answering(502, body)), { code: 1, out: '', err: expected }, body);
});

refusals('a page in place of a stream is told', async () => {
  await using door = await startDoor(answering(200, event('done', {}), { 'content-type': 'text/html' }));
  assert.equal(await run(['hi', '--url', door.url]), {
    code: 1,
    out: '',
    err: `${door.url} did not answer with an event stream; is it the gateway's Function URL?\n`,
  });
});

refusals('a redirect is not followed', async () => {
  await using elsewhere = await startDoor(streaming(done()));
  const { code, err } = await ask(answering(307, '', { location: elsewhere.url }));
  assert.equal({ code, err }, { code: 1, err: 'The gateway answered with HTTP 307, and no reason.\n' });
  assert.is(elsewhere.asked.length, 0);
});

refusals('a wrong key is told by the door', async () => {
  await using door = await startDoor(streaming(done()));
  const { code, err } = await run(['hi'], { FUNCTION_URL: door.url, LOCAL_IAM_KEYS: 'NOBODY=x' });
  assert.equal(
    { code, err },
    { code: 1, err: 'The gateway answered with HTTP 403: The access key NOBODY is unknown here.\n' },
  );
});

refusals('a gateway that is not there is told by its URL and what to do', async () => {
  const door = await startDoor(streaming(done()));
  await door[Symbol.asyncDispose]();
  assert.equal(await run(['hi'], { FUNCTION_URL_PORT: door.port }), {
    code: 1,
    out: '',
    err: `Nothing answers at ${door.url} (ECONNREFUSED); run npm start first.\n`,
  });
});

refusals('an address that is none is told without npm start', async () => {
  const sources = { keyPath: '', standardChain: async () => ({ accessKeyId: ID, secretAccessKey: SECRET }) };
  const failing = async () => {
    throw new TypeError('fetch failed', { cause: Object.assign(new Error(), { code: 'ENOTFOUND' }) });
  };
  const { code, err } = await run(['hi', '--url', FUNCTION_URL], {}, { fetch: failing, sources });
  assert.equal(
    { code, err },
    { code: 1, err: `${FUNCTION_URL} cannot be reached (ENOTFOUND); is the URL right?\n` },
  );
});

refusals.run();
