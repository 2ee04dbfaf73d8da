/**
 * The chat page, driven as its user drives it.
 */
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { expect } from './chromium.ts';

/** Comes in 120 pieces of 20 ms. */
export const LONG = `ECHO ${'all of this takes a while '.repeat(100)}`;

export const QUESTION = 'What is a Faraday cage?';

export type Opened = {
  readonly page: Page;
  /** What the console and the page itself complained of. */
  readonly problems: string[];
  /** Hosts that were asked for anything. */
  readonly hosts: Set<string>;
};

export async function openPage(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<Opened> {
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
export const turn = (page: Page) => page.locator('.turn').last();

export async function ask(page: Page, question: string) {
  const before = await page.locator('.turn').count();
  await page.fill('#question', question);
  await page.press('#question', 'Enter');
  await page.locator('.turn').nth(before).waitFor();
}

/** Waits for the end of the newest answer. */
export async function reach(page: Page, state: string) {
  await page
    .locator(`.turn:last-child:not([data-state=answering], [data-state=waiting])[data-state]`)
    .waitFor();
  const reached = await turn(page).getAttribute('data-state');
  expect(reached === state, `the answer ended as ${reached}`);
}

export const textOf = (page: Page) => turn(page).locator('.text').innerText();
export const factsOf = (page: Page) => turn(page).locator('.facts').innerText();

export async function chooseModel(page: Page, id: string) {
  await page.selectOption('#model', { label: 'Another model' });
  await page.fill('#other-model', id);
}
