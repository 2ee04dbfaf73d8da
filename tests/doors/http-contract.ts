/**
 * What the HTTP doors promise besides the contract of every door: statuses, headers, routes, answers in one piece.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ErrorCode } from '../../src/chat/errors.ts';
import { readSse } from '../helpers/clients.ts';
import { type Gateway, until } from '../helpers/gateway.ts';
import { inGateway, type OpenDoor } from './contract.ts';

type Envelope = {
  readonly error: { readonly code: ErrorCode; readonly message: string; readonly param: string | null };
};

const SIX_MB = 6_000_000;
const terminals = ['done', 'error', 'cancelled'];
const json = { 'content-type': 'application/json' };
const object = (pairs: number) =>
  `{"prompt":"Hi",${Array.from({ length: pairs }, (_, n) => `"k${n}":0`).join(',')}}`;

/** What only HTTP can bring: bodies longer than a WebSocket's messages, bytes that are no text, headers. */
const refusals: readonly {
  readonly what: string;
  readonly body: string | Uint8Array<ArrayBuffer>;
  readonly headers?: Record<string, string>;
  readonly status: number;
  readonly code: ErrorCode;
}[] = [
  { what: '6 MB of nested brackets', body: '['.repeat(SIX_MB), status: 413, code: 'payload_too_large' },
  { what: '5 MB of nested brackets', body: '['.repeat(5_000_000), status: 400, code: 'invalid_request' },
  { what: '200,000 unknown keys', body: object(200_000), status: 400, code: 'invalid_request' },
  { what: 'broken UTF-8', body: Buffer.from('7b22ff223a317d', 'hex'), status: 400, code: 'invalid_json' },
  { what: 'no body', body: '', status: 400, code: 'invalid_json' },
  { what: 'a list', body: '[]', status: 400, code: 'invalid_request' },
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

export function runHttpContract(name: string, open: OpenDoor, anonymous: { readonly status: number }) {
  const door = suite(`the contract of an HTTP door: ${name}`);

  const withDoor = inGateway(open);

  const send = (gateway: Gateway, path: string, init: RequestInit = {}) => gateway.send(path, init);

  door(
    'an answer in one piece is whole, with its id and its usage',
    withDoor(async (gateway) => {
      const response = await gateway.chat({ prompt: 'ECHO one two', request_id: 'my-own-id' });
      assert.is(response.status, 200);
      assert.match(response.headers.get('content-type') ?? '', 'application/json');
      assert.is(response.headers.get('x-request-id'), 'my-own-id');
      assert.is(response.headers.get('x-cache'), 'miss');
      const chat_id = response.headers.get('x-chat-id');
      const { usage, ...answer } = (await response.json()) as Record<string, unknown>;
      assert.equal(answer, {
        request_id: 'my-own-id',
        chat_id,
        model: 'global.amazon.nova-2-lite-v1:0',
        cached: false,
        completion: 'one two',
        stop_reason: 'end_turn',
        saved: true,
      });
      assert.equal(Object.keys(usage as object), [
        'input_tokens',
        'output_tokens',
        'cache_read_tokens',
        'cache_write_tokens',
      ]);
    }),
  );

  for (const stream of [false, true]) {
    door(
      `x-cache says how an answer was come by, and x-chat-id where it is kept, ${stream ? 'streamed' : 'in one piece'}`,
      withDoor(async (gateway) => {
        const headersOf = async (body: object) => {
          const response = await gateway.chat({ prompt: 'ECHO Hi', stream, ...body });
          await response.text();
          const { headers } = response;
          return [headers.get('x-cache'), headers.has('x-chat-id')];
        };
        assert.equal(await headersOf({}), ['miss', true]);
        assert.equal(await headersOf({}), ['hit', true]);
        assert.equal(await headersOf({ cache: 'refresh' }), ['refresh', true]);
        assert.equal(await headersOf({ cache: 'off' }), ['off', true]);
        assert.equal(await headersOf({ store: false }), ['hit', false]);
        const messages = [
          {
            role: 'user',
            content: [
              { type: 'text', text: 'ECHO a' },
              { type: 'text', text: 'b' },
            ],
          },
        ];
        assert.equal(await headersOf({ prompt: undefined, messages }), ['bypass', true]);
      }),
    );
  }

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
        const response = await gateway.send('/v1/chat', { method: 'POST', headers, body });
        const text = await response.text();
        const { error } = JSON.parse(text) as Envelope;
        assert.equal([response.status, error.code], [status, code], error.message);
        assert.ok(text.length < 4096, `${text.length} bytes`);
        assert.is(gateway.ledger.opened, 0);
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

  door.run();
}
