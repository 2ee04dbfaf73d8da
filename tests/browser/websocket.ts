/**
 * `npm run test:browser`: a page in Chromium chats over the WebSocket of `npm start`. Prints a line for each
 * check, and ends with 1 when one of them failed; where there is no Chromium it says so and ends with 0.
 */
import { mkdtempSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { people } from '../helpers/gateway.ts';
import { start, stop } from '../helpers/process.ts';
import { check, expect, inChromium } from './chromium.ts';

const QUESTION = 'What is a Faraday cage?';

/** Comes in 120 pieces of 20 ms. */
const LONG_ANSWER = 'all of this takes a while '.repeat(100);

async function servePage() {
  const page = readFileSync(join(import.meta.dirname, 'chat.html'));
  const server = createServer((_, response) =>
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, port: (server.address() as AddressInfo).port };
}

/**
 * The page from this origin, with the gateway and the key filled in. What goes wrong on it is gathered in
 * `problems`.
 */
async function openPage(browser: Browser, origin: string, socketUrl: string) {
  const page = await browser.newPage({ viewport: { width: 800, height: 700 } });
  const problems: string[] = [];
  page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
  page.on('pageerror', (error) => problems.push(error.message));
  await page.goto(origin);
  await page.fill('#url', socketUrl);
  await page.fill('#key', people.alice.key);
  return { page, problems };
}

async function ask(page: Page, question: string) {
  await page.fill('#question', question);
  await page.click('#ask');
}

const read = async (page: Page, selector: string) => (await page.textContent(selector)) ?? '';

/** Waits for a state that fits. */
async function reach(page: Page, pattern: string): Promise<string> {
  const isReached = `new RegExp(${JSON.stringify(pattern)}).test(document.querySelector('#state').value)`;
  await page.waitForFunction(isReached, undefined, { timeout: 20_000 });
  return await read(page, '#state');
}

const showsText = "document.querySelector('#answer').textContent !== ''";

async function checkAnswer(page: Page): Promise<string> {
  await ask(page, QUESTION);
  await page.waitForFunction(showsText);
  const early = { text: await read(page, '#answer'), state: await read(page, '#state') };
  const ending = await reach(page, '^(?!connecting|answering)');
  const text = await read(page, '#answer');
  const deltas = Number(await page.getAttribute('#answer', 'data-deltas'));
  expect(ending === 'done', `it ended as ${ending}`);
  expect(text.includes('Faraday') && deltas > 5, `${deltas} deltas: ${text}`);
  expect(early.state === 'answering' && text.startsWith(early.text), 'its text came all at once');
  expect(early.text.length < text.length, 'its text came all at once');
  return `${deltas} deltas, ${early.text.length} characters shown at first and ${text.length} in the end`;
}

async function checkCancel(page: Page): Promise<string> {
  await ask(page, `ECHO ${LONG_ANSWER}`);
  await page.waitForFunction(showsText);
  await page.click('#cancel');
  const ending = await reach(page, '^(?!connecting|answering)');
  const shown = (await read(page, '#answer')).length;
  expect(ending === 'cancelled' && shown < LONG_ANSWER.trim().length, `${ending} after ${shown} characters`);
  return `${ending} after ${shown} of ${LONG_ANSWER.length} characters`;
}

async function checkOtherOrigin(browser: Browser, origin: string, socketUrl: string): Promise<string> {
  const { page, problems } = await openPage(browser, origin, socketUrl);
  await ask(page, QUESTION);
  const ending = await reach(page, '^(?!connecting)');
  expect(ending.startsWith('refused before it was open'), ending);
  expect(problems.length === 1 && /403/.test(problems.join()), problems.join('; '));
  return `${ending}; Chromium says 403`;
}

async function main(executablePath: string) {
  const { server, port } = await servePage();
  const origin = `http://127.0.0.1:${port}`;
  const gateway = await start({ LOCAL_API_KEYS: `alice=${people.alice.key}`, ALLOWED_ORIGINS: origin });
  const socketUrl = `${gateway.url.replace('http', 'ws')}/ws`;
  const browser = await chromium.launch({ executablePath });
  const { page, problems } = await openPage(browser, origin, socketUrl);
  const screenshot = join(mkdtempSync(join(tmpdir(), 'browser-')), 'chat.png');
  await check('the answer is shown as it comes', () => checkAnswer(page));
  await page.screenshot({ path: screenshot });
  await check('the cancel button', () => checkCancel(page));
  await check('a page of another origin', () =>
    checkOtherOrigin(browser, `http://localhost:${port}`, socketUrl),
  );
  await check('the console', async () => {
    expect(problems.length === 0, problems.join('; '));
    return 'no errors';
  });
  console.log(`screenshot: ${screenshot}`);
  await browser.close();
  await stop(gateway);
  server.close();
}

await inChromium(main);
