import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { pageAssets } from '../../src/local/page.ts';
import { KEY, start, stop } from '../helpers/process.ts';

const laptop = { functionUrl: 'http://127.0.0.1:3001', isSimulated: true };

const load = async (path: string, given: Parameters<typeof pageAssets>[0] = laptop) => {
  const asset = await pageAssets(given)[path]?.();
  return { ...asset, body: String(asset?.body) };
};

const readLaptop = (document: string) =>
  JSON.parse(/<script type="application\/json" id="laptop">(.*?)<\/script>/s.exec(document)?.[1] ?? '');

const page = suite('pageAssets');

page('the document tells the page where it is', async () => {
  const { type, body } = await load('/');
  assert.is(type, 'text/html; charset=utf-8');
  assert.equal(readLaptop(body), laptop);
});

page('no text in it ends its element, or is a pattern of a replacement', async () => {
  const key = "</script><script>alert(1)</script>$&$'";
  const { body } = await load('/', { ...laptop, key });
  assert.is(readLaptop(body).key, key);
  assert.is(body.split('</script>').length, 3);
});

page('its policy lets nothing run or load that is not its own', async () => {
  const { policy = '', body } = await load('/');
  for (const rule of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:"])
    assert.ok(policy.split('; ').includes(rule), rule);
  assert.not.match(policy, 'unsafe');
  assert.not.match(body, /<style|\sstyle=|\son\w+=|<script(?![^>]*(src=|application\/json))/);
  assert.not.match(body, /(src|href)="(https?:)?\/\//);
});

page('the program is bundled: it imports nothing', async () => {
  const { type, body } = await load('/page.js');
  assert.is(type, 'text/javascript; charset=utf-8');
  assert.match(body, 'new WebSocket(');
  assert.not.match(body, /^import /m);
});

page('the program is bundled once', async () => {
  const assets = pageAssets(laptop);
  const [first, second] = [await assets['/page.js']?.(), await assets['/page.js']?.()];
  assert.is(first?.body, second?.body);
});

page('the style is there', async () => {
  const { type, body } = await load('/page.css');
  assert.is(type, 'text/css; charset=utf-8');
  assert.match(body, 'prefers-reduced-motion');
});

page.run();

// ---

const serving = suite('npm start');

serving('shows the page, with the key that it made itself', async () => {
  const running = await start({ LOCAL_API_KEYS: '' });
  assert.match(running.output(), `Chat page     ${running.url}/\n`);
  const response = await fetch(`${running.url}/`);
  const { key, functionUrl, isSimulated } = readLaptop(await response.text());
  assert.is(response.status, 200);
  assert.match(running.curl, `x-api-key: ${key}`);
  assert.is(functionUrl, running.functionUrl);
  assert.is(isSimulated, true);
  await stop(running);
});

serving('shows no key that it was given', async () => {
  const running = await start({ AWS_ENDPOINT_URL_BEDROCK_RUNTIME: 'http://127.0.0.1:9' });
  const text = await (await fetch(`${running.url}/`)).text();
  assert.not.match(text, KEY);
  assert.equal(readLaptop(text), { functionUrl: running.functionUrl, isSimulated: false });
  await stop(running);
});

serving.run();
