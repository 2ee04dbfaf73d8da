/**
 * A policy for those who sign: whoever has it may use the Function URL, and the doors of API Gateway where these take signatures. The
 * function itself it opens only through its URL, since a direct invocation could say of itself whoever it is.
 */
import { Aws, CfnCondition, Fn } from 'aws-cdk-lib';
import { CfnManagedPolicy, PolicyDocument, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import type { Config } from './config.ts';
import { acknowledgeWildcards } from './findings.ts';
import type { Functions } from './functions.ts';
import type { RestDoor } from './rest-door.ts';
import type { WebSocketDoor } from './websocket-door.ts';

export type CallersParts = {
  readonly config: Config;
  readonly functions: Functions;
  readonly rest: RestDoor | undefined;
  readonly webSocket: WebSocketDoor | undefined;
};

/** `arn:aws:iam::123456789012:role/path/Name` of a role or a user. */
const PRINCIPAL = /^arn:[\w-]+:iam::(?<account>\d{12}):(?<kind>role|user)\/(?:.*\/)?(?<name>[^/]+)$/;

export class Callers extends Construct {
  readonly policy: CfnManagedPolicy;

  constructor(scope: Construct, id: string, { config, functions, rest, webSocket }: CallersParts) {
    super(scope, id);
    const resources = [functions.http.functionArn];
    const doors = config.useIam
      ? [
          ...(rest ? [rest.api.arnForExecuteApi('*', '/*', rest.api.deploymentStage.stageName)] : []),
          ...(webSocket ? [webSocket.api.arnForExecuteApiV2('$connect', webSocket.stage.stageName)] : []),
        ]
      : [];
    const statements = [
      new PolicyStatement({
        actions: ['lambda:InvokeFunctionUrl'],
        resources,
        conditions: { StringEquals: { 'lambda:FunctionUrlAuthType': 'AWS_IAM' } },
      }),
      new PolicyStatement({
        actions: ['lambda:InvokeFunction'],
        resources,
        conditions: { Bool: { 'lambda:InvokedViaFunctionUrl': 'true' } },
      }),
      ...(doors.length > 0
        ? [new PolicyStatement({ actions: ['execute-api:Invoke'], resources: doors })]
        : []),
    ];
    this.policy = new CfnManagedPolicy(this, 'Policy', {
      description: `May ask the gateway ${config.stackName}.`,
      policyDocument: new PolicyDocument({ statements }),
      roles: this.#own('role', config.iamCallers),
      users: this.#own('user', config.iamCallers),
    });
    acknowledgeWildcards(this.policy, statements);
  }

  /**
   * The callers of this kind that are of the stack's account, which is known only when it is deployed: a WebSocket API has no policy of
   * its own that could name them. Nobody else's role could be given ours.
   */
  #own(kind: string, arns: readonly string[]): string[] {
    return arns.flatMap((arn, n) => {
      const found = PRINCIPAL.exec(arn)?.groups;
      if (found?.['kind'] !== kind) return [];
      const { account = '', name = '' } = found;
      const isOwn = new CfnCondition(this, `Owns${n}`, {
        expression: Fn.conditionEquals(account, Aws.ACCOUNT_ID),
      });
      return [Fn.conditionIf(isOwn.logicalId, name, Aws.NO_VALUE).toString()];
    });
  }
}
