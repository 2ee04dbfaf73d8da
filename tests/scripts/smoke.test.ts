/** `npm run smoke` against the gateway itself, by all of its doors. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createPrompt, medianOf } from '../../scripts/smoke/latency.ts';
import { type Io, smoke } from '../../scripts/smoke.ts';
import { people, startGateway } from '../helpers/gateway.ts';
import { runScript } from '../helpers/process.ts';
import { defaultSettings } from '../helpers/requests.ts';

type Report = {
  readonly ok: boolean;
  readonly checks: readonly {
    readonly door: string;
    readonly check: string;
    readonly result: string;
    readonly ms?: number;
    readonly figures?: Readonly<Record<string, number>>;
  }[];
  readonly latency: readonly {
    readonly door: string;
    readonly prompt_tokens: number;
    readonly runs_ms: readonly number[];
    readonly median_ms: number;
    readonly input_tokens: number;
  }[];
};

const { key, accessKeyId, secretAccessKey } = people.alice;
const portOf = (url: string) => new URL(url).port;

/** REST and WebSocket of one gateway, the Function URL of another. */
async function startDoors(tokensPerSecond = 2_000) {
  const options = { tokensPerSecond, settings: { allowedModels: [defaultSettings.defaultModel] } };
  const [rest, functionUrl] = await Promise.all([
    startGateway({ door: 'rest', ...options }),
    startGateway({ door: 'function-url', ...options }),
  ]);
  const env = {
    PORT: portOf(rest.url),
    FUNCTION_URL_PORT: portOf(functionUrl.url),
    LOCAL_API_KEYS: `alice=${key}`,
    LOCAL_IAM_KEYS: `${accessKeyId}=${secretAccessKey}`,
  };
  return {
    env,
    rest,
    functionUrl,
    async [Symbol.asyncDispose]() {
      await Promise.all([rest.close(), functionUrl.close()]);
    },
  };
}

async function run(args: readonly string[], env: Record<string, string>, changes: Partial<Io> = {}) {
  let out = '';
  let err = '';
  const io: Io = { out: (text) => void (out += text), err: (text) => void (err += text), ...changes };
  const code = await smoke(['--local', ...args], env, io);
  for (const text of [out, err]) assert.not.ok(text.includes(key) || text.includes(secretAccessKey), text);
  return { code, out, err };
}

const COMMON = [
  'lives',
  'answers in a stream',
  'answers in one piece',
  'cancels in mid-answer',
  'knows an answer again',
  'goes on with a conversation',
];
const EDGES = ['lets no foreign page in', 'has no unknown model', 'has no unknown path'];
const KEY_EDGES = ['refuses who shows no key', 'refuses who shows a wrong key'];

const checking = suite('npm run smoke');

checking('every check is ok at every door of a gateway that works, and nothing is left behind', async () => {
  // Slow enough for a cancel to come in the middle of an answer.
  await using doors = await startDoors(30);
  const runs = ['rest', 'websocket', 'function-url'].map((door) =>
    run(['--json', '--door', door], doors.env),
  );
  const reports: Report[] = (await Promise.all(runs)).map(({ out }) => JSON.parse(out));
  assert.equal(
    reports.map(({ ok, checks }) => [ok, checks.map(({ check, result }) => `${result} ${check}`)]),
    [
      [...COMMON, ...KEY_EDGES, ...EDGES],
      [...COMMON.filter((name) => name !== 'answers in one piece'), ...KEY_EDGES, ...EDGES.slice(0, 2)],
      [...COMMON, 'refuses who does not sign', ...EDGES],
    ].map((names) => [true, names.map((name) => `ok ${name}`)]),
  );
  for (const { checks } of reports) {
    const { figures = {} } = checks[1] ?? {};
    const { open_ms, first_event_ms, first_delta_ms, total_ms, deltas, moments } = figures;
    assert.ok(Number(deltas) >= Number(moments) && Number(moments) > 1, JSON.stringify(figures));
    const order = [first_event_ms, first_delta_ms, total_ms].map(Number);
    assert.equal(
      order,
      order.toSorted((one, other) => one - other),
    );
    assert.ok(Number(open_ms) > 0 && checks.every(({ ms = 0 }) => ms > 0));
  }
  for (const { send } of [doors.rest, doors.functionUrl])
    assert.equal(await (await send('/v1/chats')).json(), { data: [], next: null });
});

checking('the table shows a door, and a line for each of its checks', async () => {
  await using doors = await startDoors();
  const { out } = await run(['--door', 'function-url'], doors.env);
  const [title, , door, ...lines] = out.split('\n');
  assert.is(title, 'The gateway of this machine');
  assert.is(door, `Function URL  ${doors.functionUrl.url}/`);
  assert.match(lines[0] ?? '', /^ {2}ok {7}lives {26,}\d+ ms$/);
  assert.match(
    lines[1] ?? '',
    /to the first event; headers [\d,]+ ms, first text [\d,]+ ms, end [\d,]+ ms; .*\d+ pieces of text /,
  );
  assert.match(lines.at(-2) ?? '', /^10 checks: \d+ ok, \d warning, 0 skipped, \d FAILED$/);
});

checking('Ctrl-C ends it at once, and what it began is deleted', async () => {
  await using doors = await startDoors();
  const interrupt = new AbortController();
  // Once the second turn of the conversation is asked for.
  const fetching: typeof fetch = async (input, init) => {
    if (String(init?.body).includes('"chat_id"')) interrupt.abort();
    return await fetch(input, init);
  };
  const args = ['--door', 'function-url'];
  const { code, out, err } = await run(args, doors.env, { signal: interrupt.signal, fetch: fetching });
  assert.equal([code, err], [130, '']);
  assert.match(out, 'knows an answer again');
  assert.not.match(out, 'goes on');
  assert.equal(await (await doors.functionUrl.send('/v1/chats')).json(), { data: [], next: null });
});

checking('a gateway that is not started is told once, and nothing else is tried', async () => {
  const { env, [Symbol.asyncDispose]: stop } = await startDoors();
  await stop();
  const { code, out } = await run(['--door', 'rest'], env);
  assert.is(code, 1);
  assert.match(out, /FAILED {3}lives +Nothing answers at http:.* \(ECONNREFUSED\); run npm start first\./);
  assert.match(out, '11 checks: 0 ok, 0 warning, 10 skipped, 1 FAILED');
});

checking('what is no command is refused by name, and --help tells every option', async () => {
  const refusals: [string[], RegExp][] = [
    [['--door', 'window'], /^--door must be one of rest, websocket, function-url\.\n$/],
    [['--timeout-seconds', '0'], /^--timeout-seconds must be a whole number from 1 to 600\.\n$/],
    [['--runs', '1.5'], /^--runs must be a whole number from 1 to 100\.\n$/],
    [['--prompt-tokens', '10,x'], /^--prompt-tokens must be a whole number from 1 to 1,000,000\.\n$/],
    [['--loud'], /--loud/],
  ];
  for (const [args, sentence] of refusals) {
    const { code, out, err } = await run(args, {});
    assert.equal([code, out], [2, ''], args.join(' '));
    assert.match(err, sentence);
  }
  assert.is((await run([], { PORT: 'x' })).err, 'PORT must be a whole number from 1 to 65535.\n');
  const { code, out } = await runScript('scripts/smoke.ts', ['--help'], {});
  assert.is(code, 0);
  const options = ['local', 'door', 'timeout-seconds', 'prompt-tokens', 'runs', 'json', 'env', 'help'];
  for (const option of options) assert.match(out, ` --${option} `);
});

checking.run();

// ---

const latency = suite('--prompt-tokens');

latency(
  'is the table of the predecessor, over all doors, with the counts that the gateway gave',
  async () => {
    await using doors = await startDoors();
    const { code, out } = await run(['--prompt-tokens', '2000,10000', '--runs', '1'], doors.env);
    assert.is(code, 0, out);
    const [head, ...lines] = out.slice(out.indexOf('   ')).split('\n');
    assert.match(head ?? '', /^ +2,000 tokens +10,000 tokens$/);
    for (const [n, door] of ['REST', 'WebSocket', 'Function URL'].entries())
      assert.match(lines[n] ?? '', new RegExp(`^${door}( +[\\d,]+ ms){2}$`));
    assert.match(lines[3] ?? '', /^input tokens +[12],\d{3}( to 2,\d{3})? +(9|10),\d{3}( to 10,\d{3})?$/);
    assert.match(out, 'estimated as 4 characters of random English words');
  },
);

latency('is the median of the runs', async () => {
  await using doors = await startDoors();
  const { out } = await run(['--prompt-tokens', '50', '--runs', '3', '--door', 'rest', '--json'], doors.env);
  const { checks, latency: cells }: Report = JSON.parse(out);
  assert.equal([checks, cells.length], [[], 1]);
  const [{ runs_ms: runs, median_ms: median } = { runs_ms: [], median_ms: 0 }] = cells;
  assert.is(runs.length, 3);
  assert.is(median, runs.toSorted((one, other) => one - other)[1]);
  assert.equal([medianOf([9, 1, 2]), medianOf([4, 1]), medianOf([7])], [2, 2.5, 7]);
});

latency('asks nothing twice, of about as many tokens as were wanted', () => {
  const [one, other] = [createPrompt(1_000), createPrompt(1_000)];
  assert.is.not(one.slice(0, 8), other.slice(0, 8));
  for (const { length } of [one, other]) assert.ok(length >= 4_000 && length < 4_010, String(length));
});

latency.run();
