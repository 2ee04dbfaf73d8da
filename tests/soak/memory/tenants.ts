/** Two tenants at once, in any order: the same questions, conversations, cancels, and rows that somebody alters by hand. */
import { PutItemCommand } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient, PutCommand, paginateScan } from '@aws-sdk/lib-dynamodb';
import { marshall } from '@aws-sdk/util-dynamodb';
import { toCuratedKey } from '../../../src/chat/answer-keys.ts';
import type { Gateway } from '../../helpers/gateway.ts';
import type { Job, Soak } from '../soak.ts';
import { addRows, checkRepeats, countCalls } from './figures.ts';
import {
  type Ended,
  type MemoryStage,
  openMemoryStage,
  otherThan,
  type Plan,
  type Tenant,
  UNHEARD,
  type Words,
} from './stage.ts';
import { createTurns, type Turns } from './turns.ts';

const AT_ONCE = { rest: 16, 'function-url': 16, websocket: 12 };

/** Slow machines are no faults of the cache's. */
const settings = { cacheTimeoutMs: 5_000, historyMaxTurns: 200, frameGapMs: 20 };

/** Of what a tenant heard whole and asks again, so much is told without the model. */
const MIN_REPEATED = 0.99;

/** Of all turns; on a machine that is too busy some are given up, which is told. */
const MAX_LOST = 0.01;

const QUESTIONS = 8;
const CURATED = 5;
const CROWD = 3;

/** How long a request may be left alone before it is broken off; some have ended by then. */
const BREAK_MS = 350;

/** Of a hundred jobs; what is left asks the same again. */
const shares = {
  curated: 10,
  turn: 18,
  foreign: 4,
  cancel: 14,
  leave: 8,
  refresh: 3,
  off: 3,
  quiet: 4,
  crowd: 3,
  cut: 3,
  broken: 2,
  altered: 2,
};

type Kind = keyof typeof shares | 'again';

type Scene = { readonly soak: Soak; readonly stage: MemoryStage; readonly turns: Turns };

export async function soakTenants(soak: Soak, door: Gateway['door'], count: number): Promise<void> {
  const stage = await openMemoryStage(soak, { door, settings });
  for (let n = 0; n < CURATED; n++) await curate(stage.gateway, n);
  const scene: Scene = { soak, stage, turns: createTurns(stage) };
  const jobs: Job[] = [];
  for (let n = 0, requests = 0; requests < count; n++) {
    const kind = drawKind(soak.draw('kind', door, n));
    requests += kind === 'crowd' ? 2 * CROWD : 1;
    jobs.push({ name: `${door} ${kind}-${n}`, run: () => act(scene, kind, n) });
  }
  await soak.runAll(`${door}: two tenants`, jobs, AT_ONCE[door]);
  const ended = await stage.close();
  addRows(soak, `${door}: two tenants`, ended);
  const lost = ended.filter(isLost).length;
  if (lost > Math.max(2, MAX_LOST * ended.length))
    soak.fail(`${door}: ${lost} turns were told not to be kept.`);
  const crowds = ended.filter(({ kind }) => kind === 'crowd');
  for (const [name, crowd] of Map.groupBy(crowds, ({ tenant, words }) => `${tenant} ${words.prompt}`)) {
    const calls = countCalls(crowd);
    if (calls !== 1) soak.fail(`${door}: ${calls} calls for ${crowd.length} who asked at once: ${name}`);
  }
  checkRepeats(soak, door, ended, MIN_REPEATED);
}

const isLost = ({ asking, end, words }: Ended) =>
  end === 'done' && words.store === undefined && asking.told['saved'] !== true;

function drawKind(chance: number): Kind {
  let left = 100 * chance;
  for (const [kind, share] of Object.entries(shares)) {
    left -= share;
    if (left < 0) return kind as Kind;
  }
  return 'again';
}

async function act(scene: Scene, kind: Kind, n: number): Promise<void> {
  const { soak, stage } = scene;
  const draw = (what: string) => soak.draw(what, stage.gateway.door, n);
  const tenant: Tenant = draw('tenant') < 0.5 ? 'alice' : 'bob';
  const again: Words = { prompt: `What is number ${Math.floor(draw('number') * QUESTIONS)} of ${n >> 10}?` };
  const plan = { kind, tenant, words: again, stream: draw('stream') < 0.8 };
  switch (kind) {
    case 'curated':
      return void (await stage.ask({ ...plan, ...toCurated(draw('number'), draw('form')) }));
    case 'turn':
      return await takeTurn(scene, plan, n);
    case 'foreign':
      return await askForeign(scene, plan);
    case 'cancel':
    case 'leave':
      return await breakSomething(
        scene,
        { ...plan, breaking: { how: kind, afterMs: BREAK_MS * draw('break') } },
        n,
      );
    case 'refresh':
    case 'off':
      return void (await stage.ask({ ...plan, words: { ...again, cache: kind } }));
    case 'quiet': {
      const words = draw('quiet') < 0.5 ? again : { prompt: `${UNHEARD} ${n % 2}` };
      return void (await stage.ask({ ...plan, words: { ...words, store: false } }));
    }
    case 'crowd':
      return await askAtOnce(stage, plan, n);
    case 'cut':
      return void (await stage.ask({
        ...plan,
        words: { prompt: `What is cut in ${n % 2}?`, parameters: { max_tokens: 6 } },
      }));
    case 'broken': {
      const broken = { prompt: `broken ${n % 2}` };
      const mayEnd = ['upstream_truncated', 'upstream_unreachable', 'upstream_error'];
      return void (await stage.ask({ ...plan, words: broken, mayEnd }));
    }
    case 'altered':
      return await alter(stage, plan, draw('altered'));
    default:
      return void (await stage.ask(plan));
  }
}

const wisdomOf = (n: number) => `What an operator wrote of the ${n}th Faraday cage: a closed shell of metal.`;

const curate = ({ tables }: Gateway, n: number) => {
  const Item = marshall({ pk: toCuratedKey(`What is the Faraday cage ${n}`), answer: wisdomOf(n) });
  return tables.client.send(new PutItemCommand({ TableName: tables.answers, Item }));
};

/** One question of the operator's as people write it. */
function toCurated(number: number, form: number): Pick<Plan, 'words' | 'curated'> {
  const n = Math.floor(number * CURATED);
  const forms = [
    `What is the Faraday cage ${n}?`,
    `  what  is THE faraday\n cage ${n} ?!`,
    `WHAT IS THE FARADAY CAGE ${n}...`,
    `what\tis the\u00a0Faraday cage ${n}`,
  ];
  return { words: { prompt: forms[Math.floor(form * forms.length)] ?? '' }, curated: wisdomOf(n) };
}

async function takeTurn({ turns, soak }: Scene, plan: Plan, n: number): Promise<void> {
  await turns.take({ ...plan, words: { prompt: `${plan.tenant}-turn-${n}` } }, soak.draw('chat', n));
}

async function askForeign({ stage, turns }: Scene, plan: Plan): Promise<void> {
  const chat_id = turns.latestOf(otherThan(plan.tenant)) ?? 'no-such-chat';
  const words = { prompt: `${plan.tenant} wants to hear`, chat_id };
  await stage.ask({ ...plan, words, mayEnd: ['not_found'] });
}

/** What others ask as well, or nobody else, or a turn. */
async function breakSomething(scene: Scene, plan: Plan, n: number): Promise<void> {
  const chance = scene.soak.draw('what', n);
  if (chance < 0.3) return await takeTurn(scene, plan, n);
  const words = chance < 0.6 ? { prompt: `${plan.tenant}-alone-${n % 50}` } : plan.words;
  await scene.stage.ask({ ...plan, words });
}

async function askAtOnce({ ask }: MemoryStage, plan: Plan, n: number): Promise<void> {
  const words = { prompt: `What does everybody ask in ${n}?` };
  const both = [plan.tenant, otherThan(plan.tenant)].flatMap((tenant) => Array<Tenant>(CROWD).fill(tenant));
  await Promise.all(both.map((tenant) => ask({ ...plan, tenant, words })));
}

/** Of one question that both have asked: another text, or what was told to the other. Then it is asked again. */
async function alter({ gateway, forget, ask }: MemoryStage, plan: Plan, chance: number): Promise<void> {
  const { tenant } = plan;
  const client = DynamoDBDocumentClient.from(gateway.tables.client);
  const TableName = gateway.tables.answers;
  const rows: Record<string, unknown>[] = [];
  for await (const { Items = [] } of paginateScan({ client }, { TableName })) rows.push(...Items);
  const findTold = (who: Tenant) =>
    rows.filter(({ answer }) => String(answer).startsWith(`To ${who}: What is number`));
  const own = findTold(tenant);
  const row = own[Math.floor(chance * own.length)];
  const prompt = /: (.*\?) After:/.exec(String(row?.['answer']))?.[1];
  if (!row || prompt === undefined) return;
  const isSame = ({ answer }: Record<string, unknown>) => String(answer).includes(`: ${prompt} After:`);
  const theirs = findTold(otherThan(tenant)).find(isSame);
  const altered = theirs ? { ...theirs, pk: row['pk'] } : { ...row, answer: `${row['answer']} Or is it?` };
  forget(tenant, prompt);
  await client.send(new PutCommand({ TableName, Item: altered }));
  forget(tenant, prompt);
  await ask({ ...plan, words: { prompt } });
}
