/**
 * The HTTP API as an OpenAPI 3.1 document, made of the schemas that requests are checked by. It is loaded when somebody asks for it.
 *
 * @see https://spec.openapis.org/oas/v3.1.1.html
 */
import { answerHeaders, fails, failures, headers, jsonOf, streamOf, succeeds } from './openapi/responses.ts';
import { refTo, type SchemaName, toSchemas } from './openapi/schemas.ts';

const description = `
A gateway in front of Amazon Bedrock. Send an API key as \`x-api-key\` or \`Authorization: Bearer\`, or sign the request with AWS
Signature Version 4 (service \`execute-api\`, or \`lambda\` for the Function URL), as the operator has set it up.

A body is JSON in UTF-8, uncompressed, of at most 5 MiB unless the operator allows less, at most 32 levels deep, with at most 100,000
brackets, braces, commas and colons. Its texts are well-formed Unicode, and no key is \`__proto__\`, \`constructor\` or \`prototype\`. Lengths of texts are
counted in UTF-16 units.

Every failure has the same form, whether it is the body of an answer or an event of a stream. Function URLs refuse an unsigned request
in AWS’s own words.

The WebSocket door, which OpenAPI has no words for, takes text messages
\`{"action":"chat", …a ChatRequest…}\`, \`{"action":"cancel","request_id"}\`, \`{"action":"ping"}\`, and for what is longer than 32 KB
\`{"action":"part","request_id","n","of","data"}\`. It answers with a \`Frame\` for each event; \`seq\` counts up from 0 within a request.
`.trim();

const callers = [{ apiKey: [] }, { bearer: [] }, { sigv4: [] }, { sigv4: [], apiKey: [] }];

/** The app and the laptop let anybody in; the doors that an operator deployed ask who is calling here too. */
const anybody = [{}, ...callers];

const chatStream = streamOf(
  'A comment comes whenever it was quiet for 15 seconds. A stream without done, error or cancelled at its end was cut on its way.',
  [
    { event: 'start', data: 'StartEvent' },
    { event: 'delta', data: 'DeltaEvent' },
    { event: 'done', data: 'DoneEvent' },
    { event: 'error', data: 'Error' },
    { event: 'cancelled', data: 'CancelledEvent' },
  ],
);
const completionStream = streamOf('A whole answer ends with `data: [DONE]`, another one with an error.', [
  { data: 'ChatCompletionChunk' },
  { data: 'Error' },
  { data: '[DONE]' },
]);

const bodyOf = (name: SchemaName) => ({ required: true, content: jsonOf(name) });
const inPath = (name: string, description: string, schema: object = refTo('Id')) => [
  { name, in: 'path', required: true, description, schema },
];
const inQuery = (name: string, description: string, schema: object = { type: 'string' }) => ({
  name,
  in: 'query',
  description,
  schema,
});
const next = inQuery('next', 'What the page before gave as its next.');

const paths = {
  '/v1/chat': {
    post: {
      operationId: 'chat',
      tags: ['Chat'],
      summary: 'Asks a model',
      description: 'In one piece or as events: start, deltas, and exactly one of done, error and cancelled.',
      requestBody: bodyOf('ChatRequest'),
      responses: {
        200: succeeds('The answer.', { ...jsonOf('ChatAnswer'), ...chatStream }, answerHeaders),
        ...fails(404, 409, 413, 415, 499, 502),
      },
    },
  },
  '/v1/requests/{request_id}': {
    parameters: inPath('request_id', 'The id that the request bears.'),
    delete: {
      operationId: 'cancelRequest',
      tags: ['Chat'],
      summary: 'Cancels a running request, whichever door it came in by',
      responses: { 202: succeeds('It is being cancelled.', jsonOf('Cancelling')), ...fails(404) },
    },
  },
  '/v1/chats': {
    get: {
      operationId: 'listChats',
      tags: ['Conversations'],
      summary: 'Lists your conversations, the newest first',
      parameters: [inQuery('limit', 'How many a page holds at most.', refTo('Limit')), next],
      responses: { 200: succeeds('A page of them.', jsonOf('Chats')), ...fails() },
    },
  },
  '/v1/chats/{chat_id}': {
    parameters: inPath('chat_id', 'One of your conversations.'),
    get: {
      operationId: 'readChat',
      tags: ['Conversations'],
      summary: 'Reads a conversation',
      parameters: [next],
      responses: { 200: succeeds('At most 100 turns, and 4 MiB.', jsonOf('Chat')), ...fails(404) },
    },
    delete: {
      operationId: 'deleteChat',
      tags: ['Conversations'],
      summary: 'Deletes a conversation',
      responses: { 204: succeeds('It is gone.'), ...fails(404) },
    },
  },
  '/v1/chat/completions': {
    post: {
      operationId: 'createChatCompletion',
      tags: ['OpenAI'],
      summary: 'Asks a model in OpenAI’s words',
      description: 'Fields that are not listed are ignored.',
      requestBody: bodyOf('ChatCompletionRequest'),
      responses: {
        200: succeeds('The answer.', { ...jsonOf('ChatCompletion'), ...completionStream }, answerHeaders),
        ...fails(404, 409, 413, 415, 499, 502),
      },
    },
  },
  '/v1/embeddings': {
    post: {
      operationId: 'createEmbeddings',
      tags: ['OpenAI'],
      summary: 'Turns texts into vectors',
      description: 'Fields that are not listed are ignored.',
      requestBody: bodyOf('EmbeddingsRequest'),
      responses: {
        200: succeeds('A vector for each text, in their order.', jsonOf('Embeddings')),
        ...fails(404, 413, 415, 502),
      },
    },
  },
  '/v1/models': {
    get: {
      operationId: 'listModels',
      tags: ['OpenAI'],
      summary: 'Lists the models on offer, the default first',
      responses: { 200: succeeds('The models.', jsonOf('Models')), ...fails() },
    },
  },
  '/v1/models/{id}': {
    parameters: inPath('id', 'Its id, or another name that it has here.', { type: 'string', minLength: 1 }),
    get: {
      operationId: 'readModel',
      tags: ['OpenAI'],
      summary: 'Tells of one model',
      responses: { 200: succeeds('The model.', jsonOf('Model')), ...fails(404) },
    },
  },
  '/health': {
    get: {
      operationId: 'health',
      tags: ['Gateway'],
      summary: 'Tells that the gateway runs, and nothing else',
      security: anybody,
      responses: { 200: succeeds('It runs.', jsonOf('Health')), ...fails() },
    },
  },
  '/openapi.json': {
    get: {
      operationId: 'openapi',
      tags: ['Gateway'],
      summary: 'This document',
      security: anybody,
      responses: {
        200: succeeds('OpenAPI 3.1.', { 'application/json': { schema: { type: 'object' } } }),
        ...fails(),
      },
    },
  },
};

export const openapi = {
  openapi: '3.1.1',
  info: { title: 'LLM Gateway', version: '1', description },
  // From where the document is: on AWS the path begins with the name of a stage.
  servers: [{ url: '.' }],
  security: callers,
  paths,
  components: {
    schemas: toSchemas(),
    headers,
    responses: failures,
    securitySchemes: {
      apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' },
      bearer: { type: 'http', scheme: 'bearer', description: 'The API key, as OpenAI’s clients send it.' },
      sigv4: {
        type: 'apiKey',
        in: 'header',
        name: 'Authorization',
        description: 'AWS Signature Version 4.',
        'x-amazon-apigateway-authtype': 'awsSigv4',
      },
    },
  },
};
