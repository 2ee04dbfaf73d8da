import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { simulateAnswer } from '../../../src/local/bedrock/model.ts';
import { parseConverseRequest } from '../../../src/local/bedrock/request.ts';
import { redact, sign } from '../../../src/local/bedrock/thinking.ts';

type Thought = { text?: string; signature?: string; redactedContent?: string };

const user = (...content: object[]) => ({ role: 'user', content });
const assistant = (...content: object[]) => ({ role: 'assistant', content });
const text = (said = 'Why?') => ({ text: said });
const call = { toolUse: { toolUseId: 'a', name: 'look', input: {} } };
const result = { toolResult: { toolUseId: 'a', content: [{ text: 'blue' }] } };
const tool = { toolSpec: { name: 'look', inputSchema: { json: { type: 'object' } } } };

const fields = (additionalModelRequestFields: object) => ({ additionalModelRequestFields });
const thinking = (type: string, more: object = {}) => fields({ thinking: { type, ...more } });
const enabled = (budget: unknown = 1024) => thinking('enabled', { budget_tokens: budget });
const adaptive = thinking('adaptive');

const parse = (more: object, messages: readonly object[] = [user(text())]) =>
  parseConverseRequest({ messages, ...more });

/** The reasoning deltas of an answer. */
function think(more: object, modelId = 'simulator.small'): Thought[] {
  const steps = simulateAnswer(modelId, parse(more));
  const events = steps.flatMap((step) => (step.kind === 'event' ? step : []));
  const deltas = events.map(({ payload }) => (payload['delta'] ?? {}) as { reasoningContent?: Thought });
  return deltas.flatMap(({ reasoningContent }) => reasoningContent ?? []);
}

const wordsOf = (thoughts: readonly Thought[]) => thoughts.map(({ text: word = '' }) => word).join('');
const ofModel = (what: string) => `The model returned the following errors: ${what}`;

function refuses(run: () => unknown, words: string) {
  assert.throws(
    run,
    (error: Error) => error.name === 'ValidationException' && error.message.startsWith(words),
  );
}

const deciding = suite('sealOfThoughts');

deciding('it thinks when Claude, Nova or gpt-oss would be asked to, or by model id', () => {
  const isThinking = (more: object, modelId?: string) => think(more, modelId).length > 0;
  for (const more of [
    enabled(),
    adaptive,
    fields({ reasoningConfig: { type: 'enabled', maxReasoningEffort: 'low' } }),
    fields({ reasoning_effort: 'low' }),
  ])
    assert.ok(isThinking(more), JSON.stringify(more));
  assert.ok(isThinking({}, 'us.simulator.reasoning'));
  for (const more of [
    {},
    fields({}),
    thinking('disabled'),
    fields({ reasoningConfig: { type: 'disabled' } }),
    fields({ top_k: 3 }),
  ])
    assert.not(isThinking(more), JSON.stringify(more));
  assert.not(isThinking(thinking('disabled'), 'simulator.reasoning'));
});

deciding('thoughts are signed, except those of gpt-oss', () => {
  for (const [more, modelId] of [
    [adaptive],
    [fields({ reasoningConfig: { type: 'enabled' } })],
    [{}, 'simulator.reasoning'],
  ] as const) {
    const thoughts = think(more, modelId);
    assert.equal(thoughts.at(-1), { signature: sign(wordsOf(thoughts)) });
  }
  const thoughts = think(fields({ reasoning_effort: 'high' }));
  assert.ok(thoughts.length > 1);
  assert.not(thoughts.some(({ signature }) => signature));
});

deciding('a signature is of the thought, and of nothing else', () => {
  assert.is.not(sign('one'), sign('two'));
  assert.match(sign('one'), /^[A-Za-z0-9+/]{43}=$/);
  assert.is(sign('one'), sign('one'));
});

deciding('redacted thoughts come as one piece of base64, and not at all when they were cut', () => {
  const open = wordsOf(think({}, 'simulator.reasoning'));
  assert.equal(think({}, 'simulator.redacted-reasoning'), [{ redactedContent: redact(open) }]);
  const short = { inferenceConfig: { maxTokens: 3 } };
  assert.equal(think(short, 'simulator.redacted-reasoning'), []);
  assert.is(think(short, 'simulator.reasoning').length, 3);
});

deciding.run();

// ---

const settings = suite('checkThinking, the settings');

settings('enabled thinking has a budget of at least 1024 tokens, below maxTokens', () => {
  const at = 'thinking.enabled.budget_tokens';
  const max = (maxTokens: number) => ({ inferenceConfig: { maxTokens } });
  assert.ok(parse(enabled(1024)));
  assert.ok(parse({ ...enabled(1024), ...max(1025) }));
  refuses(() => parse(thinking('enabled')), ofModel(`${at}: Field required`));
  for (const wrong of [1024.5, '2048', null])
    refuses(() => parse(enabled(wrong)), ofModel(`${at}: Input should be a valid integer`));
  refuses(() => parse(enabled(1023)), ofModel(`${at}: Input should be greater than or equal to 1024`));
  refuses(
    () => parse({ ...enabled(2048), ...max(2048) }),
    ofModel('`max_tokens` must be greater than `thinking.budget_tokens`.'),
  );
  assert.ok(parse({ ...adaptive, ...max(1) }));
});

settings('whoever thinks has temperature 1 or none', () => {
  const words = ofModel('`temperature` may only be set to 1 when thinking is enabled.');
  for (const more of [enabled(), adaptive]) {
    assert.ok(parse({ ...more, inferenceConfig: { temperature: 1 } }));
    for (const temperature of [0, 0.9])
      refuses(() => parse({ ...more, inferenceConfig: { temperature } }), words);
  }
  assert.ok(parse({ ...thinking('disabled'), inferenceConfig: { temperature: 0 } }));
  assert.ok(parse({ ...fields({ reasoning_effort: 'low' }), inferenceConfig: { temperature: 0 } }));
});

settings('whoever thinks is not forced to call a tool', () => {
  const force = (toolChoice: object) => ({ toolConfig: { tools: [tool], toolChoice } });
  const words = ofModel('Thinking may not be enabled when tool_choice forces tool use.');
  for (const more of [enabled(), adaptive]) {
    assert.ok(parse({ ...more, ...force({ auto: {} }) }));
    refuses(() => parse({ ...more, ...force({ any: {} }) }), words);
    refuses(() => parse({ ...more, ...force({ tool: { name: 'look' } }) }), words);
  }
  assert.ok(parse({ ...thinking('disabled'), ...force({ any: {} }) }));
});

settings('there are no other types of thinking', () => {
  refuses(() => parse(thinking('on')), ofModel("thinking: Input tag 'on' found using 'type' does not match"));
});

settings.run();

// ---

const returning = suite('checkThinking, the thoughts that come back');

const thought = (said: string, signature?: string) => ({
  reasoningContent: { reasoningText: { text: said, ...(signature !== undefined && { signature }) } },
});
const redacted = (redactedContent: string) => ({ reasoningContent: { redactedContent } });
const bring = (more: object, ...content: object[]) =>
  parse(more, [user(text()), assistant(...content, text('So.')), user(text())]);

returning('a signed thought is taken back as it was, whether it thinks now or not', () => {
  for (const more of [enabled(), adaptive, thinking('disabled'), {}]) {
    assert.ok(bring(more, thought('Hm.', sign('Hm.'))));
    for (const wrong of [thought('Hm!', sign('Hm.')), thought('Hm.', 'c2lnbmVk'), thought('Hm.', '')])
      refuses(
        () => bring(more, text(), wrong),
        ofModel('messages.1.content.1: Invalid `signature` in `thinking` block'),
      );
  }
});

returning('an unsigned thought is refused by Claude while it thinks', () => {
  const words = ofModel('messages.1.content.0.thinking.signature: Field required');
  refuses(() => bring(enabled(), thought('Hm.')), words);
  refuses(() => bring(adaptive, thought('Hm.')), words);
  assert.ok(bring({}, thought('Hm.')));
  assert.ok(bring(fields({ reasoningConfig: { type: 'enabled' } }), thought('Hm.')));
});

returning('gpt-oss takes unsigned thoughts only', () => {
  const more = fields({ reasoning_effort: 'low' });
  assert.ok(bring(more, thought('Hm.')));
  refuses(
    () => bring(more, thought('Hm.', sign('Hm.'))),
    "This model doesn't support the reasoningContent.reasoningText.signature field. " +
      'Remove reasoningContent.reasoningText.signature and try again.',
  );
});

returning('redacted thoughts are taken back as they were', () => {
  for (const more of [enabled(), adaptive, {}]) {
    assert.ok(bring(more, redacted(redact('Hm. é 🦉'))));
    const words = ofModel('messages.1.content.0: Invalid `data` in `redacted_thinking` block');
    const twice = Buffer.from(redact('Hm.')).toString('base64');
    for (const wrong of ['aGk=', twice, Buffer.from(`${sign('Hm.')}Hm!`).toString('base64')])
      refuses(() => bring(more, redacted(wrong)), words);
  }
  refuses(() => bring({}, redacted('no base64')), '1 validation error detected');
});

returning('with enabled thinking the calls whose results come in begin with a thought', () => {
  const ask = (more: object, ...content: object[]) =>
    parse({ ...more, toolConfig: { tools: [tool] } }, [user(text()), assistant(...content), user(result)]);
  const words = (found: string) =>
    ofModel(
      `messages.1.content.0.type: Expected \`thinking\` or \`redacted_thinking\`, but found \`${found}\`. When`,
    );
  refuses(() => ask(enabled(), call), words('tool_use'));
  refuses(() => ask(enabled(), text(), call), words('text'));
  refuses(() => ask(enabled(), text(), thought('Hm.', sign('Hm.')), call), words('text'));
  assert.ok(ask(enabled(), thought('Hm.', sign('Hm.')), call));
  assert.ok(ask(enabled(), redacted(redact('Hm.')), text(), call));
  for (const more of [adaptive, thinking('disabled'), {}]) assert.ok(ask(more, call));
});

returning('older turns may be without a thought', () => {
  const older = [user(text()), assistant(call), user(result), assistant(text()), user(text())];
  assert.ok(parse({ ...enabled(), toolConfig: { tools: [tool] } }, older));
});

returning.run();
