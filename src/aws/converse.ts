/**
 * A canonical request as Bedrock's ConverseStream wants it. Pure translation; what to send was decided in `chat/`.
 */
import type {
  ContentBlock as BedrockBlock,
  Message as BedrockMessage,
  ConverseStreamCommandInput,
  ToolConfiguration,
} from '@aws-sdk/client-bedrock-runtime';
import { assertNever } from '../chat/events.ts';
import type { CachePoint, ChatRequest, ContentBlock, Message, Tool, ToolChoice } from '../chat/request.ts';

/** @see https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html */
export function toConverseInput(request: ChatRequest): ConverseStreamCommandInput {
  const { maxTokens, temperature, topP, stopSequences } = request.inference;
  return {
    modelId: request.model,
    messages: toMessages(request.messages),
    ...(request.system.length > 0 && {
      system: request.system.map((part) => (typeof part === 'string' ? { text: part } : toCachePoint(part))),
    }),
    inferenceConfig: {
      maxTokens,
      ...(temperature !== undefined && { temperature }),
      ...(topP !== undefined && { topP }),
      ...(stopSequences.length > 0 && { stopSequences: [...stopSequences] }),
    },
    ...(request.tools.length > 0 && { toolConfig: toToolConfig(request) }),
    ...(request.outputSchema && { outputConfig: { textFormat: toTextFormat(request.outputSchema) } }),
    ...(Object.keys(request.modelFields).length > 0 && {
      additionalModelRequestFields: { ...request.modelFields },
    }),
    ...(request.guardrail && { guardrailConfig: toGuardrail(request.guardrail) }),
    ...(request.serviceTier && { serviceTier: { type: request.serviceTier } }),
    requestMetadata: {
      tenant: toMetadataValue(request.caller.tenant),
      request_id: toMetadataValue(request.requestId),
    },
  };
}

/** Bedrock wants user and assistant to take turns and refuses blank text, so neighbours are joined and blanks left out. */
function toMessages(messages: readonly Message[]): BedrockMessage[] {
  const joined: { role: Message['role']; content: BedrockBlock[] }[] = [];
  for (const { role, content } of messages) {
    const blocks = content.filter((block) => block.type !== 'text' || block.text.trim() !== '').map(toBlock);
    const last = joined.at(-1);
    if (last?.role === role) last.content.push(...blocks);
    else joined.push({ role, content: blocks });
  }
  return joined;
}

function toBlock(block: ContentBlock): BedrockBlock {
  switch (block.type) {
    case 'text':
      return { text: block.text };
    case 'image':
      return { image: { format: block.format, source: { bytes: block.bytes } } };
    case 'document':
      return { document: { format: block.format, name: block.name, source: { bytes: block.bytes } } };
    case 'tool-use':
      return { toolUse: { toolUseId: block.id, name: block.name, input: block.input } };
    case 'tool-result':
      return {
        toolResult: {
          toolUseId: block.id,
          content: [{ text: block.text }],
          status: block.failed ? 'error' : 'success',
        },
      };
    case 'reasoning':
      return {
        reasoningContent:
          block.redacted === undefined
            ? {
                reasoningText: {
                  text: block.text,
                  ...(block.signature !== undefined && { signature: block.signature }),
                },
              }
            : { redactedContent: Buffer.from(block.redacted, 'base64') },
      };
    case 'cache-point':
      return toCachePoint(block);
    default:
      return assertNever(block);
  }
}

const toCachePoint = ({ ttl }: CachePoint) => ({
  cachePoint: { type: 'default' as const, ...(ttl !== undefined && { ttl }) },
});

function toToolConfig({ tools, toolChoice }: ChatRequest): ToolConfiguration {
  return {
    tools: tools.flatMap((tool) => [
      toToolSpec(tool),
      ...(tool.cachePoint ? [toCachePoint(tool.cachePoint)] : []),
    ]),
    ...(toolChoice && { toolChoice: toToolChoice(toolChoice) }),
  };
}

const toToolSpec = ({ name, description, inputSchema }: Tool) => ({
  toolSpec: { name, ...(description !== undefined && { description }), inputSchema: { json: inputSchema } },
});

const toToolChoice = (choice: ToolChoice) =>
  choice.type === 'tool'
    ? { tool: { name: choice.name } }
    : choice.type === 'any'
      ? { any: {} }
      : { auto: {} };

const toTextFormat = ({ name, schema }: NonNullable<ChatRequest['outputSchema']>) => ({
  type: 'json_schema' as const,
  structure: { jsonSchema: { name, schema: JSON.stringify(schema) } },
});

const toGuardrail = ({ id, version }: NonNullable<ChatRequest['guardrail']>) => ({
  guardrailIdentifier: id,
  guardrailVersion: version,
});

/** Bedrock takes at most 256 characters of a small alphabet in a metadata value. */
const toMetadataValue = (text: string) => text.replaceAll(/[^a-zA-Z0-9\s:_@$#=/+,.-]/g, '_').slice(0, 256);
