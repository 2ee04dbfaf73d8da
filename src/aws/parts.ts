/**
 * Messages that come in parts, each through another process maybe. The parts lie in the `requests` table for two minutes, and whoever
 * brings the last one gets the whole.
 */
import { GatewayError } from '../chat/errors.ts';
import type { RequestKey } from '../chat/lease.ts';
import { createTable, type TableParts } from './table.ts';

/** How long the first part waits for the last. */
const WAIT_SECONDS = 120;

export type Part = {
  /** Parts of different connections never meet. */
  readonly connectionId: string;
  /** From 0. */
  readonly n: number;
  readonly of: number;
  readonly data: string;
};

export function createParts(parts: TableParts) {
  const counts = createTable<{ readonly of: number; readonly numbers: ReadonlySet<number> }>(parts);
  const texts = createTable<{ readonly json: string }>(parts);

  /** How many parts are there, this one included. */
  async function count(pk: string, n: number, of: number): Promise<number> {
    const ttl = counts.expireIn(WAIT_SECONDS);
    const numbers = new Set([n]);
    const { isWritten, row } = await counts.update(
      pk,
      'ADD #numbers :numbers SET #of = :of, #ttl = if_not_exists(#ttl, :ttl)',
      'attribute_not_exists(#pk) OR (#ttl > :now AND #of = :of)',
      { numbers, of, ttl },
    );
    if (isWritten) return row.numbers?.size ?? 0;
    if (!row || !counts.isOver(row)) {
      throw new GatewayError('invalid_request', 'of must be the same in all parts.', { param: 'of' });
    }
    const begun = await counts.put({ pk, numbers, of, ttl }, '#ttl = :old', { old: row.ttl });
    return begun.isWritten ? numbers.size : await count(pk, n, of);
  }

  /**
   * Keeps a part. Resolves with the whole text when none is missing any more.
   *
   * @throws `invalid_request` when parts disagree on how many they are, `storage_unavailable`
   */
  return async function addPart({ tenant, requestId }: RequestKey, part: Part): Promise<string | undefined> {
    const pk = `${tenant}#${requestId}#${part.connectionId}`;
    // Half a surrogate pair at the edge of a part can only be stored as an escape.
    const json = JSON.stringify(part.data);
    // A part outlives the count of it: the first may be read when the last is there in its last second.
    await texts.put({ pk: `${pk}#${part.n}`, json, ttl: texts.expireIn(2 * WAIT_SECONDS) });
    if ((await count(pk, part.n, part.of)) < part.of) return undefined;
    const keys = Array.from({ length: part.of }, (_, n) => `${pk}#${n}`);
    const found = await Promise.all(keys.map((key) => texts.get(key)));
    const slices = found.flatMap((row) => (row?.json === undefined ? [] : [String(JSON.parse(row.json))]));
    // Whoever else had the last part, delivered twice, has taken them.
    if (slices.length < part.of) return undefined;
    for (const key of [pk, ...keys]) texts.remove(key).catch(() => undefined);
    return slices.join('');
  };
}
