/**
 * Clients of the WebSocket door as they come in the wild, against the gateway with a simulator that is in a
 * hurry.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { askBy, askTogether, judge, longText, splitsCharacters, toShuffledParts } from '../helpers/crowd.ts';
import { people, startGateway } from '../helpers/gateway.ts';

const { alice, bob } = people;
const SOCKETS = 50;
const QUESTIONS = 2;

const clients = suite('clients of the WebSocket');

clients('a prompt of 200 KB arrives in parts, in any order and cut anywhere, and is answered', async () => {
  const gateway = await startGateway({ door: 'websocket', tokensPerSecond: Infinity });
  const message = { prompt: `ECHO ${longText}`, parameters: { max_tokens: 32_000 } };
  const parts = toShuffledParts(message, 9);
  assert.ok(Buffer.byteLength(longText) >= 200_000 && splitsCharacters(parts));
  const heard = judge(await askBy(gateway.socketUrl, alice.key, parts));
  await gateway.close();
  assert.ok(heard.text === longText, `${heard.text.length} of ${longText.length} characters`);
  assert.equal([heard.ending, heard.isGapless], ['done', true]);
});

clients(
  '50 sockets of two tenants ask at once, and each hears its own answers and nothing else',
  async () => {
    const gateway = await startGateway({ door: 'websocket', tokensPerSecond: Infinity });
    const crowd = await askTogether(gateway.socketUrl, [alice.key, bob.key], SOCKETS, QUESTIONS);
    await gateway.close();
    const { frames, again: _again, ...counts } = crowd;
    assert.equal(counts, { answers: SOCKETS * QUESTIONS, right: SOCKETS * QUESTIONS, foreign: 0 });
    assert.ok(frames >= 3 * SOCKETS * QUESTIONS);
  },
);

clients.run();
