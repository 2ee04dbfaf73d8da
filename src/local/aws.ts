/**
 * AWS on this machine: one server for the services that the gateway calls, told apart as AWS's clients address them. Any signature is
 * accepted.
 */
import { createServer, type RequestListener, type Server } from 'node:http';

/** What an AWS SDK sends of services that speak AWS JSON: `AmazonSSM.GetParameter`. */
const TARGET = 'x-amz-target';

export type AwsServices = {
  readonly ssm: RequestListener;
  /** Everything that bears no target: Bedrock speaks REST, and refuses what it does not know. */
  readonly bedrock: RequestListener;
};

export function createAwsServer({ ssm, bedrock }: AwsServices): Server {
  return createServer((request, response) => {
    const [service] = String(request.headers[TARGET] ?? '').split('.');
    if (service === 'AmazonSSM') return ssm(request, response);
    if (service === '') return bedrock(request, response);
    const refusal = { __type: 'UnknownOperationException', message: 'This service is not here.' };
    response.writeHead(400, { 'content-type': 'application/x-amz-json-1.1', connection: 'close' });
    response.end(JSON.stringify(refusal));
  });
}
