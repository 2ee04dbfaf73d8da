/**
 * The first API key, and the plan that it and all later ones are of. A key of the plan opens both APIs.
 */
import { ApiKey, CfnUsagePlan, CfnUsagePlanKey } from 'aws-cdk-lib/aws-apigateway';
import { Construct } from 'constructs';
import type { RestDoor } from './rest-door.ts';
import type { WebSocketDoor } from './websocket-door.ts';

/** What one key may do, at best effort of API Gateway. */
const KEY_RATE = { rateLimit: 50, burstLimit: 100 };

export class FirstApiKey extends Construct {
  readonly key: ApiKey;
  readonly plan: CfnUsagePlan;

  constructor(
    scope: Construct,
    id: string,
    {
      rest,
      webSocket,
    }: { readonly rest: RestDoor | undefined; readonly webSocket: WebSocketDoor | undefined },
  ) {
    super(scope, id);
    this.key = new ApiKey(this, 'Key', { description: 'The first key of the gateway.' });
    this.plan = new CfnUsagePlan(this, 'Plan', {
      throttle: KEY_RATE,
      apiStages: [
        ...(rest ? [{ apiId: rest.api.restApiId, stage: rest.api.deploymentStage.stageName }] : []),
        ...(webSocket ? [{ apiId: webSocket.api.apiId, stage: webSocket.stage.stageName }] : []),
      ],
    });
    if (webSocket) this.plan.node.addDependency(webSocket.stage);
    new CfnUsagePlanKey(this, 'PlanKey', {
      keyId: this.key.keyId,
      keyType: 'API_KEY',
      usagePlanId: this.plan.ref,
    });
  }
}
