/**
 * Requests to an HTTP door, as its caller, as somebody with another key, or as nobody.
 */
import { AwsV4Signer } from 'aws4fetch';
import { describeRefusal, describeUnreachable, Ending, isRecord, parseJson, readEvents } from '../answer.ts';
import type { Access, Place } from './place.ts';
import type { Answer, Asking, Timed } from './stream.ts';

/** Nobody answered at all. */
export class Silence extends Ending {}

export type Sending = {
  readonly signal: AbortSignal;
  readonly body?: object;
  readonly headers?: Readonly<Record<string, string>>;
  /** Who sends it, when it is not the door's caller. */
  readonly access?: Access;
};

export type Http = {
  /** `path` begins with `/` and is taken from the door's address on. @throws `Silence` */
  send(method: string, path: string, sending: Sending): Promise<Response>;
};

export const createHttp = (place: Place, fetchIt: typeof fetch): Http => ({
  async send(method, path, { signal, body, headers = {}, access = place.access }) {
    const url = new URL(`${place.url.href.replace(/\/$/, '')}${path}`);
    const text = body && JSON.stringify(body);
    const given = new Headers(headers);
    if (text) given.set('content-type', 'application/json');
    if (access.key !== undefined) given.set('x-api-key', access.key);
    const sent = text ? { body: text } : {};
    const signed = await sign(method, url, { headers: given, ...sent }, place, access);
    // A redirect would carry the session token to a stranger.
    const init = { method, headers: signed, ...sent, redirect: 'manual', signal } as const;
    return await fetchIt(url, init).catch((error) => {
      throw new Silence(1, describeUnreachable(url, error));
    });
  },
});

/** The service and, from the address, the region that AWS's own front ends sign for. */
async function sign(
  method: string,
  url: URL,
  { headers, body }: { readonly headers: Headers; readonly body?: string },
  { name }: Place,
  { credentials }: Access,
): Promise<Headers> {
  if (!credentials) return headers;
  const service = name === 'function-url' ? 'lambda' : 'execute-api';
  const request = { method, url: url.href, headers, ...(body !== undefined && { body }) };
  return (await new AwsV4Signer({ ...request, ...credentials, service }).sign()).headers;
}

/** Asks for a stream and reads it to its end. @throws `Ending` for what is no stream */
export async function askOverHttp(http: Http, body: object, asking: Asking): Promise<Answer> {
  const { signal, onEvent } = asking;
  const headers = { accept: 'text/event-stream' };
  const sentAt = performance.now();
  const response = await http.send('POST', '/v1/chat', { signal, headers, body: { ...body, stream: true } });
  const openMs = performance.now() - sentAt;
  if (response.status !== 200) throw new Ending(1, await describeRefusal(response));
  const type = response.headers.get('content-type') ?? 'no content type';
  if (!type.startsWith('text/event-stream')) {
    await response.body?.cancel();
    throw new Ending(1, `The answer is ${type.split(';')[0]}, and should be an event stream.`);
  }
  const events: Timed[] = [];
  for await (const event of readEvents(response)) {
    events.push({ ...event, atMs: performance.now() - sentAt });
    onEvent?.(event, () => cancel(http, events[0]?.data['request_id'], signal));
  }
  return { openMs, events, headers: response.headers };
}

/** What stood in the way, if anything did. */
async function cancel(http: Http, requestId: unknown, signal: AbortSignal): Promise<string | undefined> {
  const response = await http.send('DELETE', `/v1/requests/${requestId}`, { signal });
  return response.status === 202 ? undefined : `The cancel was refused: ${await describeRefusal(response)}`;
}

/** The code of our envelope, or nothing where the body is none. */
export async function readCode(response: Response): Promise<unknown> {
  const { error } = parseJson(await response.text());
  return isRecord(error) ? error['code'] : undefined;
}
