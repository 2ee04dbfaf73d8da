/** What `npm run doctor` says of accounts, each of them a stand-in for AWS. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  bootstrap,
  failure,
  healthy,
  identity,
  logRole,
  quota,
  type Replies,
  runIn,
  stack,
  withAws,
  xmlFailure,
} from '../helpers/aws-stand-in.ts';

type Account = { readonly replies?: Replies; readonly env?: Readonly<Record<string, string>> };
type Examined = {
  readonly code: number;
  readonly out: string;
  /** What was asked of AWS. */
  readonly actions: readonly string[];
  /** The lines of a check. */
  readonly of: (check: string) => string;
};

const MODEL = { DEFAULT_MODEL: 'amazon.nova-2-lite-v1:0', ALLOWED_MODELS: 'amazon.nova-2-lite-v1:0' };

/** One account after the other in one process, which is told apart by the access key it has for each. */
async function examine<const Accounts extends readonly Account[]>(...accounts: Accounts) {
  const program = `
    import { doctor } from ${JSON.stringify(new URL('../../scripts/doctor.ts', import.meta.url))};
    const env = process.env;
    const results = [];
    for (const [at, own] of ${JSON.stringify(accounts.map(({ env = {} }) => env))}.entries()) {
      process.env = { ...env, AWS_ACCESS_KEY_ID: 'AKIA' + at, ...own };
      let out = '';
      const code = await doctor([], process.env, { out: (text) => (out += text), err: console.error });
      results.push({ code, out });
    }
    console.log(JSON.stringify(results));`;
  const actions = accounts.map((): string[] => []);
  const answer: Replies = Object.fromEntries(
    Object.keys(healthy).map((action) => [
      action,
      (call) => {
        const at = Number(/^AKIA(\d+) /.exec(call.signedBy)?.[1]);
        actions[at]?.push(action);
        const reply = accounts[at]?.replies?.[action] ?? healthy[action] ?? 'hang';
        return typeof reply === 'function' ? reply(call) : reply;
      },
    ]),
  );
  return withAws(answer, async ({ url, folder }) => {
    const args = ['--input-type=module', '-e', program];
    const { out, err } = await runIn(folder, args, { AWS_ENDPOINT_URL: url, ...MODEL });
    const results: { code: number; out: string }[] = JSON.parse(out || err);
    return results.map((result, at) => ({
      ...result,
      actions: actions[at] ?? [],
      of: (check: string) => linesOf(result.out, check),
    })) as { [At in keyof Accounts]: Examined };
  });
}

const linesOf = (out: string, check: string) =>
  out
    .split('\n')
    .filter((line) => line.slice(9).startsWith(check))
    .join('\n');

const doctor = suite('npm run doctor');

doctor('an account that is ready has one line for each check, and exit code 0', async () => {
  const [{ code, out }] = await examine({});
  assert.is(code, 0);
  const lines = out.trimEnd().split('\n');
  assert.equal(
    lines.slice(0, 6).map((line) => line.split(/ {2,}/).slice(0, 2)),
    ['configuration', 'credentials', 'bootstrap', 'log role', 'concurrency', 'model'].map((check) => [
      'ok',
      check,
    ]),
  );
  assert.match(lines[0] ?? '', 'It makes the stack LlmGatewayStack in us-east-1.');
  assert.match(lines[1] ?? '', 'You are the role Admin in the account 123456789012.');
  assert.equal(lines.slice(6), ['', 'Problems: 0. Warnings: 0.']);
});

doctor(
  'every problem of the configuration is told, and what needs none is checked all the same',
  async () => {
    const [wrong, strange] = await examine(
      {
        env: { RETAIN_DATA: 'yes', API_GATEWAY_TYPE: 'soap' },
        replies: { GetParameter: failure(400, 'ParameterNotFound', '') },
      },
      { env: { ECR_REGISTRY: 'x' } },
    );
    assert.is(wrong.code, 1);
    assert.match(wrong.of('configuration'), /^problem +configuration +API_GATEWAY_TYPE must be/m);
    assert.match(wrong.of('configuration'), /^problem +configuration +RETAIN_DATA must be/m);
    assert.match(wrong.of('credentials'), /^ok/);
    assert.match(wrong.of('bootstrap'), /^problem/);
    assert.is(wrong.of('log role') + wrong.of('concurrency') + wrong.of('model'), '');
    assert.match(wrong.out, 'Problems: 3. Warnings: 0.');
    assert.is(strange.code, 0);
    assert.match(strange.of('configuration'), /^warning +configuration +ECR_REGISTRY /m);
    assert.match(strange.out, 'Problems: 0. Warnings: 1.');
  },
);

doctor('who cannot sign in is told how to, and nothing else is asked', async () => {
  const names = {
    ExpiredToken: 'The AWS credentials have expired; run aws sso login',
    InvalidClientTokenId: 'AWS does not take these credentials in us-east-1 (InvalidClientTokenId)',
    Whatever: 'AWS would not say who you are (Whatever).',
  };
  const refused = Object.keys(names).map((name) => ({
    replies: { GetCallerIdentity: xmlFailure(403, name, 'foreign words') },
  }));
  const none = { env: { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' } };
  const examined = await examine(...refused, none);
  const sentences = [...Object.values(names), 'There are no AWS credentials'];
  for (const [at, { code, of, out, actions }] of examined.entries()) {
    assert.is(code, 1);
    assert.match(of('credentials'), /^problem/);
    assert.match(of('credentials'), sentences[at] ?? '');
    assert.not.match(out, 'foreign words');
    assert.equal(actions, at < refused.length ? ['GetCallerIdentity'] : []);
  }
  assert.match(examined[3]?.out ?? '', 'run aws sso login, or set AWS_PROFILE');
});

doctor('a principal is called what it is', async () => {
  const principals = {
    'arn:aws:iam::123456789012:user/team/bob': 'You are the user bob in',
    'arn:aws:iam::123456789012:root': 'You are the root user, whom AWS advises not',
  };
  const arns = Object.keys(principals);
  const examined = await examine(...arns.map((arn) => ({ replies: { GetCallerIdentity: identity(arn) } })));
  for (const [at, says] of Object.values(principals).entries()) {
    assert.match(examined[at]?.of('credentials') ?? '', says);
  }
});

doctor('CDK must have prepared the region, in version 6 or later', async () => {
  const never = { GetParameter: failure(400, 'ParameterNotFound', '') };
  const versions = ['5', '6', ''].map((version) => ({ replies: { GetParameter: bootstrap(version) } }));
  const examined = await examine({ replies: never, env: { REGION_ID: 'eu-west-1' } }, ...versions);
  const results = examined.map(({ of }) => of('bootstrap').split(' ')[0]);
  assert.equal(results, ['problem', 'problem', 'ok', 'problem']);
  assert.match(
    examined[0]?.of('bootstrap') ?? '',
    /; run npx cdk bootstrap aws:\/\/123456789012\/eu-west-1 once\.$/,
  );
  assert.match(examined[1]?.of('bootstrap') ?? '', /older than version 6; run npx cdk bootstrap/);
});

doctor('what the principal may not look at is a warning that names the permission', async () => {
  const refused = failure(403, 'AccessDeniedException', 'foreign words');
  const replies = { GetParameter: refused, GetAccount: refused, GetAccountSettings: refused };
  const [{ code, of, out }] = await examine({ replies });
  assert.is(code, 0);
  assert.match(of('bootstrap'), /^warning .* may not ssm:GetParameter\.$/);
  assert.match(of('log role'), /^warning .* may not apigateway:GET\.$/);
  assert.match(of('concurrency'), /^warning .* may not lambda:GetAccountSettings\.$/);
  assert.not.match(out, 'foreign words');
});

const role = (name: string) => logRole(`arn:aws:iam::123456789012:role/${name}`);

doctor('the role for logs must fit what API_GATEWAY_LOG_ROLE says of it', async () => {
  const rows = [
    ['existing', logRole(), /^problem .* no role for logs in us-east-1; set API_GATEWAY_LOG_ROLE=create/],
    ['existing', role('Logs'), /^ok .* writes logs as Logs\.$/],
    ['create', logRole(), /^ok .* deploying makes one\.$/],
    ['create', role('Logs'), /^warning .* would replace Logs.* set API_GATEWAY_LOG_ROLE=existing\.$/],
    ['create', role('LlmGatewayStack-LogRole1A2B-x3Y4'), /^ok .*This stack made/],
    ['create', role('LlmGatewayStack-prod-LogRole1A2B-x3Y4'), /^warning .*would replace/],
    ['none', failure(500, 'InternalFailure', ''), /^ok .*no access logs\.$/],
  ] as const;
  const accounts = rows.map(([setting, GetAccount]) => ({
    env: { API_GATEWAY_LOG_ROLE: setting },
    replies: { GetAccount },
  }));
  const examined = await examine(...accounts);
  for (const [at, [, , says]] of rows.entries()) assert.match(examined[at]?.of('log role') ?? '', says);
});

doctor(
  'what the functions reserve is held against the quota, and against what this stack has already',
  async () => {
    const GetAccountSettings = quota(1000, 150);
    const env = { RESERVED_CONCURRENCY: '60' };
    const [first, again] = await examine(
      { env, replies: { GetAccountSettings } },
      { env, replies: { GetAccountSettings, DescribeStacks: stack('UPDATE_COMPLETE') } },
    );
    assert.match(first.of('concurrency'), /^problem .*take 60 concurrent executions, and 50 can be had/);
    assert.match(again.of('concurrency'), /^warning .*beside what this stack has already/);
    assert.equal([first.code, again.code], [1, 0]);
  },
);
doctor.run();
