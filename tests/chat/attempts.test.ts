import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Model } from '../../src/chat/ask.ts';
import { type Notice, withAttempts } from '../../src/chat/attempts.ts';
import { type ErrorCode, GatewayError } from '../../src/chat/errors.ts';
import type { ModelEvent } from '../../src/chat/events.ts';
import { FieldsRefused, plain, type Quirk } from '../../src/chat/quirks.ts';
import type { ChatRequest } from '../../src/chat/request.ts';
import { settle } from '../helpers/manual-clock.ts';
import { failureOf } from '../helpers/rejects.ts';
import { chatRequest } from '../helpers/requests.ts';

const answer = (model: string): ModelEvent[] => [
  { type: 'begin', model },
  { type: 'text-delta', block: 0, text: 'Hi' },
  { type: 'end', stopReason: 'end_turn', usage: null },
];

/** Asks a model that answers, or throws what `refuse` says; notes what it was asked. */
function setUp(refuse: (request: ChatRequest) => unknown, late = false) {
  const asked: ChatRequest[] = [];
  const notices: Notice[] = [];
  const letGo: string[] = [];
  const model: Model = async function* (request) {
    asked.push(request);
    const error = refuse(request);
    if (error && !late) throw error;
    try {
      const events = answer(request.model);
      yield* error ? events.slice(0, 2) : events;
      if (error) throw error;
    } finally {
      letGo.push(request.model);
    }
  };
  const attempt = withAttempts(model, (notice) => notices.push(notice));
  const ask = async (changes: Partial<ChatRequest> = {}) =>
    await Array.fromAsync(attempt(chatRequest({ model: 'a.one', ...changes }), new AbortController().signal));
  return { ask, attempt, asked, notices, letGo };
}

const refusal = (quirk: Partial<Quirk>) => new FieldsRefused('Refused.', { ...plain, ...quirk }, undefined);
const failure = (code: ErrorCode) => new GatewayError(code, 'Not now.');

const falling = suite('fallback models');

for (const code of ['upstream_throttled', 'upstream_unavailable'] as const) {
  falling(`are asked in their order after ${code}`, async () => {
    const { ask, asked, notices } = setUp(({ model }) => (model === 'c.three' ? undefined : failure(code)));
    const events = await ask({ fallbackModels: ['b.two', 'c.three', 'd.four'] });
    assert.equal(events, answer('c.three'));
    assert.equal(
      asked.map(({ model }) => model),
      ['a.one', 'b.two', 'c.three'],
    );
    assert.equal(notices, [
      { type: 'fell-back', from: 'a.one', to: 'b.two', code },
      { type: 'fell-back', from: 'b.two', to: 'c.three', code },
    ]);
  });
}

falling('the last one’s failure is the answer’s', async () => {
  const { ask } = setUp(({ model }) =>
    failure(model === 'a.one' ? 'upstream_throttled' : 'upstream_unavailable'),
  );
  assert.is((await failureOf(() => ask({ fallbackModels: ['b.two'] }))).code, 'upstream_unavailable');
});

falling('are left alone when the model failed for another reason', async () => {
  for (const code of [
    'upstream_rejected',
    'upstream_timeout',
    'upstream_error',
    'model_not_found',
  ] as const) {
    const { ask, asked } = setUp(() => failure(code));
    assert.is((await failureOf(() => ask({ fallbackModels: ['b.two'] }))).code, code);
    assert.is(asked.length, 1);
  }
});

falling('are left alone once the answer has begun', async () => {
  const { ask, asked } = setUp(() => failure('upstream_throttled'), true);
  assert.is((await failureOf(() => ask({ fallbackModels: ['b.two'] }))).code, 'upstream_throttled');
  assert.is(asked.length, 1);
});

falling.run();

// ---

const healing = suite('a refused field');

const given = { maxTokens: 9, temperature: 0.5, topP: 0.5, stopSequences: ['END'] };
const cases: [Partial<Quirk>, Partial<ChatRequest>, ChatRequest['inference'] | undefined][] = [
  [{ omit: ['temperature'] }, { inference: given }, { maxTokens: 9, topP: 0.5, stopSequences: ['END'] }],
  [{ omit: ['top_p'] }, { inference: given }, { maxTokens: 9, temperature: 0.5, stopSequences: ['END'] }],
  [{ omit: ['stop_sequences'] }, { inference: given }, { ...given, stopSequences: [] }],
  [
    { oneOf: ['temperature', 'top_p'] },
    { inference: given },
    { maxTokens: 9, temperature: 0.5, stopSequences: ['END'] },
  ],
  [{ omit: ['temperature', 'top_p'] }, { inference: given }, { maxTokens: 9, stopSequences: ['END'] }],
  [{ omit: ['service_tier'] }, { serviceTier: 'flex', inference: given }, given],
];

for (const [quirk, changes, inference] of cases) {
  healing(`is left out once, and then from the start: ${JSON.stringify(quirk)}`, async () => {
    const isHealed = (request: ChatRequest) =>
      request.serviceTier === undefined && JSON.stringify(request.inference) === JSON.stringify(inference);
    const { ask, asked, notices } = setUp((request) => (isHealed(request) ? undefined : refusal(quirk)));
    assert.equal(await ask(changes), answer('a.one'));
    assert.is(asked.length, 2);
    assert.equal(notices, [{ type: 'field-refused', model: 'a.one', quirk: { ...plain, ...quirk } }]);
    assert.equal(await ask(changes), answer('a.one'));
    assert.is(asked.length, 3, 'the second request does not fail first');
    assert.is(notices.length, 1);
  });
}

const point = { type: 'cache-point' } as const;
const outputSchema = { name: 'shape', schema: { type: 'object' } };

for (const [field, changes, isIn] of [
  ['response_format', { outputSchema }, (request: ChatRequest) => 'outputSchema' in request],
  ['reasoning_effort', { effort: 'high' }, ({ modelFields }: ChatRequest) => 'thinking' in modelFields],
  ['cache_control', { system: ['a', point] }, ({ system }: ChatRequest) => system.length > 1],
  [
    'cache_control',
    { tools: [{ name: 'look', inputSchema: {}, cachePoint: point }] },
    ({ tools }: ChatRequest) => tools.some((tool) => 'cachePoint' in tool),
  ],
  [
    'cache_control',
    { messages: [{ role: 'user', content: [{ type: 'text', text: 'a' }, point] }] },
    ({ messages }: ChatRequest) => messages.some(({ content }) => content.includes(point)),
  ],
] as const) {
  healing(`${field} is left out for a model that has none: ${Object.keys(changes)}`, async () => {
    const quirks = [{ models: '*', quirk: { ...plain, reasoning: 'adaptive' as const } }];
    const { ask, asked } = setUp((request) => (isIn(request) ? refusal({ omit: [field] }) : undefined));
    assert.equal(await ask({ ...changes, quirks }), answer('a.one'));
    assert.equal(asked.map(isIn), [true, false]);
  });
}

healing(
  'is tried without just once in a request; what else was refused is left out by the next',
  async () => {
    const { ask, asked } = setUp(({ inference }) => {
      if (inference.temperature !== undefined) return refusal({ omit: ['temperature'] });
      return inference.topP === undefined ? undefined : refusal({ omit: ['top_p'] });
    });
    assert.is((await failureOf(() => ask({ inference: given }))).code, 'upstream_rejected');
    assert.is(asked.length, 2);
    assert.equal(await ask({ inference: given }), answer('a.one'));
    assert.is(asked.length, 3);
  },
);

healing('that was not sent is no reason to try again', async () => {
  for (const field of [
    'top_p',
    'stop_sequences',
    'service_tier',
    'response_format',
    'cache_control',
    'reasoning_effort',
  ] as const) {
    const { ask, asked, notices } = setUp(() => refusal({ omit: [field] }));
    assert.is((await failureOf(() => ask())).code, 'upstream_rejected');
    assert.is(asked.length, 1, field);
    assert.equal(notices, []);
  }
});

healing('is remembered for its model alone', async () => {
  const refuse = ({ model, inference }: ChatRequest) =>
    model === 'a.one' && inference.temperature !== undefined && refusal({ omit: ['temperature'] });
  const { ask, asked } = setUp(refuse);
  await ask();
  await ask({ model: 'b.two' });
  assert.is(asked.at(-1)?.inference.temperature, 0);
});

healing('is forgotten with others before there are too many', async () => {
  const { ask, asked } = setUp(({ inference }) =>
    inference.temperature === undefined ? undefined : refusal({ omit: ['temperature'] }),
  );
  for (let n = 0; n <= 1_000; n++) await ask({ model: `a.${n}` });
  asked.length = 0;
  await ask({ model: 'a.0' });
  assert.is(asked.length, 2, 'forgotten');
  await ask({ model: 'a.1000' });
  assert.is(asked.length, 3, 'remembered since');
});

healing('goes along to a fallback model, with that model’s own quirks', async () => {
  const { ask, asked } = setUp(({ model }) =>
    model === 'a.one' ? failure('upstream_throttled') : undefined,
  );
  const quirks = [{ models: 'b.*', quirk: { ...plain, omit: ['temperature' as const] } }];
  await ask({ fallbackModels: ['b.two'], quirks });
  assert.equal(
    asked.map(({ inference }) => inference.temperature),
    [0, undefined],
  );
});

healing.run();

// ---

const known = suite('known quirks');

known('leave fields out and add others before the first try', async () => {
  const { ask, asked } = setUp(() => undefined);
  const quirk: Quirk = { omit: ['stop_sequences'], oneOf: ['top_p', 'temperature'], add: { effort: 'low' } };
  await ask({ inference: given, quirks: [{ models: 'a.*', quirk }], modelFields: { top_k: 5 } });
  assert.equal(asked[0]?.inference, { maxTokens: 9, topP: 0.5, stopSequences: [] });
  assert.equal(asked[0]?.modelFields, { top_k: 5, effort: 'low' });
});

known('of fields that exclude each other the first that is there is sent', async () => {
  const { ask, asked } = setUp(() => undefined);
  const quirks = [{ models: '*', quirk: { ...plain, oneOf: ['temperature' as const, 'top_p' as const] } }];
  await ask({ inference: { maxTokens: 9, topP: 0.5, stopSequences: [] }, quirks });
  assert.is(asked[0]?.inference.topP, 0.5);
});

known('the first rule that fits decides', async () => {
  const { ask, asked } = setUp(() => undefined);
  const omit = (field: 'temperature' | 'top_p') => ({ ...plain, omit: [field] });
  const quirks = [
    { models: 'b.*', quirk: omit('temperature') },
    { models: 'a.*', quirk: plain },
    { models: '*', quirk: omit('top_p') },
  ];
  await ask({ inference: given, quirks });
  assert.equal(asked[0]?.inference, given);
});

known('shipped ones say what Claude’s models refuse', async () => {
  const { ask, asked } = setUp(() => undefined);
  const samplingOf = async (model: string) => {
    await ask({ model, inference: given });
    const { temperature, topP } = asked.at(-1)?.inference ?? {};
    return [temperature, topP];
  };
  assert.equal(await samplingOf('us.anthropic.claude-opus-4-8'), [undefined, undefined]);
  assert.equal(await samplingOf('global.anthropic.claude-sonnet-5'), [undefined, undefined]);
  assert.equal(await samplingOf('anthropic.claude-haiku-4-5-20251001-v1:0'), [0.5, undefined]);
  assert.equal(await samplingOf('amazon.nova-2-lite-v1:0'), [0.5, 0.5]);
});

known.run();

// ---

const leaving = suite('an attempt that is left');

leaving('lets go of the model behind it', async () => {
  const { attempt, letGo } = setUp(() => undefined);
  for await (const event of attempt(chatRequest(), new AbortController().signal)) {
    if (event.type === 'begin') break;
  }
  await settle();
  assert.is(letGo.length, 1);
});

leaving('an answer without any event stays one', async () => {
  const empty: Model = async function* () {};
  const attempt = withAttempts(empty, () => undefined);
  assert.equal(await Array.fromAsync(attempt(chatRequest(), new AbortController().signal)), []);
});

leaving.run();
