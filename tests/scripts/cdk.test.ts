/** `npm run synth`, `deploy`, `diff` and `destroy`, with a stand-in for the cdk command that writes down how it was run. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cdk } from '../../scripts/cdk.ts';
import { until } from '../helpers/gateway.ts';

/** Writes down its arguments and variables; then ends as EXIT_CODE says, or after a signal if told to wait. */
const STAND_IN = `
  const { writeFileSync } = require('node:fs');
  writeFileSync(process.env.RECORD, JSON.stringify({ args: process.argv.slice(2), env: process.env }));
  const signals = [];
  const note = (signal) => {
    signals.push(signal);
    setTimeout(() => {
      writeFileSync(process.env.RECORD + '.signals', signals.join());
      process.exit(9);
    }, 100);
  };
  if (!process.env.WAIT) process.exit(Number(process.env.EXIT_CODE ?? 0));
  process.on('SIGINT', note).on('SIGTERM', note);
  setInterval(() => {}, 1000);
  writeFileSync(process.env.RECORD + '.ready', '');`;

type Ran = { args: string[]; env: Record<string, string> };
type Bench = {
  folder: string;
  /** The exit code, what was said, and how the cdk command was run, if it was. */
  run: (args: readonly string[], env?: Record<string, string>, doctorCode?: number) => Promise<Ended>;
};
type Ended = { code: number; out: string; err: string; ran: Ran | undefined; examined: NodeJS.ProcessEnv[] };

async function withCdk<T>(test: (bench: Bench) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'cdk stand-in '));
  const at = (name: string) => join(folder, name);
  const [cli, record, empty] = [at('cdk.cjs'), at('record.json'), at('empty.env')] as const;
  writeFileSync(cli, STAND_IN);
  writeFileSync(empty, ''); // so that a developer's own .env is not read
  const run: Bench['run'] = async (args, env = {}, doctorCode = 0) => {
    rmSync(record, { force: true });
    const examined: NodeJS.ProcessEnv[] = [];
    let out = '';
    let err = '';
    const isFileNamed = args.some((arg) => arg.startsWith('--env'));
    const code = await cdk(
      isFileNamed ? args : [...args, '--env', empty],
      { RECORD: record, ...env },
      {
        out: (text) => (out += text),
        err: (text) => (err += text),
        cli,
        diagnose: async (variables) => {
          examined.push(variables);
          return doctorCode;
        },
      },
    );
    const ran: Ran | undefined = existsSync(record) ? JSON.parse(readFileSync(record, 'utf8')) : undefined;
    return { code, out, err, ran, examined };
  };
  try {
    return await test({ folder, run });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const APP = ['--app', `"${process.execPath}" cdk/app.ts`];

const command = suite('npm run synth, deploy, diff and destroy');

command('synth and diff run the cdk command with our app and no notices, and ask no doctor', () =>
  withCdk(async ({ run }) => {
    for (const [verb, ...defaults] of [['synth', '--quiet'], ['diff']] as const) {
      const { code, ran, examined, err } = await run([verb]);
      assert.is(code, 0);
      assert.equal(ran?.args, [verb, ...APP, '--no-notices', ...defaults]);
      assert.equal([examined, err], [[], '']);
    }
  }),
);

command('synth says where the template is, and shows it when it is asked to', () =>
  withCdk(async ({ run }) => {
    const said = (path: string) => `The template is ${path}.template.json.\n`;
    assert.is((await run(['synth'], { STAGE: 'prod' })).out, said('cdk.out/LlmGatewayStack-prod'));
    assert.is((await run(['synth', '--output', 'there'])).out, said('there/LlmGatewayStack'));
    assert.is((await run(['synth'], { EXIT_CODE: '1' })).out, '');
    assert.is((await run(['diff'])).out, '');
    const { ran } = await run(['synth', '--no-quiet']);
    assert.equal(ran?.args.slice(-2), ['--quiet', '--no-quiet']);
  }),
);

command('mistakes in the variables are told before anything is run', () =>
  withCdk(async ({ run }) => {
    for (const verb of ['synth', 'diff', 'deploy', 'destroy']) {
      const { code, err, ran, examined } = await run([verb], { DEFAULT_TEMP: '4096' });
      assert.equal([code, ran, examined], [1, undefined, []], verb);
      assert.is(err, 'DEFAULT_TEMP must be a number from 0 to 1, not "4096".\n');
    }
  }),
);

command('the cdk command sends no telemetry, and works in the region of REGION_ID', () =>
  withCdk(async ({ run }) => {
    const { ran } = await run(['synth'], { REGION_ID: 'eu-west-1', AWS_REGION: 'us-west-2' });
    assert.is(ran?.env['CDK_DISABLE_CLI_TELEMETRY'], 'true');
    assert.is(ran?.env['AWS_REGION'], 'eu-west-1');
    assert.is((await run(['synth'], { AWS_REGION: 'us-west-2' })).ran?.env['AWS_REGION'], 'us-east-1');
  }),
);

command('the file reaches the app and the cdk command, and exported variables win', () =>
  withCdk(async ({ run, folder }) => {
    const file = join(folder, 'prod one.env');
    writeFileSync(file, 'REGION_ID=eu-west-1\nSTAGE=file\nAWS_PROFILE=production\nVPC_ID=file\n');
    const { ran } = await run(['synth', '--env', file, '--quiet'], { STAGE: 'shell', VPC_ID: '' });
    assert.equal(ran?.args, ['synth', ...APP, '--no-notices', '--quiet']);
    const { AWS_REGION, STAGE, AWS_PROFILE, VPC_ID } = ran?.env ?? {};
    assert.equal([AWS_REGION, STAGE, AWS_PROFILE, VPC_ID], ['eu-west-1', 'shell', 'production', '']);
  }),
);

command('deploy asks the doctor, wants no approval, and keeps the outputs', () =>
  withCdk(async ({ run }) => {
    const { code, ran, examined } = await run(['deploy', '--hotswap'], { STAGE: 'one' });
    assert.is(code, 0);
    assert.equal(
      examined.map(({ STAGE }) => STAGE),
      ['one'],
    );
    const outputs = ['--outputs-file', 'cdk.out/outputs.json'];
    const expected = [
      'deploy',
      ...APP,
      '--no-notices',
      '--require-approval',
      'never',
      ...outputs,
      '--hotswap',
    ];
    assert.equal(ran?.args, expected);
  }),
);

command('deploy stops at what the doctor finds, and says how to go on all the same', () =>
  withCdk(async ({ run }) => {
    const stopped = await run(['deploy'], {}, 1);
    assert.is(stopped.code, 1);
    assert.is(stopped.ran, undefined);
    assert.match(stopped.err, 'Nothing was deployed. To do it all the same: npm run deploy -- --skip-doctor');
    const forced = await run(['deploy', '--skip-doctor'], {}, 1);
    assert.is(forced.code, 0);
    assert.equal(forced.examined, []);
    assert.not.ok(forced.ran?.args.includes('--skip-doctor'));
  }),
);

command('what the user says wins over what we would say', () =>
  withCdk(async ({ run }) => {
    const own = ['--require-approval=broadening', '-O', 'o.json', '-a', 'other', '--notices'];
    assert.equal((await run(['deploy', ...own])).ran?.args, ['deploy', ...own]);
    const long = ['--require-approval', 'any-change', '--outputs-file=o.json', '--app=other', '--no-notices'];
    assert.equal((await run(['deploy', ...long])).ran?.args, ['deploy', ...long]);
  }),
);

command('the doctor looks with the profile that the cdk command is given', () =>
  withCdk(async ({ run }) => {
    for (const profile of [['--profile', 'p1'], ['--profile=p1']]) {
      const { examined, ran } = await run(['deploy', ...profile], { AWS_PROFILE: 'other' });
      assert.is(examined[0]?.['AWS_PROFILE'], 'p1');
      assert.equal(ran?.args.slice(-profile.length), profile);
    }
  }),
);

command('destroy says first what RETAIN_DATA leaves behind', () =>
  withCdk(async ({ run }) => {
    const kept = await run(['destroy', '--force'], { STAGE: 'one' });
    assert.match(kept.out, 'RETAIN_DATA is true: the tables of LlmGatewayStack-one ');
    assert.match(kept.out, "API Gateway's role for logs");
    assert.equal(kept.ran?.args, ['destroy', ...APP, '--no-notices', '--force']);
    const gone = await run(['destroy'], { RETAIN_DATA: 'false', API_GATEWAY_LOG_ROLE: 'none' });
    assert.is(
      gone.out,
      'RETAIN_DATA is false: the tables of LlmGatewayStack go, with all that is in them.\n',
    );
  }),
);

command('destroy with a wrong configuration says every problem and destroys nothing', () =>
  withCdk(async ({ run }) => {
    const { code, err, ran } = await run(['destroy'], { RETAIN_DATA: 'yes', API_GATEWAY_TYPE: 'soap' });
    assert.is(code, 1);
    assert.is(ran, undefined);
    assert.match(err, /^API_GATEWAY_TYPE must be .*\nRETAIN_DATA must be .*\n$/);
  }),
);

command('the exit code is that of the cdk command', () =>
  withCdk(async ({ run }) => {
    assert.is((await run(['diff'], { EXIT_CODE: '3' })).code, 3);
  }),
);

command('help, no verb, another verb and a file that is not there never reach the cdk command', () =>
  withCdk(async ({ run }) => {
    const help = await run(['deploy', '--help']);
    assert.is(help.code, 0);
    assert.match(help.out, '--skip-doctor');
    const absent = await run(['deploy', '--env', 'nope.env']);
    assert.equal(
      [absent.code, absent.err],
      [2, 'There is no file nope.env; copy template.env and edit it.\n'],
    );
    const none = await run([]);
    const other = await run(['bootstrap']);
    assert.equal([none.code, other.code], [2, 2]);
    assert.is(other.err, 'There is no command bootstrap; there are synth, deploy, diff, destroy.\n');
    assert.equal(
      [help, absent, none, other].map(({ ran }) => ran),
      [undefined, undefined, undefined, undefined],
    );
  }),
);

/** Our script in a group of its own, as a terminal has it, while the cdk command waits. */
const interrupt = (send: (script: ChildProcess) => void) =>
  withCdk(async ({ folder }) => {
    const record = join(folder, 'record.json');
    const program = `
      import { cdk } from ${JSON.stringify(new URL('../../scripts/cdk.ts', import.meta.url))};
      const io = { out: () => {}, err: () => {}, cli: ${JSON.stringify(join(folder, 'cdk.cjs'))} };
      process.exitCode = await cdk(['diff'], process.env, io);`;
    const script = spawn(process.execPath, ['--input-type=module', '-e', program], {
      cwd: folder,
      env: { PATH: process.env['PATH'], RECORD: record, WAIT: '1' },
      detached: true,
      stdio: 'ignore',
    });
    const ended = new Promise<number | null>((resolve) => script.once('exit', resolve));
    await until(() => existsSync(`${record}.ready`));
    send(script);
    const code = await ended;
    return { code, signals: readFileSync(`${record}.signals`, 'utf8') };
  });

command('Ctrl-C reaches the cdk command, and its exit code is waited for', async () => {
  const ended = await interrupt(({ pid = 0 }) => process.kill(-pid, 'SIGINT'));
  assert.equal(ended, { code: 9, signals: 'SIGINT' });
});

command('Ctrl-C is not passed on as well, or the cdk command would have it twice', async () => {
  const ended = await interrupt((script) => script.kill('SIGINT') && script.kill('SIGTERM'));
  assert.equal(ended, { code: 9, signals: 'SIGTERM' });
});

command('a signal to end that was sent to us alone is passed on', async () => {
  const ended = await interrupt((script) => script.kill('SIGTERM'));
  assert.equal(ended, { code: 9, signals: 'SIGTERM' });
});
command.run();
