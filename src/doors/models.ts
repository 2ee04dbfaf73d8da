/**
 * `GET /v1/models`, in the shape of OpenAI's list.
 */
import type { Context } from 'hono';
import type { ChatParts } from './chat.ts';
import type { AppEnv } from './edge.ts';

/** The default model comes first; entries with a wildcard stand for models whose names are not known here. */
export function listModels({ loadSettings }: Pick<ChatParts, 'loadSettings'>) {
  return async function models(c: Context<AppEnv>) {
    const { defaultModel, allowedModels } = await loadSettings();
    const ids = new Set([defaultModel, ...allowedModels.filter((id) => !id.includes('*'))]);
    const data = [...ids].map((id) => ({ id, object: 'model', created: 0, owned_by: ownerOf(id) }));
    return c.json({ object: 'list', data });
  };
}

/** `amazon` of `global.amazon.nova-2-lite-v1:0`: a prefix that names a geography is not the owner. */
function ownerOf(id: string): string {
  const [first = '', second] = id.split('.');
  return geographies.has(first) && second !== undefined ? second : first;
}

const geographies = new Set(['us', 'us-gov', 'eu', 'apac', 'jp', 'au', 'ca', 'sa', 'global']);
