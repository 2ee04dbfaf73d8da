import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type ErrorCode, errorKinds, GatewayError } from '../../src/chat/errors.ts';
import { toEnvelope, toErrorResponse } from '../../src/doors/envelope.ts';
import { bodyOf } from '../helpers/app.ts';

const enveloping = suite('toEnvelope');

enveloping('an error carries its code, type, status and place', () => {
  const error = new GatewayError('invalid_request', 'x must be 1.', {
    param: 'x',
    cause: new Error('secret'),
  });
  assert.equal(toEnvelope(error, 'request-1'), {
    error: {
      code: 'invalid_request',
      message: 'x must be 1.',
      type: 'invalid_request_error',
      param: 'x',
      request_id: 'request-1',
      retryable: false,
      status: 400,
    },
  });
});

enveloping('an envelope is at most 4 KB whatever it quotes', () => {
  const piece = fc.tuple(fc.constantFrom('a', '\u0000', '"', '€', '😀', '\ud83d'), fc.nat(9000));
  const hostile = fc
    .array(piece, { maxLength: 3 })
    .map((pieces) => pieces.map(([unit, n]) => unit.repeat(n)).join(''));
  fc.assert(
    fc.property(hostile, hostile, (message, param) => {
      const envelope = toEnvelope(new GatewayError('invalid_request', message, { param }), 'r'.repeat(128));
      assert.ok(Buffer.byteLength(JSON.stringify(envelope)) <= 4096);
    }),
    { numRuns: 200 },
  );
});

enveloping.run();

// ---

const responding = suite('toErrorResponse');
const respond = (code: ErrorCode, details = {}) =>
  toErrorResponse(new GatewayError(code, 'A sentence.', details), 'r');

responding('each code leaves with its status', async () => {
  for (const [code, { status }] of Object.entries(errorKinds)) {
    const response = respond(code as ErrorCode);
    assert.is(response.status, status);
    assert.match(response.headers.get('content-type') ?? '', 'application/json');
    assert.is((await bodyOf(response)).error.code, code);
  }
});

responding('what would fail again says so to clients that retry every 409 and 5xx', () => {
  for (const code of ['conflict', 'internal_error', 'upstream_access_denied', 'deadline_exceeded'] as const) {
    assert.is(respond(code).headers.get('x-should-retry'), 'false', code);
  }
  for (const code of ['invalid_request', 'upstream_throttled', 'upstream_unavailable'] as const) {
    assert.is(respond(code).headers.get('x-should-retry'), null, code);
  }
});

responding('a throttle says when to come back', () => {
  assert.is(respond('upstream_throttled').headers.get('retry-after'), '1');
  assert.is(respond('upstream_throttled', { retryAfterSeconds: 9 }).headers.get('retry-after'), '9');
  assert.is(respond('quota_exceeded').headers.get('retry-after'), null);
});

responding.run();
