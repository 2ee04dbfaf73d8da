/**
 * Many WebSockets of two tenants at once: every job of the worker is delivered twice, and of the posts a tenth is throttled, a twentieth
 * fails (with its frame delivered or not), and some connections are gone. Both tenants use the same request ids.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConnectionFault } from '../../src/local/doors/connections.ts';
import type { Frame } from '../helpers/clients.ts';
import { people } from '../helpers/gateway.ts';
import { openSession, type Session } from './asking.ts';
import type { Soak } from './soak.ts';
import { type Asked, openStage, say, toQuestion } from './stage.ts';

/** Those who go away were told much more, had they stayed. */
const TOKENS = { stay: 40, gone: 120 };
const TOKENS_PER_SECOND = 60;
const FRAME_GAP_MS = 100;

/** How long the sockets listen for what must not come any more. */
const LISTEN_MS = 1_000;

/** The gateway gives a frame three tries. */
const MAX_FAILURES = 2;

export async function soakDoubles(soak: Soak, sockets: number, rounds: number): Promise<void> {
  const title = 'websocket';
  const posts = createPostFaults(soak);
  const stage = await openStage(soak, title, {
    door: 'websocket',
    tokensPerSecond: TOKENS_PER_SECOND,
    settings: { frameGapMs: FRAME_GAP_MS },
    invokeFault: () => 'twice',
    postFault: posts.fault,
  });
  const open = (n: number) => openSession(stage.gateway.socketUrl, n % 2 === 0 ? people.alice : people.bob);
  const sessions = await Promise.all(Array.from({ length: sockets }, (_, n) => open(n)));
  const ask = (session: Session, n: number, kind: keyof typeof TOKENS, id: string): Asked => {
    const { tenant } = n % 2 === 0 ? people.alice : people.bob;
    const question = toQuestion(tenant, id, say(`${tenant}-${id}`, TOKENS[kind]));
    return stage.add(kind, question, session.ask(question), tenant);
  };
  const stay = async (n: number) => {
    const session = sessions[n % sockets];
    // Two sockets, one of each tenant, ask under the same id.
    if (session) await ask(session, n % sockets, 'stay', `stay-${n >> 1}`).asking.ended;
  };
  /** The socket stays open: that it is gone the gateway hears from the post alone. */
  const goAway = async (n: number) => {
    const id = `gone-${n}`;
    const session = await open(n);
    sessions.push(session);
    const asked = ask(session, n, 'gone', id);
    while (asked.asking.ends.length === 0 && !posts.goneAt.has(id)) await sleep(10);
    asked.hasLeft = posts.goneAt.has(id);
    asked.brokenAt = posts.goneAt.get(id) ?? performance.now();
  };
  const jobs = Array.from({ length: sockets * rounds }, (_, n) => [
    { name: `stay-${n >> 1}`, run: () => stay(n) },
    ...(n % 10 === 0 ? [{ name: `gone-${n / 10}`, run: () => goAway(n / 10) }] : []),
  ]).flat();
  await soak.runAll(`${title}: doubles`, jobs, sockets);
  await sleep(LISTEN_MS);
  for (const { foreign, close } of sessions) {
    for (const frame of foreign) soak.fail(`${title}: a foreign frame: ${frame}`);
    close();
  }
  await stage.close();
  console.log(`posts: ${JSON.stringify(posts.counts)}`);
}

/** Of the same post always the same comes, however the requests mingle. */
function createPostFaults(soak: Soak) {
  const goneAt = new Map<string, number>();
  const tries = new Map<string, { all: number; failed: number }>();
  const counts = { all: 0, throttled: 0, failed: 0, lost: 0, gone: 0 };

  function fault(method: string, connectionId: string, body: Buffer): ConnectionFault | undefined {
    if (method !== 'POST') return undefined;
    const { request_id: id = '', seq = 0 } = JSON.parse(String(body)) as Frame;
    const key = [connectionId, id, seq].join(' ');
    const tried = tries.get(key) ?? { all: 0, failed: 0 };
    tries.set(key, tried);
    tried.all++;
    counts.all++;
    if (goneAt.has(id) || (id.startsWith('gone') && soak.draw('gone', id, seq) < 0.2)) {
      if (!goneAt.has(id)) goneAt.set(id, performance.now());
      counts.gone++;
      return { status: 410 };
    }
    const chance = soak.draw('post', id, seq, tried.all);
    if (chance >= 0.05 && chance < 0.15) {
      counts.throttled++;
      return { status: 429 };
    }
    if (chance >= 0.05 || ++tried.failed > MAX_FAILURES) return undefined;
    const isLost = chance < 0.025;
    counts[isLost ? 'lost' : 'failed']++;
    return isLost ? { lost: true } : { status: 503 };
  }

  return { fault, goneAt, counts };
}
