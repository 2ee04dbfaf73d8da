import { runDoorContract } from '../../doors/contract.ts';
import { runHttpContract } from '../../doors/http-contract.ts';
import { httpExceptions } from '../exceptions.ts';
import { startRuntime } from '../gateway.ts';

const open = (settings = {}) => startRuntime({ settings });

runDoorContract('REST on Lambda', open, httpExceptions);
runHttpContract('REST on Lambda', open, { status: 401 });
