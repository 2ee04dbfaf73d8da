/**
 * A port of this machine, and of nobody else's.
 */
import type { Server } from 'node:http';

/**
 * The port that the server listens on: a free one for 0.
 *
 * @throws `Error` that names the variable when the port is taken
 */
export function listen(server: Server, port: number, variable: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(toListenError(error, port, variable)));
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      resolve(address && typeof address === 'object' ? address.port : port);
    });
  });
}

const toListenError = (error: unknown, port: number, variable: string) =>
  error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
    ? new Error(`Port ${port} is taken; set ${variable} to another.`)
    : error;
