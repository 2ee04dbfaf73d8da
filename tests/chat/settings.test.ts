import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Deployed, parseSettings, SettingsError, settingsTable } from '../../src/chat/settings.ts';

const parse = (texts: Record<string, string>, deployed?: Deployed) =>
  parseSettings(new Map(Object.entries(texts)), deployed);

const problemsOf = (texts: Record<string, string>, deployed?: Deployed) => {
  try {
    parse(texts, deployed);
  } catch (error) {
    if (error instanceof SettingsError) return error.problems;
    throw error;
  }
  return [];
};

const reading = suite('parseSettings');

reading('nothing set means the defaults of the contract', () => {
  const { modelQuirks, ...settings } = parse({});
  const models = [
    'global.amazon.nova-2-lite-v1:0',
    'global.anthropic.claude-sonnet-4-6',
    'global.anthropic.claude-haiku-4-5-20251001-v1:0',
    'openai.gpt-oss-120b-1:0',
    'amazon.titan-embed-text-v2:0',
  ];
  assert.ok(modelQuirks.length > 0, 'what is known of models beforehand');
  assert.equal(settings, {
    defaultModel: 'global.amazon.nova-2-lite-v1:0',
    allowedModels: models,
    modelCeiling: models,
    fallbackModels: [],
    modelAliases: new Map(),
    defaultMaxTokens: 4096,
    maxTokensLimit: 32768,
    defaultTemperature: 0,
    defaultTopP: undefined,
    defaultStopSequences: [],
    systemPrompt: undefined,
    cache: 'on',
    cacheScope: 'tenant',
    cacheTtlSeconds: 2_592_000,
    cacheTimeoutMs: 1000,
    history: 'on',
    historyTtlSeconds: 2_592_000,
    historyMaxTurns: 20,
    firstEventTimeoutSeconds: 60,
    idleTimeoutSeconds: 30,
    frameGapMs: 50,
    connectionMaxAgeSeconds: 3600,
    bodyLimitBytes: 5_242_880,
    logLevel: 'INFO',
    guardrailId: undefined,
    guardrailVersion: undefined,
    serviceTier: undefined,
    similarAnswers: 'off',
    similarThreshold: 0.97,
  });
});

/** For each setting a value that it takes, and some that it does not. */
const examples: Record<string, { good: [text: string, value: unknown]; bad: readonly string[] }> = {
  'default-model': { good: ['openai.gpt-oss-120b-1:0', 'openai.gpt-oss-120b-1:0'], bad: ['', 'a b', 'a*'] },
  'allowed-models': {
    good: ['global.*, openai.*,', ['global.*', 'openai.*']],
    bad: ['a b', 'a,<b>', 'a'.repeat(257)],
  },
  'fallback-models': { good: ['a.b,c.d', ['a.b', 'c.d']], bad: ['a.*', 'a;b'] },
  'model-aliases': {
    good: [
      '{"fast":"a.b","__proto__":"c.d"}',
      new Map([
        ['fast', 'a.b'],
        ['__proto__', 'c.d'],
      ]),
    ],
    bad: ['', 'fast=a', '[]', 'null', '{"a":1}', '{"a":"b c"}', '{"a b":"c"}'],
  },
  'default-max-tokens': {
    good: ['16', 16],
    bad: ['', '0', '-1', '1.5', '1e3', 'abc', '1000000000000', '0x10'],
  },
  'max-tokens-limit': { good: ['1000000', 1_000_000], bad: ['1000001', 'NaN', '٣'] },
  'default-temperature': { good: ['0.25', 0.25], bad: ['1.1', '-0', '.5', '1.', 'cold', '4096'] },
  'default-top-p': { good: ['1', 1], bad: ['2', 'none'] },
  'default-stop-sequences': {
    good: ['["END","\\n\\nHuman:"]', ['END', '\n\nHuman:']],
    bad: ['END', '[""]', '[1]', '{}', JSON.stringify(Array(17).fill('x')), JSON.stringify(['x'.repeat(201)])],
  },
  'system-prompt': { good: ['Be kind.', 'Be kind.'], bad: ['', 'x'.repeat(4_001), 'Say {{x}}'] },
  cache: { good: ['off', 'off'], bad: ['On', 'true', 'use'] },
  'cache-scope': { good: ['shared', 'shared'], bad: ['everybody', ''] },
  'cache-ttl-seconds': { good: ['60', 60], bad: ['59', '31622401', '30d'] },
  'cache-timeout-ms': { good: ['10', 10], bad: ['9', '5001', '1s'] },
  'similar-answers': { good: ['on', 'on'], bad: ['ON', 'yes'] },
  'similar-threshold': { good: ['0.5', 0.5], bad: ['0.49', '1.01', '97', '97%', ''] },
  history: { good: ['off', 'off'], bad: ['OFF', 'no'] },
  'history-ttl-seconds': { good: ['31622400', 31_622_400], bad: ['59', '31622401'] },
  'history-max-turns': { good: ['1', 1], bad: ['0', '201', 'all'] },
  'first-event-timeout-seconds': { good: ['900', 900], bad: ['0', '901', '60s'] },
  'idle-timeout-seconds': { good: ['1', 1], bad: ['0.5', '901'] },
  'frame-gap-ms': { good: ['0', 0], bad: ['-1', '1001', '50ms'] },
  'connection-max-age-seconds': { good: ['60', 60], bad: ['59', '7201', '1h'] },
  'body-limit-bytes': { good: ['1024', 1024], bad: ['1023', '5242881', '5MB'] },
  'log-level': { good: ['WARN', 'WARN'], bad: ['warn', 'TRACE', 'toString'] },
  'service-tier': { good: ['flex', 'flex'], bad: ['cheapest', 'Flex'] },
};

reading('each setting takes what its kind says and refuses everything else by its name', () => {
  for (const [name, { good, bad }] of Object.entries(examples)) {
    const key = name.replaceAll(/-(.)/g, (_, letter) => letter.toUpperCase());
    assert.equal(new Map(Object.entries(parse({ [name]: good[0] }))).get(key), good[1], name);
    for (const text of bad) {
      const [problem, ...others] = problemsOf({ [name]: text });
      assert.is(problem?.name, name, `${name} took ${text}`);
      assert.match(problem?.sentence ?? '', new RegExp(`^${name} must be .*\\.$`));
      assert.equal(others, []);
    }
  }
  const elsewhere = ['model-quirks', 'guardrail-id', 'guardrail-version'];
  assert.equal([...Object.keys(examples), ...elsewhere].sort(), settingsTable.map(({ name }) => name).sort());
});

reading('white space around a value does not count', () => {
  assert.is(parse({ 'default-max-tokens': ' 16\n' }).defaultMaxTokens, 16);
});

reading('quirks of the operator come before what the gateway knows itself', () => {
  const own = { '*claude-opus-5*': { omit: ['stop_sequences'], add: { thinking: { type: 'disabled' } } } };
  const { modelQuirks } = parse({ 'model-quirks': JSON.stringify(own) });
  assert.equal(modelQuirks[0], {
    models: '*claude-opus-5*',
    quirk: { omit: ['stop_sequences'], oneOf: [], add: { thinking: { type: 'disabled' } } },
  });
  assert.equal(modelQuirks.slice(1), parse({}).modelQuirks);
});

reading('quirks with unknown fields, keys or shapes are refused', () => {
  const bad = [
    '[]',
    '{"a":[]}',
    '{"a":null}',
    '{"a b":{}}',
    '{"a":{"omit":"temperature"}}',
    '{"a":{"omit":["temperature","max_tokens"]}}',
    '{"a":{"one_of":[1]}}',
    '{"a":{"add":[]}}',
    '{"a":{"drop":[]}}',
    '{"a":',
  ];
  for (const text of bad) assert.is(problemsOf({ 'model-quirks': text })[0]?.name, 'model-quirks', text);
  assert.equal(problemsOf({ 'model-quirks': '{"a":{"one_of":["temperature","top_p"]}}' }), []);
});

reading('all problems are told at once', () => {
  const names = problemsOf({ 'default-max-tokens': '0', 'log-level': 'loud', 'system-prompt': 'fine' });
  assert.equal(
    names.map(({ sentence }) => sentence),
    [
      'default-max-tokens must be a whole number from 1 to 1000000.',
      'log-level must be one of DEBUG, INFO, WARN, ERROR.',
    ],
  );
});

reading('a name that no setting has is passed over', () => {
  assert.equal(parse({ 'default-max-token': '0', toString: 'x' }), parse({}));
});

reading('a default model that is not on offer is refused', () => {
  for (const texts of [{ 'default-model': 'z.outside' }, { 'allowed-models': 'openai.gpt-oss-120b-1:0' }]) {
    assert.match(problemsOf(texts)[0]?.sentence ?? '', /^default-model must be one of the models/);
  }
  assert.equal(
    problemsOf({ 'default-model': 'main', 'model-aliases': '{"main":"openai.gpt-oss-120b-1:0"}' }),
    [],
  );
});

reading('a guardrail is its id and its version', () => {
  const arn = 'arn:aws:bedrock:us-east-1:123456789012:guardrail/abc123';
  for (const id of ['abc123', arn]) {
    assert.is(parse({ 'guardrail-id': id, 'guardrail-version': 'DRAFT' }).guardrailId, id);
  }
  assert.is(problemsOf({ 'guardrail-id': 'abc' })[0]?.name, 'guardrail-version');
  assert.is(problemsOf({ 'guardrail-version': '1' })[0]?.name, 'guardrail-id');
  assert.is(problemsOf({ 'guardrail-id': 'A B', 'guardrail-version': '1' })[0]?.name, 'guardrail-id');
  assert.is(problemsOf({ 'guardrail-id': 'abc', 'guardrail-version': '0' })[0]?.name, 'guardrail-version');
});

reading('the deployment’s models are the defaults, and the ceiling whatever is set', () => {
  const deployed = { defaultModel: 'a.one', allowedModels: 'a.one, a.two' };
  assert.is(parse({}, deployed).defaultModel, 'a.one');
  assert.equal(parse({}, deployed).allowedModels, ['a.one', 'a.two']);
  const tuned = parse({ 'default-model': 'a.two', 'allowed-models': '*' }, deployed);
  assert.is(tuned.defaultModel, 'a.two');
  assert.equal(tuned.allowedModels, ['*']);
  assert.equal(tuned.modelCeiling, ['a.one', 'a.two']);
});

reading('whatever the texts are, there are settings or a SettingsError', () => {
  const name = fc.constantFrom(...settingsTable.map((setting) => setting.name), '__proto__', 'x');
  const value = fc.oneof(fc.string(), fc.json(), fc.double().map(String));
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value)), (pairs) => {
      try {
        assert.is(typeof parseSettings(new Map(pairs)).defaultMaxTokens, 'number');
      } catch (error) {
        assert.instance(error, SettingsError);
      }
    }),
  );
});

reading.run();
