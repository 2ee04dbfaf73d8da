/** A file of items of which it is known what must become of each. */
import { closeSync, openSync, writeSync } from 'node:fs';
import type { Json } from '../../../src/chat/json.ts';

export type Plan = {
  readonly items: number;
  /** What the table must hold in the end, by key. */
  readonly valid: ReadonlyMap<string, Record<string, Json>>;
  /** How many items are to be written: more than keys, since some replace an earlier one. */
  readonly writes: number;
  /** Number of the item → the line that it begins on. */
  readonly invalid: ReadonlyMap<number, number>;
};

export type Draw = (...names: readonly (string | number)[]) => number;

const SENTENCE = 'Check the power, then the link, then the radio unit – und zuletzt die Übertragung. ';

/** Each the text of an item that cannot be written. One over 400 KB is rare, so that the file stays small. */
const poison: readonly ((number: number) => string)[] = [
  () => '{"answer":"no key"}',
  () => '{"pk":""}',
  (number) => `{"pk":${number}}`,
  (number) => `{"pk":"integer ${number}","n":9007199254740993}`,
  (number) => `{"pk":"surrogate ${number}","answer":"\\ud800"}`,
  (number) => `{"pk":"deep ${number}","list":${'['.repeat(33)}${']'.repeat(33)}}`,
  (number) => `{"pk":"${'k'.repeat(2049)}${number}"}`,
  (number) => String(number),
  () => '["pk"]',
  (number) => `{"pk":"__proto__ ${number}","__proto__":{}}`,
];
const tooLarge = (number: number) => `{"pk":"large ${number}","answer":"${'x'.repeat(410_000)}"}`;

/** One in a hundred is invalid, one in two hundred has the key of an earlier item, and some go over several lines. */
export function writeFileOf(path: string, items: number, draw: Draw): Plan {
  const valid = new Map<string, Record<string, Json>>();
  const invalid = new Map<number, number>();
  const file = openSync(path, 'w');
  let line = 1;
  let writes = 0;
  let text = '[\n';
  for (let number = 1; number <= items; number++) {
    line += 1;
    const separator = number === items ? '\n' : ',\n';
    if (number % 100 === 37) {
      invalid.set(number, line);
      const kind = poison[Math.floor(draw('kind', number) * poison.length)] ?? tooLarge;
      text += (number % 5_000 === 37 ? tooLarge : kind)(number) + separator;
    } else {
      const item = toItem(number, draw);
      valid.set(String(item['pk']), item);
      writes += 1;
      const shown = JSON.stringify(item, null, number % 50 === 1 ? 1 : undefined);
      text += shown + separator;
      line += shown.split('\n').length - 1;
    }
    if (text.length > 1e6) {
      writeSync(file, text);
      text = '';
    }
  }
  writeSync(file, `${text}]\n`);
  closeSync(file);
  return { items, valid, writes, invalid };
}

function toItem(number: number, draw: Draw): Record<string, Json> {
  const chance = draw('item', number);
  const isSecond = number > 1 && Math.floor(chance * 200) === 0;
  const of = isSecond ? Math.max(1, number - Math.ceil(draw('before', number) * 300)) : number;
  return {
    pk: `Question ${of}?`,
    answer: SENTENCE.repeat(1 + Math.floor(chance * 4)),
    version: number,
    share: chance,
    tags: ['outage', null, number % 2 === 0],
    place: { site: `S${number % 977}`, sectors: [1, 2, 3] },
  };
}
