/**
 * What a deployed stack says of itself: the addresses, the names of its tables, all that `npm run deploy` printed at its end.
 */
import {
  CloudFormationClient,
  CloudFormationServiceException,
  DescribeStacksCommand,
  type Stack,
} from '@aws-sdk/client-cloudformation';
import { stackName } from '../src/names.ts';
import { explainCredentials } from './doctor/sign-in.ts';

/** Why there is nothing to read, as a sentence for whoever typed the command. */
export class StackError extends Error {
  override readonly name = 'StackError';
}

/** How long the question may take, retries and all. */
const LIMIT_MS = 20_000;

/**
 * Output name → value, of the stack that STACK_NAME and STAGE name, in the region of REGION_ID.
 * @throws StackError when there is no such stack, when its first deployment has not come to an end, or when AWS did not say.
 */
export async function readStack(env: NodeJS.ProcessEnv): Promise<ReadonlyMap<string, string>> {
  const name = stackName(env);
  const region = regionOf(env);
  const stack = await describeStack(name, region);
  if (stack === undefined || WITHOUT_OUTPUTS.has(stack.StackStatus ?? ''))
    throw new StackError(
      `There is no stack ${name} in ${region}; deploy it first, or set STACK_NAME, STAGE and REGION_ID.`,
    );
  if (stack.StackStatus === 'CREATE_IN_PROGRESS')
    throw new StackError(`The stack ${name} in ${region} is still being made; try again when it is there.`);
  const outputs = stack.Outputs ?? [];
  return new Map(outputs.map(({ OutputKey = '', OutputValue = '' }) => [OutputKey, OutputValue]));
}

/** Where the stack is, whatever region the AWS tools are set to. */
export const regionOf = (env: NodeJS.ProcessEnv): string => env['REGION_ID']?.trim() || 'us-east-1';

/** `REVIEW_IN_PROGRESS` is a change set that was never carried out; the others are a first deployment that failed. */
const WITHOUT_OUTPUTS = new Set([
  'REVIEW_IN_PROGRESS',
  'CREATE_FAILED',
  'ROLLBACK_IN_PROGRESS',
  'ROLLBACK_FAILED',
  'ROLLBACK_COMPLETE',
  'DELETE_COMPLETE',
]);

async function describeStack(name: string, region: string): Promise<Stack | undefined> {
  const client = new CloudFormationClient({ region });
  try {
    const abortSignal = AbortSignal.timeout(LIMIT_MS);
    const answer = await client.send(new DescribeStacksCommand({ StackName: name }), { abortSignal });
    return answer.Stacks?.[0];
  } catch (error) {
    if (isUnknownStack(error)) return undefined;
    throw new StackError(sentenceOf(error, name, region), { cause: error });
  } finally {
    client.destroy();
  }
}

/** CloudFormation has no exception for it: `ValidationError`, "Stack with id LlmGatewayStack does not exist". */
const isUnknownStack = (error: unknown): boolean =>
  error instanceof CloudFormationServiceException &&
  error.name === 'ValidationError' &&
  error.message.endsWith('does not exist');

function sentenceOf(error: unknown, name: string, region: string): string {
  const code = error instanceof Error ? error.name : 'no error';
  if (code.startsWith('AccessDenied'))
    return `Your principal may not read the stack ${name}; allow it cloudformation:DescribeStacks.`;
  return (
    explainCredentials(code, region) ??
    `CloudFormation in ${region} did not say what the stack ${name} is (${code}).`
  );
}
