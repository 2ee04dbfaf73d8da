import { startGateway } from '../helpers/gateway.ts';
import { runDoorContract } from './contract.ts';
import { runHttpContract } from './http-contract.ts';

const open = (settings = {}) => startGateway({ settings, door: 'function-url' });

runDoorContract('Function URL', open);
runHttpContract('Function URL', open, { status: 403 });
