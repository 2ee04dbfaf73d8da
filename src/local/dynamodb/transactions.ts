/**
 * Transactions: all their actions are attempted on the same state of the tables, and committed together.
 * The limit of 4 MB in total is not checked.
 *
 * @see https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
 */
import { z } from 'zod';
import { type Attempt, type Engine, toOutput } from './engine.ts';
import { invalid, parse, refusal } from './refusal.ts';

/** How long a repeated request is known by its token. */
const TOKEN_MS = 10 * 60 * 1000;

/** A ConditionCheck is a deletion that is not committed. */
const operationOf = {
  Put: 'PutItem',
  Update: 'UpdateItem',
  Delete: 'DeleteItem',
  ConditionCheck: 'DeleteItem',
} as const;

const target = z.looseObject({});
const action = z
  .partialRecord(z.enum(['Put', 'Update', 'Delete', 'ConditionCheck']), target)
  .refine((kinds) => Object.keys(kinds).length === 1, 'must be one of Put, Update, Delete, ConditionCheck')
  .transform((kinds) => Object.entries(kinds)[0] as [keyof typeof operationOf, object]);
const writeRequest = z.object({
  TransactItems: z.array(action).min(1).max(100),
  ClientRequestToken: z.string().min(1).max(36).optional(),
});
const readRequest = z.object({
  TransactItems: z
    .array(z.object({ Get: target }))
    .min(1)
    .max(100),
});

/** `now` is in milliseconds since the epoch. `write` must run alone, `read` without a write. */
export function createTransactions({ attempt, commit }: Engine, now: () => number) {
  /** When the requests with these tokens were committed, oldest first. */
  const committed = new Map<string, number>();

  async function write(input: object): Promise<object> {
    const { TransactItems, ClientRequestToken: token } = parse(writeRequest, input);
    for (const [old, atMs] of committed) {
      if (now() - atMs < TOKEN_MS) break;
      committed.delete(old);
    }
    if (token && committed.has(token)) return {};
    const attempts = await Promise.all(
      TransactItems.map(([kind, request]) => attempt(operationOf[kind], request)),
    );
    requireDistinct(attempts);
    if (attempts.some(({ refused }) => refused)) throw toCancellation(attempts.map(toReason));
    const kept = attempts.filter((_, index) => TransactItems[index]?.[0] !== 'ConditionCheck');
    await commit(kept.flatMap(({ changes }) => changes));
    if (token) committed.set(token, now());
    return {};
  }

  async function read(input: object): Promise<object> {
    const { TransactItems } = parse(readRequest, input);
    const attempts = await Promise.all(TransactItems.map(({ Get }) => attempt('GetItem', Get)));
    requireDistinct(attempts);
    return { Responses: attempts.map(toOutput) };
  }

  return { write, read };
}

function requireDistinct(attempts: readonly Attempt[]): void {
  const rows = attempts.flatMap(({ row }) => row ?? []);
  if (new Set(rows).size === rows.length) return;
  throw invalid('Transaction request cannot include multiple operations on one item');
}

/** @throws Refusal of the request as a whole */
function toReason({ refused }: Attempt) {
  if (!refused) return { Code: 'None' };
  const { __type, message: Message, Item } = refused.body;
  if (__type.endsWith('#ConditionalCheckFailedException')) {
    return { Code: 'ConditionalCheckFailed', Message, Item };
  }
  if (__type.endsWith('#ValidationException')) return { Code: 'ValidationError', Message };
  throw refused;
}

function toCancellation(CancellationReasons: readonly { readonly Code: string }[]) {
  const codes = CancellationReasons.map(({ Code }) => Code).join(', ');
  const message = `Transaction cancelled, please refer cancellation reasons for specific reasons [${codes}]`;
  return refusal('TransactionCanceledException', message, { CancellationReasons });
}
