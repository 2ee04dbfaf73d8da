/**
 * The WebSocket door as its clients see it: real sockets, the stand-ins for AWS, the product behind them.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { WebSocket as SocketWithHeaders } from 'ws';
import { askOverSocket } from '../../scripts/socket.ts';
import { type Frame, openSocket } from '../helpers/clients.ts';
import { type Gateway, type GatewayOptions, people, startGateway, until } from '../helpers/gateway.ts';

const inGateway =
  (test: (gateway: Gateway) => Promise<void>, options: GatewayOptions = {}) =>
  async () => {
    const gateway = await startGateway({ door: 'websocket', ...options });
    try {
      await test(gateway);
      await until(() => gateway.ledger.open === 0);
    } finally {
      await gateway.close();
    }
  };

type Socket = Awaited<ReturnType<typeof openSocket>>;

const connect = ({ socketUrl }: Gateway): Promise<Socket> => openSocket(socketUrl, people.alice);

const say = ({ socket }: Socket, message: object) => socket.send(JSON.stringify(message));

const codeOf = (frame: Frame) => (frame['error'] as { readonly code: string } | undefined)?.code;

const terminals = ['done', 'error', 'cancelled'];

async function readToEnd({ next }: Socket): Promise<Frame[]> {
  const frames = [await next()];
  while (!terminals.includes(frames.at(-1)?.type ?? '')) frames.push(await next());
  return frames;
}

const talking = suite('a WebSocket client');

talking(
  'gets the answer as frames that are numbered from 0 without a gap',
  inGateway(async (gateway) => {
    const socket = await connect(gateway);
    say(socket, { action: 'chat', request_id: 'r1', prompt: 'ECHO one two three' });
    const frames = await readToEnd(socket);
    assert.equal(
      frames.map(({ seq }) => seq),
      frames.map((_, n) => n),
    );
    assert.ok(frames.every(({ request_id: id }) => id === 'r1'));
    assert.is(frames.map((frame) => frame['text'] ?? '').join(''), 'one two three');
    assert.is(frames.at(-1)?.['stop_reason'], 'end_turn');
  }),
);

talking(
  'may say what the predecessor’s clients said, and leave the id to the gateway',
  inGateway(async (gateway) => {
    const socket = await connect(gateway);
    say(socket, { action: 'sendmessage', prompt: 'ECHO Hi there', parameters: { max_tokens_to_sample: 1 } });
    const frames = await readToEnd(socket);
    assert.match(frames[0]?.request_id ?? '', /^[\w-]{8,128}$/);
    assert.is(frames.at(-1)?.['stop_reason'], 'max_tokens');
  }),
);

talking(
  'asks several questions at once, and tells the answers apart by their ids',
  inGateway(async (gateway) => {
    const socket = await connect(gateway);
    const ids = ['a', 'b', 'c', 'd'];
    for (const id of ids) say(socket, { action: 'chat', request_id: id, prompt: `ECHO I am ${id}` });
    const frames: Frame[] = [];
    while (frames.filter(({ type }) => type === 'done').length < ids.length) frames.push(await socket.next());
    for (const id of ids) {
      const own = frames.filter((frame) => frame.request_id === id);
      assert.is(own.map((frame) => frame['text'] ?? '').join(''), `I am ${id}`);
    }
  }),
);

talking(
  'gets a pong for a ping, and a sentence for what the gateway does not understand',
  inGateway(async (gateway) => {
    const socket = await connect(gateway);
    say(socket, { action: 'ping' });
    assert.equal(await socket.next(), { type: 'pong' });
    for (const message of ['{"action":"__proto__"}', '{"action":"$connect"}', '{"action":1}', '{}']) {
      socket.socket.send(message);
      const frame = await socket.next();
      assert.equal([codeOf(frame), frame.seq], ['invalid_request', undefined], message);
    }
    socket.socket.send('Hi');
    assert.is(codeOf(await socket.next()), 'invalid_json');
    assert.is(gateway.ledger.opened, 0);
  }),
);

talking(
  'who asks two hundred questions in a burst gets eight answers and 429 for the rest',
  inGateway(
    async (gateway) => {
      const socket = await connect(gateway);
      for (let n = 0; n < 200; n++) {
        say(socket, {
          action: 'chat',
          request_id: `r${n}`,
          prompt: `Question ${n}`,
          model: 'simulator.stall-mid-stream',
        });
      }
      const frames: Frame[] = [];
      const ended = () =>
        new Set(frames.filter(({ type }) => terminals.includes(type)).map((f) => f.request_id));
      while (ended().size < 192) frames.push(await socket.next());
      assert.equal([...new Set(frames.map(codeOf).filter(Boolean))], ['rate_limited']);
      await until(() => gateway.ledger.opened >= 8);
      socket.socket.close();
      await until(() => gateway.ledger.open === 0);
      assert.is(gateway.ledger.closedEarly, 8);
      assert.is(frames.filter(({ type }) => terminals.includes(type)).length, 192);
    },
    { tokensPerSecond: 50 },
  ),
);

talking.run();

const leaving = suite('a connection');

leaving(
  'whose identity has expired gets a 401 frame and is closed, and Bedrock is not called',
  inGateway(
    async (gateway) => {
      const socket = await connect(gateway);
      const closed = new Promise<CloseEvent>((resolve) => socket.socket.addEventListener('close', resolve));
      say(socket, { action: 'chat', prompt: 'Hi' });
      const frame = await socket.next();
      assert.equal([codeOf(frame), frame.seq], ['unauthorized', undefined]);
      assert.is((await closed).code, 1000);
      assert.is(gateway.ledger.opened, 0);
    },
    { settings: { connectionMaxAgeSeconds: 0 } },
  ),
);

leaving(
  'is refused without a key, with a wrong one, and to pages of other origins',
  inGateway(async (gateway) => {
    const tryTo = async (headers: Record<string, string>) => {
      const socket = new SocketWithHeaders(gateway.socketUrl, { headers });
      const [status] = await new Promise<[number]>((resolve) => {
        socket.on('unexpected-response', (_, response) => resolve([response.statusCode ?? 0]));
        socket.on('open', () => resolve([101]));
        socket.on('error', () => undefined);
      });
      socket.terminate();
      return status;
    };
    const { key } = people.alice;
    assert.is(await tryTo({}), 401);
    assert.is(await tryTo({ 'x-api-key': 'wrong' }), 403);
    assert.is(await tryTo({ 'x-api-key': key, origin: 'https://evil.example' }), 403);
    assert.is(await tryTo({ 'x-api-key': key, origin: 'https://app.example' }), 101);
    assert.is(await tryTo({ authorization: `Bearer ${key}` }), 101);
  }),
);

leaving(
  'that is gone when the first frame is posted ends the call to Bedrock and its other requests',
  inGateway(
    async (gateway) => {
      const socket = await connect(gateway);
      say(socket, { action: 'chat', request_id: 'r1', prompt: 'Hi', model: 'simulator.stall-mid-stream' });
      await until(() => gateway.ledger.closedEarly === 1);
      const find = () => gateway.records.find(({ delivery }) => delivery === 'gone');
      await until(() => find() !== undefined);
      assert.is(find()?.outcome, 'cancelled');
    },
    { postFault: () => ({ status: 410 }) },
  ),
);

leaving.run();

const failing = suite('a WebSocket client, when AWS fails');

failing(
  'hears that the tables are down, since nothing could keep his question from being asked twice',
  async () => {
    let isDown = false;
    await inGateway(
      async (gateway) => {
        const socket = await connect(gateway);
        isDown = true;
        say(socket, { action: 'chat', request_id: 'r1', prompt: 'Hi' });
        const frame = await socket.next();
        assert.equal([codeOf(frame), frame.seq], ['storage_unavailable', undefined]);
        assert.is(gateway.ledger.opened, 0);
        isDown = false;
      },
      { dynamoFault: () => (isDown ? { type: 'down' } : undefined) },
    )();
  },
);

failing('hears that there is no room when the worker cannot be started, and may ask again', async () => {
  let isDown = true;
  await inGateway(
    async (gateway) => {
      const socket = await connect(gateway);
      say(socket, { action: 'chat', request_id: 'r1', prompt: 'ECHO Hi' });
      const frame = await socket.next();
      assert.equal([codeOf(frame), frame.seq], ['overloaded', undefined]);
      isDown = false;
      say(socket, { action: 'chat', request_id: 'r2', prompt: 'ECHO Hi' });
      assert.is((await readToEnd(socket)).at(-1)?.type, 'done');
    },
    { invokeFault: () => (isDown ? 'throttled' : undefined) },
  )();
});

failing(
  'gets one answer though its question is delivered to the worker twice',
  inGateway(
    async (gateway) => {
      const socket = await connect(gateway);
      for (const id of ['r1', 'r2', 'r3']) {
        say(socket, { action: 'chat', request_id: id, prompt: `ECHO ${id}` });
        assert.is((await readToEnd(socket)).at(-1)?.type, 'done');
      }
      await until(() => gateway.records.filter(({ method }) => method === 'WORK').length === 6);
      assert.is(gateway.ledger.opened, 3);
    },
    { invokeFault: () => 'twice' },
  ),
);

failing.run();

const dying = suite('a WebSocket client, when its worker dies');

/** A promise that the test rejects. */
function death() {
  const { promise, reject } = Promise.withResolvers<never>();
  promise.catch(() => undefined);
  return { workerDeath: promise, kill: () => reject(new Error('Runtime exited')) };
}

const STALLING = 'simulator.stall-mid-stream';

dying('hears that the answer is lost, which shows as a gap, and asks the next at once', async () => {
  const { workerDeath, kill } = death();
  await inGateway(
    async (gateway) => {
      const socket = await connect(gateway);
      const ids = Array.from({ length: 8 }, (_, n) => `r${n}`);
      for (const id of ids) say(socket, { action: 'chat', request_id: id, prompt: 'Hi', model: STALLING });
      const frames: Frame[] = [];
      while (new Set(frames.map((frame) => frame.request_id)).size < 8) frames.push(await socket.next());
      kill();
      const ends = () => frames.filter(({ type }) => terminals.includes(type));
      while (ends().length < 8) frames.push(await socket.next());
      assert.equal(
        ends()
          .map((frame) => frame.request_id)
          .sort(),
        ids,
      );
      for (const end of ends()) assert.equal([codeOf(end), end.seq], ['internal_error', 2 ** 31 - 1]);
      const isFailed = ({ method }: { readonly method: string }) => method === 'FAILED_WORK';
      await until(() => gateway.records.filter(isFailed).length === 8);
      // The eight took all the room there is.
      say(socket, { action: 'chat', request_id: 'next', prompt: 'ECHO Hi' });
      assert.is((await socket.next()).request_id, 'next');
      // Here, unlike there, nobody could stop the workers; they find out by themselves.
      await until(() => gateway.records.filter(({ method }) => method === 'WORK').length >= 8);
      say(socket, { action: 'ping' });
      for (let frame = await socket.next(); frame.type !== 'pong'; frame = await socket.next()) {
        assert.is(frame.request_id, 'next', 'no more of an answer that is lost');
      }
    },
    { workerDeath },
  )();
});

dying('is told that there was no room when its question is never delivered', async () => {
  let isTooOld = true;
  await inGateway(
    async (gateway) => {
      const socket = await connect(gateway);
      say(socket, { action: 'chat', request_id: 'r1', prompt: 'ECHO Hi' });
      const frame = await socket.next();
      assert.equal([codeOf(frame), frame.seq, frame.request_id], ['overloaded', 2 ** 31 - 1, 'r1']);
      assert.is(gateway.ledger.opened, 0);
      isTooOld = false;
      say(socket, { action: 'chat', request_id: 'r2', prompt: 'ECHO Hi' });
      assert.is((await readToEnd(socket)).at(-1)?.type, 'done');
    },
    { invokeFault: () => (isTooOld ? 'too-old' : undefined) },
  )();
});

dying('is a command that ends', async () => {
  const { workerDeath, kill } = death();
  await inGateway(
    async (gateway) => {
      const url = new URL(gateway.socketUrl);
      const names: string[] = [];
      const body = { prompt: 'Hi', model: STALLING };
      const { signal } = new AbortController();
      const pause = async () => undefined;
      const answer = askOverSocket({ url, key: people.alice.key, body, signal, pause, fetch });
      for await (const { name } of answer) {
        names.push(name);
        if (name === 'start') kill();
      }
      assert.is(names[0], 'start');
      assert.not(names.includes('done'));
    },
    { workerDeath },
  )();
});

dying('that is gone by then is forgotten, and so is all that it waited for', async () => {
  const { workerDeath, kill } = death();
  let isGone = false;
  await inGateway(
    async (gateway) => {
      const socket = await connect(gateway);
      say(socket, { action: 'chat', request_id: 'r1', prompt: 'Hi', model: STALLING });
      await socket.next();
      isGone = true;
      kill();
      const find = () => gateway.records.find(({ method }) => method === 'FAILED_WORK');
      await until(() => find() !== undefined);
      assert.equal([find()?.delivery, find()?.code], ['gone', 'internal_error']);
    },
    { workerDeath, postFault: () => (isGone ? { status: 410 } : undefined) },
  )();
});

dying.run();
