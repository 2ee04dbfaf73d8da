import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { metricUnits } from '../../src/names.ts';
import { find, only, type Properties, synthesize } from './stacks.ts';

const alarms = (changes = {}) => [...find(synthesize(changes), 'AWS::CloudWatch::Alarm').values()];

const searching = {
  openSearch: { endpoint: 'https://x', service: 'aoss', name: 'x', region: 'us-east-1' },
} as const;

/** Namespaces and names of the gateway's own metrics that a text speaks of. */
const ownMetrics = (text: string) =>
  [...text.matchAll(/"MetricName":"(\w+)","Namespace":"(LlmGateway[^"]*)"/g)].map(([, name, namespace]) => ({
    name,
    namespace,
  }));

const operations = suite('Operations');

operations('has alarms, each of which names a heading in the README that says what to do', () => {
  const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');
  const section = readme.slice(readme.indexOf('\n## Operations'));
  const found = alarms(searching);
  assert.ok(found.length >= 13);
  for (const { AlarmName, AlarmDescription } of found) {
    const heading = /README, Operations: "(.*)"\.$/.exec(String(AlarmDescription))?.[1];
    assert.is(AlarmName, `LlmGatewayStack: ${heading}`);
    assert.match(section, `\n### ${heading}\n`);
  }
});

operations('watches metrics that the gateway writes, of its own stack', () => {
  const template = synthesize({ stackName: 'LlmGatewayStack-prod' });
  const text = JSON.stringify([...find(template, 'AWS::CloudWatch::Alarm').values()]);
  const found = ownMetrics(text);
  assert.ok(found.length >= 9);
  for (const { name = '', namespace } of found) {
    assert.ok(name in metricUnits, `nobody writes ${name}`);
    assert.is(namespace, 'LlmGateway/LlmGatewayStack-prod');
  }
});

operations('is told by mail when there is an address, and by nothing else', () => {
  const template = synthesize({ alarmEmail: 'ops@example.com' });
  const { Endpoint, Protocol } = only(template, 'AWS::SNS::Subscription');
  assert.equal({ Endpoint, Protocol }, { Endpoint: 'ops@example.com', Protocol: 'email' });
  for (const { AlarmActions } of find(template, 'AWS::CloudWatch::Alarm').values()) {
    assert.is((AlarmActions as Properties[]).length, 1);
  }
  for (const { AlarmActions } of alarms()) assert.is(AlarmActions, undefined);
});

operations('does not raise an alarm because nobody asks', () => {
  for (const { TreatMissingData } of alarms()) assert.is(TreatMissingData, 'notBreaching');
});

operations('shows every metric that the gateway writes, or an alarm on it', () => {
  const template = synthesize();
  const dashboard = JSON.stringify(only(template, 'AWS::CloudWatch::Dashboard')['DashboardBody']).replaceAll(
    '\\',
    '',
  );
  const alarmed = ownMetrics(JSON.stringify(alarms())).map(({ name }) => name);
  const missing = Object.keys(metricUnits).filter(
    (name) => !dashboard.includes(`"${name}"`) && !alarmed.includes(name),
  );
  assert.equal(missing, []);
});

operations('adds up functions of which some were not called', () => {
  const sums = JSON.stringify(alarms()).match(/FILL\(f0, 0\) \+ FILL\(f1, 0\) \+ FILL\(f2, 0\)/g) ?? [];
  assert.is(sums.length, 2);
});

operations('watches for similar questions that are not searched only where they are', () => {
  const named = (changes: object) =>
    alarms(changes).filter(({ AlarmName }) => String(AlarmName).endsWith(': Search failing'));
  assert.equal(named({}), []);
  const [{ MetricName, Threshold, EvaluationPeriods } = {}] = named(searching);
  assert.equal(
    { MetricName, Threshold, EvaluationPeriods },
    { MetricName: 'SimilarUnavailable', Threshold: 5, EvaluationPeriods: 2 },
  );
});

operations('watches for lost answers only where there are workers', () => {
  const named = (changes: object) =>
    alarms(changes).some(({ AlarmName }) => String(AlarmName).endsWith(': Answers lost'));
  assert.equal([named({}), named({ hasWebSocket: false })], [true, false]);
});

operations.run();
