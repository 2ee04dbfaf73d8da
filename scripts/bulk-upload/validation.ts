/**
 * What DynamoDB would refuse, or would keep other than it was given, is told here before anything is written.
 */
import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import type { Json } from '../../src/chat/json.ts';
import { type Attributes, itemSize, MAX_ITEM_BYTES, MAX_LEVELS, toAttributes } from './item-size.ts';

/** Why an item is rejected: a sentence for whoever put it into the file. */
export class ItemProblem extends Error {}

export type KeyPart = { readonly name: string; readonly type: string; readonly maxBytes: number };

/** The hash key, and the range key where there is one. */
export type Keys = readonly KeyPart[];

export type JsonObject = Readonly<Record<string, Json>>;

/** `key` is the same for two items of which one replaces the other; `bytes` is as DynamoDB counts. */
export type Prepared = { readonly item: Attributes; readonly key: string; readonly bytes: number };

/** @throws ItemProblem */
export function prepareItem(item: JsonObject, keys: Keys): Prepared {
  checkMembers(item, 0);
  const keyValues = keys.map((part) => [part.name, toKey(item, part)] as const);
  const attributes = { ...toAttributes(item), ...Object.fromEntries(keyValues) };
  const bytes = itemSize(attributes);
  if (bytes > MAX_ITEM_BYTES)
    throw new ItemProblem(
      `The item is ${bytes} bytes as DynamoDB counts them, of at most ${MAX_ITEM_BYTES}.`,
    );
  return { item: attributes, key: keyOf(attributes, keys), bytes };
}

/** @throws ItemProblem */
export function requireObject(value: Json): JsonObject {
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    throw new ItemProblem('The item is no object.');
  return value;
}

export const keyOf = (item: Attributes, keys: Keys): string =>
  JSON.stringify(
    keys.map(({ name }) => {
      const { S, N, B } = item[name] ?? {};
      return S ?? (N === undefined ? Buffer.from(B ?? []).toString('base64') : Number(N));
    }),
  );

/** `level` of the lists and maps that the value is in. */
function check(value: Json, level: number): void {
  if (typeof value === 'string' && !value.isWellFormed())
    throw new ItemProblem('A text holds half of a surrogate pair, which is no character.');
  if (typeof value === 'number') checkNumber(value);
  if (value === null || typeof value !== 'object') return;
  if (level === MAX_LEVELS)
    throw new ItemProblem(
      `The item is nested more than ${MAX_LEVELS} levels deep, which DynamoDB does not take.`,
    );
  if (Array.isArray(value)) for (const element of value) check(element, level + 1);
  else checkMembers(value, level + 1);
}

function checkMembers(object: JsonObject, level: number): void {
  for (const [name, value] of Object.entries(object)) {
    if (!name.isWellFormed())
      throw new ItemProblem('A name holds half of a surrogate pair, which is no character.');
    if (name === '__proto__') throw new ItemProblem('No attribute can be called __proto__.');
    check(value, level);
  }
}

function checkNumber(value: number): void {
  if (!Number.isFinite(value) || (Number.isInteger(value) && !Number.isSafeInteger(value)))
    throw new ItemProblem(
      `A whole number lies beyond ${Number.MAX_SAFE_INTEGER}, where it would be changed; write it as text.`,
    );
  if (value !== 0 && Math.abs(value) < 1e-130)
    throw new ItemProblem('A number lies closer to 0 than 1E-130, which DynamoDB does not take.');
}

function toKey(item: JsonObject, part: KeyPart): AttributeValue {
  const { name, type } = part;
  const value = Object.hasOwn(item, name) ? item[name] : undefined;
  if (value === undefined) throw new ItemProblem(`The key ${name} is missing.`);
  if (type === 'N') {
    if (typeof value !== 'number') throw new ItemProblem(`The key ${name} must be a number.`);
    return { N: String(value) };
  }
  if (typeof value !== 'string')
    throw new ItemProblem(`The key ${name} must be a ${type === 'B' ? 'base64 text' : 'string'}.`);
  if (value === '') throw new ItemProblem(`The key ${name} is empty.`);
  const bytes = Buffer.from(value, type === 'B' ? 'base64' : 'utf8');
  if (type === 'B' && bytes.toString('base64') !== value)
    throw new ItemProblem(`The key ${name} must be a base64 text.`);
  if (bytes.length > part.maxBytes)
    throw new ItemProblem(`The key ${name} is ${bytes.length} bytes, of at most ${part.maxBytes}.`);
  return type === 'B' ? { B: bytes } : { S: value };
}
