/**
 * The dashboard, and the alarms and whom they tell.
 */
import { Duration } from 'aws-cdk-lib';
import {
  type Alarm,
  AlarmStatusWidget,
  Dashboard,
  GraphWidget,
  type IMetric,
  type IWidget,
  MathExpression,
} from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import { Construct } from 'constructs';
import { type MetricName, metricsNamespace } from '../src/names.ts';
import { alarmRules, createAlarm, type OwnMetric, ownMetrics, type Watched, watched } from './alarms.ts';
import type { Config } from './config.ts';
import { acknowledge } from './findings.ts';
import type { Functions } from './functions.ts';
import type { Tables } from './tables.ts';

export type OperationsParts = {
  readonly config: Config;
  readonly functions: Functions;
  readonly tables: Tables;
  readonly settingsPath: string;
};

/** Of the 24 columns of a dashboard. */
const THIRD = 8;

export class Operations extends Construct {
  readonly dashboard: Dashboard;

  constructor(scope: Construct, id: string, { config, functions, tables, settingsPath }: OperationsParts) {
    super(scope, id);
    const own = ownMetrics(settingsPath);
    const lambdas = watched(functions, config);
    const alarms = alarmRules(own, lambdas).map((rule) => createAlarm(this, config.stackName, rule));
    if (config.alarmEmail !== undefined) this.#tell(config.alarmEmail, alarms);
    this.dashboard = new Dashboard(this, 'Dashboard', {
      // Dashboards are known in all regions of an account.
      dashboardName: `${config.stackName}-${config.region}`,
      defaultInterval: Duration.hours(12),
      widgets: [
        [new AlarmStatusWidget({ title: 'Alarms', width: 24, height: 3, alarms })],
        ownWidgets(own, settingsPath),
        awsWidgets(lambdas, tables),
      ],
    });
  }

  #tell(email: string, alarms: readonly Alarm[]) {
    const topic = new Topic(this, 'Topic', { enforceSSL: true });
    topic.addSubscription(new EmailSubscription(email));
    for (const alarm of alarms) alarm.addAlarmAction(new SnsAction(topic));
    acknowledge(
      topic,
      'AwsSolutions-SNS2',
      'It carries names of alarms, which a key of its own would not make safer.',
    );
    acknowledge(
      topic,
      'Serverless-SNSRedrivePolicy',
      'Mail that cannot be delivered has no queue to go to; the alarm stays red.',
    );
  }
}

const graph = (title: string, left: readonly IMetric[], right: readonly IMetric[] = []): IWidget =>
  new GraphWidget({ title, width: THIRD, left: [...left], right: [...right] });

function ownWidgets(own: OwnMetric, settingsPath: string): IWidget[] {
  const sum = (name: MetricName) => own(name, 'Sum');
  const percentiles = (name: MetricName) => ['p50', 'p90', 'p99'].map((p) => own(name, p).with({ label: p }));
  return [
    graph('Requests', [sum('Requests'), sum('Cancelled'), sum('Faults')]),
    graph('Time to first event, ms', percentiles('FirstEventMs')),
    graph('Time to the end, ms', percentiles('TotalMs')),
    graph('Tokens', [sum('InputTokens'), sum('OutputTokens')]),
    graph(
      'Cache',
      [sum('CacheHits'), sum('SimilarHits'), sum('CacheMisses')],
      [
        new MathExpression({
          label: 'hits, %',
          expression: '100 * FILL(hits, 0) / (FILL(hits, 0) + FILL(misses, 0))',
          usingMetrics: { hits: sum('CacheHits'), misses: sum('CacheMisses') },
        }),
      ],
    ),
    graph('Errors by code', [
      new MathExpression({
        label: '',
        expression: `SEARCH('{"${metricsNamespace(settingsPath)}",Code} MetricName="Errors"', 'Sum', 300)`,
        usingMetrics: {},
      }),
    ]),
    graph('Kept and not kept', [
      sum('TurnLost'),
      sum('AnswerNotLearned'),
      sum('CacheUnavailable'),
      sum('SimilarUnavailable'),
      sum('AnswerAltered'),
    ]),
    graph(
      'Settings',
      [sum('SettingsRefused'), sum('SettingsUnreadable')],
      [own('SettingsAgeSeconds', 'Maximum')],
    ),
  ];
}

const awsWidgets = ({ answering, failedWork }: Watched, { byName }: Tables): IWidget[] => [
  graph(
    'Functions: running at once',
    answering.map((fn) => fn.metric('ConcurrentExecutions', { statistic: 'Maximum' })),
  ),
  graph(
    'Functions: errors and throttles',
    answering.flatMap((fn) => [fn.metricErrors(), fn.metricThrottles()]),
    failedWork ? [failedWork.metricInvocations({ label: 'answers lost' })] : [],
  ),
  graph(
    'Tables: read and written',
    [...byName.values()].flatMap((table) => [
      table.metricConsumedReadCapacityUnits(),
      table.metricConsumedWriteCapacityUnits(),
    ]),
  ),
];
