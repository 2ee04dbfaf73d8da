/**
 * A WebSocket door for the tests of `npm run call`: it takes any question, and sends the frames of the test.
 */
import type { AddressInfo } from 'node:net';
import * as assert from 'uvu/assert';
import { type WebSocket as ServerSocket, WebSocketServer } from 'ws';
import type { Io } from '../../scripts/call.ts';
import { run } from './call.ts';

export const SOCKET = ['--door', 'websocket'];
export const KEY = 'key-of-nobody-0123456789';

export type Message = Readonly<Record<string, unknown>>;
export type Speaker = { readonly socket: ServerSocket; readonly heard: readonly Message[] };

/**
 * The WebSocket door as far as a client can tell: it selects `llm-gateway`, and gets the frames of the test
 * after each message.
 */
export async function startSocketDoor(answer: (message: Message, speaker: Speaker) => unknown) {
  const heard: Message[] = [];
  const offered: string[][] = [];
  const paths: (string | undefined)[] = [];
  const server = new WebSocketServer({
    host: '127.0.0.1',
    port: 0,
    handleProtocols: (names, { url }) => {
      paths.push(url);
      offered.push([...names]);
      return 'llm-gateway';
    },
  });
  server.on('connection', (socket) =>
    socket.on('message', (data) => {
      assert.ok(Buffer.byteLength(String(data)) <= 32 * 1024, 'API Gateway would close with 1009.');
      const message = JSON.parse(String(data)) as Message;
      heard.push(message);
      answer(message, { socket, heard });
    }),
  );
  await new Promise((done) => server.once('listening', done));
  const { port } = server.address() as AddressInfo;
  return {
    heard,
    offered,
    paths,
    env: { PORT: String(port), GATEWAY_API_KEY: KEY },
    url: `ws://127.0.0.1:${port}/stage`,
    async [Symbol.asyncDispose]() {
      for (const socket of server.clients) socket.terminate();
      await new Promise((done) => server.close(done));
    },
  };
}

/** The events of a stream as frames, which the last message of a question is answered with. */
export const toFrames = (...events: string[]) =>
  events.map((text, seq) => {
    const [, type, data] = /^event: (.*)\ndata: (.*)/.exec(text) ?? [];
    return { type, request_id: 'r-1', seq, ...JSON.parse(data ?? '') };
  });

export const sendsFrames = (...events: string[]) => sends(...toFrames(...events));
export const sends =
  (...frames: object[]) =>
  ({ action, n, of }: Message, { socket }: Speaker) => {
    if (action === 'part' && Number(n) + 1 < Number(of)) return;
    for (const frame of frames) socket.send(JSON.stringify(frame));
  };

export const joinParts = (parts: readonly Message[]) => parts.map(({ data }) => data).join('');

/** Asks `hi` over a door that answers so. */
export async function askSocket(
  answer: (message: Message, speaker: Speaker) => unknown,
  args: readonly string[] = ['hi'],
  changes: Partial<Io> = {},
) {
  await using door = await startSocketDoor(answer);
  const ran = await run([...SOCKET, ...args], door.env, changes);
  return { ...ran, heard: door.heard };
}

export const refusal = (code: string, message = 'No.', n?: number) => ({
  type: 'error',
  request_id: 'r-1',
  ...(n !== undefined && { n }),
  error: { code, message, request_id: 'r-1' },
});

/** Counts pauses instead of making them. */
export function countPauses() {
  const pauses: number[] = [];
  return { pauses, pause: async (ms: number) => void pauses.push(ms) };
}
