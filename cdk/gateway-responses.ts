/**
 * What API Gateway answers by itself, in the gateway's own envelope.
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
 */
import { ResponseType, type RestApi } from 'aws-cdk-lib/aws-apigateway';
import { EXPOSED_HEADERS } from '../src/names.ts';

export type EdgeRefusal = {
  readonly type: ResponseType;
  readonly status: number;
  readonly code: string;
  /** As OpenAI's clients know it. */
  readonly errorType: string;
  readonly isRetryable?: boolean;
  readonly message: string;
};

const unauthorized = { status: 401, code: 'unauthorized', errorType: 'authentication_error' } as const;
const forbidden = { status: 403, code: 'forbidden', errorType: 'permission_error' } as const;
const invalid = { status: 400, code: 'invalid_request', errorType: 'invalid_request_error' } as const;
const ours = { status: 500, code: 'internal_error', errorType: 'server_error' } as const;

/** Every kind of answer that can happen here, each once. */
export const edgeRefusals: readonly EdgeRefusal[] = [
  {
    type: ResponseType.UNAUTHORIZED,
    ...unauthorized,
    message: 'Send an API key as x-api-key or as Authorization: Bearer.',
  },
  { type: ResponseType.INVALID_API_KEY, ...unauthorized, message: 'This API key is missing or not known.' },
  {
    type: ResponseType.MISSING_AUTHENTICATION_TOKEN,
    ...unauthorized,
    message: 'Sign the request with AWS Signature Version 4 for the service execute-api.',
  },
  { type: ResponseType.INVALID_SIGNATURE, ...forbidden, message: 'The signature does not fit the request.' },
  {
    type: ResponseType.EXPIRED_TOKEN,
    ...forbidden,
    message: 'The credentials that signed this request have expired.',
  },
  { type: ResponseType.ACCESS_DENIED, ...forbidden, message: 'This caller may not use the gateway.' },
  {
    type: ResponseType.WAF_FILTERED,
    ...forbidden,
    message: 'The firewall of the gateway refused this request.',
  },
  {
    type: ResponseType.RESOURCE_NOT_FOUND,
    status: 404,
    code: 'not_found',
    errorType: 'not_found_error',
    message: 'There is no such path.',
  },
  {
    type: ResponseType.REQUEST_TOO_LARGE,
    status: 413,
    code: 'payload_too_large',
    errorType: 'invalid_request_error',
    message: 'The body of the request is too long.',
  },
  {
    type: ResponseType.UNSUPPORTED_MEDIA_TYPE,
    status: 415,
    code: 'unsupported_media_type',
    errorType: 'invalid_request_error',
    message: 'Send the body as application/json.',
  },
  { type: ResponseType.BAD_REQUEST_BODY, ...invalid, message: 'The body of the request cannot be read.' },
  {
    type: ResponseType.BAD_REQUEST_PARAMETERS,
    ...invalid,
    message: 'The parameters of the request cannot be read.',
  },
  { type: ResponseType.DEFAULT_4XX, ...invalid, message: 'The request cannot be read.' },
  {
    type: ResponseType.THROTTLED,
    status: 429,
    code: 'rate_limited',
    errorType: 'rate_limit_error',
    isRetryable: true,
    message: 'Too many requests; send it again a little later.',
  },
  {
    type: ResponseType.QUOTA_EXCEEDED,
    status: 429,
    code: 'quota_exceeded',
    errorType: 'rate_limit_error',
    message: 'The quota of this API key is used up.',
  },
  {
    type: ResponseType.INTEGRATION_FAILURE,
    status: 503,
    code: 'overloaded',
    errorType: 'server_error',
    isRetryable: true,
    message: 'The gateway has no room for this request now; send it again.',
  },
  {
    type: ResponseType.INTEGRATION_TIMEOUT,
    status: 504,
    code: 'deadline_exceeded',
    errorType: 'server_error',
    message: 'The answer took too long; stream it, or ask for less.',
  },
  {
    type: ResponseType.AUTHORIZER_FAILURE,
    ...ours,
    message: 'The gateway failed at this request; the fault is ours.',
  },
  {
    type: ResponseType.AUTHORIZER_CONFIGURATION_ERROR,
    ...ours,
    message: 'The gateway failed at this request; the fault is ours.',
  },
  {
    type: ResponseType.API_CONFIGURATION_ERROR,
    ...ours,
    message: 'The gateway failed at this request; the fault is ours.',
  },
  {
    type: ResponseType.DEFAULT_5XX,
    ...ours,
    message: 'The gateway failed at this request; the fault is ours.',
  },
];

export function addGatewayResponses(api: RestApi, allowedOrigins: readonly string[]) {
  for (const refusal of edgeRefusals) {
    api.addGatewayResponse(refusal.type.responseType, {
      type: refusal.type,
      statusCode: String(refusal.status),
      responseHeaders: toHeaders(refusal, allowedOrigins),
      templates: { 'application/json': toTemplate(refusal) },
    });
  }
}

/** API Gateway puts the request's id where `$context.requestId` stands. */
export const toTemplate = ({ status, code, errorType, isRetryable = false, message }: EdgeRefusal): string =>
  JSON.stringify({
    error: {
      code,
      message,
      type: errorType,
      param: null,
      request_id: '$context.requestId',
      retryable: isRetryable,
      status,
    },
  });

/** Quoted is a text, without quotes a reference. */
function toHeaders({ status, isRetryable }: EdgeRefusal, allowedOrigins: readonly string[]) {
  const [origin, ...others] = allowedOrigins;
  return {
    'x-request-id': 'context.requestId',
    ...(isRetryable && { 'retry-after': "'1'" }),
    ...(!isRetryable && status >= 500 && { 'x-should-retry': "'false'" }),
    // These headers cannot depend on the origin of the request; there is nothing in a refusal that another page must not read.
    ...(origin !== undefined && {
      'access-control-allow-origin': `'${others.length === 0 ? origin : '*'}'`,
      'access-control-expose-headers': `'${EXPOSED_HEADERS.join()}'`,
    }),
  };
}
