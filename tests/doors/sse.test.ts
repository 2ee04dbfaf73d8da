import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { GatewayError } from '../../src/chat/errors.ts';
import type { ChatEvent } from '../../src/chat/events.ts';
import { createChatWriter } from '../../src/doors/chat.ts';
import { HEARTBEAT_MS, streamSse } from '../../src/doors/sse.ts';
import { createManualClock, settle } from '../helpers/manual-clock.ts';

const usage = { inputTokens: 5, outputTokens: 2, cacheReadTokens: 1, cacheWriteTokens: 0 };
const start: ChatEvent = { type: 'start', requestId: 'r', model: 'm', cached: false };
const text = (piece: string): ChatEvent => ({ type: 'text-delta', block: 0, text: piece });
const done: ChatEvent = {
  type: 'done',
  stopReason: 'end_turn',
  usage,
  saved: false,
  timing: { firstEventMs: 312, totalMs: 1840 },
};
const failed = (error: GatewayError): ChatEvent => ({
  type: 'error',
  code: error.code,
  message: error.message,
  retryable: true,
  cause: error,
});

const writer = createChatWriter('r');

const encoding = suite('the events of POST /v1/chat');

encoding('each event is one event line and one data line, as the contract writes them', () => {
  const wire = (event: ChatEvent) => writer.encode(event);
  assert.is(wire(start), 'event: start\ndata: {"request_id":"r","model":"m","cached":false}\n\n');
  assert.is(
    wire({ ...start, chatId: 'c' } as ChatEvent),
    'event: start\ndata: {"request_id":"r","chat_id":"c","model":"m","cached":false}\n\n',
  );
  assert.is(wire(text('A "cage"\n')), 'event: delta\ndata: {"text":"A \\"cage\\"\\n"}\n\n');
  assert.is(
    wire({ type: 'reasoning-delta', block: 0, text: 'hm' }),
    'event: delta\ndata: {"reasoning":"hm"}\n\n',
  );
  assert.is(
    wire(done),
    'event: done\ndata: {"stop_reason":"end_turn","usage":{"input_tokens":5,"output_tokens":2,"cache_read_tokens":1,"cache_write_tokens":0},"saved":false,"timing":{"first_event_ms":312,"total_ms":1840}}\n\n',
  );
  assert.is(
    wire({ type: 'cancelled', usage, estimated: true }),
    'event: cancelled\ndata: {"usage":{"input_tokens":5,"output_tokens":2,"cache_read_tokens":1,"cache_write_tokens":0},"estimated":true}\n\n',
  );
  assert.match(
    wire(failed(new GatewayError('upstream_stalled', 'It fell silent.'))),
    /^event: error\ndata: \{"error":\{"code":"upstream_stalled"/,
  );
});

encoding('what signs reasoning and what calls tools has no word in this API', () => {
  assert.is(writer.encode({ type: 'reasoning-signature', block: 0, signature: 's' }), '');
  assert.is(writer.encode({ type: 'tool-end', block: 0 }), '');
});

encoding('no text can forge an event', () => {
  const hostile = ['a\r\n\r\nevent: done\ndata: {}\n\n', '[DONE]', '\u2028\u2029', '\r', ': ping\n\n', '\0'];
  const messages: EventSourceMessage[] = [];
  const parser = createParser({ onEvent: (message) => void messages.push(message) });
  for (const piece of hostile) parser.feed(writer.encode(text(piece)));
  assert.is(messages.length, hostile.length);
  assert.ok(messages.every(({ event }) => event === 'delta'));
  assert.equal(
    messages.map(({ data }) => JSON.parse(data).text),
    hostile,
  );
});

encoding.run();

// ---

function open(events: AsyncGenerator<ChatEvent, void>) {
  const clock = createManualClock();
  const seen = { aborted: false };
  const first = events.next();
  const stream = streamSse({ first, events, writer, clock, abort: () => (seen.aborted = true) });
  return { clock, seen, reader: stream.getReader() };
}

async function* of(...events: ChatEvent[]) {
  yield* events;
}

async function readAll(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string[]> {
  const chunks: string[] = [];
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    chunks.push(new TextDecoder().decode(next.value));
  }
  return chunks;
}

const streaming = suite('streamSse');

streaming('events that arrive in one turn leave in one chunk', async () => {
  const { reader } = open(of(start, text('a'), text('b'), done));
  const chunks = await readAll(reader);
  assert.is(chunks.length, 1);
  assert.is(chunks[0]?.split('\n\n').length, 5);
});

streaming('an event that arrives alone leaves alone and at once', async () => {
  const { reader } = open(
    (async function* () {
      yield start;
      await settle();
      yield text('a');
      await settle();
      yield done;
    })(),
  );
  assert.is((await readAll(reader)).length, 3);
});

streaming('a ping goes out whenever it was quiet for 15 seconds, also before the first event', async () => {
  let speak = () => {};
  const { clock, reader } = open(
    (async function* () {
      await new Promise<void>((resolve) => (speak = resolve));
      yield start;
      await new Promise<void>((resolve) => (speak = resolve));
      yield done;
    })(),
  );
  const next = async () => new TextDecoder().decode((await reader.read()).value);
  await clock.advance(HEARTBEAT_MS);
  assert.is(await next(), ': ping\n\n');
  await clock.advance(10_000);
  speak();
  assert.match(await next(), 'event: start');
  const ping = next();
  let isQuiet = true;
  void ping.then(() => (isQuiet = false));
  await clock.advance(14_000);
  assert.ok(isQuiet, 'a ping too early');
  await clock.advance(1_000);
  assert.is(await ping, ': ping\n\n');
  speak();
  assert.match(await next(), 'event: done');
  assert.is(clock.armed, 0);
});

streaming('nothing is read ahead for a reader who does not read', async () => {
  let pulled = 0;
  let enough = false;
  const { reader } = open(
    (async function* () {
      yield start;
      while (!enough) {
        pulled++;
        yield text('x'.repeat(1000));
      }
    })(),
  );
  for (let turn = 0; turn < 20; turn++) await settle();
  assert.ok(pulled > 5 && pulled < 30, `${pulled} pulled`);
  const before = pulled;
  for (let count = 0; count < 3; count++) await reader.read();
  for (let turn = 0; turn < 20; turn++) await settle();
  assert.ok(pulled > before && pulled < 90, `${pulled} pulled`);
  enough = true;
  await reader.cancel();
});

streaming(
  'a reader who leaves calls the events off, and is gone when they have been read to their end',
  async () => {
    let ended = false;
    let speak = () => {};
    const { clock, seen, reader } = open(
      (async function* () {
        yield start;
        await new Promise<void>((resolve) => (speak = resolve));
        yield { type: 'cancelled', usage, estimated: true } as const;
        ended = true;
      })(),
    );
    await reader.read();
    let isGone = false;
    const leaving = reader.cancel().then(() => (isGone = true));
    await settle();
    assert.equal([seen.aborted, isGone], [true, false]);
    speak();
    await leaving;
    assert.ok(ended);
    assert.is(clock.armed, 0);
  },
);

streaming('events that break become an error event and never a silent end', async () => {
  const { reader, seen } = open(
    (async function* () {
      yield start;
      throw new Error('secret');
    })(),
  );
  const all = (await readAll(reader)).join('');
  assert.match(all, /event: error\ndata: \{"error":\{"code":"internal_error"/);
  assert.not.match(all, 'secret');
  assert.ok(seen.aborted, 'the model was called off');
});

streaming.run();
