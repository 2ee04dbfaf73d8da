import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { findNames, parseMessage } from '../../src/doors/socket-message.ts';
import { failureOf } from '../helpers/rejects.ts';

const refusalOf = async (message: unknown) => {
  const text = typeof message === 'string' ? message : JSON.stringify(message);
  const { code, message: sentence, param } = await failureOf(() => parseMessage(text));
  return { code, sentence, param };
};

const part = { action: 'part', request_id: 'r1', n: 0, of: 2, data: 'half' };

const parsing = suite('parseMessage');

parsing('a chat is everything but its action, whichever of its two names that has', () => {
  for (const action of ['chat', 'sendmessage']) {
    const { action: read, ...rest } = parseMessage(JSON.stringify({ action, prompt: 'Why?', store: false }));
    assert.is(read, 'chat');
    assert.ok('body' in rest);
    assert.equal({ ...rest.body }, { prompt: 'Why?', store: false });
  }
});

parsing('a cancel, a ping and a part come out as they came in', () => {
  const cancel = { action: 'cancel', request_id: 'r1' };
  for (const message of [cancel, { action: 'ping' }, part, { ...part, n: 399, of: 400 }]) {
    assert.equal(parseMessage(JSON.stringify(message)), message);
  }
});

parsing('what is no action is refused with the list of those there are', async () => {
  const sentence = 'action must be one of "chat", "sendmessage", "part", "cancel", "ping".';
  const strange = ['__proto__', 'constructor', '$connect', '$default', 'Chat', '', 7, null, ['chat'], {}];
  for (const action of strange) {
    assert.equal(await refusalOf({ action }), { code: 'invalid_request', sentence, param: 'action' });
  }
  assert.equal(await refusalOf({}), { code: 'invalid_request', sentence, param: 'action' });
});

parsing('what is no object is refused', async () => {
  for (const text of ['[]', '"chat"', 'null', '7']) {
    assert.is((await refusalOf(text)).sentence, 'The body must be an object.', text);
  }
  for (const text of ['', '{"action":"ping"', '{"action":"ping"}{}', 'ping']) {
    assert.is((await refusalOf(text)).code, 'invalid_json', text);
  }
});

parsing('each field has its limit, and the sentence names both', async () => {
  const id = 'request_id must be 1 to 128 of A-Z, a-z, 0-9, _ and -.';
  const cases: [object, string][] = [
    [{ action: 'cancel', request_id: 'r#1' }, id],
    [{ action: 'cancel', request_id: 'r'.repeat(129) }, id],
    [{ action: 'cancel' }, 'request_id must be text.'],
    [{ action: 'cancel', request_id: 'r1', reason: 'x' }, 'reason is not a field of this API.'],
    [{ action: 'ping', connectionId: 'c' }, 'connectionId is not a field of this API.'],
    [{ ...part, request_id: '' }, id],
    [{ ...part, n: -1 }, 'n must be at least 0.'],
    [{ ...part, n: 0.5 }, 'n must be a whole number.'],
    [{ ...part, n: 2 }, 'n must be less than of.'],
    [{ ...part, of: 0 }, 'of must be at least 1. n must be less than of.'],
    [{ ...part, of: 401 }, 'of must be at most 400.'],
    [{ ...part, data: '' }, 'data must have at least 1 characters.'],
    [{ ...part, data: { a: 1 } }, 'data must be text.'],
    [{ ...part, to: 'c' }, 'to is not a field of this API.'],
  ];
  for (const [message, sentence] of cases) {
    assert.equal((await refusalOf(message)).sentence, sentence);
  }
});

parsing('a part holds 28 KB of data, counted in bytes', async () => {
  const accepted = { ...part, data: 'é'.repeat(14 * 1024) };
  assert.equal(parseMessage(JSON.stringify(accepted)), accepted);
  const sentence = 'data must be at most 28672 bytes.';
  for (const data of ['x'.repeat(28 * 1024 + 1), `${accepted.data}x`]) {
    assert.equal(await refusalOf({ ...part, data }), { code: 'invalid_request', sentence, param: 'data' });
  }
});

parsing('a part may begin or end within a character, and nothing else may', async () => {
  for (const data of ['\ud83d', '\ude00 and on', '"\ud83d']) {
    assert.equal(parseMessage(JSON.stringify({ ...part, data })), { ...part, data });
  }
  for (const message of [
    { action: 'chat', prompt: '\ud83d' },
    { action: 'chat', ['\ud83d']: 1 },
  ]) {
    assert.match((await refusalOf(message)).sentence, 'half a surrogate pair');
  }
  assert.is((await refusalOf({ ...part, request_id: '\ud83d' })).code, 'invalid_request');
});

parsing('a key that could reach a prototype is refused wherever it stands', async () => {
  const texts = [
    '{"action":"chat","prompt":"x","__proto__":{"store":false}}',
    '{"action":"chat","prompt":"x","constructor":{}}',
    '{"action":"chat","parameters":{"__proto__":{}}}',
    '{"action":"ping","__proto__":{}}',
    '{"action":"part","request_id":"r1","n":0,"of":1,"data":"x","__proto__":{}}',
  ];
  for (const text of texts) assert.is((await refusalOf(text)).code, 'invalid_request', text);
});

parsing('what is too deep or too wide is refused before anything parses it', async () => {
  const deep = `{"action":"chat","prompt":${'['.repeat(40)}`;
  assert.match((await refusalOf(deep)).sentence, 'at most 32 levels deep');
  const wide = `{"action":"chat","prompt":[${'0,'.repeat(100_001)}`;
  assert.match((await refusalOf(wide)).sentence, 'at most 100000 structural tokens');
});

parsing.run();

// ---

const finding = suite('findNames');

finding('what names a message is found whatever else is wrong, and never guessed', () => {
  assert.equal(findNames('{"action":"nonsense","request_id":"r1","__proto__":1}'), { requestId: 'r1' });
  assert.equal(findNames('{"request_id":"r1","n":2}'), { requestId: 'r1', n: 2 });
  assert.equal(findNames('{"request_id":"r#1","n":2}'), { n: 2 });
  assert.equal(findNames('{"request_id":"r1","n":"2"}'), { requestId: 'r1' });
  const deep = `{"request_id":"r1","prompt":${'['.repeat(40)}${']'.repeat(40)}}`;
  for (const text of ['', '{', '[]', '{"action":"chat"}', '{"request_id":7,"n":0.5}', deep]) {
    assert.equal(findNames(text), {}, text);
  }
});

finding.run();
