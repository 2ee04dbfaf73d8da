/**
 * Texts into vectors: what may be asked of which model, how many texts go into one call, and when to give up. What a call looks like on the
 * wire is known in `aws/embeddings.ts`.
 */
import type { Clock } from './clock.ts';
import { GatewayError, toGatewayError } from './errors.ts';
import { chooseModel } from './models.ts';
import type { Settings } from './settings.ts';

/** How many calls one request has open at a time. */
const AT_ONCE = 8;

type Limits = {
  /** Whether it is this model, behind whatever profile. */
  readonly pattern: RegExp;
  /** The lengths that a vector may have; the last is the usual one. */
  readonly dimensions: readonly number[];
  readonly textsPerCall: number;
  /** Of one text, in characters; where there is none the model counts tokens itself. */
  readonly maxChars?: number;
};

/**
 * The models whose calls are understood.
 * @see https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html
 * @see https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed-v3.html
 * @see https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed-v4.html
 */
export const families = {
  'titan-v2': {
    pattern: /(^|[./])amazon\.titan-embed-text-v2(:|$)/,
    dimensions: [256, 512, 1024],
    textsPerCall: 1,
  },
  'cohere-v3': {
    pattern: /(^|[./])cohere\.embed-(english|multilingual)-v3(:|$)/,
    dimensions: [1024],
    textsPerCall: 96,
    maxChars: 2048,
  },
  'cohere-v4': {
    pattern: /(^|[./])cohere\.embed-v4(:|$)/,
    dimensions: [256, 512, 1024, 1536],
    textsPerCall: 96,
  },
} as const satisfies Record<string, Limits>;

export type Family = keyof typeof families;

const familyNames =
  'amazon.titan-embed-text-v2, cohere.embed-english-v3, cohere.embed-multilingual-v3 or cohere.embed-v4';

/** What the texts are for, in Cohere's words; Titan makes no difference. */
export const inputTypes = ['search_document', 'search_query', 'classification', 'clustering'] as const;
export type InputType = (typeof inputTypes)[number];

/** As a caller asks: well-formed, but not yet held against the settings. */
export type EmbedQuestion = {
  readonly model: string;
  readonly texts: readonly string[];
  /** The model's own when the caller does not say. */
  readonly dimensions?: number;
  readonly inputType: InputType;
};

/** A request that may be sent. */
export type EmbedRequest = Required<EmbedQuestion> & {
  readonly family: Family;
  /** How long each call may take, in milliseconds. */
  readonly patienceMs: number;
};

/** One call, with no more texts than the model takes at once. */
export type EmbedCall = Omit<EmbedRequest, 'patienceMs'>;

/** A vector for each text, in their order, and the tokens that were counted; 0 where nobody says. */
export type Embeddings = {
  readonly vectors: readonly (readonly number[])[];
  readonly inputTokens: number;
};

/** Makes one call. Throws a `GatewayError` for what it can name, and lets go of everything when `signal` aborts. */
export type Embedder = (call: EmbedCall, signal: AbortSignal) => Promise<Embeddings>;

export type EmbedOptions = {
  /** Aborting ends it: with the reason if that is a `GatewayError`, else as `cancelled`. */
  readonly signal: AbortSignal;
  /** When it must be over, in milliseconds since the epoch. */
  readonly deadline: number;
};

/**
 * All vectors or none: the first failure calls off the other calls.
 *
 * @throws `cancelled`, `deadline_exceeded`, `upstream_timeout` for a call that took too long, and what the `Embedder` throws
 */
export type Embed = (request: EmbedRequest, options: EmbedOptions) => Promise<Embeddings>;

/** The family that a model id is of; none for other models, and for ARNs that do not say what stands behind them. */
export const findFamily = (model: string): Family | undefined =>
  (Object.keys(families) as Family[]).find((name) => families[name].pattern.test(model));

export const usualDimensions = (family: Family): number => families[family].dimensions.at(-1) ?? 0;

/**
 * The request to send, with what was left open filled in.
 *
 * @throws `model_not_found` for a model outside the allow-list, `invalid_request` for one that makes no vectors, for a length that it
 * does not have, and for a text that is too long for it.
 */
export function createEmbedRequest(question: EmbedQuestion, settings: Settings): EmbedRequest {
  const model = chooseModel(question.model, settings);
  const family = findFamily(model);
  if (!family) throw invalid('model', `must be one that embeds texts: ${familyNames}`);
  const dimensions = question.dimensions ?? usualDimensions(family);
  requireFit(question.texts, dimensions, families[family]);
  return { ...question, model, family, dimensions, patienceMs: settings.firstEventTimeoutSeconds * 1000 };
}

function requireFit(texts: readonly string[], dimensions: number, limits: Limits) {
  if (!limits.dimensions.includes(dimensions)) {
    const oneOf = limits.dimensions.length > 1 ? 'one of ' : '';
    throw invalid('dimensions', `must be ${oneOf}${limits.dimensions.join(', ')} for this model`);
  }
  const { maxChars = Number.POSITIVE_INFINITY } = limits;
  const at = texts.findIndex((text) => isLonger(text, maxChars));
  if (at < 0) return;
  const field = texts.length > 1 ? `input[${at}]` : 'input';
  throw invalid(field, `must have at most ${maxChars} characters for this model`);
}

/** Counts as Bedrock does: what takes two units in JavaScript is one character. */
const isLonger = (text: string, maxChars: number) => text.length > maxChars && [...text].length > maxChars;

const invalid = (param: string, rule: string) =>
  new GatewayError('invalid_request', `${param} ${rule}.`, { param });

export function createEmbed({
  embedder,
  clock,
}: {
  readonly embedder: Embedder;
  readonly clock: Clock;
}): Embed {
  return async function embed({ patienceMs, ...request }, options) {
    const { ended, end, close } = createEnd(options, clock);
    const answers: Embeddings[] = [];
    const queue = toCalls(request).entries();
    const work = async () => {
      for (const [at, call] of queue) {
        if (ended.aborted) return;
        const disarm = clock.after(patienceMs, () => end(tookTooLong(patienceMs)));
        try {
          answers[at] = await embedder(call, ended);
        } catch (thrown) {
          end(thrown);
        } finally {
          disarm();
        }
      }
    };
    const over = new Promise((resolve) => ended.addEventListener('abort', resolve));
    try {
      await Promise.race([over, Promise.all(Array.from({ length: AT_ONCE }, work))]);
      ended.throwIfAborted();
    } finally {
      close();
    }
    return {
      vectors: answers.flatMap(({ vectors }) => vectors),
      inputTokens: answers.reduce((sum, { inputTokens }) => sum + inputTokens, 0),
    };
  };
}

function toCalls({ texts, ...request }: EmbedCall): EmbedCall[] {
  const { textsPerCall } = families[request.family];
  return Array.from({ length: Math.ceil(texts.length / textsPerCall) }, (_, n) => ({
    ...request,
    texts: texts.slice(n * textsPerCall, (n + 1) * textsPerCall),
  }));
}

/** Everything that can end the calls, as one signal: the first reason is the one that counts. */
function createEnd({ signal, deadline }: EmbedOptions, clock: Clock) {
  const controller = new AbortController();
  const end = (thrown: unknown) => controller.abort(toGatewayError(thrown));
  const leave = () =>
    end(
      signal.reason instanceof GatewayError
        ? signal.reason
        : new GatewayError('cancelled', 'The request was cancelled.'),
    );
  const disarm = clock.after(deadline - clock.now(), () => end(timeIsOver()));
  signal.addEventListener('abort', leave, { once: true });
  if (signal.aborted) leave();
  return {
    ended: controller.signal,
    end,
    close() {
      disarm();
      signal.removeEventListener('abort', leave);
    },
  };
}

const timeIsOver = () =>
  new GatewayError('deadline_exceeded', 'The time for this request is over; send fewer texts at a time.');

const tookTooLong = (ms: number) =>
  new GatewayError('upstream_timeout', `The model did not answer within ${ms / 1000} seconds.`);
