/** Which tools the simulated model calls, and with what. */
import { createHash } from 'node:crypto';
import { rejected } from './replies.ts';
import { conversationDigest, userTexts } from './request.ts';
import type { ConverseRequest } from './request-shape.ts';
import { exampleOf } from './schema-examples.ts';

/** A call: `input` is the JSON of its arguments, or nothing at all, which is what real models send for a tool without any. */
export type Call = { readonly name: string; readonly id: string; readonly input: string };

type Tool = NonNullable<NonNullable<ConverseRequest['toolConfig']>['tools'][number]['toolSpec']>;

/**
 * The calls of one answer, in the order of the tools: the forced tool; else every tool that the last message of the user
 * names; else the first tool. None when there is no tool, or only such as say "do not call" of themselves: gateways send these
 * because a history with calls needs tools.
 * @throws ServiceException ValidationException 400 for a forced tool that is not there
 */
export function chooseCalls(request: ConverseRequest): Call[] {
  const digest = conversationDigest(request);
  return chooseTools(request).map(({ name, inputSchema }) => {
    const input = JSON.stringify(exampleOf({ ...Object(inputSchema.json), type: 'object' }) ?? {});
    const id = createHash('sha256').update(digest).update(name).digest('base64url').slice(0, 22);
    return { name, id: `tooluse_${id}`, input: input === '{}' ? '' : input };
  });
}

function chooseTools(request: ConverseRequest): Tool[] {
  const tools = request.toolConfig?.tools.flatMap(({ toolSpec }) => toolSpec ?? []) ?? [];
  const forced = request.toolConfig?.toolChoice?.tool?.name;
  if (forced !== undefined) {
    const tool = tools.find(({ name }) => name === forced);
    if (!tool) throw rejected(`Tool '${forced}' not found in provided tools`);
    return [tool];
  }
  const callable = tools.filter(({ description = '' }) => !/do not call/i.test(description));
  const prompt = userTexts(request).at(-1) ?? '';
  const named = callable.filter(({ name }) => new RegExp(`(?<![\\w-])${name}(?![\\w-])`).test(prompt));
  return named.length > 0 ? named : callable.slice(0, 1);
}
