/** `npm run doctor` as a command: its options, its limits, and where its variables come from. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ask, type Finding, isLate } from '../../scripts/doctor/finding.ts';
import { doctor } from '../../scripts/doctor.ts';
import { loadEnvFile } from '../../scripts/env-file.ts';
import { UsageError } from '../../scripts/usage.ts';
import { failure, runIn, withAws } from '../helpers/aws-stand-in.ts';
import { rejectionOf } from '../helpers/rejects.ts';

const model = { DEFAULT_MODEL: 'amazon.m', ALLOWED_MODELS: 'amazon.m' };

const command = suite('npm run doctor, as a command');

command('--help tells every option, and asks nothing', () =>
  withAws({}, async ({ run, calls }) => {
    const { code, out } = await run('scripts/doctor.ts', ['--help']);
    assert.is(code, 0);
    for (const option of ['--env', '--json', '--help']) assert.match(out, option);
    assert.equal(calls, []);
  }),
);

command('an option that is none, and a file that is not there, are exit code 2 and one sentence', () =>
  withAws({}, async ({ run, calls }) => {
    const unknown = await run('scripts/doctor.ts', ['--loud']);
    assert.is(unknown.code, 2);
    assert.match(unknown.err, '--loud');
    const absent = await run('scripts/doctor.ts', ['--env', 'nope.env']);
    assert.equal(absent, {
      code: 2,
      out: '',
      err: 'There is no file nope.env; copy template.env and edit it.\n',
    });
    assert.equal(calls, []);
  }),
);

command('--json is the same findings for a program', () =>
  withAws({ GetParameter: failure(400, 'ParameterNotFound', '') }, async ({ run }) => {
    const { code, out } = await run('scripts/doctor.ts', ['--json'], model);
    assert.is(code, 1);
    const findings: { check: string; result: string; sentence: string }[] = JSON.parse(out);
    assert.equal(
      findings.map(({ check, result }) => `${check} ${result}`),
      [
        'configuration ok',
        'credentials ok',
        'bootstrap problem',
        'log role ok',
        'concurrency ok',
        'model ok',
      ],
    );
    assert.match(findings[2]?.sentence ?? '', 'npx cdk bootstrap');
  }),
);

command('the variables are those of .env, or of --env in its place', () =>
  withAws({}, async ({ run, folder, calls }) => {
    writeFileSync(join(folder, '.env'), 'STACK_NAME=FromDotEnv\nSTAGE=one\n');
    const file = 'STACK_NAME=FromFile\n';
    writeFileSync(join(folder, 'prod one.env'), file);
    assert.match((await run('scripts/doctor.ts', [], model)).out, 'the stack FromDotEnv-one in');
    assert.match(
      (await run('scripts/doctor.ts', ['--env', 'prod one.env'], model)).out,
      'the stack FromFile in',
    );
    assert.match(
      (await run('scripts/doctor.ts', ['--env=prod one.env'], { ...model, STACK_NAME: 'Exported' })).out,
      'the stack Exported in',
    );
    assert.is(calls.filter(({ action }) => action === 'GetCallerIdentity').length, 3);
  }),
);

command('credentials and region of the file are those that AWS is asked with', () =>
  withAws({}, async ({ run, folder, calls }) => {
    const keys = 'AWS_ACCESS_KEY_ID=AKIAFILE\nAWS_SECRET_ACCESS_KEY=x\n';
    writeFileSync(join(folder, '.env'), `${keys}REGION_ID=eu-west-1\n`);
    const none = { AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined };
    await run('scripts/doctor.ts', [], {
      ...model,
      ...none,
      AWS_REGION: 'us-west-2',
      RESERVED_CONCURRENCY: '950',
    });
    assert.is(new Set(calls.map(({ action }) => action)).size, 5);
    assert.equal([...new Set(calls.map(({ signedBy }) => signedBy))], ['AKIAFILE eu-west-1']);
  }),
);

command('an AWS that takes every call and answers none keeps nothing waiting', () =>
  withAws(
    { GetCallerIdentity: 'hang', GetParameter: 'hang', Converse: 'hang', GetAccount: 'hang' },
    async ({ folder, url }) => {
      const script = `
      const from = (path) => import(new URL(path, ${JSON.stringify(new URL('../../', import.meta.url))}));
      const { parseConfig } = await from('cdk/config.ts');
      const { checkBootstrap, checkCredentials, checkLogRole } = await from('scripts/doctor/account.ts');
      const { checkModels } = await from('scripts/doctor/models.ts');
      const place = { region: 'us-east-1', limitMs: 1 };
      const config = parseConfig(process.env);
      const { finding } = await checkCredentials(place);
      const models = await checkModels(config, place);
      console.log(JSON.stringify([finding, await checkBootstrap('1', place), await checkLogRole(config, place), ...models]));`;
      const args = ['--input-type=module', '-e', script];
      const { out, err } = await runIn(folder, args, { ...model, AWS_ENDPOINT_URL: url });
      const findings: Finding[] = JSON.parse(out || err);
      assert.equal(
        findings.map(({ check, result }) => `${check} ${result}`),
        ['credentials problem', 'bootstrap warning', 'log role warning', 'model warning'],
      );
      for (const { sentence } of findings) assert.match(sentence, /not answer .*in time/);
    },
  ),
);
command.run();

// ---

const question = suite('ask');

question('a question that does not heed its signal is given up all the same', async () => {
  const never = new Promise<never>(() => {});
  assert.ok(isLate(await rejectionOf(ask({ region: 'r', limitMs: 1 }, () => never))));
});

question('the signal says when it was given up, and an answer in time is the answer', async () => {
  let aborted = false;
  const heedful = (signal: AbortSignal) =>
    new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => {
        aborted = true;
        reject(new Error('aborted'));
      });
    });
  assert.ok(isLate(await rejectionOf(ask({ region: 'r', limitMs: 1 }, heedful))));
  assert.ok(aborted);
  assert.is(await ask({ region: 'r', limitMs: 60_000 }, async () => 5), 5);
});
question.run();

// ---

const file = suite('loadEnvFile');

file('reads what node --env-file reads: an exported variable wins, an empty one too', () =>
  withAws({}, async ({ folder }) => {
    const text = [
      '# a comment',
      'PLAIN=file # not this',
      'export EXPORTED=form',
      'QUOTED="a # b"',
      "SINGLE='x $y'",
      'EMPTY=',
      'SPACED =  wide  ',
      'EQUALS=a=b',
      'LINES="one\ntwo"',
      'WON=file',
      'BLANK=file',
    ].join('\n');
    writeFileSync(join(folder, 'a b.env'), text);
    const shell = { WON: 'shell', BLANK: '' };
    const names = [...text.matchAll(/^(?:export )?([A-Z]+)/gm)].map(([, name]) => name);
    const show = `console.log(JSON.stringify(${JSON.stringify(names)}.map((name) => process.env[name])))`;
    const node = await runIn(folder, ['--env-file=a b.env', '-e', show], shell);
    const ours: NodeJS.ProcessEnv = { ...shell };
    loadEnvFile(['--env', join(folder, 'a b.env')], ours);
    assert.equal(
      JSON.parse(node.out),
      names.map((name) => ours[name ?? '']),
    );
    assert.is(ours['WON'], 'shell');
    assert.is(ours['BLANK'], '');
    assert.is(ours['PLAIN'], 'file');
  }),
);

file('leaves the other arguments as they are', () =>
  withAws({}, async ({ folder }) => {
    const path = join(folder, 'x.env');
    writeFileSync(path, 'A=1');
    assert.equal(loadEnvFile(['deploy', '--env', path, '--force', '--environment'], {}), [
      'deploy',
      '--force',
      '--environment',
    ]);
    assert.equal(loadEnvFile([`--env=${path}`, '-v'], {}), ['-v']);
  }),
);

file('a name that is missing, and a file that cannot be read, are told in one sentence', () =>
  withAws({}, async ({ folder }) => {
    mkdirSync(join(folder, 'dir.env'));
    for (const args of [['--env'], ['--env='], ['--env', '--json']])
      assert.throws(
        () => loadEnvFile(args, {}),
        (error: unknown) =>
          error instanceof UsageError && error.message === '--env takes the name of a file.',
      );
    assert.throws(
      () => loadEnvFile(['--env', join(folder, 'dir.env')], {}),
      /could not be read \(EISDIR\)\.$/,
    );
  }),
);

file('the exit code of doctor for such a file is 2', async () => {
  const said: string[] = [];
  const io = { out: (text: string) => said.push(text), err: (text: string) => said.push(text) };
  assert.is(await doctor(['--env'], {}, io), 2);
  assert.equal(said, ['--env takes the name of a file.\n']);
});
file.run();
