import { startGateway } from '../helpers/gateway.ts';
import { runDoorContract } from './contract.ts';

runDoorContract('WebSocket', (settings = {}) => startGateway({ settings, door: 'websocket' }));
