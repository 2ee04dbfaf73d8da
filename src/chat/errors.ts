/**
 * Everything that can go wrong, as one closed list. A code decides the HTTP status, the OpenAI error type and whether the
 * same request may succeed if it is sent again; every door reads them from here.
 */

/** The error types of OpenAI's API, which its clients turn into exception classes. */
export type ErrorType =
  | 'invalid_request_error'
  | 'authentication_error'
  | 'permission_error'
  | 'not_found_error'
  | 'rate_limit_error'
  | 'server_error';

type ErrorKind = { readonly status: number; readonly type: ErrorType; readonly retryable: boolean };

const kind = (status: number, type: ErrorType, retryable = false): ErrorKind => ({ status, type, retryable });

/** Code → what it means on every door. */
export const errorKinds = {
  invalid_json: kind(400, 'invalid_request_error'),
  invalid_request: kind(400, 'invalid_request_error'),
  context_length_exceeded: kind(400, 'invalid_request_error'),
  upstream_rejected: kind(400, 'invalid_request_error'),
  unauthorized: kind(401, 'authentication_error'),
  forbidden: kind(403, 'permission_error'),
  not_found: kind(404, 'not_found_error'),
  model_not_found: kind(404, 'not_found_error'),
  method_not_allowed: kind(405, 'invalid_request_error'),
  conflict: kind(409, 'invalid_request_error'),
  payload_too_large: kind(413, 'invalid_request_error'),
  unsupported_media_type: kind(415, 'invalid_request_error'),
  rate_limited: kind(429, 'rate_limit_error', true),
  quota_exceeded: kind(429, 'rate_limit_error'),
  upstream_throttled: kind(429, 'rate_limit_error', true),
  cancelled: kind(499, 'invalid_request_error'),
  internal_error: kind(500, 'server_error'),
  upstream_error: kind(502, 'server_error', true),
  upstream_truncated: kind(502, 'server_error', true),
  upstream_protocol_error: kind(502, 'server_error', true),
  upstream_access_denied: kind(502, 'server_error'),
  upstream_unreachable: kind(502, 'server_error', true),
  overloaded: kind(503, 'server_error', true),
  config_unavailable: kind(503, 'server_error', true),
  config_invalid: kind(503, 'server_error'),
  history_unavailable: kind(503, 'server_error', true),
  storage_unavailable: kind(503, 'server_error', true),
  upstream_unavailable: kind(503, 'server_error', true),
  upstream_timeout: kind(504, 'server_error', true),
  upstream_stalled: kind(504, 'server_error', true),
  deadline_exceeded: kind(504, 'server_error'),
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof errorKinds;

type Details = {
  /** The field of the request that is at fault, as the caller wrote it: `parameters.max_tokens`. */
  readonly param?: string;
  /** How long the caller should wait before the next try, in seconds. */
  readonly retryAfterSeconds?: number;
  /** What was caught. For the log's eyes only: it never reaches a caller. */
  readonly cause?: unknown;
};

/** A failure that a caller may be told of. `message` is a sentence of our own, never somebody else's text. */
export class GatewayError extends Error {
  override readonly name = 'GatewayError';
  readonly code: ErrorCode;
  readonly param: string | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(code: ErrorCode, message: string, { param, retryAfterSeconds, cause }: Details = {}) {
    super(message, { cause });
    this.code = code;
    this.param = param;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** Anything that was thrown, as a failure that may be told: what is not ours becomes `internal_error`. */
export function toGatewayError(thrown: unknown): GatewayError {
  if (thrown instanceof GatewayError) return thrown;
  return new GatewayError('internal_error', 'The gateway failed at this request; the fault is ours.', {
    cause: thrown,
  });
}
