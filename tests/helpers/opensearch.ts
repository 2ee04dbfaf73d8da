/** The embedded OpenSearch on a port of its own, for whoever signs with these keys. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  createOpenSearchServer,
  type OpenSearchServer,
  type OpenSearchServerOptions,
} from '../../src/local/opensearch/server.ts';

export const searchKeys = { accessKeyId: 'AKIASEARCH', secretAccessKey: 'of the search' };

/** `close` gives the port back. */
export async function startOpenSearch(
  options: Partial<OpenSearchServerOptions> = {},
): Promise<OpenSearchServer & { readonly url: string; close(): Promise<void> }> {
  const { accessKeyId, secretAccessKey } = searchKeys;
  const search = createOpenSearchServer({
    secretOf: (id) => (id === accessKeyId ? secretAccessKey : undefined),
    ...options,
  });
  const server = createServer(search.handle);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    ...search,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
