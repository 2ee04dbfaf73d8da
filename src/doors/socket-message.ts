/**
 * What a client may say over a WebSocket.
 */
import * as z from 'zod/mini';
import { parseJson, requireFairStrings } from './body.ts';
import { id } from './question.ts';
import { check } from './schema-errors.ts';

/** With its envelope and its escapes a part must stay below the 32 KB that API Gateway takes in a frame. */
const MAX_PART_BYTES = 28 * 1024;

/** As many parts as the longest body of a request needs, when it is all quotes, which take two bytes in a part. */
const MAX_PARTS = 400;

const actions = ['chat', 'sendmessage', 'part', 'cancel', 'ping'] as const;

const envelope = z.looseObject({ action: z.enum(actions) });
const cancel = z.strictObject({ action: z.literal('cancel'), request_id: id });
const ping = z.strictObject({ action: z.literal('ping') });
const part = z
  .strictObject({
    action: z.literal('part'),
    request_id: id,
    n: z.int().check(z.gte(0)),
    of: z.int().check(z.gte(1), z.lte(MAX_PARTS)),
    data: z.string().check(
      z.minLength(1),
      z.refine(
        (data) => Buffer.byteLength(data) <= MAX_PART_BYTES,
        `must be at most ${MAX_PART_BYTES} bytes`,
      ),
    ),
  })
  .check(z.refine(({ n, of }) => n < of, { error: 'must be less than of', path: ['n'] }));

export type SocketMessage =
  /** `body` is that of `POST /v1/chat`. */
  | { readonly action: 'chat'; readonly body: object }
  | {
      readonly action: 'part';
      readonly request_id: string;
      readonly n: number;
      readonly of: number;
      readonly data: string;
    }
  | { readonly action: 'cancel'; readonly request_id: string }
  | { readonly action: 'ping' };

/** @throws `invalid_json`, `invalid_request` */
export function parseMessage(text: string): SocketMessage {
  const value = parseJson(Buffer.from(text));
  const { action, ...body } = check(envelope, value);
  // The parts of a text are cut anywhere, even within a character; the whole is looked at later.
  requireFairStrings(action === 'part' ? { ...body, data: '' } : value);
  switch (action) {
    case 'chat':
    case 'sendmessage':
      return { action: 'chat', body };
    case 'part':
      return check(part, value);
    case 'cancel':
      return check(cancel, value);
    case 'ping':
      return check(ping, value);
  }
}

const names = z.looseObject({
  request_id: z.catch(z.optional(id), undefined),
  n: z.catch(z.optional(z.int()), undefined),
});

/** The request that a message is of, and its number if it is a part, whatever else is wrong with it. */
export function findNames(text: string): { readonly requestId?: string; readonly n?: number } {
  try {
    const { request_id: requestId, n } = check(names, parseJson(Buffer.from(text)));
    return { ...(requestId !== undefined && { requestId }), ...(n !== undefined && { n }) };
  } catch {
    return {};
  }
}
