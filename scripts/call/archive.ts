/**
 * What the gateway has for its caller besides answers: models, running requests to cancel, and conversations.
 */
import { Ending, isRecord, parseJson } from '../answer.ts';
import type { Calling } from './chat.ts';
import { expectOk, openHttp, type Send } from './http.ts';
import { watchInterrupts } from './screen.ts';

type Data = Record<string, unknown>;
type Request = (method: string, path: string) => Promise<Data>;

/** Runs a command that asks for JSON; Ctrl-C ends it. Returns the exit code. */
async function inquire(calling: Calling, command: (request: Request) => Promise<void>): Promise<number> {
  const { door, io } = calling;
  if (door.name === 'websocket') throw new Ending(2, 'This goes through --door rest or function-url only.');
  using interrupt = watchInterrupts(io);
  const { signal } = interrupt;
  try {
    const send: Send = await openHttp({ ...calling, signal });
    await command(async (method, path) =>
      parseJson(await (await expectOk(await send(method, path, { signal }))).text()),
    );
    return 0;
  } catch (error) {
    if (signal.aborted) return 130;
    throw error;
  }
}

export const listModels = (calling: Calling) =>
  inquire(calling, async (request) => {
    const models = listOf((await request('GET', '/v1/models'))['data']);
    const rows = models.map(({ id, owned_by: owner }, at) => [id, owner, at === 0 ? 'default' : '']);
    show(calling, models, () => toTable([['MODEL', 'OWNER', ''], ...rows]));
  });

export const cancelRequest = (calling: Calling, id: string) =>
  inquire(calling, async (request) => {
    const said = await request('DELETE', `/v1/requests/${checkId('REQUEST_ID', id)}`);
    show(calling, [said], () => `The request ${id} is being cancelled.\n`);
  });

export type ListOptions = { readonly limit?: number; readonly all?: boolean };

export const listChats = (calling: Calling, { all = false, limit = all ? 100 : 20 }: ListOptions) =>
  inquire(calling, async (request) => {
    const { items, isMore } = await readPages(request, `/v1/chats?limit=${limit}`, 'data', all);
    const rows = items.map(({ chat_id: id, updated_at: at, turns, title }) => [
      id,
      toMinute(at),
      turns,
      `${title}`.replaceAll(/\s+/g, ' '),
    ]);
    show(calling, items, () => toTable([['CHAT', 'UPDATED (UTC)', 'TURNS', 'TITLE'], ...rows]));
    if (isMore) calling.screen.err('There are more; --all lists them.\n');
  });

export const showChat = (calling: Calling, id: string) =>
  inquire(calling, async (request) => {
    const { items } = await readPages(request, `/v1/chats/${checkId('ID', id)}?`, 'turns', true);
    show(calling, items, () => items.map(toText).join('\n'));
  });

export const deleteChat = (calling: Calling, id: string) =>
  inquire(calling, async (request) => {
    await request('DELETE', `/v1/chats/${checkId('ID', id)}`);
    show(calling, [{ chat_id: id, deleted: true }], () => `The conversation ${id} is deleted.\n`);
  });

/** An id is part of a path. */
export function checkId(name: string, id: string): string {
  if (/^[A-Za-z0-9_-]{1,128}$/.test(id)) return id;
  throw new Ending(2, `${name} must be 1 to 128 letters, digits, dashes and underscores.`);
}

async function readPages(request: Request, path: string, field: string, isWhole: boolean) {
  const items: Data[] = [];
  let next = '';
  do {
    const page = await request('GET', next ? `${path}&next=${encodeURIComponent(next)}` : path);
    items.push(...listOf(page[field]));
    next = typeof page['next'] === 'string' ? page['next'] : '';
  } while (next && isWhole);
  return { items, isMore: next !== '' };
}

const listOf = (value: unknown): Data[] => (Array.isArray(value) ? value.filter(isRecord) : []);

const show = ({ screen, isJson }: Calling, items: readonly Data[], toWords: () => string) =>
  screen.out(isJson ? items.map((item) => `${JSON.stringify(item)}\n`).join('') : toWords());

/** Columns as wide as they must be. */
function toTable(rows: readonly (readonly unknown[])[]): string {
  const widths = rows[0]?.map((_, at) => Math.max(...rows.map((row) => `${row[at]}`.length))) ?? [];
  const lines = rows.map((row) => row.map((cell, at) => `${cell}`.padEnd(widths[at] ?? 0)).join('  '));
  return lines.map((line) => `${line.trimEnd()}\n`).join('');
}

const toMinute = (at: unknown) => `${at}`.slice(0, 16).replace('T', ' ');

const toText = ({ prompt, completion, model, state, at }: Data) =>
  `${toMinute(at)}  ${model}${state === 'complete' ? '' : `  ${state}`}
${`${prompt}`.trimEnd().replaceAll(/^/gm, '> ')}

${`${completion}`.trimEnd()}
`;
