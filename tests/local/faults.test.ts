/** Every row of the fault matrix that a Bedrock can cause, through the REST door: what the caller sees, and what it leaves behind. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type ErrorCode, errorKinds } from '../../src/chat/errors.ts';
import { plain } from '../../src/chat/quirks.ts';
import type { Settings } from '../../src/chat/settings.ts';
import { faults } from '../../src/local/bedrock/faults.ts';
import { readSse } from '../helpers/clients.ts';
import { type Gateway, startGateway, until } from '../helpers/gateway.ts';

type Fault = keyof typeof faults;

/** Fails before the first event: a status of its own, streamed or not. */
const early: Partial<Record<Fault, ErrorCode>> = {
  throttled: 'upstream_throttled',
  'throttled-first-event': 'upstream_throttled',
  'internal-error': 'upstream_error',
  unavailable: 'upstream_unavailable',
  'reset-before-headers': 'upstream_unreachable',
  'empty-stream': 'upstream_truncated',
  'html-body': 'upstream_protocol_error',
  'model-timeout': 'upstream_timeout',
  'access-denied': 'upstream_access_denied',
  'expired-token': 'upstream_access_denied',
  'input-too-long': 'context_length_exceeded',
  rejected: 'upstream_rejected',
  'model-error': 'upstream_error',
  'model-not-ready': 'upstream_unavailable',
};

/** Fails after it: an error event in a stream that began well, a status of its own in one piece. */
const late: Partial<Record<Fault, ErrorCode>> = {
  'throttled-mid-stream': 'upstream_throttled',
  'model-stream-error-mid-stream': 'upstream_error',
  'internal-error-mid-stream': 'upstream_error',
  'unavailable-mid-stream': 'upstream_unavailable',
  'reset-mid-stream': 'upstream_truncated',
  'hang-up-mid-stream': 'upstream_truncated',
  'end-mid-stream': 'upstream_truncated',
  'bad-checksum-mid-stream': 'upstream_protocol_error',
  'cut-frame-mid-stream': 'upstream_protocol_error',
  'zero-length-frame-mid-stream': 'upstream_protocol_error',
  'huge-frame-mid-stream': 'upstream_protocol_error',
  'empty-delta-mid-stream': 'upstream_protocol_error',
  'bad-json-mid-stream': 'upstream_protocol_error',
  'model-timeout-mid-stream': 'upstream_timeout',
  'rejected-mid-stream': 'upstream_rejected',
  'malformed-tool-use': 'upstream_error',
  'malformed-output': 'upstream_error',
};

/** Stays silent; needs a gateway whose patience is short. */
const stalled: Partial<Record<Fault, ErrorCode>> = {
  'stall-before-headers': 'upstream_timeout',
  'stall-before-first-event': 'upstream_timeout',
  'stall-mid-stream': 'upstream_stalled',
};

/** Is no failure: the stop reason, and whether the usage is known. */
const whole: Partial<Record<Fault, { stop_reason: string; isUsageKnown: boolean }>> = {
  'flaky-throttled': { stop_reason: 'end_turn', isUsageKnown: true },
  'unknown-event': { stop_reason: 'end_turn', isUsageKnown: true },
  'refuses-temperature': { stop_reason: 'end_turn', isUsageKnown: true },
  'refuses-top-p': { stop_reason: 'end_turn', isUsageKnown: true },
  'refuses-stop-sequences': { stop_reason: 'end_turn', isUsageKnown: true },
  'refuses-both': { stop_reason: 'end_turn', isUsageKnown: true },
  'refuses-service-tier': { stop_reason: 'end_turn', isUsageKnown: true },
  'refuses-cache-points': { stop_reason: 'end_turn', isUsageKnown: true },
  'refuses-output-config': { stop_reason: 'end_turn', isUsageKnown: true },
  'refuses-reasoning': { stop_reason: 'end_turn', isUsageKnown: true },
  'stops-at-max-tokens': { stop_reason: 'max_tokens', isUsageKnown: true },
  'guardrail-intervened': { stop_reason: 'guardrail_intervened', isUsageKnown: true },
  'content-filtered': { stop_reason: 'content_filtered', isUsageKnown: true },
  'context-window-exceeded': { stop_reason: 'model_context_window_exceeded', isUsageKnown: true },
  'no-metadata': { stop_reason: 'end_turn', isUsageKnown: false },
  'stall-before-metadata': { stop_reason: 'end_turn', isUsageKnown: false },
  'cut-last-frame': { stop_reason: 'end_turn', isUsageKnown: false },
};

const ECHO = 'one two three four five six seven eight nine ten';
const terminals = ['done', 'error', 'cancelled'];

type Seen = {
  readonly status: number;
  readonly text: string;
  readonly last: { readonly code?: string; done?: Record<string, unknown> };
};

async function askForStream(gateway: Gateway, fault: string): Promise<Seen> {
  const response = await gateway.chat({ prompt: `ECHO ${ECHO}`, model: `simulator.${fault}`, stream: true });
  assertClean(response, fault);
  if (response.status !== 200) {
    const { error } = (await response.json()) as { error: { code: string; status: number } };
    assert.is(error.status, response.status);
    return { status: response.status, text: '', last: { code: error.code } };
  }
  const events = await readSse(response);
  assert.is(events.filter(({ name }) => terminals.includes(name)).length, 1, `${fault}: one terminal`);
  assert.is(events[0]?.name, 'start', fault);
  const text = events.map(({ data }) => data['text'] ?? '').join('');
  assert.ok(ECHO.startsWith(text), `${fault}: what was told is what was said`);
  const last = events.at(-1);
  assert.not.match(JSON.stringify(events), /arn:|123456789012/, fault);
  if (last?.name === 'done') return { status: 200, text, last: { done: last.data } };
  const { error } = (last?.data ?? {}) as { error?: { code: string } };
  return { status: 200, text, last: error ? { code: error.code } : {} };
}

async function askInOnePiece(
  gateway: Gateway,
  fault: string,
): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await gateway.chat({ prompt: `ECHO ${ECHO}`, model: `simulator.${fault}` });
  const text = await response.text();
  assert.not.match(text, /arn:|123456789012/, fault);
  assert.ok(text.length < 4096);
  return { status: response.status, body: JSON.parse(text) };
}

function assertClean(response: Response, fault: string) {
  assert.ok(response.headers.get('x-request-id'), fault);
  if (response.status === 429) assert.ok(Number(response.headers.get('retry-after')) >= 1, fault);
}

const inAll = <T extends object>(
  table: T,
  run: (fault: string, expected: NonNullable<T[keyof T]>) => Promise<void>,
) => Promise.all(Object.entries(table).map(([fault, expected]) => run(fault, expected)));

async function withGateway(
  settings: Parameters<typeof startGateway>[0],
  run: (gateway: Gateway) => Promise<void>,
) {
  const gateway = await startGateway(settings);
  try {
    await run(gateway);
    await until(() => gateway.ledger.open === 0);
    assert.not.match(JSON.stringify(gateway.records), /arn:|123456789012|one two/);
  } finally {
    await gateway.close();
  }
}

const matrix = suite('the fault matrix');

matrix('every fault of the simulator stands in one of the tables', () => {
  const known = [early, late, stalled, whole].flatMap((table) => Object.keys(table)).sort();
  assert.equal(known, Object.keys(faults).sort());
});

matrix('a failure before the first event has its own status, streamed or not', () =>
  withGateway({}, (gateway) =>
    inAll(early, async (fault, code) => {
      const { status } = errorKinds[code];
      const streamed = await askForStream(gateway, fault);
      assert.equal([streamed.status, streamed.last.code], [status, code], fault);
      const { body, ...piece } = await askInOnePiece(gateway, fault);
      assert.equal([piece.status, (body['error'] as { code: string }).code], [status, code], fault);
    }).then(() => {}),
  ),
);

matrix('a failure after it is an error event in the stream, and a status in one piece', () =>
  withGateway({}, (gateway) =>
    inAll(late, async (fault, code) => {
      const streamed = await askForStream(gateway, fault);
      assert.is(streamed.last.code, code, fault);
      // A reset overtakes what was sent before it, perhaps all of it.
      if (!fault.startsWith('reset')) {
        assert.is(streamed.status, 200, fault);
        assert.ok(streamed.text.length > 0, `${fault}: what came before is told`);
      }
      const { status, body } = await askInOnePiece(gateway, fault);
      assert.equal(
        [status, (body['error'] as { code: string }).code],
        [errorKinds[code].status, code],
        fault,
      );
    }).then(() => {}),
  ),
);

matrix('silence is ended by the deadline that it breaks, and the upstream is let go', () =>
  withGateway({ settings: { firstEventTimeoutSeconds: 2, idleTimeoutSeconds: 1 } }, (gateway) =>
    inAll(stalled, async (fault, code) => {
      const { last } = await askForStream(gateway, fault);
      assert.is(last.code, code, fault);
      const { status } = await askInOnePiece(gateway, fault);
      assert.is(status, 504, fault);
    }).then(() => {}),
  ),
);

matrix('what is no failure is done, with its stop reason', () =>
  withGateway({}, (gateway) =>
    inAll(whole, async (fault, { stop_reason, isUsageKnown }) => {
      const { last, text } = await askForStream(gateway, fault);
      assert.is(last.done?.['stop_reason'], stop_reason, fault);
      assert.is(last.done?.['usage'] !== null, isUsageKnown, fault);
      if (stop_reason === 'end_turn') assert.is(text, ECHO, fault);
      const { status, body } = await askInOnePiece(gateway, fault);
      assert.equal([status, body['stop_reason']], [200, stop_reason], fault);
    }).then(() => {}),
  ),
);

matrix('a throttled request is tried three times and no more, and one that failed midway once', () =>
  withGateway({}, async (gateway) => {
    await askForStream(gateway, 'throttled');
    assert.is(gateway.ledger.opened, 3);
    await askForStream(gateway, 'throttled-mid-stream');
    assert.is(gateway.ledger.opened, 4);
  }),
);

matrix('nobody at the other end is upstream_unreachable', () =>
  withGateway({ endpoint: 'http://127.0.0.1:1' }, async (gateway) => {
    const { status, last } = await askForStream(gateway, 'none');
    assert.equal([status, last.code], [502, 'upstream_unreachable']);
  }),
);

matrix('a function that runs out of time ends the answer before Lambda ends the function', () =>
  withGateway({ functionTimeoutMs: 8_000, tokensPerSecond: 2 }, async (gateway) => {
    const { status, text, last } = await askForStream(gateway, 'none');
    assert.equal([status, last.code], [200, 'deadline_exceeded']);
    assert.ok(text.length > 0);
    assert.is((await askInOnePiece(gateway, 'none')).status, 504);
  }),
);

matrix.run();

// ---

const healing = suite('a model that refuses a field');

const schema = { type: 'object', properties: {} };
const thinking = [{ models: '*', quirk: { ...plain, reasoning: 'adaptive' as const } }];

/** What makes each field be sent, as OpenAI's clients would. */
const refusable: Partial<Record<Fault, { settings?: Partial<Settings>; body?: object }>> = {
  'refuses-temperature': {},
  'refuses-top-p': { body: { top_p: 0.5 } },
  'refuses-stop-sequences': { settings: { defaultStopSequences: ['END'] } },
  'refuses-both': { body: { temperature: 0.5, top_p: 0.5 } },
  'refuses-service-tier': { settings: { serviceTier: 'flex' } },
  'refuses-cache-points': {
    body: { messages: [{ role: 'user', content: `ECHO ${ECHO}`, cache_control: { type: 'ephemeral' } }] },
  },
  'refuses-output-config': {
    body: { response_format: { type: 'json_schema', json_schema: { name: 'shape', schema } } },
  },
  'refuses-reasoning': { settings: { modelQuirks: thinking }, body: { reasoning_effort: 'high' } },
};

healing('every such fault of the simulator stands in the table', () => {
  assert.equal(
    Object.keys(refusable),
    Object.keys(faults).filter((fault) => fault.startsWith('refuses-')),
  );
});

for (const [fault, { settings = {}, body = {} }] of Object.entries(refusable)) {
  healing(`${fault}: is asked once more without it, and from then on never with it`, () =>
    withGateway({ settings: { ...settings, cache: 'off' } }, async (gateway) => {
      const model = `simulator.${fault}`;
      const ask = async () => {
        const messages = [{ role: 'user', content: `ECHO ${ECHO}` }];
        const response = await gateway.send('/v1/chat/completions', {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ messages, model, ...body }),
        });
        const { choices } = (await response.json()) as { choices?: { message: { content: string } }[] };
        return choices?.[0]?.message.content;
      };
      assert.is(await ask(), ECHO);
      assert.is(gateway.ledger.opened, 2);
      assert.is(await ask(), ECHO);
      assert.is(gateway.ledger.opened, 3);
    }),
  );
}

healing.run();

// ---

const busy = suite('a model without room');

busy('is stood in for by a fallback, which the answer names', () =>
  withGateway(
    { settings: { fallbackModels: ['simulator.unavailable', 'simulator.none'] } },
    async (gateway) => {
      const response = await gateway.chat({ prompt: 'ECHO Hi', model: 'simulator.throttled', stream: true });
      const events = await readSse(response);
      assert.is(events[0]?.data['model'], 'simulator.none');
      assert.is(events.at(-1)?.name, 'done');
      assert.is(gateway.records[0]?.model, 'simulator.none');
      assert.is(gateway.ledger.opened, 3 + 3 + 1);
    },
  ),
);

busy('is not stood in for once it has begun', () =>
  withGateway({ settings: { fallbackModels: ['simulator.none'] } }, async (gateway) => {
    const { last } = await askForStream(gateway, 'throttled-mid-stream');
    assert.is(last.code, 'upstream_throttled');
    assert.is(gateway.ledger.opened, 1);
  }),
);

busy.run();

// ---

const leaving = suite('a client that goes away');

for (const [when, model, stream] of [
  ['in the middle of a stream', 'simulator.stall-mid-stream', true],
  ['before the first event of a stream', 'simulator.stall-before-headers', true],
  ['while it waits for an answer in one piece', 'simulator.stall-mid-stream', false],
] as const) {
  leaving(`${when} aborts the upstream`, () =>
    withGateway({}, async (gateway) => {
      const leave = new AbortController();
      const response = gateway
        .chat({ prompt: 'Hi', model, stream }, { signal: leave.signal })
        .catch(() => undefined);
      await until(() => gateway.ledger.open === 1);
      if (when.startsWith('in the middle')) await (await response)?.body?.getReader().read();
      leave.abort();
      await until(() => gateway.ledger.open === 0);
      assert.is(gateway.ledger.closedEarly, 1);
      await until(() => gateway.records.length === 1);
      assert.is(gateway.records[0]?.outcome, 'cancelled');
    }),
  );
}

leaving.run();
