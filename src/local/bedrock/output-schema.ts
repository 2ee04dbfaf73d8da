/**
 * The JSON schema of a structured output, which Converse takes as a text, and of which it wants every object closed.
 * @see https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html
 */
import { invalid, rejected } from './replies.ts';
import type { ConverseRequest } from './request-shape.ts';

/**
 * The schema that the answer must fit, if there is one.
 * @throws ServiceException ValidationException 400 when it is no JSON object, or has an object that is open to other properties
 */
export function parseOutputSchema({ outputConfig }: ConverseRequest): object | undefined {
  const json = outputConfig?.textFormat?.structure.jsonSchema.schema;
  if (json === undefined) return undefined;
  const schema = parseObject(json);
  if (!schema) throw invalid('The provided JSON schema is not valid JSON.');
  if (hasOpenObject(schema))
    throw rejected(
      "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false",
    );
  return schema;
}

function parseObject(json: string): object | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Looks only where a schema can stand: an example or a name of a property may look like one. */
function hasOpenObject(node: unknown): boolean {
  const schema: Record<string, unknown> = Object(node);
  const isObject = [schema['type']].flat().includes('object') || schema['properties'] !== undefined;
  if (isObject && schema['additionalProperties'] !== false) return true;
  const named = ['properties', '$defs', 'definitions'].flatMap((key) => Object.values(Object(schema[key])));
  const listed = ['items', 'prefixItems', 'anyOf', 'oneOf', 'allOf'].flatMap((key) => schema[key] ?? []);
  return [...named, ...listed].some((part) => hasOpenObject(part));
}
