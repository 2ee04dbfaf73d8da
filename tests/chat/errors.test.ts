import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { errorKinds, GatewayError, toGatewayError } from '../../src/chat/errors.ts';

const kinds = suite('errorKinds');

kinds('each code has the status and the type that the contract gives it', () => {
  const byStatus: Record<number, string[]> = {};
  for (const [code, { status }] of Object.entries(errorKinds))
    byStatus[status] = [...(byStatus[status] ?? []), code];
  assert.equal(byStatus, {
    400: ['invalid_json', 'invalid_request', 'context_length_exceeded', 'upstream_rejected'],
    401: ['unauthorized'],
    403: ['forbidden'],
    404: ['not_found', 'model_not_found'],
    405: ['method_not_allowed'],
    409: ['conflict'],
    413: ['payload_too_large'],
    415: ['unsupported_media_type'],
    429: ['rate_limited', 'quota_exceeded', 'upstream_throttled'],
    499: ['cancelled'],
    500: ['internal_error'],
    502: [
      'upstream_error',
      'upstream_truncated',
      'upstream_protocol_error',
      'upstream_access_denied',
      'upstream_unreachable',
    ],
    503: [
      'overloaded',
      'config_unavailable',
      'config_invalid',
      'history_unavailable',
      'storage_unavailable',
      'upstream_unavailable',
    ],
    504: ['upstream_timeout', 'upstream_stalled', 'deadline_exceeded'],
  });
});

kinds('no error of the caller is worth a second try', () => {
  for (const { status, retryable } of Object.values(errorKinds)) {
    if (status < 429 || status === 499) assert.not.ok(retryable);
  }
});

kinds.run();

// ---

const converting = suite('toGatewayError');

converting('an error of ours stays itself', () => {
  const error = new GatewayError('conflict', 'Taken.');
  assert.is(toGatewayError(error), error);
});

converting('whatever else was thrown becomes internal_error and is kept as the cause', () => {
  for (const thrown of [new TypeError('x'), 'text', undefined, null]) {
    const error = toGatewayError(thrown);
    assert.is(error.code, 'internal_error');
    assert.is(error.cause, thrown);
  }
});

converting.run();
