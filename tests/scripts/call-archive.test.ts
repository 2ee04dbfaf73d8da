/**
 * `npm run call -- models`, `cancel` and `chats`, against the gateway itself.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Io } from '../../scripts/call.ts';
import { createKeyboard, run, startDoor } from '../helpers/call.ts';
import { type Gateway, people, startGateway, until } from '../helpers/gateway.ts';

const archive = suite('models, cancel and chats');

type Ask = (args: readonly string[], changes?: Partial<Io>) => ReturnType<typeof run>;

/** By each HTTP door, with the key or the signature of alice. */
async function byEachDoor(test: (ask: Ask, gateway: Gateway) => Promise<void>) {
  const { key, accessKeyId, secretAccessKey } = people.alice;
  for (const door of ['rest', 'function-url'] as const) {
    const gateway = await startGateway({ door, tokensPerSecond: 400 });
    const env = {
      GATEWAY_API_KEY: key,
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
    };
    try {
      await test(
        (args, changes) => run([...args, '--door', door, '--url', gateway.url], env, changes),
        gateway,
      );
    } finally {
      await gateway.close();
    }
  }
}

archive('the models are a table with the default first, or lines of JSON', () =>
  byEachDoor(async (ask) => {
    const { code, out, err } = await ask(['models']);
    assert.equal([code, err], [0, '']);
    assert.match(out, /^MODEL +OWNER\n\S+ +amazon +default\n/);
    assert.not.match(out, / \n/);
    const lines = (await ask(['models', '--json'])).out.trim().split('\n');
    assert.is(JSON.parse(lines[0] ?? '').object, 'model');
    assert.is(lines.length, out.trim().split('\n').length - 1);
  }),
);

archive('a conversation is listed, shown and deleted', () =>
  byEachDoor(async (ask) => {
    assert.equal((await ask(['chats'])).out, 'CHAT  UPDATED (UTC)  TURNS  TITLE\n');
    const ids: string[] = [];
    for (const _ of [1, 2, 3]) {
      const { out } = await ask(['ECHO one of\ntwo', '--json']);
      ids.push(JSON.parse(out.split('\n')[0] ?? '').chat_id);
    }
    const [, second, third] = ids as [string, string, string];
    await ask(['ECHO three', '--chat-id', third]);

    const listed = await ask(['chats']);
    const row = (id: string, turns: number) =>
      `\n${id}  \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d  ${turns}      ECHO one of two`;
    assert.match(
      listed.out,
      new RegExp(`^CHAT +UPDATED \\(UTC\\) +TURNS {2}TITLE${row(third, 2)}${row(second, 1)}\n`),
    );
    const first = await ask(['chats', 'list', '--limit', '2']);
    assert.equal([first.code, first.err], [0, 'There are more; --all lists them.\n']);
    assert.is(first.out.split('\n').length, 4);
    assert.equal(await ask(['chats', '--limit', '2', '--all']), listed);
    const { out: json } = await ask(['chats', '--json', '--limit', '1']);
    assert.equal([JSON.parse(json).chat_id, JSON.parse(json).turns], [third, 2]);

    const { out: shown } = await ask(['chats', 'show', third]);
    const turn = (lines: string) => new RegExp(`^\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d {2}\\S+\\n${lines}$`);
    const [one = '', two = ''] = shown.split(/\n(?=\d{4}-)/);
    assert.match(one, turn('> ECHO one of\n> two\n\none of\ntwo\n'));
    assert.match(two, turn('> ECHO three\n\nthree\n'));
    const turns = (await ask(['chats', 'show', third, '--json'])).out.trim().split('\n');
    assert.equal(
      turns.map((line) => JSON.parse(line).completion),
      ['one of\ntwo', 'three'],
    );

    assert.equal(await ask(['chats', 'delete', third]), {
      code: 0,
      out: `The conversation ${third} is deleted.\n`,
      err: '',
    });
    assert.is(
      (await ask(['chats', 'delete', second, '--json'])).out,
      `{"chat_id":"${second}","deleted":true}\n`,
    );
    assert.is((await ask(['chats'])).out.split('\n').length, 3);
    const { code, out, err } = await ask(['chats', 'show', third]);
    assert.equal([code, out], [1, '']);
    assert.match(err, /^not_found: .*\nrequest id: /);
  }),
);

archive('a running request is cancelled, and one that is not is told', () =>
  byEachDoor(async (ask, gateway) => {
    let id = '';
    const out = (line: string) => void (id ||= JSON.parse(line).request_id);
    const running = ask(['--json', `ECHO ${'word '.repeat(2_000)}`], { out });
    await until(() => id !== '');
    const cancelled = { code: 0, out: `The request ${id} is being cancelled.\n`, err: '' };
    assert.equal(await ask(['cancel', id]), cancelled);
    const { code, err } = await running;
    assert.is(code, 1);
    assert.match(err, /^The answer was cancelled; about \d+ tokens were read and \d+ written\.\n$/);
    await until(() => gateway.ledger.open === 0);
    const refused = await ask(['cancel', id]);
    assert.equal([refused.code, refused.out], [1, '']);
    assert.match(refused.err, /^not_found: There is no running request with this id\.\n/);
  }),
);

archive('--all asks for the longest pages, one after the other, and titles keep to their line', async () => {
  const chat = (id: string) => ({
    chat_id: id,
    title: 'a\n b',
    turns: 1,
    updated_at: '2026-08-01T12:34:56Z',
  });
  await using door = await startDoor((response, { request }) => {
    const isFirst = !request.url?.includes('next=');
    response.end(JSON.stringify({ data: [chat(isFirst ? 'c-2' : 'c-1')], next: isFirst ? 'a/b&c' : null }));
  });
  const { code, out } = await run(['chats', '--all', '--url', door.url]);
  assert.is(code, 0);
  assert.is(out.split('\n').slice(1).join('\n'), ROWS);
  const asked = door.asked.map(({ request }) => request.url);
  assert.equal(asked, ['/v1/chats?limit=100', '/v1/chats?limit=100&next=a%2Fb%26c']);
});

const ROWS = 'c-2   2026-08-01 12:34  1      a b\nc-1   2026-08-01 12:34  1      a b\n';

archive('a turn that is not whole is shown as such', async () => {
  const turn = { prompt: 'a', completion: 'b', model: 'm', state: 'cancelled', at: '2026-08-01T12:34:56Z' };
  await using door = await startDoor((response) => response.end(JSON.stringify({ turns: [turn] })));
  const { out } = await run(['chats', 'show', 'c-1', '--url', door.url]);
  assert.is(out, '2026-08-01 12:34  m  cancelled\n> a\n\nb\n');
});

archive('Ctrl-C ends a command that waits', async () => {
  const { interrupts, press } = createKeyboard();
  await using door = await startDoor(press);
  const ran = await run(['models', '--url', door.url], {}, { interrupts });
  assert.equal(ran, { code: 130, out: '', err: '' });
});

archive.run();
