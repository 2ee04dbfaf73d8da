/** What every door promises of questions that were asked before in other words: the whole gateway, over an OpenSearch that checks signatures. */
import { PutItemCommand } from '@aws-sdk/client-dynamodb';
import { marshall } from '@aws-sdk/util-dynamodb';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { toCuratedKey } from '../../src/chat/answer-keys.ts';
import type { Settings } from '../../src/chat/settings.ts';
import type { OpenSearchFault } from '../../src/local/opensearch/server.ts';
import type { Answer } from '../helpers/clients.ts';
import { type Gateway, startGateway, until } from '../helpers/gateway.ts';
import { inGateway } from './contract.ts';

const question = 'What is a Faraday cage?';
const paraphrase = 'Could you please explain to me what a Faraday cage is?';
const nearMiss = 'What is a Faraday motor?';
const wisdom = 'A closed shell of metal.';
const on = { similarAnswers: 'on' } as const;

/** As bulk-upload does: into the table, and into the index. */
async function curate({ tables, indexQuestion }: Gateway, pk: string, answer: string) {
  const Item = marshall({ pk: toCuratedKey(pk), answer });
  await tables.client.send(new PutItemCommand({ TableName: tables.answers, Item }));
  await indexQuestion(pk);
}

const startOf = ({ events, error }: Answer) => {
  assert.is(error, undefined);
  return events[0]?.data ?? {};
};

function runSimilarContract(name: Gateway['door']) {
  const door = suite(`questions in other words: ${name}`);
  const withDoor = inGateway((settings = {}) => startGateway({ door: name, settings }));

  door(
    'a paraphrase of a curated question has its answer, and a near miss has the model’s',
    withDoor(async (gateway) => {
      await curate(gateway, question, wisdom);
      const similar = await gateway.ask({ prompt: paraphrase });
      assert.equal([startOf(similar)['cached'], similar.text], ['similar', wisdom]);
      assert.is(gateway.ledger.opened, 2, 'Bedrock made two vectors');
      const other = await gateway.ask({ prompt: nearMiss });
      assert.is(startOf(other)['cached'], false);
      await until(() => gateway.records.length >= 2);
      assert.is(gateway.records.find(({ cached }) => cached)?.cached, 'similar');
    }, on),
  );

  door(
    'a paraphrase goes to the model while the setting is off, and nothing is searched',
    withDoor(async (gateway) => {
      await curate(gateway, question, wisdom);
      const before = gateway.searches.length;
      assert.is(startOf(await gateway.ask({ prompt: paraphrase }))['cached'], false);
      assert.is(gateway.searches.length, before);
    }),
  );

  for (const prompt of [question, paraphrase]) {
    door(
      `what alice’s question taught the gateway is hers, and never bob’s who asks: ${prompt}`,
      withDoor(async (gateway) => {
        const first = await gateway.ask({ prompt: question });
        const again = await gateway.ask({ prompt: paraphrase });
        assert.equal([startOf(again)['cached'], again.text], ['similar', first.text]);
        const his = await gateway.as('bob').ask({ prompt });
        assert.is(startOf(his)['cached'], false);
      }, on),
    );
  }

  door(
    'what follows a similar answer knows it, and goes to the model',
    withDoor(async (gateway) => {
      await curate(gateway, question, wisdom);
      const first = await gateway.ask({ prompt: paraphrase });
      assert.is(first.events.at(-1)?.data['saved'], true);
      const chat_id = String(startOf(first)['chat_id']);
      const second = await gateway.ask({ prompt: paraphrase, chat_id });
      assert.is(startOf(second)['cached'], false);
      assert.match(second.text, 'Before it came 1 turn');
    }, on),
  );

  door.run();
}

for (const name of ['rest', 'function-url', 'websocket'] as const) runSimilarContract(name);

// ---

const trouble = suite('a gateway whose search is in trouble');

const hits = (source: unknown) => JSON.stringify({ hits: { hits: [{ _source: source }] } });
const faults: Record<string, OpenSearchFault> = {
  'refuses everybody': 'refuse',
  'breaks off': 'reset',
  'never answers': 'hang',
  'is overloaded': { status: 429, body: '{"error":{"type":"rejected_execution_exception"},"status":429}' },
  'speaks HTML': { status: 200, body: '<html>Sign in</html>' },
  'says yes to everything': { status: 200, body: hits({ answer: 'Nonsense.', question: 'x' }) },
  'has no hits member': { status: 200, body: '{"hits":[]}' },
  'says half a reply': { status: 200, body: '{"hits":{"hi' },
  'talks without end': { status: 200, body: `{"x":"${'x'.repeat(2_000_000)}"}` },
};

const inTrouble = (fault: OpenSearchFault, test: (gateway: Gateway) => Promise<void>) => async () => {
  const settings: Partial<Settings> = on;
  const gateway = await startGateway({ settings, searchFault: () => fault });
  try {
    await test(gateway);
  } finally {
    await gateway.close();
  }
};

for (const [how, fault] of Object.entries(faults)) {
  trouble(
    `answers as if the feature were off where it ${how}`,
    inTrouble(fault, async (gateway) => {
      const { text, events, error } = await gateway.ask({ prompt: `ECHO ${question}` });
      assert.equal([error, text, events[0]?.data['cached']], [undefined, question, false]);
      assert.is(events.at(-1)?.name, 'done');
      const again = await gateway.ask({ prompt: `ECHO ${question}` });
      assert.is(again.events[0]?.data['cached'], 'learned');
    }),
  );
}

trouble(
  'asks it no more after five failures',
  inTrouble('refuse', async (gateway) => {
    for (let n = 0; n < 8; n++) await gateway.ask({ prompt: `ECHO ${n}` });
    assert.is(gateway.searches.length, 5);
    assert.equal([...new Set(gateway.notices)], ['similar-unavailable']);
  }),
);

trouble.run();
