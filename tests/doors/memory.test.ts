/** What every door promises of questions that have been asked before, and of conversations. */
import { PutItemCommand } from '@aws-sdk/client-dynamodb';
import { marshall } from '@aws-sdk/util-dynamodb';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { toCuratedKey } from '../../src/chat/answer-keys.ts';
import type { Answer } from '../helpers/clients.ts';
import { type Gateway, startGateway } from '../helpers/gateway.ts';
import { inGateway } from './contract.ts';

const question = 'What is a Faraday cage?';
const wisdom = 'A closed shell of metal. Fields outside do not get in, and fields inside do not get out.';

/** Writes as an operator does. */
const curate = ({ tables }: Gateway, pk: string, answer: string) =>
  tables.client.send(
    new PutItemCommand({ TableName: tables.answers, Item: marshall({ pk: toCuratedKey(pk), answer }) }),
  );

type Listing = Readonly<Record<'data' | 'turns', readonly Record<string, unknown>[]>>;
const readJson = async (gateway: Gateway, path: string) =>
  (await (await gateway.send(path)).json()) as Listing;

const startOf = ({ events, error }: Answer) => {
  assert.is(error, undefined);
  assert.is(events[0]?.name, 'start');
  return events[0]?.data ?? {};
};
const endOf = ({ events }: Answer) => events.at(-1)?.data ?? {};
const chatOf = (answer: Answer) => String(startOf(answer)['chat_id']);

function runMemoryContract(name: Gateway['door']) {
  const door = suite(`what a door remembers: ${name}`);
  const withDoor = inGateway((settings = {}) => startGateway({ door: name, settings }));

  door(
    'a curated answer is told in several deltas, however the question is written, and nobody asks Bedrock',
    withDoor(async (gateway) => {
      await curate(gateway, question, wisdom);
      const answer = await gateway.ask({ prompt: '  what is a  faraday cage ' });
      assert.is(startOf(answer)['cached'], 'curated');
      assert.is(answer.text, wisdom);
      // Frames gather what is there at once.
      assert.ok(answer.events.length > (name === 'websocket' ? 2 : 4), 'deltas');
      assert.is(endOf(answer)['stop_reason'], 'end_turn');
      assert.is(gateway.ledger.opened, 0);
    }),
  );

  door(
    'what follows a curated answer goes to Bedrock, which knows the first turn',
    withDoor(async (gateway) => {
      await curate(gateway, question, wisdom);
      const first = await gateway.ask({ prompt: question });
      assert.is(endOf(first)['saved'], true);
      const second = await gateway.ask({ prompt: 'And for a submarine?', chat_id: chatOf(first) });
      assert.is(startOf(second)['cached'], false);
      assert.is(chatOf(second), chatOf(first));
      assert.match(second.text, 'Before it came 1 turn, most recently about');
      assert.match(second.text, 'Faraday');
      assert.is(gateway.ledger.opened, 1);
    }),
  );

  door(
    'a model’s answer is told again to the same tenant, and to no other',
    withDoor(async (gateway) => {
      const first = await gateway.ask({ prompt: question });
      const again = await gateway.ask({ prompt: question });
      assert.is(startOf(first)['cached'], false);
      assert.is(startOf(again)['cached'], 'learned');
      assert.is(again.text, first.text);
      assert.is(startOf(again)['model'], startOf(first)['model']);
      assert.is(startOf(await gateway.as('bob').ask({ prompt: question }))['cached'], false);
      assert.is(gateway.ledger.opened, 2);
    }),
  );

  door(
    'refresh asks Bedrock in any case, off keeps nothing, store: false keeps nothing',
    withDoor(async (gateway) => {
      await gateway.ask({ prompt: 'ECHO one', cache: 'off' });
      await gateway.ask({ prompt: 'ECHO one', store: false });
      assert.is(startOf(await gateway.ask({ prompt: 'ECHO one' }))['cached'], false);
      assert.is(startOf(await gateway.ask({ prompt: 'ECHO one', cache: 'refresh' }))['cached'], false);
      assert.is(startOf(await gateway.ask({ prompt: 'ECHO one', cache: 'off' }))['cached'], false);
      assert.is(startOf(await gateway.ask({ prompt: 'ECHO one' }))['cached'], 'learned');
      assert.is(gateway.ledger.opened, 5);
    }),
  );

  door(
    'an answer that broke off, or was cut at its limit, is never told again',
    withDoor(async (gateway) => {
      const broken = { prompt: 'Hi', model: 'simulator.end-mid-stream' };
      const cut = { prompt: 'Hi', parameters: { max_tokens: 2 } };
      for (const body of [broken, cut]) {
        await gateway.ask(body);
        const again = await gateway.ask(body);
        assert.is(again.events[0]?.data['cached'], false);
      }
      assert.is(gateway.ledger.opened, 4);
    }),
  );

  door(
    'many who ask the same at once make one call, and all of them hear the whole answer',
    withDoor(
      async (gateway) => {
        const crowd = Array.from({ length: name === 'websocket' ? 25 : 100 });
        const answers = await Promise.all(crowd.map(() => gateway.ask({ prompt: question })));
        assert.is(new Set(answers.map(({ text }) => text)).size, 1);
        for (const answer of answers) assert.is(answer.events.at(-1)?.name, 'done');
        assert.is(gateway.ledger.opened, 1);
        // A busy machine makes a slow table.
      },
      { cacheTimeoutMs: 5_000 },
    ),
  );

  door(
    'a conversation is its tenant’s: to another, its id is as unknown as any',
    withDoor(async (gateway) => {
      const first = await gateway.ask({ prompt: 'ECHO mine' });
      const chat_id = chatOf(first);
      const stranger = gateway.as('bob');
      const foreign = await stranger.ask({ prompt: 'ECHO yours', chat_id });
      const unknown = await stranger.ask({ prompt: 'ECHO yours', chat_id: 'no-such-conversation' });
      assert.is(foreign.error?.code, 'not_found');
      assert.equal({ ...foreign.error, request_id: '' }, { ...unknown.error, request_id: '' });
      assert.is((await stranger.send(`/v1/chats/${chat_id}`)).status, 404);
      assert.is((await stranger.send(`/v1/chats/${chat_id}`, { method: 'DELETE' })).status, 404);
      assert.is(gateway.ledger.opened, 1);
      const { turns } = await readJson(gateway, `/v1/chats/${chat_id}`);
      assert.equal(
        turns.map(({ prompt, completion, state }) => [prompt, completion, state]),
        [['ECHO mine', 'mine', 'complete']],
      );
    }),
  );

  door(
    'conversations are listed, read and deleted; one that is deleted cannot be gone on with',
    withDoor(async (gateway) => {
      const chat_id = chatOf(await gateway.ask({ prompt: 'ECHO one' }));
      await gateway.ask({ prompt: 'ECHO two', chat_id });
      const { data } = await readJson(gateway, '/v1/chats');
      assert.equal(
        data.map(({ chat_id, title, turns }) => ({ chat_id, title, turns })),
        [{ chat_id, title: 'ECHO one', turns: 2 }],
      );
      assert.is((await gateway.send(`/v1/chats/${chat_id}`, { method: 'DELETE' })).status, 204);
      assert.is((await gateway.ask({ prompt: 'ECHO three', chat_id })).error?.code, 'not_found');
      assert.equal((await readJson(gateway, '/v1/chats')).data, []);
      assert.is(gateway.ledger.opened, 2);
    }),
  );

  door(
    'with store: false a conversation is gone on with, and stays as it was',
    withDoor(async (gateway) => {
      const chat_id = chatOf(await gateway.ask({ prompt: question }));
      const quiet = await gateway.ask({ prompt: 'And for a submarine?', chat_id, store: false });
      assert.match(quiet.text, 'Faraday');
      assert.is(startOf(quiet)['chat_id'], undefined);
      assert.is(endOf(quiet)['saved'], false);
      const { turns } = await readJson(gateway, `/v1/chats/${chat_id}`);
      assert.is(turns.length, 1);
    }),
  );

  door(
    'a cancelled turn is kept as far as it was heard',
    withDoor(async (gateway) => {
      const body = { prompt: 'Hi', model: 'simulator.stall-mid-stream', request_id: 'r1' };
      const answer = gateway.ask(body);
      while (gateway.ledger.opened === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      await gateway.cancel('r1');
      const cancelled = await answer;
      if (cancelled.events[0]?.name !== 'start') return assert.is(cancelled.events.length, 1);
      const { turns } = await readJson(gateway, `/v1/chats/${chatOf(cancelled)}`);
      assert.is(turns[0]?.['state'], 'cancelled');
      assert.is(turns[0]?.['completion'], cancelled.text);
    }),
  );

  door('when the tables are down, whoever brings no chat_id is answered all the same', async () => {
    let isDown = false;
    // A question over a WebSocket waits in a table for its worker.
    const needed = name === 'websocket' ? /-(requests|connections)"/ : /^$/;
    const gateway = await startGateway({
      door: name,
      dynamoFault: (_, input) =>
        isDown && !needed.test(JSON.stringify(input)) ? { type: 'down' } : undefined,
    });
    isDown = true;
    try {
      const answer = await gateway.ask({ prompt: 'ECHO Hi' });
      assert.is(answer.text, 'Hi');
      assert.is(endOf(answer)['saved'], false);
      assert.is((await gateway.ask({ prompt: 'Hi', chat_id: 'c1' })).error?.code, 'history_unavailable');
      assert.is(gateway.ledger.opened, 1);
      assert.equal([...gateway.notices].sort(), ['cache-unavailable', 'turn-lost']);
    } finally {
      await gateway.close();
    }
  });

  door.run();
}

for (const name of ['rest', 'function-url', 'websocket'] as const) runMemoryContract(name);
