/**
 * What may be tried before an answer begins: the request without a field that its model refuses, and other models when one is
 * busy. Once the first event is there nothing is tried again, since it has been heard and is paid for.
 */
import type { Model } from './ask.ts';
import { type ErrorCode, GatewayError } from './errors.ts';
import type { ModelEvent } from './events.ts';
import { applyQuirk, hasField } from './fields.ts';
import { FieldsRefused, findQuirk, mergeQuirks, plain, type Quirk } from './quirks.ts';
import type { ChatRequest } from './request.ts';

/** Something an operator may want to know. */
export type Notice =
  | { readonly type: 'field-refused'; readonly model: string; readonly quirk: Quirk }
  | { readonly type: 'fell-back'; readonly from: string; readonly to: string; readonly code: ErrorCode };

/** After these another model may have room. */
const busy: ReadonlySet<ErrorCode> = new Set(['upstream_throttled', 'upstream_unavailable']);

/** Callers choose model names where the allow-list has wildcards, so what is learned of them must not grow for ever. */
const MAX_LEARNED = 1_000;

type Answer = { readonly first: ModelEvent | undefined; readonly rest: AsyncIterator<ModelEvent> };

/** A model that knows what the models behind it refuse, learns what it does not know yet, and turns to others when one is busy. */
export function withAttempts(model: Model, notify: (notice: Notice) => void): Model {
  const learned = new Map<string, Quirk>();

  const begin = async (request: ChatRequest, signal: AbortSignal): Promise<Answer> => {
    const rest = model(request, signal)[Symbol.asyncIterator]();
    const { done, value } = await rest.next();
    return { first: done ? undefined : value, rest };
  };

  const learn = (name: string, quirk: Quirk) => {
    if (learned.size >= MAX_LEARNED) learned.clear();
    learned.set(name, mergeQuirks(learned.get(name) ?? plain, quirk));
    notify({ type: 'field-refused', model: name, quirk });
  };

  const beginWithQuirks = async (
    request: ChatRequest,
    signal: AbortSignal,
    mayRetry = true,
  ): Promise<Answer> => {
    const known = findQuirk(request.quirks, request.model);
    const trimmed = applyQuirk(request, mergeQuirks(known, learned.get(request.model) ?? plain));
    try {
      return await begin(trimmed, signal);
    } catch (error) {
      if (!(error instanceof FieldsRefused) || !concerns(error.quirk, trimmed)) throw error;
      learn(request.model, error.quirk);
      if (!mayRetry) throw error;
      return await beginWithQuirks(request, signal, false);
    }
  };

  const beginSomewhere = async (request: ChatRequest, signal: AbortSignal): Promise<Answer> => {
    const [next, ...others] = request.fallbackModels;
    try {
      return await beginWithQuirks(request, signal);
    } catch (error) {
      if (next === undefined || !(error instanceof GatewayError) || !busy.has(error.code)) throw error;
      notify({ type: 'fell-back', from: request.model, to: next, code: error.code });
      return await beginSomewhere({ ...request, model: next, fallbackModels: others }, signal);
    }
  };

  return async function* attempt(request, signal) {
    const { first, rest } = await beginSomewhere(request, signal);
    try {
      if (first) yield first;
      for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
    } finally {
      rest.return?.().catch(() => undefined);
    }
  };
}

const concerns = ({ omit, oneOf }: Quirk, request: ChatRequest): boolean =>
  [...omit, ...oneOf].some((field) => hasField(request, field));
