/**
 * A question to a Function URL, signed as AWS wants it, and its event stream as the events that every door sends.
 */
import { AwsV4Signer } from 'aws4fetch';
import { type AnswerEvent, describeRefusal, describeUnreachable, Ending, readEvents } from './answer.ts';
import { loadCredentials, type Sources } from './credentials.ts';

export type FunctionUrlCall = {
  /** That of `POST /v1/chat`. */
  readonly url: URL;
  readonly body: object;
  /** Where credentials and the region are looked for. */
  readonly env: Readonly<NodeJS.ProcessEnv>;
  readonly sources: Sources | undefined;
  /** Leaves. */
  readonly signal: AbortSignal;
  readonly fetch: typeof fetch;
};

/**
 * Asks, and yields the events of the answer, as far as they come.
 *
 * @throws `Ending` for what is no answer
 */
export async function* askFunctionUrl(call: FunctionUrlCall): AsyncGenerator<AnswerEvent> {
  yield* readEvents(await send(call));
}

/** @see https://docs.aws.amazon.com/lambda/latest/dg/urls-configuration.html for the form of a Function URL */
const regionOf = ({ hostname }: URL, env: Readonly<NodeJS.ProcessEnv>) =>
  /^[^.]+\.lambda-url\.([^.]+)\.on\.aws$/.exec(hostname)?.[1] ??
  (env['AWS_REGION'] || env['AWS_DEFAULT_REGION'] || 'us-east-1');

async function send({ url, body, env, sources, signal, fetch: fetchIt }: FunctionUrlCall): Promise<Response> {
  const left = new Promise<never>((_, reject) =>
    signal.addEventListener('abort', () => reject(signal.reason)),
  );
  const loading = loadCredentials(url, env, sources).catch((error: Error) => {
    throw new Ending(1, error.message);
  });
  const credentials = await Promise.race([loading, left]);
  const signer = new AwsV4Signer({
    method: 'POST',
    url: url.href,
    headers: { accept: 'text/event-stream', 'content-type': 'application/json' },
    body: JSON.stringify(body),
    ...credentials,
    service: 'lambda',
    region: regionOf(url, env),
  });
  const { headers, body: sent = null } = await signer.sign();
  // A redirect would carry the session token to a stranger.
  const init: RequestInit = { method: 'POST', headers, body: sent, redirect: 'manual', signal };
  const response = await fetchIt(url, init).catch((error) => {
    throw new Ending(1, describeUnreachable(url, error));
  });
  if (!response.ok) throw new Ending(1, await describeRefusal(response));
  const type = response.headers.get('content-type') ?? '';
  if (!type.startsWith('text/event-stream'))
    throw new Ending(
      1,
      `${url.origin} did not answer with an event stream; is it the gateway's Function URL?`,
    );
  return response;
}
