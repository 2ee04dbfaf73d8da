/** `npm run call -- keys` against a stand-in for API Gateway's control plane, with the real SDK and its signatures. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { runIn, stack, xmlFailure } from '../helpers/aws-stand-in.ts';

type Key = {
  readonly id: string;
  readonly name: string;
  readonly value: string;
  readonly enabled: boolean;
  /** In seconds. */
  readonly createdDate: number;
  readonly tags?: Readonly<Record<string, string>>;
};

const keyValue = (id: string) => `hush${id}`.padEnd(40, 'x');

/** An account with one usage plan, p1, and keys that are in it or not. */
class Account {
  readonly keys = new Map<string, Key>();
  readonly plan = new Set<string>();
  /** Such as `POST /apikeys apigateway us-east-1`: what was asked, and the service and region that it was signed for. */
  readonly calls: string[] = [];
  /** Method and path → `403 AccessDeniedException`. */
  readonly faults: Record<string, string> = {};
  #made = 0;

  add(id: string, name: string, { inPlan = true, enabled = true } = {}) {
    this.keys.set(id, { id, name, value: keyValue(id), enabled, createdDate: 1_760_000_000 });
    if (inPlan) this.plan.add(id);
    return this;
  }

  ofPlan = () => [...this.keys.values()].filter(({ id }) => this.plan.has(id));
  names = () => this.ofPlan().map(({ name }) => name);

  /** What API Gateway answers: the fields, or an error as `faults` has them. Values are in lists too, as in those of a plan. */
  answer(method: string, { pathname, searchParams }: URL, body: string): object | string {
    const fault = this.faults[`${method} ${pathname}`];
    if (fault) return fault;
    const [, id = ''] = /^\/apikeys\/(\w+)$/.exec(pathname) ?? [];
    const key = this.keys.get(id);
    const route = `${method} ${key ? '/apikeys/*' : pathname}`;
    if (route === 'POST /apikeys') return this.#make(JSON.parse(body));
    if (route === 'GET /apikeys') return toPage(searchParams, [...this.keys.values()]);
    if (route === 'GET /apikeys/*')
      return searchParams.get('includeValue') === 'true' ? (key ?? {}) : { ...key, value: undefined };
    if (route === 'GET /usageplans/p1/keys') return toPage(searchParams, this.ofPlan());
    if (route === 'POST /usageplans/p1/keys') return this.#join(JSON.parse(body));
    if (route !== 'DELETE /apikeys/*') return '404 NotFoundException';
    this.keys.delete(id);
    return {};
  }

  /** A key opens nothing until somebody says `enabled`. */
  #make({ name = '', enabled = false, tags = {} }) {
    const id = `new${++this.#made}`;
    const key = { id, name, value: keyValue(id), enabled, createdDate: 1_770_000_000, tags };
    this.keys.set(id, key);
    return key;
  }

  #join({ keyId = '', keyType = '' }) {
    const key = this.keys.get(keyId);
    if (!key || keyType !== 'API_KEY') return '404 NotFoundException';
    this.plan.add(keyId);
    return { id: keyId, type: keyType, value: key.value, name: key.name };
  }
}

/** 25 to a page, or as many as `limit` says, up to 500. */
function toPage(query: URLSearchParams, all: readonly Key[]) {
  const from = Number(query.get('position'));
  const end = from + Math.min(Number(query.get('limit') ?? 25), 500);
  return { item: all.slice(from, end), ...(end < all.length && { position: String(end) }) };
}

function describeStack(outputs: Outputs | undefined, response: ServerResponse) {
  const absent = xmlFailure(400, 'ValidationError', 'Stack with id S does not exist');
  const reply = outputs ? stack('CREATE_COMPLETE', outputs) : absent;
  if (reply !== 'hang')
    response.writeHead(reply.status ?? 200, { 'content-type': 'text/xml' }).end(reply.body);
}

type Outputs = Readonly<Record<string, string>>;
type Variables = Readonly<Record<string, string | undefined>>;
/** A command as one string of words. */
type Step = string | { readonly command: string; readonly isTerminal?: boolean; readonly answer?: string };
type Ended = { readonly code: number; readonly out: string; readonly err: string };
/** Nothing for `outputs`: there is no stack. `file` is prod.env. */
type Place = { readonly outputs?: Outputs | undefined; readonly env?: Variables };

const withPlan: Place = { outputs: { UsagePlanId: 'p1', ApiKeyId: 'first0' } };

/** Runs the commands one after another in a process of its own, since the SDK reads its keys from the process. */
async function run(account: Account, steps: readonly Step[], place = withPlan): Promise<Ended[]> {
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const part of request.setEncoding('utf8')) body += part;
    const url = new URL(request.url ?? '/', 'http://aws');
    account.calls.push(`${request.method} ${url.pathname}${url.search} ${scopeOf(request)}`);
    if (url.pathname === '/') return describeStack(place.outputs, response);
    const answer = account.answer(request.method ?? '', url, body);
    const [status, name] = typeof answer === 'string' ? answer.split(' ') : [];
    if (name) response.setHeader('x-amzn-errortype', name);
    response.writeHead(Number(status ?? 200), { 'content-type': 'application/json' });
    response.end(JSON.stringify(name ? { message: 'foreign hush' } : answer));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const folder = mkdtempSync(join(tmpdir(), 'keys '));
  try {
    const AWS_ENDPOINT_URL = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const variables = { AWS_ENDPOINT_URL, STACK_NAME: 'S', ...place.env };
    const { out, err } = await runIn(folder, ['--input-type=module', '-e', scriptOf(steps)], variables);
    assert.is(err, '');
    return JSON.parse(out);
  } finally {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
    rmSync(folder, { recursive: true });
  }
}

const scopeOf = ({ headers }: IncomingMessage): string =>
  headers.authorization?.replace(/^.*Credential=AKIATEST\/\d+\/([^/]+)\/([^/]+)\/.*$/, '$2 $1') ?? 'unsigned';

const scriptOf = (steps: readonly Step[]) => `
  import { keys } from ${JSON.stringify(new URL('../../scripts/keys.ts', import.meta.url))};
  const ended = [];
  for (const step of ${JSON.stringify(steps)}) {
    const { command, isTerminal, answer } = typeof step === 'string' ? { command: step } : step;
    const result = { out: '', err: '' };
    const io = { out: (text) => (result.out += text), err: (text) => (result.err += text), isTerminal };
    if (answer !== undefined) io.ask = async (question) => { result.err += question; return answer; };
    result.code = await keys(command.split(' ').filter(Boolean), process.env, io);
    ended.push(result);
  }
  console.log(JSON.stringify(ended));`;

async function runOne(account: Account, step: Step, place?: Place): Promise<Ended> {
  const [ended] = await run(account, [step], place);
  return ended ?? (assert.unreachable('nothing was run') as never);
}

const isSilent = ({ out, err }: Ended) => assert.not.match(out + err, 'hush');

const create = suite('keys create');

create('makes a key that is enabled, tagged and of the plan, and prints its value and its id', async () => {
  const account = new Account();
  const { code, out, err } = await runOne(account, 'create alice');
  assert.is(code, 0);
  assert.is(out, `key: ${keyValue('new1')}\nid: new1\n`);
  assert.match(err, 'The gateway calls alice by this id.');
  const key = account.keys.get('new1');
  assert.is(key?.name, 'S-alice');
  assert.is(key?.enabled, true);
  assert.equal(key?.tags, { 'llm-gateway:stack': 'S', 'llm-gateway:tenant': 'alice' });
  assert.equal([...account.plan], ['new1']);
  assert.equal(account.calls, [
    'POST / cloudformation us-east-1',
    'GET /usageplans/p1/keys?limit=500 apigateway us-east-1',
    'POST /apikeys apigateway us-east-1',
    'POST /usageplans/p1/keys apigateway us-east-1',
  ]);
});

create('--json is the same for a program', async () => {
  const { out } = await runOne(new Account(), 'create alice --json');
  assert.equal(JSON.parse(out), { tenant: 'alice', id: 'new1', value: keyValue('new1') });
});

create(
  'is refused for a tenant who has a key, but not for one whose name another stack has given',
  async () => {
    const account = new Account().add('a1', 'S-alice').add('b1', 'S-bob', { inPlan: false });
    const [alice, bob] = await run(account, ['create alice', 'create bob']);
    assert.equal(alice, {
      code: 1,
      out: '',
      err: 'alice has a key already; keys show prints it, keys rotate makes another.\n',
    });
    assert.is(bob?.code, 0);
    assert.equal(account.names(), ['S-alice', 'S-bob']);
  },
);

create('deletes the key again when the plan does not take it', async () => {
  const account = new Account();
  account.faults['POST /usageplans/p1/keys'] = '429 TooManyRequestsException';
  const ended = await runOne(account, 'create alice');
  assert.is(ended.code, 1);
  assert.match(ended.err, /takes no more calls for now; .* The key just made was deleted again\.\n$/);
  assert.is(account.keys.size, 0);
  isSilent(ended);
});

create('names the key that it could not delete again', async () => {
  const account = new Account();
  for (const route of ['POST /usageplans/p1/keys', 'DELETE /apikeys/new1'])
    account.faults[route] = '403 AccessDeniedException';
  const ended = await runOne(account, 'create alice');
  assert.match(
    ended.err,
    /allow it apigateway:POST on \/usageplans\/\*\/keys\. The key new1 was made, is in no plan/,
  );
  isSilent(ended);
});

create('takes names of up to 64 letters, digits, dots, dashes and underscores', async () => {
  const [good, found, long, odd, missing] = await run(new Account(), [
    `create ${'a.B-9_xy'.repeat(8)}`,
    `show ${'a.B-9_xy'.repeat(8)}`,
    `create ${'a'.repeat(65)}`,
    'create a/b',
    'create',
  ]);
  assert.equal([good?.code, found?.code], [0, 0]);
  for (const bad of [long, odd])
    assert.equal(bad, {
      code: 2,
      out: '',
      err: 'TENANT must be 1 to 64 characters of A-Z, a-z, 0-9, ".", "_" and "-".\n',
    });
  assert.equal(missing, { code: 2, out: '', err: "Missing required argument 'tenant'.\n" });
});

create.run();

// ---

const list = suite('keys list');

list(
  'shows whose the keys of the plan are, and the one that the deployment made, without a value',
  async () => {
    const account = new Account()
      .add('z1', 'S-zoe', { enabled: false })
      .add('first0', 'S-FirstKey-Ab1')
      .add('hand0', 'Tx-hand')
      .add('a2', 'S-alice 2')
      .add('a1', 'S-alice')
      .add('other', 'S-other', { inPlan: false });
    const [text, json] = await run(account, ['list', 'list --json']);
    assert.is(
      text?.out,
      `ID          CREATED     ENABLED  TENANT
first0      2025-10-09  yes      S-FirstKey-Ab1 (made by the deployment)
a1          2025-10-09  yes      alice (old, until keys revoke --old)
a2          2025-10-09  yes      alice
z1          2025-10-09  no       zoe
hand0       2025-10-09  yes      Tx-hand
`,
    );
    const rows: { id: string; tenant?: string; created: string }[] = JSON.parse(json?.out ?? '');
    assert.equal(
      rows.map(({ id, tenant }) => [id, tenant]),
      [
        ['first0', undefined],
        ['a1', 'alice'],
        ['a2', 'alice'],
        ['z1', 'zoe'],
        ['hand0', undefined],
      ],
    );
    assert.is(rows[0]?.created, '2025-10-09T08:53:20.000Z');
    for (const ended of [text, json]) isSilent(ended as Ended);
  },
);

list('shows every key of 1,001, asking for pages of 500', async () => {
  const account = new Account();
  for (let n = 1; n <= 1001; n++) account.add(`k${n}`, `S-t${n}`);
  const { out } = await runOne(account, 'list --json');
  assert.is(JSON.parse(out).length, 1001);
  assert.is(account.calls.filter((call) => call.includes('limit=500')).length, 6);
});

list('of a plan without keys is a header', async () => {
  assert.equal(await runOne(new Account(), 'list'), {
    code: 0,
    out: 'ID          CREATED     ENABLED  TENANT\n',
    err: '',
  });
});

list.run();

// ---

const show = suite('keys show');

show('prints the value and nothing else, the newer of two, and a hint on a terminal', async () => {
  const account = new Account().add('a9', 'S-alice 9').add('a10', 'S-alice 10').add('first0', 'S-First-x');
  const [alice, old, first, json] = await run(account, [
    { command: 'show alice', isTerminal: true },
    'show a9',
    'show first0',
    'show --json alice',
  ]);
  assert.is(alice?.out, `${keyValue('a10')}\n`);
  assert.match(alice?.err ?? '', 'This is a secret');
  assert.equal(old, { code: 0, out: `${keyValue('a9')}\n`, err: '' });
  assert.is(first?.out, `${keyValue('first0')}\n`);
  assert.equal(JSON.parse(json?.out ?? ''), { tenant: 'alice', id: 'a10', value: keyValue('a10') });
});

show('does not repeat what it did not find, which may be a key', async () => {
  const account = new Account().add('a1', 'S-alice').add('b1', 'S-bob', { inPlan: false });
  const ended = await run(account, [`show ${keyValue('a1')}`, 'show bob', 'show b1', 'show First-x']);
  for (const { code, out, err } of ended)
    assert.equal(
      [code, out, err],
      [1, '', 'No key of S has this tenant or id; keys list shows all of them.\n'],
    );
  assert.is(ended.length, 4);
});

show.run();

// ---

const rotate = suite('keys rotate');

rotate('makes a second key, says what that means, and leaves the old one until revoke --old', async () => {
  const account = new Account().add('b1', 'S-bob').add('a1', 'S-alice');
  const [first, again, revoked, third] = await run(account, [
    'rotate alice',
    'rotate alice',
    'revoke --old --yes alice',
    'rotate alice --json',
  ]);
  assert.is(first?.out, `key: ${keyValue('new1')}\nid: new1\n`);
  assert.match(first?.err ?? '', 'the conversations and learned answers of a1 do not move.');
  assert.match(first?.err ?? '', 'The old key a1 stays valid until keys revoke --old alice.');
  assert.equal(again, {
    code: 1,
    out: '',
    err: 'alice has two keys already; take back the old one with keys revoke --old.\n',
  });
  assert.is(revoked?.out, 'a1 is deleted.\n');
  assert.is(JSON.parse(third?.out ?? '').oldId, 'new1');
  assert.equal(account.names(), ['S-bob', 'S-alice 2', 'S-alice 3']);
});

rotate('is refused for a tenant without a key and for a key that create did not make', async () => {
  const account = new Account().add('first0', 'S-First-x');
  const [none, first] = await run(account, ['rotate alice', 'rotate first0']);
  assert.is(none?.code, 1);
  assert.equal(first, {
    code: 1,
    out: '',
    err: 'This key was not made by keys create; make one for the tenant instead.\n',
  });
  assert.equal([...account.plan], ['first0']);
});

rotate.run();

// ---

const revoke = suite('keys revoke');

revoke('asks first, and takes only yes for yes', async () => {
  const account = new Account().add('a1', 'S-alice').add('a2', 'S-alice 2').add('b1', 'S-bob');
  const [no, empty, yes] = await run(account, [
    { command: 'revoke alice', answer: 'nay' },
    { command: 'revoke alice', answer: '' },
    { command: 'revoke alice', answer: ' Yes\n' },
  ]);
  for (const refused of [no, empty]) {
    assert.is(refused?.code, 1);
    assert.match(refused?.err ?? '', /^Delete a2 and a1 for good\? .*Nothing was deleted\.\n$/);
  }
  assert.is(yes?.out, 'a2 is deleted.\na1 is deleted.\n');
  assert.match(
    yes?.err ?? '',
    'within a few minutes. A WebSocket that is open already lives as long as connection-max-age-seconds',
  );
  assert.equal(account.names(), ['S-bob']);
});

revoke('needs --yes where nobody can be asked', async () => {
  const account = new Account().add('a1', 'S-alice');
  const [piped, terminal, told] = await run(account, [
    'revoke alice',
    { command: 'revoke alice', isTerminal: true },
    'revoke alice --yes',
  ]);
  for (const refused of [piped, terminal])
    assert.equal(refused, { code: 2, out: '', err: 'Give --yes, for there is no terminal to ask on.\n' });
  assert.is(told?.out, 'a1 is deleted.\n');
  assert.is(account.calls.filter((call) => call.startsWith('DELETE')).length, 1);
});

revoke('takes one key by its id, but not the deployment’s, nor the only one as an old one', async () => {
  const account = new Account().add('a1', 'S-alice').add('hand0', 'by hand').add('first0', 'S-First-x');
  const [one, first, old] = await run(account, [
    'revoke --yes hand0',
    'revoke --yes first0',
    'revoke --old --yes alice',
  ]);
  assert.is(one?.out, 'hand0 is deleted.\n');
  assert.match(first?.err ?? '', 'The deployment made this key');
  assert.is(first?.code, 1);
  assert.equal(old, { code: 1, out: '', err: 'There is no older key, only one.\n' });
  assert.equal([...account.keys.keys()], ['a1', 'first0']);
});

revoke.run();

// ---

const command = suite('keys');

command(
  '--help tells every command, where keys of the laptop are and what a rotation is, and asks nothing',
  async () => {
    const account = new Account();
    const [help, ofOne, none] = await run(account, ['--help', 'revoke --help', '']);
    assert.is(help?.code, 0);
    for (const word of [
      'create',
      'list',
      'show',
      'rotate',
      'revoke',
      '--env',
      'LOCAL_API_KEYS',
      'without the conversations',
      'Exit codes',
    ])
      assert.match((help?.out ?? '').replace(/\s+/g, ' '), word);
    for (const option of ['--old', '--yes', '--env', '--help']) assert.match(ofOne?.out ?? '', option);
    assert.is(none?.code, 2);
    assert.match(none?.err ?? '', 'Usage: npm run call -- keys');
    assert.equal(account.calls, []);
  },
);

command('a command that is none is exit code 2 and a sentence that repeats no stray word', async () => {
  const account = new Account();
  const ended = await run(account, ['lits', 'list --loud', 'create alice hush']);
  assert.equal(
    ended.map(({ err }) => err),
    [
      "Unknown command 'lits'.\n(Did you mean list?)\n",
      "Unknown option '--loud'.\n",
      "Too many arguments for 'create'. Expected 1 argument but got 2.\n",
    ],
  );
  for (const { code, out } of ended) assert.equal([code, out], [2, '']);
  assert.equal(account.calls, []);
});

for (const [what, outputs, sentence] of [
  [
    'takes IAM only',
    { UsesIam: 'true' },
    'The doors of S take IAM only, so it has no API keys; deploy it with API_GATEWAY_USE_API_KEY=true.\n',
  ],
  [
    'was deployed by an older version',
    { ApiKeyId: 'first0' },
    'The stack S does not say its usage plan yet; deploy it once more.\n',
  ],
  [
    'is not there',
    undefined,
    'There is no stack S in us-east-1; deploy it first, or set STACK_NAME, STAGE and REGION_ID.\n',
  ],
] as const) {
  command(`of a stack that ${what} is refused with a sentence`, async () => {
    const account = new Account();
    assert.equal(await runOne(account, 'list', { outputs }), { code: 1, out: '', err: sentence });
  });
}

const faults = `
POST /apikeys | create bob | 403 AccessDeniedException | allow it apigateway:POST on /apikeys, and apigateway:PUT on /tags/* for its tags.
POST /apikeys | create bob | 429 LimitExceededException | The account has as many API keys in us-east-1 as its quota allows
POST /apikeys | create bob | 400 BadRequestException | API Gateway in us-east-1 did not do it (BadRequestException).
GET /usageplans/p1/keys | list | 403 UnauthorizedException | allow it apigateway:GET on /usageplans/*/keys.
GET /usageplans/p1/keys | list | 404 NotFoundException | API Gateway no longer knows the key or its usage plan
GET /apikeys | list | 403 AccessDeniedException | allow it apigateway:GET on /apikeys.
GET /apikeys | list | 403 ExpiredTokenException | The AWS credentials have expired; run aws sso login
GET /apikeys/a1 | show alice | 403 AccessDeniedException | allow it apigateway:GET on /apikeys/*.
GET /apikeys/a1 | show alice | 429 ThrottlingException | takes no more calls for now; try again in a minute.
DELETE /apikeys/a1 | revoke --yes alice | 403 AccessDeniedException | allow it apigateway:DELETE on /apikeys/*.`;

for (const line of faults.trim().split('\n')) {
  const [route = '', words = '', error = '', sentence = ''] = line.split(' | ');
  command(`${error} at ${route} is a sentence of ours`, async () => {
    const account = new Account().add('a1', 'S-alice');
    account.faults[route] = error;
    const ended = await runOne(account, words);
    assert.equal([ended.code, ended.out], [1, '']);
    assert.is(ended.err.includes(sentence), true, ended.err);
    assert.not.match(ended.err, 'foreign');
    isSilent(ended);
  });
}

command('without credentials is a sentence of ours', async () => {
  const none = { AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined };
  const { code, err } = await runOne(new Account(), 'list', { ...withPlan, env: none });
  assert.is(code, 1);
  assert.match(err, 'There are no AWS credentials');
});

command.run();
