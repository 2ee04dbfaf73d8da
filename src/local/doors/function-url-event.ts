/**
 * A request as a Function URL describes it to its function: payload format 2.0.
 * @see https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
 * @see https://github.com/hotsock/voker, vokerhttp/testdata/functionurl-request.json: one that AWS sent, July 2026
 */
import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import type { FunctionUrlEvent } from '../../doors/lambda-event.ts';
import { toLogTime } from './event-values.ts';

const ACCOUNT = '000000000000';
const URL_ID = 'local';

export function toFunctionUrlEvent(
  message: IncomingMessage,
  body: Buffer,
  requestId: string,
  accessKeyId: string,
): FunctionUrlEvent {
  const { url = '/', headersDistinct } = message;
  const [rawPath = '/', rawQueryString = ''] = url.split(/\?(.*)/s);
  const { cookie } = message.headers;
  const isText = isTextType(message.headers['content-type']) && isUtf8(body);
  return {
    version: '2.0',
    routeKey: '$default',
    // Unlike API Gateway's HTTP APIs, a Function URL leaves the path as it was sent.
    rawPath,
    rawQueryString,
    ...(cookie !== undefined && { cookies: cookie.split('; ') }),
    headers: joinEach(Object.entries(headersDistinct)),
    ...(rawQueryString !== '' && { queryStringParameters: toQuery(rawQueryString) }),
    requestContext: toContext(message, decodePath(rawPath), requestId, accessKeyId),
    ...(body.length > 0 && { body: body.toString(isText ? 'utf8' : 'base64') }),
    isBase64Encoded: body.length > 0 && !isText,
  };
}

/** @see https://github.com/ministackorg/ministack/pull/766 where the list was found by asking AWS */
const isTextType = (contentType = '') =>
  /^\s*(text\/.*|application\/(json|xml|javascript))\s*(;|$)/i.test(contentType);

function toQuery(query: string): Record<string, string> {
  const values = new URLSearchParams(query);
  return joinEach([...values.keys()].map((name) => [name, values.getAll(name)]));
}

const joinEach = (entries: readonly [string, readonly string[] | undefined][]): Record<string, string> =>
  Object.fromEntries(entries.map(([name, values = []]) => [name, values.join()]));

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function toContext(
  { method = 'GET', headers, socket }: IncomingMessage,
  path: string,
  requestId: string,
  accessKeyId: string,
): FunctionUrlEvent['requestContext'] {
  const now = new Date();
  return {
    accountId: ACCOUNT,
    apiId: URL_ID,
    authorizer: {
      iam: {
        accessKey: accessKeyId,
        accountId: ACCOUNT,
        callerId: accessKeyId,
        cognitoIdentity: null,
        principalOrgId: '',
        // The gateway takes the caller's tenant from here. There are no users and roles on a laptop: each key is a caller.
        userArn: accessKeyId,
        userId: accessKeyId,
      },
    },
    domainName: headers.host ?? '',
    domainPrefix: URL_ID,
    http: {
      method,
      path,
      protocol: 'HTTP/1.1',
      sourceIp: socket.remoteAddress ?? '',
      userAgent: headers['user-agent'] ?? '',
    },
    requestId,
    routeKey: '$default',
    stage: '$default',
    time: toLogTime(now),
    timeEpoch: now.getTime(),
  };
}
