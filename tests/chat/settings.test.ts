import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { isAllowed } from '../../src/chat/settings.ts';

const allowing = suite('isAllowed');

allowing('an id is allowed when it is on the list, letter for letter', () => {
  const list = ['amazon.nova-lite-v1:0', 'us.amazon.nova-lite-v1:0'];
  assert.ok(isAllowed('amazon.nova-lite-v1:0', list));
  assert.not.ok(isAllowed('amazon.nova-lite-v1:00', list));
  assert.not.ok(isAllowed('xamazon.nova-lite-v1:0', list));
  assert.not.ok(isAllowed('', list));
});

allowing('a star stands for any run of characters, wherever it is', () => {
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
  for (const [pattern, id, expected] of cases)
    assert.is(isAllowed(id, [pattern]), expected, `${pattern} ${id}`);
});

allowing('everything else in a pattern is taken literally', () => {
  assert.not.ok(isAllowed('amazonXnova', ['amazon.nova']));
  assert.ok(isAllowed('a+b(c)[d]', ['a+b(c)[d]']));
});

allowing('a pattern of many stars is answered at once', () => {
  const list = [`${'*a'.repeat(50)}*`];
  assert.not.ok(isAllowed(`${'b'.repeat(2000)}`, list));
});

allowing.run();
