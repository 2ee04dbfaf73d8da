/**
 * A request as API Gateway's REST API describes it to a function and to an authorizer.
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
 */
import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import type { APIGatewayProxyEvent, APIGatewayRequestAuthorizerEvent } from 'aws-lambda';
import { lastOfEach, type MultiValue } from './event-values.ts';

const ACCOUNT = '000000000000';
const STAGE = 'local';

/** The proxy event. `tenant` is the id of the key that was used, or nothing where none is needed. */
export function toProxyEvent(
  request: IncomingMessage,
  body: Buffer,
  requestId: string,
  tenant: string | undefined,
): APIGatewayProxyEvent {
  const isText = isUtf8(body);
  return {
    ...describe(request),
    body: body.length === 0 ? null : body.toString(isText ? 'utf8' : 'base64'),
    isBase64Encoded: !isText,
    requestContext: toContext(request, requestId, tenant),
  };
}

export function toAuthorizerEvent(request: IncomingMessage): APIGatewayRequestAuthorizerEvent {
  const { httpMethod, path, ...rest } = describe(request);
  return {
    ...rest,
    type: 'REQUEST',
    methodArn: `arn:aws:execute-api:us-east-1:${ACCOUNT}:local/${STAGE}/${httpMethod}${path}`,
    httpMethod,
    path,
    requestContext: { ...toContext(request, '', undefined), authorizer: undefined },
  };
}

function describe(request: IncomingMessage) {
  const { method = 'GET', url = '/', headersDistinct } = request;
  const [path = '/', query = ''] = url.split(/\?(.*)/s);
  const multiValueHeaders = onlyDefined(headersDistinct);
  const multiValueQueryStringParameters = toQuery(query);
  return {
    resource: '/{proxy+}',
    path,
    httpMethod: method,
    headers: lastOfEach(multiValueHeaders),
    multiValueHeaders,
    queryStringParameters: multiValueQueryStringParameters && lastOfEach(multiValueQueryStringParameters),
    multiValueQueryStringParameters,
    pathParameters: { proxy: path.slice(1) },
    stageVariables: null,
  };
}

const onlyDefined = (values: NodeJS.Dict<string[]>): MultiValue =>
  Object.fromEntries(Object.entries(values).map(([name, list = []]) => [name, list]));

function toQuery(query: string): MultiValue | null {
  if (query === '') return null;
  const values = new URLSearchParams(query);
  return Object.fromEntries([...values.keys()].map((name) => [name, values.getAll(name)]));
}

function toContext(
  { method = 'GET', url = '/', headers, socket }: IncomingMessage,
  requestId: string,
  tenant: string | undefined,
): APIGatewayProxyEvent['requestContext'] {
  const path = url.split('?')[0] ?? '/';
  return {
    accountId: ACCOUNT,
    apiId: 'local',
    authorizer: null,
    domainName: headers.host,
    httpMethod: method,
    identity: {
      accessKey: null,
      accountId: null,
      apiKey: null,
      apiKeyId: tenant ?? null,
      caller: null,
      clientCert: null,
      cognitoAuthenticationProvider: null,
      cognitoAuthenticationType: null,
      cognitoIdentityId: null,
      cognitoIdentityPoolId: null,
      principalOrgId: null,
      sourceIp: socket.remoteAddress ?? '',
      user: null,
      userAgent: headers['user-agent'] ?? null,
      userArn: null,
    },
    path: `/${STAGE}${path}`,
    protocol: 'HTTP/1.1',
    requestId,
    requestTimeEpoch: Date.now(),
    resourceId: 'proxy',
    resourcePath: '/{proxy+}',
    stage: STAGE,
  };
}
