/** DynamoDB throttles, is down, is slow and loses replies: whoever asks is answered, and nobody is told what is not so. */
import type { DynamoDbOptions } from '../../../src/local/dynamodb/server.ts';
import type { Gateway } from '../../helpers/gateway.ts';
import type { Soak } from '../soak.ts';
import { addRows } from './figures.ts';
import { type Ended, type MemoryStage, openMemoryStage, type Tenant } from './stage.ts';
import { createTurns, type Turns } from './turns.ts';

const AT_ONCE = 20;

/** Less than a slow table takes, and more than any other. */
const CACHE_TIMEOUT_MS = 100;
const SLOW_MS = 250;

/** Of every such time the tables are down for a twentieth, a quarter after it began. */
const DOWN_EVERY_MS = 8_000;
const DOWN_FROM = 0.25;
const DOWN_SHARE = 0.05;

const THROTTLED_SHARE = 0.3;
const SLOW_SHARE = 0.05;
const LOST_SHARE = 0.03;

/** The cache is down, or too slow, for every question that says so. */
const UNLUCKY = 'unlucky';

const QUESTIONS = 2;

export async function soakOutages(soak: Soak, door: Gateway['door'], count: number): Promise<void> {
  const faults = createTableFaults(soak, door);
  const settings = { cacheTimeoutMs: CACHE_TIMEOUT_MS, historyMaxTurns: 200, frameGapMs: 20 };
  const stage = await openMemoryStage(soak, { door, settings, dynamoFault: faults.find });
  const turns = createTurns(stage);
  faults.begin();
  const jobs = Array.from({ length: count }, (_, n) => ({
    name: `${door} outage-${n}`,
    run: () => ask(soak, stage, turns, n),
  }));
  await soak.runAll(`${door}: outages`, jobs, AT_ONCE);
  faults.end();
  const ended = await stage.close();
  for (const one of ended) {
    const isPassedBy = one.record?.cache === 'bypass';
    const name = `${door}, ${one.kind} ${one.words.prompt}`;
    const isRefused = one.end === 'history_unavailable' && one.words.chat_id === undefined;
    if (isRefused) soak.fail(`${name}: refused, and no conversation was named.`);
    if (one.kind === UNLUCKY && !isPassedBy) soak.fail(`${name}: x-cache is ${one.record?.cache}.`);
  }
  addRows(soak, `${door}: outages`, ended);
  console.log(`${door}: what went wrong with DynamoDB: ${JSON.stringify(faults.counts)}`);
  if (!isMixed(ended, faults.counts)) soak.fail(`${door}: too little went wrong for this to say anything.`);
}

/** Half of them are turns of a few conversations. */
async function ask(soak: Soak, stage: MemoryStage, turns: Turns, n: number): Promise<void> {
  const draw = (what: string) => soak.draw('outage', what, stage.gateway.door, n);
  const tenant: Tenant = draw('tenant') < 0.5 ? 'alice' : 'bob';
  const common = { tenant, stream: draw('stream') < 0.8, mayBeLost: true } as const;
  if (draw('kind') < 0.5) {
    const words = { prompt: `${tenant}-turn-${n}` };
    await turns.take(
      { ...common, kind: 'turn', words, mayEnd: ['done', 'history_unavailable'] },
      draw('chat'),
    );
  } else {
    const kind = draw('luck') < 0.2 ? UNLUCKY : 'question';
    const prompt = `What is ${kind} ${n >> 8} ${Math.floor(draw('number') * QUESTIONS)}?`;
    await stage.ask({ ...common, kind, words: { prompt } });
  }
}

type Counts = Readonly<Record<'all' | 'throttled' | 'down' | 'slow' | 'lost', number>>;

/** Of the answers and the conversations; the other tables have their own soaks. */
function createTableFaults(soak: Soak, door: string) {
  const counts = { all: 0, throttled: 0, down: 0, slow: 0, lost: 0 };
  let beganAt: number | undefined;

  const find: DynamoDbOptions['fault'] = (operation, input) => {
    const text = JSON.stringify(input);
    if (beganAt === undefined || !/-(chats|answers)"/.test(text)) return undefined;
    counts.all++;
    const phase = ((performance.now() - beganAt) / DOWN_EVERY_MS) % 1;
    const isDown = phase >= DOWN_FROM && phase < DOWN_FROM + DOWN_SHARE;
    const isUnlucky = operation === 'BatchGetItem' && text.includes(UNLUCKY);
    const chance = soak.draw('table', door, counts.all);
    const unlucky = chance < 0.5 ? 'down' : 'slow';
    const type = isDown ? 'down' : isUnlucky ? unlucky : toFault(chance);
    if (type === undefined) return undefined;
    counts[type]++;
    return type === 'slow' ? { type, ms: SLOW_MS } : { type };
  };

  return {
    find,
    counts: counts as Counts,
    begin: () => void (beganAt = performance.now()),
    end: () => void (beganAt = undefined),
  };
}

function toFault(chance: number): 'throttled' | 'slow' | 'lost' | undefined {
  if (chance < THROTTLED_SHARE) return 'throttled';
  if (chance < THROTTLED_SHARE + SLOW_SHARE) return 'slow';
  return chance < THROTTLED_SHARE + SLOW_SHARE + LOST_SHARE ? 'lost' : undefined;
}

const isMixed = (ended: readonly Ended[], counts: Counts) =>
  Object.values(counts).every((count) => count > 0) && ended.some(({ kind }) => kind === UNLUCKY);
