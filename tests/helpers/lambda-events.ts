/** Events as AWS hands them to the HTTP function. */
import type { FunctionUrlEvent, RestEvent } from '../../src/doors/lambda-event.ts';

const body = '{"prompt":"Hi"}';

export const restEvent = (changes: Partial<RestEvent> = {}, identity: object = { apiKeyId: 'alice' }) =>
  ({
    httpMethod: 'POST',
    path: '/v1/chat',
    multiValueHeaders: { 'Content-Type': ['application/json'] },
    multiValueQueryStringParameters: null,
    body,
    isBase64Encoded: false,
    requestContext: { domainName: 'gateway.test', identity },
    ...changes,
  }) as RestEvent;

export const functionUrlEvent = (
  changes: Partial<FunctionUrlEvent> = {},
  authorizer: object | null = { iam: { accessKey: 'AKIA1', userArn: 'arn:aws:iam::123456789012:user/bob' } },
  method = 'POST',
) =>
  ({
    version: '2.0',
    routeKey: '$default',
    rawPath: '/v1/chat',
    rawQueryString: '',
    headers: { 'content-type': 'application/json' },
    body,
    isBase64Encoded: false,
    requestContext: { domainName: 'gateway.test', http: { method, path: '/v1/chat' }, authorizer },
    ...changes,
  }) as FunctionUrlEvent;
