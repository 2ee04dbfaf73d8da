/**
 * What the WebSocket API of the laptop bears. Most of it is what API Gateway bears.
 *
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html
 */
const KILOBYTE = 1024;

export const defaultSocketLimits = {
  /** A frame, which may be a piece of a message, and a message; more closes with 1009. */
  frameBytes: 32 * KILOBYTE,
  messageBytes: 128 * KILOBYTE,
  /** How long a connection may be silent in both directions, and live at all; longer closes with 1001. */
  idleMs: 600_000,
  lifeMs: 7_200_000,
  /** How long the authorizer and a route may take. */
  integrationMs: 29_000,
  /** Connections that are open or opening at once; more are 503. AWS knows no such limit. */
  connections: 2_000,
  /** What may wait for a client who reads slowly; with more, a post to it is 429. AWS tells no number. */
  bufferedBytes: 256 * KILOBYTE,
  /** How long it may be more before the connection is cut. */
  unreadMs: 60_000,
  /** How often a peer is asked whether it is there; one that did not answer the last time is cut off. */
  pingMs: 30_000,
  /** How long a client has to answer a close, or to read a refusal. */
  farewellMs: 1_000,
};

export type SocketLimits = Readonly<typeof defaultSocketLimits>;
