/**
 * The fields that a request can do without, and how it looks without them.
 */
import type { DispensableField, Quirk } from './quirks.ts';
import type { ChatRequest } from './request.ts';

/** The request as a model with this quirk wants it. */
export function applyQuirk(request: ChatRequest, { omit, oneOf, add }: Quirk): ChatRequest {
  const [, ...others] = oneOf.filter((field) => hasField(request, field));
  const trimmed = [...omit, ...others].reduce((rest, field) => fields[field].without(rest), request);
  return { ...trimmed, modelFields: { ...request.modelFields, ...add } };
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
};
