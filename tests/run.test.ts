/**
 * Shows that tests/run.ts is green only for tests that ran and passed. Each test lays out a small project in a
 * temporary folder and runs the real runner there.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { unrunSuites } from './run.ts';

const RUNNER = join(import.meta.dirname, 'run.ts');
const MODULES = join(import.meta.dirname, '../node_modules');
const IMPORTS = "import { suite, test } from 'uvu'; import * as assert from 'uvu/assert';\n";
const GOOD = `${IMPORTS} test('holds', () => {}); test('holds too', async () => {}); test.run();`;

type Run = { code: number; output: string; closing: string };

/** Runs the runner over a project that consists of these files. */
async function run(
  files: Record<string, string>,
  args: string[] = [],
  env: NodeJS.ProcessEnv = {},
): Promise<Run> {
  const project = mkdtempSync(join(tmpdir(), 'llm-gateway-run-'));
  try {
    symlinkSync(MODULES, join(project, 'node_modules'), 'junction');
    for (const [path, source] of Object.entries({ 'package.json': '{"type":"module"}', ...files })) {
      mkdirSync(dirname(join(project, path)), { recursive: true });
      writeFileSync(join(project, path), source);
    }
    return await new Promise((resolve) => {
      const options = { cwd: project, env: { ...process.env, ...env } };
      execFile(process.execPath, [RUNNER, ...args], options, (error, stdout, stderr) => {
        const closing = stdout.trimEnd().split('\n').at(-1) ?? '';
        resolve({ code: Number(error?.code ?? 0), output: stdout + stderr, closing });
      });
    });
  } finally {
    rmSync(project, { recursive: true });
  }
}

/** The code of `start`, which starts a process that lives for 20 s, and whether that process is still alive. */
function heartbeat(): { start: string; beats: () => Promise<boolean> } {
  const path = join(mkdtempSync(join(tmpdir(), 'llm-gateway-heart-')), 'beats');
  const heart = `
    const beat = () => fs.appendFileSync(${JSON.stringify(path)}, '.');
    setInterval(beat, 20);
    setTimeout(() => process.exit(), 20_000);`;
  const start = `import { spawn } from 'node:child_process'; import { existsSync } from 'node:fs';
    async function start() {
      const child = spawn(process.execPath, ['-e', ${JSON.stringify(heart)}], { stdio: 'inherit' });
      while (!existsSync(${JSON.stringify(path)})) await new Promise((resolve) => setTimeout(resolve, 20));
      return child;
    }\n`;
  const beats = async () => {
    const before = statSync(path).size;
    await setTimeout(500);
    const after = statSync(path).size;
    rmSync(dirname(path), { recursive: true });
    return after > before;
  };
  return { start, beats };
}

/** Keeps the inner runner's summary from looking like ours, should one of these tests fail. */
function quote(output: string): string {
  return output.replace(/^/gm, '| ');
}

const green = suite('green files');

green('two good files are added up in the closing line', async () => {
  const { code, output, closing } = await run({ 'tests/a.test.ts': GOOD, 'tests/deep/b.test.ts': GOOD });
  assert.is(closing, '4 passed, 0 failed, 0 skipped');
  assert.is(code, 0);
  assert.match(output, /^ok {4}tests\/a\.test\.ts {2}2 passed/m);
  assert.match(output, /^ok {4}tests\/deep\/b\.test\.ts {2}2 passed/m);
});

green('two suites in one file, the second after an await, both count', async () => {
  const source = `${IMPORTS}
    const one = suite('one'); one('a', () => {}); one.run();
    await new Promise((resolve) => setTimeout(resolve, 50));
    const two = suite('two'); two('b', () => {}); two('c', () => {}); two.run();`;
  const { code, closing } = await run({ 'tests/a.test.ts': source });
  assert.is(closing, '3 passed, 0 failed, 0 skipped');
  assert.is(code, 0);
});

green('a pattern is a part of the path or a glob, and chooses the files', async () => {
  const files = { 'tests/a.test.ts': GOOD, 'tests/deep/b.test.ts': GOOD, 'tests/deep/helper.ts': 'throw 1' };
  for (const pattern of ['deep', './tests/deep/b.test.ts', 'tests/*/*.test.ts']) {
    assert.is((await run(files, [pattern])).closing, '2 passed, 0 failed, 0 skipped', pattern);
  }
});

green('a folder with its own package.json is left to itself', async () => {
  const files = {
    'tests/a.test.ts': GOOD,
    'tests/clients/package.json': '{}',
    'tests/clients/c.test.ts': 'throw 1',
  };
  assert.is((await run(files)).closing, '2 passed, 0 failed, 0 skipped');
});

green('a test sees nothing of the AWS account of whoever runs it', async () => {
  const source = `${IMPORTS} import { devNull } from 'node:os';
    test('is alone', () => {
      const names = Object.keys(process.env).filter((name) => name.startsWith('AWS_')).sort();
      assert.equal(names, ['AWS_CONFIG_FILE', 'AWS_EC2_METADATA_DISABLED', 'AWS_SHARED_CREDENTIALS_FILE']);
      assert.is(process.env.AWS_CONFIG_FILE, devNull);
      assert.is(process.env.AWS_SHARED_CREDENTIALS_FILE, devNull);
    });
    test.run();`;
  const account = {
    AWS_PROFILE: 'prod',
    AWS_SECRET_ACCESS_KEY: 'x',
    AWS_ENDPOINT_URL: 'http://x',
    AWS_CONFIG_FILE: 'x',
  };
  const { closing, output } = await run({ 'tests/a.test.ts': source }, [], account);
  assert.is(closing, '1 passed, 0 failed, 0 skipped', quote(output));
});

green.run();

// ---

/** What a file does wrong, how, and what the runner then has to say. */
const RED_FILES: [what: string, source: string, reason: RegExp, closing: string][] = [
  [
    'an assertion that fails',
    "test('a', () => {}); test('b', () => assert.is(1, 2)); test.run();",
    /1 of 2 tests did not pass/,
    '1 passed, 1 failed, 0 skipped',
  ],
  [
    'a before hook that throws',
    "test.before(() => { throw new Error('x') }); test('a', () => {}); test('b', () => {}); test.run();",
    /2 of 2 tests did not pass/,
    '0 passed, 2 failed, 0 skipped',
  ],
  [
    'an after.each hook that throws',
    "test.after.each(() => { throw new Error('x') }); test('a', () => {}); test.run();",
    /1 of 1 tests did not pass/,
    '0 passed, 1 failed, 0 skipped',
  ],
  [
    'an after hook that throws',
    "test.after(() => { throw new Error('x') }); test('a', () => {}); test.run();",
    /ended with exit code 1/,
    '0 passed, 1 failed, 0 skipped',
  ],
  [
    'a thrown string, which makes uvu drop the tests that follow',
    "test('a', () => { throw 'x' }); test('b', () => {}); test.run();",
    /2 of 2 tests did not pass/,
    '0 passed, 2 failed, 0 skipped',
  ],
  [
    'a missing .run()',
    "test('a', () => {});",
    /no summary from uvu.*no \.run\(\) after the last test of: test/,
    '0 passed, 1 failed, 0 skipped',
  ],
  [
    'one of two suites not run',
    "const one = suite('one'); one('a', () => {}); one.run();\nconst two = suite('two'); two('b', () => {});",
    /no \.run\(\) after the last test of: two/,
    '1 passed, 1 failed, 0 skipped',
  ],
  [
    'a test that is added after its suite was run',
    "const one = suite('one'); one('a', () => {}); one.run(); one('b', () => {});",
    /no \.run\(\) after the last test of: one/,
    '1 passed, 1 failed, 0 skipped',
  ],
  [
    'a suite without a test, beside a good one',
    "const one = suite('one'); one('a', () => {}); one.run();\nconst two = suite('two'); two.run();",
    /a suite without tests/,
    '1 passed, 1 failed, 0 skipped',
  ],
  [
    'a failure in a suite that is followed by a later, good one',
    `const one = suite('one'); one('a', () => assert.is(1, 2)); one.run();
     await new Promise((resolve) => setTimeout(resolve, 50));
     const two = suite('two'); two('b', () => {}); two.run();`,
    /1 of 2 tests did not pass/,
    '1 passed, 1 failed, 0 skipped',
  ],
  [
    'a .only that was left in',
    "test('a', () => {}); test.only('b', () => {}); test.run();",
    /1 skipped/,
    '1 passed, 1 failed, 1 skipped',
  ],
  [
    'a .skip that was left in',
    "test('a', () => {}); test.skip('b', () => {}); test.run();",
    /1 skipped/,
    '1 passed, 1 failed, 1 skipped',
  ],
  [
    'an import that fails',
    "import './missing.ts'; test('a', () => {}); test.run();",
    /ended with exit code 1; no summary/,
    '0 passed, 1 failed, 0 skipped',
  ],
  [
    'a rejection that comes after the last test',
    "test('a', () => { setTimeout(() => Promise.reject(new Error('late')), 100) }); test.run();",
    /ended with exit code 1/,
    '1 passed, 1 failed, 0 skipped',
  ],
  [
    'a promise that never settles',
    "test('a', () => new Promise(() => {})); test.run();",
    /ended with exit code \d+; no summary/,
    '0 passed, 1 failed, 0 skipped',
  ],
  [
    'a process that ends itself in the middle',
    "test('a', () => process.exit(0)); test('b', () => {}); test.run();",
    /no summary/,
    '0 passed, 1 failed, 0 skipped',
  ],
];

const red = suite('red files');

for (const [what, source, reason, closing] of RED_FILES) {
  red(`${what} makes the file red`, async () => {
    const result = await run({ 'tests/a.test.ts': `${IMPORTS}${source}` });
    assert.is(result.closing, closing, quote(result.output));
    assert.is(result.code, 1);
    assert.match(result.output, new RegExp(`^FAIL {2}tests/a\\.test\\.ts .*${reason.source}`, 'm'));
  });
}

red('what a red file prints is shown, what a green file prints is not', async () => {
  const files = {
    'tests/a.test.ts': `${GOOD} console.log('from a');`,
    'tests/b.test.ts': `${IMPORTS}test('a', () => {}); console.log('from b');`,
  };
  const { code, output, closing } = await run(files);
  assert.is(closing, '2 passed, 1 failed, 0 skipped');
  assert.is(code, 1);
  assert.match(output, /^from b$/m);
  assert.not.match(output, /from a/);
});

red(
  'a server that is left open is killed at the time limit, with all processes that it started',
  async () => {
    const heart = heartbeat();
    const source = `${IMPORTS}${heart.start} import { createServer } from 'node:http';
    setTimeout(() => process.exit(), 20_000); // should the runner fail to
    test('a', () => { createServer().listen(0); return start(); });
    test.run();`;
    const { code, output, closing } = await run({ 'tests/a.test.ts': source }, ['--timeout', '1500']);
    assert.is(closing, '1 passed, 1 failed, 0 skipped', quote(output));
    assert.is(code, 1);
    assert.match(output, /^FAIL .*took too long, and was killed/m);
    assert.not(await heart.beats());
  },
);

red('a process that a green file leaves behind is killed too', async () => {
  const heart = heartbeat();
  const source = `${IMPORTS}${heart.start} test('a', async () => { (await start()).unref(); }); test.run();`;
  const { closing, output } = await run({ 'tests/a.test.ts': source });
  assert.is(closing, '1 passed, 0 failed, 0 skipped', quote(output));
  assert.not(await heart.beats());
});

red('a pattern that fits no file is a failure, also beside one that does', async () => {
  for (const patterns of [['nothing'], ['a.test', 'nothing'], ['tests/*.spec.ts']]) {
    const { code, output, closing } = await run({ 'tests/a.test.ts': GOOD }, patterns);
    assert.is(closing, '0 passed, 1 failed, 0 skipped');
    assert.is(code, 1);
    assert.match(output, /No test file matches/);
  }
});

red('a project without tests is a failure', async () => {
  const { code, closing } = await run({ 'tests/readme.md': '' });
  assert.is(closing, '0 passed, 1 failed, 0 skipped');
  assert.is(code, 1);
});

red.run();

// ---

const unrun = suite('unrunSuites');

unrun('knows a suite by its declaration, and wants .run() to be the last that is said of it', () => {
  assert.equal(unrunSuites("const a = suite('a');\na('x', f);\na.run();\n"), []);
  assert.equal(unrunSuites("const a = suite('a');\na.run();\na('x', f);\n"), ['a']);
  assert.equal(unrunSuites("const a = suite('a');\na.run();\na.before.each(f);\n"), ['a']);
});

unrun('tells two suites of the same name apart', () => {
  const forgotten = "  const a = suite('one');\n  a('x', f);\n";
  const complete = "  const a = suite('two');\n  a('y', f);\n  a.run();\n";
  assert.equal(unrunSuites(forgotten + complete), ['a']);
  assert.equal(unrunSuites(complete + complete), []);
});

unrun.run();
