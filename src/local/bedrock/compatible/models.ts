/**
 * The models of an OpenAI-compatible server under names that the gateway offers: those that chat under their own, those that embed under
 * one that says that they are called as Titan is, since a gateway must know how to call a model for vectors.
 */
import { fits } from '../../../chat/models.ts';
import { modelId } from '../../../chat/setting-kinds.ts';
import { environment, readList } from '../../../names.ts';
import { listModels, type ModelServer } from './model-server.ts';

const TITAN = 'amazon.titan-embed-text-v2:';

/** Servers do not say what a model is for; its name does. */
const embeds = (model: string) => /embed/i.test(model);

/** `amazon.titan-embed-text-v2:nomic-embed-text` as `nomic-embed-text`; any other name as it is. */
export const toServerModel = (name: string): string =>
  name.startsWith(TITAN) ? name.slice(TITAN.length) : name;

/**
 * Offers what the server has, and makes its first model that chats the default, unless the variables say otherwise. Names that could not
 * be written into them are left out.
 *
 * @throws `Error` for whoever started the gateway, when the server cannot be asked or has no model for this
 */
export async function offerModels(server: ModelServer, env: NodeJS.ProcessEnv): Promise<void> {
  const listed = await listModels(server);
  const names = listed
    .map((model) => (embeds(model) ? `${TITAN}${model}` : model))
    .filter((name) => modelId.parse(name) !== undefined);
  env[environment.allowedModels] ||= names.join(',');
  const allowed = readList(env[environment.allowedModels]);
  const isAllowed = (name: string) => allowed.some((pattern) => fits(pattern, name));
  const chats = names.find((name) => !embeds(name) && isAllowed(name));
  if (!env[environment.defaultModel] && chats === undefined)
    throw new Error(`The server at ${server.url} has no model on offer that chats; pull or load one there.`);
  env[environment.defaultModel] ||= chats;
}
