/**
 * The gateway's HTTP API as this page uses it, from wherever the gateway is.
 */
import { AwsClient } from 'aws4fetch';
import { readUsage, type Usage } from './answer-event.ts';
import type { Door } from './door.ts';
import { readEventStream } from './event-stream.ts';
import { Refusal, readRefusal } from './failure.ts';
import { isRecord, parseJson, readList, readText } from './json.ts';
import { joinUrl, type Place } from './place.ts';

export type ChatSummary = { readonly id: string; readonly title: string; readonly updatedAt: Date };

export type PastTurn = {
  readonly prompt: string;
  readonly text: string;
  readonly model: string;
  readonly state: string;
  readonly stopReason: string;
  readonly usage: Usage | undefined;
};

export type Gateway = Door & {
  readonly place: Place;
  /** Those to chat with, the default first. All of these throw `Refusal`. */
  listModels(): Promise<string[]>;
  /** Newest first; `next` when there are more. */
  listChats(limit: number, next?: string): Promise<{ chats: ChatSummary[]; next: string | undefined }>;
  /** All of it, oldest first. */
  readChat(id: string): Promise<PastTurn[]>;
  deleteChat(id: string): Promise<void>;
};

export function createGateway(place: Place): Gateway {
  const request = async (path: string, init: RequestInit = {}): Promise<Response> => {
    const response = await send(place, path, init);
    if (response.ok) return response;
    const body = parseJson(await response.text().catch(() => ''));
    throw new Refusal(readRefusal(response.status, body, response.headers.get('x-request-id')));
  };
  const readJson = async (path: string): Promise<unknown> => {
    const response = await request(path);
    return parseJson(await response.text().catch(() => ''));
  };
  // It may be the last thing that the page does.
  const remove = (path: string) => request(path, { method: 'DELETE', keepalive: true });

  return {
    place,
    async listModels() {
      const models = readList(await readJson('/v1/models'), 'data');
      // Nothing but its name tells that a model embeds.
      return models.map((model) => readText(model, 'id') ?? '').filter((id) => !/\bembed/.test(id));
    },
    async listChats(limit, next) {
      const page = await readJson(
        `/v1/chats?limit=${limit}${next ? `&next=${encodeURIComponent(next)}` : ''}`,
      );
      return { chats: readList(page, 'data').map(readSummary), next: readText(page, 'next') };
    },
    async readChat(id) {
      const turns: PastTurn[] = [];
      let next: string | undefined;
      do {
        const query = next ? `?next=${encodeURIComponent(next)}` : '';
        const page = await readJson(`/v1/chats/${encodeURIComponent(id)}${query}`);
        turns.push(...readList(page, 'turns').map(readTurn));
        next = readText(page, 'next');
      } while (next);
      return turns;
    },
    async deleteChat(id) {
      await remove(`/v1/chats/${encodeURIComponent(id)}`);
    },
    cancel: (requestId) =>
      remove(`/v1/requests/${encodeURIComponent(requestId)}`).then(
        () => true,
        () => false,
      ),
    async *ask(question, signal) {
      const body = JSON.stringify({ ...question, stream: true });
      const headers = { 'content-type': 'application/json' };
      try {
        const response = await request('/v1/chat', { method: 'POST', headers, body, signal });
        if (response.body) yield* readEventStream(response.body);
      } catch (error) {
        if (error instanceof Refusal && !signal.aborted) yield { type: 'error', failure: error.failure };
      }
    },
  };
}

/** @throws `Refusal` when nobody answers */
async function send(place: Place, path: string, given: RequestInit): Promise<Response> {
  const { baseUrl, key, credentials } = place;
  const url = joinUrl(baseUrl, path);
  const headers = new Headers(given.headers);
  if (key) headers.set('x-api-key', key);
  // A redirect would carry keys to a stranger.
  const init = { ...given, headers, redirect: 'error' } as const;
  try {
    if (!credentials) return await fetch(url, init);
    return await fetch(await new AwsClient(credentials).sign(url, init));
  } catch {
    throw new Refusal({ code: 'unreachable', message: describeUnreachable(baseUrl), retryable: true });
  }
}

function describeUnreachable(baseUrl: string): string {
  const said = `The gateway at ${baseUrl} cannot be reached.`;
  return new URL(baseUrl).origin === location.origin
    ? `${said} Is npm start still running?`
    : `${said} If it is running, this page’s origin, ${location.origin}, may not be among its ALLOWED_ORIGINS.`;
}

const readSummary = (chat: unknown): ChatSummary => ({
  id: readText(chat, 'chat_id') ?? '',
  title: readText(chat, 'title') || 'Untitled',
  updatedAt: new Date(readText(chat, 'updated_at') ?? 0),
});

const readTurn = (turn: unknown): PastTurn => ({
  prompt: readText(turn, 'prompt') ?? '',
  text: readText(turn, 'completion') ?? '',
  model: readText(turn, 'model') ?? '',
  state: readText(turn, 'state') ?? '',
  stopReason: readText(turn, 'stop_reason') ?? '',
  usage: isRecord(turn) ? readUsage(turn) : undefined,
});
