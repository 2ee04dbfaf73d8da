/**
 * What is sent over a WebSocket goes through API Gateway's management API.
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html
 */
import type { SignedFetch } from './signed-fetch.ts';

/** How long API Gateway may take for one frame. */
const POST_TIMEOUT_MS = 5_000;

/**
 * What became of a message: `gone` when nobody is there any more, `throttled` when there are too many or the client reads too slowly,
 * `failed` when it may have arrived or not.
 */
export type PostResult = 'sent' | 'gone' | 'throttled' | 'too-large' | 'forbidden' | 'failed';

const results: ReadonlyMap<number, PostResult> = new Map([
  [410, 'gone'],
  [429, 'throttled'],
  [413, 'too-large'],
  [403, 'forbidden'],
]);

/** `endpoint` is the URL of the API's stage, without a slash at its end. */
export function createSockets(fetch: SignedFetch, endpoint: string) {
  // Ids end in `=`.
  const toUrl = (connectionId: string) => `${endpoint}/@connections/${encodeURIComponent(connectionId)}`;

  return {
    /** Never rejects. */
    async post(connectionId: string, text: string): Promise<PostResult> {
      try {
        const init = { method: 'POST', body: text, timeoutMs: POST_TIMEOUT_MS };
        const response = await fetch(toUrl(connectionId), init);
        // Read to its end, so that the connection can be used again.
        await response.arrayBuffer();
        return response.ok ? 'sent' : (results.get(response.status) ?? 'failed');
      } catch {
        return 'failed';
      }
    },

    /** Closes the connection, if it can. Never rejects. */
    async close(connectionId: string): Promise<void> {
      const init = { method: 'DELETE', timeoutMs: POST_TIMEOUT_MS };
      await fetch(toUrl(connectionId), init).catch(() => undefined);
    },
  };
}
