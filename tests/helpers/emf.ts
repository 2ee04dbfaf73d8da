/** What CloudWatch would make of a line of the log, after its specification of the embedded metric format. */
import * as assert from 'uvu/assert';

export type Datum = {
  readonly name: string;
  readonly unit: string;
  readonly value: number;
  /** `Door=rest`; empty for none. */
  readonly dimension: string;
};

type Directive = {
  readonly Namespace: string;
  readonly Dimensions: readonly (readonly string[])[];
  readonly Metrics: readonly { readonly Name: string; readonly Unit: string }[];
};

const units = ['Count', 'Milliseconds', 'Seconds'];

/** The data that the line publishes. Fails where CloudWatch would refuse the line, or take only a part of it. */
export function readMetrics(text: string): Datum[] {
  const line = JSON.parse(text) as Record<string, unknown>;
  const { Timestamp, CloudWatchMetrics } = line['_aws'] as Record<string, unknown>;
  assert.ok(Number.isInteger(Timestamp));
  const directives = CloudWatchMetrics as readonly Directive[];
  assert.ok(directives.length > 0);
  return directives.flatMap(({ Namespace, Dimensions, Metrics }) => {
    assert.match(Namespace, /^LlmGateway\/\w+$/);
    assert.ok(Metrics.length > 0 && Metrics.length <= 100);
    assert.ok(Dimensions.length > 0);
    return Dimensions.flatMap((keys) => {
      const dimension = keys.map((key) => {
        assert.ok(typeof line[key] === 'string' && line[key] !== '', `${key} must be in the line`);
        return `${key}=${line[key]}`;
      });
      return Metrics.map(({ Name, Unit }) => {
        const value = line[Name];
        assert.type(value, 'number', `${Name} must be in the line`);
        assert.ok(units.includes(Unit));
        return { name: Name, unit: Unit, value: Number(value), dimension: dimension.join() };
      });
    });
  });
}

/** `Requests` and `Requests Door=rest` → the sum of their values. */
export function sumsOf(data: readonly Datum[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const { name, dimension, value } of data) {
    const key = `${name} ${dimension}`.trim();
    sums[key] = (sums[key] ?? 0) + value;
  }
  return sums;
}
