/**
 * The calls that are signed without a client of their own: API Gateway's management API, and Lambda's Invoke.
 */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createSignedFetch } from '../../src/aws/signed-fetch.ts';
import { createSockets } from '../../src/aws/sockets.ts';
import { createWorkerStarter } from '../../src/aws/worker.ts';
import { verifySignature } from '../../src/local/sigv4/verify.ts';
import { failureOf } from '../helpers/rejects.ts';

const credentials = { accessKeyId: 'AKIATEST', secretAccessKey: 'secret', sessionToken: 'a token' };
const signed = (service: string) =>
  createSignedFetch({ credentials: async () => credentials, region: 'us-east-1', service });

type Seen = {
  readonly method: string;
  readonly url: string;
  readonly body: string;
  readonly headers: IncomingMessage['headers'];
};

/** A server that notes what it is asked, checks the signature, and answers with this status; 0 is no answer at all. */
const withServer =
  (service: string, test: (url: string, seen: Seen[], reply: (status: number) => void) => Promise<void>) =>
  async () => {
    const seen: Seen[] = [];
    let status = 200;
    const server = createServer(async (request, response) => {
      const { method = '', url = '', headers, headersDistinct } = request;
      const body = Buffer.concat(await request.toArray());
      seen.push({ method, url, body: String(body), headers });
      const secretOf = () => credentials.secretAccessKey;
      const verdict = verifySignature(
        { method, url, headers: headersDistinct, body },
        { service, secretOf, now: Date.now() },
      );
      assert.ok(verdict.ok, JSON.stringify(verdict));
      if (status === 0) response.destroy();
      else response.writeHead(status).end('whatever they say');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      await test(url, seen, (next) => (status = next));
    } finally {
      server.closeAllConnections();
      server.close();
    }
  };

const calling = suite('signed calls');

calling(
  'a message is posted to its connection, whose id is escaped, and signed for API Gateway',
  withServer('execute-api', async (url, seen) => {
    const sockets = createSockets(signed('execute-api'), `${url}/prod`);
    assert.is(await sockets.post('abc=', '{"type":"pong"}'), 'sent');
    await sockets.close('abc=');
    assert.equal(
      seen.map(({ method, url: path, body }) => [method, path, body]),
      [
        ['POST', '/prod/@connections/abc%3D', '{"type":"pong"}'],
        ['DELETE', '/prod/@connections/abc%3D', ''],
      ],
    );
    assert.is(seen[0]?.headers['x-amz-security-token'], 'a token');
  }),
);

calling(
  'what became of a message is told by the status, and each post is one call',
  withServer('execute-api', async (url, seen, reply) => {
    const sockets = createSockets(signed('execute-api'), url);
    const expected = {
      410: 'gone',
      429: 'throttled',
      413: 'too-large',
      403: 'forbidden',
      500: 'failed',
      503: 'failed',
      0: 'failed',
    };
    for (const [status, result] of Object.entries(expected)) {
      seen.length = 0;
      reply(Number(status));
      assert.is(await sockets.post('c=', 'x'), result, status);
      assert.is(seen.length, 1);
      await sockets.close('c=');
    }
  }),
);

calling(
  'the worker is invoked asynchronously, with ids only, and signed for Lambda',
  withServer('lambda', async (url, seen, reply) => {
    reply(202);
    const startWorker = createWorkerStarter(signed('lambda'), url, 'chat-worker');
    await startWorker({ tenant: 'alice', requestId: 'r1', connectionId: 'c=' });
    const { method, url: path, body, headers } = seen[0] as Seen;
    assert.equal([method, path], ['POST', '/2015-03-31/functions/chat-worker/invocations']);
    assert.is(headers['x-amz-invocation-type'], 'Event');
    assert.equal(JSON.parse(body), { tenant: 'alice', requestId: 'r1', connectionId: 'c=' });
  }),
);

calling(
  'a worker that Lambda does not take is overloaded, and nothing of what Lambda said is told',
  withServer('lambda', async (url, seen, reply) => {
    const startWorker = createWorkerStarter(signed('lambda'), url, 'chat-worker');
    for (const status of [200, 404, 429, 500, 0]) {
      reply(status);
      const job = { tenant: 'alice', requestId: 'r1', connectionId: 'c=' };
      const { code, message, retryAfterSeconds } = await failureOf(startWorker(job));
      assert.equal([code, retryAfterSeconds], ['overloaded', 1]);
      assert.not.match(message, 'whatever');
    }
    assert.is(seen.length, 5);
  }),
);

calling.run();
