/**
 * A gateway with everything behind it, what was asked of it, and whether in the end all agree: the client, the `requests` table, the log
 * and the books of the simulator.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { DynamoDBDocumentClient, paginateScan } from '@aws-sdk/lib-dynamodb';
import { type Gateway, type GatewayOptions, people, startGateway } from '../helpers/gateway.ts';
import { type Asking, askOverHttp, openSession, type Question } from './asking.ts';
import { type Soak, spread } from './soak.ts';
import { type Call, startUpstream, type Upstream } from './upstream.ts';

/** Of 100 calls to Bedrock that are to be over in time 99 are; of fewer than 100, all but two. */
const maxLate = (closed: number) => (closed < 100 ? 2 : closed / 100);

/** How long a client listens for what must not come after the end. */
const LISTEN_MS = 300;

/** How long the last requests may take to end. */
const SETTLE_MS = 5_000;

export type Asked = {
  /** A row of the table. */
  readonly kind: string;
  readonly tenant: string;
  readonly question: Question;
  readonly asking: Asking;
  /** When a cancel was sent or the client left, by `performance.now()`. */
  brokenAt?: number;
  hasLeft?: boolean;
  /** What came of the cancel: `taken`, or the code of its refusal. */
  cancel?: string;
};

export type StageOptions = Omit<GatewayOptions, 'endpoint' | 'tokensPerSecond'> & {
  readonly tokensPerSecond: number;
  readonly waitMs?: (model: string) => number;
};

export async function openStage(soak: Soak, title: string, options: StageOptions) {
  const { tokensPerSecond, waitMs, ...rest } = options;
  const upstream = await startUpstream(tokensPerSecond, waitMs);
  const gateway = await startGateway({ ...rest, endpoint: upstream.url });
  const asked: Asked[] = [];
  const add = (kind: string, question: Question, asking: Asking, tenant = gateway.tenant): Asked => {
    const one = { kind, tenant, question, asking };
    asked.push(one);
    return one;
  };

  return {
    gateway,
    add,

    /** As alice; over a WebSocket of its own where that is the door. */
    async ask(kind: string, requestId: string, text: string, stream = true): Promise<Asked> {
      const question = toQuestion(gateway.tenant, requestId, text);
      if (gateway.door !== 'websocket') return add(kind, question, askOverHttp(gateway, question, stream));
      const session = await openSession(gateway.socketUrl, people.alice);
      return add(kind, question, session.ask(question));
    },

    /** Resolves with how long the request went on after the answer to its cancel, in milliseconds. */
    async cancel(one: Asked): Promise<number> {
      one.brokenAt = performance.now();
      const refusal = await one.asking.cancel();
      const answeredAt = performance.now();
      await one.asking.ended;
      one.cancel = refusal ?? 'taken';
      setTimeout(one.asking.leave, LISTEN_MS);
      return performance.now() - answeredAt;
    },

    leave(one: Asked) {
      one.brokenAt = performance.now();
      one.hasLeft = true;
      one.asking.leave();
    },

    /** Waits until all is over, compares what everybody says, and closes. Adds a row for each kind, and resolves with these. */
    async close(): Promise<ReadonlyMap<string, Row>> {
      const states = await settle(gateway, upstream);
      const outcomes = new Map(
        gateway.records.filter(isAnswer).map((record) => [toKey(record), record.outcome]),
      );
      const ended = asked.map((one) => {
        const key = toKey({ tenant: one.tenant, request_id: one.question.request_id });
        const calls = upstream.calls.get(one.question.model) ?? [];
        const known = { state: states.get(key), outcome: outcomes.get(key), calls };
        for (const fault of findFaults(one, known)) soak.fail(`${title}, ${key}: ${fault}.`);
        return { ...one, ...known };
      });
      checkLedger(soak, title, upstream);
      const kinds = Map.groupBy(ended, ({ kind }) => kind);
      const rows = new Map(
        [...kinds].map(([kind, all]) => [kind, toRow(`${title}: ${kind}`, all, soak.closedMs)]),
      );
      for (const row of rows.values()) {
        soak.addRow(row);
        if (row.late <= maxLate(row.closed)) continue;
        soak.fail(`${row.title}: of ${row.closed} calls ${row.late} went on for over ${soak.closedMs} ms.`);
      }
      await gateway.close();
      await upstream.close();
      return rows;
    },
  };
}

/** The model is the request's own, so that the books know whose call it was. */
export const toQuestion = (tenant: string, requestId: string, text: string): Question => ({
  request_id: requestId,
  prompt: `ECHO ${text}`,
  model: `soak.${tenant}.${requestId}`,
});

/** A text of so many tokens. */
export const say = (requestId: string, tokens: number): string =>
  Array.from({ length: tokens }, (_, n) => (n % 9 === 8 ? '\u{1F600}' : `${requestId}é${n}`)).join(' ');

const toKey = (of: { readonly tenant?: string; readonly request_id: string }) =>
  `${of.tenant}#${of.request_id}`;

const isAnswer = ({ method, outcome }: Gateway['records'][number]) =>
  (method === 'POST' || method === 'WORK') && outcome !== undefined;

/** Waits until nothing runs any more, or for too long. The states of all requests. */
async function settle(gateway: Gateway, { ledger }: Upstream): Promise<ReadonlyMap<string, string>> {
  const giveUpAt = performance.now() + SETTLE_MS;
  await sleep(2 * LISTEN_MS);
  for (;;) {
    const states = await readStates(gateway);
    const isOver = ledger.open === 0 && ![...states.values()].some(isLive);
    if (isOver || performance.now() > giveUpAt) return states;
    await sleep(100);
  }
}

const isLive = (state: string) => state === 'waiting' || state === 'running';

async function readStates({ tables }: Gateway): Promise<ReadonlyMap<string, string>> {
  const client = DynamoDBDocumentClient.from(tables.client);
  const states = new Map<string, string>();
  for await (const { Items = [] } of paginateScan({ client }, { TableName: tables.requests })) {
    for (const { pk, state } of Items) if (state !== undefined) states.set(pk, state);
  }
  return states;
}

type Known = {
  readonly state: string | undefined;
  readonly outcome: string | undefined;
  readonly calls: readonly Call[];
};

function findFaults(
  { asking, question, cancel, hasLeft }: Asked,
  { state, outcome, calls }: Known,
): string[] {
  const { ends, text, faults } = asking;
  const [end] = ends;
  const whole = question.prompt.slice('ECHO '.length);
  const wrong: readonly (false | string)[] = [
    !hasLeft && ends.length !== 1 && `${ends.length} ends`,
    !hasLeft && end !== 'done' && cancel !== 'taken' && `ended as ${end}`,
    end !== undefined && end !== state && `told ${end}, but stored ${state}`,
    state === 'error' && 'stored as error',
    state !== undefined && isLive(state) && `stored as ${state} when all was over`,
    !hasLeft && outcome !== state && `logged ${outcome}, but stored ${state}`,
    calls.length > 1 && `${calls.length} calls to Bedrock`,
    calls.length > 0 && state === undefined && 'a call to Bedrock, and nothing stored',
    end === 'done' && calls.length === 0 && 'done without a call to Bedrock',
    (end === 'done' ? text !== whole : !whole.startsWith(text)) && `the text is wrong: ${text.slice(0, 80)}`,
    cancel === 'taken' && end !== 'cancelled' && `a cancel was taken, and it ended as ${end}`,
    cancel === 'not_found' && end === 'cancelled' && 'a cancel was refused, and it ended as cancelled',
    cancel !== undefined && !['taken', 'not_found'].includes(cancel) && `the cancel failed: ${cancel}`,
  ];
  return [...faults, ...wrong.filter((fault) => fault !== false)];
}

function checkLedger(soak: Soak, title: string, { ledger }: Upstream) {
  const { opened, open, completed, closedEarly } = ledger;
  if (open !== 0) soak.fail(`${title}: ${open} calls to Bedrock are still open.`);
  if (opened !== completed + closedEarly) {
    soak.fail(`${title}: ${opened} calls, ${completed} completed and ${closedEarly} closed early.`);
  }
}

export type Row = ReturnType<typeof toRow>;

/** How many ended as what, and how long calls went on after their request was to end; a cancel that was refused ends nothing. */
function toRow(title: string, ended: readonly (Asked & Known)[], closedMs: number) {
  const count = (wanted: string) => ended.filter(({ state }) => state === wanted).length;
  const [done, cancelled] = [count('done'), count('cancelled')];
  const closings = ended.flatMap(({ brokenAt, cancel, hasLeft, calls }) => {
    if (brokenAt === undefined || !(hasLeft || cancel === 'taken')) return [];
    return calls.map(({ closedAt = Number.POSITIVE_INFINITY }) => closedAt - brokenAt).filter((ms) => ms > 0);
  });
  const other = ended.length - done - cancelled;
  const late = closings.filter((ms) => ms > closedMs).length;
  const closed = closings.length;
  return { title, asked: ended.length, done, cancelled, other, closed, ...spread(closings), late };
}
