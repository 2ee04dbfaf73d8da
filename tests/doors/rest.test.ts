import { startGateway } from '../helpers/gateway.ts';
import { runDoorContract } from './contract.ts';
import { runHttpContract } from './http-contract.ts';

const open = (settings = {}) => startGateway({ settings });

runDoorContract('REST', open);
runHttpContract('REST', open, { status: 401 });
