import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  keyOfLearned,
  LEARNED,
  toAudience,
  toCanonicalQuestion,
  toCuratedKey,
  toLearnedKey,
  toQuestionDigest,
} from '../../src/chat/answer-keys.ts';
import { plain, type Quirk } from '../../src/chat/quirks.ts';
import type { ChatRequest } from '../../src/chat/request.ts';
import { chatRequest, question } from '../helpers/requests.ts';

const canonical = suite('toCanonicalQuestion');

const cases: [sentence: string, text: string, expected: string][] = [
  ['is in NFC', 'Cafe\u0301', 'caf\u00e9'],
  ['is trimmed, of every kind of white space', '\ufeff\u3000\t hi \u00a0\r\n', 'hi'],
  ['has one blank for any white space within', 'a  b\t\nc\u00a0\u2003d\ufeffe', 'a b c d e'],
  ['has its case folded', 'WHAT is Éa', 'what is éa'],
  ['takes ß for ss', 'Straße', 'strasse'],
  ['takes ẞ for ss', 'STRAẞE', 'strasse'],
  ['takes a final ς for Σ', 'ΟΔΟΣ', 'οδος'],
  ['takes a σ that should be final for Σ', 'οδοσ', 'οδος'],
  ['keeps the σ of a word that goes on', 'ΣΟΦΙΑ', 'σοφια'],
  ['keeps the dot of İ', 'İ', 'i\u0307'],
  ['takes ligatures apart', 'ﬁne', 'fine'],
  ['drops ? at its end', 'why?', 'why'],
  ['drops ! at its end', 'why!', 'why'],
  ['drops . at its end', 'why.', 'why'],
  ['drops any mixture of them and blanks', 'why ?! . ?\n', 'why'],
  ['keeps them elsewhere', '?why? no. so!', '?why? no. so'],
  ['keeps other marks', 'why:', 'why:'],
  ['is ? when it is nothing else', ' ? ', '?'],
  ['is what it is made of when it is nothing but marks', '?  !', '? !'],
  ['is empty for a blank text', ' \n ', ''],
];
for (const [sentence, text, expected] of cases) {
  canonical(sentence, () => assert.is(toCanonicalQuestion(text), expected));
}

/** What folding is known to be hard for, beside any text at all. */
const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme' }),
  fc.string({
    unit: fc.constantFrom(...'aAΣσςßẞİıŉᾳΐﬁﬃϴſǰԵև.?! \t\ufeff\u00a0\u0301\u0307\u0345\u0300'),
    maxLength: 8,
  }),
);

canonical('of a canonical question is the same, whatever the text', () => {
  fc.assert(
    fc.property(anyText, (text) => {
      const once = toCanonicalQuestion(text);
      assert.is(toCanonicalQuestion(once), once);
    }),
    { numRuns: 5_000 },
  );
});

canonical('of a text is that of the same text composed otherwise', () => {
  assert.is(toCanonicalQuestion('α\u0345\u0301'), toCanonicalQuestion('ᾴ'));
  fc.assert(
    fc.property(anyText, (text) => {
      assert.is(toCanonicalQuestion(text.normalize('NFD')), toCanonicalQuestion(text));
    }),
    { numRuns: 2_000 },
  );
});

canonical('is found at once in a long text of marks and blanks', () => {
  const text = '?!. '.repeat(250_000);
  assert.is(toCanonicalQuestion(`${text}a?`), `${text}a`);
});

canonical.run();

// ---

const curated = suite('toCuratedKey');

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

curated('is the canonical question up to 1,500 bytes, and its SHA-256 in hex beyond', () => {
  const longest = 'é'.repeat(750);
  assert.is(toCuratedKey(`${longest.toUpperCase()}?`), longest);
  assert.is(toCuratedKey(`${longest}X`), sha256(`${longest}x`));
});

curated('of a question that looks like a learned key is hashed', () => {
  assert.is(toCuratedKey('Learned#abc?'), sha256('learned#abc'));
  assert.is(toCuratedKey(' LEARNED#'), sha256('learned#'));
  assert.is(toCuratedKey('learned'), 'learned');
});

curated('fits a key, is never empty for a text, and is never a learned one', () => {
  const texts = fc.oneof(
    anyText,
    fc.string({ unit: 'binary' }).map((text) => `leaRned#${text}`),
    fc.tuple(fc.string({ unit: 'binary', minLength: 1 }), fc.nat(2_000)).map(([text, n]) => text.repeat(n)),
  );
  fc.assert(
    fc.property(texts, (text) => {
      const key = toCuratedKey(text);
      assert.ok(Buffer.byteLength(key) <= 1_500);
      assert.not(key.startsWith(LEARNED));
      assert.is(key === '', text.trim() === '');
    }),
    { numRuns: 2_000 },
  );
});

curated.run();

// ---

const learned = suite('toLearnedKey');

const base: Partial<ChatRequest> = {
  model: 'some.model',
  inference: { maxTokens: 100, stopSequences: [] },
  quirks: [],
};
const keyOf = (changes: Partial<ChatRequest> = {}, text = 'Why?') =>
  toLearnedKey(chatRequest({ ...base, ...changes }), text);
const inference = (changes: Partial<ChatRequest['inference']>): Partial<ChatRequest> => ({
  inference: { maxTokens: 100, stopSequences: [], ...changes },
});
const quirks = (quirk: Partial<Quirk>) => ({ quirks: [{ models: '*', quirk: { ...plain, ...quirk } }] });
const bob = { ...question.caller, tenant: 'bob' };
const caching = chatRequest().caching;

learned('is this one; when it changes on purpose, LEARNED_VERSION is raised', () => {
  assert.is(keyOf(), 'learned#42df087263e9d060ccdb015cce56dbe29241e0bf351bf2f906779f9a70475f2c');
});

/** Each is a request of its own. */
const others: Record<string, Partial<ChatRequest>> = {
  nothing: {},
  model: { model: 'other.model' },
  tenant: { caller: bob },
  'a shared answer': { caching: { ...caching, scope: 'shared' } },
  'an empty system prompt': { system: [''] },
  'system prompt': { system: ['ab', 'c'] },
  'system prompt cut elsewhere': { system: ['a', 'bc'] },
  'system prompt uncut': { system: ['abc'] },
  'max tokens': inference({ maxTokens: 101 }),
  'temperature 0': inference({ temperature: 0 }),
  'temperature 1': inference({ temperature: 1 }),
  'top_p 0': inference({ topP: 0 }),
  'top_p 1': inference({ topP: 1 }),
  'a stop sequence': inference({ stopSequences: ['ab'] }),
  'two stop sequences': inference({ stopSequences: ['a', 'b'] }),
  'stop sequences the other way round': inference({ stopSequences: ['b', 'a'] }),
  guardrail: { guardrail: { id: 'g', version: '1' } },
  'guardrail version': { guardrail: { id: 'g', version: '2' } },
  'another guardrail': { guardrail: { id: 'h', version: '1' } },
  'service tier': { serviceTier: 'flex' },
  'another service tier': { serviceTier: 'default' },
  'model fields': { modelFields: { top_k: 5 } },
  'a quirk that adds a field': quirks({ add: { effort: 'low' } }),
  'little effort': { effort: 'low', ...quirks({ reasoning: 'effort' }) },
  'much effort': { effort: 'high', ...quirks({ reasoning: 'effort' }) },
};

learned('differs for everything that Bedrock would receive, and for each tenant', () => {
  const keys = new Map<string, string>();
  for (const [name, changes] of Object.entries(others)) {
    const key = keyOf(changes);
    assert.match(key, /^learned#[0-9a-f]{64}$/);
    assert.is(keys.get(key), undefined, `${name} is as ${keys.get(key)}`);
    keys.set(key, name);
  }
});

learned('differs for the least change of the question', () => {
  const texts = [
    'Why?',
    'why?',
    'Why',
    ' Why?',
    'Why?\n',
    'if a:\n  b',
    'if a:\n    b',
    'ß',
    'ss',
    'ﬁ',
    'fi',
  ];
  assert.is(new Set(texts.map((text) => keyOf({}, text))).size, texts.length);
});

learned('does not differ for a question that is composed otherwise', () => {
  assert.is(keyOf({}, 'Cafe\u0301'), keyOf({}, 'Caf\u00e9'));
});

learned('is one for all tenants when answers are shared', () => {
  const shared = { caching: { ...caching, scope: 'shared' as const } };
  assert.is(keyOf({ ...shared, caller: bob }), keyOf(shared));
});

learned('does not differ for what Bedrock is not told', () => {
  const same: Partial<ChatRequest>[] = [
    { requestId: 'request-2' },
    { caller: { ...question.caller, kind: 'iam', door: 'websocket' } },
    { patience: { firstEventMs: 1, idleMs: 1 } },
    { fallbackModels: ['other.model'] },
    { store: false },
    { caching: { ...caching, mode: 'refresh', curated: false, ttlSeconds: 1, timeoutMs: 1 } },
    { conversation: { chatId: 'c', isNew: true, isKept: true, maxTurns: 1, ttlSeconds: 1 } },
    { quirks: [{ models: 'other.*', quirk: { ...plain, add: { effort: 'low' } } }] },
    { effort: 'high' },
    { metadata: { user: 'u' } },
    { system: [...(chatRequest(base).system ?? []), { type: 'cache-point' }] },
  ];
  for (const changes of same) assert.is(keyOf(changes), keyOf(), JSON.stringify(changes));
});

learned('is made of the question’s digest, so that whoever has only that finds the answer as well', () => {
  const request = chatRequest(base);
  assert.is(keyOfLearned(request, toQuestionDigest('Caf\u00e9?')), toLearnedKey(request, 'Cafe\u0301?'));
});

learned('has beside the question the audience, which differs for all but the question', () => {
  const audiences = Object.values(others).map((changes) => toAudience(chatRequest({ ...base, ...changes })));
  assert.is(new Set(audiences).size, audiences.length);
  for (const audience of audiences) assert.match(audience, /^[0-9a-f]{64}$/);
});

learned('is that of a request without the field, where a quirk drops it', () => {
  const dropped: [Partial<Quirk>, Partial<ChatRequest>][] = [
    [{ omit: ['temperature'] }, inference({ temperature: 0 })],
    [{ omit: ['top_p'] }, inference({ topP: 1 })],
    [{ omit: ['stop_sequences'] }, inference({ stopSequences: ['END'] })],
    [{ omit: ['service_tier'] }, { serviceTier: 'flex' }],
  ];
  for (const [quirk, changes] of dropped) {
    assert.is(keyOf({ ...changes, ...quirks(quirk) }), keyOf(), JSON.stringify(quirk));
  }
  const both = { ...inference({ temperature: 0, topP: 1 }), ...quirks({ oneOf: ['temperature', 'top_p'] }) };
  assert.is(keyOf(both), keyOf(inference({ temperature: 0 })));
});

learned.run();
