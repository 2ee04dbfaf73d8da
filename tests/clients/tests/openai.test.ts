/** Chat completions by the `openai` package: whole, in a stream, by its helpers, and with the gateway's own fields. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import OpenAI from 'openai';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createSigningFetch } from '../../../samples/signing-fetch.ts';
import { type Gateway, people, until } from '../../helpers/gateway.ts';
import {
  accessTo,
  collect,
  failureOf,
  inGateway,
  LONG_PROMPT,
  MODEL,
  SLOW,
  THINKING_MODEL,
} from './gateway.ts';

const openai = suite('openai');

const connect = (gateway: Gateway) => new OpenAI({ ...accessTo(gateway), maxRetries: 0 });
const ask = (content: string) => ({ model: MODEL, messages: [{ role: 'user' as const, content }] });
/** The gateway's own fields travel in the body, where the package knows nothing of them. */
const withFields = <Body extends object>(body: Body, fields: Readonly<Record<string, unknown>>): Body => ({
  ...body,
  ...fields,
});

for (const door of ['rest', 'function-url'] as const) {
  openai(
    `${door}: an answer in one piece has its text, its end and a usage that adds up`,
    inGateway(
      async (gateway) => {
        const { id, choices, usage, model, object } = await connect(gateway).chat.completions.create(
          ask('ECHO one two'),
        );
        assert.is(object, 'chat.completion');
        assert.is(id, `chatcmpl-${gateway.records[0]?.request_id}`);
        assert.is(model, MODEL);
        assert.is(choices.length, 1);
        assert.is(choices[0]?.index, 0);
        assert.is(choices[0]?.message.role, 'assistant');
        assert.is(choices[0]?.message.content, 'one two');
        assert.is(choices[0]?.finish_reason, 'stop');
        assert.ok(usage && usage.prompt_tokens > 0 && usage.completion_tokens > 0);
        assert.is(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
      },
      { door },
    ),
  );

  openai(
    `${door}: the chunks of a stream make the text, and have one id, time and model`,
    inGateway(
      async (gateway) => {
        const text = 'a\r\n\r\ndata: [DONE]\u2028 \u{1F600} é';
        const stream = await connect(gateway).chat.completions.create({
          ...ask(`ECHO ${text}`),
          stream: true,
        });
        const chunks = await collect(stream);
        const said = chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('');
        assert.is(said, text);
        for (const field of ['id', 'created', 'model', 'object'] as const)
          assert.is(new Set(chunks.map((chunk) => chunk[field])).size, 1, field);
        assert.match(chunks[0]?.id ?? '', /^chatcmpl-./);
        assert.is(chunks[0]?.choices[0]?.delta.role, 'assistant');
        assert.ok(Math.abs((chunks[0]?.created ?? 0) - Date.now() / 1000) < 3600);
      },
      { door },
    ),
  );
}

openai(
  'a signing fetch takes the credentials of the moment, and no key of the package',
  inGateway(
    async (gateway) => {
      const wrong = { ...people.alice, secretAccessKey: 'nobody’s' };
      const given = [wrong, people.alice];
      const credentials = async () => given.shift() ?? wrong;
      const fetch = createSigningFetch({ credentials, region: 'eu-west-1' });
      const client = new OpenAI({ ...accessTo(gateway), fetch, maxRetries: 0 });
      const refusal = await failureOf(client.chat.completions.create(ask('ECHO Hi')));
      assert.instance(refusal, OpenAI.PermissionDeniedError);
      const { choices } = await client.chat.completions.create(ask('ECHO Hi'));
      assert.is(choices[0]?.message.content, 'Hi');
    },
    { door: 'function-url' },
  ),
);

openai('a signing fetch follows no redirect: it would carry the session token to a stranger', async () => {
  const seen: (string | undefined)[] = [];
  const stranger = createServer((request, response) => {
    seen.push(request.url);
    response.writeHead(307, { location: '/elsewhere' }).end();
  });
  await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(stranger.address() as AddressInfo).port}/v1`;
  const fetch = createSigningFetch({ credentials: async () => ({ ...people.alice, sessionToken: 'tok' }) });
  assert.is((await fetch(url, { redirect: 'follow' })).status, 307);
  assert.equal(seen, ['/v1']);
  stranger.close();
});

openai(
  'a signed call that is given up before its answer begins is left upstream too',
  inGateway(
    async (gateway) => {
      const giveUp = new AbortController();
      const { signal } = giveUp;
      const answer = connect(gateway).chat.completions.create(ask('SLOW never'), { signal });
      const failure = failureOf(answer);
      await until(() => gateway.ledger.open === 1);
      giveUp.abort();
      assert.instance(await failure, OpenAI.APIUserAbortError);
      await until(() => gateway.ledger.closedEarly === 1);
    },
    { door: 'function-url' },
  ),
);

openai(
  'a stream has exactly one finish reason, at the end of its only choice',
  inGateway(async (gateway) => {
    const stream = await connect(gateway).chat.completions.create({ ...ask('ECHO one two'), stream: true });
    const choices = (await collect(stream)).flatMap((chunk) => chunk.choices);
    assert.ok(choices.every(({ index }) => index === 0));
    const reasons = choices.map(({ finish_reason }) => finish_reason);
    assert.is(reasons.at(-1), 'stop');
    assert.ok(reasons.slice(0, -1).every((reason) => reason === null));
  }),
);

openai(
  'usage comes in one chunk without choices, and only when it was asked for',
  inGateway(async (gateway) => {
    const completions = connect(gateway).chat.completions;
    const plain = await collect(await completions.create({ ...ask('ECHO one two'), stream: true }));
    assert.ok(plain.every(({ usage, choices }) => usage === undefined && choices.length === 1));
    const stream_options = { include_usage: true };
    const body = { ...ask('ECHO three four'), stream: true, stream_options } as const;
    const chunks = await collect(await completions.create(body));
    const last = chunks.pop();
    assert.equal(last?.choices, []);
    assert.ok(last?.usage && last.usage.completion_tokens > 0);
    assert.ok(chunks.every(({ usage, choices }) => usage === null && choices.length === 1));
  }),
);

openai(
  '.stream() tells the content as it grows, the final completion and the total usage',
  inGateway(async (gateway) => {
    const stream = connect(gateway).chat.completions.stream({
      ...ask('ECHO one two three'),
      stream_options: { include_usage: true },
    });
    const deltas: string[] = [];
    stream.on('content', (delta) => deltas.push(delta));
    assert.is(await stream.finalContent(), 'one two three');
    assert.is(deltas.join(''), 'one two three');
    const { choices, usage } = await stream.finalChatCompletion();
    assert.is(choices[0]?.finish_reason, 'stop');
    assert.is(choices[0]?.message.content, 'one two three');
    assert.ok(usage);
    assert.is((await stream.totalUsage()).total_tokens, usage.total_tokens);
  }),
);

openai(
  'an answer that reached its limit ends with length, by either name of the limit',
  inGateway(async (gateway) => {
    const completions = connect(gateway).chat.completions;
    for (const limit of [{ max_tokens: 2 }, { max_completion_tokens: 2 }]) {
      const { choices, usage } = await completions.create({ ...ask('ECHO one two three four'), ...limit });
      assert.is(choices[0]?.finish_reason, 'length');
      assert.is(usage?.completion_tokens, 2);
    }
  }),
);

openai(
  'stop ends an answer before the word, whether it is a text or a list',
  inGateway(async (gateway) => {
    const completions = connect(gateway).chat.completions;
    for (const stop of ['END', ['never', 'END']]) {
      const { choices } = await completions.create({ ...ask('ECHO one END two'), stop });
      assert.is(choices[0]?.message.content, 'one ');
      assert.is(choices[0]?.finish_reason, 'stop');
    }
  }),
);

openai(
  'the model reads what system and developer messages say',
  inGateway(async (gateway) => {
    const { messages, model } = ask('ECHO one');
    const read = async (role: 'system' | 'developer', content: string) => {
      const told = withFields({ model, messages: [{ role, content }, ...messages] }, { cache: 'off' });
      const { usage } = await connect(gateway).chat.completions.create(told);
      return usage?.prompt_tokens ?? 0;
    };
    const [short, system, developer] = [
      await read('system', 'Brief.'),
      await read('system', 'Be brief and kind, and rhyme.'),
      await read('developer', 'Be brief and kind, and rhyme.'),
    ];
    assert.ok(system > short);
    assert.is(developer, system);
  }),
);

openai(
  'what the client sent of the conversation is what the model knows of it',
  inGateway(async (gateway) => {
    const messages = [
      { role: 'user' as const, content: 'Tell me about cages' },
      { role: 'assistant' as const, content: 'They keep things in.' },
      { role: 'user' as const, content: 'And birds?' },
    ];
    const { choices } = await connect(gateway).chat.completions.create({ model: MODEL, messages });
    assert.match(choices[0]?.message.content ?? '', 'Before it came 1 turn');
  }),
);

openai(
  'an alias of the operator stands for a model, so that code for gpt-4o runs as it is',
  inGateway(
    async (gateway) => {
      const client = connect(gateway);
      const { choices } = await client.chat.completions.create({ ...ask('ECHO one'), model: 'gpt-4o' });
      assert.is(choices[0]?.message.content, 'one');
      const names = (await collect(client.models.list())).map(({ id }) => id);
      assert.ok(names.includes('gpt-4o'));
    },
    { settings: { allowedModels: [MODEL], modelAliases: new Map([['gpt-4o', MODEL]]) } },
  ),
);

openai(
  'a conversation begun with chat_id "new" is remembered under the id in x-chat-id',
  inGateway(async (gateway) => {
    const completions = connect(gateway).chat.completions;
    const first = await completions.create(withFields(ask('Hello there'), { chat_id: 'new' })).withResponse();
    const chat_id = first.response.headers.get('x-chat-id');
    assert.ok(chat_id);
    const next = await completions.create(withFields(ask('And what now?'), { chat_id }));
    assert.match(next.choices[0]?.message.content ?? '', 'Before it came 1 turn, most recently about Hello');
  }),
);

openai(
  'without chat_id nothing is remembered',
  inGateway(async (gateway) => {
    const { response } = await connect(gateway).chat.completions.create(ask('Hello there')).withResponse();
    assert.is(response.headers.get('x-chat-id'), null);
    const listed = await gateway.send('/v1/chats');
    assert.equal(((await listed.json()) as { data: unknown }).data, []);
  }),
);

openai(
  'what cache_control marks is read from the model’s own cache the next time, and the usage says so',
  inGateway(async (gateway) => {
    const rules = withFields(
      { type: 'text' as const, text: 'Be brief. '.repeat(1000) },
      { cache_control: { type: 'ephemeral' } },
    );
    const read = async (content: string) => {
      const messages = [{ role: 'system' as const, content: [rules] }, ...ask(content).messages];
      const { usage } = await connect(gateway).chat.completions.create({ model: THINKING_MODEL, messages });
      assert.ok((usage?.prompt_tokens ?? 0) > 2000);
      return usage?.prompt_tokens_details?.cached_tokens ?? 0;
    };
    assert.is(await read('ECHO one'), 0);
    assert.ok((await read('ECHO two')) >= 2000);
  }),
);

openai(
  'the same question again is answered from the cache, and looks the same',
  inGateway(async (gateway) => {
    const completions = connect(gateway).chat.completions;
    const asked = async () => await completions.create(ask('What is a Faraday cage?')).withResponse();
    const [first, second] = [await asked(), await asked()];
    assert.is(first.response.headers.get('x-cache'), 'miss');
    assert.is(second.response.headers.get('x-cache'), 'hit');
    assert.equal(second.data.choices, first.data.choices);
    assert.equal(Object.keys(second.data), Object.keys(first.data));
    assert.is.not(second.data.id, first.data.id);
    assert.is(gateway.ledger.opened, 1);
  }),
);

openai(
  'an answer from the cache is a stream for those who want one',
  inGateway(async (gateway) => {
    const completions = connect(gateway).chat.completions;
    const whole = await completions.create(ask('What is a Faraday cage?'));
    const asked = completions.create({ ...ask('What is a Faraday cage?'), stream: true });
    const { data, response } = await asked.withResponse();
    const chunks = await collect(data);
    assert.is(response.headers.get('x-cache'), 'hit');
    assert.ok(chunks.length > 3);
    const said = chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('');
    assert.is(said, whole.choices[0]?.message.content);
  }),
);

openai(
  'controller.abort() in the middle of a stream ends the work upstream',
  inGateway(async (gateway) => {
    const stream = await connect(gateway).chat.completions.create({ ...ask(LONG_PROMPT), stream: true });
    for await (const { choices } of stream) if (choices[0]?.delta.content) stream.controller.abort();
    await until(() => gateway.ledger.open === 0);
    assert.is(gateway.ledger.closedEarly, 1);
  }, SLOW),
);

openai(
  'leaving the loop in the middle of a stream ends the work upstream',
  inGateway(async (gateway) => {
    const stream = await connect(gateway).chat.completions.create({ ...ask(LONG_PROMPT), stream: true });
    for await (const { choices } of stream) if (choices[0]?.delta.content) break;
    await until(() => gateway.ledger.open === 0);
    assert.is(gateway.ledger.closedEarly, 1);
  }, SLOW),
);

openai(
  'a signal that aborts while an answer in one piece is awaited ends the work upstream',
  inGateway(async (gateway) => {
    const leaving = new AbortController();
    const asked = connect(gateway).chat.completions.create(ask(LONG_PROMPT), { signal: leaving.signal });
    const failing = failureOf(asked);
    await until(() => gateway.ledger.open === 1);
    leaving.abort();
    assert.instance(await failing, OpenAI.APIUserAbortError);
    await until(() => gateway.ledger.open === 0);
    assert.is(gateway.ledger.closedEarly, 1);
  }, SLOW),
);

openai(
  'a stream that somebody cancels by its request id throws at its reader',
  inGateway(async (gateway) => {
    const asked = connect(gateway).chat.completions.create({ ...ask(LONG_PROMPT), stream: true });
    const { data: stream, response } = await asked.withResponse();
    const chunks = stream[Symbol.asyncIterator]();
    await chunks.next();
    const id = response.headers.get('x-request-id');
    const cancelled = await gateway.send(`/v1/requests/${id}`, { method: 'DELETE' });
    assert.is(cancelled.status, 202);
    const error = await failureOf(collect({ [Symbol.asyncIterator]: () => chunks }));
    assert.instance(error, OpenAI.APIError);
    assert.is((error as { code?: unknown }).code, 'cancelled');
  }, SLOW),
);

openai.run();
