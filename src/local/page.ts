/**
 * The chat page of the laptop: its document, its style, and its program, which esbuild bundles when it is asked for.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Laptop } from './page/laptop.ts';
import { type Assets, toAsset } from './site.ts';

const folder = join(import.meta.dirname, 'page');

/**
 * Nothing in the page runs or loads but what comes from here, whatever an answer holds. It may call a gateway on this machine in the
 * clear, and one elsewhere encrypted.
 */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self' http://127.0.0.1:* http://localhost:* ws://127.0.0.1:* ws://localhost:* https: wss:",
  "require-trusted-types-for 'script'",
  'trusted-types dompurify',
].join('; ');

/**
 * The files of the page at `/`. It holds the laptop's key where `npm start` made it, so that whoever opens the page can ask at once: whoever
 * opens it on this machine, since no other is answered. On a machine that is shared, set `LOCAL_API_KEYS`; then there is no key in the page,
 * and it asks for one.
 */
export function pageAssets(laptop: Laptop): Assets {
  let script: Promise<string> | undefined;
  const bundleOnce = () =>
    (script ??= bundle().catch((error) => {
      script = undefined;
      throw error;
    }));
  return {
    '/': async () => toAsset('text/html', fill(await read('chat.html'), laptop), policy),
    '/page.css': async () => toAsset('text/css', await read('chat.css')),
    '/page.js': async () => toAsset('text/javascript', await bundleOnce()),
  };
}

const read = (name: string) => readFile(join(folder, name), 'utf8');

/** No text in the JSON can end the element that it stands in. */
const fill = (document: string, laptop: Laptop) =>
  document.replace('>{}</script>', () => `>${JSON.stringify(laptop).replaceAll('<', '\\u003c')}</script>`);

async function bundle(): Promise<string> {
  // Only whoever opens the page needs it.
  const { build } = await import('esbuild');
  const { outputFiles } = await build({
    entryPoints: [join(folder, 'chat.ts')],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2024',
    charset: 'utf8',
    logLevel: 'silent',
  });
  return outputFiles[0]?.text ?? '';
}
