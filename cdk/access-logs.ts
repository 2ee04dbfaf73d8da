/**
 * Where API Gateway writes who called, and the role by which it may: one for the whole account and region, which a new account lacks.
 */
import { RemovalPolicy } from 'aws-cdk-lib';
import { CfnAccount } from 'aws-cdk-lib/aws-apigateway';
import { ManagedPolicy, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import type { Config } from './config.ts';
import { acknowledge } from './findings.ts';

export class AccessLogs extends Construct {
  readonly #retention: number;
  readonly #account: CfnAccount | undefined;

  constructor(scope: Construct, id: string, { logRole, logRetentionDays }: Config) {
    super(scope, id);
    this.#retention = logRetentionDays;
    if (logRole === 'create') this.#account = this.#createAccountRole();
  }

  /** A log group for the stage of an API, which has to be made after the role. */
  createGroup(name: string): LogGroup {
    const group = new LogGroup(this, name, {
      retention: this.#retention,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    if (this.#account) group.node.addDependency(this.#account);
    return group;
  }

  /** It stays when the stack goes: others in the account may have come to need it. */
  #createAccountRole(): CfnAccount {
    const role = new Role(this, 'Role', {
      assumedBy: new ServicePrincipal('apigateway.amazonaws.com'),
      managedPolicies: [
        ManagedPolicy.fromAwsManagedPolicyName('service-role/AmazonAPIGatewayPushToCloudWatchLogs'),
      ],
    });
    acknowledge(
      role,
      'AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs]',
      'The role is the whole account’s, and this is the policy that AWS has made for it.',
    );
    role.applyRemovalPolicy(RemovalPolicy.RETAIN);
    const account = new CfnAccount(this, 'Account', { cloudWatchRoleArn: role.roleArn });
    account.applyRemovalPolicy(RemovalPolicy.RETAIN);
    return account;
  }
}
