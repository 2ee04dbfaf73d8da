/**
 * Conversations: what was said before is sent before the question, and the question and its answer are kept for the next.
 */
import { type Ask, toFailure } from './ask.ts';
import { within } from './clock.ts';
import { GatewayError, toGatewayError } from './errors.ts';
import { assertNever, isTerminal, type Terminal, type Usage } from './events.ts';
import { createReply } from './reply.ts';
import type { ChatRequest, ContentBlock, Message } from './request.ts';
import { joinTurns } from './tool-turns.ts';

/** A conversation is its tenant's: the same id of another tenant is another conversation. */
export type ChatKey = { readonly tenant: string; readonly chatId: string };

/** One question and what came of it. */
export type Turn = {
  /** What was asked: as a rule one message of the user, or the results of tools. Only in the first turn may the assistant speak. */
  readonly messages: readonly Message[];
  /** The text of the answer, as far as it came. */
  readonly completion: string;
  /** All of an answer that called tools, in order, as it is sent back. Absent where the text is all that is needed. */
  readonly reply?: readonly ContentBlock[];
  readonly model: string;
  /** `partial` when it failed in mid-answer, `failed` when nothing had come. */
  readonly state: 'complete' | 'partial' | 'cancelled' | 'failed';
  readonly stopReason?: string;
  readonly usage: Usage | null;
  /** When it ended, in milliseconds since the epoch. */
  readonly at: number;
};

/** Where conversations are kept. */
export type Chats = {
  /**
   * The newest turns of a conversation, oldest first; nothing where the tenant has none by that id.
   *
   * @throws `history_unavailable` when they cannot be read, all of them, as they were kept; `context_length_exceeded` when they are
   * too long to be sent
   */
  recall(key: ChatKey, maxTurns: number): Promise<readonly Turn[] | undefined>;
  /**
   * Begins a conversation with its first turn.
   *
   * @throws `storage_unavailable`
   */
  begin(key: ChatKey, turn: Turn, ttlSeconds: number): Promise<void>;
  /**
   * Adds a turn behind all that are there.
   *
   * @throws `not_found` when the conversation has been deleted, `storage_unavailable`
   */
  append(key: ChatKey, turn: Turn, ttlSeconds: number): Promise<void>;
};

export const noSuchChat = () =>
  new GatewayError('not_found', 'There is no conversation with that chat_id.', { param: 'chat_id' });

export type MemoryParts = {
  readonly chats: Pick<Chats, 'begin' | 'append'>;
  readonly notify: (notice: MemoryNotice) => void;
};

/** A turn could not be kept, or not in time. */
export type MemoryNotice = { readonly type: 'turn-lost'; readonly cause?: unknown };

/** How long a turn may take to be kept, in milliseconds: its end is told only then. */
const KEEP_MS = 4_000;

/** What an answer has after its deadline to be kept, in milliseconds: the process may end soon after. */
const LAST_MS = 4_500;

/**
 * Asks with what was said before in front of the question; where that cannot be read, or does not fit, nobody is asked, since the answer
 * would be silently wrong.
 */
export function withRecall(ask: Ask, chats: Pick<Chats, 'recall'>): Ask {
  const recall = async ({ conversation, caller }: ChatRequest): Promise<readonly Turn[]> => {
    if (!conversation || conversation.isNew) return [];
    const { chatId, maxTurns } = conversation;
    const turns = await chats.recall({ tenant: caller.tenant, chatId }, maxTurns);
    if (!turns) throw noSuchChat();
    return turns;
  };
  return async function* askWithRecall(request, options) {
    const messages = await recall(request)
      .then((turns) => joinTurns(turns, request))
      .catch(toGatewayError);
    if (messages instanceof GatewayError) yield toFailure(messages);
    else yield* ask({ ...request, messages }, options);
  };
}

/** Asks, and keeps question and answer before it tells the end, which says whether they are kept: every turn whose answer began. */
export function withMemory(ask: Ask, { chats, notify }: MemoryParts): Ask {
  return async function* askWithMemory(request, options) {
    const { conversation, caller, messages } = request;
    if (!conversation?.isKept) {
      yield* ask(request, options);
      return;
    }
    const { chatId, isNew, ttlSeconds } = conversation;
    const { clock, deadline } = options;
    const reply = createReply();
    let completion = '';
    let model: string | undefined;
    for await (const event of ask(request, options)) {
      if (event.type === 'text-delta') completion += event.text;
      if (event.type === 'start') {
        model = event.model;
        yield { ...event, chatId };
      } else if (isTerminal(event)) {
        const isKept = model !== undefined && (await keep(model, event));
        yield event.type === 'done' ? { ...event, saved: isKept } : event;
      } else {
        reply.note(event);
        yield event;
      }
    }

    async function keep(answeredBy: string, terminal: Terminal): Promise<boolean> {
      const key = { tenant: caller.tenant, chatId };
      const blocks = reply.blocks();
      const said = { completion, ...(blocks && { reply: blocks }) };
      const outcome = toOutcome(terminal, said);
      const turn: Turn = { messages, ...said, model: answeredBy, at: clock.now(), ...outcome };
      const keeping = isNew ? chats.begin(key, turn, ttlSeconds) : chats.append(key, turn, ttlSeconds);
      try {
        const ms = Math.min(KEEP_MS, deadline + LAST_MS - clock.now());
        const isKept = await within(
          ms,
          keeping.then(() => true),
          clock,
        );
        if (!isKept) notify({ type: 'turn-lost' });
        return isKept ?? false;
      } catch (error) {
        // Whoever deleted the conversation does not want it back.
        if (toGatewayError(error).code !== 'not_found') notify({ type: 'turn-lost', cause: error });
        return false;
      }
    }
  };
}

function toOutcome(
  terminal: Terminal,
  { completion, reply }: Pick<Turn, 'completion' | 'reply'>,
): Pick<Turn, 'state' | 'stopReason' | 'usage'> {
  switch (terminal.type) {
    case 'done':
      return { state: 'complete', stopReason: terminal.stopReason, usage: terminal.usage };
    case 'cancelled':
      return { state: 'cancelled', usage: terminal.usage };
    case 'error':
      return { state: completion === '' && !reply ? 'failed' : 'partial', usage: null };
    default:
      return assertNever(terminal);
  }
}

/** What a message says in words, a line for each of its blocks. */
export const toPlainText = ({ content }: Message): string =>
  content.flatMap((block) => (block.type === 'text' ? [block.text] : [])).join('\n');
