/**
 * `GET /v1/chats`, `GET` and `DELETE /v1/chats/{chat_id}`: the caller's own conversations, to list, to read and to delete. Anybody
 * else's are as if they were not there.
 */
import type { Context } from 'hono';
import * as z from 'zod/mini';
import { type ChatKey, noSuchChat, type Turn, toPlainText } from '../chat/conversation.ts';
import { GatewayError } from '../chat/errors.ts';
import { toWireUsage } from './answer.ts';
import { type AppEnv, callerOf } from './edge.ts';
import { describe, notes } from './notes.ts';
import { id } from './question.ts';
import { check } from './schema-errors.ts';

/** Where in the list of a tenant's conversations a page ends. */
type Place = { readonly updatedAt: number; readonly chatId: string };

type ChatSummary = Place & { readonly title: string; readonly turns: number };

/** The conversations that are kept. Reading throws `history_unavailable`, deleting `storage_unavailable`. */
export type ChatArchive = {
  /** Newest first; `next` when there are more. */
  list(
    tenant: string,
    page: { readonly limit: number; readonly after?: Place },
  ): Promise<{ readonly chats: readonly ChatSummary[]; readonly next?: Place }>;
  /** Oldest first, those behind the turn with that number; `next` when there are more. Nothing where there is no such conversation. */
  read(
    key: ChatKey,
    after?: number,
  ): Promise<{ readonly turns: readonly Turn[]; readonly next?: number } | undefined>;
  /** Whether there was one. */
  remove(key: ChatKey): Promise<boolean>;
};

type ArchiveParts = { readonly chats: ChatArchive };
type ChatContext = Context<AppEnv, '/v1/chats/:chat_id'>;

const DEFAULT_LIMIT = 20;

export const page = z.object({
  limit: z
    .optional(z.string().check(z.regex(/^([1-9]\d?|100)$/, 'must be a whole number from 1 to 100')))
    .register(notes, {
      type: 'integer',
      minimum: 1,
      maximum: 100,
      default: DEFAULT_LIMIT,
      pattern: undefined,
    }),
});
describe(page, { limit: 'How many conversations a page holds at most.' });

const placeCursor = z.tuple([z.int().check(z.gte(0)), id]);
const turnCursor = z.int().check(z.gte(1));

export function listChats({ chats }: ArchiveParts) {
  return async function list(c: Context<AppEnv>): Promise<Response> {
    const { tenant } = callerOf(c);
    const limit = Number(check(page, c.req.query()).limit ?? DEFAULT_LIMIT);
    const [updatedAt, chatId] = parseCursor(placeCursor, c.req.query('next')) ?? [];
    const after = updatedAt !== undefined && chatId !== undefined && { after: { updatedAt, chatId } };
    const { chats: found, next } = await chats.list(tenant, { limit, ...after });
    return c.json({
      data: found.map(toWireChat),
      next: next ? toCursor([next.updatedAt, next.chatId]) : null,
    });
  };
}

export function readChat({ chats }: ArchiveParts) {
  return async function read(c: ChatContext): Promise<Response> {
    const key = keyOf(c);
    const found = await chats.read(key, parseCursor(turnCursor, c.req.query('next')));
    if (!found) throw noSuchChat();
    const next = found.next !== undefined && { next: toCursor(found.next) };
    return c.json({ chat_id: key.chatId, turns: found.turns.map(toWireTurn), ...next });
  };
}

export function deleteChat({ chats }: ArchiveParts) {
  return async function remove(c: ChatContext): Promise<Response> {
    if (!(await chats.remove(keyOf(c)))) throw noSuchChat();
    return c.body(null, 204);
  };
}

/** @throws `not_found` for what is no id, as for one that is unknown */
function keyOf(c: ChatContext): ChatKey {
  const { tenant } = callerOf(c);
  const { success, data: chatId } = id.safeParse(c.req.param('chat_id'));
  if (!success) throw noSuchChat();
  return { tenant, chatId };
}

/** It names no tenant: a page is always one of the caller's own. */
const toCursor = (place: z.output<typeof placeCursor> | number) =>
  Buffer.from(JSON.stringify(place)).toString('base64url');

function parseCursor<Schema extends z.ZodMiniType>(
  schema: Schema,
  cursor: string | undefined,
): z.output<Schema> | undefined {
  if (cursor === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString()));
  } catch (cause) {
    const message = 'next must be what a page before gave as its next.';
    throw new GatewayError('invalid_request', message, { param: 'next', cause });
  }
}

const toWireChat = ({ chatId, title, turns, updatedAt }: ChatSummary) => ({
  chat_id: chatId,
  title,
  turns,
  updated_at: new Date(updatedAt).toISOString(),
});

function toWireTurn({ messages, completion, model, state, stopReason, usage, at }: Turn) {
  const question = messages.findLast(({ role }) => role === 'user');
  return {
    prompt: question ? toPlainText(question) : '',
    completion,
    model,
    state,
    stop_reason: stopReason ?? null,
    usage: usage && toWireUsage(usage),
    at: new Date(at).toISOString(),
  };
}
