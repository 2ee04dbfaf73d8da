import { runDoorContract } from '../../doors/contract.ts';
import { runHttpContract } from '../../doors/http-contract.ts';
import { httpExceptions } from '../exceptions.ts';
import { startRuntime } from '../gateway.ts';

const open = (settings = {}) => startRuntime({ settings, door: 'function-url' });

runDoorContract('Function URL on Lambda', open, httpExceptions);
runHttpContract('Function URL on Lambda', open, { status: 403 });
