/**
 * Metrics in CloudWatch's embedded metric format: lines of the log that count. No tenant, model or id is a dimension, and none is in the
 * line: every value of a dimension is a metric of its own, and is paid for as one.
 * @see https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
 */
import { type ErrorCode, errorKinds } from '../chat/errors.ts';
import { type MetricName, metricUnits } from '../names.ts';

/** What is counted of a request, as the log has it. */
export type Measured = {
  readonly door?: string;
  readonly outcome?: 'done' | 'error' | 'cancelled';
  readonly code?: ErrorCode;
  readonly cache?: string;
  readonly cached?: string;
  readonly input_tokens?: number;
  readonly output_tokens?: number;
  readonly first_event_ms?: number;
  readonly total_ms?: number;
};

export type Line = {
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** The stack's own, as `metricsNamespace` has it. */
  readonly namespace: string;
};

export type Circumstances = Line & {
  /** Whether a model was asked for an answer; else only failures count. */
  readonly isRequest: boolean;
  /** Nothing where there are no settings yet. */
  readonly settingsAgeSeconds: number | undefined;
};

type Values = Partial<Record<MetricName, number | undefined>>;

/** Metrics that are counted once without a dimension, and again by this one. */
type Group = { readonly values: Values; readonly dimension?: Readonly<Record<string, string | undefined>> };

/** Fields that make a line of the log count once. */
export const countMetric = (name: MetricName, line: Line): object | undefined =>
  toLine([{ values: { [name]: 1 } }], line);

/** Fields that make a line of the log count a request; nothing where there is nothing to count. */
export function toMetrics(record: Measured, { isRequest, settingsAgeSeconds, ...line }: Circumstances) {
  const { door: Door, outcome, code: Code } = record;
  const isError = outcome === 'error' && Code !== undefined;
  // Callers who send what is refused must wake nobody: these are Bedrock's faults and ours.
  const isFault = isError && errorKinds[Code].status >= 500;
  const own = isRequest
    ? [
        { values: measure(record), dimension: { Door } },
        { values: { SettingsAgeSeconds: settingsAgeSeconds } },
      ]
    : [];
  const failed = isError ? [{ values: { Errors: 1 }, dimension: { Code } }] : [];
  return toLine([...own, ...failed, { values: { Faults: isFault ? 1 : undefined } }], line);
}

/** The times are those of whole answers: how long it takes to refuse, or to embed, says nothing of how long it takes to answer. */
function measure({ outcome, cache, cached, ...record }: Measured): Values {
  const isAnswer = outcome === 'done' && record.first_event_ms !== undefined;
  const when = (isSo: boolean) => (isSo ? 1 : undefined);
  return {
    Requests: 1,
    Cancelled: when(outcome === 'cancelled'),
    CacheHits: when(cache === 'hit'),
    CacheMisses: when(cache === 'miss'),
    SimilarHits: when(cached === 'similar'),
    InputTokens: record.input_tokens,
    OutputTokens: record.output_tokens,
    FirstEventMs: isAnswer ? record.first_event_ms : undefined,
    TotalMs: isAnswer ? record.total_ms : undefined,
  };
}

function toLine(groups: readonly Group[], { now, namespace }: Line): object | undefined {
  const present = groups.map(keepPresent).filter(({ names }) => names.length > 0);
  if (present.length === 0) return undefined;
  const CloudWatchMetrics = present.map(({ names, dimension }) => ({
    Namespace: namespace,
    Dimensions: [[], ...Object.keys(dimension).map((key) => [key])],
    Metrics: names.map((Name) => ({ Name, Unit: metricUnits[Name] })),
  }));
  const targets = present.map(({ values, dimension }) => ({ ...values, ...dimension }));
  return Object.assign({ _aws: { Timestamp: now, CloudWatchMetrics } }, ...targets);
}

/** What a line names must be in it, and a number. */
function keepPresent({ values, dimension = {} }: Group) {
  const names = (Object.keys(values) as MetricName[]).filter((name) => Number.isFinite(values[name]));
  return {
    names,
    values: Object.fromEntries(names.map((name) => [name, values[name]])),
    dimension: Object.fromEntries(Object.entries(dimension).filter(([, value]) => value !== undefined)),
  };
}
