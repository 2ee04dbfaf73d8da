/** What the HTTP function writes, byte by byte as Lambda gets it, and what becomes of it. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { RestEvent } from '../../../src/doors/lambda-event.ts';
import { people, until } from '../../helpers/gateway.ts';
import { functionUrlEvent, restEvent } from '../../helpers/lambda-events.ts';
import { STREAMED_RESPONSE } from '../doors.ts';
import { type RuntimeGateway, type RuntimeOptions, startRuntime } from '../gateway.ts';
import { parseReply, readWrites } from '../replies.ts';
import { FunctionError, type Reply } from '../runtime-api.ts';
import { ORIGIN } from '../stage.ts';

const inGateway =
  (test: (gateway: RuntimeGateway) => Promise<void>, options: RuntimeOptions = {}) =>
  async () => {
    const gateway = await startRuntime(options);
    try {
      await test(gateway);
    } finally {
      await gateway.close();
    }
  };

const chat = (body: object) => restEvent({ body: JSON.stringify(body) });
const streamed = { stream: true, cache: 'off' };

/** The names of the events in these writes of a body. */
const namesOf = (writes: readonly string[]) =>
  [...writes.join('').matchAll(/^event: (\w+)$/gm)].map(([, name]) => name);

/** A model that says a few words, and then nothing more. */
const STALLS = 'simulator.stall-mid-stream';

/** Sends this event, cancels it once so many events of its answer are here, and has all writes of the body. */
async function askAndCancel(
  { functions: { http }, ledger }: RuntimeGateway,
  event: RestEvent,
  requestId: string,
  enough: number,
): Promise<Pick<Reply, 'contentType' | 'isStreamed'> & { readonly writes: readonly string[] }> {
  const { body, contentType, isStreamed } = await http.invoke(event);
  const writes: string[] = [];
  let cancelling: Promise<unknown> | undefined;
  for await (const chunk of body) {
    writes.push(String(chunk));
    if (cancelling || writes.slice(2).join('').split('\n\n').length <= enough) continue;
    assert.equal([ledger.open, ledger.completed], [1, 0], 'the model has not come to its end');
    const cancel = restEvent({ httpMethod: 'DELETE', path: `/v1/requests/${requestId}`, body: null });
    cancelling = http.invoke(cancel).then(readWrites);
  }
  await cancelling;
  return { contentType, isStreamed, writes: writes.slice(2) };
}

const answers = suite('answers of the HTTP function');

answers(
  'metadata and delimiter come before every body, an empty one too',
  inGateway(async ({ functions: { http } }) => {
    const asked = await parseReply(await http.invoke(chat({ prompt: 'ECHO Hi' })));
    const chatPath = `/v1/chats/${asked.headers['x-chat-id']}`;
    const preflight = { Origin: [ORIGIN], 'Access-Control-Request-Method': ['POST'] };
    const replies = [
      restEvent({ httpMethod: 'DELETE', path: chatPath, body: null }),
      restEvent({ httpMethod: 'OPTIONS', body: null, multiValueHeaders: preflight }, {}),
      restEvent({ httpMethod: 'PUT' }),
      restEvent({ httpMethod: 'GET', path: '/v1/nothing', body: null }),
      functionUrlEvent({ rawPath: '/v1/nothing' }, undefined, 'HEAD'),
      restEvent({ httpMethod: 'TRACE' }),
    ].map(async (event) => await parseReply(await http.invoke(event)));
    const [deleted, open, wrong, missing, head, trace] = await Promise.all(replies);
    assert.equal([deleted?.status, deleted?.writes], [204, []]);
    assert.equal([open?.status, open?.writes], [204, []]);
    assert.is(open?.headers['access-control-allow-origin'], ORIGIN);
    assert.equal([wrong?.status, wrong?.headers['allow']], [405, 'POST']);
    assert.match(wrong?.writes.join() ?? '', '"method_not_allowed"');
    assert.equal([missing?.status, missing?.headers['content-type']], [404, 'application/json']);
    assert.equal([head?.status, trace?.status], [404, 405]);
    for (const reply of [asked, deleted, open, wrong, missing, head]) {
      assert.match(reply?.headers['x-request-id'] ?? '', /^[\w-]+$/);
    }
  }),
);

answers(
  'an answer leaves while the model is still speaking, event by event and in order',
  inGateway(async (gateway) => {
    const ask = { prompt: 'Hi', model: STALLS, request_id: 'r1', ...streamed };
    const { contentType, isStreamed, writes } = await askAndCancel(gateway, chat(ask), 'r1', 4);
    assert.equal([contentType, isStreamed], [STREAMED_RESPONSE, true]);
    assert.equal(namesOf(writes), ['start', 'delta', 'delta', 'delta', 'cancelled']);
    for (const write of writes) assert.match(write, /^event: .*\n\n$/s);
  }),
);

answers(
  'a long answer comes in many writes, and is whole',
  inGateway(
    async ({ functions: { http } }) => {
      const parameters = { max_tokens: 32_000 };
      const text = 'Ein Käfig aus Draht hält Felder fern. '.repeat(400);
      const { writes } = await parseReply(
        await http.invoke(chat({ prompt: `ECHO ${text}`, ...streamed, parameters })),
      );
      const deltas = writes.join('').matchAll(/^data: (\{"text":.*)$/gm);
      const said = [...deltas].map(([, data = '']) => JSON.parse(data).text).join('');
      assert.ok(said === text, `${said.length} of ${text.length} characters`);
      assert.is(namesOf(writes).at(-1), 'done');
      assert.ok(writes.length > 1, `${writes.length} writes`);
    },
    { tokensPerSecond: Number.POSITIVE_INFINITY },
  ),
);

answers(
  'an early failure is a status, a late one an event, and to Lambda neither is one',
  inGateway(async ({ functions: { http } }) => {
    const ask = (model: string) => http.invoke(chat({ prompt: 'Hi', model, ...streamed })).then(parseReply);
    const early = await ask('simulator.throttled');
    assert.is(early.status, 429);
    assert.match(early.writes.join(), '"upstream_throttled"');
    const late = await ask('simulator.reset-mid-stream');
    assert.is(late.status, 200);
    assert.equal(namesOf(late.writes), ['start', 'delta', 'delta', 'delta', 'error']);
    assert.match(late.writes.join(''), '"upstream_truncated"');
    assert.ok(http.environments.every(({ isAlive }) => isAlive));
  }),
);

answers(
  'a reader who leaves is not told of: the answer goes on to its end, and is kept',
  inGateway(
    async (gateway) => {
      const leave = await gateway.begin({ prompt: `ECHO ${'one two three four five '.repeat(20)}` });
      assert.is(gateway.ledger.open, 1);
      leave();
      await until(() => gateway.records.length > 0);
      const { outcome, saved } = gateway.records[0] ?? {};
      assert.equal([outcome, saved, gateway.ledger.completed], ['done', true, 1]);
    },
    // Of 100 tokens.
    { tokensPerSecond: 30 },
  ),
);

answers(
  'an answer that has no time left ends with a sentence, and its process lives',
  inGateway(
    async (gateway) => {
      const { error } = await gateway.ask({ prompt: 'Hi', model: 'simulator.stall-before-first-event' });
      assert.is(error?.code, 'deadline_exceeded');
      assert.is((await gateway.chat({ prompt: 'ECHO Hi', cache: 'off' })).status, 504);
      assert.ok(gateway.functions.http.environments.every(({ isAlive }) => isAlive));
    },
    // The gateway keeps 5 s of it for its end.
    { functionTimeoutMs: 5_000 },
  ),
);

answers(
  'OpenAI’s clients get their chunks as they come, and embeddings with the rights of the role',
  inGateway(async (gateway) => {
    const { http } = gateway.functions;
    const path = '/v1/chat/completions';
    const post = async (path: string, body: object) =>
      await parseReply(await http.invoke(restEvent({ path, body: JSON.stringify(body) })));
    const ask = { messages: [{ role: 'user', content: 'Hi' }], ...streamed };
    const stalled = { path, body: JSON.stringify({ ...ask, model: STALLS, request_id: 'r1' }) };
    const { writes: begun } = await askAndCancel(gateway, restEvent(stalled), 'r1', 4);
    const said = [...begun.join('').matchAll(/"delta":(.*?),"logprobs"/g)].map(([, delta]) => delta);
    const first = '{"role":"assistant","content":""}';
    assert.equal(said, [first, ...['This', ' is', ' the'].map((content) => JSON.stringify({ content }))]);
    assert.match(begun.at(-1) ?? '', /^data: \{"error":\{"code":"cancelled"/);
    const { status, writes } = await post(path, ask);
    assert.is(status, 200);
    assert.match(writes[0] ?? '', /^data: \{"id":"chatcmpl-/);
    assert.match(writes.join(''), /"finish_reason":"stop"\}\]\}\n\ndata: \[DONE\]\n\n$/);
    const body = { model: 'amazon.titan-embed-text-v2:0', input: ['a', 'b'], dimensions: 256 };
    const embedded = await post('/v1/embeddings', body);
    const { data } = JSON.parse(embedded.writes.join(''));
    assert.equal(
      data.map(({ embedding }: { embedding: number[] }) => embedding.length),
      [256, 256],
    );
    const found = restEvent({
      httpMethod: 'GET',
      path: `/v1/models/${encodeURIComponent(body.model)}`,
      body: null,
    });
    assert.is((await parseReply(await http.invoke(found))).status, 200);
  }),
);

answers(
  'an event that nobody knows harms nobody: the next is answered by the same process',
  inGateway(async ({ functions: { http, websocket, worker }, lines }) => {
    for (const unknown of [{}, { hello: 1 }, [], null, { Records: [{ body: people.alice.key }] }]) {
      await http.settle();
      const failures = [
        http.invoke(unknown).then(readWrites),
        websocket.call(unknown),
        worker.call(unknown),
      ].map((run) => run.catch((error: unknown) => error));
      for (const failure of await Promise.all(failures)) assert.instance(failure, FunctionError);
    }
    assert.is((await parseReply(await http.invoke(chat({ prompt: 'ECHO Hi' })))).status, 200);
    for (const { environments } of [http, websocket, worker]) {
      assert.ok(environments.every(({ isAlive }) => isAlive));
    }
    assert.ok(websocket.environments.length === 1 && worker.environments.length === 1);
    assert.not.match(lines.join('\n'), people.alice.key);
  }),
);

answers.run();
