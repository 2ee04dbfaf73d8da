/** The failures that DynamoDB has names for, as dynalite makes them. */
import type { z } from 'zod';

/** `body` is what the client gets. */
export type Refusal = Error & {
  readonly statusCode: number;
  readonly body: { readonly __type: string; readonly message?: string; readonly Item?: unknown };
};

export const isRefusal = (error: unknown): error is Refusal => error instanceof Error && 'body' in error;

/** `details` are further members of the body. */
export function refusal(name: string, message: string, details: object = {}, statusCode = 400): Refusal {
  const body = { __type: `com.amazonaws.dynamodb.v20120810#${name}`, message, ...details };
  return Object.assign(new Error(message), { statusCode, body });
}

/** The failure of a request that breaks a rule which has no name of its own. */
export const invalid = (message: string) => refusal('ValidationException', message);

/** @throws Refusal ValidationException */
export function parse<Schema extends z.ZodType>(schema: Schema, input: object): z.infer<Schema> {
  const { success, data, error } = schema.safeParse(input);
  if (success) return data;
  throw invalid(error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '));
}
