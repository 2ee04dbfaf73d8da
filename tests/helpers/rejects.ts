/** `assert.throws` of uvu does not wait; this does. */
import * as assert from 'uvu/assert';
import { GatewayError } from '../../src/chat/errors.ts';

/** The failure that the call ends in. */
export async function failureOf(call: Promise<unknown> | (() => unknown)): Promise<GatewayError> {
  try {
    await (typeof call === 'function' ? call() : call);
  } catch (error) {
    if (error instanceof GatewayError) return error;
    throw error;
  }
  return assert.unreachable('nothing was thrown') as never;
}

/** What the call rejects with, whatever that is. */
export const rejectionOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => assert.unreachable('nothing was thrown'),
    (error) => error,
  );
