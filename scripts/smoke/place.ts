/**
 * Where the doors of a gateway are, and what opens them: those of the deployed stack, or those of this machine.
 */
import { APIGatewayClient, GetApiKeyCommand } from '@aws-sdk/client-api-gateway';
import { Ending } from '../answer.ts';
import { type Credentials, loadCredentials, type Sources } from '../credentials.ts';
import { loadApiKey } from '../socket.ts';
import { readStack, regionOf, StackError } from '../stack.ts';

export const doorNames = ['rest', 'websocket', 'function-url'] as const;
export type DoorName = (typeof doorNames)[number];

/** What a caller shows. Where the gateway wants both, both. */
export type Access = { readonly key?: string; readonly credentials?: Credentials };

export type Place = { readonly name: DoorName; readonly url: URL; readonly access: Access };

export type Where = {
  readonly isLocal: boolean;
  /** Absent for every door that there is. */
  readonly door: DoorName | undefined;
};

/** What stands in for this machine and for AWS, in tests. */
export type PlaceIo = { readonly sources?: Sources; readonly apiKeyPath?: string };

type Env = Readonly<NodeJS.ProcessEnv>;

/**
 * The doors that are wanted, and those that a WebSocket's caller needs besides to find its conversations.
 *
 * @throws `Ending` with a sentence that holds no part of a key
 */
export async function findPlaces(where: Where, env: Env, io: PlaceIo): Promise<readonly Place[]> {
  const { isLocal, door } = where;
  const addresses = isLocal ? findHere(env) : await findDeployed(env);
  const wanted = addresses.filter(({ name }) => door === undefined || name === door);
  const [first] = wanted;
  if (!first) throw new Ending(1, `The stack has no door ${door ?? 'at all'}.`);
  const archives = addresses.filter((other) => first.name === 'websocket' && isOfSameCaller(first, other));
  return await Promise.all([...wanted, ...archives].map((address) => open(address, env, io)));
}

/** Whoever shows a key is the tenant of that key, however he signs; else he is the tenant who signs. */
const isOfSameCaller = ({ keyId }: Address, other: Address) =>
  other.name !== 'websocket' && other.keyId === keyId;

/** A door's address, and what it wants to be shown. */
type Address = {
  readonly name: DoorName;
  readonly url: URL;
  /** On this machine the key is known; elsewhere API Gateway is asked for the key with this id. */
  readonly keyId: string | undefined;
  readonly isSigned: boolean;
};

const LOCAL_KEY = 'local';

/** How long API Gateway may take to tell a key, retries and all. */
const LIMIT_MS = 20_000;

function findHere(env: Env): Address[] {
  const port = readPort('PORT', env['PORT'], '3000');
  const signedPort = readPort('FUNCTION_URL_PORT', env['FUNCTION_URL_PORT'], '3001');
  const key = { keyId: LOCAL_KEY, isSigned: false };
  return [
    { name: 'rest', url: new URL(`http://127.0.0.1:${port}/`), ...key },
    { name: 'websocket', url: new URL(`ws://127.0.0.1:${port}/ws`), ...key },
    {
      name: 'function-url',
      url: new URL(`http://127.0.0.1:${signedPort}/`),
      keyId: undefined,
      isSigned: true,
    },
  ];
}

function readPort(variable: string, value: string | undefined, otherwise: string): string {
  const port = value || otherwise;
  if (!/^[1-9]\d{0,4}$/.test(port) || Number(port) > 65_535)
    throw new Ending(2, `${variable} must be a whole number from 1 to 65535.`);
  return port;
}

async function findDeployed(env: Env): Promise<Address[]> {
  const outputs = await readStack(env).catch((error) => {
    throw error instanceof StackError ? new Ending(1, error.message) : error;
  });
  const keyId = outputs.get('ApiKeyId');
  const isSigned = outputs.get('UsesIam') === 'true';
  const all = [
    { name: 'rest', address: outputs.get('RestUrl'), keyId, isSigned },
    { name: 'websocket', address: outputs.get('WebSocketUrl'), keyId, isSigned },
    { name: 'function-url', address: outputs.get('FunctionUrl'), keyId: undefined, isSigned: true },
  ] as const;
  return all.flatMap(({ address, ...door }) => (address ? [{ ...door, url: new URL(address) }] : []));
}

async function open({ name, url, keyId, isSigned }: Address, env: Env, io: PlaceIo): Promise<Place> {
  const key = keyId === undefined ? undefined : await findKey(keyId, url, env, io);
  const credentials = isSigned ? await findCredentials(url, env, io) : undefined;
  return { name, url, access: { ...(key !== undefined && { key }), ...(credentials && { credentials }) } };
}

async function findCredentials(url: URL, env: Env, { sources }: PlaceIo): Promise<Credentials> {
  return await loadCredentials(url, env, sources).catch((error: Error) => {
    throw new Ending(1, error.message);
  });
}

async function findKey(id: string, url: URL, env: Env, { apiKeyPath }: PlaceIo): Promise<string> {
  if (id === LOCAL_KEY || env['GATEWAY_API_KEY']) return loadApiKey(url, env, apiKeyPath);
  const client = new APIGatewayClient({ region: regionOf(env) });
  try {
    const command = new GetApiKeyCommand({ apiKey: id, includeValue: true });
    const { value = '' } = await client.send(command, { abortSignal: AbortSignal.timeout(LIMIT_MS) });
    return loadApiKey(url, { GATEWAY_API_KEY: value });
  } catch (error) {
    if (error instanceof Ending) throw error;
    const code = error instanceof Error ? error.name : 'no error';
    const advice = `allow your principal apigateway:GET on it, or set GATEWAY_API_KEY`;
    throw new Ending(1, `The value of the API key ${id} cannot be read (${code}); ${advice}.`);
  } finally {
    client.destroy();
  }
}
