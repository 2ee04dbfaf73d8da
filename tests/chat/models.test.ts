import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { fits, isOffered, type ModelRules, namesOnOffer, resolveModel } from '../../src/chat/models.ts';

const fitting = suite('fits');

fitting('a pattern without a star is the id, letter for letter', () => {
  assert.ok(fits('amazon.nova-lite-v1:0', 'amazon.nova-lite-v1:0'));
  for (const other of ['amazon.nova-lite-v1:00', 'xamazon.nova-lite-v1:0', '']) {
    assert.not.ok(fits('amazon.nova-lite-v1:0', other), other);
  }
});

fitting('a star stands for any run of characters, wherever it is', () => {
  const cases: [pattern: string, id: string, expected: boolean][] = [
    ['simulator.*', 'simulator.throttled', true],
    ['simulator.*', 'simulator.', true],
    ['simulator.*', 'simulator', false],
    ['*.claude-*', 'global.anthropic.claude-opus-5', true],
    ['*', 'anything', true],
    ['a*b*c', 'abc', true],
    ['a*b*c', 'a1b2c', true],
    ['a*b*c', 'acb', false],
    ['a*a', 'a', false],
    ['a*aa', 'aa', false],
    ['a*b*b', 'ab', false],
  ];
  for (const [pattern, id, expected] of cases) assert.is(fits(pattern, id), expected, `${pattern} ${id}`);
});

fitting('everything else in a pattern is taken literally', () => {
  assert.not.ok(fits('amazon.nova', 'amazonXnova'));
  assert.ok(fits('a+b(c)[d]', 'a+b(c)[d]'));
});

fitting('a pattern of many stars is answered at once', () => {
  assert.not.ok(fits(`${'*a'.repeat(50)}*`, 'b'.repeat(2000)));
});

fitting.run();

// ---

const rules: ModelRules = {
  defaultModel: 'b.two',
  allowedModels: ['global.a.one', 'b.*', 'z.outside'],
  modelCeiling: ['global.a.*', 'b.two', 'b.three'],
  modelAliases: new Map([
    ['fast', 'b.two'],
    ['far', 'z.outside'],
    ['faster', 'fast'],
  ]),
};

const offering = suite('the models on offer');

offering('are those that both the setting and the deployment let through', () => {
  assert.ok(isOffered('global.a.one', rules));
  assert.ok(isOffered('b.three', rules));
  assert.not.ok(isOffered('global.a.two', rules), 'the setting narrows');
  assert.not.ok(isOffered('z.outside', rules), 'the deployment is the ceiling');
});

offering('are listed by name, the default first, with the aliases that lead to one', () => {
  assert.equal(namesOnOffer(rules), ['b.two', 'global.a.one', 'b.three', 'fast']);
  assert.equal(
    namesOnOffer({ ...rules, modelCeiling: ['*'] }).filter((name) => name.includes('*')),
    [],
  );
});

offering('an alias stands for its model, and not for another alias', () => {
  assert.is(resolveModel('fast', rules), 'b.two');
  assert.is(resolveModel('faster', rules), 'fast');
  assert.is(resolveModel('b.two', rules), 'b.two');
  assert.is(resolveModel('__proto__', rules), '__proto__');
});

offering.run();
