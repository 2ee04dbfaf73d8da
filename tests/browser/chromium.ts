/** A Chromium for the checks of a page, and how a check is told. */
import { existsSync } from 'node:fs';

const usualPaths = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
  '/snap/bin/chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
  'C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe',
];

let failures = 0;

/** Runs what returns its figures, and prints a line; a failure is counted, and the next check goes on. */
export async function check(name: string, run: () => Promise<string>) {
  const [mark, figures] = await run().then(
    (said) => ['ok  ', said],
    (error: unknown) => ['FAIL', String(error).split('\n').slice(0, 3).join(' ')],
  );
  if (mark === 'FAIL') failures++;
  console.log(`${mark}  ${name}: ${figures}`);
}

export function expect(isSo: boolean, what: string) {
  if (!isSo) throw new Error(what);
}

/** Runs the checks in the Chromium of this machine, or says that there is none; ends with 1 when one of them failed. */
export async function inChromium(main: (executablePath: string) => Promise<void>) {
  const path = process.env['CHROMIUM_PATH'] || usualPaths.find((usual) => existsSync(usual));
  if (path === undefined) console.log('skipped: no Chromium found; set CHROMIUM_PATH');
  else await main(path);
  process.exitCode = failures > 0 ? 1 : 0;
}
