/**
 * What is wrong with a body, in sentences that name the field and its limit. The library says what it found; the words are ours.
 */
import type * as z from 'zod/mini';
import { GatewayError } from '../chat/errors.ts';

const MAX_ISSUES = 10;
const MAX_QUOTED_CHARS = 64;

type Issue = z.core.$ZodIssue;

/**
 * The value as the schema reads it.
 *
 * @throws `invalid_request`, naming each field and its limit
 */
export function check<Schema extends z.ZodMiniType>(schema: Schema, value: unknown): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const { message, param } = toSentences(parsed.error.issues);
  throw new GatewayError('invalid_request', message, { ...(param !== undefined && { param }) });
}

/** At most ten sentences in one message, and the first field at fault. */
function toSentences(issues: readonly Issue[]): { readonly message: string; readonly param?: string } {
  const faults = issues.flatMap(toFaults);
  const shown = faults.slice(0, MAX_ISSUES).map(({ field, rule }) => `${field || 'The body'} ${rule}.`);
  const hidden = faults.length - shown.length;
  const param = faults[0]?.field;
  return {
    message: [...shown, ...(hidden > 0 ? [`There are ${hidden} more faults.`] : [])].join(' '),
    ...(param && { param }),
  };
}

type Fault = { readonly field: string; readonly rule: string };

function toFaults(issue: Issue): Fault[] {
  const field = toPath(issue.path);
  if (issue.code !== 'unrecognized_keys') return [{ field, rule: toRule(issue) }];
  return issue.keys.map((key) => ({
    field: toPath([...issue.path, key]),
    rule: 'is not a field of this API',
  }));
}

/** `messages[0].content[1].format` */
function toPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>((before, part) => {
    if (typeof part === 'number') return `${before}[${part}]`;
    const name = quote(String(part));
    return before === '' ? name : `${before}.${name}`;
  }, '');
}

const quote = (text: string) =>
  text.length <= MAX_QUOTED_CHARS ? text : `${text.slice(0, MAX_QUOTED_CHARS).toWellFormed()}…`;

function toRule(issue: Exclude<Issue, { code: 'unrecognized_keys' }>): string {
  switch (issue.code) {
    case 'too_small':
      return `must ${toSize(issue.origin, `at least ${issue.minimum}`)}`;
    case 'too_big':
      return `must ${toSize(issue.origin, `at most ${issue.maximum}`)}`;
    case 'invalid_type':
      return `must be ${kinds[issue.expected] ?? `a ${issue.expected}`}`;
    case 'invalid_value':
      return `must be one of ${issue.values.map((value) => JSON.stringify(value)).join(', ')}`;
    default:
      return issue.message;
  }
}

const toSize = (origin: string, limit: string) =>
  origin === 'string'
    ? `have ${limit} characters`
    : origin === 'array'
      ? `have ${limit} items`
      : `be ${limit}`;

const kinds: Readonly<Record<string, string>> = {
  int: 'a whole number',
  array: 'a list',
  object: 'an object',
  string: 'text',
  boolean: 'true or false',
};
