/**
 * The worker that answers what came over a WebSocket: the same bundle as another function, which has minutes where a route has seconds.
 * @see https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
 */
import { GatewayError } from '../chat/errors.ts';
import type { RequestKey } from '../chat/lease.ts';
import type { SignedFetch } from './signed-fetch.ts';

const INVOKE_TIMEOUT_MS = 5_000;
const ACCEPTED = 202;

type Job = RequestKey & { readonly connectionId: string };

/**
 * Hands a request to the worker, which may receive it more than once. Only ids travel: the question must not lie in a queue or in the
 * record of a failure.
 *
 * @throws `overloaded` when Lambda does not take it
 */
export function createWorkerStarter(fetch: SignedFetch, endpoint: string, functionName: string) {
  return async function startWorker(job: Job): Promise<void> {
    const url = `${endpoint}/2015-03-31/functions/${encodeURIComponent(functionName)}/invocations`;
    const init = {
      method: 'POST',
      headers: { 'x-amz-invocation-type': 'Event' },
      body: JSON.stringify(job),
      timeoutMs: INVOKE_TIMEOUT_MS,
    };
    const response = await fetch(url, init).catch((cause: unknown) => {
      throw refused(cause);
    });
    await response.arrayBuffer().catch(() => undefined);
    if (response.status !== ACCEPTED) throw refused(new Error(`HTTP ${response.status}`));
  };
}

const refused = (cause: unknown) =>
  new GatewayError('overloaded', 'The gateway has no room for this request now; send it again.', {
    retryAfterSeconds: 1,
    cause,
  });
