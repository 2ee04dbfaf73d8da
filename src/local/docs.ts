/**
 * `/docs`: the OpenAPI document to read and to try out, shown by Swagger UI. Nothing of it comes from another host, and a key that is typed
 * into it is forgotten with the page.
 */
import { readFile } from 'node:fs/promises';
import { type Assets, toAsset } from './site.ts';

const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>LLM Gateway API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<main id="docs"></main>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/docs.js"></script>
</body>
</html>
`;

// Without `validatorUrl: null` it may show the document to a service elsewhere.
const script = `SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#docs',
  deepLinking: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
`;

/** Swagger UI writes styles into its elements. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
].join('; ');

export const docsAssets = (): Assets => ({
  '/docs': async () => toAsset('text/html', html, policy),
  '/docs/docs.js': async () => toAsset('text/javascript', script),
  '/docs/swagger-ui.css': async () => toAsset('text/css', await read('swagger-ui.css')),
  '/docs/swagger-ui-bundle.js': async () => toAsset('text/javascript', await read('swagger-ui-bundle.js')),
});

const read = (name: string) => readFile(new URL(import.meta.resolve(`swagger-ui-dist/${name}`)));
