/**
 * What a door of the laptop bears.
 */
const MEGABYTE = 1024 * 1024;

export const defaultLimits = {
  /** Requests that are answered at once; more are 503 `overloaded`. */
  running: 1_000,
  /** Connections that are open at once; more are closed as they come. */
  connections: 4_000,
  /** A body; more is 413. Lambda takes 6 MB. */
  bodyBytes: 6 * MEGABYTE,
  /** The bodies of all running requests together; more is 503. */
  heldBytes: 64 * MEGABYTE,
  /** The request line and the headers together; more is 431. */
  headerBytes: 16 * 1024,
  /** How long the headers may take to arrive, and how long the request as a whole; longer is 408. */
  headersMs: 10_000,
  requestMs: 30_000,
  /** How long a connection may wait for its next request. */
  idleMs: 5_000,
  /** How long, and how much, a refused caller may go on sending before the connection closes on him. */
  lingerMs: 2_000,
  lingerBytes: 32 * MEGABYTE,
  /** How long a function may run: as long as on Lambda. */
  functionMs: 900_000,
  /** How long a reader may leave a full buffer, or the end of an answer, unread. */
  unreadMs: 60_000,
};

export type DoorLimits = Readonly<typeof defaultLimits>;
