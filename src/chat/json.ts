/** JSON that the gateway hands on without reading it: a tool's arguments, a schema. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export type JsonObject = { [key: string]: Json };

/** The object that a text holds, or an empty one where there is no text. Nothing for any other text. */
export function parseObject(text: string): JsonObject | undefined {
  try {
    const value: Json = JSON.parse(text.trim() || '{}');
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
