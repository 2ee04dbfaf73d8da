import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { docsAssets } from '../../src/local/docs.ts';
import { createRestApi } from '../../src/local/doors/rest-api.ts';
import { createSite } from '../../src/local/site.ts';
import { listen, stop } from '../helpers/gateway.ts';

const docs = suite('/docs');

/** The door with nothing but the documentation in front. */
const inDoor = (test: (url: string) => Promise<void>) => async () => {
  const { server } = createRestApi({
    handler: () => Promise.reject(new Error('The API was asked.')),
    authorizer: () => Promise.reject(new Error('Who is calling was asked.')),
    findTenant: () => undefined,
    site: createSite(docsAssets()),
  });
  try {
    await test(await listen(server));
  } finally {
    await stop(server);
  }
};

docs(
  'is a page without a script or a style of its own, whose parts are all here',
  inDoor(async (url) => {
    const response = await fetch(`${url}/docs`);
    assert.is(response.status, 200);
    assert.is(response.headers.get('content-type'), 'text/html; charset=utf-8');
    const html = await response.text();
    assert.not.match(html, /<style|<script>|\son\w+=|\/\/[a-z]/);
    const parts = [...html.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map(([, path]) => path);
    assert.equal(parts, ['/docs/swagger-ui.css', '/docs/swagger-ui-bundle.js', '/docs/docs.js']);
    for (const path of parts) {
      const part = await fetch(`${url}${path}`);
      assert.is(part.status, 200, path);
      const expected = path?.endsWith('.css') ? 'text/css; charset=utf-8' : 'text/javascript; charset=utf-8';
      assert.is(part.headers.get('content-type'), expected);
      assert.ok((await part.text()).length > 100);
    }
  }),
);

docs(
  'shows the document of this gateway, and sends it nowhere',
  inDoor(async (url) => {
    const script = await (await fetch(`${url}/docs/docs.js`)).text();
    const asked: Record<string, unknown>[] = [];
    new Function('SwaggerUIBundle', script)((options: Record<string, unknown>) => asked.push(options));
    const [{ url: source, validatorUrl, dom_id } = {}] = asked;
    assert.equal([asked.length, source, validatorUrl], [1, '/openapi.json', null]);
    assert.match(await (await fetch(`${url}/docs`)).text(), `id="${String(dom_id).slice(1)}"`);
  }),
);

docs(
  'may load from and speak to this gateway only',
  inDoor(async (url) => {
    const { headers } = await fetch(`${url}/docs`);
    const policy = headers.get('content-security-policy') ?? '';
    const rules = new Map(policy.split('; ').map((rule) => [rule.split(' ')[0], rule.split(' ').slice(1)]));
    assert.equal(rules.get('default-src'), ["'none'"]);
    assert.equal(rules.get('script-src'), ["'self'"]);
    assert.equal(rules.get('connect-src'), ["'self'"]);
    assert.not.match(policy, /https?:|\*/);
  }),
);

docs.run();
