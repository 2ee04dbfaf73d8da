import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createRequest } from '../../src/chat/create-request.ts';
import { failureOf } from '../helpers/rejects.ts';
import { defaultSettings, question } from '../helpers/requests.ts';

const settings = { ...defaultSettings, maxTokensLimit: 1000, defaultMaxTokens: 4096 };

const creating = suite('createRequest');

creating('what the caller left open is filled in from the settings', () => {
  const request = createRequest(question, defaultSettings);
  assert.is(request.model, 'global.amazon.nova-2-lite-v1:0');
  assert.equal(request.inference, { maxTokens: 4096, temperature: 0, stopSequences: [] });
  assert.equal(request.patience, { firstEventMs: 60_000, idleMs: 30_000 });
});

creating('the default for max_tokens never exceeds the limit', () => {
  assert.is(createRequest(question, settings).inference.maxTokens, 1000);
});

creating('more tokens than the limit are refused with the limit', async () => {
  const error = await failureOf(() =>
    createRequest({ ...question, inference: { maxTokens: 1001 } }, settings),
  );
  assert.is(error.code, 'invalid_request');
  assert.match(error.message, 'at most 1000');
});

creating('a caller who chooses a top_p is not given a temperature beside it', () => {
  const { inference } = createRequest({ ...question, inference: { topP: 0.5 } }, settings);
  assert.equal(inference, { maxTokens: 1000, topP: 0.5, stopSequences: [] });
});

creating('a model outside the allow-list is model_not_found', async () => {
  const error = await failureOf(() =>
    createRequest({ ...question, model: 'amazon.nova-premier-v1:0' }, settings),
  );
  assert.is(error.code, 'model_not_found');
  assert.is(error.param, 'model');
});

creating('the operator’s system prompt comes before the caller’s', () => {
  const asked = { ...question, system: ['Be brief.'] };
  assert.equal(createRequest(asked, { ...settings, systemPrompt: 'Be kind.' }).system, [
    'Be kind.',
    'Be brief.',
  ]);
  assert.equal(createRequest(asked, settings).system, ['Be brief.']);
});

creating('the cache is used as the caller says, and not at all where the operator turned it off', () => {
  const { cache: _, ...unsaid } = question;
  const modeOf = (asked: typeof question, cache: 'on' | 'off' = 'on') =>
    createRequest(asked, { ...settings, cache }).caching.mode;
  assert.is(modeOf(unsaid), 'use');
  assert.is(modeOf({ ...unsaid, cache: 'refresh' }), 'refresh');
  assert.is(modeOf({ ...unsaid, cache: 'use' }, 'off'), 'off');
});

creating(
  'an operator’s answer may not serve a caller with a system prompt, unless he asks for the cache',
  () => {
    const { cache: _, ...unsaid } = question;
    const isCurated = (asked: typeof question) =>
      createRequest(asked, { ...settings, systemPrompt: 'Be kind.' }).caching.curated;
    assert.is(isCurated(unsaid), true);
    assert.is(isCurated({ ...unsaid, system: ['Be brief.'] }), false);
    assert.is(isCurated({ ...unsaid, system: ['Be brief.'], cache: 'use' }), true);
  },
);

creating('a question begins a conversation under an id that nobody can guess', () => {
  const one = createRequest(question, settings).conversation;
  const other = createRequest(question, settings).conversation;
  assert.match(one?.chatId ?? '', /^[0-9a-f-]{36}$/);
  assert.is.not(one?.chatId, other?.chatId);
  assert.equal(
    { ...one, chatId: '' },
    {
      chatId: '',
      isNew: true,
      isKept: true,
      maxTurns: 20,
      ttlSeconds: 2_592_000,
    },
  );
});

creating('with store: false nothing is kept, also where a conversation is gone on with', () => {
  const quiet = { ...question, store: false };
  assert.is(createRequest(quiet, settings).conversation, undefined);
  const { conversation } = createRequest({ ...quiet, chat: { id: 'c1' } }, settings);
  assert.is(conversation?.chatId, 'c1');
  assert.is(conversation?.isKept, false);
});

creating('where no conversations are kept none can be gone on with', async () => {
  const off = { ...settings, history: 'off' as const };
  assert.is(createRequest(question, off).conversation, undefined);
  const error = await failureOf(() => createRequest({ ...question, chat: { id: 'c1' } }, off));
  assert.is(error.code, 'not_found');
  assert.is(error.param, 'chat_id');
});

creating('default sampling and stop sequences step back for what the caller chose', () => {
  const tuned = { ...settings, defaultTemperature: 0.3, defaultTopP: 0.9, defaultStopSequences: ['END'] };
  const inferenceOf = (inference: object) => createRequest({ ...question, inference }, tuned).inference;
  assert.equal(inferenceOf({}), { maxTokens: 1000, temperature: 0.3, topP: 0.9, stopSequences: ['END'] });
  assert.equal(inferenceOf({ temperature: 0, stopSequences: [] }), {
    maxTokens: 1000,
    temperature: 0,
    stopSequences: [],
  });
});

creating('an alias is answered by its model, also as the default', () => {
  const aliased = {
    ...settings,
    defaultModel: 'main',
    modelAliases: new Map([
      ['main', 'openai.gpt-oss-120b-1:0'],
      ['closed', 'z.outside'],
    ]),
  };
  assert.is(createRequest(question, aliased).model, 'openai.gpt-oss-120b-1:0');
  assert.throws(() => createRequest({ ...question, model: 'closed' }, aliased), /does not offer/);
});

creating('fallbacks are other models that are on offer', () => {
  const fallbackModels = ['openai.gpt-oss-120b-1:0', 'global.amazon.nova-2-lite-v1:0', 'z.outside', 'sonnet'];
  const modelAliases = new Map([['sonnet', 'global.anthropic.claude-sonnet-4-6']]);
  assert.equal(createRequest(question, { ...settings, fallbackModels, modelAliases }).fallbackModels, [
    'openai.gpt-oss-120b-1:0',
    'global.anthropic.claude-sonnet-4-6',
  ]);
});

creating('guardrail and service tier are the operator’s', () => {
  const guarded = { ...settings, guardrailId: 'abc', guardrailVersion: '3', serviceTier: 'flex' as const };
  const { guardrail, serviceTier } = createRequest(question, guarded);
  assert.equal(guardrail, { id: 'abc', version: '3' });
  assert.is(serviceTier, 'flex');
  assert.not.ok('guardrail' in createRequest(question, settings));
  assert.not.ok('serviceTier' in createRequest(question, settings));
});

creating.run();
