/** `npm run settings` against the embedded Parameter Store, over real sockets. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { GetParametersByPathCommand, PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { settings } from '../../scripts/settings.ts';
import { settingsTable } from '../../src/chat/settings.ts';
import { createParameterStore } from '../../src/local/ssm/store.ts';
import { runScript } from '../helpers/process.ts';

type Command = (...args: string[]) => Promise<{ code: number; out: string; err: string }>;
/** As a command of its own, with credentials in its environment. */
const spawnSettings = (args: readonly string[], more: Record<string, string> = {}) =>
  runScript('scripts/settings.ts', args, { AWS_ACCESS_KEY_ID: 'x', AWS_SECRET_ACCESS_KEY: 'y', ...more });

type Bench = {
  url: string;
  run: Command;
  client: SSMClient;
  stored: (path?: string) => Promise<Record<string, string>>;
};

async function withStore(test: (bench: Bench) => Promise<void>, env: Record<string, string> = {}) {
  const server = createServer(createParameterStore().handle);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const port = String((server.address() as AddressInfo).port);
  const client = new SSMClient({
    endpoint: `http://127.0.0.1:${port}`,
    region: 'us-east-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  });
  const run: Command = async (...args) => {
    let out = '';
    let err = '';
    const io = { out: (text: string) => (out += text), err: (text: string) => (err += text) };
    const code = await settings(args, { AWS_PORT: port, ...env }, io);
    return { code, out, err };
  };
  const stored = async (path = '/LlmGatewayStack') => {
    const { Parameters = [] } = await client.send(new GetParametersByPathCommand({ Path: path }));
    return Object.fromEntries(Parameters.map(({ Name = '', Value = '' }) => [Name, Value]));
  };
  try {
    await test({ run, client, stored, url: `http://127.0.0.1:${port}` });
  } finally {
    client.destroy();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

const setting = suite('npm run settings');

setting('set writes one setting, get reads it, unset brings the default back', () =>
  withStore(async ({ run, stored }) => {
    assert.equal(await run('get', 'default-max-tokens'), { code: 0, out: '4096\n', err: '' });
    assert.equal(await run('set', 'default-max-tokens', '16'), {
      code: 0,
      out: 'default-max-tokens = 16\n',
      err: '',
    });
    assert.equal(await stored(), { '/LlmGatewayStack/default-max-tokens': '16' });
    assert.is((await run('get', 'default-max-tokens')).out, '16\n');
    assert.is((await run('set', 'default-max-tokens', '17')).code, 0);
    assert.is((await run('unset', 'default-max-tokens')).out, 'default-max-tokens unset\n');
    assert.equal(await stored(), {});
  }),
);

setting('set takes several at once, and values with = and spaces', () =>
  withStore(async ({ run, stored }) => {
    const { code } = await run('set', 'system-prompt=Say x = 1.', 'log-level=WARN');
    assert.is(code, 0);
    assert.equal(await stored(), {
      '/LlmGatewayStack/log-level': 'WARN',
      '/LlmGatewayStack/system-prompt': 'Say x = 1.',
    });
    await run('set', 'system-prompt', 'a=b');
    assert.is((await run('get', 'system-prompt')).out, 'a=b\n');
  }),
);

setting('one wrong value among five changes nothing, and every problem is named', () =>
  withStore(async ({ run, stored }) => {
    const { code, err, out } = await run(
      'set',
      'default-max-tokens=16',
      'log-level=loud',
      'default-temperature=4096',
      'nonsense=1',
      `system-prompt=${'é'.repeat(3_000)}`,
    );
    assert.is(code, 1);
    assert.is(out, '');
    const problems = err.split('\n').map((line) => line.trim());
    assert.is(problems[0], 'Nothing was changed:');
    assert.match(problems[1] ?? '', /^nonsense is no setting; there are default-model, /);
    assert.equal(problems.slice(2), [
      'system-prompt must be at most 4096 bytes, as Parameter Store allows.',
      'default-temperature must be a number from 0 to 1.',
      'log-level must be one of DEBUG, INFO, WARN, ERROR.',
      '',
    ]);
    assert.equal(await stored(), {});
  }),
);

setting('what is there already counts: settings must fit together', () =>
  withStore(async ({ run, stored }) => {
    assert.is((await run('set', 'allowed-models=openai.gpt-oss-120b-1:0')).code, 1);
    const both = ['allowed-models=openai.gpt-oss-120b-1:0', 'default-model=openai.gpt-oss-120b-1:0'];
    assert.is((await run('set', ...both)).code, 0);
    const refused = await run('unset', 'default-model');
    assert.match(refused.err, 'default-model must be one of the models');
    assert.is(Object.keys(await stored()).length, 2);
  }),
);

setting('list of a deployed gateway shows where it differs from what its deployment says', () =>
  withStore(async ({ run, url }) => {
    const variables = { DEFAULT_MAX_TOKENS: '512', HISTORY_TTL_DAYS: '7' };
    await run('set', 'default-max-tokens', '16');
    const { out } = await spawnSettings(['list', '--endpoint-url', url], variables);
    assert.match(out, '\ndefault-max-tokens = 16  (the deployment says 512)\n');
    assert.match(out, '\nhistory-ttl-seconds = 2592000  (default; the deployment says 604800)\n');
    assert.match(out, '\nmax-tokens-limit = 32768  (default)\n');
    assert.not.match((await run('list')).out, 'the deployment says');
  }),
);

setting('list shows every setting, what is set, and names what is none', () =>
  withStore(async ({ run, client }) => {
    await run('set', 'default-max-tokens', '16');
    const Name = '/LlmGatewayStack/from-the-future';
    await client.send(new PutParameterCommand({ Name, Value: 'x', Type: 'String' }));
    const { code, out, err } = await run('list');
    assert.is(code, 0);
    for (const { name } of settingsTable) assert.match(out, new RegExp(`^${name} = `, 'm'));
    assert.match(out, /^default-max-tokens = 16$/m);
    assert.match(out, /^max-tokens-limit = 32768 {2}\(default\)$/m);
    assert.match(out, /^system-prompt = none {2}\(default\)$/m);
    assert.is(err, 'Not settings of this version: from-the-future.\n');
  }),
);

setting('more parameters than a page are all read', () =>
  withStore(async ({ run }) => {
    const many = ['default-temperature=0.1', 'default-top-p=0.2', 'max-tokens-limit=100', 'log-level=WARN'];
    many.push('default-max-tokens=9', 'idle-timeout-seconds=9', 'first-event-timeout-seconds=9');
    many.push('body-limit-bytes=2048', 'service-tier=flex', 'system-prompt=x', 'model-aliases={}');
    assert.is((await run('set', ...many)).code, 0);
    const { out } = await run('list');
    for (const pair of many) assert.match(out, `${pair.replace('=', ' = ')}\n`);
  }),
);

setting('a model that the gateway was not deployed for is set with a warning', () =>
  withStore(
    async ({ run, stored }) => {
      const pairs = [
        'allowed-models=a.one,a.two,b.*',
        'fallback-models=c.three',
        'model-aliases={"x":"a.two"}',
      ];
      const { code, err } = await run('set', ...pairs);
      assert.is(code, 0);
      assert.equal(err.match(/names \S+,/g), ['names a.two,', 'names c.three,', 'names a.two,']);
      assert.is(Object.keys(await stored('/Other-dev')).length, 3);
      assert.is((await run('set', 'log-level', 'INFO')).err, '', 'only what is being set is warned of');
    },
    { DEFAULT_MODEL: 'a.one', ALLOWED_MODELS: 'a.one', STACK_NAME: 'Other', STAGE: 'dev' },
  ),
);

setting(
  'a model that only the setting leaves out is no reason to warn, and defaults are the deployment’s',
  () =>
    withStore(
      async ({ run }) => {
        assert.is((await run('get', 'default-model')).out, 'a.one\n');
        assert.is((await run('get', 'allowed-models')).out, 'a.one,a.two\n');
        assert.is((await run('set', 'allowed-models=a.one', 'fallback-models=a.two')).err, '');
      },
      { DEFAULT_MODEL: 'a.one', ALLOWED_MODELS: 'a.one,a.two' },
    ),
);

setting('similar answers are turned on with a warning where no deployment has anywhere to search them', () =>
  withStore(async ({ run, url, stored }) => {
    const turnOn = (endpoint: string) =>
      spawnSettings(['set', 'similar-answers', 'on', '--aws'], {
        AWS_ENDPOINT_URL_SSM: url,
        OPENSEARCH_DOMAIN_ENDPOINT: endpoint,
      });
    const { code, err } = await turnOn(' ');
    assert.is(code, 0);
    assert.is(
      err,
      'Warning: similar-answers does nothing before a deployment with OPENSEARCH_DOMAIN_ENDPOINT.\n',
    );
    assert.is((await stored())['/LlmGatewayStack/similar-answers'], 'on');
    assert.is((await turnOn('https://id.us-east-1.aoss.amazonaws.com')).err, '');
    assert.is((await run('set', 'similar-answers', 'on')).err, '', 'this machine always has');
    const off = ['set', 'similar-answers', 'off', '--aws'];
    assert.is((await spawnSettings(off, { AWS_ENDPOINT_URL_SSM: url })).err, '');
  }),
);

setting('the gateway on this machine has the simulator’s faults for models, and no other has', () =>
  withStore(async ({ run, url }) => {
    assert.is((await run('set', 'default-model', 'simulator.throttled')).code, 0);
    await run('unset', 'default-model');
    const elsewhere = await spawnSettings(['set', 'default-model', 'simulator.throttled'], {
      AWS_ENDPOINT_URL_SSM: url,
    });
    assert.is(elsewhere.code, 1);
    assert.match(elsewhere.err, 'default-model must be one of the models');
    assert.is((await spawnSettings(['get', 'log-level', '--endpoint-url', url])).out, 'INFO\n');
  }),
);

setting('a command that is none is exit 2, with a sentence or the help', () =>
  withStore(async ({ run, stored }) => {
    assert.match((await run()).out, 'npm run settings');
    assert.is((await run()).code, 2);
    assert.is((await run('--help')).code, 0);
    for (const [args, sentence] of [
      [['frob'], 'There is no command frob'],
      [['get'], 'get takes the name'],
      [['get', 'nope'], 'nope is no setting'],
      [['set'], 'Name the settings'],
      [['set', 'log-level'], 'set takes NAME VALUE'],
      [['set', 'a=1', 'b'], 'b must be NAME=VALUE.'],
      [['unset'], 'Name the settings'],
      [['list', '--aws', '--endpoint-url', 'http://x'], 'not both'],
      [['list', '--verbose'], '--verbose'],
    ] as const) {
      const { code, err, out } = await run(...args);
      assert.is(code, 2, args.join(' '));
      assert.match(err, sentence);
      assert.is(out, '');
    }
    assert.equal(await stored(), {});
  }),
);

setting('a gateway that does not run is told of in a sentence', async () => {
  let err = '';
  const io = { out: () => assert.unreachable(), err: (text: string) => (err += text) };
  assert.is(await settings(['list'], { AWS_PORT: '1' }, io), 1);
  assert.match(err, /start the gateway with npm start/);
});

setting.run();
