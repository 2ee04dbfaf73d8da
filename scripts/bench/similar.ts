/**
 * What looking for similar questions costs: how long a question takes, to its first event and to its end, while the feature is off, on, and
 * on with an OpenSearch that refuses, never answers, talks nonsense or takes no entries, by turns in one run. Real adapters over the laptop's stand-ins.
 */
import { createServer } from 'node:http';
import { BedrockRuntimeClient } from '@aws-sdk/client-bedrock-runtime';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { createEmbedder } from '../../src/aws/embeddings.ts';
import { createOpenSearch } from '../../src/aws/opensearch.ts';
import type { Answers } from '../../src/chat/answers.ts';
import type { Model } from '../../src/chat/ask.ts';
import { withCache } from '../../src/chat/cache.ts';
import { createRequest } from '../../src/chat/create-request.ts';
import { createEmbed } from '../../src/chat/embed.ts';
import { nothing } from '../../src/chat/replay.ts';
import type { Question } from '../../src/chat/request.ts';
import { parseSettings } from '../../src/chat/settings.ts';
import { createSimilar } from '../../src/chat/similar.ts';
import { startBedrockSimulator } from '../../src/local/bedrock/simulator.ts';
import { listen } from '../../src/local/listen.ts';
import { createOpenSearchServer, type OpenSearchFault } from '../../src/local/opensearch/server.ts';
import { systemClock } from '../../src/wire.ts';
import { type BenchOptions, ms, percentile } from './figures.ts';

const keys = { accessKeyId: 'bench', secretAccessKey: 'bench' };
const nonsense = '{"hits":{"hits":[{"_source":{"question":"x","answer":"Nonsense."}}]}}';

type Case = { readonly isOff?: boolean; readonly fault?: OpenSearchFault; readonly where?: string };

/** What is wrong with OpenSearch, `where` a path ends so. */
const cases: Readonly<Record<string, Case>> = {
  off: { isOff: true },
  on: {},
  'on, nonsense': { fault: { status: 200, body: nonsense } },
  'on, refused': { fault: 'refuse' },
  'on, silent': { fault: 'hang' },
  'on, silent when added to': { fault: 'hang', where: '_bulk' },
};

/** Questions of each case in a round; a circuit opens at the sixth. */
const QUESTIONS = 30;
const TO_OPEN = 5;

export async function benchSimilar({ rounds }: BenchOptions): Promise<void> {
  const bedrock = await startBedrockSimulator({ tokensPerSecond: 10_000 });
  const times = new Map<string, Took[]>();
  const note = (name: string, took: Took) => times.set(name, [...(times.get(name) ?? []), took]);
  for (let round = 1; round <= rounds; round++) {
    for (const [name, at] of Object.entries(cases)) {
      const stage = await openStage(bedrock.url, at);
      await stage.ask('warm up, whatever it takes');
      for (let n = 1; n <= QUESTIONS; n++) {
        const took = await stage.ask(`question ${round} ${n} of ${name}`);
        note(at.fault && n >= TO_OPEN ? `${name}, circuit open` : name, took);
      }
      await stage.close();
    }
    console.log(`round ${round} of ${rounds} is over`);
  }
  await bedrock.close();
  const off = times.get('off') ?? [];
  const rows = [...times].map(([name, all]) => [name, toRow(all, off)]);
  console.log(
    'What the search adds to a question that has no answer yet, until the first event and until the end',
  );
  console.table(Object.fromEntries(rows));
}

type Took = { readonly beginMs: number; readonly endMs: number };

function toRow(all: readonly Took[], off: readonly Took[]) {
  const added = (part: keyof Took, percent: number) => {
    const of = (took: readonly Took[]) =>
      percentile(
        took.map((one) => one[part]),
        percent,
      );
    return ms(of(all) - of(off));
  };
  return {
    questions: all.length,
    'begin p50': added('beginMs', 50),
    'begin p99': added('beginMs', 99),
    'end p50': added('endMs', 50),
    'end p99': added('endMs', 99),
  };
}

async function openStage(bedrockUrl: string, { fault, where = '', isOff = false }: Case) {
  const search = createOpenSearchServer({
    secretOf: () => keys.secretAccessKey,
    fault: (_, path) => (path.endsWith(where) ? fault : undefined),
  });
  const server = createServer(search.handle);
  const endpoint = `http://127.0.0.1:${await listen(server, 0, 'PORT')}`;
  const client = new BedrockRuntimeClient({
    endpoint: bedrockUrl,
    region: 'us-east-1',
    credentials: keys,
    requestHandler: new NodeHttpHandler(),
  });
  const index = createOpenSearch({
    endpoint,
    index: 'bench-questions',
    region: 'us-east-1',
    credentials: async () => keys,
  });
  const embed = createEmbed({ embedder: createEmbedder(client), clock: systemClock });
  const clock = systemClock;
  const similar = createSimilar({ index, embed, answers: noAnswers, clock, notify: () => undefined });
  const answer = withCache(saysHi, { answers: noAnswers, similar, clock, notify: () => undefined });
  const settings = parseSettings(new Map([['similar-answers', isOff ? 'off' : 'on']]));
  return {
    async ask(prompt: string): Promise<Took> {
      const request = createRequest(toQuestion(prompt), settings);
      const began = performance.now();
      let beginMs = Number.NaN;
      for await (const { type } of answer(request, new AbortController().signal))
        if (type === 'begin') beginMs = performance.now() - began;
      return { beginMs, endMs: performance.now() - began };
    },
    async close() {
      client.destroy();
      server.closeAllConnections();
      server.close();
    },
  };
}

const saysHi: Model = async function* ({ model }) {
  yield { type: 'begin', model };
  yield { type: 'text-delta', block: 0, text: 'Hi' };
  yield { type: 'end', stopReason: 'end_turn', usage: nothing };
};

/** A table that is quick and empty. */
const noAnswers: Answers = {
  find: async () => ({}),
  claim: async (_, owner) => ({ asking: owner }),
  release: async () => undefined,
  learn: async () => undefined,
};

const toQuestion = (prompt: string): Question => ({
  requestId: 'bench',
  caller: { tenant: 'bench', kind: 'api-key', door: 'rest' },
  system: [],
  messages: [{ role: 'user', content: [{ type: 'text', text: prompt }] }],
  inference: {},
  tools: [],
  chat: 'none',
  store: true,
});
