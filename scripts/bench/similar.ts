/**
 * What looking for similar questions costs: how long a question takes to its first event while the feature is off, on, and on with a search
 * that refuses, never answers or talks nonsense, by turns in one run. Real adapters over the laptop's stand-ins.
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

/** What is wrong with the search. */
const cases: Readonly<Record<string, { readonly fault?: OpenSearchFault; readonly isOff?: boolean }>> = {
  off: { isOff: true },
  on: {},
  'on, nonsense': { fault: { status: 200, body: nonsense } },
  'on, refused': { fault: 'refuse' },
  'on, silent': { fault: 'hang' },
};

/** Questions of each case in a round; a circuit opens at the sixth. */
const QUESTIONS = 30;
const TO_OPEN = 5;

export async function benchSimilar({ rounds }: BenchOptions): Promise<void> {
  const bedrock = await startBedrockSimulator({ tokensPerSecond: 10_000 });
  const times = new Map<string, number[]>();
  const note = (name: string, value: number) => times.set(name, [...(times.get(name) ?? []), value]);
  for (let round = 1; round <= rounds; round++) {
    for (const [name, { fault, isOff = false }] of Object.entries(cases)) {
      const stage = await openStage(bedrock.url, fault, isOff);
      await stage.ask('warm up, whatever it takes');
      for (let n = 1; n <= QUESTIONS; n++) {
        const tookMs = await stage.ask(`question ${round} ${n} of ${name}`);
        const isOpen = n >= TO_OPEN && (fault === 'refuse' || fault === 'hang');
        note(isOpen ? `${name}, circuit open` : name, tookMs);
      }
      await stage.close();
    }
    console.log(`round ${round} of ${rounds} is over`);
  }
  await bedrock.close();
  const off = times.get('off') ?? [];
  const added = (all: readonly number[], percent: number) =>
    ms(percentile(all, percent) - percentile(off, percent));
  const rows = [...times].map(([name, all]) => [
    name,
    {
      questions: all.length,
      p50: ms(percentile(all, 50)),
      'added p50': added(all, 50),
      'added p99': added(all, 99),
    },
  ]);
  console.log(
    'Time to the first event of a question that has no answer yet, and what is added to it by the search',
  );
  console.table(Object.fromEntries(rows));
}

async function openStage(bedrockUrl: string, fault: OpenSearchFault | undefined, isOff: boolean) {
  const search = createOpenSearchServer({ secretOf: () => keys.secretAccessKey, fault: () => fault });
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
  const similar = createSimilar({ index, embed, answers: noAnswers, clock, onFailure: () => undefined });
  const answer = withCache(saysHi, { answers: noAnswers, similar, clock, notify: () => undefined });
  const settings = parseSettings(new Map([['similar-answers', isOff ? 'off' : 'on']]));
  return {
    /** How long the first event took, in milliseconds. */
    async ask(prompt: string): Promise<number> {
      const request = createRequest(toQuestion(prompt), settings);
      const began = performance.now();
      let tookMs = Number.NaN;
      for await (const { type } of answer(request, new AbortController().signal))
        if (type === 'begin') tookMs = performance.now() - began;
      return tookMs;
    },
    async close() {
      client.destroy();
      server.closeAllConnections();
      server.close();
      await search.close();
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
