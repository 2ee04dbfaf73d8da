/**
 * What every synthesis is held against, beside CloudFormation's own schemas: AWS's rules for solutions and for serverless applications,
 * and one of its rules that is in neither.
 */
import { type App, type CfnResource, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks, NagMessageLevel, NagPack, rules, ServerlessChecks } from 'cdk-nag';

class FunctionUrlChecks extends NagPack {
  readonly name = 'FunctionUrl';
  protected override packName = 'FunctionUrl';

  protected override checkResource(node: CfnResource) {
    this.applyRule({
      ruleSuffixOverride: 'LambdaFunctionUrlAuth',
      info: 'The Lambda Function URL allows public, unauthenticated access.',
      explanation: 'Whoever calls the Function URL must sign.',
      level: NagMessageLevel.ERROR,
      rule: rules.lambda.LambdaFunctionUrlAuth,
      node,
    });
  }
}

export function addChecks(app: App) {
  Validations.of(app).addPlugins(
    new AwsSolutionsChecks(app),
    new ServerlessChecks(app),
    new FunctionUrlChecks(app),
  );
}
