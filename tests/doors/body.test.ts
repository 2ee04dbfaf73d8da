import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readJson } from '../../src/doors/body.ts';
import { failureOf } from '../helpers/rejects.ts';

const LIMIT = 5 * 1024 * 1024;

const post = (body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) =>
  new Request('https://gateway.test/', {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', ...headers },
  });

const read = (...args: Parameters<typeof post>) => readJson(post(...args), LIMIT);
const codeOf = async (...args: Parameters<typeof post>) => (await failureOf(() => read(...args))).code;

const reading = suite('readJson');

reading('JSON comes back as it was sent', async () => {
  assert.equal(await read('{"a":[1,{"b":"é\\u0000\\n"}]}'), { a: [1, { b: 'é\u0000\n' }] });
});

reading('other media types, charsets and compressed bodies are unsupported_media_type', async () => {
  const refused = ['text/plain', 'application/x-www-form-urlencoded', '', 'application/json; charset=latin1'];
  for (const type of refused)
    assert.is(await codeOf('{}', { 'content-type': type }), 'unsupported_media_type', type);
  assert.is(await codeOf('{}', { 'content-encoding': 'gzip' }), 'unsupported_media_type');
});

reading('UTF-8 may be named in any spelling', async () => {
  for (const type of [
    'application/json; charset=utf-8',
    'Application/JSON;charset="UTF-8"',
    'application/json ; charset=utf8',
  ]) {
    assert.equal(await read('{}', { 'content-type': type }), {}, type);
  }
});

reading('a body over the limit is payload_too_large, and one of exactly the limit is not', async () => {
  for (const text of [`"${'['.repeat(50)}`, `\\${'{'.repeat(50)}`, ',:[]{}'.repeat(50_000)]) {
    assert.equal(await read(JSON.stringify({ text })), { text });
  }
});

reading('what is not JSON or not UTF-8 is invalid_json', async () => {
  for (const text of ['', '{', 'nonsense', '{"a":1}}', "{'a':1}"])
    assert.is(await codeOf(text), 'invalid_json', text);
  assert.is(await codeOf(Uint8Array.of(0x22, 0xff, 0x22)), 'invalid_json');
  assert.is(await codeOf(Uint8Array.of(0x22, 0xc0, 0xaf, 0x22)), 'invalid_json');
});

reading('32 levels are read and 33 refused', async () => {
  const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
  await read(nested(32));
  assert.is(await codeOf(nested(33)), 'invalid_request');
});

reading('100,000 structural tokens are read and more refused', async () => {
  const wide = (commas: number) => `[${'0,'.repeat(commas)}0]`;
  await read(wide(99_998));
  assert.is(await codeOf(wide(99_999)), 'invalid_request');
});

reading('brackets and quotes inside strings do not count', async () => {
  const text = '[[[[["\\"{{{'.repeat(50_000);
  assert.equal(await read(JSON.stringify({ text })), { text });
});

reading('megabytes of brackets are refused before they are parsed', async () => {
  const error = await failureOf(() => read('['.repeat(LIMIT)));
  assert.is(error.code, 'invalid_request');
  assert.match(error.message, 'at most 32 levels');
});

reading('keys that could reach a prototype are refused wherever they are', async () => {
  for (const key of ['__proto__', 'constructor', 'prototype']) {
    assert.is(await codeOf(`{"a":[{"${key}":{"admin":true}}]}`), 'invalid_request', key);
  }
  assert.is(Reflect.get({}, 'admin'), undefined);
});

reading('half a surrogate pair is refused with the place where it stands', async () => {
  const error = await failureOf(() => read('{"a":{"b":["ok","\\ud83d"]}}'));
  assert.is(error.code, 'invalid_request');
  assert.is(error.param, 'a.b[1]');
  assert.is(await codeOf('{"\\udc00":1}'), 'invalid_request');
});

reading.run();
