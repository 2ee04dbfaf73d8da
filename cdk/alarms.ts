/**
 * What somebody should be told of. Each alarm bears the name of a heading in the README's section Operations, which says what to look
 * at and what to do.
 */
import { Duration } from 'aws-cdk-lib';
import {
  Alarm,
  ComparisonOperator,
  type IMetric,
  MathExpression,
  Metric,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';
import { type MetricName, metricsNamespace } from '../src/names.ts';
import type { Config } from './config.ts';
import type { Functions } from './functions.ts';

/** How long is counted together. */
const PERIOD = Duration.minutes(5);

export type AlarmRule = {
  /** A heading in the README. */
  readonly name: string;
  readonly meaning: string;
  readonly metric: IMetric;
  /** From here on. */
  readonly threshold: number;
  /** For how many periods of 5 minutes on end. @defaultValue 1 */
  readonly periods?: number;
};

/** The gateway's own metrics, by name and, where they have one, a dimension. */
export type OwnMetric = (
  name: MetricName,
  statistic: string,
  dimensionsMap?: Readonly<Record<string, string>>,
) => Metric;

export const ownMetrics =
  (settingsPath: string): OwnMetric =>
  (metricName, statistic, dimensionsMap = {}) =>
    new Metric({
      namespace: metricsNamespace(settingsPath),
      metricName,
      statistic,
      dimensionsMap: { ...dimensionsMap },
      period: PERIOD,
    });

export function alarmRules(
  own: OwnMetric,
  { answering, failedWork, hasSearch }: Watched,
): readonly AlarmRule[] {
  const sum = (name: MetricName, dimensions = {}) => own(name, 'Sum', dimensions);
  return [
    {
      name: 'Many faults',
      meaning: 'More than 5 % of the requests failed by a fault of the gateway or of Bedrock.',
      metric: new MathExpression({
        expression: 'IF(requests >= 20, 100 * FILL(faults, 0) / requests, 0)',
        usingMetrics: { requests: sum('Requests'), faults: sum('Faults') },
        period: PERIOD,
      }),
      threshold: 5,
    },
    {
      name: 'Slow first event',
      meaning: 'One answer in ten took more than 10 seconds to begin.',
      metric: own('FirstEventMs', 'p90'),
      threshold: 10_000,
      periods: 3,
    },
    {
      name: 'Bedrock throttles',
      meaning: 'Bedrock refused requests because the account’s quota of a model was used up.',
      metric: sum('Errors', { Code: 'upstream_throttled' }),
      threshold: 10,
      periods: 2,
    },
    {
      name: 'Model access denied',
      meaning: 'Bedrock refused a model that the gateway offers.',
      metric: sum('Errors', { Code: 'upstream_access_denied' }),
      threshold: 1,
    },
    {
      name: 'Settings refused',
      meaning: 'A setting in Parameter Store is wrong; the gateway goes on with the last good set.',
      metric: sum('SettingsRefused'),
      threshold: 1,
    },
    {
      name: 'Settings too old',
      meaning: 'The settings could not be read for 10 minutes; after an hour requests are refused.',
      metric: own('SettingsAgeSeconds', 'Maximum'),
      threshold: 600,
    },
    {
      name: 'Cache unavailable',
      meaning: 'Questions went to the model because the answers table was down or too slow.',
      metric: sum('CacheUnavailable'),
      threshold: 10,
      periods: 2,
    },
    ...(hasSearch
      ? [
          {
            name: 'Search failing',
            meaning:
              'Questions went to the model because OpenSearch or the embedding model failed or was too slow.',
            metric: sum('SimilarUnavailable'),
            // A function that is refused all the time tries twice a minute.
            threshold: 5,
            periods: 2,
          },
        ]
      : []),
    {
      name: 'Answer altered',
      meaning: 'A learned answer was changed by hand; it was deleted and not told.',
      metric: sum('AnswerAltered'),
      threshold: 1,
    },
    {
      name: 'Turns lost',
      meaning: 'Answers were told and could not be kept in the history.',
      metric: sum('TurnLost'),
      threshold: 5,
    },
    {
      name: 'Functions throttled',
      meaning: 'Lambda had no room for requests.',
      metric: total(answering, (fn) => fn.metricThrottles({ period: PERIOD })),
      threshold: 1,
    },
    {
      name: 'Functions failing',
      meaning: 'A function ended by an error, for want of memory or of time.',
      metric: total(answering, (fn) => fn.metricErrors({ period: PERIOD })),
      threshold: 1,
    },
    ...(failedWork
      ? [
          {
            name: 'Answers lost',
            meaning: 'A worker died, or was not started in time; its clients were told.',
            metric: failedWork.metricInvocations({ period: PERIOD }),
            threshold: 1,
          },
        ]
      : []),
  ];
}

export type Watched = {
  readonly answering: readonly IFunction[];
  readonly failedWork: IFunction | undefined;
  /** Whether similar questions are searched somewhere. */
  readonly hasSearch: boolean;
};

export const watched = ({ byName }: Functions, { openSearch }: Config): Watched => ({
  answering: ['Http', 'WebSocket', 'Worker'].flatMap((name) => byName.get(name) ?? []),
  failedWork: byName.get('FailedWork'),
  hasSearch: openSearch !== undefined,
});

function total(functions: readonly IFunction[], metricOf: (fn: IFunction) => Metric): IMetric {
  const usingMetrics = Object.fromEntries(functions.map((fn, n) => [`f${n}`, metricOf(fn)]));
  // A function that nobody called has no data, and a sum with it would have none.
  const terms = Object.keys(usingMetrics).map((name) => `FILL(${name}, 0)`);
  return new MathExpression({
    expression: terms.join(' + '),
    usingMetrics,
    period: PERIOD,
  });
}

export function createAlarm(scope: Construct, stackName: string, rule: AlarmRule): Alarm {
  const { name, meaning, metric, threshold, periods = 1 } = rule;
  return new Alarm(scope, name.replaceAll(' ', ''), {
    alarmName: `${stackName}: ${name}`,
    alarmDescription: `${meaning} README, Operations: "${name}".`,
    metric,
    threshold,
    evaluationPeriods: periods,
    comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
    // Nobody asks at night.
    treatMissingData: TreatMissingData.NOT_BREACHING,
  });
}
