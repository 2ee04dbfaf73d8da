/** The embedded Parameter Store on a port of its own, to be stopped and started while a gateway uses it. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import { createParameterStore } from '../../src/local/ssm/store.ts';

export type TestStore = {
  readonly url: string;
  /** Sets parameters of the gateway `LlmGatewayStack`, one after the other. */
  set(values: Readonly<Record<string, string>>): Promise<void>;
  stop(): Promise<void>;
  /** On the same port, with what it held. */
  start(): Promise<void>;
};

export async function startParameterStore(): Promise<TestStore> {
  const { handle } = createParameterStore();
  const listen = async (port: number) => {
    const server = createServer(handle);
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    return server;
  };
  let server = await listen(0);
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
      client.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
    async start() {
      server = await listen(port);
    },
  };
}
