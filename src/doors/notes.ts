/**
 * What the OpenAPI document tells of the schemas beside what is made of them: what a field is for, and in JSON Schema's words what a
 * schema checks in code.
 */
import * as z from 'zod/mini';

/** Keywords of JSON Schema, by the schema that they belong to. They win over those that are made of the schema. */
export const notes = z.registry<Readonly<Record<string, unknown>>>();

/** Says what fields of an object are for. */
export function describe<Shape extends Readonly<Record<string, z.ZodMiniType>>>(
  { shape }: { readonly shape: Shape },
  meanings: { readonly [Field in keyof Shape]?: string },
): void {
  for (const [field, schema] of Object.entries(shape)) {
    const description = meanings[field];
    if (description !== undefined) notes.add(schema, { ...notes.get(schema), description });
  }
}
