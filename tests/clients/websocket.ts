/**
 * The last part of `npm run test:clients`: clients as people use them against the WebSocket of `npm start`, at the pace of a
 * model. Prints a line for each check, and ends with 1 when one of them failed. Takes about 70 seconds.
 */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { startBedrockSimulator } from '../../src/local/bedrock/simulator.ts';
import type { Frame } from '../helpers/clients.ts';
import { askBy, askTogether, judge, longText, splitsCharacters, toShuffledParts } from '../helpers/crowd.ts';
import { people } from '../helpers/gateway.ts';
import { start, stop } from '../helpers/process.ts';

const { alice, bob } = people;
const keys = { LOCAL_API_KEYS: `alice=${alice.key},bob=${bob.key}` };

/**
 * A long text comes in 120 pieces, so at this pace it takes a minute, which is twice what API Gateway gives a
 * function.
 */
const SLOW_TOKENS_PER_SECOND = 1.95;
const SLOW_TEXT = 'A minute is long for a gateway. '.repeat(375);
const SLOW_AT_LEAST_MS = 55_000;

/** What hangs has failed. */
const LIMIT_MS = 120_000;

const SOCKETS = 50;
const QUESTIONS = 4;

type Outcome = { readonly isGood: boolean; readonly figures: string };

let failures = 0;

async function check(name: string, run: () => Promise<Outcome>) {
  const hanging = sleep(LIMIT_MS, { isGood: false, figures: 'not ended in time' }, { ref: false });
  const { isGood, figures } = await Promise.race([run(), hanging]).catch(
    (error: unknown): Outcome => ({ isGood: false, figures: String(error) }),
  );
  if (!isGood) failures++;
  console.log(`${isGood ? 'ok  ' : 'FAIL'}  ${name}: ${figures}`);
}

/** wscat, the way its user types it, until the answer has ended. A line of its output is a frame. */
async function runWscat(url: string, identity: readonly string[], message: object): Promise<Outcome> {
  const args = ['-c', url, ...identity, '-x', JSON.stringify(message), '-w', '-1'];
  // At the end of its input wscat leaves, so the input stays open.
  const child = spawn(process.execPath, ['node_modules/wscat/bin/wscat', ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const frames: Frame[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    frames.push(JSON.parse(line.replace(/^< /, '')) as Frame);
    if (['done', 'error'].includes(frames.at(-1)?.type ?? '')) child.kill();
  }
  const heard = judge(frames);
  const isGood = heard.ending === 'done' && heard.isGapless && heard.text === 'hello "world" 🕰';
  return { isGood, figures: `${heard.frames} frames, ${JSON.stringify(heard.text)}, ${heard.ending}` };
}

/** Asks for a text and expects it back, byte for byte, in frames without a gap. */
async function expectEcho(url: string, messages: readonly string[], text: string): Promise<Outcome> {
  const began = performance.now();
  const heard = judge(await askBy(url, alice.key, messages));
  const seconds = (performance.now() - began) / 1000;
  const isGood = heard.text === text && heard.ending === 'done' && heard.isGapless;
  const [bytes, wanted] = [heard.text, text].map((value) => Buffer.byteLength(value));
  const size = `${bytes} of ${wanted} bytes in ${heard.frames} frames`;
  return { isGood, figures: `${size}, ${heard.ending}, ${seconds.toFixed(1)} s` };
}

const toMessage = (prompt: string) =>
  JSON.stringify({ action: 'chat', prompt: `ECHO ${prompt}`, parameters: { max_tokens: 32_000 } });

async function checkSlowAnswer(url: string): Promise<Outcome> {
  const began = performance.now();
  const { isGood, figures } = await expectEcho(url, [toMessage(SLOW_TEXT)], SLOW_TEXT);
  return { isGood: isGood && performance.now() - began > SLOW_AT_LEAST_MS, figures };
}

async function checkParts(url: string): Promise<Outcome> {
  const message = { prompt: `ECHO ${longText}`, parameters: { max_tokens: 32_000 } };
  const parts = toShuffledParts(message, 9);
  const { isGood, figures } = await expectEcho(url, parts, longText);
  return { isGood: isGood && splitsCharacters(parts), figures: `${parts.length} parts, ${figures}` };
}

async function checkCrowd(url: string): Promise<Outcome> {
  const crowd = await askTogether(url, [alice.key, bob.key], SOCKETS, QUESTIONS);
  const { answers, right, again, frames, foreign } = crowd;
  const asked = SOCKETS * QUESTIONS;
  const isGood = answers === asked && right === asked && foreign === 0;
  const figures = `${right} of ${asked} answers right, ${again} asked again, ${foreign} foreign of ${frames} frames`;
  return { isGood, figures };
}

const slowBedrock = await startBedrockSimulator({ tokensPerSecond: SLOW_TOKENS_PER_SECOND });
const [gateway, slowGateway] = await Promise.all([
  start(keys),
  start({ ...keys, AWS_ENDPOINT_URL_BEDROCK_RUNTIME: slowBedrock.url }),
]);
const toSocketUrl = ({ url }: { readonly url: string }) => `${url.replace('http', 'ws')}/ws`;
const url = toSocketUrl(gateway);

const slow = check('an answer of a minute arrives whole', () => checkSlowAnswer(toSocketUrl(slowGateway)));
const message = { action: 'chat', prompt: 'ECHO hello "world" 🕰', request_id: randomUUID() };
const subprotocols = ['-s', 'llm-gateway', '-s', `llm-gateway.key.${alice.key}`];
await check('wscat with the key in a subprotocol', () => runWscat(url, subprotocols, message));
const header = ['-H', `x-api-key:${bob.key}`];
await check('wscat with the key in a header', () => runWscat(url, header, message));
await check('Node’s own WebSocket', () => expectEcho(url, [toMessage('"Hi" 🕰')], '"Hi" 🕰'));
await check('a prompt of 200 KB in shuffled parts', () => checkParts(url));
await check(`${SOCKETS} sockets of two tenants at once`, () => checkCrowd(url));
await slow;

await Promise.all([stop(gateway), stop(slowGateway)]);
await slowBedrock.close();
process.exitCode = failures > 0 ? 1 : 0;
