import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { toAudience, toQuestionDigest } from '../../src/chat/answer-keys.ts';
import {
  CURATED,
  EVERYBODY,
  similarityOf,
  toComparable,
  toCuratedEntry,
  toFigures,
  toLearnedEntry,
} from '../../src/chat/similarity.ts';
import { chatRequest } from '../helpers/requests.ts';

const nearness = suite('how near two questions are');

const cosines: [one: number[], other: number[], expected: number][] = [
  [[1, 0], [1, 0], 1],
  [[3, 4], [6, 8], 1],
  [[1, 0], [0, 1], 0],
  [[1, 0], [-2, 0], -1],
  [[0, 0], [1, 0], 0],
  [[], [], 0],
  [[1, 1], [1], 1 / Math.SQRT2],
];
for (const [one, other, expected] of cosines) {
  nearness(`is ${expected.toFixed(2)} for (${one}) and (${other})`, () => {
    assert.ok(Math.abs(similarityOf(one, other) - expected) < 1e-12);
  });
}

nearness('lies between -1 and 1, and is the same the other way round', () => {
  const vector = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 4, maxLength: 4 });
  fc.assert(
    fc.property(vector, vector, (one, other) => {
      const similarity = similarityOf(one, other);
      assert.ok(Math.abs(similarity) <= 1 + 1e-9);
      assert.is(similarity, similarityOf(other, one));
    }),
  );
});

nearness.run();

// ---

const comparing = suite('what is compared of a question');

comparing('is its canonical form', () => {
  assert.is(toComparable('  What IS\ta Faraday  cage?! '), 'what is a faraday cage');
});

comparing('is there for prose of any language', () => {
  const prose = [
    'Was kostet das – ungefähr?',
    '¿Qué es una jaula?',
    '法拉第笼是什么？',
    'ما هو قفص فاراداي؟',
    'قفس فارادی چه کار می\u200cکند؟',
    'Who said “don’t, it’s 5 (or 6)”: he & she, and/or 7 %?',
    'Is the well-known site down!',
    'Τι ώρα είναι;',
    'Τι είναι αυτό; Και πώς;',
    'Wie geht´s?',
    'Quoi ?',
    '- Bonjour, ça va ?',
    'מה השעה\u200f?',
    'Does it cost $5 or 5 €, at 30 °C?',
    'What is R&D?',
  ];
  for (const text of prose) assert.type(toComparable(text), 'string', text);
});

const uncompared = {
  blank: ' \n',
  'too long for a key': 'x'.repeat(1_501),
  'like a learned key': 'learned#1',
  'of several lines': 'fix: for i in r:\n  a()\n  b()',
  'an option that letter case decides on': 'Explain git branch -D x',
  'an option at its beginning': '-D is what',
  'a factorial': 'what is 5!',
  'an assignment': 'what is x = 1',
  'an element': 'what does f[0] do',
  'a member in braces': 'what is {a}',
  'a name of a variable': 'what is a_b',
  'a path of Windows': 'what is in C:\\a',
  'two statements': 'what does a; b do',
  'a comparison': 'is a<b',
  'an option in brackets': 'what is (-rf)',
  'an option of Windows': 'what does shutdown /s do',
  'a command of an editor': 'what is :wq',
  'an address': 'Summarize https://youtu.be/AbCdEf',
  'an address without its beginning': 'Summarize www.example.test',
  'a folder': 'what is cd ..',
  'a call': 'what is f(x)',
  'two commands': 'what is a && b',
  'a variable of a shell': 'what is $PATH',
  'a sign in full width': 'what is C＃',
  'a decrement': 'what is x--',
  'a power': 'what is 2^3',
};
for (const [what, text] of Object.entries(uncompared)) {
  comparing(`is nothing where it is ${what}`, () => assert.is(toComparable(text), undefined));
}

comparing('are its numbers besides, in their order and of any script', () => {
  assert.is(toFigures('error 502 on page 3'), '502 3');
  assert.is(toFigures('version 2.5, not 2.50'), '2.5 2.50');
  assert.is(toFigures('خطأ ٥٠٢'), '٥٠٢');
  assert.is(toFigures('x² or x³, ½'), '² ³ ½');
  assert.is(toFigures('“no”, it’s no number'), '');
});

comparing('are those numbers with the marks around them', () => {
  const alike = ['what is 5-3', 'what is 5 - 3', 'what is “5-3”?', 'what is (5-3).'];
  assert.equal(new Set(alike.map(toFigures)), new Set(['5-3']));
  const others = [
    '5/3',
    '5 / 3',
    '5:3',
    '5·3',
    '5 3',
    '53',
    '-5',
    '(-5)',
    '5%',
    '5 ‰',
    '5',
    '$5',
    '€5',
    '1,000',
    '1.000',
  ];
  assert.is(new Set(others.map((text) => toFigures(`what is ${text}`))).size, others.length - 2);
});

comparing.run();

// ---

const entries = suite('what the index has of a question');

entries('is everybody’s where an operator answered it, for ever unless he says until when', () => {
  const entry = { tenant: EVERYBODY, audience: CURATED, question: 'error 5', figures: '5', vector: [1] };
  assert.equal(toCuratedEntry('error 5', [1]), { ...entry, expires: 253_402_300_799 });
  assert.equal(toCuratedEntry('error 5', [1], 99), { ...entry, expires: 99 });
});

entries('is its tenant’s where a model answered it, without its text', () => {
  const request = chatRequest();
  assert.equal(toLearnedEntry(request, 'Why error  5?', [1], 100), {
    tenant: 'alice',
    audience: toAudience(request),
    question: toQuestionDigest('Why error  5?'),
    figures: '5',
    expires: 100 + 30 * 24 * 60 * 60,
    vector: [1],
  });
});

entries('is its tenant’s also where exact answers are shared', () => {
  const { caching } = chatRequest();
  const request = chatRequest({ caching: { ...caching, scope: 'shared' } });
  assert.is(toLearnedEntry(request, 'Why?', [1], 100).tenant, 'alice');
});

entries.run();
