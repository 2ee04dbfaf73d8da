/**
 * What the WebSocket door and its worker are made of: where questions wait, who is connected, and how they are reached.
 */
import type { Clock } from '../chat/clock.ts';
import type { Lease, RequestKey, RequestRegistry } from '../chat/lease.ts';
import type { Caller } from '../chat/request.ts';
import type { Settings } from '../chat/settings.ts';
import type { PostResult } from './frames.ts';
import type { Log } from './record.ts';

/** A question that waits for its worker, by the connection that the answer goes to. */
export type Waiting = {
  readonly text: string;
  readonly caller: Caller;
  readonly connectionId: string;
  /** What it takes of the connection's limit. */
  readonly slot: string;
  readonly messageId: string;
};

/** What the worker is told. Only ids: the question must not lie in a queue or in the record of a failure. */
export type Job = RequestKey & { readonly connectionId: string };

export type Connections = {
  add(connectionId: string, caller: Caller, expiresAt: number): Promise<void>;
  enter(
    connectionId: string,
  ): Promise<{ readonly caller: Caller; readonly expiresAt: number } | 'busy' | undefined>;
  reserve(connectionId: string, requestId: string, until: number): Promise<string | undefined>;
  isOpen(connectionId: string): Promise<boolean>;
  release(connectionId: string, slots: readonly string[]): Promise<void>;
  remove(connectionId: string): Promise<readonly RequestKey[]>;
};

export type Sockets = {
  /** Never rejects, nor does `close`. */
  post(connectionId: string, text: string): Promise<PostResult>;
  close(connectionId: string): Promise<void>;
};

export type SocketParts = {
  readonly loadSettings: () => Promise<Settings>;
  /** Origins whose pages may connect, or `*`. */
  readonly allowedOrigins: readonly string[];
  readonly clock: Clock;
  readonly log: Log;
  readonly connections: Connections;
  readonly sockets: Sockets;
  readonly requests: RequestRegistry & {
    /** Nothing when the same message was stored before. */
    store(key: RequestKey, waiting: Waiting, until: number): Promise<Lease | undefined>;
  };
  /** Resolves with the whole text when no part is missing any more. */
  readonly addPart: (
    key: RequestKey,
    part: {
      readonly connectionId: string;
      readonly n: number;
      readonly of: number;
      readonly data: string;
    },
  ) => Promise<string | undefined>;
  readonly startWorker: (job: Job) => Promise<void>;
};
