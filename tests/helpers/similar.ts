/** Similar answers over an index and an embedding model that the test holds in its hand. */
import type { Answers } from '../../src/chat/answers.ts';
import type { Clock } from '../../src/chat/clock.ts';
import type { Embed } from '../../src/chat/embed.ts';
import type { CacheNotice } from '../../src/chat/lookup.ts';
import { createSimilar, type QuestionIndex, type Wanted } from '../../src/chat/similar.ts';
import { type IndexedQuestion, similarityOf } from '../../src/chat/similarity.ts';

/** What a call does instead: fails, waits so many milliseconds before it works, or never comes back. */
export type Trouble = Error | number | 'hang' | undefined;

/** The vector of a question so near to `[1, 0]`. */
export const vectorAt = (similarity: number): readonly number[] => [
  similarity,
  Math.sqrt(1 - similarity * similarity),
];

/**
 * `nearness` says how near a canonical question is to `[1, 0]`, in its plane; any other is as far from it as can be.
 */
export function startSimilar(
  nearness: Readonly<Record<string, number>>,
  answers: Pick<Answers, 'find'>,
  clock: Clock,
) {
  const entries: IndexedQuestion[] = [];
  const seen = {
    embedded: [] as string[],
    wanted: [] as Wanted[],
    failures: [] as unknown[],
    notices: [] as string[],
    letGo: 0,
  };
  const trouble: { embed: Trouble; nearest: Trouble; add: Trouble } = {
    embed: undefined,
    nearest: undefined,
    add: undefined,
  };
  /** What the index says in place of what it has. */
  const lies: { hits: readonly IndexedQuestion[] | undefined } = { hits: undefined };

  const through = (kind: keyof typeof trouble, signal: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      const letGo = () => {
        seen.letGo += 1;
        reject(new Error('let go'));
      };
      if (signal.aborted) return letGo();
      const what = trouble[kind];
      if (what instanceof Error) return reject(what);
      if (what === undefined) return resolve();
      signal.addEventListener('abort', letGo, { once: true });
      if (what !== 'hang') clock.after(what, resolve);
    });

  const embed: Embed = async ({ texts }, { signal }) => {
    seen.embedded.push(...texts);
    await through('embed', signal);
    return { vectors: texts.map((text) => vectorAt(nearness[text] ?? 0)), inputTokens: 1 };
  };
  const index: QuestionIndex = {
    async nearest(wanted, signal) {
      seen.wanted.push(wanted);
      await through('nearest', signal);
      if (lies.hits) return lies.hits;
      return entries
        .filter(({ tenant, audience, figures, expires }) => {
          const isOurs = wanted.tenants.includes(tenant) && wanted.audiences.includes(audience);
          return isOurs && figures === wanted.figures && expires > wanted.now;
        })
        .sort(
          (one, other) => similarityOf(other.vector, wanted.vector) - similarityOf(one.vector, wanted.vector),
        )
        .slice(0, 5);
    },
    async add(added, signal) {
      await through('add', signal);
      entries.push(...added);
    },
  };
  const notify = ({ type, cause }: CacheNotice) => {
    if (type === 'similar-unavailable' || type === 'question-not-indexed') seen.failures.push(cause);
    else seen.notices.push(type);
  };
  const similar = createSimilar({ index, embed, answers, clock, notify });
  return { similar, entries, seen, trouble, lies };
}
