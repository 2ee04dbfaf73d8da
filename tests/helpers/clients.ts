/** The same client for every door: what it asks, and what comes of it. */
import { AwsClient } from 'aws4fetch';
import { createParser } from 'eventsource-parser';
import type { Envelope } from '../../src/doors/envelope.ts';
import type { RequestRecord } from '../../src/doors/record.ts';

export type SseEvent = { readonly name: string; readonly data: Record<string, unknown> };

/** The events of a stream, as a client's parser reads them. */
export async function readSse(response: Response): Promise<SseEvent[]> {
  const events: SseEvent[] = [];
  const parser = createParser({
    onEvent: ({ event = '', data }) => void events.push({ name: event, data: JSON.parse(data) }),
  });
  parser.feed(await response.text());
  return events;
}

export type Who = {
  readonly tenant: string;
  readonly key: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
};

export type Answer = {
  /** `start`, deltas and a terminal; none where the request was refused. */
  readonly events: readonly SseEvent[];
  /** What it failed with, before or after its start. */
  readonly error: Envelope['error'] | undefined;
  readonly text: string;
  /** Of a refusal, in bytes. */
  readonly size: number;
};

export type TestClient = {
  /** A request of this caller over HTTP; the WebSocket's callers have the REST door beside it. */
  send(path: string, init?: RequestInit): Promise<Response>;
  chat(body: object, init?: RequestInit): Promise<Response>;
  /** Asks for a stream, by the body or its JSON text, and reads it to its end. */
  ask(body: object | string): Promise<Answer>;
  /** Asks, and resolves at the first event with what makes the client leave. */
  begin(body: object): Promise<() => void>;
  /** Cancels through this door. The code of the refusal, if it was one. */
  cancel(requestId: string): Promise<string | undefined>;
};

const terminals = ['done', 'error', 'cancelled'];
const json = { 'content-type': 'application/json' };

export function httpClient(url: string, who: Who, door: 'rest' | 'function-url'): TestClient {
  const send = async (path: string, init: RequestInit = {}) =>
    await fetch(
      `${url}${path}`,
      door === 'rest' ? withKey(init, who) : await signed(`${url}${path}`, init, who),
    );
  const chat = (body: object, init: RequestInit = {}) =>
    send('/v1/chat', { method: 'POST', headers: json, body: JSON.stringify(body), ...init });
  return {
    send,
    chat,
    async ask(body) {
      const text = typeof body === 'string' ? body : JSON.stringify(body);
      const headers = { ...json, accept: 'text/event-stream' };
      const response = await send('/v1/chat', { method: 'POST', headers, body: text });
      if (response.ok) return toAnswer(await readSse(response), 0);
      const refusal = await response.text();
      const data = JSON.parse(refusal) as Envelope;
      return { ...toAnswer([], Buffer.byteLength(refusal)), error: data.error };
    },
    async begin(body) {
      const leaving = new AbortController();
      const response = await chat({ ...body, stream: true }, { signal: leaving.signal });
      await response.body?.getReader().read();
      return () => leaving.abort();
    },
    async cancel(requestId) {
      const response = await send(`/v1/requests/${requestId}`, { method: 'DELETE' });
      const body = (await response.json()) as Partial<Envelope>;
      return response.status === 202 ? undefined : body.error?.code;
    },
  };
}

/** Each request over a connection of its own. `records` is the gateway's log: over a WebSocket nothing is said to a cancel that was taken. */
export function webSocketClient(
  socketUrl: string,
  url: string,
  who: Who,
  records: readonly RequestRecord[],
): TestClient {
  const open = async (message: string) => {
    const frames: Frame[] = [];
    const { socket, next } = await openSocket(socketUrl, who);
    socket.send(message);
    return { socket, next, frames };
  };
  return {
    ...httpClient(url, who, 'rest'),
    async ask(body) {
      const { socket, next, frames } = await open(toChat(body));
      do frames.push(await next());
      while (!terminals.includes(frames.at(-1)?.type ?? ''));
      socket.close();
      const [first] = frames;
      if (first?.type === 'error' && first.seq === undefined) {
        const size = Buffer.byteLength(JSON.stringify(first));
        return { ...toAnswer([], size), error: first['error'] as Envelope['error'] };
      }
      return toAnswer(
        frames.map(({ type, ...data }) => ({ name: type, data })),
        0,
      );
    },
    async begin(body) {
      const { socket, next } = await open(toChat(body));
      await next();
      return () => socket.close();
    },
    async cancel(requestId) {
      const seen = records.length;
      const { socket } = await open(JSON.stringify({ action: 'cancel', request_id: requestId }));
      const find = () => records.slice(seen).find(({ route }) => route === 'cancel');
      while (!find()) await new Promise<void>((resolve) => setTimeout(resolve, 5));
      socket.close();
      return find()?.code;
    },
  };
}

export type Frame = { readonly type: string; readonly seq?: number; readonly request_id?: string } & Record<
  string,
  unknown
>;

/** A connection of Node's own client, with its key in the subprotocol as a browser brings it. `next` is the next frame. */
export async function openSocket(url: string, { key }: Pick<Who, 'key'>) {
  const socket = new WebSocket(url, ['llm-gateway', `llm-gateway.key.${key}`]);
  const frames: Frame[] = [];
  const waiting: ((frame: Frame) => void)[] = [];
  socket.addEventListener('message', ({ data }) => {
    const frame = JSON.parse(String(data)) as Frame;
    const take = waiting.shift();
    if (take) take(frame);
    else frames.push(frame);
  });
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener('open', () => resolve());
    socket.addEventListener('error', () => reject(new Error('The handshake was refused.')));
  });
  const next = (): Promise<Frame> => {
    const frame = frames.shift();
    return frame ? Promise.resolve(frame) : new Promise((resolve) => waiting.push(resolve));
  };
  return { socket, next };
}

const toChat = (body: object | string) =>
  typeof body === 'string'
    ? body.replace(/^\{/, '{"action":"chat",')
    : JSON.stringify({ action: 'chat', ...body });

function toAnswer(events: readonly SseEvent[], size: number): Answer {
  const last = events.at(-1);
  return {
    events,
    error: last?.name === 'error' ? (last.data['error'] as Envelope['error']) : undefined,
    text: events.map(({ data }) => data['text'] ?? '').join(''),
    size,
  };
}

function withKey(init: RequestInit, { key }: Who): RequestInit {
  const headers = new Headers(init.headers);
  headers.set('x-api-key', key);
  return { ...init, headers };
}

async function signed(
  url: string,
  init: RequestInit,
  { accessKeyId, secretAccessKey }: Who,
): Promise<RequestInit> {
  const aws = new AwsClient({ accessKeyId, secretAccessKey, service: 'lambda', region: 'us-east-1' });
  if (!(init.body instanceof ReadableStream)) {
    return { ...init, headers: (await aws.sign(url, init)).headers };
  }
  const body = await new Response(init.body).arrayBuffer();
  const { headers } = await aws.sign(url, { ...init, body });
  return { ...init, headers, body: new Blob([body]).stream() };
}
