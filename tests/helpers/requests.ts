/** Requests that tests send. */
import { createRequest } from '../../src/chat/create-request.ts';
import type { ChatRequest, Question } from '../../src/chat/request.ts';
import { parseSettings } from '../../src/chat/settings.ts';

export const defaultSettings = parseSettings(new Map());

export const question: Question = {
  requestId: 'request-1',
  caller: { tenant: 'alice', kind: 'api-key', door: 'rest' },
  system: [],
  messages: [{ role: 'user', content: [{ type: 'text', text: 'What is a Faraday cage?' }] }],
  inference: {},
  tools: [],
  chat: 'new',
  cache: 'use',
  store: true,
};

export const chatRequest = (changes: Partial<ChatRequest> = {}): ChatRequest => ({
  ...createRequest(question, defaultSettings),
  ...changes,
});
