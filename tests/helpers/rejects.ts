/** `assert.throws` of uvu does not wait; this does. */
import * as assert from 'uvu/assert';
import { GatewayError } from '../../src/chat/errors.ts';

/** The failure that `run` ends in. */
export async function failureOf(run: () => unknown): Promise<GatewayError> {
  try {
    await run();
  } catch (error) {
    if (error instanceof GatewayError) return error;
    throw error;
  }
  return assert.unreachable('nothing was thrown') as never;
}
