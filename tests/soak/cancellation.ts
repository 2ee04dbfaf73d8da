/**
 * `npm run soak`: cancels, clients that leave, races with the end and doubled deliveries, by the thousand and over real sockets. It says
 * what it found in a table, and ends with 1 when a request had two ends or none, when anybody disagrees about it, or when a call to
 * Bedrock went on for too long.
 */
import { parseArgs } from 'node:util';
import type { Gateway } from '../helpers/gateway.ts';
import { soakBreaks } from './breaks.ts';
import { soakDoubles } from './doubles.ts';
import { soakRaces } from './races.ts';
import { createSoak } from './soak.ts';

const help = `npm run soak -- [options]

  --quick    some seconds of it, for CI
  --seed N   the same soak again
  --help     this text
`;

/** `closedMs`: how soon a call to Bedrock must be over. The machines of CI do other things besides. */
const sizes = {
  full: { breaks: 334, races: 3_334, sockets: 50, rounds: 20, limitMs: 20 * 60_000, closedMs: 1_000 },
  quick: { breaks: 20, races: 200, sockets: 20, rounds: 4, limitMs: 120_000, closedMs: 2_000 },
};

const doors: readonly Gateway['door'][] = ['rest', 'function-url', 'websocket'];

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { quick: { type: 'boolean' }, seed: { type: 'string' }, help: { type: 'boolean' } },
  });
  if (values.help) {
    console.log(help);
    return 0;
  }
  const size = sizes[values.quick ? 'quick' : 'full'];
  const seed = Number(values.seed ?? Math.floor(1e6 * Math.random()));
  console.log(`seed ${seed}`);
  const soak = createSoak(seed, size);
  // Mostly waiting, while races take all that the machine has.
  await Promise.all(doors.map((door) => soakBreaks(soak, door, size.breaks)));
  for (const door of doors) await soakRaces(soak, door, size.races);
  await soakDoubles(soak, size.sockets, size.rounds);
  return soak.finish();
}

// Connections that are kept alive would keep the process as well.
process.exit(await main());
