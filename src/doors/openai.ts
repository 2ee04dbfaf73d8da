/**
 * `POST /v1/chat/completions`, in OpenAI's words.
 */
import { type ChatParts, createAskRoute } from './asking.ts';
import { createCompletionWriter } from './openai-answer.ts';
import { parseCompletion } from './openai-request.ts';

export const createCompletionsRoute = (parts: ChatParts) =>
  createAskRoute(parts, (body, caller, ownId) => {
    const { question, stream, includeUsage } = parseCompletion(body, caller, ownId);
    const { requestId } = question;
    return { question, stream, toWriter: (now) => createCompletionWriter({ requestId, now, includeUsage }) };
  });
