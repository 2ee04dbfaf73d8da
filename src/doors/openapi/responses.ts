/**
 * What comes back, in OpenAPI's terms: bodies, streams, headers, and every failure by its status.
 */
import { type ErrorCode, errorKinds, GatewayError } from '../../chat/errors.ts';
import { toEnvelope } from '../envelope.ts';
import { cacheStatus } from './answers.ts';
import { examples } from './examples.ts';
import { refTo, type SchemaName } from './schemas.ts';

const header = (description: string, schema: object) => ({ description, schema });

/** Components, by the names that they have on the wire. */
export const headers = {
  'x-request-id': header(
    'The id of the request: the caller’s own, or one that was made for it.',
    refTo('Id'),
  ),
  'x-cache': header('What the answer cache had to do with it; bypass where it had no say or was down.', {
    enum: cacheStatus.options,
  }),
  'x-chat-id': header('The conversation, when the turn is to be kept.', refTo('Id')),
  'x-cancellable': header('Only where the answer cannot be cancelled by its id.', { const: 'false' }),
  'retry-after': header('How long to wait before the next try, in seconds.', { type: 'integer', minimum: 1 }),
  'x-should-retry': header('Only where the same request would fail again.', { const: 'false' }),
} as const;

type HeaderName = keyof typeof headers;

const toHeaders = (names: readonly HeaderName[]) =>
  Object.fromEntries(
    ['x-request-id', ...names].map((name) => [name, { $ref: `#/components/headers/${name}` }]),
  );

/** What every answer of a model says of itself. */
export const answerHeaders: readonly HeaderName[] = ['x-cache', 'x-chat-id', 'x-cancellable'];

/** A body of JSON, with its examples. */
export const jsonOf = (name: SchemaName) => {
  const shown = Object.entries(examples[name] ?? {}).map(([word, value]) => [word, { value }]);
  return { 'application/json': { schema: refTo(name), examples: Object.fromEntries(shown) } };
};

/** `event` is the name of the events that hold `data`; OpenAI's have none. */
type EventKind = { readonly event?: string; readonly data: SchemaName | '[DONE]' };

/** A stream of events. OpenAPI 3.1 has no word for it; readers take the schema for that of one event, with its data as text. */
export const streamOf = (description: string, kinds: readonly EventKind[]) => ({
  'text/event-stream': { schema: { description, anyOf: kinds.map(toEventSchema) } },
});

function toEventSchema({ event, data }: EventKind) {
  const json = (name: SchemaName) => ({
    type: 'string',
    contentMediaType: 'application/json',
    contentSchema: refTo(name),
  });
  return {
    type: 'object',
    properties: {
      ...(event !== undefined && { event: { const: event } }),
      data: data === '[DONE]' ? { const: data } : json(data),
    },
    required: ['data'],
  };
}

export const succeeds = (description: string, content?: object, names: readonly HeaderName[] = []) => ({
  description,
  headers: toHeaders(names),
  ...(content && { content }),
});

const kinds = Object.entries(errorKinds) as [ErrorCode, (typeof errorKinds)[ErrorCode]][];
export type Status = (typeof errorKinds)[ErrorCode]['status'];

/** The failures of one status, which the codes tell apart. */
function toFailure(status: Status) {
  const codes = kinds.flatMap(([code, kind]) => (kind.status === status ? code : []));
  const error = { properties: { code: { enum: codes }, status: { const: status } } };
  const schema = { allOf: [refTo('Error'), { properties: { error } }] };
  const exampleOf = (code: ErrorCode) => ({
    value: toEnvelope(new GatewayError(code, 'What went wrong, in a sentence.'), 'my-own-id'),
  });
  const examples = Object.fromEntries(codes.map((code) => [code, exampleOf(code)]));
  const retryAfter: readonly HeaderName[] = status === 429 || status >= 500 ? ['retry-after'] : [];
  const shouldRetry: readonly HeaderName[] = status === 409 || status >= 500 ? ['x-should-retry'] : [];
  return {
    description: codes.map((code) => `\`${code}\``).join(', '),
    headers: toHeaders([...retryAfter, ...shouldRetry]),
    content: { 'application/json': { schema, examples } },
  };
}

const componentOf = (status: Status) => `Error${status}`;

/** A component for each status that a failure can have. */
export const failures = Object.fromEntries(
  kinds.map(([, { status }]) => [componentOf(status), toFailure(status)]),
);

/** What can happen to any request, before or behind the app. */
const everywhere: readonly Status[] = [400, 401, 403, 429, 500, 503, 504];

export const fails = (...more: readonly Status[]) =>
  Object.fromEntries(
    [...everywhere, ...more].map((status) => [
      status,
      { $ref: `#/components/responses/${componentOf(status)}` },
    ]),
  );
