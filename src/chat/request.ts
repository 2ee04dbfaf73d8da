/**
 * What every door asks: one request, whatever it came in as. Doors parse bytes into a `Question`; `create-request.ts` holds it
 * against the settings.
 */
import type { Json } from './json.ts';
import type { QuirkRule } from './quirks.ts';

/** Who is calling, from what AWS filled in and never from what the caller wrote. Everything owned is keyed by `tenant`. */
export type Caller = {
  readonly tenant: string;
  readonly kind: 'api-key' | 'iam';
  readonly door: 'rest' | 'function-url' | 'websocket';
};

export type ImageFormat = 'png' | 'jpeg' | 'gif' | 'webp';
export type DocumentFormat = 'pdf' | 'csv' | 'doc' | 'docx' | 'xls' | 'xlsx' | 'html' | 'txt' | 'md';

export type ContentBlock =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'image'; readonly format: ImageFormat; readonly bytes: Uint8Array }
  | {
      readonly type: 'document';
      readonly format: DocumentFormat;
      readonly name: string;
      readonly bytes: Uint8Array;
    }
  | { readonly type: 'tool-use'; readonly id: string; readonly name: string; readonly input: Json }
  | {
      readonly type: 'tool-result';
      readonly id: string;
      readonly text: string;
      readonly failed: boolean;
    }
  | {
      readonly type: 'reasoning';
      readonly text: string;
      readonly signature?: string;
      /** Reasoning that the provider encrypted, as base64; then `text` is empty. */
      readonly redacted?: string;
    }
  | CachePoint;

/** What comes before it may be remembered by the provider, which then reads it for less. */
export type CachePoint = { readonly type: 'cache-point'; readonly ttl?: '5m' | '1h' };

export type Message = { readonly role: 'user' | 'assistant'; readonly content: readonly ContentBlock[] };

export type Tool = {
  readonly name: string;
  readonly description?: string;
  readonly inputSchema: Json;
  /** Behind the tool. */
  readonly cachePoint?: CachePoint;
};
export type ToolChoice = { readonly type: 'auto' | 'any' } | { readonly type: 'tool'; readonly name: string };

export type Inference = {
  readonly maxTokens: number;
  readonly temperature?: number;
  readonly topP?: number;
  readonly stopSequences: readonly string[];
};

/** How hard a model should think before it answers. */
export const efforts = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'] as const;
export type Effort = (typeof efforts)[number];

export type CacheMode = 'use' | 'refresh' | 'off';

/** A request as a door read it: well-formed, but not yet held against the settings. */
export type Question = {
  readonly requestId: string;
  readonly caller: Caller;
  readonly model?: string;
  /** In order. */
  readonly system: readonly (string | CachePoint)[];
  readonly messages: readonly Message[];
  readonly inference: Partial<Inference>;
  readonly tools: readonly Tool[];
  readonly toolChoice?: ToolChoice;
  readonly outputSchema?: { readonly name: string; readonly schema: Json };
  /** Absent when the caller did not say. */
  readonly effort?: Effort;
  /** For the provider's own records. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** The conversation it goes on with, a new one, or none. */
  readonly chat: { readonly id: string } | 'new' | 'none';
  /** Absent when the caller did not say. */
  readonly cache?: CacheMode;
  readonly store: boolean;
};

/** A request that may be sent. In `system` the operator's own words come first. */
export type ChatRequest = Omit<Question, 'model' | 'inference' | 'chat' | 'cache'> & {
  readonly model: string;
  readonly inference: Inference;
  readonly caching: Caching;
  /** Absent where nothing was said before and nothing is kept. */
  readonly conversation?: Conversation;
  /** Asked in this order when `model` has no room. */
  readonly fallbackModels: readonly string[];
  readonly quirks: readonly QuirkRule[];
  /** What Bedrock hands to the model unread. */
  readonly modelFields: Readonly<Record<string, Json>>;
  readonly guardrail?: { readonly id: string; readonly version: string };
  readonly serviceTier?: ServiceTier;
  /** How long the model may be silent before its first event, and between two events, in milliseconds. */
  readonly patience: { readonly firstEventMs: number; readonly idleMs: number };
};

/** How a request is held against the questions that have been asked before. */
export type Caching = {
  readonly mode: CacheMode;
  /** Whether an answer of the operator's may serve. */
  readonly curated: boolean;
  /** Whose learned answers may serve. */
  readonly scope: 'tenant' | 'shared';
  readonly ttlSeconds: number;
  /** How long the cache may take, in milliseconds. */
  readonly timeoutMs: number;
  /** How near, as a cosine, another question must be for its answer to serve; absent where none may. */
  readonly similarThreshold?: number;
};

/** The conversation that a request is a turn of. */
export type Conversation = {
  readonly chatId: string;
  /** Whether this is its first turn; else the turns before it come first. */
  readonly isNew: boolean;
  /** Whether this turn is kept. */
  readonly isKept: boolean;
  /** How many of the turns before are sent at most. */
  readonly maxTurns: number;
  readonly ttlSeconds: number;
};

/** @see https://docs.aws.amazon.com/bedrock/latest/userguide/service-tiers-inference.html */
export type ServiceTier = 'default' | 'flex' | 'priority' | 'reserved';
