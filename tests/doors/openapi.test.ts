import { Validator } from '@seriousme/openapi-schema-validator';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type ErrorCode, errorKinds, GatewayError } from '../../src/chat/errors.ts';
import { toEnvelope } from '../../src/doors/envelope.ts';
import { buildApp, silent } from '../helpers/app.ts';
import {
  document,
  faultsOf,
  type Media,
  operations,
  post,
  resolve,
  type Schema,
  text,
} from '../helpers/openapi.ts';

const { send, app } = buildApp(silent);

/** All schemas and other objects in the document. */
function* partsOf(part: unknown): Generator<Schema> {
  if (typeof part !== 'object' || part === null) return;
  if (!Array.isArray(part)) yield part as Schema;
  for (const inner of Object.values(part)) yield* partsOf(inner);
}

const description = suite('the OpenAPI document');

description('is one of version 3.1, and is given to anybody', async () => {
  const response = await send('/openapi.json', {}, { caller: undefined });
  assert.is(response.status, 200);
  assert.match(response.headers.get('content-type') ?? '', 'application/json');
  const served = (await response.json()) as { readonly openapi: string };
  assert.equal(served, JSON.parse(text));
  const validator = new Validator();
  const { valid, errors } = await validator.validate(served);
  assert.ok(valid, JSON.stringify(errors));
  assert.is(validator.version, '3.1');
});

/** Tells clients of another API what to do. */
const advice = 'POST /v1/responses';

description('describes every route, and nothing else', () => {
  const routes = app.routes
    .filter(({ method }) => method !== 'ALL')
    .map(({ method, path }) => `${method} ${path.replace(/:(\w+)(\{[^}]*\})?/g, '{$1}')}`);
  const described = operations.map(({ method, path }) => `${method} ${path}`);
  assert.equal(described.toSorted(), [...new Set(routes)].filter((route) => route !== advice).toSorted());
});

description('says which of them ask who is calling', async () => {
  for (const { method, path, operation } of operations) {
    const { security = document.security } = operation;
    const isOpen = security.some((way) => Object.keys(way).length === 0);
    const { status } = await send(path.replace(/\{\w+\}/, 'x'), { method }, { caller: undefined });
    assert.is(status, isOpen ? 200 : 401, operation.operationId);
  }
});

description('names its operations as clients are to call them', () => {
  assert.equal(operations.map(({ operation }) => operation.operationId).toSorted(), [
    'cancelRequest',
    'chat',
    'createChatCompletion',
    'createEmbeddings',
    'deleteChat',
    'health',
    'listChats',
    'listModels',
    'openapi',
    'readChat',
    'readModel',
  ]);
});

description('says of every field of a body what it is for', () => {
  const bodies = ['ChatRequest', 'ChatCompletionRequest', 'EmbeddingsRequest'];
  for (const body of bodies) {
    const { properties } = resolve({ $ref: `#/components/schemas/${body}` });
    const undescribed = Object.entries(properties as Record<string, Schema>).filter(
      ([, { description }]) => typeof description !== 'string',
    );
    assert.equal(
      undescribed.map(([field]) => field),
      [],
      body,
    );
  }
});

description('tells every parameter in a path', () => {
  for (const [path, { parameters = [] }] of Object.entries(document.paths)) {
    const names = (parameters as unknown as { name: string }[]).map(({ name }) => name);
    assert.equal(
      names,
      [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name),
      path,
    );
  }
});

description('refers to what is there, and holds nothing that is not referred to', () => {
  const refs = [...partsOf(document)].flatMap(({ $ref }) => (typeof $ref === 'string' ? $ref : []));
  for (const $ref of refs) assert.ok(resolve({ $ref }));
  // Either would move the place that references count from.
  assert.not.match(text, /"\$(id|schema)"/);
  const { securitySchemes, ...components } = document.components;
  const held = Object.entries(components).flatMap(([kind, parts]) =>
    Object.keys(parts).map((name) => `#/components/${kind}/${name}`),
  );
  // Frames belong to the WebSocket; no operation refuses the method that it is of.
  const unused = ['#/components/schemas/Frame', '#/components/responses/Error405'];
  assert.equal(held.filter((name) => !refs.includes(name)).toSorted(), unused.toSorted());
  const ways = [...partsOf(document)].flatMap(({ security }) => (security ?? []) as object[]);
  assert.equal(
    [...new Set(ways.flatMap(Object.keys))].toSorted(),
    Object.keys(securitySchemes ?? {}).toSorted(),
  );
});

description('has every code of a failure, at its own status', () => {
  const statuses = [...new Set(Object.values(errorKinds).map(({ status }) => status))];
  const schemaAt = (status: number) => {
    const response = resolve({ $ref: `#/components/responses/Error${status}` });
    const { content } = response as { content?: Record<string, Media> };
    return content?.['application/json']?.schema ?? {};
  };
  for (const [code, { status }] of Object.entries(errorKinds)) {
    const envelope = toEnvelope(new GatewayError(code as ErrorCode, 'A sentence.'), 'an-id');
    const fitting = statuses.filter((other) => faultsOf(schemaAt(other), envelope) === '');
    assert.equal(fitting, [status], code);
    for (const field of [
      { code: status === 409 ? 'forbidden' : 'conflict' },
      { status: status === 409 ? 403 : 409 },
    ]) {
      assert.is.not(faultsOf(schemaAt(status), { error: { ...envelope.error, ...field } }), '');
    }
  }
});

description('leads to the stage that it was read from', () => {
  const [{ url } = { url: '' }] = document.servers;
  assert.is(new URL(url, 'https://x.example/live/openapi.json').href, 'https://x.example/live/');
});

const shown = suite('an example');

const examplesOf = (content: Readonly<Record<string, Media>> = {}) =>
  Object.values(content).flatMap(({ schema, examples = {} }) =>
    Object.entries(examples).map(([name, { value }]) => ({ name, schema, value })),
  );

for (const { path, operation } of operations) {
  for (const { name, schema, value } of examplesOf(operation.requestBody?.content)) {
    shown(`that ${operation.operationId} may be asked fits its schema and is taken: ${name}`, async () => {
      assert.is(faultsOf(schema, value), '');
      const response = await post(path, value);
      assert.is(response.status, 200, await response.text());
    });
  }

  shown(`of what ${operation.operationId} answers fits its schema`, () => {
    const contents = Object.values(operation.responses).map((response) => resolve(response)['content']);
    const all = contents.flatMap((content) => examplesOf(content as Readonly<Record<string, Media>>));
    assert.ok(all.length > 0);
    for (const { name, schema, value } of all) assert.is(faultsOf(schema, value), '', name);
  });
}

shown('that does not fit would be found', () => {
  const schema = { $ref: '#/components/schemas/ChatRequest' };
  assert.match(faultsOf(schema, { prompt: ' ' }), 'prompt');
  assert.match(faultsOf(schema, { prompt: 'Hi', promt: 1 }), 'additional properties');
});

description.run();
shown.run();
