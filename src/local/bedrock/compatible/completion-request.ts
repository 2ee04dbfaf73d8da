/**
 * A ConverseStream request as a body for `POST /chat/completions`. Left out is what such a server has no word for: places to remember
 * from, thoughts of earlier turns, guardrails, the service tier and metadata.
 */
import { parseOutputSchema } from '../output-schema.ts';
import { invalid } from '../replies.ts';
import type { ContentBlock, ConverseRequest, Message, ResultContent } from '../request-shape.ts';

/** Documents that can be told as a text. */
const READABLE = ['csv', 'html', 'md', 'txt'];

/**
 * @param fields what the gateway would hand to the model unread
 * @throws ServiceException ValidationException 400 for a document that is no text, and for anything but texts in the result of a tool
 */
export function toCompletion(model: string, request: ConverseRequest, fields: object = {}): object {
  const { maxTokens, temperature, topP, stopSequences } = request.inferenceConfig ?? {};
  const schema = parseOutputSchema(request);
  return {
    ...fields,
    model,
    messages: [...toSystem(request), ...request.messages.flatMap(toMessages)],
    max_tokens: maxTokens,
    temperature,
    top_p: topP,
    stop: stopSequences,
    ...toTools(request),
    ...(schema && {
      response_format: { type: 'json_schema', json_schema: { name: 'answer', schema, strict: true } },
    }),
    stream: true,
    stream_options: { include_usage: true },
  };
}

const joinTexts = (texts: readonly string[]) => texts.join('\n\n');

function toSystem({ system = [] }: ConverseRequest): object[] {
  const texts = system.flatMap(({ text }) => text ?? []);
  return texts.length > 0 ? [{ role: 'system', content: joinTexts(texts) }] : [];
}

const toMessages = ({ role, content }: Message): object[] =>
  role === 'user' ? [...content.flatMap(toToolMessage), ...toUserMessage(content)] : [toAssistant(content)];

function toAssistant(content: readonly ContentBlock[]): object {
  const text = joinTexts(content.flatMap((block) => block.text ?? []));
  const tool_calls = content.flatMap(({ toolUse }) => {
    if (!toolUse) return [];
    const { toolUseId: id, name, input } = toolUse;
    return { id, type: 'function', function: { name, arguments: JSON.stringify(input) } };
  });
  if (tool_calls.length === 0) return { role: 'assistant', content: text };
  return { role: 'assistant', content: text || null, tool_calls };
}

function toToolMessage({ toolResult }: ContentBlock): object[] {
  if (!toolResult) return [];
  const text = joinTexts(toolResult.content.map(toResultText));
  const content = toolResult.status === 'error' ? `Error: ${text}` : text;
  return [{ role: 'tool', tool_call_id: toolResult.toolUseId, content }];
}

function toResultText({ text, json }: ResultContent): string {
  if (text !== undefined) return text;
  if (json !== undefined) return JSON.stringify(json);
  throw invalid('The server takes no images and no documents in the results of tools.');
}

/** Some servers want a text, and no list of parts, for a model that sees no images. */
function toUserMessage(content: readonly ContentBlock[]): object[] {
  const parts = content.flatMap(toPart);
  const texts = parts.flatMap((part) => ('text' in part ? part.text : []));
  if (parts.length === 0) return [];
  return [{ role: 'user', content: texts.length === parts.length ? joinTexts(texts) : parts }];
}

type Part =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'image_url'; readonly image_url: { readonly url: string } };

function toPart({ text, image, document }: ContentBlock): Part[] {
  if (text !== undefined) return [{ type: 'text', text }];
  if (document) return [{ type: 'text', text: readDocument(document) }];
  if (!image) return [];
  const url = `data:image/${image.format};base64,${image.source.bytes}`;
  return [{ type: 'image_url', image_url: { url } }];
}

function readDocument({ format, name, source }: NonNullable<ContentBlock['document']>): string {
  if (!READABLE.includes(format))
    throw invalid(`The server takes no documents as ${format}, only as ${READABLE.join(', ')}.`);
  return `${name}.${format}:\n\n${Buffer.from(source.bytes, 'base64').toString()}`;
}

function toTools({ toolConfig }: ConverseRequest): object {
  if (!toolConfig) return {};
  const { tools, toolChoice } = toolConfig;
  return {
    tools: tools.flatMap(({ toolSpec }) => {
      if (!toolSpec) return [];
      const { name, description, inputSchema } = toolSpec;
      return { type: 'function', function: { name, description, parameters: inputSchema.json } };
    }),
    ...(toolChoice && { tool_choice: toToolChoice(toolChoice) }),
  };
}

type ToolChoice = NonNullable<NonNullable<ConverseRequest['toolConfig']>['toolChoice']>;

const toToolChoice = (choice: ToolChoice) =>
  choice.tool
    ? { type: 'function', function: { name: choice.tool.name } }
    : choice.any === undefined
      ? 'auto'
      : 'required';
