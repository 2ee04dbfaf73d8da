/** Batches of which a part is left to do, as DynamoDB hands them back when it cannot keep up. */
import { z } from 'zod';
import type { Operation } from './operations.ts';
import { parse } from './refusal.ts';

const list = z.array(z.unknown());
/** What to write or to get, by table. */
const requestItems = z.record(z.string(), z.union([list, z.looseObject({ Keys: list })]));
const batch = z.looseObject({ RequestItems: requestItems });

/** Does the first half, rounded up, of what a batch asks of each table, and hands back the rest. */
export function withholdHalf(name: string, run: Operation): Operation {
  const handedBack = { BatchWriteItem: 'UnprocessedItems', BatchGetItem: 'UnprocessedKeys' }[name];
  if (handedBack === undefined) return run;
  return async (input) => {
    const { RequestItems, ...others } = parse(batch, input);
    const firstHalf = cut(RequestItems, (all) => all.slice(0, Math.ceil(all.length / 2)));
    const rest = cut(RequestItems, (all) => all.slice(Math.ceil(all.length / 2)));
    return { ...(await run({ ...others, RequestItems: firstHalf })), [handedBack]: rest };
  };
}

/** A part of what is asked of each table, without the tables of which nothing is asked any more. */
function cut(items: z.infer<typeof requestItems>, part: (all: unknown[]) => unknown[]): object {
  const tables = Object.entries(items).flatMap(([table, asked]) => {
    const some = part(Array.isArray(asked) ? asked : asked.Keys);
    return some.length > 0 ? [[table, Array.isArray(asked) ? some : { ...asked, Keys: some }]] : [];
  });
  return Object.fromEntries(tables);
}
