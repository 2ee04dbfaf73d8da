/**
 * The gateway in an AWS account, as the diagram in the README shows it: three doors, functions behind them, tables and settings behind
 * those.
 */
import { Annotations, CfnOutput, Stack } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { AccessLogs } from './access-logs.ts';
import { FirstApiKey } from './api-key.ts';
import { Callers } from './callers.ts';
import type { Config } from './config.ts';
import { acknowledgeOfTheStack } from './findings.ts';
import { Firewall } from './firewall.ts';
import { FunctionUrlDoor } from './function-url-door.ts';
import { Functions } from './functions.ts';
import { searchOutputs } from './open-search.ts';
import { Operations } from './operations.ts';
import { RestDoor } from './rest-door.ts';
import { InitialSettings } from './settings.ts';
import { Tables } from './tables.ts';
import { WebSocketDoor } from './websocket-door.ts';

export class GatewayStack extends Stack {
  constructor(scope: Construct, config: Config) {
    super(scope, config.stackName, {
      stackName: config.stackName,
      env: { region: config.region },
      description: 'A gateway in front of Amazon Bedrock.',
    });
    for (const [n, warning] of config.warnings.entries()) {
      Annotations.of(this).addWarningV2(`llm-gateway:${n}`, warning);
    }
    acknowledgeOfTheStack(this, { hasAccessLogs: config.logRole !== 'none' });

    const logs = config.logRole === 'none' ? undefined : new AccessLogs(this, 'AccessLogs', config);
    const tables = new Tables(this, 'Tables', config);
    const settings = new InitialSettings(this, 'Settings', config);
    const webSocket = config.hasWebSocket
      ? new WebSocketDoor(this, 'WebSocketDoor', { config, accessLogs: logs?.createGroup('WebSocket') })
      : undefined;
    const functions = new Functions(this, 'Functions', {
      config,
      tables,
      settings,
      callback: webSocket?.callback,
    });
    if (functions.webSocket) webSocket?.connect(functions.webSocket, functions.authorizer);
    const rest = config.hasRest
      ? new RestDoor(this, 'RestDoor', { config, functions, accessLogs: logs?.createGroup('Rest') })
      : undefined;
    if (rest && config.hasFirewall) new Firewall(this, 'Firewall', rest.api);
    const functionUrl = new FunctionUrlDoor(this, 'FunctionUrlDoor', config, functions);
    const firstKey = config.useApiKey ? new FirstApiKey(this, 'FirstApiKey', { rest, webSocket }) : undefined;
    const callers = new Callers(this, 'Callers', { config, functions, rest, webSocket });
    const operations = new Operations(this, 'Operations', {
      config,
      functions,
      tables,
      settingsPath: settings.path,
    });

    this.#say({
      RestUrl: rest?.api.url,
      OpenAIBaseUrl: rest && `${rest.api.url}v1`,
      WebSocketUrl: webSocket?.stage.url,
      FunctionUrl: functionUrl.url.url,
      UsesIam: String(config.useIam),
      ApiKeyId: firstKey?.key.keyId,
      UsagePlanId: firstKey?.plan.ref,
      CallerPolicyArn: callers.policy.ref,
      SettingsPath: settings.path,
      DashboardUrl: `https://${config.region}.console.aws.amazon.com/cloudwatch/home?region=${config.region}#dashboards:name=${operations.dashboard.dashboardName}`,
      ...tables.outputs,
      ...searchOutputs(config, functions),
      NextShowApiKey:
        firstKey &&
        `aws apigateway get-api-key --include-value --query value --output text --region ${config.region} --api-key ${firstKey.key.keyId}`,
      NextSmoke: 'npm run smoke',
      NextCall: `npm run call -- --url ${functionUrl.url.url} "What is a Faraday cage?"`,
      NextSettings: 'npm run settings -- list --aws',
      NextBulkUpload: 'npm run bulk-upload -- samples/network-outages.json',
    });
  }

  /** As outputs of the stack, which the scripts read. */
  #say(outputs: Readonly<Record<string, string | undefined>>) {
    for (const [name, value] of Object.entries(outputs)) {
      if (value !== undefined) new CfnOutput(this, name, { value });
    }
  }
}
