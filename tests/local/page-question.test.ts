/** What the page sends, and where. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readHash, toHash } from '../../src/local/page/address.ts';
import { guessSigning, joinUrl, type PlaceFields, parsePlace } from '../../src/local/page/place.ts';
import { describeArrivals, toSteps } from '../../src/local/page/plot.ts';
import { type Controls, toQuestion } from '../../src/local/page/question.ts';

const FUNCTION_URL = 'http://127.0.0.1:3001';

const asking = suite('toQuestion');

const nothing: Controls = {
  door: 'sse',
  model: '',
  system: '',
  temperature: '',
  topP: '',
  maxTokens: '',
  cache: '',
  store: '',
};
const asked = { prompt: 'Hi', requestId: 'r1', chatId: undefined, said: [] };

asking('sends nothing that nobody set', () => {
  assert.equal(toQuestion({ ...asked, controls: nothing }), { request_id: 'r1', prompt: 'Hi' });
});

asking('sends all that was set', () => {
  const controls: Controls = {
    door: 'sse',
    model: ' m ',
    system: 'Be brief.',
    temperature: '0',
    topP: '0.9',
    maxTokens: '16',
    cache: 'off',
    store: 'no',
  };
  assert.equal(toQuestion({ ...asked, chatId: 'c1', controls }), {
    request_id: 'r1',
    prompt: 'Hi',
    chat_id: 'c1',
    model: 'm',
    system: 'Be brief.',
    parameters: { temperature: 0, top_p: 0.9, max_tokens: 16 },
    cache: 'off',
    store: false,
  });
});

asking('leaves it to the gateway to refuse what is no number', () => {
  const question = toQuestion({ ...asked, controls: { ...nothing, temperature: 'hot' } });
  assert.equal(question['parameters'], { temperature: 'hot' });
});

asking('tells what was said only where the gateway does not keep it', () => {
  const said = [
    { prompt: 'a', text: 'b' },
    { prompt: 'unanswered', text: ' ' },
  ];
  assert.equal(toQuestion({ ...asked, said, controls: nothing })['messages'], [
    { role: 'user', content: 'a' },
    { role: 'assistant', content: 'b' },
    { role: 'user', content: 'Hi' },
  ]);
  const kept = toQuestion({ ...asked, said, chatId: 'c1', controls: nothing });
  assert.equal(kept, { request_id: 'r1', prompt: 'Hi', chat_id: 'c1' });
});

asking.run();

// ---

const placing = suite('parsePlace');

const fields: PlaceFields = {
  access: 'key',
  url: 'https://x.execute-api.eu-west-1.amazonaws.com/prod/',
  key: ' k ',
  webSocketUrl: '',
  accessKeyId: 'AKIA',
  secretAccessKey: 's',
  sessionToken: '',
  region: '',
  service: '',
};
const parse = (changes: Partial<PlaceFields>) => parsePlace({ ...fields, ...changes }, FUNCTION_URL);

placing('a REST API keeps its stage, and loses what a base cannot have', () => {
  const baseUrl = 'https://x.execute-api.eu-west-1.amazonaws.com/prod';
  assert.equal(parse({}), { baseUrl, key: 'k' });
  assert.equal(parse({ url: `${baseUrl}/?a=b#c`, webSocketUrl: 'wss://y.test/prod' }), {
    baseUrl,
    key: 'k',
    webSocketUrl: 'wss://y.test/prod',
  });
});

placing('credentials are signed for what the URL says, unless somebody says otherwise', () => {
  const { credentials, key } = parse({ access: 'aws', key: '' });
  assert.equal(credentials, {
    accessKeyId: 'AKIA',
    secretAccessKey: 's',
    region: 'eu-west-1',
    service: 'execute-api',
  });
  assert.is(key, undefined);
  const chosen = parse({ access: 'aws', sessionToken: 't', region: 'us-west-2', service: 'lambda' });
  assert.equal(chosen.credentials, {
    accessKeyId: 'AKIA',
    secretAccessKey: 's',
    sessionToken: 't',
    region: 'us-west-2',
    service: 'lambda',
  });
  assert.is(chosen.key, 'k');
});

const REFUSED: [changes: Partial<PlaceFields>, sentence: RegExp][] = [
  [{ url: '' }, /^The URL of the gateway must begin with https:/],
  [{ url: 'ftp://x.test' }, /^The URL of the gateway must begin with https:/],
  [{ url: 'http://x.test' }, /without encryption only this machine is called\.$/],
  [{ key: ' ' }, /^There is no API key/],
  [{ webSocketUrl: 'https://x.test' }, /^The WebSocket URL must begin with wss:/],
  [{ webSocketUrl: 'ws://x.test' }, /^The WebSocket URL must begin with wss:.*encryption/],
  [{ access: 'aws', accessKeyId: '' }, /^A signature takes/],
  [{ access: 'aws', secretAccessKey: ' ' }, /^A signature takes/],
];

for (const [changes, sentence] of REFUSED) {
  placing(`${JSON.stringify(changes)} is refused in a sentence`, () => {
    assert.throws(() => parse(changes), sentence);
  });
}

placing('this machine may be called in the clear', () => {
  assert.is(parse({ url: 'http://localhost:3000/' }).baseUrl, 'http://localhost:3000');
  assert.is(parse({ webSocketUrl: 'ws://127.0.0.1:3000/ws' }).webSocketUrl, 'ws://127.0.0.1:3000/ws');
});

placing('Function URLs are signed for lambda, all else for execute-api', () => {
  const guess = (url: string) => Object.values(guessSigning(url, FUNCTION_URL)).join(' ');
  assert.is(guess('https://abc.lambda-url.eu-central-1.on.aws/'), 'lambda eu-central-1');
  assert.is(guess('http://127.0.0.1:3001/'), 'lambda us-east-1');
  assert.is(guess('http://127.0.0.1:3000/'), 'execute-api us-east-1');
  assert.is(guess('https://x.execute-api.cn-north-1.amazonaws.com.cn/p'), 'execute-api cn-north-1');
  assert.is(guess('https://api.example.test'), 'execute-api us-east-1');
  assert.is(guess(''), 'execute-api us-east-1');
});

placing('paths are joined with one slash', () => {
  assert.is(joinUrl('https://x.test/prod', '/v1/chat'), 'https://x.test/prod/v1/chat');
  assert.is(joinUrl('https://x.test/prod/', '/v1/chat'), 'https://x.test/prod/v1/chat');
  assert.is(joinUrl('https://x.test', '/v1/chats?limit=20'), 'https://x.test/v1/chats?limit=20');
});

placing.run();

// ---

const addressing = suite('the address');

addressing('holds the conversation, whatever its id, and nothing for a new one', () => {
  assert.is(toHash('c1'), '#chat=c1');
  for (const id of ['c1', 'a b&c=d#e+f', '%']) assert.is(readHash(toHash(id)), id);
  assert.is(toHash(undefined), '');
  assert.is(readHash(''), undefined);
  assert.is(readHash('#question'), undefined);
});

addressing.run();

// ---

const plotting = suite('the plot');

const arrivals = [
  { ms: 100, chars: 1 },
  { ms: 150, chars: 2 },
  { ms: 200, chars: 1 },
];

plotting('is a staircase from the moment of asking to the whole text', () => {
  assert.equal(toSteps(arrivals, { width: 20, height: 8 }), [
    [0, 8],
    [10, 8],
    [10, 6],
    [15, 6],
    [15, 2],
    [20, 2],
    [20, 0],
  ]);
});

plotting('has few corners, however many pieces came, and always the last', () => {
  const many = Array.from({ length: 5_000 }, (_, index) => ({ ms: index, chars: 1 }));
  const steps = toSteps(many, { width: 100, height: 10 });
  assert.ok(steps.length < 260, `${steps.length}`);
  const late = toSteps([...many, { ms: 10_000, chars: 5_000 }], { width: 100, height: 10 });
  assert.equal(late.slice(-2), [
    [100, 5],
    [100, 0],
  ]);
});

plotting('is nothing where the text came at once', () => {
  assert.equal(toSteps([]), []);
  assert.equal(toSteps(arrivals.slice(0, 1)), []);
  assert.equal(
    toSteps([
      { ms: 100, chars: 3 },
      { ms: 149, chars: 3 },
    ]),
    [],
  );
  assert.equal(
    toSteps([
      { ms: 100, chars: 0 },
      { ms: 200, chars: 0 },
    ]),
    [],
  );
});

plotting('is a sentence for whoever does not see it', () => {
  const uneven = [...arrivals, { ms: 1_200, chars: 1 }];
  assert.is(
    describeArrivals(uneven),
    'The text arrived in 4 pieces: the first after 0.10 s, the last after 1.20 s, with a longest pause of 1.00 s.',
  );
  assert.is(describeArrivals(arrivals.slice(0, 1)), 'The text arrived at once, after 0.10 s.');
  assert.is(describeArrivals([]), 'No text arrived.');
});

plotting.run();
