/**
 * Where the settings of a gateway lie: which Parameter Store, below which path, and what the gateway was deployed with.
 */
import {
  DeleteParametersCommand,
  PutParameterCommand,
  paginateGetParametersByPath,
  SSMClient,
} from '@aws-sdk/client-ssm';
import { ConfigError, parseConfig } from '../cdk/config.ts';
import type { Deployed } from '../src/chat/settings.ts';
import { modelsOnThisMachine } from '../src/local/options.ts';
import { deployedModels, settingsPath, stackName } from '../src/names.ts';
import { regionOf } from './stack.ts';
import { UsageError } from './usage.ts';

export type Place = {
  readonly client: SSMClient;
  readonly path: string;
  readonly deployed: Deployed;
  /** Setting name → what a deployment would begin with; nothing on this machine, where nobody deploys. */
  readonly firstValues: ReadonlyMap<string, string>;
};

type Where = { readonly aws?: boolean | undefined; readonly 'endpoint-url'?: string | undefined };

export function findPlace({ aws = false, 'endpoint-url': url }: Where, env: NodeJS.ProcessEnv): Place {
  if (aws && url !== undefined) throw new UsageError('Give --aws or --endpoint-url, not both.');
  const endpoint = url ?? (env['AWS_ENDPOINT_URL_SSM'] || env['AWS_ENDPOINT_URL']);
  const isHere = !aws && !endpoint;
  const { defaultModel, allowedModels = isHere ? modelsOnThisMachine : undefined } = deployedModels(env);
  return {
    client: new SSMClient({
      region: regionOf(env),
      ...(isHere ? onThisMachine(env) : endpoint && { endpoint }),
    }),
    path: settingsPath(stackName(env)),
    deployed: { defaultModel, allowedModels },
    firstValues: isHere ? new Map() : findFirstValues(env),
  };
}

/** Variables that no deployment would take say nothing of one. */
function findFirstValues(env: NodeJS.ProcessEnv): ReadonlyMap<string, string> {
  try {
    return parseConfig(env).settings;
  } catch (error) {
    if (error instanceof ConfigError) return new Map();
    throw error;
  }
}

const onThisMachine = (env: NodeJS.ProcessEnv) => ({
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
