/**
 * Where the settings of a gateway lie: which Parameter Store, below which path, and what the gateway was deployed with.
 */
import {
  DeleteParametersCommand,
  PutParameterCommand,
  paginateGetParametersByPath,
  SSMClient,
} from '@aws-sdk/client-ssm';
import type { Deployed } from '../src/chat/settings.ts';
import { modelsOnThisMachine } from '../src/local/options.ts';
import { deployedModels, settingsPath, stackName } from '../src/names.ts';

export type Place = { readonly client: SSMClient; readonly path: string; readonly deployed: Deployed };

/** A mistake of whoever typed the command. */
export class UsageError extends Error {}

type Where = { readonly aws?: boolean | undefined; readonly 'endpoint-url'?: string | undefined };

export function findPlace({ aws = false, 'endpoint-url': url }: Where, env: NodeJS.ProcessEnv): Place {
  if (aws && url !== undefined) throw new UsageError('Give --aws or --endpoint-url, not both.');
  const isElsewhere =
    aws || url !== undefined || Boolean(env['AWS_ENDPOINT_URL_SSM'] || env['AWS_ENDPOINT_URL']);
  const region = env['REGION_ID'] || env['AWS_REGION'] || env['AWS_DEFAULT_REGION'] || 'us-east-1';
  const { defaultModel, allowedModels } = deployedModels(env);
  return {
    client: new SSMClient(
      isElsewhere ? { region, ...(url !== undefined && { endpoint: url }) } : onThisMachine(region, env),
    ),
    path: settingsPath(stackName(env)),
    deployed: {
      defaultModel,
      allowedModels: allowedModels ?? (isElsewhere ? undefined : modelsOnThisMachine),
    },
  };
}

const onThisMachine = (region: string, env: NodeJS.ProcessEnv) => ({
  region,
  endpoint: `http://127.0.0.1:${env['AWS_PORT'] || 4566}`,
  credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  maxAttempts: 1,
});

/** Setting name → value, of those that are set. */
export async function read({ client, path }: Place): Promise<ReadonlyMap<string, string>> {
  const texts = new Map<string, string>();
  for await (const { Parameters = [] } of paginateGetParametersByPath({ client }, { Path: path })) {
    for (const { Name = '', Value = '' } of Parameters) texts.set(Name.slice(path.length + 1), Value);
  }
  return texts;
}

/** Sets each, or takes away what has no value. */
export async function write(
  changes: ReadonlyMap<string, string | undefined>,
  { client, path }: Place,
): Promise<void> {
  for (const [name, value] of changes) {
    const Name = `${path}/${name}`;
    if (value === undefined) await client.send(new DeleteParametersCommand({ Names: [Name] }));
    else await client.send(new PutParameterCommand({ Name, Value: value, Type: 'String', Overwrite: true }));
  }
}
