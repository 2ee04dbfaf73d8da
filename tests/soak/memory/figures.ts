/** What a soak of the memory says in its table. */
import { type Soak, spread } from '../soak.ts';
import type { Ended } from './stage.ts';

/** A row for each kind, and one for all. */
export function addRows(soak: Soak, title: string, ended: readonly Ended[]): void {
  for (const [kind, all] of Map.groupBy(ended, ({ kind }) => kind))
    soak.addRow(toRow(`${title}: ${kind}`, all));
  const [hits, misses] = [firstEventsOf(ended, 'hit'), firstEventsOf(ended, 'miss')];
  const calls = countCalls(ended);
  if (calls > ended.length) soak.fail(`${title}: ${calls} calls for ${ended.length} requests.`);
  soak.addRow({
    ...toRow(title, ended),
    'saved %': Math.round((100 * (ended.length - calls)) / ended.length),
    'hit/miss p50': hits.length === 0 ? 'none' : toRatio(spread(hits).p50, spread(misses).p50),
    'hit/miss p99': hits.length === 0 ? 'none' : toRatio(spread(hits).p99, spread(misses).p99),
  });
}

/**
 * Of what was answered whole before and asked again by the same tenant: how often the model was not asked again. Some join the call of
 * another who asks the same, so not all of them are hits.
 */
export function checkRepeats(soak: Soak, title: string, ended: readonly Ended[], minShare: number): void {
  const repeats = ended.filter(({ isRepeat, end }) => isRepeat && end === 'done');
  const asked = repeats.filter(({ calls }) => calls.length > 0);
  const hits = repeats.filter(({ record }) => record?.cache === 'hit').length;
  console.log(
    `${title}: of ${repeats.length} own repeats ${asked.length} asked the model, ${hits} were hits`,
  );
  const names = asked.slice(0, 5).map(({ requestId, words }) => `${requestId} (${words.prompt})`);
  const maxAsked = Math.max(1, (1 - minShare) * repeats.length);
  if (asked.length > maxAsked) soak.fail(`${title}: too many own repeats asked the model, such as ${names}.`);
}

function toRow(title: string, ended: readonly Ended[]) {
  const count = (wanted: string) => ended.filter(({ end }) => end === wanted).length;
  const cached = (wanted: string) => ended.filter(({ record }) => record?.cache === wanted).length;
  const [done, cancelled] = [count('done'), count('cancelled')];
  return {
    title,
    asked: ended.length,
    done,
    cancelled,
    left: ended.filter(({ end }) => end === undefined).length,
    'other end': ended.filter(({ end }) => end !== undefined).length - done - cancelled,
    hit: cached('hit'),
    bypass: cached('bypass'),
    kept: ended.filter(({ asking }) => asking.told['saved'] === true).length,
    calls: countCalls(ended),
  };
}

export const countCalls = (ended: readonly Ended[]) =>
  ended.reduce((sum, { calls }) => sum + calls.length, 0);

const firstEventsOf = (ended: readonly Ended[], how: 'hit' | 'miss'): number[] =>
  ended.flatMap(({ record, end }) =>
    end === 'done' && record?.cache === how ? (record.first_event_ms ?? []) : [],
  );

const toRatio = (one: number, other: number) => (other === 0 ? 'none' : (one / other).toFixed(2));
