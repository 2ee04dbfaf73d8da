/**
 * Requests to an HTTP door, with the API key or signed as AWS wants it, and questions to it that can be cancelled.
 */
import { randomUUID } from 'node:crypto';
import { AwsV4Signer } from 'aws4fetch';
import {
  type AnswerEvent,
  describeRefusal,
  describeUnreachable,
  Ending,
  isTerminal,
  readEvents,
  Unconfirmed,
} from '../answer.ts';
import { type Credentials, loadCredentials } from '../credentials.ts';
import { loadApiKey } from '../socket.ts';
import type { Door } from './door.ts';
import type { Io } from './screen.ts';

/** How long a cancelled answer has to say how it ended, and a connection to end after its answer. */
const CLOSING_MS = 2_000;

/** How soon the gateway is told again that did not take a cancel: it may not know of the request yet. */
const AGAIN_MS = 250;

export type Call = {
  readonly door: Door;
  /** Where keys, credentials and the region are looked for. */
  readonly env: Readonly<NodeJS.ProcessEnv>;
  readonly io: Io;
  readonly signal: AbortSignal;
};

export type Sending = { readonly signal: AbortSignal; readonly body?: object };

/** `path` begins with `/` and is taken from the door's URL on. @throws `Ending` for whom nobody answers */
export type Send = (method: string, path: string, sending: Sending) => Promise<Response>;

/** @throws `Ending` where there is nothing to open the door with, or what `signal` was aborted for. */
export async function openHttp({ door, env, io, signal }: Call): Promise<Send> {
  const { fetch: fetchIt = fetch } = io;
  const { key, credentials } = await unlessAborted(findAccess(door, env, io), signal);
  return async (method, path, sending) => {
    const url = new URL(`${door.url.href.replace(/\/$/, '')}${path}`);
    const text = sending.body && JSON.stringify(sending.body);
    const given = new Headers({ accept: text ? 'text/event-stream' : 'application/json' });
    if (text) given.set('content-type', 'application/json');
    if (key !== undefined) given.set('x-api-key', key);
    const body = text === undefined ? {} : { body: text };
    const request = { method, url: url.href, headers: given, region: regionOf(url, env), ...body };
    const { service } = door;
    const { headers } =
      credentials && service
        ? await new AwsV4Signer({ ...request, ...credentials, service }).sign()
        : request;
    // A redirect would carry the session token to a stranger.
    const init = { method, headers, ...body, redirect: 'manual', signal: sending.signal } as const;
    return await fetchIt(url, init).catch((error) => {
      throw new Ending(1, describeUnreachable(url, error));
    });
  };
}

/** A signed REST API may want a key as well. */
async function findAccess({ url, service }: Door, env: Readonly<NodeJS.ProcessEnv>, io: Io) {
  const credentials = service && (await loadOrEnd(url, env, io));
  const isKeyed = service === undefined || (service === 'execute-api' && env['GATEWAY_API_KEY']);
  return { credentials, key: isKeyed ? loadApiKey(url, env, io.apiKeyPath) : undefined };
}

const loadOrEnd = (url: URL, env: Readonly<NodeJS.ProcessEnv>, { sources }: Io): Promise<Credentials> =>
  loadCredentials(url, env, sources).catch((error: Error) => {
    throw new Ending(1, error.message);
  });

/**
 * @see https://docs.aws.amazon.com/lambda/latest/dg/urls-configuration.html for the form of a Function URL
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/how-to-call-api.html for that of a REST API
 */
const regionOf = ({ hostname }: URL, env: Readonly<NodeJS.ProcessEnv>) =>
  /^[^.]+\.(?:lambda-url\.([^.]+)\.on\.aws|execute-api\.([^.]+)\.amazonaws\.com)$/
    .exec(hostname)
    ?.slice(1)
    .find(Boolean) ??
  (env['AWS_REGION'] || env['AWS_DEFAULT_REGION'] || 'us-east-1');

async function unlessAborted<T>(loading: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const left = new Promise<never>((_, reject) =>
    signal.addEventListener('abort', () => reject(signal.reason)),
  );
  return await Promise.race([loading, left]);
}

/** @throws `Ending` with what the gateway said */
export async function expectOk(response: Response): Promise<Response> {
  if (!response.ok) throw new Ending(1, await describeRefusal(response));
  return response;
}

/**
 * Asks, and yields the events of the answer, as far as they come. An aborted signal cancels it on the server, which has 2 s to say
 * how it ended.
 *
 * @throws `Ending` for what is no answer
 */
export async function* askOverHttp(call: Call, body: object): AsyncGenerator<AnswerEvent> {
  const { door, signal, io } = call;
  const { pause = async () => {} } = io;
  const send = await openHttp(call);
  const requestId = randomUUID();
  const leaving = new AbortController();
  const leaveSoon = () => void pause(CLOSING_MS).then(() => leaving.abort());
  let isCancelled = false;
  const tryToCancel = async () => {
    const sending = { signal: leaving.signal };
    const said = await send('DELETE', `/v1/requests/${requestId}`, sending).catch(() => undefined);
    isCancelled = said?.ok ?? false;
  };
  const cancel = async () => {
    leaveSoon();
    while (!leaving.signal.aborted && !isCancelled) {
      await tryToCancel();
      if (!isCancelled) await pause(AGAIN_MS);
    }
  };
  const isUnconfirmed = () => signal.aborted && leaving.signal.aborted && !isCancelled;
  signal.addEventListener('abort', cancel, { once: true });
  const question = { ...body, request_id: requestId };
  const response = await send('POST', '/v1/chat', { signal: leaving.signal, body: question }).catch(
    (error) => {
      throw isUnconfirmed() ? new Unconfirmed() : error;
    },
  );
  const type = (await expectOk(response)).headers.get('content-type') ?? '';
  if (!type.startsWith('text/event-stream'))
    throw new Ending(
      1,
      `${door.url.origin} did not answer with an event stream; is it the gateway's ${door.title}?`,
    );
  let isOver = false;
  for await (const event of readEvents(response)) {
    yield event;
    isOver ||= isTerminal(event.name);
    if (isOver) leaveSoon();
  }
  if (isOver) return;
  if (isUnconfirmed()) throw new Unconfirmed();
  if (signal.aborted) return;
  // What broke off on its way may still be made, and paid for.
  leaveSoon();
  await tryToCancel();
}
