/**
 * The REST API: regional, since an edge-optimized one ends a stream after 30 silent seconds, and one function behind all of its paths,
 * whose answers it passes on while they are written.
 */
import { Duration } from 'aws-cdk-lib';
import {
  AccessLogFormat,
  ApiKeySourceType,
  AuthorizationType,
  EndpointType,
  type IResource,
  LambdaIntegration,
  LogGroupLogDestination,
  type MethodOptions,
  RequestAuthorizer,
  ResponseTransferMode,
  RestApi,
} from 'aws-cdk-lib/aws-apigateway';
import {
  AnyPrincipal,
  ArnPrincipal,
  Effect,
  type IPrincipal,
  PolicyDocument,
  PolicyStatement,
} from 'aws-cdk-lib/aws-iam';
import type { ILogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import type { Config } from './config.ts';
import { acknowledge } from './findings.ts';
import type { Functions } from './functions.ts';
import { addGatewayResponses } from './gateway-responses.ts';

/** Not `v1`: the paths begin with that. */
export const STAGE = 'live';

/** What a stage takes, of all callers together; the account's own limit is 10,000 a second and 5,000 at once. */
export const STAGE_RATE = { perSecond: 1_000, burst: 2_000 };

/** The longest that a stream may be. */
const LONGEST = Duration.minutes(15);

export type RestDoorParts = {
  readonly config: Config;
  readonly functions: Functions;
  /** Nothing when the account lets API Gateway write no logs. */
  readonly accessLogs: ILogGroup | undefined;
};

export class RestDoor extends Construct {
  readonly api: RestApi;

  constructor(scope: Construct, id: string, { config, functions, accessLogs }: RestDoorParts) {
    super(scope, id);
    const policy = createResourcePolicy(config);
    this.api = new RestApi(this, 'Api', {
      restApiName: config.stackName,
      endpointTypes: [EndpointType.REGIONAL],
      apiKeySourceType: functions.authorizer ? ApiKeySourceType.AUTHORIZER : ApiKeySourceType.HEADER,
      cloudWatchRole: false,
      ...(policy && { policy }),
      deployOptions: {
        stageName: STAGE,
        throttlingRateLimit: STAGE_RATE.perSecond,
        throttlingBurstLimit: STAGE_RATE.burst,
        ...(accessLogs && {
          accessLogDestination: new LogGroupLogDestination(accessLogs),
          accessLogFormat: AccessLogFormat.custom(JSON.stringify(accessLogFields)),
        }),
      },
    });
    // Its output; the stack has its own.
    this.api.node.tryRemoveChild('Endpoint');
    const integration = new LambdaIntegration(functions.http, {
      responseTransferMode: ResponseTransferMode.STREAM,
      timeout: LONGEST,
      scopePermissionToMethod: false,
    });
    const options = this.#methodOptions(config, functions);
    for (const resource of [this.api.root, this.api.root.addResource('{proxy+}')]) {
      addMethods(resource, integration, options, config);
    }
    addGatewayResponses(this.api, config.allowedOrigins);
  }

  /** A method can have only one authorizer: with a key alone it is ours, which finds the key wherever a client may put it. */
  #methodOptions({ useApiKey, useIam }: Config, { authorizer }: Functions): MethodOptions {
    if (!authorizer) return { authorizationType: AuthorizationType.IAM, apiKeyRequired: useApiKey && useIam };
    return {
      apiKeyRequired: true,
      authorizer: new RequestAuthorizer(this, 'Authorizer', {
        handler: authorizer,
        // An absent identity source would be a 401 before the authorizer has looked into the other places, and a cached result another caller's.
        identitySources: [],
        resultsCacheTtl: Duration.seconds(0),
      }),
    };
  }
}

/** A preflight cannot bring a key nor a signature; without origins there is none to answer. */
function addMethods(
  resource: IResource,
  integration: LambdaIntegration,
  options: MethodOptions,
  config: Config,
) {
  resource.addMethod('ANY', integration, options);
  if (config.allowedOrigins.length === 0) return;
  const preflight = resource.addMethod('OPTIONS', integration, { authorizationType: AuthorizationType.NONE });
  acknowledge(
    preflight,
    'AwsSolutions-APIG4',
    'A preflight brings neither key nor signature; it says nothing but CORS headers.',
  );
}

/** Who signs for an IAM door from another account needs to be let in here; who calls from elsewhere than the CIDRs is refused whoever he is. */
function createResourcePolicy(config: Config): PolicyDocument | undefined {
  const everything = { actions: ['execute-api:Invoke'], resources: ['execute-api:/*'] };
  const { allowedCidrs } = config;
  const principals = allowedPrincipals(config);
  const statements: PolicyStatement[] = [];
  if (principals.length > 0) statements.push(new PolicyStatement({ ...everything, principals }));
  if (allowedCidrs.length > 0) {
    statements.push(
      new PolicyStatement({
        ...everything,
        effect: Effect.DENY,
        principals: [new AnyPrincipal()],
        conditions: { NotIpAddress: { 'aws:SourceIp': allowedCidrs } },
      }),
    );
  }
  return statements.length > 0 ? new PolicyDocument({ statements }) : undefined;
}

/** Where no signature tells who calls, a policy that only refuses would let nobody in. */
function allowedPrincipals({ useIam, iamCallers, allowedCidrs }: Config): IPrincipal[] {
  if (useIam) return iamCallers.map((arn) => new ArnPrincipal(arn));
  return allowedCidrs.length > 0 ? [new AnyPrincipal()] : [];
}

/**
 * One line of JSON for each request. The key itself and who signed are not in it.
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-variables-for-access-logging.html
 */
const accessLogFields = {
  request_id: '$context.requestId',
  time: '$context.requestTime',
  ip: '$context.identity.sourceIp',
  api_key_id: '$context.identity.apiKeyId',
  method: '$context.httpMethod',
  resource: '$context.resourcePath',
  status: '$context.status',
  refusal: '$context.error.responseType',
  transfer_mode: '$context.integration.responseTransferMode',
  time_to_headers_ms: '$context.integration.timeToAllHeaders',
  time_to_first_content_ms: '$context.integration.timeToFirstContent',
  latency_ms: '$context.integration.latency',
  bytes: '$context.responseLength',
};
