import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { simulateAnswer } from '../../../src/local/bedrock/model.ts';
import { createPromptCache, type PromptCache } from '../../../src/local/bedrock/prompt-cache.ts';
import { parseConverseRequest } from '../../../src/local/bedrock/request.ts';

const cachePoint = { cachePoint: { type: 'default' } };
const user = (...content: object[]) => ({ role: 'user', content });
const assistant = (...content: object[]) => ({ role: 'assistant', content });
const text = (said: string) => ({ text: said });
const tool = { toolSpec: { name: 'look', inputSchema: { json: { type: 'object' } } } };

/** What the usage says of the input: all of it, or what was read, what was written and the rest. */
function count(cache: PromptCache, request: object, modelId = 'simulator.small') {
  const usage = cache.count(modelId, parseConverseRequest(request));
  const { inputTokens, cacheReadInputTokens: read, cacheWriteInputTokens: write } = usage;
  return read === undefined && write === undefined ? inputTokens : { read, write, rest: inputTokens };
}

const said = (...content: object[]) => ({ messages: [user(...content)] });
const prefixed = (rest: string) => said(text('one two three'), cachePoint, text(rest));

const counting = suite('createPromptCache');

counting('without cache points the whole input counts, and nothing is said of a cache', () => {
  const cache = createPromptCache();
  assert.is(count(cache, said(text('one two'), text('three'))), 3);
  assert.is(count(cache, { ...said(text('one')), system: [text('two three')] }), 3);
});

counting('tools, calls, results and thoughts count too', () => {
  const toolConfig = { tools: [tool] };
  const call = { toolUse: { toolUseId: 'a', name: 'look', input: { at: 'it' } } };
  const result = { toolResult: { toolUseId: 'a', content: [text('blue'), { json: { b: 1 } }] } };
  const thought = { reasoningContent: { reasoningText: { text: 'Hm hm' } } };
  const cache = createPromptCache();
  const counts = [
    { ...said(text('Look')) },
    { ...said(text('Look')), toolConfig },
    { messages: [user(text('Look')), assistant(text('No'))], toolConfig },
    { messages: [user(text('Look')), assistant(text('No'), thought)], toolConfig },
    { messages: [user(text('Look')), assistant(text('No'), call), user(result)], toolConfig },
  ].map((request) => Number(count(cache, request)));
  const [plain = 0, withTool = 0, answered = 0, thoughtful = 0, called = 0] = counts;
  assert.is(plain, 1);
  assert.ok(withTool > plain + 5);
  assert.is(answered, withTool + 1);
  assert.is(thoughtful, answered + 2);
  assert.ok(called > answered + 1 + 5, 'the call and both parts of the result');
});

counting('what stands before a cache point is written once and then read, by this model only', () => {
  const cache = createPromptCache();
  assert.equal(count(cache, prefixed('four')), { read: 0, write: 3, rest: 1 });
  assert.equal(count(cache, prefixed('four five')), { read: 3, write: 0, rest: 2 });
  assert.equal(count(cache, prefixed('four'), 'simulator.other'), { read: 0, write: 3, rest: 1 });
  assert.equal(count(createPromptCache(), prefixed('four')), { read: 0, write: 3, rest: 1 });
});

counting('another prefix is not read: in its words, its role or its place', () => {
  const cache = createPromptCache();
  count(cache, prefixed('four'));
  const others = [
    said(text('one two 3'), cachePoint, text('four')),
    said(text('one two'), text('three'), cachePoint, text('four')),
    { ...said(text('four')), system: [text('one two three'), cachePoint] },
    { ...prefixed('four'), system: [text('zero')] },
    { ...prefixed('four'), toolConfig: { tools: [tool] } },
  ];
  for (const other of others) assert.is(Object(count(cache, other)).read, 0, JSON.stringify(other));
  const image = (bytes: string) => ({ image: { format: 'png', source: { bytes } } });
  assert.is(Object(count(cache, said(text('a'), image('YWFh'), cachePoint))).read, 0);
  assert.is(Object(count(cache, said(text('a'), image('YmJi'), cachePoint))).read, 0);
  assert.is(Object(count(cache, said(text('a'), image('YmJi'), cachePoint))).read, 1);
});

counting('what comes after the last cache point may differ, and is not remembered', () => {
  const cache = createPromptCache();
  count(cache, prefixed('four'));
  const longer = said(text('one two three'), text('four'), cachePoint);
  assert.equal(count(cache, longer), { read: 3, write: 1, rest: 0 });
});

counting('a conversation that grows reads what it wrote the turn before', () => {
  const cache = createPromptCache();
  const first = [user(text('one two'), cachePoint)];
  const second = [user(text('one two')), assistant(text('three')), user(text('four five'), cachePoint)];
  assert.equal(count(cache, { messages: first }), { read: 0, write: 2, rest: 0 });
  assert.equal(count(cache, { messages: second }), { read: 2, write: 3, rest: 0 });
  assert.equal(count(cache, { messages: second }), { read: 5, write: 0, rest: 0 });
});

counting('of several cache points the last known one is read', () => {
  const cache = createPromptCache();
  const request = (last: string) => ({
    system: [text('one two'), cachePoint],
    messages: [user(text(last), cachePoint, text('rest'))],
  });
  assert.equal(count(cache, request('three')), { read: 0, write: 3, rest: 1 });
  assert.equal(count(cache, request('3 4')), { read: 2, write: 2, rest: 1 });
  assert.equal(count(cache, request('3 4')), { read: 4, write: 0, rest: 1 });
});

counting('a prefix that is known only past the last cache point is not read', () => {
  const cache = createPromptCache();
  count(cache, said(text('one'), text('two'), cachePoint));
  assert.equal(count(cache, said(text('one'), cachePoint, text('two'), text('three'))), {
    read: 0,
    write: 1,
    rest: 2,
  });
});

counting('the prefix that was longest not used is forgotten', () => {
  const cache = createPromptCache(2);
  const isRead = (prefix: string) => Object(count(cache, said(text(prefix), cachePoint))).read === 1;
  assert.equal([isRead('a'), isRead('b'), isRead('a')], [false, false, true]);
  assert.not(isRead('c'));
  assert.ok(isRead('a'));
  assert.not(isRead('b'));
});

counting('the usage of an answer adds up', () => {
  const cache = createPromptCache();
  for (const read of [0, 3]) {
    const request = parseConverseRequest(prefixed('ECHO one two'));
    const steps = simulateAnswer('simulator.small', request, cache);
    const last = steps.at(-1);
    const { usage } = Object(last?.kind === 'event' && last.payload);
    assert.is(usage.cacheReadInputTokens, read);
    assert.is(usage.totalTokens, 3 + 3 + usage.outputTokens);
  }
});

counting.run();
