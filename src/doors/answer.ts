/**
 * The gateway's own words for an answer, as fields of JSON: whole for `stream: false`, event by event for SSE and frames.
 */
import { GatewayError } from '../chat/errors.ts';
import { assertNever, type ChatEvent, type Usage } from '../chat/events.ts';
import { toEnvelope } from './envelope.ts';

/** One event on the wire; `name` is the SSE event and the frame's type. */
export type WireEvent = { readonly name: string; readonly data: object };

/**
 * The wire form of an event, or nothing for what this API has no word for: callers of `/v1/chat` bring no tools, and what
 * signs a model's reasoning is of use only to those who can send it back.
 */
export function toWireEvent(event: ChatEvent, requestId: string): WireEvent | undefined {
  switch (event.type) {
    case 'start': {
      const { requestId: request_id, chatId: chat_id, model, cached } = event;
      return {
        name: 'start',
        data: { request_id, ...(chat_id !== undefined && { chat_id }), model, cached },
      };
    }
    case 'text-delta':
      return { name: 'delta', data: { text: event.text } };
    case 'reasoning-delta':
      return { name: 'delta', data: { reasoning: event.text } };
    case 'done': {
      const { stopReason: stop_reason, saved, timing } = event;
      const { firstEventMs: first_event_ms, totalMs: total_ms } = timing;
      const usage = event.usage && toWireUsage(event.usage);
      return { name: 'done', data: { stop_reason, usage, saved, timing: { first_event_ms, total_ms } } };
    }
    case 'cancelled':
      return { name: 'cancelled', data: { usage: toWireUsage(event.usage), estimated: event.estimated } };
    case 'error':
      return { name: 'error', data: toEnvelope(event.cause, requestId) };
    case 'reasoning-signature':
    case 'tool-start':
    case 'tool-delta':
    case 'tool-end':
      return undefined;
    default:
      return assertNever(event);
  }
}

/**
 * The whole answer in one piece.
 *
 * @throws the failure that ended it, or `cancelled`
 */
export async function collectAnswer(events: AsyncIterable<ChatEvent>): Promise<object> {
  let head: object = {};
  let completion = '';
  let reasoning = '';
  for await (const event of events) {
    if (event.type === 'text-delta') completion += event.text;
    else if (event.type === 'reasoning-delta') reasoning += event.text;
    else if (event.type === 'start') head = toWireEvent(event, event.requestId)?.data ?? {};
    else if (event.type === 'done') {
      return {
        ...head,
        completion,
        ...(reasoning !== '' && { reasoning }),
        stop_reason: event.stopReason,
        usage: event.usage && toWireUsage(event.usage),
        saved: event.saved,
      };
    } else throwFailure(event);
  }
  throw new GatewayError('internal_error', 'The answer ended without an end.');
}

/** Throws what the event says went wrong; other events pass. */
export function throwFailure(event: ChatEvent): void {
  if (event.type === 'error') throw event.cause;
  if (event.type === 'cancelled') throw new GatewayError('cancelled', 'The request was cancelled.');
}

export const toWireUsage = (usage: Usage) => ({
  input_tokens: usage.inputTokens,
  output_tokens: usage.outputTokens,
  cache_read_tokens: usage.cacheReadTokens,
  cache_write_tokens: usage.cacheWriteTokens,
});
