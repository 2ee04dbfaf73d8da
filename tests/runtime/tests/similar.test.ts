/** Questions in other words, as the deployed functions search for them. That they may is checked when each gateway closes. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { inGateway } from '../../doors/contract.ts';
import { startRuntime } from '../gateway.ts';

/** The first may take a new process longer than it has for them. */
const questions = ['What is rain?', 'Who was Faraday?', 'Why is the sky blue?', 'How do birds fly?'];

const similar = suite('questions in other words on Lambda');

for (const door of ['rest', 'websocket'] as const) {
  similar(
    `are searched and learned: ${door}`,
    inGateway((settings = {}) => startRuntime({ door, settings }))(
      async ({ ask, searches }) => {
        const kinds = () => [...new Set(searches.map((call) => call.replace(/\/[\w-]+/, '')))];
        for (const prompt of questions) {
          if (kinds().length < 3) assert.is((await ask({ prompt })).error, undefined);
        }
        assert.equal(kinds().sort(), ['POST /_bulk', 'POST /_search', 'PUT ']);
      },
      { similarAnswers: 'on' },
    ),
  );
}

similar.run();
