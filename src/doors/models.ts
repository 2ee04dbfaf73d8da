/**
 * `GET /v1/models`, in the shape of OpenAI's list.
 */
import type { Context } from 'hono';
import { namesOnOffer, resolveModel } from '../chat/models.ts';
import type { ChatParts } from './asking.ts';
import type { AppEnv } from './edge.ts';

export function listModels({ loadSettings }: Pick<ChatParts, 'loadSettings'>) {
  return async function models(c: Context<AppEnv>) {
    const settings = await loadSettings();
    const data = namesOnOffer(settings).map((id) => {
      return { id, object: 'model', created: 0, owned_by: ownerOf(resolveModel(id, settings)) };
    });
    return c.json({ object: 'list', data });
  };
}

/** `amazon` of `global.amazon.nova-2-lite-v1:0`: a prefix that names a geography is not the owner. */
function ownerOf(id: string): string {
  const [first = '', second] = id.split('.');
  return geographies.has(first) && second !== undefined ? second : first;
}

const geographies = new Set(['us', 'us-gov', 'eu', 'apac', 'jp', 'au', 'ca', 'sa', 'global']);
