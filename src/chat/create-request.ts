/**
 * A question held against the settings: what may be asked is filled in, what may not is refused.
 */
import { GatewayError } from './errors.ts';
import { isOffered, resolveModel } from './models.ts';
import type { ChatRequest, Inference, Question } from './request.ts';
import type { Settings } from './settings.ts';

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
