/**
 * The events by which API Gateway's WebSocket API reaches a function, as far as the gateway reads them.
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-mapping-template-reference.html
 */

export type SocketEvent = {
  readonly requestContext: {
    /** `$connect`, `$disconnect`, `$default`, or the `action` of the message where a route has its name. */
    readonly routeKey: string;
    readonly eventType: 'CONNECT' | 'MESSAGE' | 'DISCONNECT';
    readonly connectionId: string;
    /** Milliseconds since the epoch. */
    readonly connectedAt: number;
    readonly requestId: string;
    /** Only of a message. */
    readonly messageId?: string | null;
    /** Only at `$connect` does it tell who is calling. */
    readonly identity?: { readonly apiKeyId?: string | null; readonly userArn?: string | null };
  };
  /** Only of `$connect` and `$disconnect`, with names as the client wrote them. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
  readonly body?: string | null;
  /** Whether `body` is a binary message, as base64. */
  readonly isBase64Encoded?: boolean;
};

/** A status outside 200 to 299 refuses the connection at `$connect`, and reaches nobody elsewhere. */
export type SocketReply = {
  readonly statusCode: number;
  readonly headers?: Readonly<Record<string, string>>;
};
