/**
 * The `answers` table. Its curated rows are an operator's: `pk` is the canonical question, `answer` a text, and whatever else he put
 * there is passed over. Its learned rows are the gateway's own, under keys that no question can have.
 */
import { createHash } from 'node:crypto';
import { BatchGetItemCommand } from '@aws-sdk/client-dynamodb';
import { marshall, unmarshall } from '@aws-sdk/util-dynamodb';
import type { AnswerKeys, Answers, Found, KeptAnswer, LearnedAnswer } from '../chat/answers.ts';
import { createTable, type TableParts } from './table.ts';

/** What may stand in a row. Operators write rows too, so nothing is sure to. */
type AnswerRow = {
  readonly kind: unknown;
  readonly answer: unknown;
  /** Of a learned row. */
  readonly model: unknown;
  readonly reasoning: unknown;
  readonly checksum: unknown;
  /** Of a row whose answer is still to come: who asks, and until when in milliseconds since the epoch. */
  readonly owner: unknown;
  readonly until: unknown;
};

type Row = Partial<AnswerRow> & { readonly pk: string; readonly ttl?: unknown };

const fields = ['pk', 'ttl', 'kind', 'answer', 'model', 'reasoning', 'checksum', 'owner', 'until'];
const projection = {
  ProjectionExpression: fields.map((field) => `#${field}`).join(', '),
  ExpressionAttributeNames: Object.fromEntries(fields.map((field) => [`#${field}`, field])),
};

/** How much longer than it counts the row of somebody who asks is kept, in seconds. */
const SPARE_SECONDS = 60;

export function createAnswers(parts: TableParts): Answers {
  const { client, name, now } = parts;
  const table = createTable<AnswerRow>(parts);

  const readLearned = async (row: Row): Promise<Found> => {
    const { kind, owner, until } = row;
    if (kind === 'asking') {
      const isAsking = typeof owner === 'string' && typeof until === 'number' && until > now();
      return isAsking ? { asking: owner } : {};
    }
    const answer = toLearned(row);
    if (answer) return { answer };
    await table.remove(row.pk);
    return { wasAltered: true };
  };

  return {
    async find({ curated, learned }: AnswerKeys): Promise<Found> {
      const keys = curated === undefined ? [learned] : [curated, learned];
      const Keys = keys.map((pk) => marshall({ pk }));
      const batch = new BatchGetItemCommand({ RequestItems: { [name]: { Keys, ...projection } } });
      const { Responses, UnprocessedKeys = {} } = await client.send(batch);
      if (Object.keys(UnprocessedKeys).length > 0) throw new Error('DynamoDB left keys unread.');
      const rows = (Responses?.[name] ?? []).map((item) => toRow(item)).filter(isLiving);
      const byOperator = rows.find(({ pk }) => pk === curated);
      const answer = byOperator && toCurated(byOperator);
      if (answer) return { answer };
      const byModel = rows.find(({ pk }) => pk === learned);
      return byModel ? await readLearned(byModel) : {};
    },

    async claim(learned, owner, until): Promise<Found> {
      const ttl = Math.ceil(until / 1000) + SPARE_SECONDS;
      const { isWritten, row } = await table.put(
        { pk: learned, kind: 'asking', owner, until, ttl },
        'attribute_not_exists(#pk) OR #ttl <= :now OR (#kind = :asking AND #until <= :nowMs)',
        { asking: 'asking' },
      );
      return isWritten || !row ? { asking: owner } : await readLearned(row);
    },

    async release(learned, owner): Promise<void> {
      await table.update(learned, 'SET #until = :over', '#owner = :owner', { owner, over: 0 });
    },

    async learn(learned, { model, text, reasoning }, ttlSeconds): Promise<void> {
      const checksum = toChecksum(learned, model, text, reasoning);
      const ttl = table.expireIn(ttlSeconds);
      await table.put({ pk: learned, kind: 'learned', model, answer: text, reasoning, checksum, ttl });
    },
  };

  /** DynamoDB deletes late. An operator's row need not end. */
  function isLiving({ ttl }: Row): boolean {
    return typeof ttl !== 'number' || ttl > now() / 1000;
  }
}

/** A number too long to be exact is no reason to lose the row. */
const toRow = (item: Parameters<typeof unmarshall>[0]) => unmarshall(item, { wrapNumbers: Number }) as Row;

function toCurated({ kind, answer }: Row): KeptAnswer | undefined {
  const isCurated = kind !== 'learned' && kind !== 'asking';
  if (!isCurated || typeof answer !== 'string' || answer.trim() === '') return undefined;
  return { origin: 'curated', text: answer, reasoning: '' };
}

/** Nothing when it is not as it was learned. */
function toLearned({ pk, kind, model, answer, reasoning, checksum }: Row): LearnedAnswer | undefined {
  const isText = typeof model === 'string' && typeof answer === 'string' && typeof reasoning === 'string';
  if (kind !== 'learned' || !isText) return undefined;
  if (checksum !== toChecksum(pk, model, answer, reasoning)) return undefined;
  return { origin: 'learned', model, text: answer, reasoning };
}

/** Against what happens by accident or by hand, and against a row under the key of another. */
const toChecksum = (...fields: readonly string[]) =>
  createHash('sha256').update(JSON.stringify(fields)).digest('hex');
