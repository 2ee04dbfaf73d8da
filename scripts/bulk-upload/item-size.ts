/**
 * Items as DynamoDB takes them, and how large it counts them.
 *
 * @see https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
 */
import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import type { Json } from '../../src/chat/json.ts';

export type Attributes = Readonly<Record<string, AttributeValue>>;

/** In bytes, names and values. */
export const MAX_ITEM_BYTES = 400 * 1024;

/** Of lists and maps, one in the other. */
export const MAX_LEVELS = 32;

/** `marshall` of the SDK refuses an attribute that is called `constructor`. */
export const toAttributes = (item: Readonly<Record<string, Json>>): Attributes =>
  Object.fromEntries(Object.entries(item).map(([name, value]) => [name, toAttribute(value)]));

function toAttribute(value: Json): AttributeValue {
  if (value === null) return { NULL: true };
  if (typeof value === 'string') return { S: value };
  if (typeof value === 'number') return { N: String(value) };
  if (typeof value === 'boolean') return { BOOL: value };
  return Array.isArray(value) ? { L: value.map(toAttribute) } : { M: toAttributes(value) };
}

/** In bytes. */
export const itemSize = (item: Attributes): number =>
  Object.entries(item).reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + valueSize(value), 0);

function valueSize(value: AttributeValue): number {
  if (value.S !== undefined) return Buffer.byteLength(value.S);
  if (value.N !== undefined) return numberSize(value.N);
  if (value.B !== undefined) return value.B.length;
  if (value.L !== undefined) return value.L.reduce((sum, element) => sum + 1 + valueSize(element), 3);
  if (value.M !== undefined) return 3 + Object.keys(value.M).length + itemSize(value.M);
  return 1;
}

/** A byte for every two significant digits, which begin at an even place before or after the point; one more, and one for the minus. */
function numberSize(text: string): number {
  const [, minus = '', digits = '', exponent = ''] =
    /^(-?)([\d.]+)e([+-]\d+)$/.exec(Number(text).toExponential()) ?? [];
  const significant = digits.replace('.', '');
  if (significant === '0') return 1;
  const isParted = significant.length % 2 === 0 && Number(exponent) % 2 === 0;
  return 1 + Math.ceil(significant.length / 2) + (isParted ? 1 : 0) + minus.length;
}
