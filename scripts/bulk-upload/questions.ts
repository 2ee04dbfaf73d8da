/**
 * Items of the gateway's own answers: the question as people write it becomes the key by which chat finds it.
 */
import { toCuratedKey } from '../../src/chat/answer-keys.ts';
import { TABLE_TTL } from '../../src/names.ts';
import { ItemProblem, type JsonObject } from './validation.ts';

/**
 * `source` is where it comes from, for whoever finds it in the table.
 *
 * @throws ItemProblem
 */
export function toCuratedAnswer(item: JsonObject, source: string): JsonObject {
  const { pk, answer, kind = 'curated', [TABLE_TTL]: ttl } = item;
  if (pk === undefined) throw new ItemProblem('The question, pk, is missing.');
  if (typeof pk !== 'string' || pk.trim() === '')
    throw new ItemProblem('The question, pk, must be a text that is not blank.');
  if (typeof answer !== 'string' || answer.trim() === '')
    throw new ItemProblem('The item has no answer, which must be a text that is not blank.');
  if (kind !== 'curated') throw new ItemProblem('The kind must be curated, or left away.');
  if (ttl !== undefined && typeof ttl !== 'number')
    throw new ItemProblem('The ttl must be a number of seconds since 1970.');
  return { ...item, pk: toCuratedKey(pk), question: pk, kind, source };
}
