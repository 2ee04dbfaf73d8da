import { startGateway } from '../helpers/gateway.ts';
import { runDoorContract } from './contract.ts';

runDoorContract('Function URL', (settings = {}) => startGateway({ settings, door: 'function-url' }), {
  status: 403,
});
