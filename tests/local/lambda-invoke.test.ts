/** Lambda Invoke's stand-in, called as the product calls it: signed, over a real socket. */
import { createServer, type Server } from 'node:http';
import { AwsClient } from 'aws4fetch';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  createLambdaInvoke,
  type LambdaInvoke,
  type LambdaInvokeOptions,
  type LocalFunction,
} from '../../src/local/lambda-invoke.ts';

const KEYS = { accessKeyId: 'AKIATEST', secretAccessKey: 'test-secret' };

type Bench = {
  readonly invoke: LambdaInvoke;
  readonly server: Server;
  readonly url: string;
  call(type: string | undefined, body?: string, name?: string, signing?: object): Promise<Response>;
};

async function withLambda(
  work: LocalFunction,
  run: (bench: Bench) => Promise<void>,
  options: Partial<LambdaInvokeOptions> = {},
  others: Readonly<Record<string, LocalFunction>> = {},
) {
  const secretOf = (id: string) => (id === KEYS.accessKeyId ? KEYS.secretAccessKey : undefined);
  const invoke = createLambdaInvoke({ worker: work, ...others }, { secretOf, ...options });
  const server = createServer(invoke.handle);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const url = `http://127.0.0.1:${address && typeof address === 'object' ? address.port : 0}`;
  const call: Bench['call'] = (type, body, name = 'worker', signing = {}) => {
    const aws = new AwsClient({ ...KEYS, service: 'lambda', region: 'us-east-1', retries: 0, ...signing });
    return aws.fetch(`${url}/2015-03-31/functions/${name}/invocations`, {
      method: 'POST',
      headers: type === undefined ? {} : { 'x-amz-invocation-type': type },
      ...(body !== undefined && { body }),
    });
  };
  try {
    await run({ invoke, server, url, call });
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

const echo: LocalFunction = async (payload) => ({ payload });

const errorOf = async (response: Response) => {
  await response.text();
  return [response.status, response.headers.get('x-amzn-errortype')];
};

const lambda = suite('Lambda Invoke');

lambda('a call waits for the result unless it says otherwise', () =>
  withLambda(echo, async ({ call }) => {
    for (const type of [undefined, 'RequestResponse']) {
      const response = await call(type, '{"id":"é"}');
      assert.equal([response.status, await response.json()], [200, { payload: { id: 'é' } }]);
      assert.is(response.headers.get('x-amz-function-error'), null);
    }
    assert.equal(await (await call(undefined)).json(), { payload: {} });
  }),
);

lambda('a function that replies nothing replies null', () =>
  withLambda(
    async () => undefined,
    async ({ call }) => assert.is(await (await call(undefined, '{}')).text(), 'null'),
  ),
);

lambda('an event is accepted at once and runs afterwards', () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const seen: unknown[] = [];
  const work: LocalFunction = async (payload) => {
    seen.push(payload);
    await promise;
    seen.push('end');
  };
  return withLambda(work, async ({ invoke, server, call }) => {
    server.on('request', (_, response) => response.once('prefinish', () => seen.push('reply')));
    const response = await call('Event', '{"n":1}');
    assert.equal([response.status, await response.text(), invoke.running], [202, '', 1]);
    const drained = invoke.drain();
    resolve();
    await drained;
    assert.equal([invoke.running, seen], [0, ['reply', { n: 1 }, 'end']]);
    await invoke.drain();
  });
});

lambda('an event that fails is not tried again, and harms nobody', () => {
  let runs = 0;
  const work = () => {
    runs++;
    throw new Error('secret');
  };
  return withLambda(work, async ({ invoke, call }) => {
    assert.is((await call('Event', '{}')).status, 202);
    await invoke.drain();
    assert.is((await call('Event', '{}')).status, 202);
    await invoke.drain();
    assert.is(runs, 2);
  });
});

lambda('a failure comes back as one', async () => {
  const tries: [LocalFunction, object][] = [
    [async () => Promise.reject(new TypeError('No.')), { errorType: 'TypeError', errorMessage: 'No.' }],
    [async () => Promise.reject('no'), { errorType: 'string', errorMessage: 'no' }],
    [() => new Promise(() => {}), { errorType: 'Sandbox.Timedout', errorMessage: 'It took over 30 ms.' }],
  ];
  for (const [work, failure] of tries) {
    const run = async ({ invoke, call }: Bench) => {
      const response = await call(undefined, '{}');
      assert.equal([response.status, response.headers.get('x-amz-function-error')], [200, 'Unhandled']);
      assert.equal(await response.json(), failure);
      assert.is(invoke.running, 0);
    };
    await withLambda(work, run, { timeoutMs: 30 });
  }
});

lambda('a function is told how much time it has', async () => {
  const remaining: LocalFunction = async (_, context) => context.getRemainingTimeInMillis();
  const at = Date.now();
  const read = async ({ call }: Bench) => assert.is(await (await call(undefined)).json(), 900_000);
  await withLambda(remaining, read, { now: () => at });
});

lambda('a dry run runs nothing', () =>
  withLambda(
    () => assert.unreachable() as never,
    async ({ call }) => assert.is((await call('DryRun', '{}')).status, 204),
  ),
);

lambda('a function is known by its name and its ARN, and everything else is 404', () =>
  withLambda(echo, async ({ call }) => {
    const arn = 'arn:aws:lambda:us-east-1:000000000000:function:worker';
    for (const name of [
      'worker',
      'worker:live',
      'worker:$LATEST',
      arn,
      `${arn}:live`,
      '000000000000:worker',
    ]) {
      assert.is((await call('Event', '{}', encodeURIComponent(name))).status, 202, name);
    }
    for (const name of ['work', 'toString', '__proto__', '%ff', 'worker/x', encodeURIComponent(`x:${arn}`)]) {
      const seen = await errorOf(await call('Event', '{}', name));
      assert.equal(seen, [404, 'ResourceNotFoundException'], name);
    }
  }),
);

lambda('an unsigned call, and one with another key, secret or service, runs nothing', () =>
  withLambda(
    () => assert.unreachable() as never,
    async ({ url, call }) => {
      const tries = [
        fetch(`${url}/2015-03-31/functions/worker/invocations`, { method: 'POST', body: '{}' }),
        call(undefined, '{}', 'worker', { accessKeyId: 'AKIAOTHER' }),
        call(undefined, '{}', 'worker', { secretAccessKey: 'other' }),
        call(undefined, '{}', 'worker', { service: 'execute-api' }),
      ];
      for (const tried of tries) assert.equal(await errorOf(await tried), [403, 'InvalidSignatureException']);
    },
  ),
);

lambda('a payload has a limit, and is JSON', () =>
  withLambda(
    async () => 'taken',
    async ({ call }) => {
      const payload = (bytes: number) => JSON.stringify('a'.repeat(bytes - 2));
      const megabyte = 1024 * 1024;
      assert.is((await call('Event', payload(megabyte))).status, 202);
      assert.is((await call(undefined, payload(6 * megabyte))).status, 200);
      for (const [type, bytes] of [
        ['Event', megabyte + 1],
        [undefined, 6 * megabyte + 1],
      ] as const) {
        // biome-ignore format: two
        const seen = await errorOf(await call(type, payload(bytes)));
        assert.equal(seen, [413, 'RequestTooLargeException'], type);
      }
      const seen = await errorOf(await call('Event', '{'));
      assert.equal(seen, [400, 'InvalidRequestContentException']);
      assert.equal(await errorOf(await call('Soon', '{}')), [400, 'InvalidParameterValueException']);
    },
  ),
);

lambda('each fault happens on request', async () => {
  let fault: 'throttled' | 'down' | 'twice' | undefined;
  const seen: { n?: number }[] = [];
  const work: LocalFunction = async (payload) => {
    seen.push(payload as object);
  };
  const run = async ({ invoke, call }: Bench) => {
    fault = 'throttled';
    assert.equal(await errorOf(await call('Event', '{}')), [429, 'TooManyRequestsException']);
    fault = 'down';
    assert.equal(await errorOf(await call('Event', '{}')), [503, 'ServiceException']);
    assert.equal(seen, []);
    fault = 'twice';
    assert.is((await call('Event', '{"n":1}')).status, 202);
    await invoke.drain();
    assert.equal(seen, [{ n: 1 }, { n: 1 }]);
    assert.is.not(seen[0], seen[1]);
  };
  await withLambda(work, run, { fault: () => fault });
});

lambda.run();

// ---

type Report = {
  readonly requestContext: Readonly<Record<string, unknown>>;
  readonly requestPayload: unknown;
  readonly responsePayload?: unknown;
};

/** A function whose failures are told to another one. */
function withDestination(
  work: LocalFunction,
  run: (bench: Bench, reports: Report[]) => Promise<void>,
  options: Partial<LambdaInvokeOptions> = {},
) {
  const reports: Report[] = [];
  const undertaker: LocalFunction = async (report) => {
    reports.push(report as Report);
    throw new Error('of no interest');
  };
  const onFailure = { worker: 'undertaker' };
  return withLambda(work, (bench) => run(bench, reports), { onFailure, ...options }, { undertaker });
}

const reporting = suite('an on-failure destination');

reporting('hears of an event that failed, as Lambda tells it', () => {
  const at = Date.now();
  return withDestination(
    async () => Promise.reject(new TypeError('No.')),
    async ({ invoke, call }, reports) => {
      assert.is((await call('Event', '{"id":"é"}')).status, 202);
      await invoke.drain();
      const [{ requestContext, ...report } = assert.unreachable() as never, ...others] = reports;
      assert.equal(others, []);
      const { requestId, ...context } = requestContext;
      assert.match(String(requestId), /^[\da-f-]{36}$/);
      assert.equal(context, {
        functionArn: 'arn:aws:lambda:us-east-1:000000000000:function:worker:$LATEST',
        condition: 'RetriesExhausted',
        approximateInvokeCount: 1,
      });
      assert.equal(report, {
        version: '1.0',
        timestamp: new Date(at).toISOString(),
        requestPayload: { id: 'é' },
        responseContext: { statusCode: 200, executedVersion: '$LATEST', functionError: 'Unhandled' },
        responsePayload: { errorType: 'TypeError', errorMessage: 'No.' },
      });
      assert.is(invoke.running, 0);
    },
    { now: () => at },
  );
});

reporting('hears of one that took too long', () =>
  withDestination(
    () => new Promise(() => {}),
    async ({ invoke, call }, reports) => {
      await call('Event', '{}');
      await invoke.drain();
      assert.match(JSON.stringify(reports), '"errorType":"Sandbox.Timedout"');
    },
    { timeoutMs: 30 },
  ),
);

reporting('hears of one that grew too old, which never ran', () => {
  let runs = 0;
  const work: LocalFunction = async () => void runs++;
  const test = async ({ invoke, call }: Bench, reports: Report[]) => {
    assert.is((await call('Event', '{"n":1}')).status, 202);
    await invoke.drain();
    assert.is(runs, 0);
    const [{ requestContext, requestPayload, ...rest } = assert.unreachable() as never] = reports;
    assert.equal(requestPayload, { n: 1 });
    const { condition, approximateInvokeCount } = requestContext;
    assert.equal([condition, approximateInvokeCount], ['EventAgeExceeded', 0]);
    assert.equal(Object.keys(rest), ['version', 'timestamp']);
  };
  return withDestination(work, test, { fault: () => 'too-old' });
});

reporting('hears nothing of what went well, nor of what its caller was told', () => {
  const work: LocalFunction = async (payload) => {
    if ((payload as { n: number }).n === 2) throw new Error('No.');
  };
  return withDestination(work, async ({ invoke, call }, reports) => {
    await call('Event', '{"n":1}');
    assert.is((await call('RequestResponse', '{"n":2}')).headers.get('x-amz-function-error'), 'Unhandled');
    await invoke.drain();
    assert.equal(reports, []);
  });
});

reporting.run();
