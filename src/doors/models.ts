/**
 * `GET /v1/models` and `GET /v1/models/{id}`, in the shape of OpenAI's.
 */
import type { Context } from 'hono';
import { chooseModel, type ModelRules, namesOnOffer, resolveModel } from '../chat/models.ts';
import type { ChatParts } from './asking.ts';
import type { AppEnv } from './edge.ts';

type Parts = Pick<ChatParts, 'loadSettings'>;

export function listModels({ loadSettings }: Parts) {
  return async function models(c: Context<AppEnv>) {
    const settings = await loadSettings();
    return c.json({ object: 'list', data: namesOnOffer(settings).map((id) => toModel(id, settings)) });
  };
}

/** Also of models that the list does not name, because a pattern lets them through. Ids hold `:`, and those of profiles `/`. */
export function readModel({ loadSettings }: Parts) {
  return async function model(c: Context<AppEnv>) {
    const settings = await loadSettings();
    const id = c.req.param('id') ?? '';
    chooseModel(id, settings);
    return c.json(toModel(id, settings));
  };
}

const toModel = (id: string, rules: ModelRules) => ({
  id,
  object: 'model',
  created: 0,
  owned_by: ownerOf(resolveModel(id, rules)),
});

/** `amazon` of `global.amazon.nova-2-lite-v1:0`: a prefix that names a geography is not the owner. */
function ownerOf(id: string): string {
  const [first = '', second] = id.split('.');
  return geographies.has(first) && second !== undefined ? second : first;
}

const geographies = new Set(['us', 'us-gov', 'eu', 'apac', 'jp', 'au', 'ca', 'sa', 'global']);
