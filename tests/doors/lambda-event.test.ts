import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { toCaller } from '../../src/doors/caller.ts';
import { doorOf, methodOf, toRequest } from '../../src/doors/lambda-event.ts';
import { functionUrlEvent, restEvent } from '../helpers/lambda-events.ts';

const base64 = (text: string) => ({ body: Buffer.from(text).toString('base64'), isBase64Encoded: true });

const rest = suite('an event of API Gateway');

rest('path, query, headers and body come through', async () => {
  const event = restEvent({
    path: '/v1/models/a:b%2Fc',
    multiValueQueryStringParameters: { q: ['a b', '&'], empty: [''] },
    multiValueHeaders: { 'Content-Type': ['application/json'], 'X-Many': ['1', '2'], 'X-Odd': ['snow ☃'] },
    ...base64('{"prompt":"é"}'),
  });
  const request = toRequest(event);
  const url = new URL(request.url);
  assert.is(url.pathname, '/v1/models/a:b%2Fc');
  assert.equal(url.searchParams.getAll('q'), ['a b', '&']);
  assert.is(url.searchParams.get('empty'), '');
  assert.is(request.headers.get('x-many'), '1, 2');
  assert.is(request.headers.get('x-odd'), null);
  assert.equal(await request.json(), { prompt: 'é' });
  assert.is(doorOf(event), 'rest');
});

rest('a GET may bring a body and loses it', () => {
  assert.is(toRequest(restEvent({ httpMethod: 'GET', body: 'x' })).body, null);
  assert.is(methodOf(restEvent({ httpMethod: 'GET' })), 'GET');
});

rest('a key is its tenant, a role the same caller in every session, and nobody nobody', () => {
  const role = 'arn:aws:sts::123456789012:assumed-role/Reader';
  const user = 'arn:aws:iam::123456789012:user/bob';
  const callerOf = (identity: object) => toCaller(restEvent({}, identity));
  assert.equal(callerOf({ apiKeyId: 'alice' }), { tenant: 'alice', kind: 'api-key', door: 'rest' });
  assert.equal(callerOf({ userArn: `${role}/session-1` }), { tenant: role, kind: 'iam', door: 'rest' });
  assert.equal(callerOf({ userArn: user }), { tenant: user, kind: 'iam', door: 'rest' });
  assert.equal(callerOf({ apiKeyId: 'alice', userArn: user })?.tenant, 'alice');
  const headers = { 'x-tenant': ['alice'], 'x-api-key': ['k'] };
  assert.is(toCaller(restEvent({ multiValueHeaders: headers }, {})), undefined);
});

rest.run();

// ---

const url = suite('an event of a Function URL');

url('path, query, headers and body come through', async () => {
  const event = functionUrlEvent({
    rawPath: '/v1/models/a:b%2Fc',
    rawQueryString: 'q=a%20b&q=%26&empty=',
    headers: { 'content-type': 'application/json', 'x-many': '1,2', 'x-odd': 'snow ☃' },
    ...base64('{"prompt":"é"}'),
  });
  const request = toRequest(event);
  const { pathname, searchParams } = new URL(request.url);
  assert.is(pathname, '/v1/models/a:b%2Fc');
  assert.equal(searchParams.getAll('q'), ['a b', '&']);
  assert.is(searchParams.get('empty'), '');
  assert.is(request.headers.get('x-many'), '1,2');
  assert.is(request.headers.get('x-odd'), null);
  assert.is(request.method, 'POST');
  assert.equal(await request.json(), { prompt: 'é' });
  assert.is(doorOf(event), 'function-url');
});

url('a body that is not there is none', () => {
  const { body: _, ...event } = functionUrlEvent();
  assert.is(toRequest(event).body, null);
  assert.is(toRequest(functionUrlEvent({}, null, 'GET')).body, null);
});

url('the caller is the principal that signed, and nobody where nobody did', () => {
  const callerOf = (authorizer: object | null) => toCaller(functionUrlEvent({}, authorizer));
  const role = 'arn:aws:sts::123456789012:assumed-role/Reader';
  assert.equal(callerOf({ iam: { userArn: `${role}/i-0abc` } }), {
    tenant: role,
    kind: 'iam',
    door: 'function-url',
  });
  for (const authorizer of [null, {}, { iam: null }, { iam: {} }, { iam: { accessKey: 'AKIA1' } }]) {
    assert.is(callerOf(authorizer), undefined, JSON.stringify(authorizer));
  }
  const headers = { 'x-amzn-iam-user-arn': role, 'x-api-key': 'k' };
  assert.is(toCaller(functionUrlEvent({ headers }, null)), undefined);
});

url.run();
