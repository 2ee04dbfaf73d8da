/** The stand-in for the Runtime API itself, with functions that do what the gateway must not: what it would not notice, no test would. */
import { createServer } from 'node:http';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { listen, stop, until } from '../../helpers/gateway.ts';
import { ExecutionEnvironment } from '../environment.ts';
import { givenFunctions, roles } from '../functions.ts';
import { createLambdaFunction } from '../lambda-function.ts';
import { readWrites } from '../replies.ts';
import { FunctionError, type Reply } from '../runtime-api.ts';

const build = (handler: string) => {
  const folder = join(import.meta.dirname, '..');
  return createLambdaFunction(
    { folder, handler: `traps.${handler}`, rights: [], environment: { OWN: 'yes' } },
    () => {},
  );
};

/** The name of the failure, and what it says; nothing when there is none. */
async function failureOf(work: Promise<unknown>): Promise<readonly string[]> {
  try {
    await work;
    return [];
  } catch (error) {
    if (error instanceof FunctionError) return [error.name, error.message];
    throw error;
  }
}

async function readInto(seen: string[], { body }: Reply): Promise<void> {
  for await (const chunk of body) seen.push(String(chunk));
}

const runtime = suite('the stand-in for the Runtime API');

runtime('each write is handed on as it was written', async () => {
  const parts = ['a', 'bc', 'é', 'x'.repeat(100_000)];
  const reply = await build('writeOneByOne').invoke({ parts });
  assert.ok(reply.isStreamed);
  const writes = await readWrites(reply);
  assert.equal(writes.slice(0, 3), parts.slice(0, 3));
  assert.is(writes.join(''), parts.join(''));
});

runtime('a failure in mid-answer comes after what was written, from the trailers', async () => {
  const seen: string[] = [];
  const failure = await failureOf(readInto(seen, await build('failInMidAnswer').invoke({})));
  assert.equal(failure, ['RangeError', 'in mid-answer']);
  assert.equal(seen, ['begun']);
});

runtime('the client’s trap is there: an end without a write loses the metadata', async () => {
  assert.equal(await readWrites(await build('endWithoutPrelude').invoke({})), []);
});

runtime('a process that ends fails its event, and the next event finds another process', async () => {
  const exits = build('exit');
  assert.equal(await failureOf(exits.call({})), ['Runtime.ExitError', 'It ended with 3.']);
  await failureOf(exits.call({}));
  assert.is(exits.environments.length, 2);
});

runtime('an answer that its process leaves unfinished is told from one that is whole', async () => {
  const seen: string[] = [];
  const failure = await failureOf(readInto(seen, await build('exitInMidAnswer').invoke({})));
  assert.equal(failure, ['Runtime.ExitError', 'The process ended in mid-answer.']);
  assert.equal(seen, ['begun']);
});

runtime('a process that exceeds its time is killed', async () => {
  const hangs = build('hang');
  assert.is((await failureOf(hangs.call({}, 100)))[0], 'Sandbox.Timedout');
  await hangs.settle();
  assert.not(hangs.environments[0]?.isAlive);
});

runtime('a function that cannot be loaded says so at its first event', async () => {
  const missing = build('missing');
  for (const _ of ['once', 'again']) {
    assert.is((await failureOf(missing.call({})))[0], 'Runtime.HandlerNotFound');
  }
});

runtime(
  'it is told its event, its time, and the variables of Lambda and of its deployment, not ours',
  async () => {
    const reply = await build('describe').call({ question: 'é' }, 60_000);
    const { event, leftMs, variables } = reply as { event: object; leftMs: number; variables: string[] };
    assert.equal(event, { question: 'é' });
    assert.ok(leftMs > 0 && leftMs <= 60_000, `${leftMs} ms`);
    for (const name of ['AWS_LAMBDA_FUNCTION_NAME', '_HANDLER', 'OWN'])
      assert.ok(variables.includes(name), name);
    for (const name of ['HOME', 'RUNTIME_FUNCTIONS', 'npm_execpath'])
      assert.not(variables.includes(name), name);
  },
);

runtime('events at once have a process each, events in a row share one', async () => {
  const waiting: (() => void)[] = [];
  const server = createServer((_, response) => void waiting.push(() => response.end('met')));
  const url = await listen(server);
  const meets = build('meet');
  const both = Promise.all([meets.call({ url }), meets.call({ url })]);
  await until(() => waiting.length === 2);
  for (const release of waiting) release();
  assert.equal(await both, ['met', 'met']);
  await meets.settle();
  const third = meets.call({ url });
  await until(() => waiting.length === 3);
  waiting[2]?.();
  await third;
  await stop(server);
  assert.equal(meets.environments.map(({ runs }) => runs).sort(), [1, 2]);
});

runtime.run();

// ---

const starting = suite('a deployed function');

for (const role of roles) {
  starting(`${role} starts without a word in the log or a variable of its deployment`, async () => {
    const lines: string[] = [];
    const { environment: _, ...deployed } = givenFunctions()[role];
    const environment = await ExecutionEnvironment.start(deployed, (line) => void lines.push(line));
    environment.stop('Runtime.ExitError');
    assert.equal(lines, []);
  });
}

starting.run();
