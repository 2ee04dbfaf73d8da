/**
 * The settings as one table: for each what it is called, what it may be, what it is when nobody says, and what it means. Help,
 * documentation, infrastructure and errors read it from here.
 */
import {
  aliases,
  guardrailId,
  guardrailVersion,
  type Kind,
  modelId,
  modelIds,
  modelPatterns,
  number,
  oneOf,
  quirkRules,
  stopSequences,
  text,
  wholeNumber,
} from './setting-kinds.ts';

/** A row of the table. `name` is the last part of the parameter's path. */
export type Setting<T = unknown> = {
  readonly name: string;
  readonly kind: Kind<T>;
  /** As an operator would write it; nothing where the setting may be absent. */
  readonly default: string | undefined;
  readonly meaning: string;
};

type Given<T> = Setting<T> & { readonly default: string };

const given = <T>(name: string, kind: Kind<T>, defaultText: string, meaning: string): Given<T> => ({
  name,
  kind,
  default: defaultText,
  meaning,
});

const optional = <T>(name: string, kind: Kind<T>, meaning: string): Setting<T | undefined> => ({
  name,
  kind,
  default: undefined,
  meaning,
});

export const shippedModels =
  'global.amazon.nova-2-lite-v1:0,global.anthropic.claude-sonnet-4-6,global.anthropic.claude-haiku-4-5-20251001-v1:0,openai.gpt-oss-120b-1:0,amazon.titan-embed-text-v2:0';
const MAX_BODY_BYTES = 5 * 1024 * 1024;
const MONTH_SECONDS = String(30 * 24 * 60 * 60);
const YEAR_SECONDS = 366 * 24 * 60 * 60;

const onOrOff = oneOf('on', 'off');

export const table = {
  defaultModel: given(
    'default-model',
    modelId,
    'global.amazon.nova-2-lite-v1:0',
    'Answers when a request names no model. The deployment’s `DEFAULT_MODEL` unless set.',
  ),
  allowedModels: given(
    'allowed-models',
    modelPatterns,
    shippedModels,
    'The models on offer. The deployment’s `ALLOWED_MODELS` unless set; it can only narrow those.',
  ),
  fallbackModels: given(
    'fallback-models',
    modelIds,
    '',
    'Tried in this order when a model is throttled or not available before its answer begins.',
  ),
  modelAliases: given('model-aliases', aliases, '{}', 'Other names for models.'),
  modelQuirks: given(
    'model-quirks',
    quirkRules,
    '{}',
    'Fields to leave out of or add to requests, by model; before what the gateway knows itself.',
  ),
  defaultMaxTokens: given(
    'default-max-tokens',
    wholeNumber(1, 1_000_000),
    '4096',
    'Longest answer, in tokens, when a request does not say; never more than `max-tokens-limit`.',
  ),
  maxTokensLimit: given(
    'max-tokens-limit',
    wholeNumber(1, 1_000_000),
    '32768',
    'Longest answer, in tokens, that a request may ask for.',
  ),
  defaultTemperature: given(
    'default-temperature',
    number(0, 1),
    '0',
    'Sent when a request names neither a temperature nor a top_p.',
  ),
  defaultTopP: optional(
    'default-top-p',
    number(0, 1),
    'Sent when a request names neither a temperature nor a top_p.',
  ),
  defaultStopSequences: given(
    'default-stop-sequences',
    stopSequences,
    '[]',
    'End an answer when a request names no stop sequences.',
  ),
  systemPrompt: optional('system-prompt', text(4_000), 'Comes before the system prompt of every request.'),
  cache: given(
    'cache',
    onOrOff,
    'on',
    'Whether questions are answered from the `answers` table, and answers kept in it.',
  ),
  cacheScope: given(
    'cache-scope',
    oneOf('tenant', 'shared'),
    'tenant',
    'Who gets an answer that the gateway learned: the tenant whose question it was, or everybody who asks the same.',
  ),
  cacheTtlSeconds: given(
    'cache-ttl-seconds',
    wholeNumber(60, YEAR_SECONDS),
    MONTH_SECONDS,
    'How long a learned answer is kept.',
  ),
  cacheTimeoutMs: given(
    'cache-timeout-ms',
    wholeNumber(10, 5_000),
    '1000',
    'How long the `answers` table may take to reply, in milliseconds; then the model is asked.',
  ),
  similarAnswers: given(
    'similar-answers',
    onOrOff,
    'off',
    'Whether a question may be answered as one that was asked in other words; on AWS only with `OPENSEARCH_DOMAIN_ENDPOINT`.',
  ),
  similarThreshold: given(
    'similar-threshold',
    number(0.5, 1),
    '0.97',
    'How near such a question must be: the cosine of the angle between the two questions’ vectors.',
  ),
  history: given('history', onOrOff, 'on', 'Whether conversations are kept and can be gone on with.'),
  historyTtlSeconds: given(
    'history-ttl-seconds',
    wholeNumber(60, YEAR_SECONDS),
    MONTH_SECONDS,
    'How long a turn of a conversation is kept.',
  ),
  historyMaxTurns: given(
    'history-max-turns',
    wholeNumber(1, 200),
    '20',
    'How many turns of a conversation are sent before the question, the newest.',
  ),
  firstEventTimeoutSeconds: given(
    'first-event-timeout-seconds',
    wholeNumber(1, 900),
    '60',
    'How long a model may take to begin.',
  ),
  idleTimeoutSeconds: given(
    'idle-timeout-seconds',
    wholeNumber(1, 900),
    '30',
    'How long a model may be silent in mid-answer.',
  ),
  frameGapMs: given(
    'frame-gap-ms',
    wholeNumber(0, 1_000),
    '50',
    'Least time from one WebSocket frame of an answer to the next, in milliseconds; more of it makes fewer frames.',
  ),
  connectionMaxAgeSeconds: given(
    'connection-max-age-seconds',
    wholeNumber(60, 7_200),
    '3600',
    'How long a WebSocket connection lives on the identity that opened it.',
  ),
  bodyLimitBytes: given(
    'body-limit-bytes',
    wholeNumber(1_024, MAX_BODY_BYTES),
    String(MAX_BODY_BYTES),
    'Longest body of a request.',
  ),
  logLevel: given('log-level', oneOf('DEBUG', 'INFO', 'WARN', 'ERROR'), 'INFO', 'The least that is logged.'),
  guardrailId: optional('guardrail-id', guardrailId, 'The Bedrock guardrail that every request passes.'),
  guardrailVersion: optional(
    'guardrail-version',
    guardrailVersion,
    'Its version; comes with `guardrail-id`.',
  ),
  serviceTier: optional(
    'service-tier',
    oneOf('default', 'flex', 'priority', 'reserved'),
    'Bedrock’s service tier for every request.',
  ),
};
