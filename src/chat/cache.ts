/**
 * Answers to questions that have been asked before: what an operator wrote, and what a model said when the same was asked. Of all who ask
 * the same at the same time, one asks the model. A cache that is slow or down is passed by: it never stands in the way of an answer.
 */
import { toCuratedKey, toLearnedKey } from './answer-keys.ts';
import type { AnswerKeys } from './answers.ts';
import type { Model } from './ask.ts';
import { createContinuation } from './continuation.ts';
import { errorKinds, GatewayError } from './errors.ts';
import { createFlight, type Flight } from './flight.ts';
import { askAndLearn, type CacheParts, type Leg, lookUp } from './lookup.ts';
import { nothing } from './replay.ts';
import type { ChatRequest } from './request.ts';

/** A model that is only asked what is not known yet. */
export function withCache(model: Model, parts: CacheParts): Model {
  const flights = new Map<string, Flight<Leg>>();

  const searchOf = (request: ChatRequest, question: string) => ({
    search: parts.similar?.(request, question),
  });

  function board(request: ChatRequest, question: string) {
    const keys = toKeys(request, question);
    const id = [keys.learned, keys.curated, request.store].join('\n');
    const running = flights.get(id);
    if (running) return { flight: running, isOwn: false };
    const flight = createFlight<Leg>(
      (signal) => lookUp(model, parts, { request, keys, signal, ...searchOf(request, question) }),
      () => flights.delete(id),
    );
    flights.set(id, flight);
    return { flight, isOwn: true };
  }

  /** Whoever only listened has not asked yet, so when the other's answer fails he may: once, and all of them together. */
  async function* share(request: ChatRequest, question: string, signal: AbortSignal): AsyncGenerator<Leg> {
    const continuation = createContinuation();
    for (let mayAsk = true; ; mayAsk = false) {
      const { flight, isOwn } = board(request, question);
      try {
        for await (const leg of flight.listen(signal)) {
          const event = leg.type === 'cache' ? leg : continuation.next(leg);
          if (event === 'differs') break;
          if (event !== 'told') yield isOwn ? event : unpaid(event);
          if (leg.type === 'end') return;
        }
        throw new GatewayError('upstream_truncated', 'The answer broke off before its end.');
      } catch (error) {
        if (isOwn || !mayAsk || signal.aborted || !isPassing(error)) throw error;
        continuation.restart();
      }
    }
  }

  return async function* answer(request, signal, onCache) {
    const { mode } = request.caching;
    const question = toQuestion(request);
    if (mode === 'off' || question === undefined) {
      onCache?.(mode === 'off' ? 'off' : 'bypass');
      yield* model(request, signal);
    } else if (mode === 'refresh') {
      onCache?.('refresh');
      const { learned } = toKeys(request, question);
      yield* askAndLearn(model, parts, {
        request,
        keys: { learned },
        signal,
        ...searchOf(request, question),
      });
    } else {
      for await (const leg of share(request, question, signal)) {
        if (leg.type === 'cache') onCache?.(leg.status);
        else yield leg;
      }
    }
  };
}

/** The question of a request that can be asked again by anybody: one text, and nothing before it or beside it. */
function toQuestion({ messages, tools, outputSchema }: ChatRequest): string | undefined {
  const [message, ...others] = messages;
  const [block, ...more] = (message?.content ?? []).filter(({ type }) => type !== 'cache-point');
  const isAlone =
    others.length === 0 && more.length === 0 && tools.length === 0 && outputSchema === undefined;
  return isAlone && block?.type === 'text' ? block.text : undefined;
}

const toKeys = (request: ChatRequest, question: string): AnswerKeys => ({
  learned: toLearnedKey(request, question),
  ...(request.caching.curated && { curated: toCuratedKey(question) }),
});

/** Tokens are counted where they were paid for. */
const unpaid = (leg: Leg): Leg => (leg.type === 'end' ? { ...leg, usage: nothing } : leg);

const isPassing = (error: unknown) => error instanceof GatewayError && errorKinds[error.code].retryable;
