/**
 * Entry points of the WebSocket door: its routes, and the worker that answers. They are two functions of one bundle.
 */
import { createWebSocketDoor } from './doors/websocket.ts';
import { createWorker } from './doors/worker.ts';
import { gateway } from './wire.ts';

export const handler = createWebSocketDoor(gateway);
export const worker = createWorker(gateway);
