/**
 * `npm run soak`: cancels, clients that leave, races with the end and doubled deliveries, by the thousand and over real sockets. It says
 * what it found in a table, and ends with 1 when a request had two ends or none, when anybody disagrees about it, or when a call to
 * Bedrock went on for too long.
 */
import type { Gateway } from '../helpers/gateway.ts';
import { soakBreaks } from './breaks.ts';
import { soakDoubles } from './doubles.ts';
import { soakRaces } from './races.ts';
import { runSoak } from './soak.ts';

/** `closedMs`: how soon a call to Bedrock must be over. The machines of CI do other things besides, so there it only tells what hangs. */
const sizes = {
  full: { breaks: 334, races: 3_334, sockets: 50, rounds: 20, limitMs: 20 * 60_000, closedMs: 1_000 },
  quick: { breaks: 20, races: 200, sockets: 20, rounds: 4, limitMs: 300_000, closedMs: 5_000 },
};

const doors: readonly Gateway['door'][] = ['rest', 'function-url', 'websocket'];

await runSoak({ name: 'soak', sizes }, async (soak, size) => {
  // Mostly waiting, while races take all that the machine has.
  await Promise.all(doors.map((door) => soakBreaks(soak, door, size.breaks)));
  for (const door of doors) await soakRaces(soak, door, size.races);
  await soakDoubles(soak, size.sockets, size.rounds);
});
