/** The OpenAPI document as its readers get it, and what it says of a value. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import { openapi } from '../../src/doors/openapi.ts';
import { buildApp, modelThat, say } from './app.ts';

export type Schema = { readonly $ref?: string } & Readonly<Record<string, unknown>>;
export type Media = {
  readonly schema: Schema;
  readonly examples?: Readonly<Record<string, { readonly value: unknown }>>;
};
type Content = Readonly<Record<string, Media>>;
export type Answer = { readonly headers: Readonly<Record<string, Schema>>; readonly content?: Content };
export type Operation = {
  readonly operationId: string;
  readonly requestBody?: { readonly content: Content };
  readonly responses: Readonly<Record<string, Schema>>;
  /** Absent where it is as everywhere. */
  readonly security?: readonly object[];
};
type PathItem = Readonly<Record<string, Operation>>;
type Document = {
  readonly security: readonly object[];
  readonly servers: readonly { readonly url: string }[];
  readonly paths: Readonly<Record<string, PathItem>>;
  readonly components: Readonly<Record<string, Readonly<Record<string, Schema>>>>;
};

export const text = JSON.stringify(openapi);
export const document = JSON.parse(text) as Document;

export const operations = Object.entries(document.paths).flatMap(([path, item]) =>
  Object.entries(item)
    .filter(([key]) => key !== 'parameters')
    .map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
);

/** What stands at `#/components/…`, or the schema itself. */
export function resolve(schema: Schema): Schema {
  if (schema.$ref === undefined) return schema;
  const found = schema.$ref
    .split('/')
    .slice(1)
    .reduce<unknown>((place, key) => (place as Schema | undefined)?.[key], document);
  if (found === undefined) throw new Error(`There is nothing at ${schema.$ref}.`);
  return found as Schema;
}

const ajv = new Ajv2020({
  strict: true,
  allowUnionTypes: true,
  strictTypes: false,
  strictRequired: false,
  // Is the draft's own, and says nothing about what is valid.
  keywords: ['components'],
  formats: { base64: true, 'date-time': /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/ },
});

const judges = new Map<Schema, (value: unknown) => string>();

/** What is wrong with the value, where a schema that says nothing of further fields takes none; empty when nothing is. */
export const faultsOf = (schema: Schema, value: unknown) => judge(schema, value, closed);

/** As `faultsOf`, by the document as it is. */
export const openFaultsOf = (schema: Schema, value: unknown) => judge(schema, value, (part) => part);

function judge(schema: Schema, value: unknown, change: (part: unknown) => unknown): string {
  const known = judges.get(schema);
  if (known) return known(value);
  const isValid = ajv.compile(change({ ...schema, components: document.components }) as Schema);
  const judged = (given: unknown) => (isValid(given) ? '' : ajv.errorsText(isValid.errors));
  judges.set(schema, judged);
  return judged(value);
}

const closed = (part: unknown): unknown => {
  if (Array.isArray(part)) return part.map(closed);
  if (typeof part !== 'object' || part === null) return part;
  const fields = Object.fromEntries(Object.entries(part).map(([key, value]) => [key, closed(value)]));
  const isOpen = fields['type'] === 'object' && 'properties' in fields && !('additionalProperties' in fields);
  return isOpen ? { ...fields, additionalProperties: false } : fields;
};

/** An operator who lets everything through. */
const lenient = { allowedModels: ['*'], modelCeiling: ['*'], maxTokensLimit: Number.MAX_SAFE_INTEGER };

/** The door's answer to a body, from a model that says Hi and one whose vectors are short. */
export async function post(path: string, body: unknown): Promise<Response> {
  const embedder = async ({ texts }: { texts: readonly string[] }) => ({
    vectors: texts.map(() => [0.5, -1]),
    inputTokens: 1,
  });
  const door = buildApp(
    modelThat(...say('Hi')),
    { ...lenient, history: 'off' },
    [],
    undefined,
    undefined,
    embedder,
  );
  const headers = { 'content-type': 'application/json' };
  return await door.send(path, { method: 'POST', headers, body: JSON.stringify(body) });
}
