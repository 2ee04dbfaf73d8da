/**
 * `npm run soak:memory`: what the gateway remembers, under two tenants at once, cancels and a DynamoDB that fails. It says what it found in a
 * table, and ends with 1 when anybody heard what is another's, a broken answer was told again, or a turn is not there that was told to be.
 */
import { soakOutages } from './memory/outages.ts';
import { soakTenants } from './memory/tenants.ts';
import { runSoak } from './soak.ts';

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

await runSoak({ name: 'soak:memory', sizes }, async (soak, { tenants, outages }) => {
  await Promise.all(doors.map(([door, share]) => soakTenants(soak, door, tenants * share)));
  await Promise.all(doors.map(([door, share]) => soakOutages(soak, door, Math.round(outages * share))));
});
