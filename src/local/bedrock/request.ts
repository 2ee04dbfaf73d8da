/**
 * A ConverseStream request as the simulator reads it: checked as the service does, and the few questions that the simulated
 * model asks about it.
 */
import { createHash } from 'node:crypto';
import { invalid } from './replies.ts';
import { type ConverseRequest, converseRequest } from './request-shape.ts';
import { checkRules } from './rules.ts';
import { checkThinking } from './thinking.ts';

/** @throws ServiceException ValidationException 400 when Converse, or the model behind it, would not take the request */
export function parseConverseRequest(body: unknown): ConverseRequest {
  const { success, data, error } = converseRequest.safeParse(body);
  if (!success) {
    const problems = error.issues.map(
      ({ path, message }) => `Value at '${memberPath(path)}' failed to satisfy constraint: ${message}`,
    );
    const count = problems.length === 1 ? '1 validation error' : `${problems.length} validation errors`;
    throw invalid(`${count} detected: ${problems.join('; ')}`);
  }
  checkRules(data);
  checkThinking(data);
  return data;
}

/** The service counts from 1 here, and from 0 in its other messages: `messages.1.member.content.2.member.toolUse.name`. */
function memberPath(path: readonly PropertyKey[]): string {
  return path.map((key) => (typeof key === 'number' ? `${key + 1}.member` : String(key))).join('.');
}

/** The text of each user message, oldest first; empty for a message without text. */
export function userTexts(request: ConverseRequest): string[] {
  return request.messages
    .filter(({ role }) => role === 'user')
    .map((message) => message.content.flatMap((block) => block.text ?? []).join('\n'));
}

/** What the tools returned, if that is what the last message brings. */
export function lastToolResult(request: ConverseRequest): string | undefined {
  const results = request.messages.at(-1)?.content.flatMap((block) => block.toolResult ?? []) ?? [];
  if (results.length === 0) return undefined;
  const contents = results.flatMap((result) => result.content);
  return contents.map((content) => content.text ?? JSON.stringify(content.json)).join('\n');
}

/** The fingerprint of the conversation so far: ids made from it differ from turn to turn. */
export function conversationDigest(request: ConverseRequest): Buffer {
  return createHash('sha256').update(JSON.stringify(request.messages)).digest();
}
