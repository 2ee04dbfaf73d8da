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
import type { Json } from '../chat/json.ts';
import type { CachePoint, ChatRequest, ContentBlock, Message, Tool, ToolChoice } from '../chat/request.ts';

/** In the words of a tool that has none: Bedrock refuses a blank text. */
const NO_OUTPUT = '(no output)';

/** Entries of metadata that Bedrock takes. */
const MAX_METADATA = 16;

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
    ...toToolConfig(request),
    ...(request.outputSchema && { outputConfig: { textFormat: toTextFormat(request.outputSchema) } }),
    ...(Object.keys(request.modelFields).length > 0 && {
      additionalModelRequestFields: { ...request.modelFields },
    }),
    ...(request.guardrail && { guardrailConfig: toGuardrail(request.guardrail) }),
    ...(request.serviceTier && { serviceTier: { type: request.serviceTier } }),
    requestMetadata: toMetadata(request),
  };
}

/** Bedrock wants user and assistant to take turns and refuses what is blank or empty, so neighbours are joined and nothings left out. */
function toMessages(messages: readonly Message[]): BedrockMessage[] {
  const joined: { role: Message['role']; content: BedrockBlock[] }[] = [];
  const rename = createNames();
  for (const { role, content } of messages) {
    const blocks = content
      .filter(saysSomething)
      .filter(hasSomethingBefore)
      .map((block) => toBlock(rename(block)));
    const last = joined.at(-1);
    if (last?.role === role) last.content.push(...blocks);
    else if (blocks.length > 0) joined.push({ role, content: blocks });
  }
  return joined.map(({ role, content }) => ({ role, content: content.toSorted(byPlace) }));
}

/** Some models want the results of tools before anything else that the user says. */
const byPlace = (one: BedrockBlock, other: BedrockBlock) =>
  Number(one.toolResult === undefined) - Number(other.toolResult === undefined);

/** Bedrock refuses a place to remember from with nothing new before it, or with thoughts. */
function hasSomethingBefore({ type }: ContentBlock, index: number, blocks: readonly ContentBlock[]): boolean {
  const before = blocks[index - 1]?.type ?? 'cache-point';
  return type !== 'cache-point' || (before !== 'cache-point' && before !== 'reasoning');
}

const saysSomething = (block: ContentBlock) => block.type !== 'text' || block.text.trim() !== '';

/** Bedrock refuses two documents of one name. */
function createNames() {
  const counts = new Map<string, number>();
  return (block: ContentBlock): ContentBlock => {
    if (block.type !== 'document') return block;
    const count = (counts.get(block.name) ?? 0) + 1;
    counts.set(block.name, count);
    return count === 1 ? block : { ...block, name: `${block.name.slice(0, 190)} (${count})` };
  };
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
          content: [{ text: block.text.trim() === '' ? NO_OUTPUT : block.text }],
          ...(block.failed && { status: 'error' as const }),
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

/** Bedrock refuses messages that speak of tools without any, so those that a conversation knows stand in where there are none. */
function toToolConfig({ tools, toolChoice, messages }: ChatRequest): { toolConfig?: ToolConfiguration } {
  const known = tools.length > 0 ? tools : toRetiredTools(messages);
  if (known.length === 0) return {};
  return {
    toolConfig: {
      tools: known.flatMap((tool) => [
        toToolSpec(tool),
        ...(tool.cachePoint ? [toCachePoint(tool.cachePoint)] : []),
      ]),
      ...(toolChoice && { toolChoice: toToolChoice(toolChoice) }),
    },
  };
}

function toRetiredTools(messages: readonly Message[]): Tool[] {
  const blocks = messages.flatMap(({ content }) => content);
  const names = blocks.flatMap((block) => (block.type === 'tool-use' ? block.name : []));
  return [...new Set(names)].map((name) => ({
    name,
    description: 'Not available any more; do not call it.',
    inputSchema: { type: 'object', properties: {} },
  }));
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
  structure: { jsonSchema: { name, schema: JSON.stringify(closeObjects(schema)) } },
});

/** Bedrock takes only schemas of which each object says that it has no other properties. */
function closeObjects(schema: Json): Json {
  if (Array.isArray(schema)) return schema.map(closeObjects);
  if (typeof schema !== 'object' || schema === null) return schema;
  const closed = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closeObjects(value)]));
  const isObject = [schema['type']].flat().includes('object');
  return isObject ? { additionalProperties: false, ...closed } : closed;
}

const toGuardrail = ({ id, version }: NonNullable<ChatRequest['guardrail']>) => ({
  guardrailIdentifier: id,
  guardrailVersion: version,
});

/** Ours last: what a caller says of himself cannot stand in for who he is. */
function toMetadata({ metadata = {}, caller, requestId }: ChatRequest): Record<string, string> {
  const theirs = Object.entries(metadata).slice(0, MAX_METADATA - 2);
  const ours = [
    ['tenant', caller.tenant],
    ['request_id', requestId],
  ] as const;
  return Object.fromEntries(
    [...theirs, ...ours].map(([key, value]) => [toMetadataText(key) || '_', toMetadataText(value)]),
  );
}

/** Bedrock takes at most 256 characters of a small alphabet in metadata. */
const toMetadataText = (text: string) => text.replaceAll(/[^a-zA-Z0-9 :_@$#=/+,.-]/g, '_').slice(0, 256);
