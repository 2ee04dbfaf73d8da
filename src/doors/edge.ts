/**
 * What stands between a platform and the app: who is calling, how long there is, and whether anybody still listens.
 */
import type { Context } from 'hono';
import { GatewayError } from '../chat/errors.ts';
import type { Caller } from '../chat/request.ts';
import type { RequestRecord } from './record.ts';

/** What the door in front knows of a request and the request itself does not say. */
export type Edge = {
  readonly door: Caller['door'];
  /** Nobody, when the platform vouched for nobody. */
  readonly caller: Caller | undefined;
  /** When the answer must be over, in milliseconds since the epoch. */
  readonly deadline: number;
  /** Aborts when the caller has left, or when the gateway stops. */
  readonly signal: AbortSignal;
  readonly record: RequestRecord;
};

export type AppEnv = { Bindings: Edge };

/** @throws `unauthorized` */
export function callerOf(c: Context<AppEnv>): Caller {
  if (c.env.caller) return c.env.caller;
  const advice =
    c.env.door === 'function-url'
      ? 'Sign the request with AWS Signature Version 4 for the service lambda.'
      : 'Send an API key as x-api-key or as Authorization: Bearer.';
  throw new GatewayError('unauthorized', advice);
}

/**
 * How long an answer may be silent at a door, in milliseconds, and one in one piece is until it is whole: API Gateway cuts a REST response
 * after 5 minutes.
 */
export const silenceMsAt = (door: Caller['door']): number =>
  door === 'rest' ? 290_000 : Number.POSITIVE_INFINITY;
