/** JSON that the gateway hands on without reading it: a tool's arguments, a schema. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export type JsonObject = { [key: string]: Json };

/** What a text says. Nothing where it is no JSON. */
export function parseJson(text: string): Json | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The object that a text holds, or an empty one where there is no text. Nothing for any other text. */
export function parseObject(text: string): JsonObject | undefined {
  const value = parseJson(text.trim() || '{}');
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
}
