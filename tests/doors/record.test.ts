import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ModelEvent } from '../../src/chat/events.ts';
import { asksModel, type RequestRecord } from '../../src/doors/record.ts';
import { buildApp, modelThat, say } from '../helpers/app.ts';

const asking = suite('asksModel');

asking(
  'a chat counts, answered or refused; a probe, a list, a wrong method and a wrong path do not',
  async () => {
    for (const [path, init, expected] of [
      [
        '/v1/chat',
        { method: 'POST', body: '{"prompt":"Hi"}', headers: { 'content-type': 'application/json' } },
        true,
      ],
      ['/v1/chat', { method: 'POST', body: '{' }, true],
      ['/v1/chat/completions', { method: 'POST', body: '{' }, true],
      ['/v1/embeddings', { method: 'POST', body: '{' }, true],
      ['/v1/responses', { method: 'POST', body: '{' }, false],
      ['/v1/models/none', {}, false],
      ['/v1/chat', { method: 'GET' }, false],
      ['/health', {}, false],
      ['/v1/models', {}, false],
      ['/v1/chats', {}, false],
      ['/v1/chats/none', {}, false],
      ['/v1/chatter', { method: 'POST' }, false],
    ] as const) {
      const { send, record } = buildApp(modelThat(...say('A')));
      await (await send(path, init)).text();
      assert.is(asksModel(record), expected, `${path} ${JSON.stringify(init)}`);
    }
  },
);

asking('a question over a WebSocket counts where it is answered, once', () => {
  const record: RequestRecord = { request_id: 'r1', method: 'WORK', door: 'websocket' };
  assert.ok(asksModel({ ...record, outcome: 'done' }));
  assert.ok(asksModel({ ...record, method: 'FAILED_WORK', outcome: 'error' }));
  assert.not(asksModel(record), 'a job that came a second time');
  assert.not(asksModel({ ...record, method: 'FAILED_WORK' }), 'a request that had ended');
  assert.not(
    asksModel({ ...record, method: 'MESSAGE', route: 'chat', outcome: 'error' }),
    'a refused message',
  );
});

asking.run();

// ---

const noting = suite('what is noted of an answer');

noting('tokens of the prompt cache stand apart, where there are any', async () => {
  const noted = async (cacheReadTokens: number, cacheWriteTokens: number) => {
    const [begin, end] = say();
    const usage = { inputTokens: 5, outputTokens: 2, cacheReadTokens, cacheWriteTokens };
    const { chat, record } = buildApp(modelThat(begin as ModelEvent, { ...end, usage } as ModelEvent));
    await (await chat({ prompt: 'Hi' })).text();
    const { input_tokens, output_tokens, cache_read_tokens, cache_write_tokens } = record;
    return [input_tokens, output_tokens, cache_read_tokens, cache_write_tokens];
  };
  assert.equal(await noted(3, 4), [5, 2, 3, 4]);
  assert.equal(await noted(0, 0), [5, 2, undefined, undefined]);
});

noting('whose words it is in is told where no model was asked', async () => {
  const noted = async (begin: ModelEvent) => {
    const [, end] = say();
    const { chat, record } = buildApp(modelThat(begin, end as ModelEvent));
    await (await chat({ prompt: 'Hi' })).text();
    return record.cached;
  };
  assert.is(await noted({ type: 'begin', model: 'some-model', cached: 'similar' }), 'similar');
  assert.is(await noted({ type: 'begin', model: 'some-model' }), undefined);
});

noting.run();
