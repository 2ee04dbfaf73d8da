/**
 * One request to DynamoDB: a batch of items, or a single one that must not replace what is there.
 */
import { isDeepStrictEqual } from 'node:util';
import {
  BatchWriteItemCommand,
  ConditionalCheckFailedException,
  DynamoDBClient,
  PutItemCommand,
} from '@aws-sdk/client-dynamodb';
import type { Attributes } from './item-size.ts';
import { isPassing, type Place, refusalOf, toFailure } from './table.ts';
import { type Keys, keyOf, type Prepared } from './validation.ts';

/** What became of the items: written, kept as they were in the table, or to be sent again. */
export type Outcome<Entry> = {
  readonly written?: readonly Entry[];
  readonly kept?: readonly Entry[];
  readonly left?: readonly Entry[];
  /** Who has not taken what is left; DynamoDB unless it says. */
  readonly leftBy?: string | undefined;
  /** DynamoDB's name for what is wrong with at least one of the items; none of them was written. */
  readonly refusal?: string;
};

/** @throws UploadFailure when no other try would help; `isRepeated`: an earlier try may have come through */
export type Send<Entry> = (entries: readonly Entry[], isRepeated: boolean) => Promise<Outcome<Entry>>;

export type Sender<Entry> = { readonly perRequest: number; send: Send<Entry>; close(): void };

/** BatchWriteItem takes no more. */
const MAX_BATCH = 25;

/** The client itself tries once: who sends knows better when to try again. */
export function createSender<Entry extends Prepared>(
  place: Place,
  keys: Keys,
  keepExisting: boolean,
): Sender<Entry> {
  const client = new DynamoDBClient({ ...place.config, maxAttempts: 1 });
  const TableName = place.table;

  async function writeBatch(entries: readonly Entry[]): Promise<Outcome<Entry>> {
    const requests = entries.map(({ item }) => ({ PutRequest: { Item: item } }));
    const batch = new BatchWriteItemCommand({ RequestItems: { [TableName]: requests } });
    const { UnprocessedItems = {} } = await client.send(batch);
    const unprocessed = Object.values(UnprocessedItems).flat();
    const leftKeys = new Set(
      unprocessed.map(({ PutRequest }) => keyOf((PutRequest?.Item ?? {}) as Attributes, keys)),
    );
    const isLeft = ({ key }: Entry) => leftKeys.has(key);
    return { written: entries.filter((entry) => !isLeft(entry)), left: entries.filter(isLeft) };
  }

  async function putNew([entry]: readonly Entry[], isRepeated: boolean): Promise<Outcome<Entry>> {
    if (!entry) return {};
    const put = new PutItemCommand({
      TableName,
      Item: entry.item,
      ConditionExpression: 'attribute_not_exists(#key)',
      ExpressionAttributeNames: { '#key': keys[0]?.name ?? '' },
      ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
    });
    try {
      await client.send(put);
      return { written: [entry] };
    } catch (error) {
      if (!(error instanceof ConditionalCheckFailedException)) throw error;
      // The try before this one may have written it, with only its reply lost.
      const isOwn = isRepeated && isDeepStrictEqual(error.Item, entry.item);
      return isOwn ? { written: [entry] } : { kept: [entry] };
    }
  }

  return {
    perRequest: keepExisting ? 1 : MAX_BATCH,
    async send(entries, isRepeated) {
      try {
        return await (keepExisting ? putNew(entries, isRepeated) : writeBatch(entries));
      } catch (error) {
        if (isPassing(error)) return { left: entries };
        const refusal = refusalOf(error);
        if (refusal !== undefined) return { refusal };
        throw toFailure(error, place);
      }
    },
    close: () => client.destroy(),
  };
}
