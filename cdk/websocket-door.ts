/**
 * The WebSocket API. Who connects is asked once, at `$connect`; every message goes to one function by `$default`, which reads its action.
 */
import { Stack } from 'aws-cdk-lib';
import { AccessLogFormat } from 'aws-cdk-lib/aws-apigateway';
import {
  type IWebSocketRouteAuthorizer,
  LogGroupLogDestination,
  WebSocketApi,
  WebSocketApiKeySelectionExpression,
  WebSocketRoute,
  WebSocketStage,
} from 'aws-cdk-lib/aws-apigatewayv2';
import { WebSocketIamAuthorizer, WebSocketLambdaAuthorizer } from 'aws-cdk-lib/aws-apigatewayv2-authorizers';
import { WebSocketLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import type { ILogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import type { Config } from './config.ts';
import { acknowledge } from './findings.ts';
import type { Callback, Functions } from './functions.ts';
import { STAGE, STAGE_RATE } from './rest-door.ts';

export type WebSocketDoorParts = { readonly config: Config; readonly accessLogs: ILogGroup | undefined };

export class WebSocketDoor extends Construct {
  readonly api: WebSocketApi;
  readonly stage: WebSocketStage;
  readonly #config: Config;

  constructor(scope: Construct, id: string, { config, accessLogs }: WebSocketDoorParts) {
    super(scope, id);
    this.#config = config;
    const { AUTHORIZER_USAGE_IDENTIFIER_KEY, HEADER_X_API_KEY } = WebSocketApiKeySelectionExpression;
    this.api = new WebSocketApi(this, 'Api', {
      apiName: `${config.stackName}-websocket`,
      ...(config.useApiKey && {
        apiKeySelectionExpression: config.useIam ? HEADER_X_API_KEY : AUTHORIZER_USAGE_IDENTIFIER_KEY,
      }),
    });
    this.stage = new WebSocketStage(this, 'Stage', {
      webSocketApi: this.api,
      stageName: STAGE,
      autoDeploy: true,
      throttle: { rateLimit: STAGE_RATE.perSecond, burstLimit: STAGE_RATE.burst },
      ...(accessLogs && {
        accessLogSettings: {
          destination: new LogGroupLogDestination(accessLogs),
          format: AccessLogFormat.custom(JSON.stringify(accessLogFields)),
        },
      }),
    });
  }

  /** What functions need to post frames. It names the API and nothing that stands behind it, so its functions may depend on it. */
  get callback(): Callback {
    const { account, partition, region, urlSuffix } = Stack.of(this);
    return {
      url: `https://${this.api.apiId}.execute-api.${region}.${urlSuffix}/${STAGE}`,
      statement: new PolicyStatement({
        actions: ['execute-api:ManageConnections'],
        resources: [
          `arn:${partition}:execute-api:${region}:${account}:${this.api.apiId}/${STAGE}/*/@connections/*`,
        ],
      }),
    };
  }

  /** Puts the function behind the routes. */
  connect(handler: IFunction, authorizer: Functions['authorizer']) {
    const integration = new WebSocketLambdaIntegration('Integration', handler);
    const webSocketApi = this.api;
    new WebSocketRoute(this, 'Connect', {
      webSocketApi,
      routeKey: '$connect',
      integration,
      apiKeyRequired: this.#config.useApiKey,
      authorizer: connectAuthorizer(authorizer),
    });
    for (const routeKey of ['$disconnect', '$default']) {
      const route = new WebSocketRoute(this, routeKey.slice(1), { webSocketApi, routeKey, integration });
      acknowledge(
        route,
        'AwsSolutions-APIG4',
        'Who may connect is asked at $connect, the only route that can ask.',
      );
    }
  }
}

/** A key that is missing from one place may stand in another, so no identity source is asked for. */
const connectAuthorizer = (authorizer: Functions['authorizer']): IWebSocketRouteAuthorizer =>
  authorizer
    ? new WebSocketLambdaAuthorizer('Authorizer', authorizer, { identitySource: [] })
    : new WebSocketIamAuthorizer();

/** @see https://docs.aws.amazon.com/apigateway/latest/developerguide/websocket-api-logging.html */
const accessLogFields = {
  request_id: '$context.requestId',
  time: '$context.requestTime',
  ip: '$context.identity.sourceIp',
  api_key_id: '$context.identity.apiKeyId',
  connection_id: '$context.connectionId',
  event: '$context.eventType',
  route: '$context.routeKey',
  status: '$context.status',
  latency_ms: '$context.integrationLatency',
};
