/**
 * What every door must do: live, answer in a stream and in one piece, let itself be cancelled, remember.
 */
import { randomUUID } from 'node:crypto';
import { describeRefusal, Ending, isRecord, parseJson } from '../answer.ts';
import { type Check, type Finding, formatMs, type Visit } from './check.ts';
import type { Door } from './door.ts';
import type { Http } from './http.ts';
import { exchange } from './socket-door.ts';
import { type Answer, type Asking, requireStream, textOf, toFigures } from './stream.ts';

/** Whatever is asked where nothing is to be kept. */
const unkept = { cache: 'off', store: false } as const;

/** A short answer, and never the same question twice. The first word makes the simulator of this machine brief. */
const briefly = () => ({ prompt: `ECHO Reply with the one word OK. (${randomUUID()})` });

/** A long answer of every model: the simulator of this machine says all of this again, a real one much more. */
const atLength = {
  prompt: `ECHO Write these numbers as words, each on a line of its own: ${Array.from({ length: 460 }, (_, n) => n + 1).join(' ')}`,
  ...unkept,
};

const live: Check = {
  name: 'lives',
  async run({ place, http }, { signal }) {
    const askedAt = performance.now();
    if (http) {
      const body = await readJson(await http.send('GET', '/health', { signal }));
      if (body['status'] !== 'ok') throw new Ending(1, 'GET /health did not say {"status":"ok"}.');
    } else {
      const { type } = await exchange(place, { action: 'ping' }, signal);
      if (type !== 'pong') throw new Ending(1, 'A ping was not answered with a pong.');
    }
    return { result: 'ok', ms: performance.now() - askedAt };
  },
};

const stream: Check = {
  name: 'answers in a stream',
  async run(door, { signal }) {
    const question = { prompt: 'What is a Faraday cage?', parameters: { max_tokens: 100 }, ...unkept };
    const answer = await door.ask(question, { signal });
    requireStream(answer, 'done');
    const { openMs, firstEventMs, firstDeltaMs, totalMs, deltas, moments, isLump } = toFigures(answer);
    const opened = `${door.http ? 'headers' : 'connection'} ${formatMs(openMs)}`;
    const times = `to the first event; ${opened}, first text ${formatMs(firstDeltaMs)}, end ${formatMs(totalMs)}`;
    const spread = isLump
      ? `all ${deltas} pieces of text came at once: something on the way holds them back`
      : `${deltas} pieces of text in ${moments} moments of 50 ms`;
    return {
      result: isLump ? 'warning' : 'ok',
      ms: firstEventMs,
      note: `${times}; ${spread}`,
      figures: {
        open_ms: openMs,
        first_event_ms: firstEventMs,
        first_delta_ms: firstDeltaMs,
        total_ms: totalMs,
        deltas,
        moments,
      },
    };
  },
};

const whole: Check = {
  name: 'answers in one piece',
  async run({ http }, { signal }) {
    if (!http) throw new Ending(1, 'This door only streams.');
    const askedAt = performance.now();
    const body = { ...briefly(), ...unkept, stream: false };
    const answer = await readJson(await http.send('POST', '/v1/chat', { signal, body }));
    if (typeof answer['completion'] !== 'string' || answer['completion'] === '')
      throw new Ending(1, 'The answer holds no completion.');
    return { result: 'ok', ms: performance.now() - askedAt };
  },
};

const cancel: Check = {
  name: 'cancels in mid-answer',
  async run(door, { signal }) {
    let cancelledAt: number | undefined;
    let cancelling: Promise<string | undefined> | undefined;
    const onEvent: Asking['onEvent'] = ({ name }, cancelIt) => {
      if (name !== 'delta' || cancelling) return;
      cancelledAt = performance.now();
      cancelling = cancelIt().catch(() => 'The cancel could not be sent.');
    };
    const answer = await door.ask(atLength, { signal, onEvent });
    const ms = performance.now() - (cancelledAt ?? 0);
    const obstacle = await cancelling;
    if (obstacle !== undefined) throw new Ending(1, obstacle);
    requireStream(answer, 'cancelled');
    return { result: 'ok', ms, note: 'from the cancel to the last event' };
  },
};

const cache: Check = {
  name: 'knows an answer again',
  async run(door, visit) {
    if (!door.archive) return unarchived;
    const question = briefly();
    const first = await askToKeep(door, question, visit);
    const askedAt = performance.now();
    const second = await door.ask({ ...question, cache: 'use', store: false }, visit);
    requireStream(second, 'done');
    const ms = performance.now() - askedAt;
    const said = second.headers.get('x-cache');
    const cached = second.events[0]?.data['cached'];
    const isHit = typeof cached === 'string' && (!door.http || said === 'hit');
    if (!isHit) {
      const header = door.http ? `x-cache ${said}, ` : '';
      const note = `the second answer is no hit (${header}cached ${cached}); is the setting cache on?`;
      return { result: 'warning', ms, note };
    }
    if (textOf(second) !== textOf(first)) throw new Ending(1, 'The cached answer is another than the first.');
    return { result: 'ok', ms, note: 'a hit, to its end' };
  },
};

const history: Check = {
  name: 'goes on with a conversation',
  async run(door, visit) {
    const { archive } = door;
    if (!archive) return unarchived;
    const askedAt = performance.now();
    const chatId = chatIdOf(await askToKeep(door, briefly(), visit));
    if (chatId === undefined)
      return { result: 'warning', note: 'the answer brought no chat_id; is the setting history on?' };
    const followUp = await door.ask({ ...briefly(), cache: 'off', chat_id: chatId }, visit);
    requireStream(followUp, 'done');
    const header = followUp.headers.get('x-chat-id');
    if (chatIdOf(followUp) !== chatId || (door.http && header !== chatId))
      throw new Ending(1, 'The follow-up is of another conversation.');
    await deleteChat(archive, chatId, visit);
    return {
      result: 'ok',
      ms: performance.now() - askedAt,
      note: 'two turns, deleted, and then not found',
    };
  },
};

/** A WebSocket only streams. */
export const checksOf = ({ http }: Door): readonly Check[] => [
  live,
  stream,
  ...(http ? [whole] : []),
  cancel,
  cache,
  history,
];

const unarchived: Finding = {
  result: 'skipped',
  note: 'There is no HTTP door of the same caller that could delete the conversation again.',
};

/** Asks something that is learned and begins a conversation, which the visit remembers from its first event on. */
async function askToKeep(door: Door, question: object, { signal, chats }: Visit): Promise<Answer> {
  const onEvent: Asking['onEvent'] = ({ name, data: { chat_id: id } }) => {
    if (name === 'start' && typeof id === 'string') chats.add(id);
  };
  const answer = await door.ask({ ...question, cache: 'use', store: true }, { signal, onEvent });
  requireStream(answer, 'done');
  return answer;
}

function chatIdOf({ events: [start] }: Answer): string | undefined {
  const id = start?.data['chat_id'];
  return typeof id === 'string' ? id : undefined;
}

async function deleteChat(archive: Http, chatId: string, { signal, chats }: Visit): Promise<void> {
  const path = `/v1/chats/${encodeURIComponent(chatId)}`;
  const deleted = await archive.send('DELETE', path, { signal });
  if (deleted.status !== 204)
    throw new Ending(1, `It could not be deleted: ${await describeRefusal(deleted)}`);
  chats.delete(chatId);
  const { status, body } = await archive.send('GET', path, { signal });
  await body?.cancel();
  if (status !== 404) throw new Ending(1, `Once deleted it is answered with HTTP ${status}, not 404.`);
}

/** @throws `Ending` for any status but 200, and for what is no object of JSON */
async function readJson(response: Response): Promise<Record<string, unknown>> {
  if (response.status !== 200) throw new Ending(1, await describeRefusal(response));
  const body: unknown = parseJson(await response.text());
  if (isRecord(body)) return body;
  throw new Ending(1, 'The answer is no JSON.');
}
