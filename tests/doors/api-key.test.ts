import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { handler } from '../../src/authorizer.lambda.ts';
import { findApiKey, findSubprotocols, SUBPROTOCOL } from '../../src/doors/api-key.ts';

const finding = suite('findApiKey');

finding('a key is found in x-api-key and in Authorization: Bearer, however their names are spelt', () => {
  assert.is(findApiKey({ 'x-api-key': 'k1' }), 'k1');
  assert.is(findApiKey({ 'X-Api-Key': ' k1 ' }), 'k1');
  assert.is(findApiKey({ authorization: 'Bearer k1' }), 'k1');
  assert.is(findApiKey({ Authorization: 'bearer  k1' }), 'k1');
});

finding('x-api-key goes before Authorization, unless it is empty', () => {
  assert.is(findApiKey({ 'x-api-key': 'k1', authorization: 'Bearer k2' }), 'k1');
  assert.is(findApiKey({ 'x-api-key': '', authorization: 'Bearer k2' }), 'k2');
});

finding('nothing else is a key', () => {
  for (const authorization of ['Basic abc', 'AWS4-HMAC-SHA256 Credential=x', 'Bearer', 'Bearer a b', '']) {
    assert.is(findApiKey({ authorization }), undefined, authorization);
  }
  assert.is(findApiKey({}), undefined);
});

finding('a browser brings its key as a WebSocket subprotocol, which stands behind the headers', () => {
  const offer = 'llm-gateway,  llm-gateway.key.k3 , llm-gateway.key.k4';
  assert.is(findApiKey({ 'Sec-WebSocket-Protocol': offer }), 'k3');
  assert.is(findApiKey({ 'sec-websocket-protocol': offer, authorization: 'Bearer k2' }), 'k2');
  assert.is(findApiKey({ 'sec-websocket-protocol': offer, 'x-api-key': 'k1' }), 'k1');
  for (const other of ['', 'llm-gateway', 'llm-gateway.key.', 'Llm-Gateway.Key.k', 'x-llm-gateway.key.k']) {
    assert.is(findApiKey({ 'sec-websocket-protocol': other }), undefined, other);
  }
});

finding.run();

// ---

const offering = suite('findSubprotocols');

offering('they are the names between the commas', () => {
  assert.equal(findSubprotocols({ 'Sec-WebSocket-Protocol': ' a ,b,c ' }), ['a', 'b', 'c']);
  assert.not(findSubprotocols({}).includes(SUBPROTOCOL));
});

offering.run();

// ---

const event = (headers: Record<string, string>) =>
  ({ type: 'REQUEST', methodArn: 'arn:aws:execute-api:x:1:api/stage/POST/v1/chat', headers }) as Parameters<
    typeof handler
  >[0];

const authorizing = suite('the authorizer');

authorizing('hands the key to API Gateway and names it nowhere else', async () => {
  const result = await handler(event({ authorization: 'Bearer secret-key' }));
  assert.is(result.usageIdentifierKey, 'secret-key');
  assert.is(result.policyDocument.Statement[0]?.Effect, 'Allow');
  assert.not.match(JSON.stringify({ ...result, usageIdentifierKey: '' }), 'secret-key');
  const offered = await handler(event({ 'Sec-WebSocket-Protocol': 'llm-gateway, llm-gateway.key.k' }));
  assert.is(offered.usageIdentifierKey, 'k');
});

authorizing('throws the one word that becomes a 401 when there is no key', async () => {
  const error = await handler(event({})).catch((thrown: unknown) => thrown);
  assert.ok(error instanceof Error);
  assert.is(error.message, 'Unauthorized');
});

authorizing.run();
