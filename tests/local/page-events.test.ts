/** What the page makes of the events of an answer: from a stream, from frames, and as the answer that it shows. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { addEvent, createAnswer, endEvents, measure } from '../../src/local/page/answer.ts';
import { type AnswerEvent, readEvent } from '../../src/local/page/answer-event.ts';
import { readEventStream } from '../../src/local/page/event-stream.ts';
import { readRefusal } from '../../src/local/page/failure.ts';
import { createFrameReader, toMessages } from '../../src/local/page/frames.ts';

const start = readEvent('start', { chat_id: 'c1', model: 'm', cached: 'curated' }) as AnswerEvent;
const delta = (text: string): AnswerEvent => ({ type: 'delta', text, reasoning: '' });
const done: AnswerEvent = {
  type: 'done',
  stopReason: 'end_turn',
  usage: { input: 2, output: 10 },
  saved: true,
};

const reading = suite('readEvent');

reading('reads the fields of each event, and knows no other event', () => {
  assert.equal(start, { type: 'start', chatId: 'c1', model: 'm', cached: 'curated' });
  assert.equal(readEvent('start', { cached: false }), {
    type: 'start',
    chatId: undefined,
    model: '',
    cached: undefined,
  });
  assert.equal(readEvent('delta', { text: 'a' }), delta('a'));
  assert.equal(readEvent('delta', { reasoning: 'b' }), { type: 'delta', text: '', reasoning: 'b' });
  const wire = { stop_reason: 'end_turn', usage: { input_tokens: 2, output_tokens: 10 }, saved: true };
  assert.equal(readEvent('done', wire), done);
  assert.equal(readEvent('done', { ...wire, usage: null, saved: false }), {
    ...done,
    usage: undefined,
    saved: false,
  });
  const half = { ...wire, usage: { input_tokens: 2 } };
  assert.equal(readEvent('done', half), { ...done, usage: undefined });
  assert.equal(readEvent('done', {}), { ...done, stopReason: '', usage: undefined });
  assert.equal(readEvent('cancelled', wire), { type: 'cancelled', usage: { input: 2, output: 10 } });
  const error = { code: 'overloaded', message: 'Too much.', request_id: 'r1', retryable: true };
  assert.equal(readEvent('error', { error }), {
    type: 'error',
    failure: { code: 'overloaded', message: 'Too much.', requestId: 'r1', retryable: true },
  });
  assert.is(readEvent('usage', {}), undefined);
});

reading('an error without anything in it is still a sentence', () => {
  assert.equal(readEvent('error', undefined), {
    type: 'error',
    failure: { code: 'unknown', message: 'The answer failed, and no reason was given.', retryable: false },
  });
});

reading.run();

// ---

const streaming = suite('readEventStream');

const bytes = new TextEncoder().encode(
  ': ping\n\nevent: start\ndata: {"model":"m"}\n\nevent: delta\ndata: {"text":"größer 🙂"}\n\nevent: later\ndata: {}\n\nevent: done\ndata: {"stop_reason":"end_turn"}\n\n',
);

const collect = (body: ReadableStream<Uint8Array>) => Array.fromAsync(readEventStream(body));

streaming('the events are the same wherever the bytes are cut', async () => {
  const whole = await collect(ReadableStream.from([bytes]));
  assert.equal(
    whole.map(({ type }) => type),
    ['start', 'delta', 'done'],
  );
  assert.equal(whole[1], delta('größer 🙂'));
  for (let at = 1; at < bytes.length; at++)
    assert.equal(await collect(ReadableStream.from([bytes.slice(0, at), bytes.slice(at)])), whole);
});

streaming('a connection that breaks is the end of the events', async () => {
  const body = ReadableStream.from(
    (async function* () {
      yield bytes.slice(0, 90);
      throw new Error('reset');
    })(),
  );
  assert.equal(
    (await collect(body)).map(({ type }) => type),
    ['start', 'delta'],
  );
});

streaming('whoever reads no further lets go of the connection', async () => {
  let isCancelled = false;
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(bytes),
    cancel: () => void (isCancelled = true),
  });
  for await (const { type } of readEventStream(body)) if (type === 'start') break;
  assert.ok(isCancelled);
});

streaming.run();

// ---

const framing = suite('createFrameReader');

const frame = (seq: number | undefined, type: string, fields: object = {}, owner = 'r1') =>
  JSON.stringify({ type, request_id: owner, ...(seq !== undefined && { seq }), ...fields });
const error = (code: string, param: string | null = null) => ({ error: { code, message: 'No.', param } });

framing('the frames of an answer are its events, up to its end', () => {
  const read = createFrameReader('r1');
  assert.equal(read(frame(0, 'start', { model: 'm' })), {
    type: 'event',
    event: { type: 'start', chatId: undefined, model: 'm', cached: undefined },
    isLast: false,
  });
  assert.equal(read(frame(1, 'delta', { text: 'a' })), { type: 'event', event: delta('a'), isLast: false });
  for (const [seq, type] of ['done', 'error', 'cancelled'].entries()) {
    const last = read(frame(2 + seq, type));
    assert.ok(last.type === 'event' && last.isLast, type);
  }
});

framing('drops a frame that comes twice, frames of other requests, and what it does not know', () => {
  const read = createFrameReader('r1');
  assert.equal(read('{"type":"pong"}'), { type: 'ignore' });
  read(frame(0, 'start'));
  for (const text of [frame(0, 'start'), frame(1, 'delta', {}, 'r2'), '{"type":"pong"}', 'no JSON'])
    assert.equal(read(text), { type: 'ignore' }, text);
  assert.equal(read(frame(1, 'later')), { type: 'ignore' });
  assert.is(read(frame(2, 'delta', { text: 'a' })).type, 'event');
});

framing('a missing frame is a gap, but not before an error or a cancel', () => {
  const readAt = (seq: number, type: string) => {
    const read = createFrameReader('r1');
    read(frame(0, 'start'));
    return read(frame(seq, type)).type;
  };
  assert.is(readAt(2, 'delta'), 'gap');
  assert.is(readAt(2, 'done'), 'gap');
  assert.is(readAt(2_147_483_647, 'error'), 'event');
  assert.is(readAt(2, 'cancelled'), 'event');
});

framing('an identity that has expired took no question, and another connection will', () => {
  const read = createFrameReader('r1');
  assert.equal(read(frame(undefined, 'error', error('unauthorized'))), { type: 'expired' });
});

framing('a refused question is an error, unless the answer runs already', () => {
  const read = createFrameReader('r1');
  const refused = read(frame(undefined, 'error', error('conflict')));
  assert.ok(refused.type === 'event' && refused.event.type === 'error' && refused.isLast);
  read(frame(0, 'start'));
  assert.equal(read(frame(undefined, 'error', error('conflict'))), { type: 'ignore' });
});

framing('a frame of the connection itself is an error of a question that has no answer yet', () => {
  const verdict = createFrameReader('r1')('{"message":"Internal server error","connectionId":"c"}');
  assert.ok(verdict.type === 'event' && verdict.event.type === 'error');
  assert.match(JSON.stringify(verdict), 'Internal server error');
});

framing('a cancel that came too early refuses nothing, an unknown conversation does', () => {
  const read = createFrameReader('r1');
  assert.equal(read(frame(undefined, 'error', error('not_found', 'request_id'))), { type: 'ignore' });
  assert.is(read(frame(undefined, 'error', error('not_found', 'chat_id'))).type, 'event');
});

framing('a part that came too fast may be sent again', () => {
  const refusal = frame(undefined, 'error', { n: 3, ...error('rate_limited') });
  assert.equal(createFrameReader('r1')(refusal), { type: 'repeat', part: 3 });
  const wrong = frame(undefined, 'error', { n: 3, ...error('invalid_request') });
  assert.is(createFrameReader('r1')(wrong).type, 'event');
});

framing.run();

// ---

const parting = suite('toMessages');

parting('a short question is one message', () => {
  assert.equal(toMessages('r1', { prompt: 'Hi' }), ['{"action":"chat","request_id":"r1","prompt":"Hi"}']);
});

parting('a long one is cut into parts that fit a frame, and are the whole again', () => {
  const body = { prompt: '"🙂\\ü\n'.repeat(9_000) };
  const messages = toMessages('r1', body);
  const parts = messages.map((message) => JSON.parse(message));
  assert.ok(messages.length > 3, `${messages.length} parts`);
  const sizes = messages.map((message) => Buffer.byteLength(message));
  assert.ok(
    sizes.every((size) => size <= 29 * 1024),
    sizes.join(),
  );
  assert.ok(
    sizes.slice(0, -1).every((size) => size > 28 * 1024),
    sizes.join(),
  );
  assert.equal(
    parts.map(({ n, of }) => [n, of]),
    parts.map((_, n) => [n, messages.length]),
  );
  const joined = JSON.parse(parts.map(({ data }) => data).join(''));
  assert.equal(joined, { action: 'chat', request_id: 'r1', ...body });
});

parting.run();

// ---

const answering = suite('an answer');

const answerOf = (...events: [ms: number, event: AnswerEvent][]) => {
  const answer = createAnswer();
  for (const [ms, event] of events) addEvent(answer, event, ms);
  return answer;
};

answering('gathers what came, and when', () => {
  const answer = answerOf([10, start], [20, delta('one ')], [120, delta('two')], [130, done]);
  assert.is(answer.text, 'one two');
  assert.is(answer.state, 'complete');
  assert.is(answer.cached, 'curated');
  assert.is(answer.chatId, 'c1');
  assert.equal(answer.arrivals, [
    { ms: 20, chars: 4 },
    { ms: 120, chars: 3 },
  ]);
  assert.equal(measure(answer), { firstTokenMs: 20, tokensPerSecond: 100 });
});

answering('thinks before it speaks, and that counts as having arrived', () => {
  const thought: AnswerEvent = { type: 'delta', text: '', reasoning: 'Hm.' };
  const answer = answerOf([10, thought], [20, thought], [30, { ...done, saved: false }]);
  assert.is(answer.reasoning, 'Hm.Hm.');
  assert.is(answer.text, '');
  assert.is(answer.saved, false);
  assert.equal(
    answer.arrivals.map(({ chars }) => chars),
    [3, 3],
  );
});

answering('has no rate where nothing was counted, or it came at once', () => {
  const uncounted: AnswerEvent = { ...done, usage: undefined };
  assert.equal(measure(answerOf([10, delta('a')], [500, delta('b')], [510, uncounted])), {
    firstTokenMs: 10,
    tokensPerSecond: undefined,
  });
  assert.is(measure(answerOf([10, delta('a')], [59, delta('b')], [60, done])).tokensPerSecond, undefined);
  assert.is(measure(answerOf([10, start])).firstTokenMs, undefined);
});

answering('without an end has broken off, and never looks whole', () => {
  const answer = answerOf([10, start], [20, delta('half')]);
  endEvents(answer, false);
  assert.is(answer.state, 'failed');
  assert.is(answer.failure?.message, 'The answer broke off before its end.');
  assert.is(answer.text, 'half');
});

answering('that was stopped and says nothing more is cancelled', () => {
  const answer = answerOf([10, start]);
  endEvents(answer, true);
  assert.is(answer.state, 'cancelled');
  assert.is(answer.failure, undefined);
});

answering('that has ended does not change', () => {
  const answer = answerOf([10, delta('a')], [20, done], [30, delta('b')]);
  endEvents(answer, false);
  assert.is(answer.text, 'a');
  assert.is(answer.state, 'complete');
});

answering.run();

// ---

const refusing = suite('readRefusal');

refusing('an envelope keeps its own words', () => {
  const envelope = { error: { code: 'conflict', message: 'Used.', request_id: 'r1', retryable: false } };
  assert.equal(readRefusal(409, envelope, 'other'), {
    code: 'conflict',
    message: 'Used.',
    requestId: 'r1',
    retryable: false,
  });
});

refusing('what AWS says in front of it is told in one line', () => {
  const { message, retryable, requestId } = readRefusal(403, { Message: 'Forbidden\ntoken' }, 'r1');
  assert.is(message, 'The gateway answered with HTTP 403: Forbidden.');
  assert.is(retryable, false);
  assert.is(requestId, 'r1');
  assert.is(
    readRefusal(502, undefined, null).message,
    'The gateway answered with HTTP 502, and gave no reason.',
  );
  assert.is(readRefusal(502, undefined, null).retryable, true);
  assert.is(readRefusal(429, {}, null).retryable, true);
});

refusing('who brings no key is told where keys come from', () => {
  const envelope = { error: { code: 'unauthorized', message: 'This API key is not known.' } };
  assert.match(readRefusal(401, envelope, null).message, /^This API key is not known\. On a laptop/);
  assert.match(readRefusal(401, { message: 'Unauthorized' }, null).message, /\.local\/api-key/);
});

refusing.run();
