/**
 * What is remembered of a request: one line in the log. Its fields are listed here, and none of them can hold a prompt, an
 * answer or a key.
 */
import type { CacheStatus } from '../chat/ask.ts';
import { type ErrorCode, type GatewayError, toGatewayError } from '../chat/errors.ts';
import type { ChatEvent } from '../chat/events.ts';

export type RequestRecord = {
  request_id: string;
  method: string;
  /** The pattern that matched, such as `/v1/chat`, and never the path itself. */
  route?: string;
  door?: string;
  /** Who was calling, as `toPrincipalName` writes it. */
  tenant?: string;
  status?: number;
  stream?: boolean;
  model?: string;
  /** How the answer was come by. */
  cache?: CacheStatus;
  /** Whose words it is in, where no model was asked for it: an operator's, or what a model said before; `similar`: to a question near it. */
  cached?: 'curated' | 'learned' | 'similar';
  /** Whether the turn is in the history. */
  saved?: boolean;
  /** How the answer ended. An answer whose reader left is `cancelled`. */
  outcome?: 'done' | 'error' | 'cancelled';
  code?: ErrorCode;
  /** Why the frames of an answer did not arrive, when they did not: `gone`, `throttled`, `forbidden`, `failed`. */
  delivery?: string;
  /** The names of what was thrown, outermost first, and for our own faults where. No messages: they may quote. */
  cause?: readonly string[];
  stop_reason?: string;
  input_tokens?: number;
  output_tokens?: number;
  /** Of the prompt cache, where it had a part in it; `input_tokens` leaves them out. */
  cache_read_tokens?: number;
  cache_write_tokens?: number;
  first_event_ms?: number;
  total_ms?: number;
};

/** A tenant without the account that it is of: a key's id as it is, a principal's ARN as `assumed-role/Name`. */
export const toPrincipalName = (tenant: string): string => tenant.replace(/^arn:.*:/, '');

/** Routes of the HTTP doors that ask a model. */
const askingRoutes: readonly unknown[] = ['/v1/chat', '/v1/chat/completions', '/v1/embeddings'];

/** The worker of the WebSocket door, and what stands in for one that died, in place of a method. */
const askingMethods: readonly string[] = ['WORK', 'FAILED_WORK'];

/**
 * Whether it is of a request for an answer, which ended in any way. Probes of `/health`, lists and frames that ask nothing are none, or
 * they would hide how the answers fare. Nor is a job that came a second time; and one message of a WebSocket is one request, counted
 * where it is answered.
 */
export const asksModel = ({ method, route, outcome }: Readonly<RequestRecord>): boolean =>
  outcome !== undefined && (askingRoutes.includes(route) || askingMethods.includes(method));

export type Log = (record: Readonly<RequestRecord>) => void;

/** Passes the events on and notes how they end. Until an end is noted the answer counts as one that nobody waited for. */
export async function* noteAnswer(
  events: AsyncIterable<ChatEvent>,
  record: RequestRecord,
): AsyncGenerator<ChatEvent, void, undefined> {
  record.outcome = 'cancelled';
  for await (const event of events) {
    noteEvent(event, record);
    yield event;
  }
}

function noteEvent(event: ChatEvent, record: RequestRecord) {
  if (event.type === 'start') {
    record.model = event.model;
    if (event.cached) record.cached = event.cached;
  }
  if (event.type === 'error') noteError(event.cause, record);
  if (event.type === 'done') {
    record.outcome = 'done';
    record.stop_reason = event.stopReason;
    record.saved = event.saved;
    record.first_event_ms = event.timing.firstEventMs;
  }
  if ((event.type === 'done' || event.type === 'cancelled') && event.usage) {
    record.input_tokens = event.usage.inputTokens;
    record.output_tokens = event.usage.outputTokens;
    const { cacheReadTokens, cacheWriteTokens } = event.usage;
    if (cacheReadTokens > 0) record.cache_read_tokens = cacheReadTokens;
    if (cacheWriteTokens > 0) record.cache_write_tokens = cacheWriteTokens;
  }
}

export function noteError(thrown: unknown, record: RequestRecord) {
  const error = toGatewayError(thrown);
  record.outcome = error.code === 'cancelled' ? 'cancelled' : 'error';
  record.code = error.code;
  const cause = describeCause(error);
  if (cause.length > 0) record.cause = cause;
}

function describeCause(error: GatewayError): string[] {
  const names: string[] = [];
  for (let cause = error.cause; cause instanceof Error && names.length < 5; cause = cause.cause) {
    names.push(cause.name);
    if (error.code === 'internal_error') names.push(...framesOf(cause));
  }
  return names;
}

/** Where it happened: the stack without its first line, which is the message. */
const framesOf = ({ stack = '' }: Error) =>
  stack
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line.startsWith('at '))
    .slice(0, 5);
