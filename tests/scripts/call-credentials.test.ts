/**
 * Which keys `npm run call` takes from where.
 */

import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Credentials, isLoopback, loadCredentials } from '../../scripts/credentials.ts';
import { FUNCTION_URL, fetchOf, ID, PAIR, run, SECRET, withKeyFile } from '../helpers/call.ts';

const credentials = suite('loadCredentials');

const here = new URL('http://127.0.0.1:3001');
const chained = { accessKeyId: 'AKIACHAIN', secretAccessKey: 'chained' };
const unasked = (): Promise<Credentials> => Promise.reject(new Error('the standard chain was asked'));

const messageOf = (loading: Promise<Credentials>) =>
  loading.then(
    () => 'no error',
    (error: Error) => error.message,
  );

credentials(
  'on this machine: the environment, then LOCAL_IAM_KEYS, then the key that npm start made',
  async () => {
    const environment = { AWS_ACCESS_KEY_ID: 'AKIAENV', AWS_SECRET_ACCESS_KEY: 'one' };
    const local = { LOCAL_IAM_KEYS: `AKIATWO=two=2, AKIAOTHER=other` };
    await withKeyFile(`${PAIR}\n`, async (keyPath) => {
      const load = (env: Record<string, string>) =>
        loadCredentials(here, env, { keyPath, standardChain: unasked });
      const loading = [
        load({ ...environment, ...local }),
        load({ ...environment, AWS_SESSION_TOKEN: 'token' }),
        load({ ...local, AWS_ACCESS_KEY_ID: 'AKIAENV' }),
        load({ ...local, AWS_SECRET_ACCESS_KEY: 'one', AWS_SESSION_TOKEN: 'token' }),
        load({ LOCAL_IAM_KEYS: '', AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' }),
      ];
      assert.equal(await Promise.all(loading), [
        { accessKeyId: 'AKIAENV', secretAccessKey: 'one' },
        { accessKeyId: 'AKIAENV', secretAccessKey: 'one', sessionToken: 'token' },
        { accessKeyId: 'AKIATWO', secretAccessKey: 'two=2' },
        { accessKeyId: 'AKIATWO', secretAccessKey: 'two=2' },
        { accessKeyId: ID, secretAccessKey: SECRET },
      ]);
    });
  },
);

credentials('anywhere else the standard chain is asked, whatever this machine’s keys are', async () => {
  const env = { AWS_ACCESS_KEY_ID: 'AKIAENV', AWS_SECRET_ACCESS_KEY: 'one', LOCAL_IAM_KEYS: PAIR };
  const sources = { keyPath: 'nowhere', standardChain: async () => chained };
  for (const url of [FUNCTION_URL, 'http://127.evil.example', 'http://notlocalhost', 'http://10.0.0.1:3001'])
    assert.equal(await loadCredentials(new URL(url), env, sources), chained, url);
});

credentials('every name of this machine is known', () => {
  const names = ['127.0.0.1', '127.1', '127.8.9.10', 'localhost', 'LOCALHOST', 'gateway.localhost', '[::1]'];
  for (const name of names) assert.ok(isLoopback(new URL(`http://${name}:3001`)), name);
});

credentials('where there is no key, it is said where one comes from', async () => {
  const nowhere = { keyPath: join(tmpdir(), 'there-is-no-such-file'), standardChain: unasked };
  assert.is(
    await messageOf(loadCredentials(here, {}, nowhere)),
    'There is no key for the gateway on this machine yet; run npm start first.',
  );
  const standardChain = async () => {
    throw new Error(`credential_process --password ${SECRET} failed`);
  };
  assert.is(
    await messageOf(loadCredentials(new URL(FUNCTION_URL), {}, { keyPath: '', standardChain })),
    'No AWS credentials could be loaded; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or renew your sign-in with aws sso login.',
  );
});

credentials('a key that is malformed is told by where it stands, not by what it is', async () => {
  const sources = { keyPath: 'nowhere', standardChain: unasked };
  const inVariable = await messageOf(loadCredentials(here, { LOCAL_IAM_KEYS: `canary ${SECRET}` }, sources));
  assert.match(inVariable, /^LOCAL_IAM_KEYS must /);
  const inFile = await withKeyFile('canary', (keyPath) =>
    messageOf(loadCredentials(here, {}, { ...sources, keyPath })),
  );
  assert.match(inFile, /iam-key must /);
  const environment = {
    AWS_ACCESS_KEY_ID: 'AKIA',
    AWS_SECRET_ACCESS_KEY: 'x',
    AWS_SESSION_TOKEN: 'canary\ntoken',
  };
  const inToken = await messageOf(loadCredentials(here, environment, sources));
  assert.is(inToken, 'The AWS credentials hold a space or another character that no key has.');
  for (const message of [inVariable, inFile, inToken]) assert.not.ok(message.includes('canary'), message);
});

credentials('a key that is missing or malformed ends the command with 1 and its sentence', async () => {
  const ran = await run(['hi'], { LOCAL_IAM_KEYS: '=' }, fetchOf());
  assert.equal([ran.code, ran.out], [1, '']);
  assert.match(ran.err, /^LOCAL_IAM_KEYS must .*\n$/);
});

credentials.run();
