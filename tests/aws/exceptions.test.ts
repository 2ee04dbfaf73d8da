import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { toModelError } from '../../src/aws/exceptions.ts';
import { GatewayError } from '../../src/chat/errors.ts';
import { FieldsRefused, plain, type Quirk } from '../../src/chat/quirks.ts';

const thrown = (name: string, details: object = {}, message = 'secret arn:aws:iam::123456789012:role/x') =>
  Object.assign(new Error(message), { name, ...details });
const codeOf = (error: unknown, hasBegun = false) => toModelError(error, hasBegun).code;
const status = (httpStatusCode: number) => ({ $metadata: { httpStatusCode } });

const mapping = suite('toModelError');

mapping('names are compared without regard to case, and before anything else', () => {
  assert.is(codeOf(thrown('throttlingException')), 'upstream_throttled');
  assert.is(codeOf(thrown('ThrottlingException', status(500))), 'upstream_throttled');
  assert.is(codeOf(thrown('internalServerException', { $fault: 'client' })), 'upstream_error');
  assert.is(codeOf(thrown('CredentialsProviderError')), 'upstream_access_denied');
  assert.is(codeOf(thrown('ResourceNotFoundException', status(404))), 'model_not_found');
});

for (const [code, ...names] of [
  ['upstream_throttled', 'ThrottlingException', 'TooManyRequestsException', 'ServiceQuotaExceededException'],
  ['upstream_error', 'ModelStreamErrorException', 'ModelErrorException', 'InternalServerException'],
  ['upstream_unavailable', 'ServiceUnavailableException', 'ModelNotReadyException'],
  ['upstream_timeout', 'ModelTimeoutException'],
  ['upstream_rejected', 'ValidationException'],
  ['model_not_found', 'ResourceNotFoundException'],
  [
    'upstream_access_denied',
    'AccessDeniedException',
    'UnrecognizedClientException',
    'ExpiredTokenException',
    'InvalidSignatureException',
    'CredentialsProviderError',
    'TokenProviderError',
  ],
  ['upstream_unreachable', 'TimeoutError'],
] as const) {
  mapping(`${names.join(', ')}: ${code}, whatever the status`, () => {
    for (const name of names) {
      for (const other of [400, 429]) assert.is(codeOf(thrown(name, status(other))), code, name);
    }
  });
}

mapping('a name that every object knows is no known name', () => {
  for (const name of ['constructor', '__proto__', 'toString']) {
    assert.is(codeOf(thrown(name)), 'upstream_protocol_error', name);
  }
});

mapping('what bears no known name is judged by its status', () => {
  const expected = {
    400: 'upstream_rejected',
    403: 'upstream_access_denied',
    404: 'model_not_found',
  } as const;
  for (const [code, name] of Object.entries(expected))
    assert.is(codeOf(thrown('Odd', status(Number(code)))), name);
  assert.is(codeOf(thrown('Odd', status(401))), 'upstream_access_denied');
  assert.is(codeOf(thrown('Odd', status(408))), 'upstream_timeout');
  assert.is(codeOf(thrown('Odd', status(429))), 'upstream_throttled');
  assert.is(codeOf(thrown('Odd', status(503))), 'upstream_unavailable');
  assert.is(codeOf(thrown('Odd', status(504))), 'upstream_timeout');
  assert.is(codeOf(thrown('Odd', status(599))), 'upstream_error');
});

mapping('a broken connection is unreachable before the answer began, and a cut answer afterwards', () => {
  const reset = thrown('Error', { code: 'ECONNRESET' });
  assert.is(codeOf(reset), 'upstream_unreachable');
  assert.is(codeOf(reset, true), 'upstream_truncated');
  assert.is(codeOf(thrown('Error', { code: 'ECONNRESET', ...status(200) })), 'upstream_truncated');
});

mapping('bytes that cannot be read are upstream_protocol_error', () => {
  for (const error of [
    new RangeError('x'),
    new SyntaxError('x'),
    thrown('Error', { code: 'HPE_INVALID' }),
    'text',
    null,
  ]) {
    assert.is(codeOf(error, true), 'upstream_protocol_error');
  }
});

mapping('the many wordings of a request that is too long are one code', () => {
  for (const message of [
    'Input is too long for requested model.',
    'prompt is too long: 210000 tokens > 200000 maximum',
    'Too many input tokens. Max input tokens: 8192',
    'This model has a maximum context length of 8192 tokens.',
    'The maximum number of tokens is 4096.',
    'Too many tokens: 9000.',
    'Context length exceeded.',
    'Input length exceeds the context window of this model.',
  ]) {
    assert.is(codeOf(thrown('ValidationException', {}, message)), 'context_length_exceeded', message);
  }
  assert.is(codeOf(thrown('ValidationException', {}, 'temperature is not supported')), 'upstream_rejected');
});

mapping('a throttle says when to come back: as Bedrock did, from 1 second to a minute', () => {
  const waitOf = (header?: string) =>
    toModelError(
      thrown(
        'ThrottlingException',
        header === undefined ? {} : { $response: { headers: { 'retry-after': header } } },
      ),
      false,
    ).retryAfterSeconds;
  assert.equal([waitOf(), waitOf('0'), waitOf('soon'), waitOf('2.5'), waitOf('7000')], [1, 1, 1, 3, 60]);
});

mapping('only a throttle says when to come back', () => {
  const headers = { $response: { headers: { 'retry-after': '2' } } };
  assert.is(toModelError(thrown('InternalServerException', headers), false).retryAfterSeconds, undefined);
});

mapping('no word of what was thrown is in what is told, and all of it is in the cause', () => {
  for (const name of ['AccessDeniedException', 'ValidationException', 'Odd']) {
    const foreign = thrown(name);
    const error = toModelError(foreign, false);
    assert.not.match(error.message, /secret|arn:|\d{12}/);
    assert.is(error.cause, foreign);
  }
});

mapping('a failure of our own passes as it is', () => {
  const own = new GatewayError('upstream_protocol_error', 'Ours.');
  assert.is(toModelError(own, true), own);
});

const validation = (message: string, hasBegun = false) =>
  toModelError(thrown('ValidationException', status(400), message), hasBegun);

mapping('a refusal that names fields says what to leave out, in all wordings that are known', () => {
  const wordings: [string, Partial<Quirk>][] = [
    [
      'The model returned the following errors: `temperature` is deprecated for this model.',
      { omit: ['temperature'] },
    ],
    ['The model returned the following errors: `top_p` is deprecated for this model.', { omit: ['top_p'] }],
    [
      "This model doesn't support the stopSequences field. Remove it and try again.",
      { omit: ['stop_sequences'] },
    ],
    ['This model doesn’t support the topP field. Remove topP and try again.', { omit: ['top_p'] }],
    [
      'Malformed input request: extraneous key [stop_sequences] is not permitted',
      { omit: ['stop_sequences'] },
    ],
    ['The service tier is not supported for this model.', { omit: ['service_tier'] }],
    ['temperature and top_p are deprecated', { omit: ['temperature', 'top_p'] }],
    [
      '`temperature` and `top_p` cannot both be specified for this model. Please use only one.',
      { oneOf: ['temperature', 'top_p'] },
    ],
    [
      "This model doesn't support the outputConfig.textFormat field. Remove outputConfig.textFormat and try again.",
      { omit: ['response_format'] },
    ],
    [
      'The model returned the following errors:\nStructured outputs are not supported.',
      { omit: ['response_format'] },
    ],
    ['temperature and top_p may not be used together', { oneOf: ['temperature', 'top_p'] }],
    ['set only one of temperature and topP', { oneOf: ['temperature', 'top_p'] }],
    ['outputConfig: Extra inputs are not permitted', { omit: ['response_format'] }],
    ['textFormat is not supported', { omit: ['response_format'] }],
    ['reasoning_effort is unsupported', { omit: ['reasoning_effort'] }],
    ['This model does not allow reasoningConfig', { omit: ['reasoning_effort'] }],
    ['cachePoint is not allowed here', { omit: ['cache_control'] }],
    ['serviceTier is not supported', { omit: ['service_tier'] }],
    ['Structured outputs are not supported for this model.', { omit: ['response_format'] }],
    [
      'You invoked an unsupported model or your request did not allow prompt caching. See the documentation for more information.',
      { omit: ['cache_control'] },
    ],
    [
      'Malformed input request: the provided reasoning config value is invalid, please reformat your input and try again.',
      { omit: ['reasoning_effort'] },
    ],
    ['adaptive thinking is not supported on this model', { omit: ['reasoning_effort'] }],
  ];
  for (const [message, quirk] of wordings) {
    const error = validation(message);
    assert.instance(error, FieldsRefused, message);
    assert.equal(error instanceof FieldsRefused && error.quirk, { ...plain, ...quirk }, message);
    assert.is(error.code, 'upstream_rejected');
    assert.not.match(error.message, 'temperature');
  }
});

mapping('prompt caching is refused as if it were forbidden, and can be left out all the same', () => {
  const message = 'You invoked an unsupported model or your request did not allow prompt caching.';
  const error = toModelError(thrown('AccessDeniedException', status(403), message), false);
  assert.instance(error, FieldsRefused);
  assert.is(error.code, 'upstream_access_denied', 'what cannot be mended is what it was');
  assert.not.instance(toModelError(thrown('AccessDeniedException', status(403)), false), FieldsRefused);
});

mapping('a value out of range, another field or a late refusal is nothing to leave out', () => {
  for (const message of [
    'temperature must be less than or equal to 1',
    'This model doesn’t support the system field.',
    'output_config is not supported\nwith this schema',
    'temperature takes only one value, and both ends count',
    'nothing here is supported',
    '',
    'temperatures are not supported',
    'stop_sequences takes only one item',
    'output_config.format.schema: property "minimum" is not supported',
  ]) {
    assert.not.instance(validation(message), FieldsRefused, message);
  }
  assert.not.instance(validation('`temperature` is deprecated', true), FieldsRefused);
  const elsewhere = thrown('InternalServerException', {}, '`temperature` is deprecated');
  assert.not.instance(toModelError(elsewhere, false), FieldsRefused);
});

mapping.run();
