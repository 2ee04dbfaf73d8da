/**
 * A gateway that two tenants ask, the naming model behind it, and whether in the end all agree: what was told, what was kept of it, and the
 * books of the model.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Gateway, type GatewayOptions, people, startGateway } from '../../helpers/gateway.ts';
import { type Asking, askOverHttp, openSession } from '../asking.ts';
import type { Soak } from '../soak.ts';
import { findChatFaults, type Turn } from './chats.ts';
import { type Call, startNamingModel, toAnswer } from './model.ts';

export type Tenant = keyof typeof people;

export const tenants: readonly Tenant[] = ['alice', 'bob'];
export const otherThan = (tenant: Tenant): Tenant => (tenant === 'alice' ? 'bob' : 'alice');

/** Begins what is only asked to be kept nowhere, so that nobody can be told it again. */
export const UNHEARD = 'unheard';

/** What is asked, as the body of `POST /v1/chat` says it. */
export type Words = {
  readonly prompt: string;
  readonly chat_id?: string;
  readonly cache?: 'use' | 'refresh' | 'off';
  readonly store?: false;
  readonly parameters?: { readonly max_tokens: number };
};

export type Break = { readonly how: 'cancel' | 'leave'; readonly afterMs: number };

export type Plan = {
  /** A row of the table. */
  readonly kind: string;
  readonly tenant: Tenant;
  readonly words: Words;
  readonly stream?: boolean;
  readonly breaking?: Break;
  /** As what it must end; for requests that are broken off, nothing is known. @defaultValue done */
  readonly mayEnd?: readonly string[];
  /** Whether the tables may fail to keep it, if that is told. */
  readonly mayBeLost?: true;
  /** The whole answer where it is an operator's. */
  readonly curated?: string;
};

export type Asked = Plan & {
  readonly requestId: string;
  readonly asking: Asking;
  readonly beganAt: number;
  readonly endedAt: number;
  /** `done`, `cancelled`, or the code of the error; nothing for whoever left before. */
  readonly end: string | undefined;
  /** Whether the same tenant had heard the whole answer before. */
  readonly isRepeat: boolean;
  /** What its tenant was told to be kept of the conversation before. */
  readonly known: readonly string[];
};

/** What two calls for one answer may overlap: the first may have been cancelled, and its socket not closed yet. */
const OVERLAP_MS = 100;
const SETTLE_MS = 5_000;
const READERS = 8;

export async function openMemoryStage(soak: Soak, options: Omit<GatewayOptions, 'endpoint'>) {
  const model = await startNamingModel();
  const gateway = await startGateway({ ...options, endpoint: model.url });
  const asked: Asked[] = [];
  /** By tenant and question: when the table got a whole answer, as far as its tenant knows, and when it was altered by hand. */
  const learned = new Set<string>();
  const alteredAt = new Map<string, number>();

  async function ask(plan: Plan): Promise<Asked> {
    const { tenant, words } = plan;
    const requestId = `${tenant}-${asked.length}-${crypto.randomUUID().slice(0, 8)}`;
    const wasLearned = learned.has(toLearnedKey(plan));
    const known = keptBefore(asked, words.chat_id);
    const beganAt = performance.now();
    const asking = await begin(gateway, plan, requestId);
    await breakOff(asking, plan.breaking);
    const endedAt = performance.now();
    const isAltered = (alteredAt.get(toLearnedKey(plan)) ?? 0) > beganAt;
    const isRepeat = isCached(words) && wasLearned && !isAltered;
    const one = { ...plan, requestId, asking, beganAt, endedAt, end: toEnd(asking), isRepeat, known };
    asked.push(one);
    if (isLearned(one)) learned.add(toLearnedKey(one));
    return one;
  }

  return {
    gateway,
    ask,

    /** Somebody has written over the answer. */
    forget(tenant: Tenant, prompt: string) {
      learned.delete(toLearnedKey({ tenant, words: { prompt } }));
      alteredAt.set(toLearnedKey({ tenant, words: { prompt } }), performance.now());
    },

    /** Waits until all is over, compares what everybody says, and closes. */
    async close(): Promise<Ended[]> {
      const giveUpAt = performance.now() + SETTLE_MS;
      do await sleep(300);
      while (model.countOpen() > 0 && performance.now() < giveUpAt);
      if (model.countOpen() > 0) soak.fail(`${model.countOpen()} calls are still open.`);
      const calls = Map.groupBy(model.calls, ({ requestId }) => requestId);
      const records = new Map(gateway.records.filter(isAnswer).map((one) => [one.request_id, one]));
      const ended = asked.map((one) => ({
        ...one,
        calls: calls.get(one.requestId) ?? [],
        record: records.get(one.requestId),
      }));
      for (const one of ended) {
        const name = `${gateway.door}, ${one.kind} ${one.requestId} (${one.words.prompt})`;
        for (const fault of findFaults(one)) soak.fail(`${name}: ${fault}.`);
      }
      for (const fault of findOverlaps(ended)) soak.fail(`${gateway.door}: ${fault}.`);
      await checkChats(soak, gateway, asked);
      await gateway.close();
      await model.close();
      return ended;
    },
  };
}

export type MemoryStage = Awaited<ReturnType<typeof openMemoryStage>>;

export type Ended = Asked & {
  readonly calls: readonly Call[];
  readonly record: Gateway['records'][number] | undefined;
};

/** Over a WebSocket of its own where that is the door. */
async function begin(gateway: Gateway, { tenant, words, stream = true }: Plan, requestId: string) {
  const question = { request_id: requestId, model: 'soak', ...words };
  if (gateway.door !== 'websocket') return askOverHttp(gateway.as(tenant), question, stream);
  const session = await openSession(gateway.socketUrl, people[tenant]);
  const asking = session.ask(question);
  // Who cancels may hear of it after the end.
  void asking.ended.then(() => setTimeout(session.close, 6_000));
  return asking;
}

async function breakOff(asking: Asking, breaking: Break | undefined): Promise<void> {
  if (breaking) await Promise.race([sleep(breaking.afterMs), asking.ended]);
  if (breaking?.how === 'leave') return asking.leave();
  if (breaking?.how === 'cancel') void asking.cancel().catch(() => undefined);
  await asking.ended;
}

function toEnd({ ends, told }: Asking): string | undefined {
  const { code } = (told['error'] ?? {}) as { readonly code?: string };
  return code ?? ends[0];
}

const isAnswer = ({ method, outcome }: Gateway['records'][number]) =>
  (method === 'POST' || method === 'WORK') && outcome !== undefined;

const isCached = ({ chat_id, cache = 'use' }: Words) => chat_id === undefined && cache === 'use';

const toLearnedKey = ({ tenant, words }: Pick<Plan, 'tenant' | 'words'>) =>
  [tenant, words.parameters?.max_tokens, words.prompt].join(' ');

const isLearned = ({ asking, words, end }: Asked) =>
  end === 'done' &&
  asking.told['stop_reason'] === 'end_turn' &&
  asking.told['cached'] === false &&
  words.chat_id === undefined &&
  words.store === undefined &&
  words.cache !== 'off';

const isSaved = ({ asking }: Asked) => asking.told['saved'] === true;
const chatOf = ({ asking, words }: Asked) => words.chat_id ?? asking.told['chat_id'];

const keptBefore = (asked: readonly Asked[], chatId: string | undefined): string[] =>
  chatId === undefined
    ? []
    : asked.filter((one) => isSaved(one) && chatOf(one) === chatId).map(({ words }) => words.prompt);

function findFaults(one: Ended): string[] {
  const { asking, breaking, calls, curated, end, known, mayEnd = ['done'], record, tenant, words } = one;
  const { ends, told, text, faults } = asking;
  const [call] = calls;
  const whole = curated ?? toAnswer(tenant, words.prompt, call?.earlier);
  const other = otherThan(tenant);
  const isWhole = end === 'done' && told['stop_reason'] === 'end_turn';
  const missing = known.filter((prompt) => end === 'done' && !call?.earlier.includes(prompt));
  const wrong: readonly (false | string)[] = [
    breaking?.how !== 'leave' && ends.length !== 1 && `${ends.length} ends`,
    !breaking && !mayEnd.includes(end ?? '') && `ended as ${end} (${record?.cause})`,
    (text + JSON.stringify(told)).includes(other) &&
      `${other} is in what ${tenant} was told: ${text.slice(0, 80)}`,
    calls.some(({ sent }) => sent.includes(other)) && `${other} is in what the model was sent for ${tenant}`,
    calls.length > 1 && `${calls.length} calls`,
    (isWhole ? text !== whole : !whole.startsWith(text)) && `the text is wrong: ${text.slice(0, 200)}`,
    end === 'done' && !isWhole && told['cached'] !== false && 'an answer that was cut was told again',
    curated !== undefined &&
      end === 'done' &&
      told['cached'] !== 'curated' &&
      'the curated answer was passed over',
    curated !== undefined && calls.length > 0 && 'a call for what has a curated answer',
    (end === 'not_found' || end === 'history_unavailable') &&
      calls.length > 0 &&
      `${end}, but the model was asked`,
    words.store === false && told['saved'] === true && 'kept against the will of its tenant',
    words.prompt.startsWith(UNHEARD) &&
      told['cached'] === 'learned' &&
      'learned against the will of its tenant',
    missing.length > 0 && `answered without what was kept before: ${missing}`,
    words.cache !== undefined &&
      words.cache !== 'use' &&
      end === 'done' &&
      calls.length === 0 &&
      'no call of its own',
  ];
  return [...faults, ...wrong.filter((fault) => fault !== false)];
}

/** Two at once for one answer that will be learned. */
function findOverlaps(ended: readonly Ended[]): string[] {
  const learning = ended.filter(({ words }) => isCached(words) && words.store === undefined);
  const groups = Map.groupBy(learning, toLearnedKey);
  return [...groups].flatMap(([key, all]) => {
    const calls = all.flatMap((one) => one.calls).sort((one, other) => one.openedAt - other.openedAt);
    const isTwice = calls.some((call, n) => {
      const before = calls[n - 1];
      return before && before.closedAt - call.openedAt > OVERLAP_MS;
    });
    return isTwice ? [`two calls at once for ${key}`] : [];
  });
}

/** Every conversation that anybody was told of, as its tenant reads it, and as the other does. */
async function checkChats(soak: Soak, gateway: Gateway, asked: readonly Asked[]): Promise<void> {
  const owned = asked.filter((one) => one.end !== 'not_found' && typeof chatOf(one) === 'string');
  const chats = [...Map.groupBy(owned, (one) => `${one.tenant} ${chatOf(one)}`)];
  const reader = async () => {
    for (let chat = chats.pop(); chat; chat = chats.pop()) {
      const [name, turns] = chat;
      const [tenant = '', chatId = ''] = name.split(' ');
      const path = `/v1/chats/${chatId}`;
      const mine = await gateway.as(tenant as Tenant).send(path);
      const body = (await mine.json()) as { readonly turns?: readonly Turn[] };
      for (const fault of findChatFaults(turns, body.turns)) soak.fail(`${gateway.door}, ${name}: ${fault}.`);
      if (turns.length === 1) continue;
      const theirs = await gateway.as(otherThan(tenant as Tenant)).send(path);
      if (theirs.status !== 404) soak.fail(`${gateway.door}, ${name}: the other reads it, ${theirs.status}.`);
    }
  };
  await Promise.all(Array.from({ length: READERS }, reader));
}
