/**
 * The API keys of a deployed gateway: those of its usage plan, which opens both APIs. A name says whose a key is, membership of the
 * plan which gateway's: two stacks may give the same name.
 */
import {
  APIGatewayClient,
  CreateApiKeyCommand,
  CreateUsagePlanKeyCommand,
  DeleteApiKeyCommand,
  GetApiKeyCommand,
  paginateGetApiKeys,
  paginateGetUsagePlanKeys,
} from '@aws-sdk/client-api-gateway';
import { stackName } from '../../src/names.ts';
import { hasNoAddress, nameOf } from '../doctor/finding.ts';
import { explainCredentials } from '../doctor/sign-in.ts';
import { readStack, regionOf } from '../stack.ts';

/** Why a command was refused or failed, as a sentence for whoever typed it. It never holds the value of a key. */
export class KeysError extends Error {
  override readonly name = 'KeysError';
}

export type Plan = {
  readonly client: APIGatewayClient;
  readonly id: string;
  readonly stack: string;
  readonly region: string;
  /** Of the key that the deployment made, and that only the deployment may take away. */
  readonly firstKeyId: string | undefined;
};

export type Key = {
  readonly id: string;
  /** As API Gateway has it: `LlmGatewayStack-alice`, and `LlmGatewayStack-alice 2` after a rotation. */
  readonly name: string;
  /** Absent for a key that `keys create` did not name. */
  readonly tenant?: string;
  /** How many keys the tenant had with this one, from 1. */
  readonly number: number;
};

/** How long one question may take, retries and pages and all. */
const LIMIT_MS = 30_000;

/** @throws StackError when there is no stack to read, KeysError when it has no usage plan. */
export async function openPlan(env: NodeJS.ProcessEnv): Promise<Plan> {
  const outputs = await readStack(env);
  const [stack, region] = [stackName(env), regionOf(env)];
  const [id, firstKeyId] = [outputs.get('UsagePlanId'), outputs.get('ApiKeyId')];
  if (id) return { client: new APIGatewayClient({ region }), id, stack, region, firstKeyId };
  if (firstKeyId)
    throw new KeysError(`The stack ${stack} does not say its usage plan yet; deploy it once more.`);
  throw new KeysError(
    `The doors of ${stack} take IAM only, so it has no API keys; deploy it with API_GATEWAY_USE_API_KEY=true.`,
  );
}

/** All keys of the plan, in no order. */
export async function listKeys(plan: Plan): Promise<Key[]> {
  const items = await ask(plan, 'apigateway:GET on /usageplans/*/keys', (options) =>
    collect(paginateGetUsagePlanKeys(pagesOf(plan), { usagePlanId: plan.id }, options)),
  );
  return items.map(({ id = '', name = '' }) => ({ id, name, ...parseName(plan, id, name) }));
}

function parseName({ stack, firstKeyId }: Plan, id: string, name: string) {
  const rest = name.startsWith(`${stack}-`) && id !== firstKeyId ? name.slice(stack.length + 1) : '';
  const [, tenant, number = '1'] = /^([\w.-]{1,64})(?: (\d+))?$/.exec(rest) ?? [];
  return { ...(tenant && { tenant }), number: Number(number) };
}

/** Key id → what else is known of it, for every key of the account in the region. Values are not asked for. */
export async function describeKeys(plan: Plan) {
  const items = await ask(plan, 'apigateway:GET on /apikeys', (options) =>
    collect(paginateGetApiKeys(pagesOf(plan), {}, options)),
  );
  return new Map(items.map(({ id, createdDate: created, enabled }) => [id, { created, enabled }]));
}

const pagesOf = ({ client }: Plan) => ({ client, pageSize: 500 });

const collect = async <T>(pages: AsyncIterable<{ items?: T[] | undefined }>): Promise<T[]> =>
  (await Array.fromAsync(pages)).flatMap(({ items = [] }) => items);

/** Makes a key and puts it into the plan, or leaves nothing behind. */
export async function createKey(plan: Plan, tenant: string, number: number) {
  const { client, stack } = plan;
  const command = new CreateApiKeyCommand({
    name: `${stack}-${tenant}${number > 1 ? ` ${number}` : ''}`,
    enabled: true, // it is not by itself
    tags: { 'llm-gateway:stack': stack, 'llm-gateway:tenant': tenant },
  });
  const rights = 'apigateway:POST on /apikeys, and apigateway:PUT on /tags/* for its tags';
  const { id = '', value = '' } = await ask(plan, rights, (options) => client.send(command, options));
  const membership = new CreateUsagePlanKeyCommand({ usagePlanId: plan.id, keyId: id, keyType: 'API_KEY' });
  try {
    await ask(plan, 'apigateway:POST on /usageplans/*/keys', (options) => client.send(membership, options));
  } catch (error) {
    const reason = error instanceof Error ? error.message : '';
    const rest = await deleteKey(plan, id).then(
      () => 'The key just made was deleted again.',
      () => `The key ${id} was made, is in no plan, and could not be deleted again; do it in the console.`,
    );
    throw new KeysError(`${reason} ${rest}`, { cause: error });
  }
  return { id, value };
}

export async function readValue(plan: Plan, id: string): Promise<string> {
  const command = new GetApiKeyCommand({ apiKey: id, includeValue: true });
  const { value = '' } = await ask(plan, 'apigateway:GET on /apikeys/*', (options) =>
    plan.client.send(command, options),
  );
  return value;
}

/** API Gateway takes a key that is deleted out of its plan. */
export async function deleteKey(plan: Plan, id: string): Promise<void> {
  const command = new DeleteApiKeyCommand({ apiKey: id });
  await ask(plan, 'apigateway:DELETE on /apikeys/*', (options) => plan.client.send(command, options));
}

async function ask<T>(
  plan: Plan,
  rights: string,
  question: (options: { abortSignal: AbortSignal }) => Promise<T>,
): Promise<T> {
  try {
    return await question({ abortSignal: AbortSignal.timeout(LIMIT_MS) });
  } catch (error) {
    throw new KeysError(sentenceOf(error, rights, plan.region), { cause: error });
  }
}

function sentenceOf(error: unknown, rights: string, region: string): string {
  const name = nameOf(error);
  if (/^(AccessDenied|Unauthorized)/.test(name)) return `Your principal may not do this; allow it ${rights}.`;
  if (/^(TooManyRequests|Throttl)/.test(name))
    return `API Gateway in ${region} takes no more calls for now; try again in a minute.`;
  if (name === 'LimitExceededException')
    return `The account has as many API keys in ${region} as its quota allows; revoke some, or have the quota raised.`;
  if (name === 'NotFoundException')
    return 'API Gateway no longer knows the key or its usage plan; look at keys list, or deploy again.';
  if (/^(Abort|Timeout)Error$/.test(name)) return `API Gateway in ${region} did not answer in time.`;
  if (hasNoAddress(error))
    return `API Gateway has no address in ${region}: set REGION_ID to a region that exists, or go online.`;
  return explainCredentials(name, region) ?? `API Gateway in ${region} did not do it (${name}).`;
}
