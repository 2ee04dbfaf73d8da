/** What the contract of a door says and does not hold on Lambda. Everything else in it is tested here as well. */
import type { Exceptions } from '../doors/contract.ts';

export const httpExceptions: Exceptions = {
  'a client that leaves ends the call to Bedrock':
    'Lambda tells a function nothing of it and takes what it writes; answers.test.ts says what happens instead',
};
