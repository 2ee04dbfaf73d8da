import { startGateway } from '../helpers/gateway.ts';
import { runDoorContract } from './contract.ts';

runDoorContract('REST', (settings = {}) => startGateway({ settings }), { status: 401 });
