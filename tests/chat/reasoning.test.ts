import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { applyQuirk } from '../../src/chat/fields.ts';
import { findQuirk, lore, mergeQuirks, plain, type Quirk } from '../../src/chat/quirks.ts';
import { applyEffort } from '../../src/chat/reasoning.ts';
import { type ChatRequest, type Effort, efforts, type Message } from '../../src/chat/request.ts';
import { chatRequest } from '../helpers/requests.ts';

const inference = { maxTokens: 10_000, temperature: 0.5, topP: 0.9, stopSequences: [] };
const ask = (effort: Effort, changes: Partial<ChatRequest> = {}) =>
  chatRequest({ effort, inference, ...changes });
const look = { name: 'look', inputSchema: { type: 'object' } };

const adaptive = suite('the effort of a Claude that decides for itself');

adaptive(
  'is told beside its thinking, and temperature and top_p, which it then refuses, are left out',
  () => {
    const { modelFields, inference: sent } = applyEffort(ask('medium'), 'adaptive');
    assert.equal(modelFields, { thinking: { type: 'adaptive' }, output_config: { effort: 'medium' } });
    assert.equal(sent, { maxTokens: 10_000, stopSequences: [] });
  },
);

adaptive('has four steps', () => {
  const told = efforts.map(
    (effort) => Object(applyEffort(ask(effort), 'adaptive').modelFields['output_config']).effort,
  );
  assert.equal(told, [undefined, 'low', 'low', 'medium', 'high', 'high', 'max']);
});

adaptive('none turns its thinking off, and leaves the rest as it was', () => {
  const request = ask('none');
  assert.equal(applyEffort(request, 'adaptive'), {
    ...request,
    modelFields: { thinking: { type: 'disabled' } },
  });
});

adaptive('gives way to a tool that must be called', () => {
  for (const toolChoice of [{ type: 'any' }, { type: 'tool', name: 'look' }] as const) {
    const { modelFields, inference: sent } = applyEffort(
      ask('high', { tools: [look], toolChoice }),
      'adaptive',
    );
    assert.equal(modelFields, { thinking: { type: 'disabled' } });
    assert.equal(sent, inference);
  }
  const { modelFields } = applyEffort(
    ask('high', { tools: [look], toolChoice: { type: 'auto' } }),
    'adaptive',
  );
  assert.equal(modelFields['thinking'], { type: 'adaptive' });
});

const budget = suite('the effort of a Claude that wants a budget');

budget('is a share of the longest answer', () => {
  const told = efforts.map(
    (effort) => Object(applyEffort(ask(effort), 'budget').modelFields['thinking']).budget_tokens,
  );
  assert.equal(told, [undefined, 1_024, 2_000, 5_000, 8_000, 9_000, 9_000]);
  assert.equal(applyEffort(ask('medium'), 'budget').inference, { maxTokens: 10_000, stopSequences: [] });
});

budget('is nothing where the answer has no room for it', () => {
  for (const [maxTokens, isThinking] of [
    [1_024, false],
    [1_025, true],
  ] as const) {
    const request = ask('low', { inference: { ...inference, maxTokens } });
    assert.is('thinking' in applyEffort(request, 'budget').modelFields, isThinking, String(maxTokens));
  }
});

budget(
  'is nothing where a call of the conversation comes without its thoughts, which Claude would refuse',
  () => {
    const toolUse = { type: 'tool-use', id: 't', name: 'look', input: {} } as const;
    const thought = { type: 'reasoning', text: 'hm', signature: 'sig' } as const;
    const text = { type: 'text', text: 'I look.' } as const;
    const thinks = (...content: Message['content']) =>
      'thinking' in
      applyEffort(ask('high', { messages: [{ role: 'assistant', content }] }), 'budget').modelFields;
    assert.ok(thinks(thought, text, toolUse));
    assert.ok(thinks(text), 'an answer without a call needs none');
    assert.not(thinks(text, toolUse));
    assert.not(thinks(toolUse));
  },
);

budget('is nothing when any one of its calls lacks them', () => {
  const call = (...before: Message['content']): Message => ({
    role: 'assistant',
    content: [...before, { type: 'tool-use', id: 't', name: 'look', input: {} }],
  });
  const thought = { type: 'reasoning', text: 'hm', signature: 'sig' } as const;
  const thinks = (...messages: Message[]) =>
    'thinking' in applyEffort(ask('high', { messages }), 'budget').modelFields;
  assert.ok(thinks(call(thought), call(thought)));
  assert.not(thinks(call(thought), call()));
  assert.not(thinks(call({ type: 'text', text: 'I look.' }, thought)), 'they come first');
});

budget('is whole tokens', () => {
  const { modelFields } = applyEffort(
    ask('medium', { inference: { ...inference, maxTokens: 4_097 } }),
    'budget',
  );
  assert.equal(modelFields, { thinking: { type: 'enabled', budget_tokens: 2_048 } });
});

const others = suite('the effort of other models');

others('of Nova is medium at most: with more it refuses a limit of the answer', () => {
  const told = efforts.map(
    (effort) => applyEffort(ask(effort), 'nova').modelFields['reasoningConfig'] ?? null,
  );
  const level = (maxReasoningEffort: string) => ({ type: 'enabled', maxReasoningEffort });
  assert.equal(told, [null, level('low'), level('low'), ...Array(4).fill(level('medium'))]);
  assert.equal(applyEffort(ask('high'), 'nova').inference, inference);
});

others('of OpenAI’s open models is theirs', () => {
  const told = efforts.map((effort) => applyEffort(ask(effort), 'effort').modelFields['reasoning_effort']);
  assert.equal(told, ['low', 'low', 'low', 'medium', 'high', 'high', 'high']);
});

others('does not give way to a tool that must be called', () => {
  const { modelFields } = applyEffort(ask('high', { tools: [look], toolChoice: { type: 'any' } }), 'effort');
  assert.equal(modelFields, { reasoning_effort: 'high' });
});

others('leaves what else the model is told', () => {
  const request = ask('low', { modelFields: { top_k: 5 } });
  assert.equal(applyEffort(request, 'effort').modelFields, { top_k: 5, reasoning_effort: 'low' });
});

others('is passed over where nobody asked, or nobody knows how', () => {
  const { effort: _, ...silent } = ask('high');
  assert.is(applyEffort(silent, 'adaptive'), silent);
  const request = ask('high');
  assert.is(applyEffort(request, undefined), request);
});

const known = suite('what is known of models');

for (const [model, style] of [
  ['us.anthropic.claude-3-7-sonnet-20250219-v1:0', 'budget'],
  ['us.anthropic.claude-sonnet-4-20250514-v1:0', 'budget'],
  ['global.anthropic.claude-haiku-4-5-20251001-v1:0', 'budget'],
  ['global.anthropic.claude-sonnet-4-6', 'adaptive'],
  ['anthropic.claude-opus-4-6-v1', 'adaptive'],
  ['us.anthropic.claude-opus-5', 'adaptive'],
  ['global.amazon.nova-2-lite-v1:0', 'nova'],
  ['openai.gpt-oss-120b-1:0', 'effort'],
  ['us.amazon.nova-lite-v1:0', undefined],
  ['us.meta.llama3-3-70b-instruct-v1:0', undefined],
] as const) {
  known(`${model}: ${style ?? 'no words for it'}`, () => {
    assert.is(findQuirk(lore, model).reasoning, style);
  });
}

const samplings = ['temperature', 'top_p'] as const;
for (const [omit, oneOf, reasoning, ...models] of [
  [[...samplings, 'response_format'], [], 'adaptive', 'opus-5', 'sonnet-5'],
  [samplings, [], 'adaptive', 'opus-4-7', 'opus-4-8', 'haiku-5', 'fable-5', 'mythos-5'],
  [[], samplings, 'adaptive', 'opus-4-6-v1', 'sonnet-4-6'],
  [[], samplings, 'budget', 'opus-4-1-20250805-v1:0', 'opus-4-5-20251101-v1:0', 'sonnet-4-5-20250929-v1:0'],
  [[], samplings, 'budget', 'haiku-4-5-20251001-v1:0'],
  [[], [], 'budget', 'opus-4-20250514-v1:0', 'sonnet-4-20250514-v1:0', '3-7-sonnet-20250219-v1:0'],
  [[], [], undefined, '3-5-sonnet-20241022-v2:0', '3-haiku-20240307-v1:0'],
] as const) {
  known(`Claude ${models.join(', ')}: what they refuse, and how they are told`, () => {
    for (const model of models) {
      const quirk = { omit: [...omit], oneOf: [...oneOf], add: {}, ...(reasoning && { reasoning }) };
      assert.equal(findQuirk(lore, `us.anthropic.claude-${model}`), quirk, model);
    }
  });
}

known('the parts of a pattern stand one behind the other', () => {
  const rules = [{ models: 'ab*a*c', quirk: { ...plain, reasoning: 'nova' as const } }];
  assert.equal([findQuirk(rules, 'abc'), findQuirk(rules, 'abac').reasoning], [plain, 'nova']);
});

known('what is left out cannot decide how hard to think', () => {
  const quirk = { ...plain, omit: ['reasoning_effort' as const], reasoning: 'adaptive' as const };
  assert.equal(applyQuirk(ask('high'), quirk).modelFields, {});
  const added = { ...plain, add: { thinking: 'mine' }, reasoning: 'adaptive' as const };
  assert.is(applyQuirk(ask('high'), added).modelFields['thinking'], 'mine', 'the operator has the last word');
});

known('what was known before stands beside what is learned, and the newer word on effort wins', () => {
  const one = {
    omit: ['temperature'],
    oneOf: ['top_p'],
    add: { a: 1, b: 1 },
    reasoning: 'budget',
  } as const satisfies Quirk;
  const other = { omit: ['temperature', 'top_p'], oneOf: ['stop_sequences'], add: { b: 2 } } as const;
  assert.equal(mergeQuirks(one, other), {
    omit: ['temperature', 'top_p'],
    oneOf: ['top_p', 'stop_sequences'],
    add: { a: 1, b: 2 },
    reasoning: 'budget',
  });
  assert.is(mergeQuirks(one, { ...plain, reasoning: 'nova' }).reasoning, 'nova');
  assert.equal(mergeQuirks(plain, plain), plain);
});

known('a rule of the operator’s that is silent on effort leaves what is known of it', () => {
  const own = { omit: ['stop_sequences' as const], oneOf: [], add: {} };
  const rules = [{ models: '*sonnet-4-6*', quirk: own }, ...lore];
  assert.equal(findQuirk(rules, 'global.anthropic.claude-sonnet-4-6'), { ...own, reasoning: 'adaptive' });
  const louder = [{ models: '*', quirk: { ...own, reasoning: 'budget' as const } }, ...lore];
  assert.is(findQuirk(louder, 'global.anthropic.claude-sonnet-4-6').reasoning, 'budget');
});

known('a model without structured outputs is told the schema in words', () => {
  const outputSchema = { name: 'shape', schema: { type: 'object' } };
  const request = chatRequest({ model: 'anthropic.claude-opus-5', system: ['Be brief.'], outputSchema });
  const { system, ...sent } = applyQuirk(request, findQuirk(lore, request.model));
  assert.equal(system, [
    'Be brief.',
    'Answer with JSON that fits this JSON Schema, and with nothing else: {"type":"object"}',
  ]);
  assert.not('outputSchema' in sent);
  const { outputSchema: _, ...open } = request;
  assert.equal(applyQuirk(open, findQuirk(lore, request.model)).system, ['Be brief.']);
});

adaptive.run();
budget.run();
others.run();
known.run();
