/**
 * The whole product: a request in, events out. Whatever the model, the caller or the clock do, the events are `start`,
 * deltas and exactly one of `done`, `error`, `cancelled`; this file is the one place that sees to it.
 */
import type { Clock } from './clock.ts';
import { errorKinds, GatewayError, toGatewayError } from './errors.ts';
import { charsOf, toCancelled } from './estimate.ts';
import type { ChatEvent, Failure, ModelEvent, Terminal } from './events.ts';
import type { Lease } from './lease.ts';
import type { ChatRequest } from './request.ts';

/**
 * Answers a request. Yields `begin`, deltas, `end`; throws a `GatewayError` for what it can name; merely stopping means that
 * the answer broke off. When `signal` aborts it must let go of everything it holds, also while it waits.
 */
export type Model = (
  request: ChatRequest,
  signal: AbortSignal,
  onCache?: OnCache,
) => AsyncIterable<ModelEvent>;

/** How an answer is come by: `bypass` where the cache has no say in it, or is down. */
export type CacheStatus = 'hit' | 'miss' | 'refresh' | 'off' | 'bypass';

/** Told before the answer begins; again when it changes, as when an answer was awaited and did come. */
export type OnCache = (status: CacheStatus) => void;

export type AskOptions = {
  /** Aborting ends the answer: as `error` if the reason is a `GatewayError`, else as `cancelled`. */
  readonly signal: AbortSignal;
  /** When the answer must be over, in milliseconds since the epoch; then it ends as `error deadline_exceeded`. */
  readonly deadline: number;
  readonly clock: Clock;
  /** By which it can be cancelled from elsewhere. */
  readonly lease?: Lease | undefined;
  readonly onCache?: OnCache;
};

/** Never throws: a failure is the last event. The model is asked for an event only when somebody asks for one here. */
export type Ask = (request: ChatRequest, options: AskOptions) => AsyncGenerator<ChatEvent, void, undefined>;

export function createAsk({ model }: { readonly model: Model }): Ask {
  return async function* ask(request, options) {
    const askedAt = options.clock.now();
    const upstream = new AbortController();
    const watch = createWatch(options, () => upstream.abort());
    let events: AsyncIterator<ModelEvent> | undefined;
    let firstEventMs: number | undefined;
    let answerChars = 0;
    let terminal: Terminal;
    let silence = silentAtFirst(request);
    const pull = () => {
      events ??= model(request, upstream.signal, options.onCache)[Symbol.asyncIterator]();
      return events.next();
    };
    try {
      for (;;) {
        const next = await watch.next(pull, silence);
        if (next.done) throw new GatewayError('upstream_truncated', 'The answer broke off before its end.');
        const event = next.value;
        if ((event.type === 'begin') !== (firstEventMs === undefined)) throw outOfOrder();
        if (event.type === 'begin') {
          firstEventMs = options.clock.now() - askedAt;
          silence = silentMidway(request);
          const { model: name, cached = false } = event;
          yield { type: 'start', requestId: request.requestId, model: name, cached };
        } else if (event.type === 'end') {
          const timing = { firstEventMs: firstEventMs ?? 0, totalMs: options.clock.now() - askedAt };
          terminal = { type: 'done', stopReason: event.stopReason, usage: event.usage, saved: false, timing };
          break;
        } else {
          answerChars += charsOf(event);
          yield event;
        }
      }
    } catch (thrown) {
      const error = toGatewayError(thrown);
      terminal =
        error.code === 'cancelled'
          ? toCancelled(events ? request : undefined, answerChars)
          : toFailure(error);
    } finally {
      watch.close();
      upstream.abort();
      events?.return?.().catch(() => undefined);
    }
    yield terminal;
  };
}

type Silence = { readonly ms: number; readonly error: () => GatewayError };

const silentAtFirst = ({ patience }: ChatRequest): Silence => ({
  ms: patience.firstEventMs,
  error: () =>
    new GatewayError(
      'upstream_timeout',
      `The model did not begin within ${patience.firstEventMs / 1000} seconds.`,
    ),
});

const silentMidway = ({ patience }: ChatRequest): Silence => ({
  ms: patience.idleMs,
  error: () =>
    new GatewayError(
      'upstream_stalled',
      `The model fell silent for ${patience.idleMs / 1000} seconds mid-answer.`,
    ),
});

const outOfOrder = () =>
  new GatewayError('upstream_protocol_error', 'The model sent an answer that does not begin as it should.');

/**
 * Waits for one event at a time: until it comes, until it has been awaited too long, or until the caller or the clock puts an
 * end to it all. `onHalt` is called at that end at once, even when nobody is waiting.
 */
function createWatch({ signal, deadline, clock }: AskOptions, onHalt: () => void) {
  let halted: GatewayError | undefined;
  let interrupt: (reason: GatewayError) => void = () => undefined;

  const halt = (reason: GatewayError) => {
    halted ??= reason;
    interrupt(halted);
    onHalt();
  };
  const onAbort = () => halt(toAbortError(signal.reason));
  const disarmDeadline = clock.after(deadline - clock.now(), () =>
    halt(new GatewayError('deadline_exceeded', 'The time for this request is over.')),
  );
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();

  return {
    async next<T>(pull: () => Promise<T>, silence: Silence): Promise<T> {
      if (halted) throw halted;
      let disarm = () => {};
      try {
        return await new Promise<T>((resolve, reject) => {
          interrupt = reject;
          disarm = clock.after(silence.ms, () => reject(silence.error()));
          pull().then(resolve, reject);
        });
      } finally {
        disarm();
      }
    },
    close() {
      disarmDeadline();
      signal.removeEventListener('abort', onAbort);
    },
  };
}

const toAbortError = (reason: unknown) =>
  reason instanceof GatewayError ? reason : new GatewayError('cancelled', 'The request was cancelled.');

/** The failure as the last event of an answer. */
export function toFailure(error: GatewayError): Failure {
  const { code, message, param, retryAfterSeconds } = error;
  return {
    type: 'error',
    code,
    message,
    ...(param !== undefined && { param }),
    retryable: errorKinds[code].retryable,
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
    cause: error,
  };
}
