/**
 * `npm run call` over the WebSocket.
 */

import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadApiKey } from '../../scripts/socket.ts';
import {
  ask,
  createKeyboard,
  delta,
  done,
  event,
  failure,
  run,
  start,
  startDoor,
  streaming,
  withKeyFile,
} from '../helpers/call.ts';
import {
  askSocket,
  countPauses,
  joinParts,
  KEY,
  type Message,
  refusal,
  SOCKET,
  type Speaker,
  sends,
  sendsFrames,
  startSocketDoor,
  toFrames,
} from '../helpers/call-socket.ts';
import { people, startGateway } from '../helpers/gateway.ts';

const overSocket = suite('over the WebSocket');

overSocket('the question is a chat of its own, and the key goes into a subprotocol', async () => {
  await using door = await startSocketDoor(sendsFrames(done()));
  const options = ['--model', 'm:1', '--system', 'Be brief.', '--max-tokens', '12', '--temperature', '0.5'];
  assert.is((await run([...SOCKET, 'What', 'is?', ...options], door.env)).code, 0);
  assert.equal(door.offered, [['llm-gateway', `llm-gateway.key.${KEY}`]]);
  const [{ request_id: id, ...message }] = door.heard as [Message];
  assert.match(String(id), /^[0-9a-f-]{36}$/);
  assert.equal(message, {
    action: 'chat',
    prompt: 'What is?',
    model: 'm:1',
    system: 'Be brief.',
    parameters: { max_tokens: 12, temperature: 0.5 },
    stream: true,
  });
});

overSocket('every answer is printed as the Function URL prints it', async () => {
  const whole = [start, event('delta', { reasoning: 'hm' }), delta('Käfig'), delta(' 🕰\n')];
  for (const ending of [[done()], [done('max_tokens')], [event('error', { error: failure })], []])
    for (const args of [[], ['--json']]) {
      const events = [...whole, ...ending];
      const frames = sendsFrames(...events);
      const closing = (message: Message, speaker: Speaker) => {
        frames(message, speaker);
        if (ending.length === 0) speaker.socket.close();
      };
      const { heard: _, ...ran } = await askSocket(closing, ['hi', ...args], { isTerminal: true });
      assert.equal(ran, await ask(streaming(...events), args, { isTerminal: true }));
    }
  const cancelled = event('cancelled', { usage: null, estimated: true });
  const { code, out, err } = await askSocket(sendsFrames(delta('A'), cancelled));
  assert.equal({ code, out, err }, await ask(streaming(delta('A'), cancelled)));
});

overSocket(
  'a frame that comes twice is printed once, and one that is missing breaks the answer',
  async () => {
    const [one, two, three, four] = toFrames(start, delta('A'), delta('B'), done()) as [
      object,
      object,
      object,
      object,
    ];
    const { code, out } = await askSocket(sends(one, two, one, two, three, three, four));
    assert.equal([code, out], [0, 'AB\n']);
    const broken = await askSocket(sends(one, two, four));
    assert.equal([broken.code, broken.out, broken.err], [1, 'A\n', 'The answer broke off before its end.\n']);
  },
);

overSocket(
  'the failure that is told for a worker that died is printed, however many frames are missing',
  async () => {
    const [one, two] = toFrames(start, delta('A')) as [object, object];
    const last = { ...toFrames(event('error', { error: failure }))[0], seq: 2_147_483_647 };
    const { code, out, err } = await askSocket(sends(one, two, last));
    const whole = await ask(streaming(start, delta('A'), event('error', { error: failure })));
    assert.equal({ code, out, err }, whole);
  },
);

overSocket('a connection that ends, with or without a word, breaks the answer off', async () => {
  for (const end of ['close', 'terminate'] as const) {
    const { code, out, err } = await askSocket((_, { socket }) => {
      socket.send(JSON.stringify(toFrames(delta('A'))[0]), () => socket[end]());
    });
    assert.equal([code, out, err], [1, 'A\n', 'The answer broke off before its end.\n'], end);
  }
});

overSocket('a refusal is told like any other, and so is API Gateway’s own', async () => {
  const refused = await askSocket(sends(refusal('model_not_found')), ['hi', '--json']);
  assert.equal([refused.code, refused.out], [1, '']);
  assert.is(refused.err, 'model_not_found: No.\nrequest id: r-1\n');
  const failed = await askSocket(
    sends({ message: 'Internal server error', connectionId: 'c', requestId: 'q' }),
  );
  assert.equal([failed.code, failed.out, failed.err], [1, '', 'Internal server error\n']);
});

overSocket('a frame without seq in the middle of an answer changes nothing', async () => {
  const [one, two] = toFrames(delta('A'), done()) as [object, object];
  const { code, out } = await askSocket(sends(one, refusal('rate_limited'), { type: 'pong' }, two));
  assert.equal([code, out], [0, 'A\n']);
});

overSocket.run();

// ---

const parts = suite('a question in parts');

/** As long as a command line takes it; with quotes, each of which is two more bytes within a part. */
const LONG = `ECHO ${'"Käfig" 🕰 '.repeat(6_000)}end`;

parts(
  'whatever is longer than 28 KB comes in parts of at most so much, fewer than ten a second',
  async () => {
    const { pauses, pause } = countPauses();
    const { code, heard } = await askSocket(sendsFrames(done()), [LONG], { pause });
    assert.is(code, 0);
    const ids = new Set(heard.map(({ request_id: id }) => id));
    for (const [at, { action, n, of, data, ...rest }] of heard.entries()) {
      assert.equal([action, n, of, Object.keys(rest)], ['part', at, heard.length, ['request_id']]);
      assert.ok(Buffer.byteLength(JSON.stringify(data)) <= 28 * 1024 + 2);
    }
    const whole = JSON.parse(joinParts(heard));
    assert.equal([whole.action, whole.prompt, ids.size], ['chat', LONG, 1]);
    assert.ok(ids.has(whole.request_id));
    assert.is(pauses.length, heard.length - 1);
    assert.ok(pauses.every((ms) => ms > 100));
  },
);

parts('the longest question that fits goes in one message', async () => {
  const { heard } = await askSocket(sendsFrames(done()), ['x'.repeat(28 * 1024 - 101)]);
  assert.equal([heard.length, heard[0]?.['action']], [1, 'chat']);
  assert.ok(Buffer.byteLength(JSON.stringify(heard[0])) > 28 * 1024 - 10);
  const { heard: longer } = await askSocket(sendsFrames(done()), ['x'.repeat(28 * 1024 - 60)]);
  assert.is(longer.length, 2);
});

parts('one that is refused with 429 is sent again after a pause, and no other', async () => {
  const { pauses, pause } = countPauses();
  const frames = toFrames(delta('A'), done());
  const say = ({ n, of }: Message, { socket, heard }: Speaker) => {
    if (n === 1 && heard.length === 2) socket.send(JSON.stringify(refusal('rate_limited', 'No.', 1)));
    if (heard.length > Number(of)) for (const frame of frames) socket.send(JSON.stringify(frame));
  };
  const { code, out, heard } = await askSocket(say, [LONG], { pause });
  assert.equal([code, out], [0, 'A\n']);
  assert.is(heard.length, Number(heard[0]?.['of']) + 1);
  assert.is(heard.filter(({ n }) => n === 1).length, 2);
  assert.is(pauses.filter((ms) => ms > 1_000).length, 1);
});

parts('a gateway that refuses them forever is given up', async () => {
  const { pause } = countPauses();
  const say = ({ n }: Message, { socket }: Speaker) =>
    socket.send(JSON.stringify(refusal('rate_limited', 'No.', Number(n))));
  const { code, err, heard } = await askSocket(say, [LONG], { pause });
  assert.equal([code, err], [1, 'rate_limited: No.\nrequest id: r-1\n']);
  assert.ok(heard.length <= Number(heard[0]?.['of']) + 20);
});

parts('no other refusal is asked for twice, nor is that of a question in one message', async () => {
  for (const [code, prompt] of [
    ['unauthorized', LONG],
    ['conflict', LONG],
    ['rate_limited', 'hi'],
  ] as const) {
    const ran = await askSocket(sends(refusal(code)), [prompt], countPauses());
    assert.equal([ran.code, ran.err], [1, `${code}: No.\nrequest id: r-1\n`]);
    assert.is(ran.heard.length, Number(ran.heard[0]?.['of'] ?? 1));
  }
});

parts('the gateway itself puts them together', async () => {
  const gateway = await startGateway({ door: 'websocket' });
  const env = { WEBSOCKET_URL: gateway.socketUrl, GATEWAY_API_KEY: people.bob.key };
  const short = await run([...SOCKET, 'ECHO hi'], env);
  const long = await run([...SOCKET, '--max-tokens', '32000', LONG], env);
  await gateway.close();
  assert.equal(short, { code: 0, out: 'hi\n', err: '' });
  assert.equal(long, { code: 0, out: `${LONG.slice('ECHO '.length)}\n`, err: '' });
  assert.ok(gateway.records.every(({ tenant }) => tenant === undefined || tenant === 'bob'));
});

parts.run();

// ---

const cancelling = suite('Ctrl-C over the WebSocket');

cancelling('cancels the answer, and waits until it has ended', async () => {
  const { interrupts, press } = createKeyboard();
  const [begin, late, end] = toFrames(
    delta('A'),
    delta('B'),
    event('cancelled', { usage: null, estimated: true }),
  );
  const say = ({ action }: Message, { socket }: Speaker) => {
    for (const frame of action === 'cancel' ? [late, end] : [begin]) socket.send(JSON.stringify(frame));
  };
  const written: string[] = [];
  const out = (text: string) => {
    written.push(text);
    if (text === 'A') press();
  };
  const pause = () => new Promise<void>(() => {});
  const { code, err, heard } = await askSocket(say, ['hi'], { out, interrupts, pause });
  assert.equal({ code, err, written }, { code: 130, err: '', written: ['A', 'B', '\n'] });
  assert.equal(heard[1], { action: 'cancel', request_id: heard[0]?.['request_id'] });
});

const UNCONFIRMED = 'The gateway did not confirm the cancel; the answer may run to its end.\n';

cancelling('a gateway that does not say how it ended is left after two seconds', async () => {
  const { interrupts, press } = createKeyboard();
  const { pauses, pause } = countPauses();
  const io = { out: press, interrupts, pause };
  const { code, err } = await askSocket(sendsFrames(delta('A')), ['hi'], io);
  assert.equal({ code, err, pauses }, { code: 130, err: UNCONFIRMED, pauses: [2_000] });
});

cancelling('before the question is whole it leaves at once', async () => {
  const { interrupts, press } = createKeyboard();
  const pauses: number[] = [];
  const pause = async (ms: number) => {
    pauses.push(ms);
    press();
  };
  assert.is((await askSocket(() => {}, [LONG], { interrupts, pause })).code, 130);
  assert.not.ok(pauses.includes(2_000));
});

cancelling.run();

// ---

const addresses = suite('the WebSocket’s address and key');

addresses('the URL is --url, else WEBSOCKET_URL, else /ws on the usual port', async () => {
  await using door = await startSocketDoor(sendsFrames(done()));
  const { url, env } = door;
  await run([...SOCKET, 'hi'], env);
  await run([...SOCKET, 'hi'], { ...env, PORT: 'x', WEBSOCKET_URL: `${url}?a=b#c` });
  await run([...SOCKET, 'hi', '--url', `${url}/`], { ...env, PORT: '1', WEBSOCKET_URL: 'ws://127.0.0.1:1' });
  assert.equal(door.paths, ['/ws', '/stage', '/stage/']);
});

addresses('a gateway that is not there is told apart from one that refuses', async () => {
  await using door = await startDoor(streaming());
  const refused = await run([...SOCKET, 'hi'], { PORT: door.port, GATEWAY_API_KEY: KEY });
  assert.equal([refused.code, refused.out], [1, '']);
  const origin = `ws://127.0.0.1:${door.port}`;
  assert.is(refused.err, `${origin} refused the connection; are the API key and the URL right?\n`);
  await door[Symbol.asyncDispose]();
  const missing = await run([...SOCKET, 'hi'], { PORT: door.port, GATEWAY_API_KEY: KEY });
  assert.is(missing.err, `Nothing answers at ${origin} (ECONNREFUSED); run npm start first.\n`);
});

addresses('the key is GATEWAY_API_KEY, else, on this machine only, LOCAL_API_KEYS or that of npm start', () =>
  withKeyFile(`${KEY}\n`, (path) => {
    const load = (env: Record<string, string>) => loadApiKey(new URL('ws://127.0.0.1:3000/ws'), env, path);
    assert.is(load({ GATEWAY_API_KEY: 'one', LOCAL_API_KEYS: 'a=two' }), 'one');
    assert.is(load({ LOCAL_API_KEYS: 'a=two,b=three' }), 'two');
    assert.is(load({ GATEWAY_API_KEY: '', LOCAL_API_KEYS: '' }), KEY);
    const elsewhere = new URL('wss://gateway.example.com/prod');
    assert.is(loadApiKey(elsewhere, { GATEWAY_API_KEY: 'one' }, path), 'one');
    const load2 = () => loadApiKey(elsewhere, { LOCAL_API_KEYS: 'a=two' }, path);
    assert.throws(load2, 'There is no API key for this gateway; set GATEWAY_API_KEY.');
  }),
);

addresses('where there is no key, or one that no subprotocol can hold, nothing is sent', async () => {
  const nowhere = { apiKeyPath: join(tmpdir(), 'there-is-no-such-file') };
  const missing = 'There is no API key for the gateway on this machine yet; run npm start first.\n';
  assert.equal(await run([...SOCKET, 'hi'], {}, nowhere), { code: 1, out: '', err: missing });
  for (const key of ['canary key', 'canary,key', 'canary/key', 'canäry'])
    assert.equal(await run([...SOCKET, 'hi'], { GATEWAY_API_KEY: key }), {
      code: 1,
      out: '',
      err: 'The API key holds a character that the name of a subprotocol cannot have.\n',
    });
  const { code, err } = await run([...SOCKET, 'hi'], { LOCAL_API_KEYS: 'canary' });
  assert.is(code, 1);
  assert.match(err, /^LOCAL_API_KEYS must be name=key[^c]*/);
});

addresses.run();
