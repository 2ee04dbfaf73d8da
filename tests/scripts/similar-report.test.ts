/** `npm run similar-report`: what it counts, what it says of its files, and the command against the simulator. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  findNearest,
  findSafe,
  type Match,
  type Rate,
  rateAt,
  STEPS,
  toFindings,
} from '../../scripts/similar-report/rates.ts';
import { type Io, similarReport } from '../../scripts/similar-report.ts';
import { similarityOf } from '../../src/chat/similarity.ts';
import { embed } from '../../src/local/bedrock/embeddings.ts';
import { startBedrockSimulator } from '../../src/local/bedrock/simulator.ts';
import { type Call, failure, type Replies, withAws } from '../helpers/aws-stand-in.ts';

const counting = suite('rates');

const question = (comparable: string, ...vector: number[]) => ({
  text: comparable.toUpperCase(),
  comparable,
  vector,
});

counting('the nearest question answers, and only one with the same numbers', () => {
  const asked = question('error 5?', 1, 0);
  const [near, far, other] = [
    question('error 5', 4, 3),
    question('fault 5', 3, 4),
    question('error 6', 1, 0),
  ];
  assert.equal(findNearest(asked, 'error 5', [far, near, other]), {
    asked: 'ERROR 5?',
    nearest: 'ERROR 5',
    isMeant: true,
    similarity: 0.8,
  });
  assert.is(findNearest(asked, 'fault 5', [near, far]).isMeant, false);
  assert.equal(findNearest(asked, 'error 6', [other]), {
    asked: 'ERROR 5?',
    nearest: undefined,
    isMeant: false,
    similarity: 0,
  });
});

const match = (similarity: number, isMeant = true): Match => ({
  asked: 'a',
  nearest: 'b',
  isMeant,
  similarity,
});

counting('at the threshold is near enough, and a wrong answer is no hit', () => {
  const paraphrases = [match(0.9), match(0.8), match(0.85, false)];
  const nearMisses = [match(0.82), match(0.7, false)];
  const counts = (threshold: number) => rateAt(threshold, paraphrases, nearMisses);
  assert.equal(counts(0.8), { threshold: 0.8, hits: 2, wrong: 1, falseHits: 1 });
  assert.equal(counts(0.85), { threshold: 0.85, hits: 1, wrong: 1, falseHits: 0 });
  assert.equal(counts(0.91), { threshold: 0.91, hits: 0, wrong: 0, falseHits: 0 });
});

counting('the safe threshold is the lowest that answers something, and nothing wrong', () => {
  const rate = (threshold: number, hits: number, wrong: number, falseHits: number): Rate => ({
    threshold,
    hits,
    wrong,
    falseHits,
  });
  const rates = [rate(0.7, 5, 0, 1), rate(0.8, 4, 1, 0), rate(0.9, 3, 0, 0), rate(1, 1, 0, 0)];
  assert.is(findSafe(rates)?.threshold, 0.9);
  assert.is(findSafe([rate(0.9, 3, 0, 2), rate(1, 0, 0, 0)]), undefined);
});

counting('the thresholds go from 0.80 to 1.00, with the one that was asked for in its place', () => {
  const thresholdsOf = (asked: number) => toFindings([], [], asked).rates.map(({ threshold }) => threshold);
  assert.equal([STEPS.length, STEPS[0], STEPS[7], STEPS.at(-1)], [21, 0.8, 0.87, 1]);
  assert.equal(thresholdsOf(0.97), STEPS);
  assert.equal(thresholdsOf(0.975), STEPS.toSpliced(18, 0, 0.975));
  assert.equal(thresholdsOf(0.5), [0.5, ...STEPS]);
});

/** Coarse, so that similarities are often the same and often at a threshold. */
const coordinate = fc.integer({ min: -2, max: 2 });
const anyQuestion = fc
  .tuple(fc.constantFrom('a', 'b 1', 'c 1', 'd 2', 'e'), coordinate, coordinate, coordinate)
  .map(([comparable, ...vector]) => question(comparable, ...vector));
const anySample = fc.record({ asked: anyQuestion, meant: anyQuestion });

counting('counts as whoever asks one after the other, adds up, and falls as the threshold rises', () => {
  const property = fc.property(fc.array(anySample), fc.array(anySample), (paraphrases, nearMisses) => {
    const corpus = [...paraphrases, ...nearMisses].map(({ meant }) => meant);
    const matchOf = ({ asked, meant }: (typeof paraphrases)[number]) =>
      findNearest(asked, meant.comparable, corpus);
    const { rates } = toFindings(paraphrases.map(matchOf), nearMisses.map(matchOf), 0.97);
    const digits = (text: string) => text.replace(/\D/g, '');
    const answerOf = (asked: (typeof corpus)[number], threshold: number) => {
      let best: { comparable: string; similarity: number } | undefined;
      for (const { comparable, vector } of corpus) {
        const similarity = similarityOf(asked.vector, vector);
        const isCandidate = digits(comparable) === digits(asked.comparable) && similarity >= threshold;
        if (isCandidate && similarity > (best?.similarity ?? -1)) best = { comparable, similarity };
      }
      return best?.comparable;
    };
    for (const { threshold, hits, wrong, falseHits } of rates) {
      const answers = paraphrases.map(({ asked, meant }) => [answerOf(asked, threshold), meant.comparable]);
      assert.is(hits, answers.filter(([answer, meant]) => answer === meant).length);
      assert.is(wrong, answers.filter(([answer, meant]) => answer !== undefined && answer !== meant).length);
      assert.is(falseHits, nearMisses.filter(({ asked }) => answerOf(asked, threshold) !== undefined).length);
    }
    rates.slice(1).forEach((rate, at) => {
      const { hits = 0, wrong = 0, falseHits = 0 } = rates[at] ?? {};
      assert.ok(rate.hits <= hits && rate.wrong <= wrong && rate.falseHits <= falseHits);
      assert.ok(rate.hits + rate.wrong <= paraphrases.length && rate.falseHits <= nearMisses.length);
    });
  });
  fc.assert(property, { numRuns: 300 });
});

counting.run();

// ---

type Ended = { readonly code: number; readonly out: string; readonly err: string };
type Bench = {
  /** How many texts the simulator has been sent. */
  readonly asked: () => number;
  readonly port: string;
  /** The path of a file with this in it. */
  write(name: string, content: unknown): string;
  run(args: readonly string[], io?: Partial<Io>, env?: NodeJS.ProcessEnv): Promise<Ended>;
};

const withSimulator = (test: (bench: Bench) => Promise<void>) => async () => {
  const simulator = await startBedrockSimulator();
  const folder = mkdtempSync(join(tmpdir(), 'similar-report-'));
  const { port } = new URL(simulator.url);
  try {
    await test({
      port,
      asked: () => simulator.ledger.opened,
      write(name, content) {
        const path = join(folder, name);
        writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
        return path;
      },
      async run(args, io = {}, env = { AWS_PORT: port }) {
        let out = '';
        let err = '';
        const shown = { out: (text: string) => (out += text), err: (text: string) => (err += text) };
        return { code: await similarReport(args, env, { ...shown, ...io }), out, err };
      },
    });
  } finally {
    rmSync(folder, { recursive: true });
    await simulator.close();
  }
};

const cage = 'What is a Faraday cage?';
const paraphrases = [
  { question: cage, asked: 'Could you explain Faraday cages?' },
  { question: cage, asked: 'Why does my phone find no network in a lift?' },
  { question: 'What is error 502?', asked: 'Please explain error 502.' },
];
const nearMisses = [
  { question: cage, asked: 'What is not a Faraday cage?' },
  { question: 'What is error 502?', asked: 'What is error 503?' },
];
const SAMPLES = ['samples/paraphrases.json', 'samples/near-misses.json'];

type Figures = {
  paraphrases: number;
  near_misses: number;
  safe: number | null;
  rates: { threshold: number; hits: number; wrong: number; false_hits: number }[];
};

const writeBoth = ({ write }: Bench) => [write('said.json', paraphrases), write('near.json', nearMisses)];

const command = suite('npm run similar-report');

command(
  '--json counts what each threshold answers, and asks for each text once',
  withSimulator(async (bench) => {
    const { code, out, err } = await bench.run([...writeBoth(bench), '--local', '--json']);
    assert.is(code, 0);
    const figures: Figures = JSON.parse(out);
    assert.equal([figures.paraphrases, figures.near_misses, figures.safe], [3, 2, 0.81]);
    assert.is(figures.rates.length, 21);
    assert.equal(figures.rates[17], { threshold: 0.97, hits: 2, wrong: 0, false_hits: 0 });
    assert.equal(figures.rates.at(-1), { threshold: 1, hits: 0, wrong: 0, false_hits: 0 });
    assert.is(bench.asked(), 7);
    assert.is(err, `Vectors of 7 texts from http://127.0.0.1:${bench.port}.\n`);
  }),
);

command(
  'what a file for bulk-upload answers can be the wrong answer, and a question that is too long is none',
  withSimulator(async (bench) => {
    const answers = [
      { pk: 'Explain Faraday cages!', answer: 'A' },
      { pk: 'x'.repeat(1501), answer: 'B' },
    ];
    const path = bench.write('answers.jsonl', answers.map((item) => JSON.stringify(item)).join('\n'));
    const { code, out } = await bench.run([...writeBoth(bench), '--answers', path, '--local', '--json']);
    const figures: Figures = JSON.parse(out);
    assert.equal([code, figures.safe], [0, null]);
    assert.equal(figures.rates[17], { threshold: 0.97, hits: 1, wrong: 1, false_hits: 0 });
    assert.is(bench.asked(), 8);
    const text = (await bench.run([...writeBoth(bench), '--answers', path, '--local'])).out;
    assert.match(
      text,
      /right:\n {2}0\.99\d\d {2}Could you .*\n {10}Explain Faraday cages! \(another was meant\)\n/,
    );
  }),
);

command(
  'the report is a table, a picture, what is near and what is missed, and advice, in 80 columns',
  withSimulator(async (bench) => {
    const { code, out } = await bench.run([...writeBoth(bench), '--local', '--threshold', '0.5']);
    assert.is(code, 0);
    const [table = '', chart = '', near = '', missed = '', advice = '', ...rest] = out.split('\n\n');
    assert.match(
      table,
      /^threshold {9}hits {3}wrong {3}false hits\n {5}0\.50 {5}2 {3}67 % {7}0 {5}1 {3}50 %\n/,
    );
    assert.match(table, /\n {5}1\.00 {5}0 {4}0 % {7}0 {5}0 {4}0 %$/);
    assert.is(table.split('\n').length, 23);
    assert.equal(
      chart
        .split('\n')
        .slice(-6)
        .map((line) => line.trimEnd()),
      [
        '   40 %    ┤  ║                                                        │',
        '   30 %    ┤  ║                                                        │',
        '   20 %    ┤  ║                                                        │',
        '   10 %    ┤  ║                                                        │',
        '    0 %    ┤  ╚═══════════════════════════════════════════════════════════',
        '      0.80           0.85           0.90           0.95           1.00',
      ],
    );
    assert.match(chart, '── hits   ══ false hits');
    assert.match(
      near,
      /^Near misses .*\n {2}0\.\d{4} {2}What is not a Faraday cage\?\n {10}What is a Faraday cage\?\n/,
    );
    assert.match(near, /\n {2}0\.0000 {2}What is error 503\?\n {10}No question has the same numbers\.$/);
    assert.match(missed, /^Paraphrases that 0\.50 does not answer right:\n.*my phone find no network.*\n.*$/);
    assert.match(advice, /is 0\.81; it answers\n2 of 3 paraphrases:$/);
    assert.equal(rest, ['  npm run settings -- set similar-threshold 0.81\n']);
    assert.ok(out.split('\n').every((line) => line.length <= 80));
  }),
);

command(
  'the samples answer some of the paraphrases before any of the near misses',
  withSimulator(async ({ run }) => {
    const { out } = await run([...SAMPLES, '--local', '--json']);
    const figures: Figures = JSON.parse(out);
    assert.ok(figures.paraphrases >= 20 && figures.near_misses >= 20);
    const at = (wanted: number) => figures.rates.find(({ threshold }) => threshold === wanted);
    assert.equal(at(0.97), { threshold: 0.97, hits: 11, wrong: 0, false_hits: 0 });
    assert.ok((at(0.8)?.false_hits ?? 0) > 0);
    const { out: text } = await run([...SAMPLES, '--local']);
    const [, , near = '', missed = ''] = text.split('\n\n');
    for (const list of [near, missed]) assert.is(list.split('\n').length, 1 + 2 * 10);
    assert.match(missed, ' (another was meant)');
    assert.not.match(near, ' (another was meant)');
    assert.ok(text.split('\n').every((line) => line.length <= 80));
  }),
);

command(
  'colours are for a terminal that does not refuse them',
  withSimulator(async ({ run, port }) => {
    const plain = await run([...SAMPLES, '--local']);
    assert.not.match(plain.out, '\x1b');
    const refused = await run(
      [...SAMPLES, '--local'],
      { isTerminal: true },
      { AWS_PORT: port, NO_COLOR: '1' },
    );
    assert.is(refused.out, plain.out);
    const coloured = await run([...SAMPLES, '--local'], { isTerminal: true });
    assert.match(coloured.out, '\x1b[32m──\x1b[39m hits   \x1b[31m══\x1b[39m false hits');
    assert.is(stripVTControlCharacters(coloured.out), plain.out);
  }),
);

command(
  'no threshold is advised where none is safe',
  withSimulator(async (bench) => {
    const [said = ''] = writeBoth(bench);
    const near = bench.write('near.json', [{ question: cage, asked: 'What is a Faraday CAGES' }]);
    const { out } = await bench.run([said, near, '--local']);
    assert.match(out, 'What is a Faraday CAGES\n');
    const none = bench.write('none.json', [
      { question: cage, asked: 'Why does my phone not work in a lift?' },
    ]);
    assert.ok((await bench.run([none, near, '--local'])).out.endsWith('leave\nsimilar-answers off.\n'));
    const single = bench.write('single.json', paraphrases.slice(0, 1));
    const far = bench.write('far.json', [{ question: cage, asked: 'Hm' }]);
    const best = await bench.run([single, far, '--local']);
    assert.match(best.out, 'does not answer right:\n  none\n');
    assert.match(best.out, 'similar-threshold 0.8\n');
  }),
);

command(
  'what is wrong with a file is said by its name, the item and the field, before Bedrock is asked',
  withSimulator(async ({ run, write, asked }) => {
    const good = write('good.json', nearMisses);
    const limits =
      'must be prose on one line, without symbols, code and addresses, of at most 1,500 bytes: other texts are not compared.';
    const cases: [content: unknown, sentence: string][] = [
      [[{ asked: 'a' }], `, item 1 on line 1: question ${limits}`],
      [
        '[{"question":"a","asked":"b"},\n\n{"question":"c","asked":"?"},{"question":"c"}]',
        `, item 3 on line 3: asked ${limits}`,
      ],
      [[{ question: 'a', asked: 'it steers the terminal: \x1b[2J' }], `, item 1 on line 1: asked ${limits}`],
      [[{ question: 'a', asked: ' ' }], `, item 1 on line 1: asked ${limits}`],
      [[{ question: 'a', asked: 'x'.repeat(1501) }], `, item 1 on line 1: asked ${limits}`],
      [[null], `, item 1 on line 1: question ${limits}`],
      ['[{"question":"a",\n"asked":"b",}]', ': There is a comma too many before the } on line 2.'],
      [
        '{"question":"a","asked":"b"}\n{"question":"a"',
        ', item 2 on line 2: The line ends in the middle of an item.',
      ],
      [[], ' must hold at least one item.'],
      [
        [{ question: 'a', asked: 'A?' }],
        ', item 1: asked must not be one of the questions, for it would have its own answer.',
      ],
      [
        [...nearMisses, { question: 'a', asked: ' WHAT is a  Faraday cage' }],
        ', item 3: asked must not be one of the questions, for it would have its own answer.',
      ],
    ];
    for (const [content, sentence] of cases) {
      const bad = write('bad.json', content);
      for (const files of [
        [bad, good],
        [good, bad],
      ])
        assert.equal(await run([...files, '--local']), { code: 1, out: '', err: `${bad}${sentence}\n` });
    }
    const answers = write('answers.json', [{ pk: 'a' }, { pk: ' ' }]);
    assert.is(
      (await run([good, good, '--answers', answers, '--local'])).err,
      `${answers}, item 2 on line 1: pk must be a text that is not blank.\n`,
    );
    assert.is((await run([good, `${good}x`])).err, `${good}x cannot be read (ENOENT).\n`);
    assert.is(asked(), 0);
  }),
);

command(
  'a command that is none is exit code 2 and a sentence, or the help',
  withSimulator(async ({ run, asked }) => {
    const help = await run(['--help']);
    assert.equal([help.code, help.err], [0, '']);
    for (const option of ['--answers', '--threshold', '--local', '--json']) assert.match(help.out, option);
    assert.equal(await run([]), { ...help, code: 2 });
    const files = 'Name two files: the paraphrases, then the near misses.\n';
    for (const [args, sentence] of [
      [['one.json'], files],
      [['one.json', 'two.json', 'three.json'], files],
      [[...SAMPLES, '--threshold', '0.49'], '--threshold must be a number from 0.5 to 1.\n'],
      [[...SAMPLES, '--threshold', '97%'], '--threshold must be a number from 0.5 to 1.\n'],
    ] as const)
      assert.equal(await run(args), { code: 2, out: '', err: sentence });
    const unknown = await run([...SAMPLES, '--loud']);
    assert.equal([unknown.code, unknown.out], [2, '']);
    assert.match(unknown.err, '--loud');
    assert.is(asked(), 0);
  }),
);

command(
  'a gateway that is not there is exit code 1 and a sentence',
  withSimulator(async ({ run }) => {
    const { code, out, err } = await run([...SAMPLES, '--local'], {}, { AWS_PORT: '1' });
    assert.equal([code, out], [1, '']);
    assert.match(
      err,
      '\nBedrock cannot be reached at http://127.0.0.1:1; start the gateway with npm start.\n',
    );
    const nowhere = await run([...SAMPLES, '--local'], {}, { AWS_PORT: 'none' });
    assert.is(nowhere.err, 'AWS_PORT must be a port, and AWS_ENDPOINT_URL_BEDROCK_RUNTIME a URL.\n');
  }),
);

command.run();

// ---

const account = suite('npm run similar-report, in an account');

const InvokeModel = ({ model, body }: Call) => ({
  body: JSON.stringify(embed(model, JSON.parse(body)).body),
});

const there = (files: readonly string[]) => files.map((path) => resolve(path));

/** The command as a process of its own. */
const runThere = (replies: Replies, env = {}) =>
  withAws(replies, async ({ run, calls }) => ({
    ...(await run('scripts/similar-report.ts', there(SAMPLES), env)),
    calls,
  }));

account('asks Titan v2 with the standard credentials, and advises a setting of AWS', async () => {
  const { code, out, err, calls } = await runThere({ InvokeModel }, { REGION_ID: 'eu-west-1' });
  assert.is(code, 0);
  assert.match(err, /^Vectors of 66 texts from http/);
  assert.match(out, '  npm run settings -- set similar-threshold 0.93 --aws\n');
  assert.is(calls.length, 66);
  for (const { model, signedBy, body } of calls) {
    assert.equal([model, signedBy], ['amazon.titan-embed-text-v2:0', 'AKIATEST eu-west-1']);
    assert.is(JSON.parse(body).dimensions, 1024);
  }
  assert.ok(calls.some(({ body }) => JSON.parse(body).inputText === 'what is a faraday cage'));
});

account('the gateway on this machine is asked with no key of yours, wherever its Bedrock is', () =>
  withAws({ InvokeModel }, async ({ run, calls, url }) => {
    const env = { AWS_ENDPOINT_URL_BEDROCK_RUNTIME: url, AWS_PORT: '1', AWS_REGION: 'eu-west-3' };
    const { code } = await run('scripts/similar-report.ts', [...there(SAMPLES), '--local'], env);
    assert.is(code, 0);
    assert.is(calls[0]?.signedBy, 'local eu-west-3');
  }),
);

account('what Bedrock turns away is asked for again', async () => {
  let turnedAway = 0;
  const throttling = (call: Call) =>
    turnedAway++ < 1 ? failure(429, 'ThrottlingException', 'canary') : InvokeModel(call);
  await withAws({ InvokeModel: throttling }, async ({ run, calls, folder }) => {
    const path = join(folder, 'both.json');
    writeFileSync(path, JSON.stringify(nearMisses));
    const { code, out } = await run('scripts/similar-report.ts', [path, path, '--json'], {
      AWS_DEFAULT_REGION: 'eu-west-2',
    });
    assert.is(code, 0);
    assert.is(calls[0]?.signedBy, 'AKIATEST eu-west-2');
    assert.is(JSON.parse(out).rates.length, 21);
    assert.is(calls.length, 5);
  });
});

account('why there are no vectors is a sentence of ours', async () => {
  for (const [name, status, sentence] of [
    [
      'AccessDeniedException',
      403,
      'These AWS credentials may not use amazon.titan-embed-text-v2:0 in us-east-1; allow them bedrock:InvokeModel.',
    ],
    ['ValidationException', 400, 'made no vectors with amazon.titan-embed-text-v2:0 (upstream_rejected).'],
    ['ExpiredTokenException', 403, 'The AWS credentials have expired;'],
  ] as const) {
    const { code, out, err } = await runThere({ InvokeModel: failure(status, name, 'canary') });
    assert.equal([code, out], [1, '']);
    assert.match(err, sentence);
    assert.not.match(err, 'canary');
  }
});

account.run();
