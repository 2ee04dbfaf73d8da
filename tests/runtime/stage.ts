/**
 * What the deployed functions find around them: AWS's services at one address, and their settings. The functions stay warm from one
 * gateway to the next, as they do from one request to the next; what is behind the address is new for each gateway.
 */
import type { RequestListener } from 'node:http';
import { table as settingTable } from '../../src/chat/setting-table.ts';
import type { Settings } from '../../src/chat/settings.ts';
import { createAwsServer } from '../../src/local/aws.ts';
import { STAGE } from '../../src/local/doors/websocket-event.ts';
import { createParameterStore } from '../../src/local/ssm/store.ts';
import { environment, type Table, tableName, tables } from '../../src/names.ts';
import { listen } from '../helpers/gateway.ts';
import { givenFunctions, type Role, roles } from './functions.ts';
import { createLambdaFunction, type LambdaFunction } from './lambda-function.ts';
import { watchRights } from './rights.ts';

/** The stack that the tables are named after. */
export const STACK = 'test';
export const workerFunction = 'worker' satisfies Role;
export const ORIGIN = 'https://app.example';

/** What the functions sign with: as their roles would give it, with a token. The id says whose it is. */
export const secretOfRoles = 'the role’s own';
const KEY_PREFIX = 'ASIA';
export const isKeyOfRole = (id: string) => roles.some((role) => id === `${KEY_PREFIX}${role}`);

const credentialsOf = (role: Role) => ({
  AWS_ACCESS_KEY_ID: `${KEY_PREFIX}${role}`,
  AWS_SECRET_ACCESS_KEY: secretOfRoles,
  AWS_SESSION_TOKEN: 'a token',
});

/** Parameters that changed just now would be read twice before they are believed. */
const PARAMETERS_AGE_MS = 60_000;

export type Functions = Readonly<Record<Role, LambdaFunction>>;

type ServiceName = 'dynamodb' | 'bedrock' | 'lambda' | 'connections' | 'opensearch';

/** The services of one gateway, and who takes what its functions log. */
export type Services = Readonly<Record<ServiceName, RequestListener>> & {
  readonly log: (line: string) => void;
  /** Takes what a function did that its role does not allow. */
  readonly refuse: (sentence: string) => void;
};

export type Stage = {
  /** The address of AWS. */
  readonly url: string;
  /** Functions that have these settings, warm ones if there are any. */
  prepare(settings: Partial<Settings>): Promise<Functions>;
  /** From now on these services answer, or none. */
  use(services: Services | undefined): void;
};

export async function createStage(): Promise<Stage> {
  const parameters = createParameterStore({ now: () => Date.now() - PARAMETERS_AGE_MS });
  let current: Services | undefined;
  const given = givenFunctions();
  const watch = watchRights(given, KEY_PREFIX, (sentence) => current?.refuse(sentence));
  const pass = (service: ServiceName): RequestListener =>
    watch((request, response) => (current ? current[service](request, response) : response.destroy()));
  const server = createAwsServer({
    ssm: watch(parameters.handle),
    dynamodb: pass('dynamodb'),
    bedrock: pass('bedrock'),
    lambda: pass('lambda'),
    connections: pass('connections'),
    opensearch: pass('opensearch'),
  });
  // It is there for as long as a gateway is open, and keeps no test file from ending.
  server.on('connection', (socket) => socket.unref());
  const url = await listen(server);
  server.unref();
  const prepared = new Map<string, Functions>();

  return {
    url,
    use: (services) => void (current = services),
    async prepare(settings) {
      const texts = toTexts(settings);
      const key = JSON.stringify(texts);
      const known = prepared.get(key);
      if (known) return known;
      const path = `/test-${prepared.size}`;
      await putParameters(url, path, texts);
      const variables = deploymentVariables(url, path);
      const functions = roles.map((role) => {
        const deployed = { ...given[role], environment: { ...variables, ...credentialsOf(role) } };
        return [role, createLambdaFunction(deployed, (line) => current?.log(line))] as const;
      });
      const made = Object.fromEntries(functions) as Functions;
      prepared.set(key, made);
      return made;
    },
  };
}

/** What the deployment sets, and where the embedded services are. */
const deploymentVariables = (url: string, path: string): Record<string, string> => ({
  [environment.settingsPath]: path,
  [environment.settingsMaxAgeSeconds]: '60',
  [environment.allowedModels]: '*',
  [environment.allowedOrigins]: ORIGIN,
  [environment.workerFunction]: workerFunction,
  [environment.openSearchEndpoint]: `${url}/opensearch`,
  ...Object.fromEntries(
    Object.entries(tables).map(([table, { variable }]) => [variable, tableName(STACK, table as Table)]),
  ),
  AWS_ENDPOINT_URL_BEDROCK_RUNTIME: url,
  AWS_ENDPOINT_URL_DYNAMODB: url,
  AWS_ENDPOINT_URL_SSM: url,
  AWS_ENDPOINT_URL_LAMBDA: url,
  AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI: `${url}/${STAGE}`,
});

/** The settings as an operator would write them: name → text. */
const toTexts = (settings: Partial<Settings>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(settings).map(([key, value]) => {
      const { name } = settingTable[key as keyof typeof settingTable];
      return [name, value instanceof Map ? JSON.stringify(Object.fromEntries(value)) : String(value)];
    }),
  );

async function putParameters(url: string, path: string, texts: Readonly<Record<string, string>>) {
  for (const [name, Value] of Object.entries(texts)) {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'x-amz-target': 'AmazonSSM.PutParameter' },
      body: JSON.stringify({ Name: `${path}/${name}`, Value, Type: 'String' }),
    });
    if (!response.ok) throw new Error(await response.text());
  }
}
