/**
 * How hard a model should think, in the words of each family: Bedrock has none of its own, and hands these to the model unread.
 */
import type { Json } from './json.ts';
import type { ChatRequest, Effort } from './request.ts';

type Fields = Readonly<Record<string, Json>>;

/** What Claude takes as a budget at least, in tokens. */
const MIN_BUDGET = 1_024;

/** How much of the longest answer may be thoughts. */
const budgetShares = { minimal: 0.1, low: 0.2, medium: 0.5, high: 0.8, xhigh: 0.9, max: 0.9 } as const;

type Thinking = Exclude<Effort, 'none'>;
type Style = {
  /** Fields that make the model think; nothing where this request does not bear it. */
  readonly think: (effort: Thinking, request: ChatRequest) => Fields | undefined;
  readonly rest: Fields;
  /** Whether a model that thinks takes no `temperature` and `top_p`, and refuses to be told which tool to call. */
  readonly isStrict: boolean;
};

/**
 * @see https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-adaptive-thinking.html
 * @see https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html
 * @see https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html
 */
const styles = {
  /** Claude from 4.6 on decides for itself how much. */
  adaptive: {
    think: (effort) => ({
      thinking: { type: 'adaptive' },
      output_config: { effort: effort === 'max' ? 'max' : toThree(effort) },
    }),
    rest: { thinking: { type: 'disabled' } },
    isStrict: true,
  },
  /** Claude before 4.6 wants a budget, and its signed thoughts back before each of its calls. */
  budget: {
    think(effort, { inference: { maxTokens }, messages }) {
      const budget_tokens = Math.max(MIN_BUDGET, Math.floor(maxTokens * budgetShares[effort]));
      const isFit = budget_tokens < maxTokens && messages.every(beginsWithThoughts);
      return isFit ? { thinking: { type: 'enabled', budget_tokens } } : undefined;
    },
    rest: {},
    isStrict: true,
  },
  /** `high` is not asked for: with it Nova refuses a limit of the answer's length. */
  nova: {
    think: (effort) => ({
      reasoningConfig: { type: 'enabled', maxReasoningEffort: toThree(effort) === 'low' ? 'low' : 'medium' },
    }),
    rest: {},
    isStrict: false,
  },
  /** OpenAI's open models always think. */
  effort: {
    think: (effort) => ({ reasoning_effort: toThree(effort) }),
    rest: { reasoning_effort: 'low' },
    isStrict: false,
  },
} as const satisfies Record<string, Style>;

export type ReasoningStyle = keyof typeof styles;
export const reasoningStyles = Object.keys(styles) as readonly ReasoningStyle[];

/** The request with its effort in the words of the model; as it is where the model has no words for it. */
export function applyEffort(request: ChatRequest, style: ReasoningStyle | undefined): ChatRequest {
  const { effort, inference, toolChoice } = request;
  if (effort === undefined || style === undefined) return request;
  const { think, rest, isStrict }: Style = styles[style];
  const isForced = toolChoice !== undefined && toolChoice.type !== 'auto';
  const thoughts = effort === 'none' || (isStrict && isForced) ? undefined : think(effort, request);
  const modelFields = { ...request.modelFields, ...(thoughts ?? rest) };
  if (!thoughts || !isStrict) return { ...request, modelFields };
  const { temperature: _temperature, topP: _topP, ...others } = inference;
  return { ...request, modelFields, inference: others };
}

const toThree = (effort: Thinking): 'low' | 'medium' | 'high' =>
  effort === 'minimal' || effort === 'low' ? 'low' : effort === 'medium' ? 'medium' : 'high';

/** Whether a message that calls tools shows what was thought before. */
const beginsWithThoughts = ({ content }: ChatRequest['messages'][number]): boolean =>
  content[0]?.type === 'reasoning' || content.every(({ type }) => type !== 'tool-use');
