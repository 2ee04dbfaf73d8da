/** The stand-ins for AWS take no signature too seriously, so they must not be within reach of a page in a browser. */
import { type RequestListener, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createAwsServer } from '../../src/local/aws.ts';

const aws = suite('AWS on this machine');

async function statusesOf(...headers: Record<string, string>[]): Promise<(number | undefined)[]> {
  const ok: RequestListener = (_, response) => void response.end('{}');
  const services = { ssm: ok, dynamodb: ok, lambda: ok, connections: ok, opensearch: ok, bedrock: ok };
  const server = createAwsServer(services);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const ask = (given: Record<string, string>) =>
    new Promise<number | undefined>((resolve, reject) =>
      request({ port, host: '127.0.0.1', method: 'POST', path: '/model/m/converse-stream', headers: given })
        .on('response', (response) => resolve(response.resume().statusCode))
        .on('error', reject)
        .end('{}'),
    );
  const statuses = await Promise.all(headers.map(ask));
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  return statuses;
}

aws('answers clients on this machine, and no page, whatever name it found for it', async () => {
  const target = { 'x-amz-target': 'DynamoDB_20120810.ListTables' };
  assert.equal(await statusesOf({}, target, { host: 'localhost:4566' }), [200, 200, 200]);
  const foreign = [
    { origin: 'http://evil.example' },
    { origin: 'null', ...target },
    { origin: 'http://127.0.0.1:3000' },
    { host: 'evil.example' },
    { host: 'evil.example:4566', ...target },
  ];
  assert.equal(await statusesOf(...foreign), [403, 403, 403, 403, 403]);
});

aws('hands each request to the service that it is for', async () => {
  const named =
    (name: string): RequestListener =>
    (_, response) =>
      void response.end(name);
  const server = createAwsServer({
    ssm: named('ssm'),
    dynamodb: named('dynamodb'),
    lambda: named('lambda'),
    connections: named('connections'),
    opensearch: named('opensearch'),
    bedrock: named('bedrock'),
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const asked: readonly (readonly [path: string, target: string, service: string])[] = [
    ['/', 'AmazonSSM.GetParameter', 'ssm'],
    ['/', 'DynamoDB_20120810.GetItem', 'dynamodb'],
    ['/2015-03-31/functions/chat-worker/invocations', '', 'lambda'],
    ['/local/@connections/abc=', '', 'connections'],
    ['/opensearch/questions/_search', '', 'opensearch'],
    ['/opensearch', '', 'bedrock'],
    ['/model/opensearch/converse', '', 'bedrock'],
  ];
  for (const [path, target, service] of asked) {
    const headers = target ? { 'x-amz-target': target } : {};
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { method: 'POST', headers });
    assert.is(await response.text(), service, path);
  }
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

aws.run();
