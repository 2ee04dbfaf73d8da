/**
 * The sentences of the simulated model: plain, different from prompt to prompt, always the same for the same prompt,
 * and never to be mistaken for a real answer.
 */
import { createHash } from 'node:crypto';
import { splitTokens } from './tokens.ts';

/** How each text of the simulator begins. */
export const DISCLAIMER = 'This is the built-in simulator, not a real model.';

/** At most 20 tokens each and more than 90 together: the arithmetic of `chat` below depends on it. */
const FILLERS = [
  'Every word you see was chosen by a small program that runs on this computer.',
  'It needs no network and no account, and nothing you type leaves the machine.',
  'Each word arrives as its own event, just as it would from Amazon Bedrock.',
  'The same question gets the same answer every time, which is handy for tests.',
  'Ask something else and the sentences will come in another order.',
  'A real model would think about your question; this one only counts its letters.',
  'The pace is about fifty tokens a second, close to what many models do.',
  'Start a message with ECHO to get the rest of it back, letter by letter.',
  'Start a message with SLOW to see what three seconds of silence look like.',
  'When you are ready, the same gateway can talk to Bedrock with your own account.',
] as const;

/**
 * A friendly answer of 40 to 120 tokens that names words of the question and says how many turns came before.
 * @param earlier the texts of the user's earlier messages, oldest first
 */
export function chat(question: string, earlier: readonly string[]): string {
  const seed = createHash('sha256').update(question).digest();
  const sentences = [DISCLAIMER, aboutQuestion(question), aboutEarlier(earlier)];
  const target = 40 + (seed.readUInt16BE(0) % 61);
  const first = seed.readUInt16BE(2);
  for (let at = first; count(sentences) < target; at += 1) {
    sentences.push(FILLERS[at % FILLERS.length] ?? DISCLAIMER);
  }
  return sentences.join(' ');
}

/** What the simulated model says after a tool has run: the result, word for word. */
export function quoteToolResult(result: string): string {
  return `${DISCLAIMER} The tool has answered: ${result}`;
}

/** What it says before it calls tools. */
export function announceTools(names: readonly string[]): string {
  const list = new Intl.ListFormat('en-GB').format(names);
  const [what, whose] = names.length === 1 ? ['tool', 'its schema'] : ['tools', 'their schemas'];
  return `${DISCLAIMER} I will call the ${what} ${list} with arguments made from ${whose}.`;
}

/** What it "thinks" first when reasoning was asked for. */
export function think(question: string): string {
  return `The user wrote about ${keywords(question)}. I am only a simulator, so I will say so and answer briefly.`;
}

function aboutQuestion(question: string): string {
  return `You wrote about ${keywords(question)}.`;
}

function aboutEarlier(earlier: readonly string[]): string {
  const last = earlier.at(-1);
  if (last === undefined) return 'It is the first turn of this conversation.';
  const turns = earlier.length === 1 ? '1 turn' : `${earlier.length} turns`;
  return `Before it came ${turns}, most recently about ${keywords(last)}.`;
}

/** Up to four telling words of a text: `weather, Paris and tomorrow`. */
function keywords(text: string): string {
  const words = new Set(text.slice(0, 2000).match(/[\p{L}\p{N}]{1,20}/gu));
  const long = [...words].filter((word) => word.length > 3);
  const chosen = (long.length > 0 ? long : [...words]).slice(0, 4);
  return new Intl.ListFormat('en-GB').format(chosen) || 'something without words';
}

function count(sentences: readonly string[]): number {
  return splitTokens(sentences.join(' ')).length;
}
