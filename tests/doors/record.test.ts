import { suite } from 'uvu';
import * as assert from 'uvu/assert';
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
