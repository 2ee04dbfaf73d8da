/**
 * What every HTTP door promises, whoever stands behind it. A door's test file opens its door and runs this; nothing here knows which one
 * it is.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ErrorCode } from '../../src/chat/errors.ts';
import type { Settings } from '../../src/chat/settings.ts';
import { type Gateway, readSse, until } from '../helpers/gateway.ts';

export type OpenDoor = (settings?: Partial<Settings>) => Promise<Gateway>;

type Envelope = {
  readonly error: { readonly code: ErrorCode; readonly message: string; readonly param: string | null };
};

const SIX_MB = 6_000_000;
const terminals = ['done', 'error', 'cancelled'];
const json = { 'content-type': 'application/json' };
const object = (pairs: number) =>
  `{"prompt":"Hi",${Array.from({ length: pairs }, (_, n) => `"k${n}":0`).join(',')}}`;

/** What hostile and mistaken callers send, and what DESIGN 4.5 answers. */
const refusals: readonly {
  readonly what: string;
  readonly body: string | Uint8Array<ArrayBuffer>;
  readonly headers?: Record<string, string>;
  readonly status: number;
  readonly code: ErrorCode;
}[] = [
  { what: '6 MB of nested brackets', body: '['.repeat(SIX_MB), status: 413, code: 'payload_too_large' },
  { what: '5 MB of nested brackets', body: '['.repeat(5_000_000), status: 400, code: 'invalid_request' },
  { what: '33 levels', body: `${'['.repeat(33)}${']'.repeat(33)}`, status: 400, code: 'invalid_request' },
  { what: '200,000 unknown keys', body: object(200_000), status: 400, code: 'invalid_request' },
  { what: '20,000 unknown keys', body: object(20_000), status: 400, code: 'invalid_request' },
  { what: 'broken UTF-8', body: Buffer.from('7b22ff223a317d', 'hex'), status: 400, code: 'invalid_json' },
  { what: 'half a JSON text', body: '{"prompt":', status: 400, code: 'invalid_json' },
  { what: 'no body', body: '', status: 400, code: 'invalid_json' },
  { what: 'a lone surrogate', body: '{"prompt":"\\ud800"}', status: 400, code: 'invalid_request' },
  { what: 'a blank prompt', body: '{"prompt":" \\n"}', status: 400, code: 'invalid_request' },
  { what: '__proto__', body: '{"prompt":"Hi","__proto__":{"a":1}}', status: 400, code: 'invalid_request' },
  { what: 'constructor', body: '{"prompt":"Hi","constructor":1}', status: 400, code: 'invalid_request' },
  {
    what: 'prototype, deep inside',
    body: '{"prompt":"Hi","parameters":{"prototype":1}}',
    status: 400,
    code: 'invalid_request',
  },
  { what: 'a list', body: '[]', status: 400, code: 'invalid_request' },
  {
    what: 'a huge number',
    body: '{"prompt":"Hi","parameters":{"max_tokens":1e12}}',
    status: 400,
    code: 'invalid_request',
  },
  {
    what: 'a model as a URL',
    body: '{"prompt":"Hi","model":"https://evil.test/"}',
    status: 404,
    code: 'model_not_found',
  },
  {
    what: 'a conversation of nobody',
    body: '{"prompt":"Hi","chat_id":"c1"}',
    status: 404,
    code: 'not_found',
  },
  {
    what: 'text',
    body: 'Hi',
    headers: { 'content-type': 'text/plain' },
    status: 415,
    code: 'unsupported_media_type',
  },
  {
    what: 'a compressed body',
    body: '{"prompt":"Hi"}',
    headers: { ...json, 'content-encoding': 'gzip' },
    status: 415,
    code: 'unsupported_media_type',
  },
];

export function runDoorContract(name: string, open: OpenDoor, anonymous: { readonly status: number }) {
  const door = suite(`the contract of a door: ${name}`);

  const withDoor =
    (test: (gateway: Gateway) => Promise<void>, settings: Partial<Settings> = {}) =>
    async () => {
      const gateway = await open({ allowedModels: ['simulator.*', 'global.amazon.*'], ...settings });
      try {
        await test(gateway);
        await until(() => gateway.ledger.open === 0);
      } finally {
        await gateway.close();
      }
    };

  const send = (gateway: Gateway, path: string, init: RequestInit = {}) => gateway.send(path, init);

  door(
    'an answer in one piece is whole, with its id and its usage',
    withDoor(async (gateway) => {
      const response = await gateway.chat({ prompt: 'ECHO one two', request_id: 'my-own-id' });
      assert.is(response.status, 200);
      assert.match(response.headers.get('content-type') ?? '', 'application/json');
      assert.is(response.headers.get('x-request-id'), 'my-own-id');
      assert.is(response.headers.get('x-cache'), 'bypass');
      const { usage, ...answer } = (await response.json()) as Record<string, unknown>;
      assert.equal(answer, {
        request_id: 'my-own-id',
        model: 'global.amazon.nova-2-lite-v1:0',
        cached: false,
        completion: 'one two',
        stop_reason: 'end_turn',
        saved: false,
      });
      assert.equal(Object.keys(usage as object), [
        'input_tokens',
        'output_tokens',
        'cache_read_tokens',
        'cache_write_tokens',
      ]);
    }),
  );

  door(
    'a stream is start, deltas and one terminal, and the text is byte for byte the model’s',
    withDoor(async (gateway) => {
      const text = 'a\r\n\r\nevent: done\ndata: {}\n\n[DONE]\u2028 \u{1F600} é';
      const response = await gateway.chat({ prompt: `ECHO ${text}`, stream: true });
      assert.is(response.headers.get('content-type'), 'text/event-stream; charset=utf-8');
      assert.is(response.headers.get('cache-control'), 'no-cache, no-transform');
      const events = await readSse(response);
      const names = events.map((event) => event.name);
      assert.is(names[0], 'start');
      assert.ok(names.slice(1, -1).every((event) => event === 'delta'));
      assert.is(names.at(-1), 'done');
      assert.is(events.map(({ data }) => data['text'] ?? '').join(''), text);
    }),
  );

  door(
    'Accept asks for a stream where the body does not say',
    withDoor(async (gateway) => {
      const headers = { ...json, accept: 'text/event-stream' };
      const body = '{"prompt":"ECHO Hi"}';
      const response = await send(gateway, '/v1/chat', { method: 'POST', headers, body });
      assert.match(response.headers.get('content-type') ?? '', 'text/event-stream');
      assert.is((await readSse(response)).at(-1)?.name, 'done');
    }),
  );

  door(
    'a failure before the first event has its own status, a later one is an event',
    withDoor(async (gateway) => {
      const early = await gateway.chat({ prompt: 'Hi', model: 'simulator.access-denied', stream: true });
      assert.is(early.status, 502);
      assert.is(early.headers.get('x-should-retry'), 'false');
      assert.is(((await early.json()) as Envelope).error.code, 'upstream_access_denied');
      const late = await gateway.chat({ prompt: 'Hi', model: 'simulator.end-mid-stream', stream: true });
      assert.is(late.status, 200);
      const events = await readSse(late);
      assert.is(events.filter((event) => terminals.includes(event.name)).length, 1);
      const last = events.at(-1)?.data as Envelope | undefined;
      assert.is(last?.error.code, 'upstream_truncated');
      const throttled = await gateway.chat({ prompt: 'Hi', model: 'simulator.throttled' });
      assert.is(throttled.status, 429);
      assert.ok(Number(throttled.headers.get('retry-after')) >= 1);
    }),
  );

  for (const { what, body, headers = json, status, code } of refusals) {
    door(
      `${what}: ${status} ${code}, in less than 4 KB and without a call to Bedrock`,
      withDoor(async (gateway) => {
        const response = await send(gateway, '/v1/chat', { method: 'POST', headers, body });
        const text = await response.text();
        const { error } = JSON.parse(text) as Envelope;
        assert.equal([response.status, error.code], [status, code], error.message);
        assert.ok(text.length < 4096, `${text.length} bytes`);
        assert.is(gateway.ledger.opened, 0);
        assert.is(({} as { a?: number }).a, undefined);
      }),
    );
  }

  door(
    'a body of unknown length is counted as it comes',
    withDoor(
      async (gateway) => {
        const stream = (text: string) => ({
          method: 'POST',
          headers: json,
          body: new Blob([text]).stream(),
          duplex: 'half' as const,
        });
        assert.is((await send(gateway, '/v1/chat', stream('{"prompt":"ECHO Hi"}'))).status, 200);
        const text = `{"prompt":"${'x'.repeat(2_000)}"}`;
        const tooLong = await send(gateway, '/v1/chat', stream(text));
        assert.is(tooLong.status, 413);
        assert.match(((await tooLong.json()) as Envelope).error.message, '2000 bytes');
      },
      { bodyLimitBytes: 2_000 },
    ),
  );

  door(
    'a field that is wrong is named, with its limit',
    withDoor(async (gateway) => {
      const response = await gateway.chat({ prompt: 'Hi', parameters: { temperature: 2 }, colour: 'red' });
      const { error } = (await response.json()) as Envelope;
      assert.match(error.message, 'parameters.temperature must be at most 1.');
      assert.match(error.message, 'colour is not a field of this API.');
    }),
  );

  door(
    'a wrong path is 404, a wrong method 405 with Allow',
    withDoor(async (gateway) => {
      const missing = await send(gateway, '/v1/nothing');
      assert.is(missing.status, 404);
      assert.is(((await missing.json()) as Envelope).error.code, 'not_found');
      const wrong = await send(gateway, '/v1/chat', { method: 'PUT' });
      assert.is(wrong.status, 405);
      assert.is(wrong.headers.get('allow'), 'POST');
      assert.is(((await wrong.json()) as Envelope).error.code, 'method_not_allowed');
    }),
  );

  door(
    'the models are listed, the default first, aliases among them',
    withDoor(
      async (gateway) => {
        const { data } = (await (await send(gateway, '/v1/models')).json()) as { data: { id: string }[] };
        assert.equal(
          data.map(({ id }) => id),
          ['global.amazon.nova-2-lite-v1:0', 'simulator.none', 'fast'],
        );
      },
      {
        allowedModels: ['simulator.none', 'global.amazon.*'],
        modelAliases: new Map([['fast', 'simulator.none']]),
      },
    ),
  );

  door(
    'who brings no identity gets no further, and who has one is the tenant of the record',
    withDoor(async (gateway) => {
      const headers = { ...json, 'x-tenant': 'bob' };
      const body = '{"prompt":"ECHO Hi"}';
      const refused = await fetch(`${gateway.url}/v1/chat`, { method: 'POST', headers, body });
      assert.is(refused.status, anonymous.status);
      assert.is(gateway.ledger.opened, 0);
      await gateway.chat({ prompt: 'ECHO Hi' });
      await until(() => gateway.records.length > 0);
      assert.is(gateway.records.at(-1)?.tenant, gateway.tenant);
      assert.is(gateway.records.at(-1)?.door, gateway.door);
    }),
  );

  door(
    'a client that leaves ends the call to Bedrock',
    withDoor(async (gateway) => {
      const leave = new AbortController();
      const response = await gateway.chat(
        { prompt: 'Hi', model: 'simulator.stall-mid-stream', stream: true },
        { signal: leave.signal },
      );
      await response.body?.getReader().read();
      leave.abort();
      await until(() => gateway.ledger.closedEarly === 1);
      await until(() => gateway.records.at(-1)?.outcome === 'cancelled');
    }),
  );

  door.run();
}
