/**
 * Items that expire. Which attribute of a table says when is kept in the table's own row.
 *
 * @see https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/howitworks-ttl.html
 */
import { z } from 'zod';
import { type Engine, type Item, toOutput } from './engine.ts';
import { invalid, parse } from './refusal.ts';

type Table = {
  readonly TableName: string;
  readonly KeySchema: readonly { readonly AttributeName: string }[];
  readonly ttlAttribute?: string;
};
type Page = { readonly Items: readonly Item[]; readonly LastEvaluatedKey?: Item };

const tableRequest = z.object({ TableName: z.string() });
const updateRequest = tableRequest.extend({
  TimeToLiveSpecification: z.object({ AttributeName: z.string().min(1).max(255), Enabled: z.boolean() }),
});

/** `now` is in milliseconds since the epoch. `update` and `sweep` must run alone. */
export function createTimeToLive({ attempt, commit, tables }: Engine, now: () => number) {
  async function findTable(request: z.infer<typeof tableRequest>): Promise<Table> {
    const output = toOutput(await attempt('DescribeTable', request));
    return (output as { readonly Table: Table }).Table;
  }

  async function describe(input: object): Promise<object> {
    const { ttlAttribute: AttributeName } = await findTable(parse(tableRequest, input));
    const TimeToLiveStatus = AttributeName === undefined ? 'DISABLED' : 'ENABLED';
    return { TimeToLiveDescription: { TimeToLiveStatus, AttributeName } };
  }

  async function update(input: object): Promise<object> {
    const { TableName, TimeToLiveSpecification } = parse(updateRequest, input);
    const { AttributeName, Enabled } = TimeToLiveSpecification;
    const { ttlAttribute: before, ...table } = await findTable({ TableName });
    if (Enabled === (before !== undefined)) {
      throw invalid(`TimeToLive is already ${Enabled ? 'enabled' : 'disabled'}`);
    }
    const value = Enabled ? { ...table, ttlAttribute: AttributeName } : table;
    await commit([{ type: 'put', key: `table~${TableName}`, value }]);
    return { TimeToLiveSpecification };
  }

  /** Resolves with how many items it deleted. */
  async function sweep(): Promise<number> {
    let deleted = 0;
    for await (const [, table] of tables()) {
      deleted += await sweepTable(table as Table);
    }
    return deleted;
  }

  async function sweepTable({ TableName, KeySchema, ttlAttribute }: Table): Promise<number> {
    if (ttlAttribute === undefined) return 0;
    const toKey = (item: Item) =>
      Object.fromEntries(KeySchema.map(({ AttributeName }) => [AttributeName, item[AttributeName]]));
    const expired = {
      TableName,
      FilterExpression: '#ttl < :now',
      ExpressionAttributeNames: { '#ttl': ttlAttribute },
      ExpressionAttributeValues: { ':now': { N: String(now() / 1000) } },
    };
    let deleted = 0;
    let ExclusiveStartKey: Item | undefined;
    do {
      const page = toOutput(await attempt('Scan', { ...expired, ExclusiveStartKey })) as Page;
      const deletions = page.Items.map((item) => attempt('DeleteItem', { TableName, Key: toKey(item) }));
      await commit((await Promise.all(deletions)).flatMap(({ changes }) => changes));
      deleted += deletions.length;
      ExclusiveStartKey = page.LastEvaluatedKey;
    } while (ExclusiveStartKey);
    return deleted;
  }

  return { describe, update, sweep };
}
