/**
 * What every route that asks for an answer does: read the request, ask, and answer in one piece or as a stream. How request and answer
 * are written is its dialect's.
 */
import type { Context } from 'hono';
import { accepts } from 'hono/accepts';
import type { Ask, AskOptions, CacheStatus } from '../chat/ask.ts';
import { type Clock, within } from '../chat/clock.ts';
import { createRequest } from '../chat/create-request.ts';
import { GatewayError, toGatewayError } from '../chat/errors.ts';
import type { ChatEvent } from '../chat/events.ts';
import type { Lease, RequestRegistry } from '../chat/lease.ts';
import type { Caller, ChatRequest, Question } from '../chat/request.ts';
import type { Settings } from '../chat/settings.ts';
import { throwFailure } from './answer.ts';
import { readJson } from './body.ts';
import { type AppEnv, callerOf, silenceMsAt } from './edge.ts';
import { noteAnswer } from './record.ts';
import { type SseWriter, sseHeaders, streamSse } from './sse.ts';

/** How long the headers wait for the first event, so that an early failure can have its own status. */
const COMMIT_MS = 10_000;

/** What an answer may take to end after its deadline. */
const LAST_WORDS_MS = 5_000;

export type ChatParts = {
  readonly ask: Ask;
  readonly requests: RequestRegistry;
  readonly loadSettings: () => Promise<Settings>;
  readonly clock: Clock;
};

/** How an API reads a request. `requestId` stands in where the caller chose none. */
export type Dialect = (body: unknown, caller: Caller, requestId: string) => Asked;

export type Asked = {
  readonly question: Question;
  /** Whether the answer leaves as a stream; absent where `Accept` decides. */
  readonly stream?: boolean | undefined;
  /** `now` is in milliseconds since the epoch. */
  readonly toWriter: (now: number) => AnswerWriter;
};

/** How the answer to one request is written. */
export type AnswerWriter = SseWriter & {
  /**
   * The whole answer as one JSON object.
   *
   * @throws the failure that ended it, or `cancelled`
   */
  collect(events: AsyncIterable<ChatEvent>): Promise<object>;
};

export function createAskRoute({ ask, requests, loadSettings, clock }: ChatParts, dialect: Dialect) {
  return async function answer(c: Context<AppEnv>): Promise<Response> {
    const caller = callerOf(c);
    const settings = await loadSettings();
    const body = await readJson(c.req.raw, settings.bodyLimitBytes);
    const ownId = c.env.record.request_id;
    const { question, stream = prefersStream(c), toWriter } = dialect(body, caller, ownId);
    c.env.record.request_id = question.requestId;
    const request = createRequest(question, settings);
    const lease = await open(request, c.env.deadline, question.requestId !== ownId);

    c.env.record.model = request.model;
    c.env.record.stream = stream;
    const leave = stream ? answerAsStream : answerInOnePiece;
    return await leave(c, request, lease, toWriter(clock.now()));
  };

  /** A caller who chose the id wants it used once, and no answer if that cannot be promised; others want an answer. */
  async function open({ caller, requestId }: ChatRequest, deadline: number, isChosen: boolean) {
    try {
      return await requests.open({ tenant: caller.tenant, requestId }, deadline + LAST_WORDS_MS);
    } catch (error) {
      if (isChosen || toGatewayError(error).code !== 'storage_unavailable') throw error;
      return undefined;
    }
  }

  /** What the answer says of itself is known when the first event is. */
  function begin({ env }: Context<AppEnv>, request: ChatRequest, limits: Limits, lease: Lease | undefined) {
    let cache: CacheStatus = 'bypass';
    const onCache = (status: CacheStatus) => {
      cache = status;
      env.record.cache = status;
    };
    const { conversation } = request;
    const events = noteAnswer(ask(request, { ...limits, clock, lease, onCache }), env.record);
    const toHeaders = () => ({
      'x-cache': cache,
      ...(conversation?.isKept && { 'x-chat-id': conversation.chatId }),
      ...(!lease && { 'x-cancellable': 'false' }),
    });
    return { events, toHeaders };
  }

  async function answerInOnePiece(
    c: Context<AppEnv>,
    request: ChatRequest,
    lease: Lease | undefined,
    writer: AnswerWriter,
  ) {
    const { signal } = c.env;
    const deadline = Math.min(c.env.deadline, clock.now() + silenceMsAt(request.caller.door));
    const { events, toHeaders } = begin(c, request, { signal, deadline }, lease);
    try {
      return c.json(await writer.collect(events), 200, toHeaders());
    } catch (error) {
      if (toGatewayError(error).code !== 'deadline_exceeded') throw error;
      const advice = 'The answer took too long to be sent in one piece; ask with "stream": true.';
      throw new GatewayError('deadline_exceeded', advice, { cause: error });
    }
  }

  async function answerAsStream(
    c: Context<AppEnv>,
    request: ChatRequest,
    lease: Lease | undefined,
    writer: AnswerWriter,
  ) {
    const left = new AbortController();
    const signal = AbortSignal.any([c.env.signal, left.signal]);
    const { events, toHeaders } = begin(c, request, { signal, deadline: c.env.deadline }, lease);
    const first = events.next();
    const early = await within(COMMIT_MS, first, clock);
    if (early && !early.done) throwFailure(early.value);
    const stream = streamSse({ first, events, writer, clock, abort: () => left.abort() });
    return c.body(stream, 200, { ...sseHeaders, ...toHeaders() });
  }
}

type Limits = Pick<AskOptions, 'signal' | 'deadline'>;

/** SSE only for those who ask for it: `*\/*` is what every client sends that never thought about it. */
const prefersStream = (c: Context<AppEnv>) =>
  accepts(c, {
    header: 'Accept',
    supports: ['application/json', 'text/event-stream'],
    default: 'application/json',
  }) === 'text/event-stream';
