/**
 * What went wrong, as it is shown: in the words of the gateway's envelope, or of AWS in front of it.
 */
import { isRecord, readText } from './json.ts';

export type Failure = {
  /** One of the gateway's codes, or `unreachable`, `broken_off`, `http_502`. */
  readonly code: string;
  /** A sentence. */
  readonly message: string;
  readonly requestId?: string;
  /** Whether asking again may help. */
  readonly retryable: boolean;
};

/** A request that got no answer, or a bad one. */
export class Refusal extends Error {
  override name = 'Refusal' as const;
  readonly failure: Failure;
  constructor(failure: Failure) {
    super(failure.message);
    this.failure = failure;
  }
}

export const brokenOff: Failure = {
  code: 'broken_off',
  message: 'The answer broke off before its end.',
  retryable: true,
};

/** From `{"error":{…}}`. What is not there is made up for; nothing at all is a failure without a reason. */
export function readFailure(envelope: unknown): Failure {
  const error = isRecord(envelope) ? envelope['error'] : undefined;
  const requestId = readText(error, 'request_id');
  return {
    code: readText(error, 'code') ?? 'unknown',
    message: readText(error, 'message') ?? 'The answer failed, and no reason was given.',
    ...(requestId && { requestId }),
    retryable: isRecord(error) && error['retryable'] === true,
  };
}

/** An HTTP answer that is none: the gateway's envelope, or what AWS says in front of it, as in `{"Message":"Forbidden"}`. */
export function readRefusal(status: number, body: unknown, requestId: string | null): Failure {
  if (isRecord(body) && isRecord(body['error'])) return withAdvice(readFailure(body));
  // One line: after it, AWS may quote the request.
  const said = (readText(body, 'message') ?? readText(body, 'Message'))?.split('\n')[0];
  const message = `The gateway answered with HTTP ${status}${said ? `: ${said}` : ', and gave no reason'}.`;
  const code = status === 401 ? 'unauthorized' : `http_${status}`;
  return withAdvice({
    code,
    message: message.replace('..', '.'),
    ...(requestId && { requestId }),
    retryable: status === 429 || status >= 500,
  });
}

function withAdvice(failure: Failure): Failure {
  if (failure.code !== 'unauthorized') return failure;
  return { ...failure, message: `${failure.message} ${WHERE_KEYS_ARE}` };
}

const WHERE_KEYS_ARE =
  'On a laptop the key is in .local/api-key or in LOCAL_API_KEYS, where npm start runs; for any other gateway, ask whoever runs it. It goes into Connection.';
