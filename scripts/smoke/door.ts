/**
 * A door of the gateway as the checks use it, whichever it is.
 */
import { askOverHttp, createHttp, type Http } from './http.ts';
import type { DoorName, Place } from './place.ts';
import { askOverWebSocket } from './socket-door.ts';
import type { Answer, Asking } from './stream.ts';

export type Door = {
  readonly place: Place;
  /** As the tables call it. */
  readonly title: string;
  /** Absent for the WebSocket. */
  readonly http?: Http;
  /** Where the same caller finds the conversations of this door, if anywhere. */
  readonly archive?: Http;
  /** Asks for a stream and reads it to its end. @throws `Ending` for what is no stream */
  ask(body: object, asking: Asking): Promise<Answer>;
};

const titles: Readonly<Record<DoorName, string>> = {
  rest: 'REST',
  websocket: 'WebSocket',
  'function-url': 'Function URL',
};

export function createDoors(places: readonly Place[], fetchIt: typeof fetch): readonly Door[] {
  return places.map((place): Door => {
    const title = titles[place.name];
    if (place.name === 'websocket') {
      const other = places.find((candidate) => isOfSameCaller(place, candidate));
      const archive = other && { archive: createHttp(other, fetchIt) };
      return {
        place,
        title,
        ...archive,
        ask: (body, asking) => askOverWebSocket(place, body, { ...asking, fetch: fetchIt }),
      };
    }
    const http = createHttp(place, fetchIt);
    return { place, title, http, archive: http, ask: (body, asking) => askOverHttp(http, body, asking) };
  });
}

/** Whoever shows a key is the tenant of that key, however he signs; else he is the tenant who signs. */
const isOfSameCaller = ({ access: { key } }: Place, other: Place) =>
  other.name !== 'websocket' && other.access.key === key;
