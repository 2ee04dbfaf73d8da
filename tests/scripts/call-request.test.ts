/**
 * What `npm run call` sends, and what it refuses to send.
 */
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Credentials } from '../../scripts/credentials.ts';
import {
  type Asked,
  createKeyboard,
  done,
  FUNCTION_URL,
  fetchOf,
  ID,
  run,
  SECRET,
  start,
  startDoor,
  streaming,
  withFolder,
} from '../helpers/call.ts';
import { joinParts, SOCKET, sendsFrames, startSocketDoor } from '../helpers/call-socket.ts';

const sending = suite('the request');

/** But for the id that it is cancelled by. */
function bodyOf(text: string) {
  const { request_id: _, ...body } = JSON.parse(text);
  return body;
}

sending('it is the question alone, as an event stream, at /v1/chat', async () => {
  await using door = await startDoor(streaming(done()));
  await run(['What', 'is a Faraday', 'cage?'], { FUNCTION_URL: door.url, GATEWAY_API_KEY: 'one' });
  const [{ request, body }] = door.asked as [Asked];
  assert.equal([request.method, request.url], ['POST', '/v1/chat']);
  assert.is(request.headers.accept, 'text/event-stream');
  assert.is(request.headers['content-type'], 'application/json');
  assert.is(request.headers['x-api-key'], undefined);
  assert.match(JSON.parse(body).request_id, /^[0-9a-f-]{36}$/);
  assert.equal(bodyOf(body), { prompt: 'What is a Faraday cage?', stream: true });
});

sending('each option has its place in the body', async () => {
  await using door = await startDoor(streaming(done()));
  const options = ['--model', 'm:1', '--system', 'Be brief.', '--max-tokens', '12', '--temperature', '0.5'];
  await run(['--url', `${door.url}/`, ...options, '--', '--why?'], { FUNCTION_URL: 'http://127.0.0.1:1' });
  await run(['hi', '--temperature', '0'], { FUNCTION_URL: door.url });
  const more = [
    '--top-p=0.9',
    '--stop',
    'END',
    '--stop=.',
    '--cache',
    'off',
    '--no-store',
    '--chat-id',
    'c-9',
  ];
  await run(['chat', 'hi', ...more], { FUNCTION_URL: door.url });
  assert.equal(
    door.asked.map(({ body }) => bodyOf(body)),
    [
      {
        prompt: '--why?',
        model: 'm:1',
        system: 'Be brief.',
        parameters: { max_tokens: 12, temperature: 0.5 },
        stream: true,
      },
      { prompt: 'hi', parameters: { temperature: 0 }, stream: true },
      {
        prompt: 'hi',
        chat_id: 'c-9',
        parameters: { top_p: 0.9, stop_sequences: ['END', '.'] },
        cache: 'off',
        store: false,
        stream: true,
      },
    ],
  );
});

sending('the URL is --url, else FUNCTION_URL, else the usual port of this machine', async () => {
  const urlFor = async (args: string[], env: Record<string, string>) => {
    const { fetch, sent } = fetchOf();
    await run(['hi', ...args], env, { fetch });
    return sent[0]?.url;
  };
  assert.is(await urlFor([], {}), 'http://127.0.0.1:3001/v1/chat');
  assert.is(await urlFor([], { FUNCTION_URL: '', FUNCTION_URL_PORT: '' }), 'http://127.0.0.1:3001/v1/chat');
  assert.is(await urlFor([], { FUNCTION_URL_PORT: '3999' }), 'http://127.0.0.1:3999/v1/chat');
  const env = { FUNCTION_URL: 'http://localhost:4/', FUNCTION_URL_PORT: 'x' };
  assert.is(await urlFor([], env), 'http://localhost:4/v1/chat');
  assert.is(await urlFor(['--url', 'http://[::1]:5/stage/?a=b#c'], env), 'http://[::1]:5/stage/v1/chat');
  assert.is(
    await urlFor(['--url', 'http://localhost//elsewhere'], env),
    'http://localhost//elsewhere/v1/chat',
  );
});

sending('the region is the Function URL’s own, else that of the environment, else us-east-1', async () => {
  const sources = { keyPath: '', standardChain: async () => ({ accessKeyId: ID, secretAccessKey: SECRET }) };
  const scopeFor = async (url: string, env: Record<string, string>) => {
    const { fetch, sent } = fetchOf();
    await run(['hi', '--url', url], env, { fetch, sources });
    return /\/\d{8}\/(.*)\/aws4_request/.exec(sent[0]?.headers.get('authorization') ?? '')?.[1];
  };
  const env = { AWS_REGION: 'eu-north-1', AWS_DEFAULT_REGION: 'eu-south-1' };
  assert.is(await scopeFor(FUNCTION_URL, env), 'eu-west-1/lambda');
  assert.is(await scopeFor('https://gateway.example.com', env), 'eu-north-1/lambda');
  for (const other of [
    'evil.example/a.lambda-url.x.on.aws',
    'a.b.lambda-url.x.on.aws',
    'a.lambda-url.x.on.aws.io',
  ])
    assert.is(await scopeFor(`https://${other}`, env), 'eu-north-1/lambda', other);
  assert.is(await scopeFor('https://gateway.example.com', { ...env, AWS_REGION: '' }), 'eu-south-1/lambda');
  assert.is(await scopeFor('http://127.0.0.1:3001', {}), 'us-east-1/lambda');
});

sending('the rest door is shown the key, and the URL is --url, else REST_URL, else PORT', async () => {
  const sentTo = async (args: string[], env: Record<string, string>) => {
    const { fetch, sent } = fetchOf();
    assert.is((await run(['hi', '--door', 'rest', ...args], env, { fetch })).code, 0);
    return [sent[0]?.url, sent[0]?.headers.get('x-api-key'), sent[0]?.headers.get('authorization')];
  };
  const env = { PORT: '3999', LOCAL_API_KEYS: 'a=one' };
  assert.equal(await sentTo([], env), ['http://127.0.0.1:3999/v1/chat', 'one', null]);
  const deployed = { GATEWAY_API_KEY: 'two', REST_URL: 'https://a.example/prod/' };
  assert.equal(await sentTo([], deployed), ['https://a.example/prod/v1/chat', 'two', null]);
  assert.is((await sentTo(['--url', 'https://b.example'], deployed))[0], 'https://b.example/v1/chat');
});

sending(
  '--iam signs for API Gateway in the region of its URL, with the key beside it if there is one',
  async () => {
    await using door = await startDoor(streaming(done()), 'execute-api');
    const args = ['hi', '--door', 'rest', '--iam', '--url', door.url];
    assert.is((await run(args, { LOCAL_API_KEYS: 'a=one' })).code, 0);
    assert.is((await run(args, { GATEWAY_API_KEY: 'two' })).code, 0);
    const keys = door.asked.map(({ request }) => request.headers['x-api-key']);
    assert.equal([...keys, door.asked[0]?.accessKeyId], [undefined, 'two', ID]);
    const { fetch, sent } = fetchOf();
    const sources = {
      keyPath: '',
      standardChain: async () => ({ accessKeyId: ID, secretAccessKey: SECRET }),
    };
    const url = 'https://abc.execute-api.eu-north-1.amazonaws.com/prod';
    await run([...args.slice(0, 4), '--url', url], {}, { fetch, sources });
    assert.match(sent[0]?.headers.get('authorization') ?? '', '/eu-north-1/execute-api/');
  },
);

sending('a session token is sent and signed', async () => {
  await using door = await startDoor(streaming(done()));
  const env = { AWS_ACCESS_KEY_ID: 'AKIAENV', AWS_SECRET_ACCESS_KEY: SECRET, AWS_SESSION_TOKEN: 'a/token==' };
  assert.is((await run(['hi'], { FUNCTION_URL: door.url, ...env })).code, 0);
  assert.is(door.asked[0]?.accessKeyId, 'AKIAENV');
  assert.is(door.asked[0]?.request.headers['x-amz-security-token'], 'a/token==');
});

sending('--chat-id last goes on with the latest conversation through that door', () =>
  withFolder(async (folder) => {
    await using door = await startDoor(streaming(start, done()));
    const lastChatsPath = join(folder, '.local/last-chats.json');
    const last = (url: string) => run(['hi', '--chat-id', 'last', '--url', url], {}, { lastChatsPath });
    assert.is((await last(door.url)).code, 2);
    await run(['hi', '--url', door.url], {}, { lastChatsPath });
    assert.is((await last(door.url)).code, 0);
    assert.is(JSON.parse(door.asked[1]?.body ?? '').chat_id, 'c-1');
    assert.is((await last(`${door.url}/elsewhere`)).code, 2);
    await run(['hi', '--url', `${door.url}/elsewhere`], {}, { lastChatsPath });
    assert.is((await last(door.url)).code, 0);
    const nowhere = { lastChatsPath: join(door.url, 'never\0') };
    assert.is((await run(['hi', '--url', door.url], {}, nowhere)).code, 0);
  }),
);

sending('it can be aborted while credentials are still awaited', async () => {
  const { interrupts, press } = createKeyboard();
  const standardChain = () => {
    queueMicrotask(press);
    return new Promise<Credentials>(() => {});
  };
  const io = { interrupts, sources: { keyPath: '', standardChain } };
  assert.equal(await run(['hi', '--url', FUNCTION_URL], {}, io), { code: 130, out: '', err: '' });
});

sending('it can be aborted while its question is still awaited', async () => {
  const { interrupts, press } = createKeyboard();
  const readInput = (signal: AbortSignal) =>
    new Promise<string>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason));
      queueMicrotask(press);
    });
  assert.equal(await run(['-'], {}, { readInput, interrupts }), { code: 130, out: '', err: '' });
});

sending('Ctrl-C before it is sent leaves at once, by every door', async () => {
  await using door = await startDoor(streaming(done()));
  await using socketDoor = await startSocketDoor(sendsFrames(done()));
  for (const name of ['rest', 'websocket', 'function-url']) {
    const { interrupts, press } = createKeyboard();
    const readInput = async () => {
      press();
      return 'hi';
    };
    const env = { ...socketDoor.env, FUNCTION_URL: door.url, REST_URL: door.url };
    const ran = await run(['-', '--door', name], env, { readInput, interrupts });
    assert.equal(ran, { code: 130, out: '', err: '' }, name);
  }
  assert.equal([door.asked.length, socketDoor.heard.length], [0, 0]);
});

sending('a question of - is read from the input, by either door', async () => {
  const question = `What is "this"?\n${'🕰'.repeat(40_000)}\n`;
  const readInput = async () => question;
  await using door = await startDoor(streaming(done()));
  await using socketDoor = await startSocketDoor(sendsFrames(done()));
  assert.is((await run(['-'], { FUNCTION_URL: door.url }, { readInput })).code, 0);
  assert.is((await run(['-', ...SOCKET], socketDoor.env, { readInput, pause: async () => {} })).code, 0);
  assert.is(JSON.parse(door.asked[0]?.body ?? '').prompt, question);
  assert.is(JSON.parse(joinParts(socketDoor.heard)).prompt, question);
  const nothing = { code: 2, out: '', err: 'There is no question on the standard input.\n' };
  assert.equal(await run(['-'], { FUNCTION_URL: door.url }, { readInput: async () => ' \n' }), nothing);
});

sending.run();

// ---

const commands = suite('a command that is none');

commands('the help names every option and every command, in 80 columns', async () => {
  const asked = await run(['--help']);
  assert.equal([asked.code, asked.err], [0, '']);
  assert.equal(await run(['help']), asked);
  const options = ['door', 'url', 'iam', 'json', 'help', 'model', 'system', 'max-tokens', 'temperature'];
  for (const word of [...options, 'top-p', 'stop', 'cache', 'no-store', 'chat-id'])
    assert.match(asked.out, new RegExp(`^ {2}--${word} `, 'm'));
  for (const word of ['chat', 'models', 'cancel', 'chats', 'settings', 'upload', 'keys'])
    assert.match(asked.out, new RegExp(`^ {2}${word} `, 'm'));
  const texts = [asked, await run(['help', 'chat']), await run(['chats', '--help'])];
  for (const { code, out } of [...texts, await run(['chats', 'list', '--help'])]) {
    assert.ok(code === 0 && out.startsWith('Usage: npm run call -- '), out);
    for (const line of out.split('\n')) assert.ok(line.length <= 80, line);
  }
});

commands('what has a file of its own answers with its own help', async () => {
  for (const [name, said] of [
    ['settings', /^npm run settings/],
    ['upload', /^npm run bulk-upload/],
    ['keys', /^Usage: npm run call -- keys/],
  ] as const) {
    const { code, out } = await run(['help', name]);
    assert.match(out, said);
    assert.is(code, 0);
    assert.is((await run([name, '--help'])).out, out);
    const after = await run(['--json', name, 'list', '--aws']);
    assert.equal(after, { code: 2, out: '', err: `Write ${name} first: npm run call -- ${name} --help.\n` });
  }
});

commands('what is wrong is told in a sentence, before anything is sent', async () => {
  const { fetch, sent } = fetchOf();
  const wrong: [args: string[], env: Record<string, string>, sentence: RegExp][] = [
    [[], {}, /^There is no question on the standard input\.\n$/],
    [['--json'], {}, /^There is no question on the standard input\.\n$/],
    [['  '], {}, /^There is no question/],
    [['hi', '--tokens', '1'], {}, /^Unknown option '--tokens'.*\n$/],
    [['hi', '--model'], {}, /^Option '--model <id>' argument missing\.\n$/],
    [['hi', '--temperature', '-1'], {}, /^--temperature must be a number from 0 to 1\.\n$/],
    [['hi', '--door', 'tcp'], {}, /^--door must be rest, websocket or function-url\.\n$/],
    [['hi', '--door', 'rest', '--url', 'http://10.0.0.1'], {}, /^--url must be an https URL without a user/],
    [['hi', '--door', 'rest'], { REST_URL: 'https://:canary@a.b' }, /^REST_URL must be [^@]*$/],
    [['hi', ...SOCKET, '--iam'], {}, /^--iam goes with --door rest or function-url only\.\n$/],
    [['models', ...SOCKET], {}, /^This goes through --door rest or function-url only\.\n$/],
    [['hi', '--cache', 'on'], {}, /^--cache must be use, refresh or off\.\n$/],
    [['hi', '--top-p', '1.1'], {}, /^--top-p must be a number from 0 to 1\.\n$/],
    [['hi', '--chat-id', 'a/b'], {}, /^--chat-id must be 1 to 128 letters/],
    [['hi', '--chat-id', 'last'], {}, /^--chat-id last needs a conversation/],
    [
      ['cancel', '../v1/chats'],
      {},
      /^REQUEST_ID must be 1 to 128 letters, digits, dashes and underscores\.\n$/,
    ],
    [['cancel'], {}, /^Missing required argument 'request_id'\.\n$/],
    [['chats', 'show', 'a/b'], {}, /^ID must be 1 to 128/],
    [['chats', 'delete', 'x'.repeat(129)], {}, /^ID must be 1 to 128/],
    [['chats', '--limit', '101'], {}, /^--limit must be a whole number from 1 to 100\.\n$/],
    [['chats', 'hide'], {}, /^Too many arguments for 'list'.*\n$/],
    [['models', '--temperature', '1'], {}, /^Unknown option '--temperature'/],
    [['help', 'nothing'], {}, /^Usage: /],
    [['hi', '--door', 'toString'], {}, /^--door must be/],
    [['hi', ...SOCKET, '--url', 'ws://gateway.example.com'], {}, /^--url must be a wss URL without a user/],
    [['hi', ...SOCKET, '--url', 'http://127.0.0.1:3000/ws'], {}, /^--url must be a wss URL/],
    [['hi', ...SOCKET], { WEBSOCKET_URL: 'wss://:canary@a.b' }, /^WEBSOCKET_URL must be [^@]*$/],
    [['hi', ...SOCKET], { PORT: '0' }, /^PORT must be a whole number from 1 to 65535\.\n$/],
    [['hi', '--url', '127.0.0.1:3001'], {}, /^--url must be an http or https URL without a user, such as/],
    [['hi', '--url', ''], {}, /^--url must be/],
    [['hi', '--url', 'ftp://a'], { FUNCTION_URL: 'http://a' }, /^--url must be/],
    [['hi'], { FUNCTION_URL: 'nowhere' }, /^FUNCTION_URL must be an http or https URL.*\n$/],
    [['hi'], { FUNCTION_URL: `https://${SECRET.replaceAll('/', '')}@a.b` }, /^FUNCTION_URL must be/],
    [['hi'], { FUNCTION_URL: 'https://:canary@a.b' }, /^FUNCTION_URL must be [^@]*$/],
    ...['0', '65536', 'x', '1e3', '-1', '3001 '].map((port): [string[], Record<string, string>, RegExp] => [
      ['hi'],
      { FUNCTION_URL_PORT: port },
      /^FUNCTION_URL_PORT must be a whole number from 1 to 65535\.\n$/,
    ]),
    ...['0', '-0', '1.5', 'many', '', '1e3', '9'.repeat(400)].map(
      (count): [string[], Record<string, string>, RegExp] => [
        ['hi', `--max-tokens=${count}`],
        {},
        /^--max-tokens must be a whole number from 1\.\n$/,
      ],
    ),
    ...['-0.1', '1.1', '2', 'warm', '', '.', '1e-1'].map(
      (value): [string[], Record<string, string>, RegExp] => [
        ['hi', `--temperature=${value}`],
        {},
        /^--temperature must be a number from 0 to 1\.\n$/,
      ],
    ),
  ];
  for (const [args, env, sentence] of wrong) {
    const { code, out, err } = await run(args, env, { fetch });
    assert.equal([code, out], [2, ''], args.join(' '));
    assert.match(err, sentence);
  }
  assert.is(sent.length, 0);
});

commands('what is right at the edge is sent', async () => {
  for (const args of [['--temperature=1.0'], ['--temperature=.5'], ['--max-tokens=1'], ['--temperature=0']])
    assert.is((await run(['hi', ...args], {}, fetchOf())).code, 0, args[0]);
});

commands.run();
