/**
 * How a failure looks on the wire: one envelope, whether it is a body, an event or a frame.
 */
import { errorKinds, type GatewayError } from '../chat/errors.ts';

/** The whole envelope stays below 4 KB; messages and names that quote a caller are cut to fit. */
const MAX_MESSAGE_BYTES = 3_000;
const MAX_PARAM_BYTES = 400;

export type Envelope = {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly request_id: string;
    readonly retryable: boolean;
    readonly status: number;
  };
};

export function toEnvelope(error: GatewayError, requestId: string): Envelope {
  const { status, type, retryable } = errorKinds[error.code];
  return {
    error: {
      code: error.code,
      message: cut(error.message, MAX_MESSAGE_BYTES),
      type,
      param: error.param === undefined ? null : cut(error.param, MAX_PARAM_BYTES),
      request_id: requestId,
      retryable,
      status,
    },
  };
}

/**
 * The envelope as an HTTP answer. `x-should-retry: false` keeps OpenAI's and Anthropic's clients from sending again what
 * would fail again: by themselves they retry every 409 and 5xx.
 */
export function toErrorResponse(
  error: GatewayError,
  requestId: string,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const { status, retryable } = errorKinds[error.code];
  const response = Response.json(toEnvelope(error, requestId), { status, headers });
  if (!retryable && (status === 409 || status >= 500)) response.headers.set('x-should-retry', 'false');
  const retryAfterSeconds = error.retryAfterSeconds ?? (status === 429 && retryable ? 1 : undefined);
  if (retryAfterSeconds !== undefined) response.headers.set('retry-after', String(retryAfterSeconds));
  return response;
}

/** Cuts to `maxBytes` as JSON counts them, where a control character takes six. */
function cut(text: string, maxBytes: number): string {
  let end = Math.min(text.length, maxBytes);
  while (Buffer.byteLength(JSON.stringify(text.slice(0, end))) > maxBytes) end = Math.floor(end * 0.9);
  return end === text.length ? text : `${text.slice(0, end).toWellFormed()}…`;
}
