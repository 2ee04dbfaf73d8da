/**
 * What happens while a question is answered: the vocabulary that every door encodes. An answer is
 * `start`, then any number of deltas, then exactly one of `done`, `error`, `cancelled`.
 */
import type { ErrorCode, GatewayError } from './errors.ts';

/** Tokens that Bedrock counted. `inputTokens` leaves out what came from or went to the prompt cache. */
export type Usage = {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cacheReadTokens: number;
  readonly cacheWriteTokens: number;
};

/**
 * One piece of an answer. `block` is Bedrock's content block index: pieces that bear the same one belong together.
 * A `tool-delta` carries a fragment of the arguments' JSON text. `reasoning-signature` carries what must be sent back
 * unread with the reasoning on the next turn: its `signature`, or `redacted` reasoning as base64.
 */
export type Delta =
  | { readonly type: 'text-delta'; readonly block: number; readonly text: string }
  | { readonly type: 'reasoning-delta'; readonly block: number; readonly text: string }
  | {
      readonly type: 'reasoning-signature';
      readonly block: number;
      readonly signature?: string;
      readonly redacted?: string;
    }
  | { readonly type: 'tool-start'; readonly block: number; readonly id: string; readonly name: string }
  | { readonly type: 'tool-delta'; readonly block: number; readonly json: string }
  | { readonly type: 'tool-end'; readonly block: number };

export type Start = {
  readonly type: 'start';
  readonly requestId: string;
  readonly chatId?: string;
  readonly model: string;
  readonly cached: false | 'curated' | 'learned' | 'similar';
};

export type Done = {
  readonly type: 'done';
  /** Bedrock's own word: `end_turn`, `max_tokens`, `stop_sequence`, `tool_use`, `guardrail_intervened` and whatever follows. */
  readonly stopReason: string;
  /** `null` when Bedrock closed the answer without saying. */
  readonly usage: Usage | null;
  /** Whether the turn is in the history. */
  readonly saved: boolean;
  readonly timing: { readonly firstEventMs: number; readonly totalMs: number };
};

export type Failure = {
  readonly type: 'error';
  readonly code: ErrorCode;
  readonly message: string;
  readonly param?: string;
  readonly retryable: boolean;
  readonly retryAfterSeconds?: number;
  /** What was caught, for the log. No door writes it. */
  readonly cause: GatewayError;
};

/** Bedrock never says what a broken-off answer cost, so the usage is our estimate. */
export type Cancelled = { readonly type: 'cancelled'; readonly usage: Usage; readonly estimated: true };

export type Terminal = Done | Failure | Cancelled;
export type ChatEvent = Start | Delta | Terminal;

/** What a model yields: `begin` at its first sign of life, deltas, and `end` only when it said that the answer is whole. */
export type ModelEvent =
  | { readonly type: 'begin'; readonly model: string; readonly cached?: Exclude<Start['cached'], false> }
  | Delta
  | { readonly type: 'end'; readonly stopReason: string; readonly usage: Usage | null };

export function isTerminal(event: ChatEvent): event is Terminal {
  return event.type === 'done' || event.type === 'error' || event.type === 'cancelled';
}

/** Makes forgetting a member of a union a compile error. */
export function assertNever(value: never): never {
  throw new TypeError(`Unexpected ${JSON.stringify(value)}`);
}
