/**
 * A ConverseStream request as the simulator reads it: only the fields it looks at, checked, and the few questions that
 * the simulated model asks about them.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { ServiceException } from './replies.ts';

const text = z.string().optional();
const anything = z.unknown().optional();
const toolResult = z.object({ content: z.array(z.object({ text, json: anything })) }).optional();
const content = z.array(z.object({ text, toolUse: anything, toolResult }));
const toolSpec = z.object({ name: z.string(), inputSchema: z.object({ json: anything }) }).optional();
const textFormat = z.object({ structure: z.object({ jsonSchema: z.object({ schema: z.string() }) }) });

const converseRequest = z.object({
  messages: z.array(z.object({ role: z.string(), content })).min(1),
  system: z.array(z.object({ text })).optional(),
  inferenceConfig: z
    .object({
      maxTokens: z.int().min(1).optional(),
      temperature: z.number().optional(),
      topP: z.number().optional(),
      stopSequences: z.array(z.string()).optional(),
    })
    .optional(),
  toolConfig: z
    .object({
      tools: z.array(z.object({ toolSpec })).min(1),
      toolChoice: z.object({ tool: z.object({ name: z.string() }).optional() }).optional(),
    })
    .optional(),
  serviceTier: z.object({ type: z.string() }).optional(),
  outputConfig: z.object({ textFormat: textFormat.optional() }).optional(),
  additionalModelRequestFields: z.object({ thinking: z.object({ type: z.string() }).optional() }).optional(),
});

/** The fields of a ConverseStream request that the simulator looks at. */
export type ConverseRequest = z.infer<typeof converseRequest>;

/** @throws ServiceException ValidationException 400 when the request is not of Converse's shape */
export function parseConverseRequest(body: unknown): ConverseRequest {
  const { success, data, error } = converseRequest.safeParse(body);
  if (!success) {
    const [issue] = error.issues;
    throw invalid(`1 validation error detected: Value at '${issue?.path.join('.')}': ${issue?.message}`);
  }
  const blocks = data.messages.flatMap((message) => message.content);
  if (!data.toolConfig && blocks.some((block) => block.toolUse || block.toolResult)) {
    // The real service's words and rule: a history with tool calls needs the tools again.
    throw invalid('The toolConfig field must be defined when using toolUse and toolResult content blocks.');
  }
  return data;
}

/** The error of a request that Bedrock, or the model behind it, will not take. */
export function invalid(message: string): ServiceException {
  return new ServiceException(400, 'ValidationException', message);
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

/** All the text that a model would have to read. */
export function inputText(request: ConverseRequest): string {
  const blocks = request.messages.flatMap((message) => message.content);
  const texts = [...(request.system ?? []), ...blocks].flatMap((block) => block.text ?? []);
  return [...texts, lastToolResult(request) ?? ''].join('\n');
}

/** The fingerprint of the conversation so far: ids and signatures made from it differ from turn to turn. */
export function conversationDigest(request: ConverseRequest): Buffer {
  return createHash('sha256').update(JSON.stringify(request.messages)).digest();
}
