/**
 * How a conversation lies in the `chats` table: a header, and for each turn a row with its fields and the first slice of its text, which
 * is JSON, and a row for each further slice, since an item holds 400 KB.
 */
import * as z from 'zod/mini';
import { type ChatKey, type Turn, toPlainText } from '../chat/conversation.ts';
import { GatewayError } from '../chat/errors.ts';
import type { ContentBlock } from '../chat/request.ts';
import { cut, join } from './slices.ts';
import type { createTable, Row } from './table.ts';

/** Rows of another version are left alone, and not understood. */
export const VERSION = 1;

/** The `sk` of the header, before that of the first turn. */
export const HEADER = 0;

/** Of its text: every later question brings it back. */
const MAX_TURN_BYTES = 4 * 1024 * 1024;
const MAX_TITLE_CHARS = 80;
const MAX_PARTS = 999;
/** The last millisecond that a `Date` can hold. */
const MAX_TIME_MS = 8.64e15;

const version = z.literal(VERSION);
const count = z.int().check(z.gte(0));
const timeMs = z.int().check(z.gte(0), z.lte(MAX_TIME_MS));

export const headerFields = z.object({
  version,
  title: z.string(),
  /** How many were begun; not all of them need be there. */
  turns: z.int32().check(z.gte(1)),
  updatedAt: timeMs,
});

const turnFields = z.object({
  state: z.enum(['complete', 'partial', 'cancelled', 'failed']),
  model: z.string(),
  stopReason: z.exactOptional(z.string()),
  usage: z.nullable(
    z.object({ inputTokens: count, outputTokens: count, cacheReadTokens: count, cacheWriteTokens: count }),
  ),
  at: timeMs,
});

const slice = z.object({ version, sk: z.number(), ttl: z.int(), bytes: z.instanceof(Uint8Array) });
const firstSlice = z.extend(slice, { parts: z.int().check(z.gte(1), z.lte(MAX_PARTS)) });

const bytes = z.pipe(
  z.base64(),
  z.transform((text: string) => Buffer.from(text, 'base64')),
);

const block = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text'), text: z.string() }),
  z.object({ type: z.literal('image'), format: z.enum(['png', 'jpeg', 'gif', 'webp']), bytes }),
  z.object({
    type: z.literal('document'),
    format: z.enum(['pdf', 'csv', 'doc', 'docx', 'xls', 'xlsx', 'html', 'txt', 'md']),
    name: z.string(),
    bytes,
  }),
  z.object({ type: z.literal('tool-use'), id: z.string(), name: z.string(), input: z.json() }),
  z.object({ type: z.literal('tool-result'), id: z.string(), text: z.string(), failed: z.boolean() }),
  z.object({
    type: z.literal('reasoning'),
    text: z.string(),
    signature: z.exactOptional(z.string()),
    redacted: z.exactOptional(z.string()),
  }),
]);

const said = z.object({
  messages: z
    .array(z.object({ role: z.enum(['user', 'assistant']), content: z.array(block) }))
    .check(z.minLength(1)),
  completion: z.string(),
  reply: z.exactOptional(z.array(block)),
});

/** A row of the table has some of these; all have the version. */
export type ChatFields = z.input<typeof headerFields> &
  z.input<typeof turnFields> &
  z.input<typeof firstSlice> & {
    readonly tenant: string;
    /** On a header of which the turns are being deleted. */
    readonly deleted: true;
  };

export type ChatRow = Row<ChatFields>;
export type ChatTable = ReturnType<typeof createTable<ChatFields>>;

/** An id has no `#`, so nobody's key can be another's. */
export const toKey = ({ tenant, chatId }: ChatKey) => `${tenant}#${chatId}`;

/** What is between the numbers of two turns are slices. Whole thousandths, so that the number is the nearest to its decimals. */
const toSortKey = (turn: number, part: number) => (turn * 1000 + part) / 1000;

/** All `sk` of these turns, first and last. */
export const sortKeysOf = (first: number, last: number) => ({
  from: toSortKey(first, 0),
  to: toSortKey(last, MAX_PARTS),
});

export const isFirstSlice = ({ sk = 0 }: ChatRow): boolean => Number.isInteger(sk);

export const isOfSameTurn = ({ sk: one = 0 }: ChatRow, { sk: other = 0 }: ChatRow): boolean =>
  Math.floor(one) === Math.floor(other);

/** What the conversation is listed under: the text of its first question, white space folded, at most 80 characters. */
export function toTitle({ messages }: Turn): string {
  const question = messages.find(({ role }) => role === 'user');
  const text = question ? toPlainText(question).replaceAll(/\s+/g, ' ').trim().toWellFormed() : '';
  const characters = [...text.slice(0, 2 * MAX_TITLE_CHARS + 1)];
  return characters.length > MAX_TITLE_CHARS ? `${characters.slice(0, MAX_TITLE_CHARS - 1).join('')}…` : text;
}

/**
 * A turn as what its rows hold, the first first.
 *
 * @throws `storage_unavailable` when it is too long to be kept
 */
export function toSlices({ messages, completion, reply, ...fields }: Turn): Partial<ChatFields>[] {
  const stored: z.input<typeof said> = {
    messages: messages.map(({ role, content }) => ({ role, content: content.flatMap(toStored) })),
    completion,
    ...(reply && { reply: reply.flatMap(toStored) }),
  };
  const text = JSON.stringify(stored);
  if (Buffer.byteLength(text) > MAX_TURN_BYTES) {
    throw new GatewayError('storage_unavailable', 'The turn is too long to be kept.');
  }
  const slices = cut(text);
  return slices.map((bytes, part) => ({
    version: VERSION,
    bytes,
    ...(part === 0 && { ...fields, parts: slices.length }),
  }));
}

/** The rows of a turn. */
export const toRows = (pk: string, turn: number, slices: readonly Partial<ChatFields>[], ttl: number) =>
  slices.map((fields, part) => ({ ...fields, pk, sk: toSortKey(turn, part), ttl }));

/**
 * The turn that lies in these rows, the first first.
 *
 * @throws `history_unavailable` when they are not all there, or not what a turn must be
 */
export function toTurn(rows: readonly ChatRow[]): Turn {
  try {
    const { sk, parts } = firstSlice.parse(rows[0]);
    const slices = Array.from({ length: parts }, (_, part) =>
      slice.parse(rows.find((row) => row.sk === toSortKey(sk, part))),
    );
    const text = join(slices.map(({ bytes }) => bytes));
    return { ...said.parse(JSON.parse(text)), ...turnFields.parse(rows[0]) };
  } catch (cause) {
    throw unreadable(cause);
  }
}

export const unreadable = (cause: unknown) =>
  new GatewayError('history_unavailable', 'The conversation cannot be read; begin a new one.', { cause });

/** A place to remember from is of its own request, and a model takes only a few of them. */
function toStored(block: ContentBlock) {
  if (block.type === 'cache-point') return [];
  return 'bytes' in block ? { ...block, bytes: Buffer.from(block.bytes).toString('base64') } : block;
}
