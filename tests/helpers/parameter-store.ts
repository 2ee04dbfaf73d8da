/** The embedded Parameter Store on a port of its own, to be stopped and started while a gateway uses it. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import { createParameterStore } from '../../src/local/ssm/store.ts';

export type TestStore = {
  readonly url: string;
  /** Sets parameters of the gateway `LlmGatewayStack`, one after the other. */
  set(values: Readonly<Record<string, string>>): Promise<void>;
  /** Nobody is answered any more. The port stays taken, or another test's server might get it. */
  stop(): Promise<void>;
  /** On the same port, with what it held. */
  start(): Promise<void>;
};

export async function startParameterStore(): Promise<TestStore> {
  const { handle } = createParameterStore();
  const server = createServer(handle);
  let isStopped = false;
  server.on('connection', (socket) => isStopped && socket.destroy());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  const client = new SSMClient({ endpoint: url, region: 'us-east-1', credentials });
  return {
    url,
    async set(values) {
      for (const [name, Value] of Object.entries(values)) {
        const Name = `/LlmGatewayStack/${name}`;
        await client.send(new PutParameterCommand({ Name, Value, Type: 'String', Overwrite: true }));
      }
    },
    async stop() {
      isStopped = true;
      client.destroy();
      server.closeAllConnections();
      server.unref();
    },
    async start() {
      isStopped = false;
      server.ref();
    },
  };
}
