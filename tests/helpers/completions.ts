/** Bodies of chat completions, and what is read of them. */
import { GatewayError } from '../../src/chat/errors.ts';
import type { Caller, ContentBlock } from '../../src/chat/request.ts';
import { parseCompletion } from '../../src/doors/openai-request.ts';

export const caller: Caller = { tenant: 'alice', kind: 'api-key', door: 'rest' };
export const hi = [{ role: 'user', content: 'Hi' }];
export const parse = (body: object) => parseCompletion({ messages: hi, ...body }, caller, 'made-up');
export const questionOf = (body: object) => parse(body).question;
export const text = (said: string): ContentBlock => ({ type: 'text', text: said });

/** What it is refused for. */
export function refusalOf(body: object): { message: string; param: string | undefined } {
  try {
    parse(body);
  } catch (error) {
    if (error instanceof GatewayError && error.code === 'invalid_request') {
      return { message: error.message, param: error.param };
    }
    throw error;
  }
  throw new Error('It was not refused.');
}
