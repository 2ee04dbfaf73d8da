/**
 * Applies the rules of layout to the whole tree, proves on small examples that each of them can be broken, and
 * imports every file of src/ in a process that has no environment and may not touch the network or the disk.
 */
import { execFile } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { violations } from './import-rules.ts';

const ROOT = join(import.meta.dirname, '..');

function filesOf(...folders: string[]): string[] {
  const paths = folders.flatMap((folder) => globSync(`${folder}/**/*.{ts,mjs}`, { cwd: ROOT }));
  return paths.map((path) => path.replaceAll('\\', '/')).filter((path) => !path.includes('node_modules/'));
}

// ---

/** Path, source, and what is said of it; nothing where the rule must let it pass. */
const EXAMPLES: [path: string, source: string, said?: string][] = [
  ['src/http.lambda.ts', "import { gateway } from './wire.ts';"],
  ['src/http.lambda.ts', "import type { APIGatewayProxyEvent } from 'aws-lambda';"],
  ['src/http.lambda.ts', "import { Context } from 'aws-lambda';", 'must not import aws-lambda'],
  ['src/http.lambda.ts', "import { ask } from './chat/ask.ts';", 'must not import src/chat/ask.ts'],
  ['src/http.lambda.ts', "import { Hono } from 'hono';", 'must not import hono'],

  ['src/wire.ts', "import { BedrockRuntimeClient } from '@aws-sdk/client-bedrock-runtime';"],
  ['src/wire.ts', "import { Logger } from '@aws-lambda-powertools/logger';"],
  ['src/wire.ts', "import { start } from './local/start.ts';", 'must not import src/local/start.ts'],
  ['src/wire.ts', "import { Hono } from 'hono';", 'must not import hono'],
  ['src/wire.ts', "import { handler } from './http.lambda.ts';", 'must not import src/http.lambda.ts'],

  ['src/names.ts', 'export const SERVICE = 1;'],
  ['src/names.ts', "import { join } from 'node:path';", 'must not import node:path'],
  ['src/names.ts', "import type { A } from './chat/ask.ts';", 'must not import src/chat/ask.ts'],

  ['src/chat/ask.ts', "import { createHash } from 'node:crypto';\nimport { a } from './events.ts';"],
  ['src/chat/ask.ts', "import { names } from '../names.ts';", 'must not import src/names.ts'],
  ['src/chat/ask.ts', "import { pipeline } from 'node:stream';", 'must not import node:stream'],
  ['src/chat/ask.ts', "import type { z } from 'zod/mini';", 'must not import zod/mini'],
  ['src/chat/ask.ts', "import type { App } from '../doors/app.ts';", 'must not import src/doors/app.ts'],

  ['src/aws/bedrock.ts', "import { NodeHttpHandler } from '@smithy/node-http-handler';"],
  ['src/aws/bedrock.ts', "import type { Model } from '../chat/ask.ts';"],
  ['src/aws/bedrock.ts', "import { encode } from '../doors/sse.ts';", 'must not import src/doors/sse.ts'],
  [
    'src/aws/bedrock.ts',
    "import { Logger } from '@aws-lambda-powertools/logger';",
    'must not import @aws-lambda-',
  ],

  ['src/doors/app.ts', "import { cors } from 'hono/cors';\nimport * as z from 'zod/mini';"],
  ['src/doors/app.ts', "import { z } from 'zod';", 'must not import zod'],
  ['src/doors/app.ts', "import { hono } from 'hono-rate-limiter';", 'must not import hono-rate-limiter'],
  ['src/doors/app.ts', "import { model } from '../aws/bedrock.ts';", 'must not import src/aws/bedrock.ts'],
  ['src/doors/app.ts', "import { gateway } from '../wire.ts';", 'must not import src/wire.ts'],

  ['src/local/start.ts', "import { Level } from 'classic-level';\nimport { gateway } from '../wire.ts';"],
  ['src/local/start.ts', "import { stack } from '../../cdk/stack.ts';", 'must not import cdk/stack.ts'],
  ['src/local/start.ts', "import { call } from '../../scripts/call.ts';", 'must not import scripts/call.ts'],
  ['src/local/start.ts', "import { run } from '../../tests/run.ts';", 'must not import tests/run.ts'],

  ['src/local/page/chat.ts', "import { marked } from 'marked';\nimport { a } from './turn.ts';"],
  [
    'src/local/page/chat.ts',
    "import { readFile } from 'node:fs/promises';",
    'must not import node:fs/promises',
  ],
  [
    'src/local/page/chat.ts',
    "import { a } from '../../chat/events.ts';",
    'must not import src/chat/events.ts',
  ],
  ['src/local/page.ts', "import { build } from 'esbuild';\nimport type { Laptop } from './page/laptop.ts';"],

  ['cdk/stack.ts', "import { App } from 'aws-cdk-lib';\nimport { TABLE } from '../src/names.ts';"],
  ['cdk/stack.ts', "import { settings } from '../src/chat/settings.ts';"],
  ['cdk/stack.ts', "import { ask } from '../src/chat/ask.ts';", 'must not import src/chat/ask.ts'],
  ['scripts/call.ts', "import { parse } from '../src/doors/sse.ts';"],
  ['src/elsewhere/a.ts', '', 'has no place in the layout'],
  ['src/elsewhere.ts', '', 'has no place in the layout'],

  // Every way to import.
  ['src/chat/ask.ts', "import '../wire.ts';", 'must not import src/wire.ts'],
  ['src/chat/ask.ts', "import {\n  type A,\n  b,\n} from '../wire.ts';", 'must not import src/wire.ts'],
  ['src/chat/ask.ts', "import * as wire from '../wire.ts';", 'must not import src/wire.ts'],
  ['src/chat/ask.ts', "export { a } from '../wire.ts';", 'must not import src/wire.ts'],
  ['src/chat/ask.ts', "export * from '../wire.ts';", 'must not import src/wire.ts'],
  ['src/chat/ask.ts', "export type { A } from '../wire.ts';", 'must not import src/wire.ts'],
  ['src/chat/ask.ts', "const { a } = await import('../wire.ts');", 'must not import src/wire.ts'],
  ['src/chat/ask.ts', "type A = import('../wire.ts').Gateway;", 'must not import src/wire.ts'],
  ['src/chat/ask.ts', "const a = require('../wire.ts');", 'must not import src/wire.ts'],
  ['src/chat/ask.ts', 'const a = await import(name);', 'imports something that is only known at run time'],
  [
    'src/chat/ask.ts',
    `const a = await import(\`../\${name}.ts\`);`,
    'imports something that is only known at',
  ],
  ['src/doors/lambda.ts', "type Context = import('aws-lambda').Context;"],
  ['src/doors/lambda.ts', "const a = await import('aws-lambda');", 'must not import aws-lambda'],
  [
    'src/chat/ask.ts',
    "// import '../wire.ts';\n/* import('../wire.ts') */\nconst a = \"from '../wire.ts'\";",
  ],
  ['src/chat/ask.ts', "const a = /['\"]/;\nimport '../wire.ts';", 'must not import src/wire.ts'],
  ['src/chat/ask.ts', "const a = 'http://x'; import '../wire.ts';", 'must not import src/wire.ts'],

  // How files are named and referred to.
  ['src/chat/ask.ts', "import { a } from './events';", 'imports ./events without its .ts extension'],
  ['src/chat/ask.ts', "import { a } from './events.js';", 'imports ./events.js without its .ts extension'],
  ['src/chat/index.ts', '', 'is named "index"'],
  ['src/doors/utils.ts', '', 'is named "utils"'],
  ['src/doors/types.d.ts', '', 'is named "types"'],
  ['src/local/common/a.ts', '', 'is named "common"'],
  ['src/local/helpers/a.ts', '', 'is named "helpers"'],
  ['tests/helpers/a.ts', ''],
  ['tests/services/a.ts', '', 'is named "services"'],

  // What files say.
  ['src/doors/app.ts', 'const a = process.env;', 'contains process.env'],
  ['src/doors/app.ts', "const a = process['env'];", 'contains process.env'],
  ['src/doors/app.ts', 'const { env } = process;', 'contains process.env'],
  ['src/doors/app.ts', "import { env } from 'node:process';", 'imports process'],
  ['src/doors/app.ts', `const a = \`\${process.env.HOME}\`;`, 'contains process.env'],
  ['src/doors/app.ts', "// process.env\nconst a = 'process.env';"],
  ['src/local/keys.ts', 'const a = process.env;', 'contains process.env'],
  ['cdk/stack.ts', 'const a = process.env;', 'contains process.env'],
  ['src/wire.ts', 'const a = process.env;'],
  ['src/local/start.ts', 'const a = process.env;'],
  ['cdk/config.ts', 'const a = process.env;'],
  ['scripts/call.ts', 'const a = process.env;'],
  ['src/chat/ask.ts', 'const a = Date.now();', 'contains a process or a clock of its own'],
  ['src/chat/ask.ts', 'process.exit();', 'contains a process or a clock of its own'],
  ['src/chat/ask.ts', 'setTimeout(f, 1);', 'contains a process or a clock of its own'],
  ['src/chat/ask.ts', 'const a = clock.now(); // not Date.now()'],
  ['src/doors/app.ts', 'export default app;', 'contains a default export'],
  ['src/doors/app.ts', 'export { app as default };', 'contains a default export'],
  ['src/doors/app.ts', 'let a: any;', 'contains `any`'],
  ['src/doors/app.ts', 'const a = b as any;', 'contains `any`'],
  ['src/doors/app.ts', 'const a = <any>b;', 'contains `any`'],
  ['src/doors/app.ts', 'let a: Record<string, any>;', 'contains `any`'],
  ['scripts/call.ts', 'function f(a: any[]) {}', 'contains `any`'],
  ['src/doors/app.ts', "const a = AbortSignal.any([b]); // as any\nconst c = 'x: any';"],
  ['src/doors/app.ts', 'export const enum A { B }', 'contains an enum'],
  ['src/doors/app.ts', "const a = { type: 'string', enum: ['b'] };"],
];

const rules = suite('violations');

for (const [path, source, said] of EXAMPLES) {
  const shown = JSON.stringify(source);
  rules(said ? `${path} ${said}: ${shown}` : `${path} may contain ${shown}`, () => {
    const found = violations(path, source);
    if (said === undefined) assert.equal(found, []);
    else assert.match(found.join('\n'), said);
  });
}

rules.run();

// ---

const tree = suite('the tree');

tree('keeps all the rules', () => {
  const files = filesOf('src', 'cdk', 'scripts', 'tests');
  assert.ok(files.length > 5, 'The files of the tree were not found.');
  assert.equal(
    files.flatMap((path) => violations(path, readFileSync(join(ROOT, path), 'utf8'))),
    [],
  );
});

tree.run();

// ---

/**
 * Runs in a process of its own, as source text. Node's permissions refuse writing, other processes and reading
 * outside the project; the network, which they let through in Node 24, is refused here.
 */
async function importEach(urls: readonly string[]): Promise<void> {
  const { Server, Socket } = await import('node:net');
  const { Socket: UdpSocket } = await import('node:dgram');
  const refuse = () => {
    throw new Error('The network is out of bounds while a file is imported.');
  };
  Socket.prototype.connect = refuse;
  Server.prototype.listen = refuse;
  UdpSocket.prototype.bind = refuse;
  const runtime = {
    streamifyResponse: <Handler>(handler: Handler) => handler,
    HttpResponseStream: { from: <Stream>(stream: Stream) => stream },
  };
  Object.assign(globalThis, { awslambda: runtime });
  for (const url of urls) {
    await import(url).catch((error: unknown) => {
      console.error(`Importing ${url} failed:`, error);
      process.exitCode = 1;
    });
  }
  setTimeout(() => {
    console.error(`An imported file keeps the process alive: ${process.getActiveResourcesInfo().join(', ')}`);
    process.exit(1);
  }, 1000).unref();
}

/** What goes wrong when these modules are imported with no environment; empty when nothing does. */
function importAlone(urls: readonly string[]): Promise<string> {
  const readable = ['src', 'node_modules', 'package.json'].map(
    (path) => `--allow-fs-read=${join(ROOT, path)}`,
  );
  const program = `${importEach}\nawait importEach(${JSON.stringify(urls)});`;
  const args = ['--permission', ...readable, '--input-type=module', '--eval', program];
  const options = { cwd: ROOT, env: { PATH: process.env['PATH'] }, timeout: 30_000 };
  return new Promise((resolve) => {
    execFile(process.execPath, args, options, (error, _, stderr) =>
      resolve(error ? stderr || error.message : ''),
    );
  });
}

const importing = suite('importing');

importing('every file of src/ needs no environment and does no I/O', async () => {
  const isProgram = (path: string) => ['src/local/start.ts', 'src/local/page/chat.ts'].includes(path);
  const files = filesOf('src').filter((path) => !isProgram(path));
  assert.ok(files.length > 5, 'The files of src/ were not found.');
  assert.is(await importAlone(files.map((path) => pathToFileURL(join(ROOT, path)).href)), '');
});

const CULPRITS: [what: string, source: string, said: string][] = [
  ['wants a variable', "if (!process.env.HOME) throw new Error('no HOME');", 'no HOME'],
  ['writes a file', "import fs from 'node:fs'; fs.writeFileSync('a', '');", 'ERR_ACCESS_DENIED'],
  ['writes a file later', "import fs from 'node:fs/promises'; fs.mkdir('.local');", 'ERR_ACCESS_DENIED'],
  ['reads a file elsewhere', "import fs from 'node:fs'; fs.readFileSync('/etc/hosts');", 'ERR_ACCESS_DENIED'],
  ['starts a process', "import { execSync } from 'node:child_process'; execSync('id');", 'ERR_ACCESS_DENIED'],
  [
    'connects',
    "import { connect } from 'node:net'; connect(9, '127.0.0.1');",
    'The network is out of bounds',
  ],
  ['fetches', "fetch('http://127.0.0.1:3000');", 'The network is out of bounds'],
  [
    'requests',
    "import http from 'node:http'; http.get('http://127.0.0.1:9');",
    'The network is out of bounds',
  ],
  ['listens', "import http from 'node:http'; http.createServer().listen(0);", 'The network is out of bounds'],
  [
    'binds',
    "import { createSocket } from 'node:dgram'; createSocket('udp4').bind(0);",
    'The network is out of',
  ],
  ['starts a timer', 'setInterval(() => {}, 1000);', 'keeps the process alive: Timeout'],
];

for (const [what, source, said] of CULPRITS) {
  importing(`a file that ${what} on import would be found`, async () => {
    assert.match(await importAlone([`data:text/javascript,${encodeURIComponent(source)}`]), said);
  });
}

importing.run();
