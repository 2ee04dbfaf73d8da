/** The stand-ins for AWS take no signature too seriously, so they must not be within reach of a page in a browser. */
import { type RequestListener, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createAwsServer } from '../../src/local/aws.ts';

const aws = suite('AWS on this machine');

async function statusesOf(...headers: Record<string, string>[]): Promise<(number | undefined)[]> {
  const ok: RequestListener = (_, response) => void response.end('{}');
  const server = createAwsServer({ ssm: ok, dynamodb: ok, lambda: ok, connections: ok, bedrock: ok });
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

aws.run();
