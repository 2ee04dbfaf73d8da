/** The server of the laptop's doors, over real sockets: what it bears, what it refuses, and that each request has one reply. */
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Envelope } from '../../../src/doors/envelope.ts';
import { type DoorLimits, defaultLimits } from '../../../src/local/doors/door-limits.ts';
import type { Invocation } from '../../../src/local/doors/exchange.ts';
import { type Admit, createHttpDoor, type HttpDoor } from '../../../src/local/doors/http-door.ts';
import { awslambdaStandIn, type ResponseStream } from '../../../src/local/doors/runtime.ts';
import { until } from '../../helpers/gateway.ts';

type Open = { readonly door: HttpDoor; readonly port: number; readonly url: string };

async function withDoor(admit: Admit, limits: Partial<DoorLimits>, run: (open: Open) => Promise<void>) {
  const door = createHttpDoor(admit, limits);
  await new Promise<void>((resolve) => door.server.listen(0, '127.0.0.1', resolve));
  const address = door.server.address();
  const port = address && typeof address === 'object' ? address.port : 0;
  try {
    await run({ door, port, url: `http://127.0.0.1:${port}` });
  } finally {
    door.server.closeAllConnections();
    await new Promise((resolve) => door.server.close(resolve));
  }
}

const begin = (stream: ResponseStream) =>
  awslambdaStandIn.HttpResponseStream.from(stream, { statusCode: 200 });

const say =
  (text: string): Invocation =>
  async (stream) => {
    begin(stream).write(text);
    stream.end();
  };

/** Answers with the length of the body. */
const measure: Admit = async (request) => say(String((await request.readBody()).length));

/** Answers when it is told to. */
function createGate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  const invoke: Invocation = async (stream, context) => {
    await opened;
    await say('done')(stream, context);
  };
  return { open, invoke };
}

type Call = { readonly socket: Socket; readonly heard: string; readonly closed: Promise<string> };

/** Sends the text as it is and listens until the connection closes: from the other side, or for one who `stays`, from both. */
function call(port: number, text = '', stays = false): Call {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: stays });
  let heard = '';
  socket.on('data', (data) => (heard += data)).on('error', () => {});
  socket.write(text);
  return {
    socket,
    get heard() {
      return heard;
    },
    closed: new Promise((resolve) => socket.once('close', () => resolve(heard))),
  };
}

const statusesOf = (heard: string) =>
  [...heard.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => Number(status));

const errorOf = (heard: string) => (JSON.parse(heard.slice(heard.lastIndexOf('\r\n\r\n'))) as Envelope).error;

const get = (path = '/', headers = '') => `GET ${path} HTTP/1.1\r\nhost: localhost\r\n${headers}\r\n`;
const post = (headers: string, body = '') => `POST / HTTP/1.1\r\nhost: localhost\r\n${headers}\r\n${body}`;
const chunk = (bytes: number) => `${bytes.toString(16)}\r\n${'a'.repeat(bytes)}\r\n`;

const MEGABYTE = 1024 * 1024;

const replies = suite('one reply');

replies('a foreign Host is 403; a malformed, a missing and a second one are 400', () =>
  withDoor(measure, {}, async ({ port }) => {
    const statusFor = async (hosts: string) =>
      statusesOf(await call(port, `GET / HTTP/1.1\r\n${hosts}connection: close\r\n\r\n`).closed);
    assert.equal(await statusFor('host: localhost:3000\r\n'), [200]);
    assert.equal(await statusFor('host: [::1]\r\n'), [200]);
    assert.equal(await statusFor('host: evil.example\r\n'), [403]);
    assert.equal(await statusFor('host: 127.0.0.1.evil.example\r\n'), [403]);
    assert.equal(await statusFor('host: a b\r\n'), [400]);
    assert.equal(await statusFor('host: localhost:99999999\r\n'), [400]);
    assert.equal(await statusFor(''), [400]);
    assert.is(errorOf(await call(port, 'GET / HTTP/1.1\r\n\r\n').closed).code, 'invalid_request');
    assert.equal(await statusFor('host: localhost\r\nhost: evil.example\r\n'), [400]);
  }),
);

replies('a target that is no path is 400', () =>
  withDoor(measure, {}, async ({ port }) => {
    assert.equal(statusesOf(await call(port, get('http://evil.example/')).closed), [400]);
    assert.equal(statusesOf(await call(port, get('*').replace('GET', 'OPTIONS')).closed), [400]);
  }),
);

replies('a refusal is the envelope with the id of the request, and closes the connection', () =>
  withDoor(measure, {}, async ({ port }) => {
    const heard = await call(port, get('*')).closed;
    const { request_id, code, status } = errorOf(heard);
    assert.equal([code, status], ['invalid_request', 400]);
    assert.match(heard, `\r\nx-request-id: ${request_id}\r\n`);
    assert.match(heard, /\r\ncontent-type: application\/json\r\n/);
    assert.match(heard, /\r\nconnection: close\r\n/i);
  }),
);

replies(
  'whatever fails before the answer begins is 500 without its text, and the door lives on',
  async () => {
    const failure = new Error('secret');
    const failing: Record<string, () => Promise<Invocation>> = {
      '/admission': () => Promise.reject(failure),
      '/function': async () => () => Promise.reject(failure),
      '/at-once': async () => () => {
        throw failure;
      },
      '/no-metadata': async () => async (stream) => void stream.end(),
      '/bad-header': async () => async (stream) => {
        const headers = { secret: 'a\nb' };
        awslambdaStandIn.HttpResponseStream.from(stream, { statusCode: 200, headers }).write('');
      },
      '/bad-header-caught': async () => async (stream) => {
        try {
          const headers = { secret: 'a\nb' };
          awslambdaStandIn.HttpResponseStream.from(stream, { statusCode: 200, headers }).write('');
        } catch {
          // As the product does.
        }
        stream.end();
      },
      '/bad-metadata': async () => async (stream) => void stream.write('secret\0\0\0\0\0\0\0\0'),
    };
    const admit: Admit = async ({ message: { url = '' } }) => (await failing[url]?.()) ?? say('well');
    await withDoor(admit, {}, async ({ url, door }) => {
      for (const path of Object.keys(failing)) {
        const response = await fetch(url + path);
        const text = await response.text();
        assert.equal([response.status, JSON.parse(text).error.code], [500, 'internal_error'], path);
        assert.is(response.headers.get('x-should-retry'), 'false');
        assert.not.match(text, 'secret');
      }
      assert.is(await (await fetch(url)).text(), 'well');
      await until(() => door.running === 0);
    });
  },
);

replies(
  'a function that fails after it began is cut off, and one that fails after its end is whole',
  async () => {
    const admit: Admit =
      async ({ message }) =>
      async (stream) => {
        begin(stream).write('some');
        if (message.url === '/end') stream.end();
        await until(() => message.socket.bytesWritten > 0);
        throw new Error('secret');
      };
    await withDoor(admit, {}, async ({ port }) => {
      const cut = await call(port, get('/')).closed;
      assert.equal(statusesOf(cut), [200]);
      assert.not.match(cut, '\r\n0\r\n\r\n');
      const twice = `${get('/end')}${get('/end', 'connection: close\r\n')}`;
      assert.is((await call(port, twice).closed).split('\r\n0\r\n\r\n').length, 3);
    });
  },
);

replies('a function that does not end is 504 when its time is up', () =>
  withDoor(
    async () => async () => {},
    { functionMs: 50 },
    async ({ url, door }) => {
      const response = await fetch(url);
      assert.is(response.status, 504);
      assert.is(((await response.json()) as Envelope).error.code, 'deadline_exceeded');
      await until(() => door.running === 0);
    },
  ),
);

replies('a function is told how long it has', () => {
  const admit: Admit = async () => (stream, context) =>
    say(String(context.getRemainingTimeInMillis()))(stream, context);
  return withDoor(admit, { functionMs: 5_000_000 }, async ({ url }) => {
    const left = Number(await (await fetch(url)).text());
    assert.ok(left > 4_000_000 && left <= 5_000_000, String(left));
  });
});

replies('headers of the door are on the answer and on the refusal', () => {
  const admit: Admit = async (request) => {
    request.addHeaders({ 'x-door': 'yes' });
    if (request.message.url === '/bad') throw new Error('no');
    return say('well');
  };
  return withDoor(admit, {}, async ({ url }) => {
    for (const path of ['/', '/bad']) assert.is((await fetch(url + path)).headers.get('x-door'), 'yes');
  });
});

replies('each write reaches the client before the next', () => {
  let goOn = () => {};
  const admit: Admit = async () => async (stream) => {
    begin(stream).write('one');
    await new Promise<void>((resolve) => (goOn = resolve));
    stream.write('two');
    stream.end();
  };
  return withDoor(admit, {}, async ({ url }) => {
    const reader = (await fetch(url)).body?.pipeThrough(new TextDecoderStream()).getReader();
    assert.is((await reader?.read())?.value, 'one');
    goOn();
    assert.is((await reader?.read())?.value, 'two');
  });
});

replies('requests sent in one go are answered in their order', () => {
  const first = createGate();
  const admit: Admit = async ({ message }) => (message.url === '/1' ? first.invoke : say('second'));
  return withDoor(admit, {}, async ({ port, door }) => {
    const both = call(port, get('/1') + get('/2', 'connection: close\r\n'));
    await until(() => door.running === 2);
    first.open();
    assert.match(await both.closed, /done[\s\S]*second/);
  });
});

replies('a client that goes away closes the stream of every function that answers it', () => {
  const closed: string[] = [];
  const admit: Admit =
    async ({ message: { url = '' } }) =>
    async (stream) => {
      stream.on('close', () => closed.push(url));
      begin(stream).write('some');
    };
  return withDoor(admit, {}, async ({ port, door }) => {
    const both = call(port, get('/1') + get('/2'));
    await until(() => door.running === 2 && both.heard.includes('some'));
    both.socket.destroy();
    await until(() => door.running === 0);
    assert.equal(closed.sort(), ['/1', '/2']);
  });
});

for (const leave of ['destroy', 'resetAndDestroy'] as const) {
  replies(`a client that went away (${leave}) before its function was chosen starts none`, () => {
    let invoked = 0;
    let choose = () => {};
    const admit: Admit = async () => {
      await new Promise<void>((resolve) => (choose = resolve));
      return async () => void invoked++;
    };
    return withDoor(admit, {}, async ({ port, door }) => {
      const one = call(port, get());
      await until(() => door.running === 1);
      one.socket[leave]();
      await until(() => door.running === 0);
      choose();
      await new Promise((resolve) => setImmediate(resolve));
      assert.is(invoked, 0);
    });
  });
}

replies.run();

// ---

const malformed = suite('what is no HTTP request');

const refusesOnce = (text: string, status: number, said: string, limits: Partial<DoorLimits> = {}) => {
  let admitted = 0;
  const admit: Admit = async (request) => {
    admitted++;
    return await measure(request);
  };
  return withDoor(admit, { lingerMs: 60_000, ...limits }, async ({ port, door }) => {
    const heard = await call(port, text).closed;
    assert.equal(statusesOf(heard), [status]);
    assert.is(errorOf(heard).status, status);
    assert.is(errorOf(heard).code, 'invalid_request');
    assert.match(errorOf(heard).message, said);
    assert.match(heard, `\r\nx-request-id: ${errorOf(heard).request_id}\r\n`);
    assert.is(admitted, 0);
    assert.is(door.running, 0);
  });
};

malformed('a length and chunks together are 400, and no second request comes out of them', () =>
  refusesOnce(
    post('content-length: 6\r\ntransfer-encoding: chunked\r\n', `0\r\n\r\n${get('/smuggled')}`),
    400,
    'not valid HTTP',
  ),
);

malformed('another protocol is 400', () => refusesOnce('SSH-2.0-OpenSSH_9.9\r\n', 400, 'not valid HTTP'));

malformed('headers of more than 16 KB are 431', () =>
  refusesOnce(get('/', `long: ${'a'.repeat(17_000)}\r\n`), 431, 'at most 16384 bytes'),
);

malformed('CONNECT is 405', () =>
  refusesOnce('CONNECT a.example:443 HTTP/1.1\r\nhost: localhost\r\n\r\n', 405, 'CONNECT'),
);

malformed('an expectation that is not known is 417', () =>
  refusesOnce(get('/', 'expect: money\r\n'), 417, '100-continue'),
);

malformed('chunks that are none are 400', () =>
  withDoor(measure, { lingerMs: 50 }, async ({ port, door }) => {
    const heard = await call(port, post('transfer-encoding: chunked\r\n', 'zz\r\n')).closed;
    assert.equal(statusesOf(heard), [400]);
    assert.is(errorOf(heard).code, 'invalid_request');
    await until(() => door.running === 0);
  }),
);

malformed(
  'more than the announced length is no part of the body: one reply, and the rest is read by nobody',
  () => {
    const gate = createGate();
    const lengths: number[] = [];
    const admit: Admit = async (request) => {
      lengths.push((await request.readBody()).length);
      return gate.invoke;
    };
    return withDoor(admit, { lingerMs: 50 }, async ({ port }) => {
      const lie = post('content-length: 10\r\n', 'a'.repeat(7 * MEGABYTE));
      assert.equal(statusesOf(await call(port, lie).closed), [400]);
      assert.ok(lengths.every((length) => length === 10));
    });
  },
);

malformed('noise after a request cuts off an answer that has begun', () => {
  let stream: ResponseStream | undefined;
  const admit: Admit = async () => async (given) => {
    stream = given;
    begin(given).write('some');
  };
  return withDoor(admit, {}, async ({ port, door }) => {
    const one = call(port, get());
    await until(() => one.heard.includes('some'));
    one.socket.write('noise\r\n\r\n');
    assert.equal(statusesOf(await one.closed), [200]);
    await until(() => door.running === 0);
    assert.ok(stream?.destroyed);
  });
});

malformed('noise in the place of a second request has a reply of its own', () =>
  withDoor(measure, {}, async ({ port }) => {
    const one = call(port, get());
    await until(() => statusesOf(one.heard).length === 1);
    one.socket.write('noise\r\n\r\n');
    assert.equal(statusesOf(await one.closed), [200, 400]);
    assert.is(errorOf(one.heard).code, 'invalid_request');
  }),
);

malformed('noise that goes on is taken for a while, and has no second reply', () =>
  withDoor(measure, { lingerMs: 60_000 }, async ({ port, door }) => {
    const accepted = once(door.server, 'connection') as Promise<[Socket]>;
    const one = call(port, 'noise\r\n\r\n', true);
    const [socket] = await accepted;
    await until(() => one.heard.includes('invalid_request'));
    const { bytesRead } = socket;
    one.socket.write('more noise\r\n\r\n');
    await until(() => socket.bytesRead > bytesRead);
    await new Promise((resolve) => setImmediate(resolve));
    assert.not.ok(socket.destroyed);
    assert.equal(statusesOf(one.heard), [400]);
    one.socket.end();
    await one.closed;
  }),
);

malformed('noise that does not end is not taken for ever', () =>
  withDoor(measure, { lingerMs: 50 }, async ({ port, door }) => {
    const accepted = once(door.server, 'connection') as Promise<[Socket]>;
    const one = call(port, 'noise\r\n\r\n', true);
    const [socket] = await accepted;
    await until(() => socket.destroyed);
    assert.equal(statusesOf(one.heard), [400]);
    one.socket.destroy();
  }),
);

malformed.run();

// ---

const slow = suite('slow callers');

slow('headers that do not come, or come too slowly, are 408', () =>
  withDoor(measure, { headersMs: 100, requestMs: 200, lingerMs: 50 }, async ({ port, door }) => {
    for (const text of ['', 'GET / HT', get().slice(0, -2)]) {
      const heard = await call(port, text).closed;
      assert.equal(statusesOf(heard), [408]);
      assert.equal([errorOf(heard).code, errorOf(heard).status], ['invalid_request', 408]);
      assert.match(errorOf(heard).message, 'within 100 ms');
    }
    assert.is(door.running, 0);
  }),
);

slow('a caller who sends a byte now and then is 408 all the same', () =>
  withDoor(measure, { headersMs: 100, requestMs: 200, lingerMs: 50 }, async ({ port }) => {
    const one = call(port, get().slice(0, -2));
    const timer = setInterval(() => one.socket.write('a: b\r\n'), 10);
    assert.equal(statusesOf(await one.closed), [408]);
    clearInterval(timer);
  }),
);

slow('a body that does not come is 408, counts no longer, and gives back what it held', () => {
  const limits = { headersMs: 100, requestMs: 200, lingerMs: 50, bodyBytes: 100, heldBytes: 100 };
  return withDoor(measure, limits, async ({ port, door, url }) => {
    const heard = await call(port, post('content-length: 90\r\n', 'a'.repeat(80))).closed;
    assert.equal(statusesOf(heard), [408]);
    assert.equal([errorOf(heard).code, errorOf(heard).status], ['invalid_request', 408]);
    assert.is(door.running, 0);
    assert.is((await fetch(url, { method: 'POST', body: 'a'.repeat(100) })).status, 200);
  });
});

slow('what still comes of a body after its 408 is taken, and held by nobody', () => {
  const limits = { headersMs: 100, requestMs: 200, lingerMs: 60_000, bodyBytes: 100, heldBytes: 100 };
  return withDoor(measure, limits, async ({ port, url, door }) => {
    const accepted = once(door.server, 'connection') as Promise<[Socket]>;
    const one = call(port, post('content-length: 95\r\n', 'a'.repeat(10)));
    const [socket] = await accepted;
    await until(() => one.heard.includes('408'));
    const { bytesRead } = socket;
    one.socket.write('a'.repeat(80));
    await until(() => socket.bytesRead > bytesRead);
    assert.is((await fetch(url, { method: 'POST', body: 'a'.repeat(100) })).status, 200);
    assert.not.ok(socket.destroyed);
    one.socket.write('a'.repeat(5));
    assert.equal(statusesOf(await one.closed), [408]);
  });
});

slow('a connection is kept for the next request, but not for long', () =>
  withDoor(measure, { idleMs: 50 }, async ({ port }) => {
    const one = call(port, get());
    await until(() => statusesOf(one.heard).length === 1);
    one.socket.write(get());
    assert.equal(statusesOf(await one.closed), [200, 200]);
  }),
);

slow('the kernel is asked to find callers whose machine is gone', () =>
  withDoor(measure, {}, async ({ port }) => {
    if (!existsSync('/proc/net/tcp')) return;
    const one = call(port);
    await once(one.socket, 'connect');
    const isKeptAlive = () => {
      const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
      const rows = readFileSync('/proc/net/tcp', 'utf8')
        .split('\n')
        .map((row) => row.trim().split(/\s+/));
      return rows.some(
        ([, from = '', , state, , timer]) =>
          from.endsWith(local) && state === '01' && timer?.startsWith('02:'),
      );
    };
    await until(isKeptAlive);
    one.socket.destroy();
  }),
);

slow.run();

// ---

const bodies = suite('bodies');

bodies('a body of the limit is read whole, and one byte more is 413', () =>
  withDoor(measure, { bodyBytes: 1000 }, async ({ url }) => {
    const send = (bytes: number) => fetch(url, { method: 'POST', body: 'a'.repeat(bytes) });
    assert.is(await (await send(1000)).text(), '1000');
    const refused = await send(1001);
    assert.is(refused.status, 413);
    const { error } = (await refused.json()) as Envelope;
    assert.equal([error.code, error.message], ['payload_too_large', 'The body must be at most 1000 bytes.']);
  }),
);

bodies('a length that is too much is 413 before the body is sent', () =>
  withDoor(measure, { lingerMs: 50 }, async ({ port, door }) => {
    const heard = await call(port, post('content-length: 99999999999\r\n')).closed;
    assert.equal(statusesOf(heard), [413]);
    assert.is(door.running, 0);
  }),
);

bodies('chunks are counted as they come, and 413 reaches a caller who goes on sending', () => {
  const limits = { bodyBytes: 1000, lingerMs: 60_000, lingerBytes: 3 * MEGABYTE };
  return withDoor(measure, limits, async ({ port, door, url }) => {
    const accepted = once(door.server, 'connection') as Promise<[Socket]>;
    const one = call(port, post('transfer-encoding: chunked\r\n', chunk(1000)));
    const [socket] = await accepted;
    await until(() => door.running === 1);
    assert.is(one.heard, '');
    one.socket.write(chunk(1));
    await until(() => one.heard.includes('payload_too_large'));
    assert.is(door.running, 0);
    one.socket.write(chunk(2 * MEGABYTE));
    await until(() => socket.bytesRead > 2 * MEGABYTE);
    assert.is(await (await fetch(url)).text(), '0');
    assert.ok(socket.writable, 'more may come, and is thrown away');
    one.socket.write(chunk(2 * MEGABYTE));
    assert.equal(statusesOf(await one.closed), [413]);
  });
});

bodies('a refused body that comes to its end ends the connection', () =>
  withDoor(measure, { bodyBytes: 1000, lingerMs: 60_000 }, async ({ port }) => {
    const headers = 'transfer-encoding: chunked\r\n';
    const one = call(port, post(headers, `${chunk(2000)}0\r\n\r\n`));
    assert.equal(statusesOf(await one.closed), [413]);
  }),
);

bodies('a refused caller who stops in the middle is not waited for', () =>
  withDoor(measure, { bodyBytes: 1000, lingerMs: 50 }, async ({ port }) => {
    const heard = await call(port, post('content-length: 2000\r\n', 'a')).closed;
    assert.equal(statusesOf(heard), [413]);
  }),
);

bodies('fetch and node:http read the 413 to 7 MB, announced or in chunks', () =>
  withDoor(measure, {}, async ({ url }) => {
    const body = Buffer.alloc(7 * MEGABYTE);
    const stream = () => new Blob([body]).stream();
    assert.is((await fetch(url, { method: 'POST', body })).status, 413);
    const init = { method: 'POST', body: stream(), duplex: 'half' } as RequestInit;
    assert.is((await fetch(url, init)).status, 413);
    for (const headers of [{ 'content-length': body.length }, {}]) {
      const request = httpRequest(url, { method: 'POST', headers }).on('error', () => {});
      request.write(body);
      request.end();
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      assert.is(response.statusCode, 413);
      request.destroy();
    }
  }),
);

bodies('a caller who asks first is told to send his body only when it is wanted', () => {
  const admit: Admit = async (request) => {
    if (request.message.url === '/no') throw new Error('no');
    return await measure(request);
  };
  return withDoor(admit, { lingerMs: 50 }, async ({ port }) => {
    const headers = 'expect: 100-continue\r\ncontent-length: 3\r\nconnection: close\r\n';
    const one = call(port, post(headers));
    await until(() => one.heard.includes('HTTP/1.1 100 Continue\r\n\r\n'));
    one.socket.write('abc');
    assert.equal(statusesOf(await one.closed), [100, 200]);
    assert.equal(statusesOf(await call(port, post(headers).replace('/', '/no')).closed), [500]);
  });
});

bodies('all bodies together have a limit too, for as long as they are answered', () => {
  const gate = createGate();
  const admit: Admit = async (request) => {
    await request.readBody();
    return request.message.url === '/wait' ? gate.invoke : say('well');
  };
  return withDoor(admit, { bodyBytes: 600, heldBytes: 1000 }, async ({ url, door }) => {
    const send = (path: string) => fetch(url + path, { method: 'POST', body: 'a'.repeat(600) });
    const waiting = send('/wait');
    await until(() => door.running === 1);
    const refused = await send('/');
    assert.is(refused.status, 503);
    const { error } = (await refused.json()) as Envelope;
    assert.equal([error.code, error.retryable], ['overloaded', true]);
    assert.is(refused.headers.get('retry-after'), '1');
    gate.open();
    assert.is(await (await waiting).text(), 'done');
    await until(() => door.running === 0);
    for (let sent = 0; sent < 3; sent++) assert.is(await (await send('/')).text(), 'well');
  });
});

bodies('bodies that are still under way count, and what was broken off or refused does not', () =>
  withDoor(measure, { bodyBytes: 900, heldBytes: 1000 }, async ({ port, door, url }) => {
    const send = async (bytes: number) =>
      (await fetch(url, { method: 'POST', body: 'a'.repeat(bytes) })).status;
    const one = call(port, post('transfer-encoding: chunked\r\n', chunk(600)));
    await until(() => door.running === 1);
    let status = await send(500);
    while (status === 200) status = await send(500);
    assert.is(status, 503);
    one.socket.destroy();
    await until(() => door.running === 0);
    const two = call(port, post('transfer-encoding: chunked\r\n', chunk(600) + chunk(600)));
    await until(() => two.heard.includes('413'));
    assert.is(await send(900), 200);
  }),
);

bodies.run();

// ---

const readers = suite('slow readers');

/** Writes for as long as somebody takes it. */
const endless =
  (onStart: (stream: ResponseStream) => void): Invocation =>
  async (stream) => {
    onStart(begin(stream));
    let wake = () => {};
    stream.on('drain', () => wake()).on('close', () => wake());
    while (!stream.destroyed) {
      if (!stream.write('a'.repeat(1000))) await new Promise<void>((resolve) => (wake = resolve));
    }
  };

readers('a function waits for its reader, and little lies in between', () => {
  let stream: ResponseStream | undefined;
  let socket: Socket | undefined;
  const admit: Admit = async ({ message }) => {
    socket = message.socket;
    return endless((given) => (stream = given));
  };
  return withDoor(admit, {}, async ({ port, door }) => {
    const one = call(port, get());
    one.socket.pause();
    let written = 0;
    await until(() => (stream?.writableLength ?? 0) > 0);
    for (let before = -1; written > before; await new Promise((resolve) => setTimeout(resolve, 200))) {
      before = written;
      written = socket?.bytesWritten ?? 0;
    }
    assert.ok(stream?.writableNeedDrain);
    assert.ok((stream?.writableLength ?? 0) < 20_000, `${stream?.writableLength} bytes in the stream`);
    assert.ok((socket?.writableLength ?? 0) < 20_000, `${socket?.writableLength} bytes in the socket`);
    one.socket.resume();
    await until(() => (socket?.bytesWritten ?? 0) > 2 * written);
    one.socket.destroy();
    await until(() => door.running === 0);
  });
});

readers('a reader who takes nothing is given up, and the function is told', () => {
  let isClosed = false;
  const admit: Admit = async () => endless((stream) => void stream.on('close', () => (isClosed = true)));
  return withDoor(admit, { unreadMs: 50 }, async ({ port, door }) => {
    const one = call(port, get());
    one.socket.pause();
    await until(() => door.running === 1);
    await until(() => door.running === 0);
    assert.ok(isClosed);
    one.socket.destroy();
  });
});

readers('a reader who leaves the end of an answer unread is given up', () => {
  const admit: Admit =
    async ({ message: { socket } }) =>
    async (stream) => {
      begin(stream);
      // Until a little waits in the socket, and not enough to be told to wait.
      while (socket.writableLength === 0) {
        assert.ok(stream.write('a'.repeat(5000)));
        await new Promise((resolve) => setImmediate(resolve));
      }
      stream.end();
    };
  return withDoor(admit, { unreadMs: 50 }, async ({ port, door }) => {
    const one = call(port, get());
    one.socket.pause();
    await until(() => door.running === 1);
    await until(() => door.running === 0);
    one.socket.destroy();
  });
});

readers('a reader who has caught up waits for as long as the function is silent', () => {
  const admit: Admit = async () => async (stream) => {
    if (!begin(stream).write(Buffer.alloc(MEGABYTE)))
      await new Promise((resolve) => stream.once('drain', resolve));
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    stream.write('more');
    stream.end();
  };
  return withDoor(admit, { unreadMs: 1_000 }, async ({ url }) => {
    assert.match((await (await fetch(url)).text()).slice(-10), 'more');
  });
});

readers('a reader who takes it bit by bit has it all, however long he takes', () => {
  const admit: Admit = async () => async (stream) => {
    begin(stream);
    for (let sent = 0; sent < 10; sent++) {
      if (!stream.write(Buffer.alloc(MEGABYTE, 'a'))) await once(stream, 'drain');
    }
    stream.end();
  };
  return withDoor(admit, { unreadMs: 2_000 }, async ({ url, door }) => {
    let read = 0;
    const reader = (await fetch(url)).body?.getReader();
    for (let piece = await reader?.read(); piece?.value; piece = await reader?.read()) {
      read += piece.value.length;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assert.is(read, 10 * MEGABYTE);
    await until(() => door.running === 0);
  });
});

readers.run();

// ---

const floods = suite('floods');

floods('a request too many is 503 before anybody looks at it, and those that run are finished', () => {
  const gate = createGate();
  let admitted = 0;
  const admit: Admit = async () => {
    admitted++;
    return gate.invoke;
  };
  return withDoor(admit, { running: 2 }, async ({ url, door, port }) => {
    const accepted = [fetch(url), fetch(url)];
    await until(() => door.running === 2);
    const flood = Array.from(
      { length: 50 },
      () => call(port, get().replace('localhost', 'evil.example')).closed,
    );
    for (const heard of await Promise.all(flood)) {
      assert.equal(statusesOf(heard), [503]);
      assert.equal([errorOf(heard).code, errorOf(heard).retryable], ['overloaded', true]);
      assert.match(heard, /\r\nretry-after: 1\r\n/);
      assert.match(heard, /\r\nconnection: close\r\n/i);
    }
    assert.is(admitted, 2);
    assert.is(door.running, 2);
    gate.open();
    for (const response of await Promise.all(accepted)) assert.is(await response.text(), 'done');
    await until(() => door.running === 0);
    assert.is(await (await fetch(url)).text(), 'done');
  });
});

floods('a connection too many is closed', () =>
  withDoor(measure, { connections: 2 }, async ({ port }) => {
    const kept = [call(port, get()), call(port, get())];
    await until(() => kept.every(({ heard }) => heard !== ''));
    assert.is(await call(port, get()).closed, '');
    for (const { socket } of kept) socket.destroy();
  }),
);

floods('a draining door refuses new requests and waits for those that run', () => {
  const gate = createGate();
  return withDoor(
    async () => gate.invoke,
    {},
    async ({ url, door }) => {
      const running = fetch(url);
      await until(() => door.running === 1);
      let isIdle = false;
      const drained = door.drain().then(() => (isIdle = true));
      const refused = await fetch(url);
      assert.is(refused.status, 503);
      assert.is(((await refused.json()) as Envelope).error.code, 'overloaded');
      assert.is(refused.headers.get('retry-after'), '1');
      assert.not.ok(isIdle);
      gate.open();
      assert.is((await running).status, 200);
      await drained;
      await door.drain();
    },
  );
});

floods('a draining door closes the connections that nobody uses', () =>
  withDoor(measure, { idleMs: 60_000 }, async ({ port, door }) => {
    const one = call(port, get());
    await until(() => one.heard.endsWith('\r\n0\r\n\r\n') && door.running === 0);
    await door.drain();
    await one.closed;
  }),
);

floods('the limits are those that are promised', () => {
  const { running, connections, bodyBytes, heldBytes, headersMs, requestMs, unreadMs, functionMs } =
    defaultLimits;
  assert.equal([running, connections], [1_000, 4_000]);
  assert.equal([bodyBytes, heldBytes], [6 * MEGABYTE, 64 * MEGABYTE]);
  assert.equal([headersMs, requestMs, unreadMs, functionMs], [10_000, 30_000, 60_000, 900_000]);
});

floods.run();
