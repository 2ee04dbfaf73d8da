/** What is kept of a conversation, held against what its tenant was told. */
import type { Asked } from './stage.ts';

/** A turn as `GET /v1/chats/{chat_id}` tells it. */
export type Turn = { readonly prompt: string; readonly completion: string; readonly state: string };

const states: Readonly<Record<string, string>> = { done: 'complete', cancelled: 'cancelled' };

/** `kept` is absent where there is no such conversation. */
export function findChatFaults(asked: readonly Asked[], kept: readonly Turn[] | undefined): string[] {
  const byPrompt = Map.groupBy(kept ?? [], ({ prompt }) => prompt);
  const strangers = [...byPrompt.keys()].filter(
    (prompt) => !asked.some(({ words }) => words.prompt === prompt),
  );
  return [
    ...strangers.map((prompt) => `it has a turn that nobody asked: ${prompt}`),
    ...asked.flatMap((one) => findTurnFaults(one, byPrompt.get(one.words.prompt) ?? [])),
    ...findDisorder(asked, kept ?? []),
  ];
}

function findTurnFaults(
  { asking, breaking, end = '', mayBeLost, stream, words }: Asked,
  [turn, ...more]: readonly Turn[],
): string[] {
  const { text, told } = asking;
  const isSaved = told['saved'] === true;
  const isHeard = breaking?.how !== 'leave' && (isSaved || end === 'cancelled');
  // Of an answer in one piece that is cancelled nothing is told.
  const isRead = isHeard && (stream !== false || isSaved);
  const wrong: readonly (false | string)[] = [
    isSaved && !turn && 'was told to be kept, and is not there',
    isHeard &&
      !isSaved &&
      !mayBeLost &&
      told['chat_id'] !== undefined &&
      !turn &&
      'was cancelled, and is not there',
    more.length > 0 && `is there ${more.length + 1} times`,
    words.store === false && turn !== undefined && 'is there against the will of its tenant',
    isHeard && turn !== undefined && turn.state !== states[end] && `is kept as ${turn.state}`,
    isRead &&
      turn !== undefined &&
      turn.completion !== text &&
      `is kept as: ${turn.completion.slice(0, 200)}`,
  ];
  return wrong.filter((fault) => fault !== false).map((fault) => `${words.prompt} ${fault}`);
}

/** A turn that had ended before another began stands before it. */
function findDisorder(asked: readonly Asked[], kept: readonly Turn[]): string[] {
  const places = new Map(kept.map(({ prompt }, place) => [prompt, place]));
  const placed = asked.filter((one) => one.asking.told['saved'] === true && places.has(one.words.prompt));
  const placeOf = ({ words }: Asked) => places.get(words.prompt) ?? 0;
  return placed.flatMap((one) =>
    placed
      .filter((later) => one.endedAt < later.beganAt && placeOf(one) > placeOf(later))
      .map((later) => `${one.words.prompt} stands behind ${later.words.prompt}`),
  );
}
