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
    ...(request.system.length > 0 && { system: toSystem(request.system) }),
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

const toSystem = (system: ChatRequest['system']) =>
  system
    .filter((part, index) => typeof part === 'string' || typeof system[index - 1] === 'string')
    .map((part) => (typeof part === 'string' ? { text: part } : toCachePoint(part)));

/** Bedrock wants user and assistant to take turns, and refuses what is blank or empty. */
function toMessages(messages: readonly Message[]): BedrockMessage[] {
  const rename = createNames();
  return joinNeighbours(messages).map(({ role, content }) => ({
    role,
    content: content
      .toSorted(byPlace)
      .filter(isWorthIt)
      .map((block) => toBlock(rename(block))),
  }));
}

function joinNeighbours(messages: readonly Message[]): readonly Message[] {
  const joined: Message[] = [];
  for (const { role, content } of messages) {
    const said = content.filter((block) => block.type !== 'text' || block.text.trim() !== '');
    if (said.every(({ type }) => type === 'cache-point')) continue;
    const last = joined.at(-1);
    if (last?.role === role) joined[joined.length - 1] = { role, content: [...last.content, ...said] };
    else joined.push({ role, content: said });
  }
  return joined;
}

/** Some models want the results of tools before anything else that the user says. */
const byPlace = (one: ContentBlock, other: ContentBlock) =>
  Number(one.type !== 'tool-result') - Number(other.type !== 'tool-result');

/**
 * Bedrock refuses a place to remember from with nothing new before it, or with thoughts, or with a document that is no PDF.
 *
 * @see https://github.com/strands-agents/harness-sdk/issues/1966
 */
function isWorthIt({ type }: ContentBlock, index: number, blocks: readonly ContentBlock[]): boolean {
  const before = blocks[index - 1];
  if (type !== 'cache-point') return true;
  if (before?.type === 'document') return before.format === 'pdf';
  return before !== undefined && before.type !== 'cache-point' && before.type !== 'reasoning';
}

/** Bedrock refuses two documents of one name. */
function createNames() {
  const taken = new Set<string>();
  const counts = new Map<string, number>();
  return (block: ContentBlock): ContentBlock => {
    if (block.type !== 'document') return block;
    let { name } = block;
    let count = counts.get(name) ?? 1;
    while (taken.has(name)) name = `${block.name.slice(0, 190).trim()} (${++count})`;
    taken.add(name);
    counts.set(block.name, count);
    return { ...block, name };
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
  const entries = Object.entries(schema).map(([key, value]) => [
    key,
    literals.has(key) ? value : closeObjects(value),
  ]);
  const isObject = [schema['type']].flat().includes('object');
  return { ...(isObject && { additionalProperties: false }), ...Object.fromEntries(entries) };
}

/** Keywords that hold values, and no schemas. */
const literals: ReadonlySet<string> = new Set(['const', 'enum', 'default', 'examples']);

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
