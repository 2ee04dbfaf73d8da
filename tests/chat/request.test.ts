import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createRequest } from '../../src/chat/request.ts';
import { defaultSettings } from '../../src/chat/settings.ts';
import { failureOf } from '../helpers/rejects.ts';
import { question } from '../helpers/requests.ts';

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

creating('a conversation that nobody keeps is not_found', async () => {
  const error = await failureOf(() => createRequest({ ...question, chatId: 'chat-1' }, settings));
  assert.is(error.code, 'not_found');
});

creating.run();
