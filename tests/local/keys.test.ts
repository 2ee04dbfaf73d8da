import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createKeyring, loadOrCreateKey, parseKeys } from '../../src/local/keys.ts';

const keys = suite('keys of the laptop');

keys('each tenant is found by its key and by nothing else', () => {
  const findTenant = createKeyring(parseKeys('LOCAL_API_KEYS', 'alice=one, bob=t=w=o'));
  assert.is(findTenant('one'), 'alice');
  assert.is(findTenant('t=w=o'), 'bob');
  for (const key of ['', 'on', 'one ', 'alice', 'two']) assert.is(findTenant(key), undefined, key);
});

keys('a list that is none is refused with the variable and its form, and without the key', () => {
  for (const value of ['alice', '=secret', 'al ice=secret', ',', ' ']) {
    assert.throws(
      () => parseKeys('LOCAL_API_KEYS', value),
      (error: Error) => /^LOCAL_API_KEYS must/.test(error.message) && !error.message.includes('secret'),
    );
  }
});

keys('a key that is made is kept for its owner only, and found again', () => {
  const folder = mkdtempSync(join(tmpdir(), 'keys-'));
  const path = join(folder, 'deep', 'api-key');
  const key = loadOrCreateKey(path);
  assert.match(key, /^[a-z0-9]{20,128}$/);
  assert.is(loadOrCreateKey(path), key);
  assert.is(readFileSync(path, 'utf8').trim(), key);
  assert.is(statSync(path).mode & 0o777, 0o600);
  assert.is.not(loadOrCreateKey(undefined), key);
  rmSync(folder, { recursive: true });
});

keys.run();
