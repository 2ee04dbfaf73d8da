import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parseOptions, tablesPath } from '../../src/local/options.ts';

const parsing = suite('parseOptions');

parsing('nothing asked for is the simulator on the usual ports', () => {
  assert.equal(parseOptions([], {}), {
    help: false,
    memory: false,
    bedrock: 'simulator',
    port: 3000,
    functionUrlPort: 3001,
    awsPort: 4566,
  });
});

parsing(
  'an endpoint in the environment takes the simulator’s place, and --bedrock aws takes its place',
  () => {
    const env = { AWS_ENDPOINT_URL_BEDROCK_RUNTIME: 'http://127.0.0.1:9999' };
    assert.is(parseOptions([], env).bedrock, 'endpoint');
    assert.is(parseOptions(['--bedrock', 'aws'], env).bedrock, 'aws');
  },
);

parsing('a URL is an OpenAI-compatible server, before any other endpoint', () => {
  const env = { AWS_ENDPOINT_URL_BEDROCK_RUNTIME: 'http://127.0.0.1:9999', OPENAI_API_KEY: 'sesame' };
  const { bedrock, server } = parseOptions(['--bedrock', 'http://127.0.0.1:11434/v1/'], env);
  assert.is(bedrock, 'compatible');
  assert.equal(server, { url: 'http://127.0.0.1:11434/v1', key: 'sesame' });
  const keyless = parseOptions(['--bedrock', 'https://models.test'], {});
  assert.equal(keyless.server, { url: 'https://models.test' });
});

parsing('a URL with a password, a query or another protocol is refused, and not shown', () => {
  const wrong = [
    'http://:secret@x.test',
    'http://me:secret@x.test/v1',
    'http://secret@x.test',
    'http://x.test/?key=secret',
    'http://x.test/#secret',
  ];
  for (const url of [...wrong, 'ftp://secret.test', 'localhost:11434', '']) {
    try {
      parseOptions(['--bedrock', url], {});
      assert.unreachable(url);
    } catch (error) {
      assert.match(String(error), /^Error: --bedrock must be .* without user, password or query\.$/);
      assert.not.match(String(error), 'secret');
    }
  }
});

parsing('every problem is told at once, with its name and what is allowed', () => {
  try {
    parseOptions(['--bedrock', 'openai'], { PORT: '70000', FUNCTION_URL_PORT: '-1', AWS_PORT: 'x' });
    assert.unreachable();
  } catch (error) {
    assert.ok(error instanceof Error);
    assert.equal(error.message.split('\n'), [
      '--bedrock must be simulator, aws, or the http or https URL of an OpenAI-compatible server without user, password or query.',
      'PORT must be a whole number from 0 to 65535.',
      'FUNCTION_URL_PORT must be a whole number from 0 to 65535.',
      'AWS_PORT must be a whole number from 0 to 65535.',
    ]);
  }
});

parsing('a key that no header can bear is told, and not shown', () => {
  const env = { OPENAI_API_KEY: '“sesame”' };
  assert.throws(
    () => parseOptions(['--bedrock', 'http://127.0.0.1:11434/v1'], env),
    ({ message }: Error) => /^OPENAI_API_KEY must be a key, /.test(message) && !message.includes('sesame'),
  );
});

parsing('an unknown option is refused', () => {
  assert.throws(() => parseOptions(['--port', '1'], {}), /--port/);
});

parsing(
  'each kind of Bedrock has tables of its own, so that nobody hears the simulator for a real model',
  () => {
    const paths = (['simulator', 'aws', 'endpoint', 'compatible'] as const).map((bedrock) =>
      tablesPath({ bedrock }),
    );
    assert.is(paths[0], '.local/dynamodb');
    assert.is(new Set(paths).size, 4);
  },
);

parsing.run();
