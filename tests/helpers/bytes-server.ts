/** A server that answers every request with given bytes, cut and ended as it is told. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Script = {
  readonly pieces: readonly Uint8Array[];
  /** `whole`: HTTP's own end. `fin`, `reset`: the connection goes away in the middle of the body. `open`: nothing more comes. */
  readonly end: 'whole' | 'fin' | 'reset' | 'open';
};

export type BytesServer = {
  readonly url: string;
  script: Script;
  /** Answers that the client broke off. */
  readonly brokenOff: number;
  readonly connections: number;
  close(): Promise<void>;
};

export async function startBytesServer(): Promise<BytesServer> {
  let brokenOff = 0;
  let connections = 0;
  const server = createServer(async (request, response) => {
    for await (const _ of request);
    const { pieces, end } = self.script;
    response.once('close', () => {
      if (!response.writableFinished && end === 'open') brokenOff++;
    });
    response.writeHead(200, { 'content-type': 'application/vnd.amazon.eventstream' });
    response.flushHeaders();
    for (const piece of pieces) {
      // One piece a turn, so that the reader sees the cut.
      await new Promise((resolve) =>
        piece.length > 0 ? response.write(piece, resolve) : setImmediate(resolve),
      );
    }
    if (end === 'whole') response.end();
    if (end === 'fin') response.socket?.end();
    if (end === 'reset') response.socket?.resetAndDestroy();
  });
  server.on('connection', () => connections++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const self = {
    url: `http://127.0.0.1:${port}`,
    script: { pieces: [], end: 'whole' } as Script,
    get brokenOff() {
      return brokenOff;
    },
    get connections() {
      return connections;
    },
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return self;
}
