/**
 * What every door promises, whoever stands behind it. A door's test file opens its door and runs this; nothing here knows which one it is.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ErrorCode } from '../../src/chat/errors.ts';
import type { Settings } from '../../src/chat/settings.ts';
import { type Gateway, until } from '../helpers/gateway.ts';

export type OpenDoor = (settings?: Partial<Settings>) => Promise<Gateway>;

const terminals = ['done', 'error', 'cancelled'];

const object = (pairs: number) =>
  `{"prompt":"Hi",${Array.from({ length: pairs }, (_, n) => `"k${n}":0`).join(',')}}`;

/** What hostile and mistaken callers send, and what DESIGN 4.5 answers. */
const refusals: readonly { readonly what: string; readonly body: string; readonly code: ErrorCode }[] = [
  {
    what: '33 levels',
    body: `{"prompt":${'['.repeat(32)}${']'.repeat(32)}}`,
    code: 'invalid_request',
  },
  { what: '2,000 unknown keys', body: object(2_000), code: 'invalid_request' },
  { what: 'half a JSON text', body: '{"prompt":', code: 'invalid_json' },
  { what: 'a lone surrogate', body: '{"prompt":"\\ud800"}', code: 'invalid_request' },
  { what: 'a blank prompt', body: '{"prompt":" \\n"}', code: 'invalid_request' },
  { what: '__proto__', body: '{"prompt":"Hi","__proto__":{"a":1}}', code: 'invalid_request' },
  { what: 'constructor', body: '{"prompt":"Hi","constructor":1}', code: 'invalid_request' },
  { what: 'a deep prototype', body: '{"prompt":"Hi","parameters":{"prototype":1}}', code: 'invalid_request' },
  {
    what: 'a huge number',
    body: '{"prompt":"Hi","parameters":{"max_tokens":1e12}}',
    code: 'invalid_request',
  },
  { what: 'a model as a URL', body: '{"prompt":"Hi","model":"https://evil.test/"}', code: 'model_not_found' },
  { what: 'a conversation of nobody', body: '{"prompt":"Hi","chat_id":"c1"}', code: 'not_found' },
  { what: 'somebody’s connection', body: '{"prompt":"Hi","connectionId":"c="}', code: 'invalid_request' },
];

/** Opens the door for a test, and closes it when nothing is running upstream any more. */
export const inGateway =
  (open: OpenDoor) =>
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

/** Sentences of the contract that cannot hold behind a door, each with the reason. */
export type Exceptions = Readonly<Record<string, string>>;

export function runDoorContract(name: string, open: OpenDoor, exceptions: Exceptions = {}) {
  const contract = suite(`the contract of a door: ${name}`);
  const left = new Set(Object.keys(exceptions));
  const door = (sentence: string, test: () => Promise<void>) => {
    if (!left.delete(sentence)) contract(sentence, test);
  };
  const withDoor = inGateway(open);

  door(
    'an answer is start, deltas and one terminal, and the text is byte for byte the model’s',
    withDoor(async (gateway) => {
      const text = 'a\r\n\r\nevent: done\ndata: {}\n\n[DONE]\u2028 \u{1F600} é';
      const { events, text: said } = await gateway.ask({ prompt: `ECHO ${text}`, request_id: 'my-own-id' });
      const names = events.map((event) => event.name);
      assert.is(names[0], 'start');
      assert.is(events[0]?.data['request_id'], 'my-own-id');
      assert.ok(names.slice(1, -1).every((event) => event === 'delta'));
      assert.is(names.at(-1), 'done');
      assert.is(said, text);
    }),
  );

  door(
    'a failure is told under its code, before the first event as well as after it',
    withDoor(async (gateway) => {
      const early = await gateway.ask({ prompt: 'Hi', model: 'simulator.access-denied' });
      assert.is(early.error?.code, 'upstream_access_denied');
      const late = await gateway.ask({ prompt: 'Hi', model: 'simulator.end-mid-stream' });
      assert.is(late.events[0]?.name, 'start');
      assert.is(late.events.filter((event) => terminals.includes(event.name)).length, 1);
      assert.is(late.error?.code, 'upstream_truncated');
    }),
  );

  for (const { what, body, code } of refusals) {
    door(
      `${what}: ${code}, in less than 4 KB and without a call to Bedrock`,
      withDoor(async (gateway) => {
        const { error, size } = await gateway.ask(body);
        assert.is(error?.code, code, error?.message);
        assert.ok(size < 4096, `${size} bytes`);
        assert.is(gateway.ledger.opened, 0);
        assert.is(({} as { a?: number }).a, undefined);
      }),
    );
  }

  door(
    'a field that is wrong is named, with its limit',
    withDoor(async (gateway) => {
      const { error } = await gateway.ask({ prompt: 'Hi', parameters: { temperature: 2 }, colour: 'red' });
      assert.match(error?.message ?? '', 'parameters.temperature must be at most 1.');
      assert.match(error?.message ?? '', 'colour is not a field of this API.');
    }),
  );

  door(
    'who is calling is noted with the door he came in by',
    withDoor(async (gateway) => {
      await gateway.ask({ prompt: 'ECHO Hi' });
      const find = () => gateway.records.find(({ outcome }) => outcome === 'done');
      await until(() => find() !== undefined);
      assert.is(find()?.tenant, gateway.tenant);
      assert.is(find()?.door, gateway.door);
    }),
  );

  door(
    'a request id is used once by each tenant, while it runs and after',
    withDoor(async (gateway) => {
      const leave = await gateway.begin({
        prompt: 'Hi',
        model: 'simulator.stall-mid-stream',
        request_id: 'r1',
      });
      assert.is((await gateway.ask({ prompt: 'ECHO Hi', request_id: 'r1' })).error?.code, 'conflict');
      assert.is(gateway.ledger.opened, 1);
      assert.is((await gateway.as('bob').ask({ prompt: 'ECHO Hi', request_id: 'r1' })).text, 'Hi');
      leave();
      await gateway.ask({ prompt: 'ECHO Hi', request_id: 'r2' });
      assert.is((await gateway.ask({ prompt: 'ECHO Hi', request_id: 'r2' })).error?.code, 'conflict');
      assert.is(gateway.ledger.opened, 3);
    }),
  );

  door(
    'a cancelled answer ends with cancelled and an estimate, and its call to Bedrock with it',
    withDoor(async (gateway) => {
      const answer = gateway.ask({ prompt: 'Hi', model: 'simulator.stall-mid-stream', request_id: 'r1' });
      await until(() => gateway.ledger.opened === 1);
      assert.is(await gateway.cancel('r1'), undefined);
      const { events } = await answer;
      assert.equal(
        events.filter((event) => terminals.includes(event.name)).map((event) => event.name),
        ['cancelled'],
      );
      assert.is(events.at(-1)?.data['estimated'], true);
      assert.type(events.at(-1)?.data['usage'], 'object');
      await until(() => gateway.ledger.closedEarly === 1);
    }),
  );

  door(
    'to cancel what is unknown, somebody else’s, over, or cancelled already is the same refusal',
    withDoor(async (gateway) => {
      const answer = gateway.ask({ prompt: 'Hi', model: 'simulator.stall-mid-stream', request_id: 'r1' });
      await until(() => gateway.ledger.opened === 1);
      assert.is(await gateway.cancel('unknown'), 'not_found');
      assert.is(await gateway.as('bob').cancel('r1'), 'not_found');
      assert.is(await gateway.cancel('r1'), undefined);
      await answer;
      assert.is(await gateway.cancel('r1'), 'not_found');
      await gateway.ask({ prompt: 'ECHO Hi', request_id: 'r2' });
      assert.is(await gateway.cancel('r2'), 'not_found');
    }),
  );

  door(
    'a client that leaves ends the call to Bedrock',
    withDoor(async (gateway) => {
      const leave = await gateway.begin({ prompt: 'Hi', model: 'simulator.stall-mid-stream' });
      leave();
      await until(() => gateway.ledger.closedEarly === 1);
      await until(() => gateway.records.some(({ outcome }) => outcome === 'cancelled'));
    }),
  );

  if (left.size > 0) throw new Error(`The contract does not say: ${[...left].join(' / ')}`);
  contract.run();
}
