import { runDoorContract } from '../../doors/contract.ts';
import { startRuntime } from '../gateway.ts';

runDoorContract('WebSocket on Lambda', (settings = {}) => startRuntime({ settings, door: 'websocket' }));
