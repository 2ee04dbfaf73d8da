/**
 * `npm run test:browser`: the chat page of `npm start` in Chromium, over a Bedrock that counts who leaves early. Prints a line for each
 * check and where the screenshots are, and ends with 1 when a check failed; where there is no Chromium it says so and ends with 0.
 */
import { once } from 'node:events';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';
import { startBedrockSimulator } from '../../src/local/bedrock/simulator.ts';
import { ACCESS_KEY, chat, KEY, type Running, runScript, start, stop } from '../helpers/process.ts';
import {
  checkAsking,
  checkCutStream,
  checkDeep,
  checkErrors,
  checkGone,
  checkHostile,
  checkLearned,
  checkLeaving,
  checkParts,
  checkReasoning,
  checkReconnecting,
  checkSocket,
  checkStopping,
  checkStoppingAtOnce,
  checkUnreachable,
} from './answers.ts';
import { ask, factsOf, LONG, type Opened, openPage, QUESTION, reach, textOf, turn } from './chat-page.ts';
import { check, expect, inChromium } from './chromium.ts';

const CURATED = 'What should I check first when a whole site is down?';
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

const CHATS = 105;

/** More than a page, and more than the longest page that the gateway gives. */
async function checkLongList(browser: Browser, gateway: Running): Promise<string> {
  for (let made = 0; made < CHATS; made += 15)
    await Promise.all(
      Array.from({ length: 15 }, (_, n) =>
        chat(gateway.url, { prompt: `ECHO chat ${made + n}` }).then((r) => r.text()),
      ),
    );
  const { page, problems } = await openPage(browser, gateway.url);
  await page.locator('#laptop-key').fill(KEY);
  await page.keyboard.press('Enter');
  const more = page.getByRole('button', { name: 'More', exact: true });
  const links = page.locator('#chats a');
  await more.waitFor();
  expect((await links.count()) === 20, `${await links.count()} at first`);
  await more.dblclick();
  await links.nth(39).waitFor();
  while (await more.isVisible()) {
    const shown = await links.count();
    await more.click();
    await links.nth(shown).waitFor();
  }
  const addresses = await links.evaluateAll((all) => all.map((link) => link.getAttribute('href')));
  expect(new Set(addresses).size === addresses.length, 'a conversation is there twice');
  expect(addresses.length >= CHATS, `${addresses.length} in the end`);
  await page.locator('#chats .delete').first().click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Delete' }).click();
  await links.nth(100).waitFor({ state: 'detached' });
  expect((await links.first().getAttribute('href')) === addresses[1], 'it is still there');
  expect(problems.length === 0, problems.join('; '));
  await page.context().close();
  return `${addresses.length} conversations, by twenties; one of them deleted`;
}

async function connectElsewhere({ page }: Opened, url: string, webSocketUrl: string, key: string) {
  if (!(await page.locator('#connection').isVisible())) await page.click('#open-connection');
  await page.getByRole('radio', { name: 'A gateway elsewhere' }).check({ force: true });
  await page.getByLabel('URL', { exact: true }).fill(url);
  await page.locator('#key').fill(key);
  await page.getByLabel('WebSocket URL').fill(webSocketUrl);
  await page.click('#connect');
}

/** One that is not the page's own, by key. */
async function checkElsewhere(opened: Opened, elsewhere: Running): Promise<string> {
  const { page, problems } = opened;
  await connectElsewhere(opened, elsewhere.url, elsewhere.socketUrl, 'a-wrong-key');
  const refusal = page.locator('#connection-problem', { hasText: 'This API key is not known.' });
  await refusal.waitFor();
  problems.length = 0;
  await connectElsewhere(opened, elsewhere.url, elsewhere.socketUrl, KEY);
  await page.locator('#connection').waitFor({ state: 'hidden' });
  expect(
    (await page.textContent('#place')) === new URL(elsewhere.url).host,
    `${await page.textContent('#place')}`,
  );
  for (const door of ['SSE', 'WebSocket']) {
    await page.getByRole('radio', { name: door }).check({ force: true });
    await ask(page, `ECHO elsewhere by ${door}`);
    await reach(page, 'complete');
  }
  await page.locator('#chats a[aria-current]', { hasText: 'ECHO elsewhere by SSE' }).waitFor();
  expect(!(await page.locator('#model').innerText()).includes('embed'), 'a model that embeds is offered');
  expect(problems.length === 0, problems.join('; '));
  return `${await page.textContent('#place')} answers by SSE and by WebSocket`;
}

/** Its keys are not for whoever it points at. */
async function checkRedirected(opened: Opened): Promise<string> {
  const { page } = opened;
  const seen: string[] = [];
  const stranger = createHttpServer(({ method, url = '', headers }, response) => {
    seen.push(`${method} ${url}`);
    response.setHeader('access-control-allow-origin', headers.origin ?? '*');
    response.setHeader('access-control-allow-headers', '*');
    response.writeHead(method === 'OPTIONS' ? 204 : 307, { location: '/elsewhere' }).end();
  });
  await once(stranger.listen(0, '127.0.0.1').unref(), 'listening');
  const { port } = stranger.address() as AddressInfo;
  await connectElsewhere(opened, `http://127.0.0.1:${port}`, '', KEY);
  await page.locator('#connection-problem', { hasText: 'cannot be reached' }).waitFor();
  expect(seen.includes('GET /v1/models'), seen.join());
  expect(!seen.some((call) => call.includes('/elsewhere')), seen.join());
  await page.click('#close-connection');
  return 'it is not followed';
}

/** Where somebody takes connections and says nothing. */
async function checkSilentSocket(opened: Opened, elsewhere: Running): Promise<string> {
  const { page } = opened;
  const silent = createServer().listen(0, '127.0.0.1').unref();
  await once(silent, 'listening');
  const { port } = silent.address() as AddressInfo;
  await connectElsewhere(opened, elsewhere.url, `ws://127.0.0.1:${port}`, KEY);
  await page.locator('#connection').waitFor({ state: 'hidden' });
  await page.getByRole('radio', { name: 'WebSocket' }).check({ force: true });
  await ask(page, 'Is anybody there?');
  await page.keyboard.press('Escape');
  await reach(page, 'cancelled');
  return 'Stop ends the waiting';
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
  const gateway = await start({ LOCAL_API_KEYS: '', AWS_ENDPOINT_URL_BEDROCK_RUNTIME: upstream.url });
  const guarded = await start({ ALLOWED_ORIGINS: gateway.url });
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
  await check('Stop at once', () => checkStoppingAtOnce(opened, upstream));
  await check('a question in parts', () => checkParts(opened));
  await check('a curated answer', () => checkCurated(opened, gateway));
  await check('a learned answer', () => checkLearned(opened));
  await check('reasoning', () => checkReasoning(opened));
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
  await check('an answer nested thousands deep', async () => checkDeep(await openPage(browser, gateway.url)));
  await check('a page that is left', async () =>
    checkGone(await openPage(browser, gateway.url), gateway.output),
  );
  await check('a key is asked for', () => checkKeyPanel(browser, guarded));
  await check('a long list', () => checkLongList(browser, guarded));
  const reconnecting = await openPage(browser, gateway.url);
  await check('a socket that is closed', () => checkReconnecting(reconnecting));
  const calling = await openPage(browser, gateway.url);
  await check('a gateway elsewhere', () => checkElsewhere(calling, guarded));
  await check('a gateway that points elsewhere', () => checkRedirected(calling));
  await check('a socket that says nothing', () => checkSilentSocket(calling, guarded));
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
