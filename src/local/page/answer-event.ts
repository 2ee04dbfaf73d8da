/**
 * The events of an answer, the same through every door: `start`, deltas, then one of `done`, `error`, `cancelled`.
 */
import { type Failure, readFailure } from './failure.ts';
import { isRecord, readNumber, readText } from './json.ts';

/** Tokens. */
export type Usage = { readonly input: number; readonly output: number };

/** Whose answer it is, when it is not the model's. */
export type Cached = 'curated' | 'learned' | 'similar';

export type AnswerEvent =
  | {
      readonly type: 'start';
      readonly chatId: string | undefined;
      readonly model: string;
      readonly cached: Cached | undefined;
    }
  | { readonly type: 'delta'; readonly text: string; readonly reasoning: string }
  | {
      readonly type: 'done';
      readonly stopReason: string;
      readonly usage: Usage | undefined;
      readonly saved: boolean;
    }
  | { readonly type: 'error'; readonly failure: Failure }
  | { readonly type: 'cancelled'; readonly usage: Usage | undefined };

/** Nothing for an event that this page does not know. */
export function readEvent(name: string, data: unknown): AnswerEvent | undefined {
  switch (name) {
    case 'start':
      return {
        type: 'start',
        chatId: readText(data, 'chat_id'),
        model: readText(data, 'model') ?? '',
        cached: readCached(data),
      };
    case 'delta':
      return {
        type: 'delta',
        text: readText(data, 'text') ?? '',
        reasoning: readText(data, 'reasoning') ?? '',
      };
    case 'done':
      return {
        type: 'done',
        stopReason: readText(data, 'stop_reason') ?? '',
        usage: readUsage(data),
        saved: !(isRecord(data) && data['saved'] === false),
      };
    case 'error':
      return { type: 'error', failure: readFailure(data) };
    case 'cancelled':
      return { type: 'cancelled', usage: readUsage(data) };
    default:
      return undefined;
  }
}

export const isTerminal = ({ type }: AnswerEvent) =>
  type === 'done' || type === 'error' || type === 'cancelled';

function readCached(data: unknown): Cached | undefined {
  const cached = readText(data, 'cached');
  return cached === 'curated' || cached === 'learned' || cached === 'similar' ? cached : undefined;
}

export function readUsage(data: unknown): Usage | undefined {
  const usage = isRecord(data) ? data['usage'] : undefined;
  const [input, output] = [readNumber(usage, 'input_tokens'), readNumber(usage, 'output_tokens')];
  return input === undefined || output === undefined ? undefined : { input, output };
}
