/**
 * A question held against the settings: what may be asked is filled in, what may not is refused.
 */
import { randomUUID } from 'node:crypto';
import { noSuchChat } from './conversation.ts';
import { GatewayError } from './errors.ts';
import { chooseModel, isOffered, resolveModel } from './models.ts';
import type { Caching, ChatRequest, Conversation, Inference, Question } from './request.ts';
import type { Settings } from './settings.ts';

/**
 * The request to send: defaults filled in, limits held.
 *
 * @throws `model_not_found` for a model outside the allow-list, `invalid_request` for more tokens than the limit, and
 * `not_found` for a conversation where none are kept.
 */
export function createRequest(question: Question, settings: Settings): ChatRequest {
  const { systemPrompt, fallbackModels, modelQuirks, guardrailId, guardrailVersion, serviceTier } = settings;
  const model = chooseModel(question.model ?? settings.defaultModel, settings);
  const { chat, cache, ...asked } = question;
  const conversation = toConversation(question, settings);
  return {
    ...asked,
    model,
    caching: toCaching(question, settings),
    ...(conversation && { conversation }),
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

/** What an operator wrote for everybody would pass over what the caller told the model, unless the caller asks for the cache. */
function toCaching({ cache, system }: Question, settings: Settings): Caching {
  return {
    mode: settings.cache === 'off' ? 'off' : (cache ?? 'use'),
    curated: cache === 'use' || system.length === 0,
    scope: settings.cacheScope,
    ttlSeconds: settings.cacheTtlSeconds,
    timeoutMs: settings.cacheTimeoutMs,
    ...(settings.similarAnswers === 'on' && { similarThreshold: settings.similarThreshold }),
  };
}

function toConversation({ chat, store }: Question, settings: Settings): Conversation | undefined {
  const { history, historyMaxTurns: maxTurns, historyTtlSeconds: ttlSeconds } = settings;
  const isOff = history === 'off';
  if (typeof chat !== 'string') {
    if (isOff) throw noSuchChat();
    return { chatId: chat.id, isNew: false, isKept: store, maxTurns, ttlSeconds };
  }
  if (isOff || chat === 'none' || !store) return undefined;
  return { chatId: randomUUID(), isNew: true, isKept: true, maxTurns, ttlSeconds };
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
