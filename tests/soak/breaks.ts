/** Answers that are cancelled, or left by their clients, at random points: before they begin, midway, about their end and after it. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Gateway } from '../helpers/gateway.ts';
import type { Soak } from './soak.ts';
import { openStage, say } from './stage.ts';

const TOKENS_PER_SECOND = 60;

/** Three models in ten are silent for long before they begin: nothing that is sent can tell then that nobody is there. */
const WAIT_MS = { short: 300, long: 3_000 };

/** What a request takes at most until it is stored and its model is asked. */
const ENTRY_MS = 60;

const FRAME_GAP_MS = 150;

/** As many as one process bears with the tables, the models and all clients of three doors; a WebSocket takes most. */
const AT_ONCE = { rest: 8, 'function-url': 8, websocket: 6 };

/** So many cancels, and as many clients that leave, through one door. */
export async function soakBreaks(soak: Soak, door: Gateway['door'], count: number): Promise<void> {
  const waitMs = (model: string) =>
    soak.draw('wait', model) < 0.3 ? WAIT_MS.long : WAIT_MS.short * soak.draw('short', model);
  const settings = { frameGapMs: FRAME_GAP_MS };
  const stage = await openStage(soak, door, { door, settings, tokensPerSecond: TOKENS_PER_SECOND, waitMs });
  const run = async (kind: string, id: string) => {
    const tokens = 60 + Math.floor(60 * soak.draw('tokens', id));
    const asked = await stage.ask(kind, id, say(id, tokens), soak.draw('stream', id) < 0.8);
    const lifeMs = waitMs(asked.question.model) + (1000 * tokens) / TOKENS_PER_SECOND;
    await sleep(findDelay(soak, id, lifeMs));
    if (kind === 'cancel') await stage.cancel(asked);
    else stage.leave(asked);
  };
  const toJob = (kind: string, n: number) => ({
    name: `${door} ${kind}-${n}`,
    run: () => run(kind, `${kind}-${n}`),
  });
  const jobs = Array.from({ length: count }, (_, n) => [toJob('cancel', n), toJob('leave', n)]).flat();
  await soak.runAll(`${door}: breaks`, jobs, AT_ONCE[door]);
  for (const { title, cancelled } of (await stage.close()).values()) {
    if (cancelled < count / 2) soak.fail(`${title}: fewer than half ended as cancelled.`);
  }
}

/** Three in ten while the request is still on its way in, two in ten about the end of its answer. */
function findDelay(soak: Soak, id: string, lifeMs: number): number {
  const [kind, point] = [soak.draw('kind', id), soak.draw('point', id)];
  if (kind < 0.3) return ENTRY_MS * point;
  return lifeMs * (kind < 0.5 ? 0.9 + 0.2 * point : point);
}
