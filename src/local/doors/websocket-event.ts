/**
 * A connection and its messages as a WebSocket API describes them to a function and to an authorizer.
 *
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-mapping-template-reference.html
 */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { APIGatewayRequestAuthorizerEvent } from 'aws-lambda';
import type { SocketEvent } from '../../doors/socket-event.ts';
import { lastOfEach, type MultiValue, toLogTime } from './event-values.ts';

export const STAGE = 'local';
const API_ID = 'local';

/** Who is connected; it stays the same from the handshake to the end. */
export type Client = {
  readonly connectionId: string;
  /** Milliseconds since the epoch. */
  readonly connectedAt: number;
  /** The Host that was asked for. */
  readonly domainName: string;
  readonly identity: {
    readonly sourceIp: string;
    readonly userAgent: string;
    /** Only at `$connect`: the id of the key that was used. */
    readonly apiKeyId?: string;
  };
};

export const toClient = ({ headers, socket }: IncomingMessage): Client => ({
  connectionId: newId(),
  connectedAt: Date.now(),
  domainName: headers.host ?? '',
  identity: { sourceIp: socket.remoteAddress ?? '', userAgent: headers['user-agent'] ?? '' },
});

export function toAuthorizerEvent(
  client: Client,
  request: IncomingMessage,
): APIGatewayRequestAuthorizerEvent {
  const event = {
    type: 'REQUEST',
    methodArn: `arn:aws:execute-api:us-east-1:000000000000:${API_ID}/${STAGE}/$connect`,
    ...describe(request),
    stageVariables: {},
    requestContext: toContext(client, '$connect', 'CONNECT'),
  };
  // The type is that of a REST API's authorizer, which is told a method and a path besides.
  return event as unknown as APIGatewayRequestAuthorizerEvent;
}

export const toConnectEvent = (client: Client, request: IncomingMessage, tenant: string) => ({
  ...describe(request),
  requestContext: {
    ...toContext(client, '$connect', 'CONNECT'),
    identity: { ...client.identity, apiKeyId: tenant },
  },
  isBase64Encoded: false,
});

export const toMessageEvent = (client: Client, routeKey: string, body: string) => ({
  requestContext: { ...toContext(client, routeKey, 'MESSAGE'), messageId: newId() },
  body,
  isBase64Encoded: false,
});

export const toDisconnectEvent = (
  client: Client,
  disconnectStatusCode: number,
  disconnectReason: string,
) => ({
  headers: { Host: client.domainName, 'x-api-key': '', 'X-Forwarded-For': '' },
  multiValueHeaders: { Host: [client.domainName], 'x-api-key': [''], 'X-Forwarded-For': [''] },
  requestContext: {
    ...toContext(client, '$disconnect', 'DISCONNECT'),
    disconnectStatusCode,
    disconnectReason,
  },
  isBase64Encoded: false,
});

/** As AWS's look: 15 characters and a `=`, which a URL can take only as `%3D`. */
export const newId = () => `${randomBytes(11).toString('base64url')}=`;

function toContext(client: Client, routeKey: string, eventType: SocketEvent['requestContext']['eventType']) {
  const requestId = newId();
  const now = new Date();
  return {
    routeKey,
    eventType,
    ...client,
    messageDirection: 'IN',
    stage: STAGE,
    apiId: API_ID,
    requestId,
    extendedRequestId: requestId,
    requestTime: toLogTime(now),
    requestTimeEpoch: now.getTime(),
  };
}

/** The header names are as the client wrote them. */
function describe({ rawHeaders, url = '' }: IncomingMessage) {
  const multiValueHeaders = gather(
    rawHeaders.flatMap((name, at) => (at % 2 === 0 ? [[name, rawHeaders[at + 1] ?? '']] : [])),
  );
  const multiValueQueryStringParameters = gather([...new URLSearchParams(url.split(/\?(.*)/s)[1])]);
  return {
    headers: lastOfEach(multiValueHeaders),
    multiValueHeaders,
    ...(Object.keys(multiValueQueryStringParameters).length > 0 && {
      queryStringParameters: lastOfEach(multiValueQueryStringParameters),
      multiValueQueryStringParameters,
    }),
  };
}

function gather(pairs: readonly (readonly string[])[]): MultiValue {
  const groups = Map.groupBy(pairs, ([name = '']) => name);
  return Object.fromEntries([...groups].map(([name, all]) => [name, all.map(([, value = '']) => value)]));
}
