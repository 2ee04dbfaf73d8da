/** The doctor counts what the functions take of Lambda's quota without making a template; here is one to count by. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { takenBy } from '../../scripts/doctor/concurrency.ts';
import { find, type Json, plainConfig, synthesize } from './stacks.ts';

const refOf = (name: Json = '') => (name as { Ref: string }).Ref;
const warmOf = (config: Json = '') =>
  (config as { ProvisionedConcurrentExecutions: number }).ProvisionedConcurrentExecutions;

const taken = suite('takenBy');

for (const changes of [
  { hasWebSocket: false, reservedConcurrency: 7, provisionedConcurrency: 3 },
  { hasWebSocket: true, reservedConcurrency: 7, provisionedConcurrency: 3 },
  { hasWebSocket: true, provisionedConcurrency: 3 },
]) {
  taken(`${JSON.stringify(changes)} takes what the template takes`, () => {
    const template = synthesize(changes);
    const reserved = new Map(
      [...find(template, 'AWS::Lambda::Function')].map(([id, properties]) => [
        id,
        Number(properties['ReservedConcurrentExecutions'] ?? 0),
      ]),
    );
    // What is kept warm counts by itself where the function reserves nothing.
    const warm = [...find(template, 'AWS::Lambda::Alias').values()]
      .filter(({ FunctionName }) => reserved.get(refOf(FunctionName)) === 0)
      .map(({ ProvisionedConcurrencyConfig: config }) => warmOf(config));
    const sum = [...reserved.values(), ...warm].reduce((total, each) => total + each, 0);
    assert.ok(sum > 0);
    assert.is(takenBy({ ...plainConfig, ...changes }), sum);
  });
}
taken.run();
