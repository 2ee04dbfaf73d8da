/**
 * The WebSocket's protocol without a socket: the messages of a question, and the frames of its answer.
 */
import { type AnswerEvent, isTerminal, readEvent } from './answer-event.ts';
import { isRecord, parseJson, readNumber, readText } from './json.ts';

/** What a message or the text of a part may have, escapes included: API Gateway takes frames of 32 KB. */
const PART_BYTES = 28 * 1024;

const utf8 = new TextEncoder();
const byteLength = (text: string) => utf8.encode(text).length;

/** The message, or the parts that it is cut into where it is too long for a frame. */
export function toMessages(requestId: string, body: object): string[] {
  const text = JSON.stringify({ action: 'chat', request_id: requestId, ...body });
  if (byteLength(text) <= PART_BYTES) return [text];
  const slices = cut(text);
  const part = { action: 'part', request_id: requestId, of: slices.length };
  return slices.map((data, n) => JSON.stringify({ ...part, n, data }));
}

function cut(text: string): string[] {
  const slices: string[] = [];
  let slice = '';
  let bytes = 0;
  for (const char of text) {
    const size = byteLength(JSON.stringify(char)) - 2;
    if (bytes + size > PART_BYTES) {
      slices.push(slice);
      slice = '';
      bytes = 0;
    }
    slice += char;
    bytes += size;
  }
  return [...slices, slice];
}

/** What a frame means for the request that reads it. */
export type FrameVerdict =
  | { readonly type: 'event'; readonly event: AnswerEvent; readonly isLast: boolean }
  /** This part of the question came too fast, and may be sent again. */
  | { readonly type: 'repeat'; readonly part: number }
  /** The identity of the connection has expired: it took no question, and another connection will. */
  | { readonly type: 'expired' }
  | { readonly type: 'ignore' }
  /** A frame is missing: nothing that follows can be trusted. */
  | { readonly type: 'gap' };

/** Reads the frames of one request, one after another. */
export function createFrameReader(requestId: string): (text: string) => FrameVerdict {
  let nextSeq = 0;
  return (text) => {
    const frame = parseJson(text);
    const owner = readText(frame, 'request_id');
    if (owner !== undefined && owner !== requestId) return { type: 'ignore' };
    const seq = readNumber(frame, 'seq');
    if (seq === undefined) return nextSeq === 0 ? readRefusedMessage(frame) : { type: 'ignore' };
    const event = readEvent(readText(frame, 'type') ?? '', frame);
    if (seq < nextSeq) return { type: 'ignore' };
    // What says that the answer is not whole needs no frames before it.
    const isFailure = event?.type === 'error' || event?.type === 'cancelled';
    if (seq > nextSeq && !isFailure) return { type: 'gap' };
    nextSeq++;
    return event ? { type: 'event', event, isLast: isTerminal(event) } : { type: 'ignore' };
  };
}

/** A frame without `seq` refuses a message. Of a request that runs it says nothing. */
function readRefusedMessage(frame: unknown): FrameVerdict {
  if (!isRecord(frame) || frame['type'] === 'pong') return { type: 'ignore' };
  const { error = { message: frame['message'] } } = frame;
  const part = readNumber(frame, 'n');
  if (part !== undefined && readText(error, 'code') === 'rate_limited') return { type: 'repeat', part };
  if (readText(error, 'code') === 'unauthorized') return { type: 'expired' };
  // A cancel that came before the question was taken.
  const isCancel = readText(error, 'code') === 'not_found' && readText(error, 'param') === 'request_id';
  if (isCancel) return { type: 'ignore' };
  const event = readEvent('error', { error });
  return event ? { type: 'event', event, isLast: true } : { type: 'ignore' };
}
