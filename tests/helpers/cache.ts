/** The answer cache in front of a model that the test scripts, in as many processes as it takes. */
import type { Answers, Found, KeptAnswer } from '../../src/chat/answers.ts';
import { type CacheStatus, createAsk, type Model } from '../../src/chat/ask.ts';
import { withCache } from '../../src/chat/cache.ts';
import type { Clock } from '../../src/chat/clock.ts';
import type { ChatEvent, ModelEvent } from '../../src/chat/events.ts';
import type { CacheNotice } from '../../src/chat/lookup.ts';
import type { ChatRequest } from '../../src/chat/request.ts';
import type { Similar } from '../../src/chat/similar.ts';
import { chatRequest } from './requests.ts';

type Row = KeptAnswer | { readonly owner: string; until: number };

/** The `answers` table in memory: what `aws/answers.ts` does, each call in one step. */
export function memoryAnswers(now: () => number) {
  const rows = new Map<string, Row>();
  const read = (pk = ''): Found => {
    const row = rows.get(pk);
    if (!row) return {};
    if ('origin' in row) return { answer: row };
    return row.until > now() ? { asking: row.owner } : {};
  };
  const answers: Answers = {
    find: async ({ curated, learned }) => (rows.has(curated ?? '') ? read(curated) : read(learned)),
    claim: async (learned, owner, until) => {
      const found = read(learned);
      if (!found.answer && !found.asking) rows.set(learned, { owner, until });
      return read(learned);
    },
    release: async (learned, owner) => {
      const row = rows.get(learned);
      if (row && 'owner' in row && row.owner === owner) row.until = 0;
    },
    learn: async (learned, answer) => void rows.set(learned, answer),
  };
  /** Who still claims to ask. */
  const claims = () => [...rows.values()].filter((row) => 'owner' in row && row.until > now());
  return { answers, rows, claims };
}

/** What a model does: says something, waits so many milliseconds, fails, or falls silent for ever. */
export type Step = ModelEvent | number | Error | 'hang';

/** Acts out the first script at the first call, the second at the second, and the last from then on. It notices when it is let go. */
export function modelOf(clock: Clock, ...scripts: (readonly Step[])[]): Model {
  let calls = 0;
  const pause = (ms: number, signal: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      const disarm = ms === Number.POSITIVE_INFINITY ? () => undefined : clock.after(ms, resolve);
      const letGo = () => {
        disarm();
        reject(new Error('let go'));
      };
      signal.addEventListener('abort', letGo, { once: true });
      if (signal.aborted) letGo();
    });
  return async function* (_request, signal) {
    for (const step of scripts[Math.min(calls++, scripts.length - 1)] ?? []) {
      if (step instanceof Error) throw step;
      if (typeof step === 'object') yield step;
      else await pause(step === 'hang' ? Number.POSITIVE_INFINITY : step, signal);
    }
  };
}

export type Hearing = {
  readonly events: readonly ChatEvent[];
  readonly statuses: readonly CacheStatus[];
  readonly over: Promise<void>;
  leave(): void;
};

/** One process: its own `withCache`, over answers that others may share. */
export function startProcess(model: Model, answers: Answers, clock: Clock, similar?: Similar) {
  const seen = { asked: [] as ChatRequest[], open: 0, notices: [] as CacheNotice['type'][] };
  const counted: Model = async function* (request, signal) {
    seen.asked.push(request);
    seen.open++;
    try {
      yield* model(request, signal);
    } finally {
      seen.open--;
    }
  };
  const notify = ({ type }: CacheNotice) => void seen.notices.push(type);
  const answer = createAsk({ model: withCache(counted, { answers, similar, clock, notify }) });

  const hear = (changes: Partial<ChatRequest> = {}): Hearing => {
    const events: ChatEvent[] = [];
    const statuses: CacheStatus[] = [];
    const abort = new AbortController();
    const deadline = clock.now() + 900_000;
    const onCache = (status: CacheStatus) => void statuses.push(status);
    const request = chatRequest({ model: 'some-model', ...changes });
    const over = (async () => {
      for await (const event of answer(request, { signal: abort.signal, deadline, clock, onCache })) {
        events.push(event);
      }
    })();
    return { events, statuses, over, leave: () => abort.abort() };
  };

  return {
    ...{ asked: seen.asked, notices: seen.notices, hear },
    /** Calls of the model that nobody has let go. */
    openCalls: () => seen.open,
    /** What is heard in the end. */
    ask: async (changes?: Partial<ChatRequest>) => {
      const hearing = hear(changes);
      await hearing.over;
      return { ...hearing, text: textOf(hearing), end: endOf(hearing), cached: cachedOf(hearing) };
    },
  };
}

export const textOf = ({ events }: Hearing) =>
  events.map((event) => (event.type === 'text-delta' ? event.text : '')).join('');

/** The last event's type, or its code where it is a failure. */
export const endOf = ({ events }: Hearing) => {
  const last = events.at(-1);
  return last?.type === 'error' ? last.code : last?.type;
};

const cachedOf = ({ events }: Hearing) => events.find((event) => event.type === 'start')?.cached;
