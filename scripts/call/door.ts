/**
 * Which door a command goes through, and where it is.
 */
import { Ending } from '../answer.ts';
import { isLoopback } from '../credentials.ts';

const isHttp = ({ protocol }: URL) => /^https?:$/.test(protocol);

const doors = {
  rest: {
    title: 'REST API',
    variables: { url: 'REST_URL', port: 'PORT' },
    toLocalUrl: (port: string) => `http://127.0.0.1:${port || '3000'}`,
    // The key goes over it as it is.
    isFitting: (url: URL) => url.protocol === 'https:' || (isHttp(url) && isLoopback(url)),
    form: 'an https URL without a user, or on this machine an http URL, such as http://127.0.0.1:3000',
  },
  websocket: {
    title: 'WebSocket',
    variables: { url: 'WEBSOCKET_URL', port: 'PORT' },
    toLocalUrl: (port: string) => `ws://127.0.0.1:${port || '3000'}/ws`,
    isFitting: (url: URL) => url.protocol === 'wss:' || (url.protocol === 'ws:' && isLoopback(url)),
    form: 'a wss URL without a user, or on this machine a ws URL, such as ws://127.0.0.1:3000/ws',
  },
  'function-url': {
    title: 'Function URL',
    variables: { url: 'FUNCTION_URL', port: 'FUNCTION_URL_PORT' },
    toLocalUrl: (port: string) => `http://127.0.0.1:${port || '3001'}`,
    isFitting: isHttp,
    form: 'an http or https URL without a user, such as http://127.0.0.1:3001',
  },
} as const;

export type DoorName = keyof typeof doors;

export type Door = {
  readonly name: DoorName;
  readonly title: string;
  readonly url: URL;
  /** Whether requests are signed: with AWS credentials, for the service that stands in front of the door. */
  readonly service: 'lambda' | 'execute-api' | undefined;
};

export type DoorOptions = { readonly door?: string; readonly url?: string; readonly iam?: boolean };

/**
 * What was given as a URL may hold a password by mistake, so it is not shown.
 *
 * @throws `Ending` 2 for an option or a variable that is malformed
 */
export function findDoor({ door = 'function-url', url, iam }: DoorOptions, env: NodeJS.ProcessEnv): Door {
  if (!isDoor(door)) throw new Ending(2, '--door must be rest, websocket or function-url.');
  if (iam && door === 'websocket') throw new Ending(2, '--iam goes with --door rest or function-url only.');
  const { title, variables, toLocalUrl, isFitting, form } = doors[door];
  const port = env[variables.port] ?? '';
  const given = url ?? (env[variables.url] || undefined);
  const isPort = port === '' || (/^[1-9]\d{0,4}$/.test(port) && Number(port) <= 65_535);
  if (given === undefined && !isPort)
    throw new Ending(2, `${variables.port} must be a whole number from 1 to 65535.`);
  const base = URL.parse(given ?? toLocalUrl(port));
  if (!base || !isFitting(base) || base.username || base.password)
    throw new Ending(2, `${url === undefined ? variables.url : '--url'} must be ${form}.`);
  base.search = '';
  base.hash = '';
  const service = door === 'function-url' ? 'lambda' : iam ? 'execute-api' : undefined;
  return { name: door, title, url: base, service };
}

const isDoor = (door: string): door is DoorName => Object.hasOwn(doors, door);
