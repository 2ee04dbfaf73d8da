/**
 * A parameter for every setting that has a first value. Operators change them while the gateway runs; a deploy writes one again only when
 * its value in the deployment's variables has changed, since CloudFormation compares templates and not what Parameter Store holds.
 */
import { ArnFormat, Stack } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { StringParameter } from 'aws-cdk-lib/aws-ssm';
import { Construct } from 'constructs';
import { settingsTable } from '../src/chat/settings.ts';
import { environment, settingsPath } from '../src/names.ts';
import type { Config } from './config.ts';

export class InitialSettings extends Construct {
  readonly path: string;
  readonly environment: Record<string, string>;

  constructor(scope: Construct, id: string, config: Config) {
    super(scope, id);
    this.path = settingsPath(config.stackName);
    for (const { name, meaning } of settingsTable) {
      const stringValue = config.settings.get(name);
      if (stringValue === undefined) continue;
      new StringParameter(this, name, {
        parameterName: `${this.path}/${name}`,
        stringValue,
        description: meaning,
      });
    }
    this.environment = {
      [environment.settingsPath]: this.path,
      [environment.settingsMaxAgeSeconds]: String(config.settingsMaxAgeSeconds),
      [environment.defaultModel]: config.defaultModel,
      [environment.allowedModels]: config.allowedModels.join(),
      [environment.allowedOrigins]: config.allowedOrigins.join(),
    };
  }

  /** To read them, and not to write them. */
  get statement(): PolicyStatement {
    const arn = (resourceName: string) =>
      Stack.of(this).formatArn({
        service: 'ssm',
        resource: 'parameter',
        resourceName,
        arnFormat: ArnFormat.SLASH_RESOURCE_NAME,
      });
    const name = this.path.slice(1);
    return new PolicyStatement({
      actions: ['ssm:GetParametersByPath'],
      resources: [arn(name), arn(`${name}/*`)],
    });
  }
}
