/**
 * Who is refused at a door's edge, and what is not there. Most of these statuses only a deployment can prove: API Gateway and Lambda send
 * them before any code of ours runs.
 */
import { randomUUID } from 'node:crypto';
import { Ending, isRecord } from '../answer.ts';
import type { Check } from './check.ts';
import type { Door } from './door.ts';
import { type Http, readCode } from './http.ts';
import type { Access, Place } from './place.ts';
import { exchange, knock } from './socket-door.ts';

/** A page that nobody lists. */
const FOREIGN_ORIGIN = 'https://smoke.invalid';

const unknownModel = { model: 'no-such-model', prompt: 'Hello.', cache: 'off', store: false } as const;

/** What a gateway was deployed with; `*` is any. */
export type Allowed = { readonly origins: readonly string[]; readonly models: readonly string[] };

/** Those that this door has. */
export function edgesOf({ place, http }: Door, { origins, models }: Allowed): readonly Check[] {
  const unless = (isOpen: boolean, variable: string, check: Check): Check =>
    isOpen ? { ...check, run: async () => ({ result: 'skipped', note: `${variable} is * here.` }) } : check;
  const pages = timed('lets no foreign page in', (signal) => tryOrigin(place, http, signal));
  const model = timed('has no unknown model', (signal) => tryModel(place, http, signal));
  return [
    ...strangersOf(place).map((stranger) => refuses(stranger, place, http)),
    unless(origins.includes('*'), 'ALLOWED_ORIGINS', pages),
    unless(models.includes('*'), 'ALLOWED_MODELS', model),
    ...(http ? [timed('has no unknown path', (signal) => tryPath(http, signal))] : []),
  ];
}

type Stranger = {
  readonly name: string;
  readonly access: Access;
  /** Any of these will do. */
  readonly statuses: readonly number[];
};

/** Where AWS decides between 401 and 403, both are right, and the table says which it was. */
function strangersOf({ name, access: { key, credentials } }: Place): Stranger[] {
  const signing = credentials && { credentials };
  const wrongKey = `smoke${randomUUID().replaceAll('-', '')}`;
  const unsigned: Stranger = {
    name: 'who does not sign',
    access: key === undefined ? {} : { key },
    statuses: name === 'function-url' ? [403] : [401, 403],
  };
  const isSocket = name === 'websocket';
  const keyless: Stranger = {
    name: 'who shows no key',
    access: { ...signing },
    statuses: isSocket && signing ? [401, 403] : [401],
  };
  const mistaken: Stranger = {
    name: 'who shows a wrong key',
    access: { ...signing, key: wrongKey },
    statuses: [isSocket ? 403 : 401],
  };
  return [...(signing ? [unsigned] : []), ...(key === undefined ? [] : [keyless, mistaken])];
}

const refuses = ({ name, access, statuses }: Stranger, place: Place, http: Http | undefined): Check =>
  timed(`refuses ${name}`, async (signal) => {
    if (!http) return judge({ status: await knock(place, { signal, access }) }, statuses);
    return judge(await fetchRefusal(http, 'GET', '/v1/models', { signal, access }), statuses, 'unauthorized');
  });

/** A browser shows a page nothing that does not name its origin; whatever else the headers say is of no use to it. */
async function tryOrigin(place: Place, http: Http | undefined, signal: AbortSignal): Promise<string> {
  const headers = { origin: FOREIGN_ORIGIN };
  if (!http) return judge({ status: await knock(place, { signal, origin: FOREIGN_ORIGIN }) }, [403]);
  const preflight = { ...headers, 'access-control-request-method': 'POST' };
  const answers = [
    await http.send('GET', '/v1/models', { signal, headers }),
    await http.send('OPTIONS', '/v1/chat', { signal, headers: preflight, access: {} }),
  ];
  for (const { headers: given, body } of answers) {
    await body?.cancel();
    if (given.has('access-control-allow-origin'))
      throw new Ending(1, 'A page of a foreign origin gets access-control-allow-origin.');
  }
  return 'no access-control-allow-origin';
}

async function tryModel(place: Place, http: Http | undefined, signal: AbortSignal): Promise<string> {
  const body = unknownModel;
  if (http)
    return judge(await fetchRefusal(http, 'POST', '/v1/chat', { signal, body }), [404], 'model_not_found');
  const { error } = await exchange(place, { action: 'chat', ...body }, signal);
  const { status, code } = isRecord(error) ? error : {};
  return judge({ status, code }, [404], 'model_not_found');
}

async function tryPath(http: Http, signal: AbortSignal): Promise<string> {
  return judge(await fetchRefusal(http, 'GET', '/v1/nowhere', { signal }), [404], 'not_found');
}

type Refusal = { readonly status: unknown; readonly code?: unknown };

async function fetchRefusal(http: Http, ...request: Parameters<Http['send']>): Promise<Refusal> {
  const response = await http.send(...request);
  return { status: response.status, code: await readCode(response) };
}

/** A 403 is AWS's own, and has no code of ours. */
function judge({ status, code }: Refusal, statuses: readonly number[], wanted?: string): string {
  const isRight =
    statuses.some((one) => one === status) && (status === 403 || wanted === undefined || code === wanted);
  const said = toWords(status, code);
  if (isRight) return said;
  throw new Ending(1, `${said}, and should be ${toWords(statuses.join(' or '), wanted)}.`);
}

const toWords = (status: unknown, code: unknown) =>
  [`HTTP ${status ?? 'nothing'}`, ...(typeof code === 'string' ? [code] : [])].join(' ');

/** The check is right with this note if it comes to an end. */
const timed = (name: string, run: (signal: AbortSignal) => Promise<string>): Check => ({
  name,
  async run(_, { signal }) {
    const askedAt = performance.now();
    const note = await run(signal);
    return { result: 'ok', ms: performance.now() - askedAt, note };
  },
});
