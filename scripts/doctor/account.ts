/**
 * What an account needs before a gateway can be deployed into it: somebody who may, CDK's own preparation, and a role for access logs.
 */
import { APIGatewayClient, GetAccountCommand } from '@aws-sdk/client-api-gateway';
import { GetParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import type { Config } from '../../cdk/config.ts';
import {
  ask,
  type Finding,
  hasNoAddress,
  isLate,
  nameOf,
  notSeen,
  ok,
  type Place,
  problem,
  warning,
} from './finding.ts';
import { explainCredentials } from './sign-in.ts';

export type Identity = { readonly finding: Finding; readonly account?: string };

/** Whose account it is; without an answer there is nothing else to ask AWS. */
export async function checkCredentials(place: Place): Promise<Identity> {
  const client = new STSClient({ region: place.region });
  try {
    const { Account: account = '', Arn = '' } = await ask(place, (abortSignal) =>
      client.send(new GetCallerIdentityCommand({}), { abortSignal }),
    );
    return { account, finding: ok('credentials', `You are ${principalOf(Arn)} in the account ${account}.`) };
  } catch (error) {
    return { finding: problem('credentials', whyUnknown(error, place)) };
  } finally {
    client.destroy();
  }
}

/** `arn:aws:sts::123456789012:assumed-role/Admin/session` is the role Admin. */
function principalOf(arn: string): string {
  const [kind = '', name = ''] = arn.split(':').slice(5).join(':').split('/');
  if (kind === 'root') return 'the root user, whom AWS advises not to use for this,';
  return kind === 'assumed-role' ? `the role ${name}` : `the ${kind} ${arn.split('/').at(-1)}`;
}

function whyUnknown(error: unknown, { region }: Place): string {
  if (isLate(error))
    return 'AWS did not answer who you are in time; look at the network, a proxy or a credential_process.';
  if (hasNoAddress(error))
    return `AWS has no address in ${region}: set REGION_ID to a region that exists, or go online.`;
  return explainCredentials(nameOf(error), region) ?? `AWS would not say who you are (${nameOf(error)}).`;
}

/** What aws-cdk-lib asks for: `MIN_BOOTSTRAP_STACK_VERSION` of its default synthesizer. */
const BOOTSTRAP_VERSION = 6;

/** @see https://github.com/aws/aws-cdk/issues/17949 for what a deployment says otherwise, several minutes later */
export async function checkBootstrap(account: string, place: Place): Promise<Finding> {
  const { region } = place;
  const client = new SSMClient({ region });
  const command = `run npx cdk bootstrap aws://${account}/${region} once`;
  try {
    const { Parameter } = await ask(place, (abortSignal) =>
      client.send(new GetParameterCommand({ Name: '/cdk-bootstrap/hnb659fds/version' }), { abortSignal }),
    );
    const version = Number(Parameter?.Value);
    if (version >= BOOTSTRAP_VERSION)
      return ok('bootstrap', `CDK's preparation is there, version ${version}.`);
    const sentence = `CDK's preparation of ${region} is older than version ${BOOTSTRAP_VERSION}; ${command}.`;
    return problem('bootstrap', sentence);
  } catch (error) {
    if (nameOf(error) === 'ParameterNotFound')
      return problem('bootstrap', `CDK has never been prepared in ${region}; ${command}.`);
    return notSeen('bootstrap', 'ssm:GetParameter', error);
  } finally {
    client.destroy();
  }
}

/** An account has one role per region with which every API writes logs, and without it an API that has access logs cannot be made. */
export async function checkLogRole(config: Config, place: Place): Promise<Finding> {
  const check = 'log role';
  if (config.logRole === 'none')
    return ok(check, 'API_GATEWAY_LOG_ROLE is none: the APIs write no access logs.');
  const client = new APIGatewayClient({ region: place.region });
  try {
    const { cloudwatchRoleArn: role } = await ask(place, (abortSignal) =>
      client.send(new GetAccountCommand({}), { abortSignal }),
    );
    if (config.logRole === 'existing')
      return role
        ? ok(check, `API Gateway writes logs as ${nameOfRole(role)}.`)
        : problem(
            check,
            `API Gateway has no role for logs in ${place.region}; set API_GATEWAY_LOG_ROLE=create, or none for no access logs.`,
          );
    if (!role) return ok(check, 'API Gateway has no role for logs yet; deploying makes one.');
    if (isMadeBy(config.stackName, role)) return ok(check, 'This stack made the role for logs.');
    return warning(
      check,
      `Deploying would replace ${nameOfRole(role)}, with which every API of the account writes logs in ${place.region}; set API_GATEWAY_LOG_ROLE=existing.`,
    );
  } catch (error) {
    return notSeen(check, 'apigateway:GET', error);
  } finally {
    client.destroy();
  }
}

const nameOfRole = (arn: string): string => arn.split('/').at(-1) ?? arn;

/** CloudFormation names a role after its stack, its logical id, which has no dash, and chance. */
const isMadeBy = (stack: string, role: string): boolean => {
  const name = nameOfRole(role);
  return name.startsWith(`${stack}-`) && name.slice(stack.length + 1).split('-').length === 2;
};
