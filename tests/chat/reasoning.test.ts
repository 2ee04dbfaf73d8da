import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { applyQuirk } from '../../src/chat/fields.ts';
import { findQuirk, lore } from '../../src/chat/quirks.ts';
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
});

adaptive.run();
budget.run();
others.run();
known.run();
