/**
 * `DELETE /v1/requests/{request_id}`: cancels a running request, whichever door it came in by.
 */
import type { Context } from 'hono';
import { GatewayError } from '../chat/errors.ts';
import type { RequestRegistry } from '../chat/lease.ts';
import { type AppEnv, callerOf } from './edge.ts';
import { id } from './question.ts';

export function createCancelRoute({ requests }: { readonly requests: RequestRegistry }) {
  return async function cancel(c: Context<AppEnv, '/v1/requests/:request_id'>): Promise<Response> {
    const { tenant } = callerOf(c);
    const { success, data: requestId } = id.safeParse(c.req.param('request_id'));
    if (!success || !(await requests.cancel({ tenant, requestId }))) throw notRunning();
    return c.json({ request_id: requestId, status: 'cancelling' }, 202);
  };
}

/** The same for an id that is unknown, that is somebody else's, and that has ended. */
export const notRunning = () =>
  new GatewayError('not_found', 'There is no running request with this id.', { param: 'request_id' });
