import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { countMetric, type Measured, toMetrics } from '../../src/aws/metrics.ts';
import { type ErrorCode, errorKinds } from '../../src/chat/errors.ts';
import type { RequestRecord } from '../../src/doors/record.ts';
import { metricUnits } from '../../src/names.ts';
import { readMetrics, sumsOf } from '../helpers/emf.ts';

const namespace = 'LlmGateway/Test';
const circumstances = { now: 1_795_000_000_000, namespace, isRequest: true, settingsAgeSeconds: 12 };
const textOf = (record: Measured, changes: Partial<typeof circumstances> = {}) =>
  JSON.stringify(toMetrics(record, { ...circumstances, ...changes })) ?? '';
const sums = (record: Measured, changes: Partial<typeof circumstances> = {}) =>
  sumsOf(readMetrics(textOf(record, changes)));

const answered: RequestRecord = {
  request_id: 'canary-id',
  method: 'POST',
  tenant: 'canary-tenant',
  model: 'canary-model',
  route: '/v1/chat',
  door: 'rest',
  outcome: 'done',
  cache: 'miss',
  input_tokens: 5,
  output_tokens: 7,
  first_event_ms: 300,
  total_ms: 1_800,
};

const measuring = suite('toMetrics');

measuring('an answer is counted and timed, all together and by its door', () => {
  assert.equal(toMetrics(answered, circumstances), {
    _aws: {
      Timestamp: 1_795_000_000_000,
      CloudWatchMetrics: [
        {
          Namespace: namespace,
          Dimensions: [[], ['Door']],
          Metrics: [
            { Name: 'Requests', Unit: 'Count' },
            { Name: 'CacheMisses', Unit: 'Count' },
            { Name: 'InputTokens', Unit: 'Count' },
            { Name: 'OutputTokens', Unit: 'Count' },
            { Name: 'FirstEventMs', Unit: 'Milliseconds' },
            { Name: 'TotalMs', Unit: 'Milliseconds' },
          ],
        },
        {
          Namespace: namespace,
          Dimensions: [[]],
          Metrics: [{ Name: 'SettingsAgeSeconds', Unit: 'Seconds' }],
        },
      ],
    },
    Door: 'rest',
    Requests: 1,
    CacheMisses: 1,
    InputTokens: 5,
    OutputTokens: 7,
    FirstEventMs: 300,
    TotalMs: 1_800,
    SettingsAgeSeconds: 12,
  });
});

measuring(
  'a hit and a cancel are counted as such; what never passed the cache is neither hit nor miss',
  () => {
    const hit = sums({ outcome: 'done', cache: 'hit' });
    assert.equal([hit['CacheHits'], hit['CacheMisses'], hit['Cancelled']], [1, undefined, undefined]);
    for (const cache of ['off', 'refresh', 'bypass', undefined]) {
      const seen = sums({ outcome: 'cancelled', ...(cache && { cache }) });
      assert.equal([seen['CacheHits'], seen['CacheMisses'], seen['Cancelled']], [undefined, undefined, 1]);
    }
  },
);

measuring('an answer to a question in other words counts as a hit, and as one of those', () => {
  const similar = sums({ outcome: 'done', cache: 'hit', cached: 'similar' });
  assert.equal([similar['CacheHits'], similar['SimilarHits']], [1, 1]);
  assert.is(sums({ outcome: 'done', cache: 'hit', cached: 'curated' })['SimilarHits'], undefined);
});

measuring('only whole answers are timed, and a cancelled one still used tokens', () => {
  for (const outcome of ['error', 'cancelled'] as const) {
    const seen = sums({ ...answered, outcome, code: outcome === 'error' ? 'upstream_error' : 'cancelled' });
    assert.equal([seen['TotalMs'], seen['FirstEventMs'], seen['OutputTokens']], [undefined, undefined, 7]);
  }
});

measuring('every error is counted by its code; a fault only where it is ours or Bedrock’s', () => {
  for (const [code, { status }] of Object.entries(errorKinds) as [ErrorCode, { status: number }][]) {
    if (code === 'cancelled') continue;
    const seen = sums({ outcome: 'error', code, door: 'rest' });
    assert.equal([seen['Errors'], seen[`Errors Code=${code}`]], [1, 1]);
    assert.is(seen['Errors Door=rest'], undefined);
    assert.is(seen['Faults'], status >= 500 ? 1 : undefined, code);
  }
});

measuring('a cancel is no error', () => {
  const seen = sums({ outcome: 'cancelled', code: 'cancelled' });
  assert.equal([seen['Errors'], seen['Faults'], seen['Cancelled']], [undefined, undefined, 1]);
});

measuring('of what asks no model only the errors count, and where there is none nothing is written', () => {
  const other = { isRequest: false };
  assert.is(toMetrics({ ...answered, outcome: 'done' }, { ...circumstances, ...other }), undefined);
  const seen = sums({ ...answered, outcome: 'error', code: 'storage_unavailable' }, other);
  assert.equal(seen, { Errors: 1, 'Errors Code=storage_unavailable': 1, Faults: 1 });
});

measuring(
  'a request before any settings has no age, and one whose door is unknown is counted all the same',
  () => {
    const seen = toMetrics(
      { outcome: 'error', code: 'unauthorized' },
      { ...circumstances, settingsAgeSeconds: undefined },
    );
    assert.equal(sumsOf(readMetrics(JSON.stringify(seen))), {
      Requests: 1,
      Errors: 1,
      'Errors Code=unauthorized': 1,
    });
  },
);

measuring(
  'whatever the record says, the line is one that CloudWatch takes whole, and quotes none of it',
  () => {
    const number = fc.option(fc.oneof(fc.nat(), fc.double()), { nil: undefined });
    const word = fc.option(
      fc.string({ minLength: 1 }).map((text) => `canary${text}`),
      { nil: undefined },
    );
    const codes = Object.keys(errorKinds) as ErrorCode[];
    const record = fc
      .record({
        request_id: fc.constant('canary-id'),
        method: fc.constant('canary-method'),
        tenant: word,
        model: word,
        delivery: word,
        stop_reason: word,
        door: fc.constantFrom('rest', 'function-url', 'websocket', undefined),
        outcome: fc.constantFrom('done', 'error', 'cancelled', undefined),
        code: fc.constantFrom(...codes, undefined),
        cache: fc.constantFrom('hit', 'miss', 'refresh', 'off', 'bypass', undefined),
        cached: fc.constantFrom('curated', 'learned', 'similar', undefined),
        input_tokens: number,
        output_tokens: number,
        first_event_ms: number,
        total_ms: number,
      })
      .map((fields) => JSON.parse(JSON.stringify(fields), (_, value) => value ?? undefined) as Measured);
    const around = fc.record({ now: fc.nat(), isRequest: fc.boolean(), settingsAgeSeconds: number });
    fc.assert(
      fc.property(record, around, (fields, changes) => {
        const line = toMetrics(fields, { ...changes, namespace });
        if (line === undefined) return assert.not(changes.isRequest);
        const text = JSON.stringify(line);
        const data = readMetrics(text);
        assert.not.match(text, 'canary');
        const seen = data.map(({ name, dimension }) => `${name} ${dimension}`);
        assert.is(new Set(seen).size, seen.length, 'none is counted twice');
        for (const { name, unit } of data) assert.is(metricUnits[name as keyof typeof metricUnits], unit);
        assert.is(seen.includes('Requests '), changes.isRequest);
        const named = new Set(['_aws', 'Door', 'Code', ...data.map(({ name }) => name)]);
        assert.ok(Object.keys(line).every((key) => named.has(key)));
      }),
      { numRuns: 500 },
    );
  },
);

measuring('numbers that JSON has no word for are left out', () => {
  const seen = sums({ outcome: 'done', input_tokens: Number.NaN, output_tokens: 3, total_ms: Infinity });
  assert.equal(Object.keys(seen).sort(), ['OutputTokens', 'Requests', 'SettingsAgeSeconds']);
});

measuring.run();

const counting = suite('countMetric');

counting('counts once, under its own name', () => {
  const line = JSON.stringify(countMetric('TurnLost', { now: 5, namespace }));
  assert.equal(readMetrics(line), [{ name: 'TurnLost', unit: 'Count', value: 1, dimension: '' }]);
});

counting.run();
