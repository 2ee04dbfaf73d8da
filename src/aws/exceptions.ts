/**
 * What went wrong at Bedrock, as one of our codes. One table by name, one by status for what bears no name we know.
 */
import { type ErrorCode, GatewayError } from '../chat/errors.ts';
import {
  type DispensableField,
  dispensableFields,
  FieldsRefused,
  plain,
  type Quirk,
} from '../chat/quirks.ts';

/**
 * Exception name, in lower case → code. In the stream the same names come in camel case, and some are not modelled by the
 * SDK, so they are compared by name only: neither the class nor `$fault` can be relied on.
 * @see https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html
 */
const codeByName: ReadonlyMap<string, ErrorCode> = new Map(
  Object.entries({
    throttlingexception: 'upstream_throttled',
    toomanyrequestsexception: 'upstream_throttled',
    servicequotaexceededexception: 'upstream_throttled',
    modelstreamerrorexception: 'upstream_error',
    modelerrorexception: 'upstream_error',
    internalserverexception: 'upstream_error',
    serviceunavailableexception: 'upstream_unavailable',
    modelnotreadyexception: 'upstream_unavailable',
    modeltimeoutexception: 'upstream_timeout',
    validationexception: 'upstream_rejected',
    resourcenotfoundexception: 'model_not_found',
    accessdeniedexception: 'upstream_access_denied',
    unrecognizedclientexception: 'upstream_access_denied',
    expiredtokenexception: 'upstream_access_denied',
    invalidsignatureexception: 'upstream_access_denied',
    credentialsprovidererror: 'upstream_access_denied',
    tokenprovidererror: 'upstream_access_denied',
    timeouterror: 'upstream_unreachable',
  }),
);

/** For answers that carry no name we know, such as a proxy's. */
const codeByStatus: Readonly<Record<number, ErrorCode>> = {
  400: 'upstream_rejected',
  401: 'upstream_access_denied',
  403: 'upstream_access_denied',
  404: 'model_not_found',
  408: 'upstream_timeout',
  429: 'upstream_throttled',
  503: 'upstream_unavailable',
  504: 'upstream_timeout',
};

/** One sentence for each code that Bedrock can cause. Bedrock's own text may name accounts and ARNs and stays in here. */
const sentences = {
  upstream_throttled: 'Bedrock takes no more requests for this model at the moment.',
  upstream_error: 'The model failed at this request.',
  upstream_unavailable: 'The model is not available at the moment.',
  upstream_timeout: 'The model took too long.',
  upstream_rejected: 'Bedrock refused the request as invalid for this model.',
  context_length_exceeded: 'The request is longer than this model can read.',
  model_not_found: 'Bedrock does not know this model in the region of the gateway.',
  upstream_access_denied:
    'The gateway may not use this model: its credentials or permissions do not allow it.',
  upstream_unreachable: 'The gateway could not connect to Bedrock.',
  upstream_truncated: 'The answer broke off before its end.',
  upstream_protocol_error: 'Bedrock sent bytes that the gateway cannot read.',
} as const satisfies Partial<Record<ErrorCode, string>>;

type Thrown = {
  readonly name?: string;
  readonly message?: string;
  readonly code?: unknown;
  readonly $metadata?: { readonly httpStatusCode?: number };
  readonly $response?: { readonly headers?: Readonly<Record<string, string>> };
};

/** `hasBegun` tells whether the answer had: a connection that fails before was never made, one that fails later was cut. */
export function toModelError(thrown: unknown, hasBegun: boolean): GatewayError {
  if (thrown instanceof GatewayError) return thrown;
  const error: Thrown = thrown instanceof Error ? thrown : {};
  const code = toCode(error, hasBegun);
  const message = code in sentences ? sentences[code as keyof typeof sentences] : sentences.upstream_error;
  const quirk = mayBeMended.has(code) && !hasBegun ? toQuirk(error.message ?? '') : undefined;
  if (quirk) return new FieldsRefused(message, quirk, thrown, code);
  const retryAfterSeconds = code === 'upstream_throttled' ? toRetryAfter(error) : undefined;
  return new GatewayError(code, message, { cause: thrown, ...(retryAfterSeconds && { retryAfterSeconds }) });
}

function toCode(error: Thrown, hasBegun: boolean): ErrorCode {
  const named = codeByName.get(error.name?.toLowerCase() ?? '');
  if (named === 'upstream_rejected' && isTooLong(error.message ?? '')) return 'context_length_exceeded';
  if (named) return named;
  const status = error.$metadata?.httpStatusCode;
  if (status !== undefined && status >= 400) return codeByStatus[status] ?? 'upstream_error';
  if (!isSocketError(error)) return 'upstream_protocol_error';
  // The SDK reads the first event before it hands over the stream; by then Bedrock has answered 200.
  return hasBegun || status === 200 ? 'upstream_truncated' : 'upstream_unreachable';
}

/** A place to remember from is refused as if it were forbidden. */
const mayBeMended: ReadonlySet<ErrorCode> = new Set(['upstream_rejected', 'upstream_access_denied']);

/**
 * What to change in a request that was refused for its fields. Bedrock names them in its text only: "`temperature` is deprecated
 * for this model", "This model doesn't support the stopSequences field", "`temperature` and `top_p` cannot both be specified", "You
 * invoked an unsupported model or your request did not allow prompt caching".
 */
function toQuirk(message: string): Quirk | undefined {
  const named = dispensableFields.filter((field) => fieldNames[field].test(message));
  if (named.length === 0) return undefined;
  if (named.length > 1 && /\bboth\b|\bonly one\b|\btogether\b/i.test(message))
    return { ...plain, oneOf: named };
  return SAYS_UNWANTED.test(message) ? { ...plain, omit: named } : undefined;
}

const fieldNames: Readonly<Record<DispensableField, RegExp>> = {
  temperature: /\btemperature\b/i,
  top_p: /\btop_?p\b/i,
  stop_sequences: /\bstop_?sequences\b/i,
  service_tier: /\bservice[ _]?tier\b/i,
  // A schema that is refused is the caller's to mend, and no trait of the model.
  response_format: /^(?!.*\bschema\b).*(\boutput_?config\b|\btext_?format\b|\bstructured outputs?\b)/is,
  cache_control: /\bprompt caching\b|\bcache_?point\b/i,
  reasoning_effort: /\bthinking\b|\breasoning_?effort\b|\breasoning_? ?config\b/i,
};

/** Not what is said of a value that is out of range: that is the caller's to mend. */
const SAYS_UNWANTED =
  /deprecated|(n['’]t|not) (support|allow)|unsupported|not (permitted|allowed)|config value is invalid/i;

/** Node's connection errors have a code; `HPE_…` are its parser's, about bytes that are not HTTP. */
const isSocketError = ({ code }: Thrown) => typeof code === 'string' && !code.startsWith('HPE_');

/** Bedrock has no exception of its own for this; the wording differs by provider. */
const isTooLong = (message: string) =>
  /too long|too many (input )?tokens|context (length|window)|maximum (context|number of tokens)/i.test(
    message,
  );

/** Seconds, from Bedrock's header if it sent one; at least 1, at most a minute. */
function toRetryAfter({ $response }: Thrown): number {
  const seconds = Number($response?.headers?.['retry-after']);
  return seconds >= 1 ? Math.min(Math.ceil(seconds), 60) : 1;
}
