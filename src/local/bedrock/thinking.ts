/**
 * Reasoning: when the simulated model thinks, how its thoughts are sealed, and what Claude refuses about them. A thought that
 * comes back must be the very one that was sent, or the request is refused.
 * @see https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html
 */
import { createHmac } from 'node:crypto';
import { invalid, rejected } from './replies.ts';
import type { ConverseRequest, Message } from './request-shape.ts';

/** No secret: whoever runs the simulator may sign thoughts. */
const KEY = 'The simulated model signs its thoughts with this.';

/** How a model sends its thoughts: in the open with a signature, in the open without one, or as bytes that nobody can read. */
export type Seal = 'signed' | 'unsigned' | 'redacted';

/** How this model thinks about this request; nothing when it does not. */
export function sealOfThoughts(modelId: string, request: ConverseRequest): Seal | undefined {
  const { thinking, reasoningConfig, reasoning_effort } = request.additionalModelRequestFields ?? {};
  const isAskedFor =
    thinksLikeClaude(request) || reasoningConfig?.type === 'enabled' || reasoning_effort !== undefined;
  const isHabit = modelId.includes('reasoning') && thinking?.type !== 'disabled';
  if (!isAskedFor && !isHabit) return undefined;
  if (modelId.includes('redacted-reasoning')) return 'redacted';
  return reasoning_effort === undefined ? 'signed' : 'unsigned';
}

/** The signature of a thought, base64. */
export function sign(thought: string): string {
  return createHmac('sha256', KEY).update(thought).digest('base64');
}

/** A thought as `redactedContent`, base64: its signature and itself. */
export function redact(thought: string): string {
  return Buffer.from(`${sign(thought)}${thought}`).toString('base64');
}

function isRedacted(redacted: string): boolean {
  const text = Buffer.from(redacted, 'base64').toString();
  return redacted === redact(text.slice(sign('').length));
}

/** @throws ServiceException ValidationException 400 for settings that do not go together, and for thoughts that are not ours */
export function checkThinking(request: ConverseRequest): void {
  const { type, budget_tokens: budget } = request.additionalModelRequestFields?.thinking ?? {};
  const { temperature, maxTokens = Infinity } = request.inferenceConfig ?? {};
  if (type === 'enabled') checkBudget(budget, maxTokens);
  else if (type !== undefined && type !== 'adaptive' && type !== 'disabled')
    throw rejected(
      `thinking: Input tag '${type}' found using 'type' does not match any of the expected tags: 'adaptive', 'disabled', 'enabled'`,
    );
  if (thinksLikeClaude(request)) {
    const { any, tool } = request.toolConfig?.toolChoice ?? {};
    if (temperature !== undefined && temperature !== 1)
      throw rejected(`\`temperature\` may only be set to 1 when thinking is enabled. ${DOCUMENTATION}`);
    if (any !== undefined || tool !== undefined)
      throw rejected('Thinking may not be enabled when tool_choice forces tool use.');
  }
  request.messages.forEach((message, index) => {
    checkThoughts(message, `messages.${index}.content`, request);
  });
  if (type === 'enabled') checkFirstThought(request.messages);
}

const DOCUMENTATION =
  'Please consult our documentation at https://docs.claude.com/en/docs/build-with-claude/extended-thinking';

function thinksLikeClaude({ additionalModelRequestFields }: ConverseRequest): boolean {
  const type = additionalModelRequestFields?.thinking?.type;
  return type === 'enabled' || type === 'adaptive';
}

function checkBudget(budget: unknown, maxTokens: number): void {
  const at = 'thinking.enabled.budget_tokens';
  if (budget === undefined) throw rejected(`${at}: Field required`);
  if (!Number.isInteger(budget)) throw rejected(`${at}: Input should be a valid integer`);
  if (Number(budget) < 1024) throw rejected(`${at}: Input should be greater than or equal to 1024`);
  if (Number(budget) >= maxTokens)
    throw rejected(`\`max_tokens\` must be greater than \`thinking.budget_tokens\`. ${DOCUMENTATION}`);
}

function checkThoughts({ content }: Message, at: string, request: ConverseRequest): void {
  content.forEach(({ reasoningContent }, index) => {
    const { reasoningText, redactedContent } = reasoningContent ?? {};
    const signature = reasoningText?.signature;
    if (redactedContent !== undefined && !isRedacted(redactedContent))
      throw rejected(`${at}.${index}: Invalid \`data\` in \`redacted_thinking\` block`);
    if (signature === undefined) {
      if (reasoningText && thinksLikeClaude(request))
        throw rejected(`${at}.${index}.thinking.signature: Field required`);
      return;
    }
    if (request.additionalModelRequestFields?.reasoning_effort !== undefined) {
      const field = 'reasoningContent.reasoningText.signature';
      throw invalid(`This model doesn't support the ${field} field. Remove ${field} and try again.`);
    }
    if (signature !== sign(reasoningText?.text ?? ''))
      throw rejected(`${at}.${index}: Invalid \`signature\` in \`thinking\` block`);
  });
}

/** While the results of tools come in, the thought that led to the calls must stand before them. Older turns may be without. */
function checkFirstThought(messages: readonly Message[]): void {
  const index = messages.findLastIndex(({ role }) => role === 'assistant');
  const content = messages[index]?.content ?? [];
  const [first] = content;
  const isAnswered = messages.at(-1)?.content.some(({ toolResult }) => toolResult);
  if (!isAnswered || !first || first.reasoningContent) return;
  const found = first.toolUse ? 'tool_use' : 'text';
  throw rejected(
    `messages.${index}.content.0.type: Expected \`thinking\` or \`redacted_thinking\`, but found \`${found}\`. ` +
      'When `thinking` is enabled, a final `assistant` message must start with a thinking block (preceeding the ' +
      'lastmost set of `tool_use` and `tool_result` blocks). We recommend you include thinking blocks from previous ' +
      `turns. To avoid this requirement, disable \`thinking\`. ${DOCUMENTATION}`,
  );
}
