/**
 * Makes up a value that fits a JSON schema, for tool arguments and for structured output. It covers what tool authors
 * write (objects, arrays, enums, bounds, $ref, anyOf); it does not try `pattern`, `not` or `if`.
 */
type Keyword =
  | ('type' | 'const' | 'default' | 'enum' | '$ref' | 'anyOf' | 'oneOf' | 'allOf')
  | ('properties' | 'required' | 'items' | 'prefixItems' | 'minItems' | 'format' | 'minLength' | 'maxLength')
  | ('minimum' | 'maximum' | 'exclusiveMinimum' | 'exclusiveMaximum' | 'multipleOf');
type Schema = { readonly [keyword in Keyword]?: unknown };

/** A schema may point at the same definition again and again; past this many nodes the rest is left out. */
const MAX_NODES = 500;

const STRINGS = new Map<unknown, string>([
  ['date-time', '2026-01-01T12:00:00Z'],
  ['date', '2026-01-01'],
  ['time', '12:00:00Z'],
  ['email', 'someone@example.com'],
  ['uri', 'https://example.com/'],
  ['uuid', '00000000-0000-4000-8000-000000000000'],
  ['hostname', 'example.com'],
  ['ipv4', '192.0.2.1'],
]);

/**
 * A value that fits the schema, always the same one, with optional properties filled in too.
 * Recursive definitions end at their first repetition. `undefined` when nothing can be made.
 */
export function exampleOf(root: unknown): unknown {
  let nodes = 0;
  return build(root, []);

  function build(node: unknown, trail: readonly string[]): unknown {
    nodes += 1;
    if (nodes > MAX_NODES) return undefined;
    const schema = merged(asSchema(node));
    if ('const' in schema) return schema.const;
    if ('default' in schema) return schema.default;
    if (Array.isArray(schema.enum)) return schema.enum[0];
    if (typeof schema.$ref === 'string') return follow(schema.$ref, trail);
    const choices = schema.anyOf ?? schema.oneOf;
    if (Array.isArray(choices)) return build({ ...schema, anyOf: null, oneOf: null, ...choices[0] }, trail);
    return byType(schema, trail);
  }

  function follow(pointer: string, trail: readonly string[]): unknown {
    return trail.includes(pointer) ? undefined : build(resolve(root, pointer), [...trail, pointer]);
  }

  function byType(schema: Schema, trail: readonly string[]): unknown {
    switch (typeOf(schema)) {
      case 'object':
        return Object.fromEntries(
          Object.entries(asSchema(schema.properties))
            .map(([name, property]) => [name, build(property, trail)] as const)
            .filter(([, value]) => value !== undefined),
        );
      case 'array':
        return exampleItems(schema).flatMap((item) => build(item, trail) ?? []);
      case 'integer':
        return exampleNumber(schema, asNumber(schema.multipleOf, 1));
      case 'number':
        return exampleNumber(schema, asNumber(schema.multipleOf, 0));
      case 'boolean':
        return true;
      case 'null':
        return null;
      default:
        return exampleString(schema);
    }
  }
}

function exampleItems(schema: Schema): unknown[] {
  if (Array.isArray(schema.prefixItems)) return schema.prefixItems;
  const count = Math.min(Math.max(1, asNumber(schema.minItems, 1)), MAX_NODES);
  return Array<unknown>(count).fill(schema.items);
}

function exampleString(schema: Schema): string {
  const shortest = Math.min(asNumber(schema.minLength, 0), 10_000);
  const text = STRINGS.get(schema.format) ?? 'example'.padEnd(shortest, ' example');
  return text.slice(0, asNumber(schema.maxLength, text.length));
}

/** The first handy number that keeps to every bound; `grid` 0 means that any fraction will do. */
function exampleNumber(schema: Schema, grid: number): number {
  const low = Math.max(asNumber(schema.minimum, -Infinity), asNumber(schema.exclusiveMinimum, -Infinity));
  const high = Math.min(asNumber(schema.maximum, Infinity), asNumber(schema.exclusiveMaximum, Infinity));
  const up = (value: number) => (grid > 0 ? Math.ceil(value / grid) * grid : value);
  const down = (value: number) => (grid > 0 ? Math.floor(value / grid) * grid : value);
  const step = grid > 0 ? grid : 1;
  const candidates = [1, 0, up(low), up(low) + step, down(high), down(high) - step, (low + high) / 2, grid];
  const fits = (value: number) =>
    Number.isFinite(value) &&
    value === up(value) &&
    value >= low &&
    value <= high &&
    value !== schema.exclusiveMinimum &&
    value !== schema.exclusiveMaximum;
  return candidates.find(fits) ?? 0;
}

function typeOf(schema: Schema): unknown {
  const types: unknown[] = Array.isArray(schema.type) ? schema.type : [schema.type];
  if (schema.type !== undefined) return types.find((type) => type !== 'null') ?? 'null';
  if (schema.properties !== undefined) return 'object';
  return schema.items === undefined ? 'string' : 'array';
}

function merged(schema: Schema): Schema {
  if (!Array.isArray(schema.allOf)) return schema;
  const parts = [schema, ...schema.allOf.map((part) => merged(asSchema(part)))];
  const properties = Object.assign({}, ...parts.map((part) => part.properties));
  return Object.assign({}, ...parts, { properties, allOf: null });
}

function resolve(root: unknown, pointer: string): unknown {
  const path = pointer.split('/').slice(1);
  return path.reduce<unknown>((node, key) => {
    const name = key.replaceAll('~1', '/').replaceAll('~0', '~');
    return Object.entries(asSchema(node)).find(([own]) => own === name)?.[1];
  }, root);
}

function asSchema(value: unknown): Schema {
  return typeof value === 'object' && value !== null ? value : {};
}

function asNumber(value: unknown, otherwise: number): number {
  return typeof value === 'number' ? value : otherwise;
}
