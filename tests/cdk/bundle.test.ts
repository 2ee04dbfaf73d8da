import { readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Bundle, bundle } from '../../cdk/bundle.ts';
import { contentsOf, readLock, strangersIn } from '../../scripts/bundles.ts';

const entries = ['http', 'websocket', 'authorizer'] as const;
const bundles = suite('bundle');

for (const entry of entries) {
  bundles(`of ${entry} holds nothing of the laptop and of no package that only development needs`, () => {
    assert.equal(strangersIn(bundle(entry), readLock()), []);
  });

  bundles(`of ${entry} leaves nothing to be found when it runs`, () => {
    const imports = Object.values(bundle(entry).metafile.outputs).flatMap((output) => output.imports);
    assert.equal(
      imports.filter(({ path, external }) => external && !isBuiltin(path)),
      [],
    );
    for (const file of readdirSync(bundle(entry).folder)) {
      assert.not.match(readFileSync(join(bundle(entry).folder, file), 'utf8'), /Dynamic require of/);
    }
  });
}

bundles(
  'of the doors brings the SDK along, since the copy of the runtime may not know the newest fields',
  () => {
    for (const entry of ['http', 'websocket'] as const) {
      const contents = [...contentsOf(bundle(entry)).keys()];
      for (const name of ['@aws-sdk/client-bedrock-runtime', '@aws-sdk/client-dynamodb', 'src']) {
        assert.ok(contents.includes(name), name);
      }
    }
  },
);

/** What is read of a bundle when it starts. */
function filesReadAtOnce({ metafile: { outputs } }: Bundle, from: string): Set<string> {
  const found = new Set([from]);
  for (const file of found) {
    for (const { path, kind } of outputs[file]?.imports ?? []) {
      if (kind === 'import-statement' && path in outputs) found.add(path);
    }
  }
  return found;
}

bundles(
  'of the doors starts without the vocabulary of OpenAI’s tokens and the description of the API, which are there when they are needed',
  () => {
    for (const [entry, isLate] of [
      ['http', /js-tiktoken\//],
      ['http', /src\/doors\/openapi/],
      ['websocket', /js-tiktoken\//],
    ] as const) {
      const bundled = bundle(entry);
      const files = filesReadAtOnce(bundled, `build/${entry}/index.mjs`);
      const inputsOf = (file: string) => Object.keys(bundled.metafile.outputs[file]?.inputs ?? {});
      const fits = (path: string) => isLate.test(path);
      assert.ok(files.size > 1);
      assert.equal([...files].flatMap(inputsOf).filter(fits), []);
      assert.ok(Object.keys(bundled.metafile.outputs).flatMap(inputsOf).some(fits));
    }
  },
);

bundles('would be caught with the laptop, a development package or an unknown one in it', () => {
  const input = { bytes: 1, imports: [] };
  const paths = [
    'src/wire.ts',
    'src/local/start.ts',
    'node_modules/uvu/a.js',
    'node_modules/hono/a.js',
    'node_modules/who/a.js',
  ];
  const inputs = Object.fromEntries(paths.map((path) => [path, input]));
  assert.equal(strangersIn({ metafile: { inputs, outputs: {} } }, readLock()), [
    paths[1],
    paths[2],
    paths[4],
  ]);
});

bundles.run();
