/** Cancels that race with the end of a short answer: whoever wins, everybody must agree on it. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Gateway } from '../helpers/gateway.ts';
import type { Soak } from './soak.ts';
import { openStage, say } from './stage.ts';

const TOKENS_PER_SECOND = 100;
const TOKENS = 3;
const AT_ONCE = 5;

/** What is refused so long before the end, in milliseconds, was refused because nothing was stored yet. */
const EARLY_MS = (0.8 * 1000 * TOKENS) / TOKENS_PER_SECOND;

/** Both outcomes must have at least this share, or nothing was raced. */
const MIN_SHARE = 0.05;

/** So many races through one door. The delay of the cancel follows the end: earlier after a race it lost, else later. */
export async function soakRaces(soak: Soak, door: Gateway['door'], count: number): Promise<void> {
  const stage = await openStage(soak, door, { door, tokensPerSecond: TOKENS_PER_SECOND });
  let delayMs = 50;
  const run = async (id: string) => {
    const asked = await stage.ask('race', id, say(id, TOKENS));
    await sleep(delayMs * (0.8 + 0.4 * soak.draw('jitter', id)));
    const lagMs = await stage.cancel(asked);
    delayMs *= asked.cancel === 'taken' || lagMs > EARLY_MS ? 1.05 : 0.95;
  };
  const toJob = (n: number) => ({ name: `${door} race-${n}`, run: () => run(`race-${n}`) });
  const jobs = Array.from({ length: count }, (_, n) => toJob(n));
  await soak.runAll(`${door}: races`, jobs, AT_ONCE);
  for (const { title, asked, done, cancelled } of (await stage.close()).values()) {
    const isRace = Math.min(done, cancelled) >= MIN_SHARE * asked;
    if (!isRace) soak.fail(`${title}: of ${asked} ${done} ended as done and ${cancelled} as cancelled.`);
  }
}
