/**
 * Entry points of the WebSocket door: its routes, the worker that answers, and what Lambda tells of a worker that failed. They are three
 * functions of one bundle.
 */
import { createFailedWork } from './doors/failed-work.ts';
import { createWebSocketDoor } from './doors/websocket.ts';
import { createWorker } from './doors/worker.ts';
import { gateway } from './wire.ts';

export const handler = createWebSocketDoor(gateway);
export const worker = createWorker(gateway);
export const failedWork = createFailedWork(gateway);
