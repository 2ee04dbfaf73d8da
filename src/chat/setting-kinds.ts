/**
 * What a setting may be: how its text is read, and in words, for errors and documentation alike.
 */

import { type Json, parseJson } from './json.ts';
import { type DispensableField, dispensableFields, plain, type Quirk, type QuirkRule } from './quirks.ts';
import { type ReasoningStyle, reasoningStyles } from './reasoning.ts';

export type Kind<T> = {
  /** Completes `… must be` and `… takes`. */
  readonly allowed: string;
  /** Nothing for a text that is not allowed. */
  readonly parse: (text: string) => T | undefined;
};

export const wholeNumber = (min: number, max: number): Kind<number> => ({
  allowed: `a whole number from ${min} to ${max}`,
  parse: (text) => within(min, /^\d{1,10}$/.test(text) ? Number(text) : undefined, max),
});

export const number = (min: number, max: number): Kind<number> => ({
  allowed: `a number from ${min} to ${max}`,
  parse: (text) => within(min, /^\d{1,10}(\.\d{1,10})?$/.test(text) ? Number(text) : undefined, max),
});

const within = (min: number, value: number | undefined, max: number) =>
  value !== undefined && value >= min && value <= max ? value : undefined;

export const oneOf = <const Word extends string>(...words: readonly Word[]): Kind<Word> => ({
  allowed: `one of ${words.join(', ')}`,
  parse: (text) => words.find((word) => word === text),
});

/** Parameter Store takes at most 4 KB, and nothing that looks like a reference to another parameter. */
export const text = (maxChars: number): Kind<string> => ({
  allowed: `a text of 1 to ${maxChars} characters without {{`,
  parse: (value) => (value !== '' && value.length <= maxChars && !value.includes('{{') ? value : undefined),
});

const MODEL_ID = /^[A-Za-z0-9._:/-]{1,256}$/;
const MODEL_PATTERN = /^[A-Za-z0-9._:/*-]{1,256}$/;

export const modelId: Kind<string> = {
  allowed: 'a model id',
  parse: (value) => (MODEL_ID.test(value) ? value : undefined),
};

export const modelIds: Kind<readonly string[]> = {
  allowed: 'model ids with commas between them',
  parse: (value) => parseList(value, MODEL_ID),
};

export const modelPatterns: Kind<readonly string[]> = {
  allowed: 'model ids with commas between them, in which * stands for any run of characters',
  parse: (value) => parseList(value, MODEL_PATTERN),
};

function parseList(value: string, item: RegExp): readonly string[] | undefined {
  const items = value.split(',').map((part) => part.trim());
  const filled = items.filter((part) => part !== '');
  return filled.every((part) => item.test(part)) ? filled : undefined;
}

export const stopSequences: Kind<readonly string[]> = {
  allowed: 'a JSON list of at most 16 texts of 1 to 200 characters, such as ["END"]',
  parse(value) {
    const list = parseJson(value);
    if (!Array.isArray(list) || list.length > 16) return undefined;
    const sequences = list.filter((item) => typeof item === 'string' && item !== '' && item.length <= 200);
    return sequences.length === list.length ? sequences.map(String) : undefined;
  },
};

export const aliases: Kind<ReadonlyMap<string, string>> = {
  allowed: 'a JSON object of alias and model id, such as {"fast":"amazon.nova-micro-v1:0"}',
  parse(value) {
    const pairs = entriesOf(parseJson(value));
    if (!pairs) return undefined;
    const names = pairs.filter(
      ([name, id]) => MODEL_ID.test(name) && typeof id === 'string' && MODEL_ID.test(id),
    );
    return names.length === pairs.length ? new Map(names.map(([name, id]) => [name, String(id)])) : undefined;
  },
};

export const quirkRules: Kind<readonly QuirkRule[]> = {
  allowed: `a JSON object of model pattern and {"omit":[…],"one_of":[…],"add":{…},"reasoning":"…"}, with omit and one_of out of ${dispensableFields.join(', ')}, and reasoning one of ${reasoningStyles.join(', ')}`,
  parse(value) {
    const rules = entriesOf(parseJson(value))?.map(([models, quirk]) => toRule(models, quirk));
    return rules?.every((rule) => rule !== undefined) ? rules : undefined;
  },
};

function toRule(models: string, value: Json): QuirkRule | undefined {
  const entries = entriesOf(value);
  if (!entries || !MODEL_PATTERN.test(models)) return undefined;
  let quirk: Quirk = plain;
  for (const [key, part] of entries) {
    if (key === 'omit' && isFieldList(part)) quirk = { ...quirk, omit: part };
    else if (key === 'one_of' && isFieldList(part)) quirk = { ...quirk, oneOf: part };
    else if (key === 'add' && isObject(part)) quirk = { ...quirk, add: part };
    else if (key === 'reasoning' && isStyle(part)) quirk = { ...quirk, reasoning: part };
    else return undefined;
  }
  return { models, quirk };
}

const isFieldList = (value: Json): value is DispensableField[] =>
  Array.isArray(value) && value.every((item) => dispensableFields.some((field) => field === item));

const isStyle = (value: Json): value is ReasoningStyle => reasoningStyles.some((style) => style === value);

const isObject = (value: Json | undefined): value is { [key: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const entriesOf = (value: Json | undefined) => (isObject(value) ? Object.entries(value) : undefined);

/** @see https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_GuardrailStreamConfiguration.html */
export const guardrailId: Kind<string> = {
  allowed: 'a guardrail’s id or ARN',
  parse: (value) =>
    /^([a-z0-9]{1,64}|arn:aws(-[a-z-]+)?:bedrock:[a-z0-9-]{1,20}:\d{12}:guardrail\/[a-z0-9]{1,64})$/.test(
      value,
    )
      ? value
      : undefined,
};

export const guardrailVersion: Kind<string> = {
  allowed: 'DRAFT or a version number',
  parse: (value) => (/^([1-9]\d{0,7}|DRAFT)$/.test(value) ? value : undefined),
};
