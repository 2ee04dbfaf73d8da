/**
 * `npm run soak:memory`: what the gateway remembers, under two tenants at once, cancels and a DynamoDB that fails. It says what it found in a
 * table, and ends with 1 when anybody heard what is another's, a broken answer was told again, or a turn is not there that was told to be.
 */
import { parseArgs } from 'node:util';
import { soakOutages } from './memory/outages.ts';
import { soakTenants } from './memory/tenants.ts';
import { createSoak } from './soak.ts';

const help = `npm run soak:memory -- [options]

  --quick    some seconds of it, for CI
  --seed N   the same soak again
  --help     this text
`;

/** Requests, over both doors together. */
const sizes = {
  full: { tenants: 10_000, outages: 3_000, limitMs: 45 * 60_000 },
  quick: { tenants: 400, outages: 150, limitMs: 180_000 },
};

/** Which share of the requests; those over a WebSocket take longest. */
const doors = [
  ['rest', 0.75],
  ['websocket', 0.25],
] as const;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { quick: { type: 'boolean' }, seed: { type: 'string' }, help: { type: 'boolean' } },
  });
  if (values.help) {
    console.log(help);
    return 0;
  }
  const { tenants, outages, limitMs } = sizes[values.quick ? 'quick' : 'full'];
  const seed = Number(values.seed ?? Math.floor(1e6 * Math.random()));
  console.log(`seed ${seed}`);
  const soak = createSoak(seed, { limitMs, closedMs: 0 });
  await Promise.all(doors.map(([door, share]) => soakTenants(soak, door, tenants * share)));
  await Promise.all(doors.map(([door, share]) => soakOutages(soak, door, Math.round(outages * share))));
  return soak.finish();
}

// Connections that are kept alive would keep the process as well.
process.exit(await main());
