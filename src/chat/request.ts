/**
 * What every door asks: one request, whatever it came in as. Doors parse bytes into a `Question`; `createRequest` holds it
 * against the settings.
 */
import { GatewayError } from './errors.ts';
import { isOffered, resolveModel } from './models.ts';
import type { QuirkRule } from './quirks.ts';
import type { Settings } from './settings.ts';

/** Who is calling, from what AWS filled in and never from what the caller wrote. Everything owned is keyed by `tenant`. */
export type Caller = {
  readonly tenant: string;
  readonly kind: 'api-key' | 'iam';
  readonly door: 'rest' | 'function-url' | 'websocket';
};

export type ImageFormat = 'png' | 'jpeg' | 'gif' | 'webp';
export type DocumentFormat = 'pdf' | 'csv' | 'doc' | 'docx' | 'xls' | 'xlsx' | 'html' | 'txt' | 'md';

/** JSON that the gateway hands on without reading it: a tool's arguments, a schema. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

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
    };

export type Message = { readonly role: 'user' | 'assistant'; readonly content: readonly ContentBlock[] };

export type Tool = { readonly name: string; readonly description?: string; readonly inputSchema: Json };
export type ToolChoice = { readonly type: 'auto' | 'any' } | { readonly type: 'tool'; readonly name: string };

export type Inference = {
  readonly maxTokens: number;
  readonly temperature?: number;
  readonly topP?: number;
  readonly stopSequences: readonly string[];
};

export type CacheMode = 'use' | 'refresh' | 'off';

/** A request as a door read it: well-formed, but not yet held against the settings. */
export type Question = {
  readonly requestId: string;
  readonly caller: Caller;
  readonly model?: string;
  /** In order. */
  readonly system: readonly string[];
  readonly messages: readonly Message[];
  readonly inference: Partial<Inference>;
  readonly tools: readonly Tool[];
  readonly toolChoice?: ToolChoice;
  readonly outputSchema?: { readonly name: string; readonly schema: Json };
  readonly chatId?: string;
  readonly cache: CacheMode;
  readonly store: boolean;
};

/** A request that may be sent. In `system` the operator's own words come first. */
export type ChatRequest = Omit<Question, 'model' | 'inference'> & {
  readonly model: string;
  readonly inference: Inference;
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

/** @see https://docs.aws.amazon.com/bedrock/latest/userguide/service-tiers-inference.html */
export type ServiceTier = 'default' | 'flex' | 'priority' | 'reserved';

/**
 * The request to send: defaults filled in, limits held.
 *
 * @throws `model_not_found` for a model outside the allow-list, `invalid_request` for more tokens than the limit, and
 * `not_found` for a conversation, because none are kept yet.
 */
export function createRequest(question: Question, settings: Settings): ChatRequest {
  const { systemPrompt, fallbackModels, modelQuirks, guardrailId, guardrailVersion, serviceTier } = settings;
  const model = resolveModel(question.model ?? settings.defaultModel, settings);
  if (!isOffered(model, settings)) {
    const message = 'This gateway does not offer that model; GET /v1/models lists those it does.';
    throw new GatewayError('model_not_found', message, { param: 'model' });
  }
  if (question.chatId !== undefined) {
    throw new GatewayError('not_found', 'There is no conversation with that chat_id.', { param: 'chat_id' });
  }
  return {
    ...question,
    model,
    fallbackModels: fallbackModels
      .map((name) => resolveModel(name, settings))
      .filter((other) => other !== model && isOffered(other, settings)),
    quirks: modelQuirks,
    modelFields: {},
    system: systemPrompt === undefined ? question.system : [systemPrompt, ...question.system],
    inference: fillInference(question.inference, settings),
    ...(guardrailId && guardrailVersion && { guardrail: { id: guardrailId, version: guardrailVersion } }),
    ...(serviceTier && { serviceTier }),
    patience: {
      firstEventMs: settings.firstEventTimeoutSeconds * 1000,
      idleMs: settings.idleTimeoutSeconds * 1000,
    },
  };
}

function fillInference(asked: Partial<Inference>, settings: Settings): Inference {
  const { maxTokensLimit, defaultTemperature, defaultTopP } = settings;
  const { maxTokens = Math.min(settings.defaultMaxTokens, maxTokensLimit), temperature, topP } = asked;
  if (maxTokens > maxTokensLimit) {
    const message = `max_tokens must be at most ${maxTokensLimit}.`;
    throw new GatewayError('invalid_request', message, { param: 'max_tokens' });
  }
  // Some models refuse temperature and top_p together, so the defaults step back when the caller chose either.
  const isChosen = temperature !== undefined || topP !== undefined;
  const sampling = isChosen ? { temperature, topP } : { temperature: defaultTemperature, topP: defaultTopP };
  return {
    maxTokens,
    ...(sampling.temperature !== undefined && { temperature: sampling.temperature }),
    ...(sampling.topP !== undefined && { topP: sampling.topP }),
    stopSequences: asked.stopSequences ?? settings.defaultStopSequences,
  };
}
