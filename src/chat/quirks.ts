/**
 * What single models want otherwise than the rest: fields they refuse, and fields they need. Some is known beforehand, some an
 * operator adds, and some Bedrock says when it refuses a request.
 */
import { type ErrorCode, GatewayError } from './errors.ts';
import type { Json } from './json.ts';
import { fits } from './models.ts';
import type { ReasoningStyle } from './reasoning.ts';

/** Fields that an answer can do without, as callers write them. */
export const dispensableFields = [
  'temperature',
  'top_p',
  'stop_sequences',
  'service_tier',
  'response_format',
  'cache_control',
  'reasoning_effort',
] as const;
export type DispensableField = (typeof dispensableFields)[number];

/** How to change a request for a model. */
export type Quirk = {
  /** Fields to leave out. */
  readonly omit: readonly DispensableField[];
  /** Fields of which only the first that is there may be sent. */
  readonly oneOf: readonly DispensableField[];
  /** What Bedrock hands to the model unread: `additionalModelRequestFields`. */
  readonly add: Readonly<Record<string, Json>>;
  /** How it is told how hard to think; nobody knows where it is absent. */
  readonly reasoning?: ReasoningStyle;
};

/** A quirk, and the pattern of the models that have it. Of several that fit a model, the first decides, and over `reasoning` the first that speaks of it. */
export type QuirkRule = { readonly models: string; readonly quirk: Quirk };

export const plain: Quirk = { omit: [], oneOf: [], add: {} };

const withoutSampling: Quirk = { ...plain, omit: ['temperature', 'top_p'] };
const oneSampling: Quirk = { ...plain, oneOf: ['temperature', 'top_p'] };

const rulesFor = (quirk: Quirk, ...patterns: string[]): QuirkRule[] =>
  patterns.map((models) => ({ models: `*${models}*`, quirk }));

const claude = (...names: string[]) => names.map((name) => `anthropic.claude-${name}`);

/**
 * What is known of models that Bedrock offers.
 * @see https://docs.aws.amazon.com/bedrock/latest/userguide/model-card-anthropic-claude-opus-4-7.html
 * @see https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-request-response.html
 */
export const lore: readonly QuirkRule[] = [
  ...rulesFor(
    { ...withoutSampling, omit: [...withoutSampling.omit, 'response_format'] },
    ...claude('opus-5', 'sonnet-5'),
  ),
  ...rulesFor(withoutSampling, ...claude('opus-4-7', 'opus-4-8', 'haiku-5', 'fable-5', 'mythos-5')),
  ...rulesFor(
    oneSampling,
    ...claude('opus-4-1', 'opus-4-5', 'opus-4-6', 'sonnet-4-5', 'sonnet-4-6', 'haiku-4-5'),
  ),
  ...rulesFor(
    { ...plain, reasoning: 'adaptive' },
    ...claude('opus-4-6', 'opus-4-7', 'opus-4-8', 'sonnet-4-6'),
    ...claude('opus-5', 'sonnet-5', 'haiku-5', 'fable-5', 'mythos-5'),
  ),
  ...rulesFor({ ...plain, reasoning: 'budget' }, ...claude('3-7-sonnet', 'opus-4-', 'sonnet-4-', 'haiku-4-')),
  ...rulesFor({ ...plain, reasoning: 'nova' }, 'amazon.nova-2-'),
  ...rulesFor({ ...plain, reasoning: 'effort' }, 'openai.gpt-oss-'),
];

export function findQuirk(rules: readonly QuirkRule[], model: string): Quirk {
  const fitting = rules.filter(({ models }) => fits(models, model)).map(({ quirk }) => quirk);
  const reasoning = fitting.find((quirk) => quirk.reasoning !== undefined)?.reasoning;
  return { ...(fitting[0] ?? plain), ...(reasoning && { reasoning }) };
}

/** Both quirks at once. */
export const mergeQuirks = (one: Quirk, other: Quirk): Quirk => ({
  omit: [...new Set([...one.omit, ...other.omit])],
  oneOf: [...new Set([...one.oneOf, ...other.oneOf])],
  add: { ...one.add, ...other.add },
  ...((other.reasoning ?? one.reasoning) && { reasoning: other.reasoning ?? one.reasoning }),
});

/** Bedrock refused a request because of fields that it named. */
export class FieldsRefused extends GatewayError {
  /** What to change so that it would not. */
  readonly quirk: Quirk;

  constructor(message: string, quirk: Quirk, cause: unknown, code: ErrorCode = 'upstream_rejected') {
    super(code, message, { cause });
    this.quirk = quirk;
  }
}
