/**
 * The fields that a request can do without, and how it looks without them.
 */
import type { DispensableField, Quirk } from './quirks.ts';
import { applyEffort } from './reasoning.ts';
import type { ChatRequest, ContentBlock } from './request.ts';

/** The request as a model with this quirk wants it. */
export function applyQuirk(request: ChatRequest, { omit, oneOf, add, reasoning }: Quirk): ChatRequest {
  const [, ...others] = oneOf.filter((field) => hasField(request, field));
  const trimmed = [...omit, ...others].reduce((rest, field) => fields[field].without(rest), request);
  const thinking = applyEffort(trimmed, reasoning);
  return { ...thinking, modelFields: { ...thinking.modelFields, ...add } };
}

export const hasField = (request: ChatRequest, field: DispensableField): boolean =>
  fields[field].isIn(request);

type FieldOf = {
  readonly isIn: (request: ChatRequest) => boolean;
  readonly without: (request: ChatRequest) => ChatRequest;
};

const fields: Readonly<Record<DispensableField, FieldOf>> = {
  temperature: {
    isIn: ({ inference }) => inference.temperature !== undefined,
    without: ({ inference: { temperature: _, ...inference }, ...request }) => ({ ...request, inference }),
  },
  top_p: {
    isIn: ({ inference }) => inference.topP !== undefined,
    without: ({ inference: { topP: _, ...inference }, ...request }) => ({ ...request, inference }),
  },
  stop_sequences: {
    isIn: ({ inference }) => inference.stopSequences.length > 0,
    without: (request) => ({ ...request, inference: { ...request.inference, stopSequences: [] } }),
  },
  service_tier: {
    isIn: ({ serviceTier }) => serviceTier !== undefined,
    without: ({ serviceTier: _, ...request }) => request,
  },
  response_format: {
    isIn: ({ outputSchema }) => outputSchema !== undefined,
    without: asInstruction,
  },
  cache_control: {
    isIn: ({ system, messages, tools }) =>
      system.some(isCachePoint) ||
      tools.some(({ cachePoint }) => cachePoint !== undefined) ||
      messages.some(({ content }) => content.some(isCachePoint)),
    without: ({ system, messages, tools, ...request }) => ({
      ...request,
      system: system.filter((part) => !isCachePoint(part)),
      messages: messages.map(({ role, content }) => ({
        role,
        content: content.filter((part) => !isCachePoint(part)),
      })),
      tools: tools.map(({ cachePoint: _, ...tool }) => tool),
    }),
  },
  reasoning_effort: {
    isIn: ({ effort }) => effort !== undefined,
    without: ({ effort: _, ...request }) => request,
  },
};

const isCachePoint = (part: string | ContentBlock) => typeof part !== 'string' && part.type === 'cache-point';

/** A model that cannot be held to a schema can still be told of it. */
function asInstruction({ outputSchema, ...request }: ChatRequest): ChatRequest {
  if (!outputSchema) return request;
  const schema = JSON.stringify(outputSchema.schema);
  const instruction = `Answer with JSON that fits this JSON Schema, and with nothing else: ${schema}`;
  return { ...request, system: [...request.system, instruction] };
}
