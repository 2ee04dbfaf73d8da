/** Reading a deployed stack, against a stand-in for CloudFormation. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { failure, type Replies, runIn, stack, withAws, xmlFailure } from '../helpers/aws-stand-in.ts';

type Read = { outputs?: [string, string][]; name?: string; message?: string };

/** `readStack` in a process of its own, since the SDK reads its keys from the process. */
async function read(replies: Replies, env: Record<string, string | undefined> = {}) {
  return withAws(replies, async ({ url, folder, calls }) => {
    const script = `
      import { readStack } from ${JSON.stringify(new URL('../../scripts/stack.ts', import.meta.url))};
      const tell = (value) => console.log(JSON.stringify(value));
      await readStack(process.env).then((map) => tell({ outputs: [...map] }), ({ name, message }) => tell({ name, message }));`;
    const args = ['--input-type=module', '-e', script];
    const { out, err } = await runIn(folder, args, { AWS_ENDPOINT_URL: url, ...env });
    const result: Read = JSON.parse(out || err);
    return { ...result, calls };
  });
}

const readStack = suite('readStack');

readStack('gives the outputs by name, of the stack and region that the variables say', async () => {
  const outputs = { RestUrl: 'https://a.example/prod', AnswersTable: 'S-answers-1' };
  const env = { STACK_NAME: 'Gate', STAGE: 'prod', REGION_ID: 'eu-west-1', AWS_REGION: 'us-west-2' };
  const found = await read({ DescribeStacks: stack('UPDATE_COMPLETE', outputs) }, env);
  assert.equal(found.outputs, Object.entries(outputs));
  assert.equal(
    found.calls.map(({ signedBy }) => signedBy),
    ['AKIATEST eu-west-1'],
  );
  assert.is(new URLSearchParams(found.calls[0]?.body).get('StackName'), 'Gate-prod');
});

readStack('without variables it is LlmGatewayStack in us-east-1, wherever the AWS tools look', async () => {
  const { calls } = await read({ DescribeStacks: stack('CREATE_COMPLETE') }, { AWS_REGION: 'us-west-2' });
  assert.is(calls[0]?.signedBy, 'AKIATEST us-east-1');
  assert.is(new URLSearchParams(calls[0]?.body).get('StackName'), 'LlmGatewayStack');
});

for (const status of ['UPDATE_IN_PROGRESS', 'UPDATE_ROLLBACK_COMPLETE', 'CREATE_COMPLETE']) {
  readStack(`a stack in ${status} can be read`, async () => {
    assert.equal((await read({ DescribeStacks: stack(status, { A: 'b' }) })).outputs, [['A', 'b']]);
  });
}

const ABSENT =
  'There is no stack LlmGatewayStack in us-east-1; deploy it first, or set STACK_NAME, STAGE and REGION_ID.';
const noStack = xmlFailure(400, 'ValidationError', 'Stack with id LlmGatewayStack does not exist');

for (const [what, reply, sentence] of [
  ['no such stack', noStack, ABSENT],
  ['a first deployment that failed', stack('ROLLBACK_COMPLETE'), ABSENT],
  ['a change set that was never carried out', stack('REVIEW_IN_PROGRESS'), ABSENT],
  ['a first deployment under way', stack('CREATE_IN_PROGRESS'), /is still being made; try again/],
  [
    'another mistake in the request',
    xmlFailure(400, 'ValidationError', 'foreign'),
    /did not say .* \(ValidationError\)\.$/,
  ],
  [
    'a principal who may not',
    xmlFailure(403, 'AccessDenied', 'foreign'),
    /may not read .*cloudformation:DescribeStacks\.$/,
  ],
  ['credentials of yesterday', xmlFailure(403, 'ExpiredToken', 'foreign'), /have expired; run aws sso login/],
  ['an AWS that is down', failure(503, 'ServiceUnavailable', 'foreign'), /did not say/],
] as const) {
  readStack(`${what} is one sentence of ours`, async () => {
    const { name, message = '' } = await read({ DescribeStacks: reply });
    assert.is(name, 'StackError');
    if (typeof sentence === 'string') assert.is(message, sentence);
    else assert.match(message, sentence);
    assert.not.match(message, 'foreign');
  });
}

readStack('no credentials at all is one sentence of ours', async () => {
  const none = { AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined };
  assert.match((await read({}, none)).message ?? '', 'There are no AWS credentials');
});
readStack.run();
