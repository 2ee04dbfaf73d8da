/** The app with a model that says what the test says, over no network at all. */
import type { Answers } from '../../src/chat/answers.ts';
import { createAsk, type Model } from '../../src/chat/ask.ts';
import { withCache } from '../../src/chat/cache.ts';
import { createEmbed, type Embedder } from '../../src/chat/embed.ts';
import type { ModelEvent } from '../../src/chat/events.ts';
import { type RequestRegistry, underLease } from '../../src/chat/lease.ts';
import type { Caller } from '../../src/chat/request.ts';
import type { Settings } from '../../src/chat/settings.ts';
import { createApp } from '../../src/doors/app.ts';
import type { ChatArchive } from '../../src/doors/chats.ts';
import type { Edge } from '../../src/doors/edge.ts';
import type { Envelope } from '../../src/doors/envelope.ts';
import type { RequestRecord } from '../../src/doors/record.ts';
import { createManualClock } from './manual-clock.ts';
import { memoryRegistry } from './registry.ts';
import { defaultSettings } from './requests.ts';

export const alice: Caller = { tenant: 'alice', kind: 'api-key', door: 'rest' };
export const usage = { inputTokens: 5, outputTokens: 2, cacheReadTokens: 0, cacheWriteTokens: 0 };

export const say = (...pieces: string[]): ModelEvent[] => [
  { type: 'begin', model: 'some-model' },
  ...pieces.map((text): ModelEvent => ({ type: 'text-delta', block: 0, text })),
  { type: 'end', stopReason: 'end_turn', usage },
];

/** What an answer begins and ends with, and a piece of it. */
export const [begin, end] = say() as [ModelEvent, ModelEvent];
export const text = (piece: string): ModelEvent => ({ type: 'text-delta', block: 0, text: piece });

export const modelThat = (...events: (ModelEvent | Error)[]): Model =>
  async function* model() {
    for (const event of events) {
      if (event instanceof Error) throw event;
      yield event;
    }
  };

/** A model that never says anything. */
export const silent: Model = async function* () {
  await new Promise(() => {});
};

/** A JSON answer; `error` is there when it is one. */
export const bodyOf = async (response: Response) =>
  (await response.json()) as Envelope & { readonly [field: string]: unknown };

/** Each request is the first of its id. */
const forgetful: RequestRegistry = {
  open: (key, until) => memoryRegistry().open(key, until),
  cancel: async () => false,
};

const noChats: ChatArchive = {
  list: async () => ({ chats: [] }),
  read: async () => undefined,
  remove: async () => false,
};

/** Knows nothing, and learns nothing. */
const noAnswers: Answers = {
  find: async () => ({}),
  claim: async (_, owner) => ({ asking: owner }),
  release: async () => undefined,
  learn: async () => undefined,
};

const noEmbedder: Embedder = () => Promise.reject(new Error('Nobody embeds here.'));

export function buildApp(
  model: Model,
  settings: Partial<Settings> | (() => Promise<Settings>) = {},
  allowedOrigins: readonly string[] = [],
  requests: RequestRegistry = forgetful,
  chats: ChatArchive = noChats,
  embedder: Embedder = noEmbedder,
) {
  const clock = createManualClock();
  const record: RequestRecord = { request_id: 'made-up', method: 'POST' };
  const left = new AbortController();
  const asked: Parameters<Model>[0][] = [];
  const app = createApp({
    requests,
    chats,
    ask: underLease(
      createAsk({
        model: withCache(
          (request, signal) => {
            asked.push(request);
            return model(request, signal);
          },
          { answers: noAnswers, clock, notify: () => undefined },
        ),
      }),
    ),
    embed: createEmbed({ embedder, clock }),
    // Nothing is kept here.
    loadSettings:
      typeof settings === 'function'
        ? settings
        : async () => ({ ...defaultSettings, history: 'off', ...settings }),
    clock,
    allowedOrigins,
  });
  const edge: Edge = {
    door: 'rest',
    caller: alice,
    deadline: clock.now() + 895_000,
    signal: left.signal,
    record,
  };
  const send = async (path: string, init: RequestInit = {}, changes: Partial<Edge> = {}): Promise<Response> =>
    await app.fetch(new Request(`https://gateway.test${path}`, init), { ...edge, ...changes });
  const chat = (body: unknown, headers: Record<string, string> = {}, changes: Partial<Edge> = {}) =>
    send(
      '/v1/chat',
      {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      },
      changes,
    );
  return { app, clock, record, left, asked, send, chat };
}
