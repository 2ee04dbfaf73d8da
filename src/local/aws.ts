/**
 * AWS on this machine: one server for the services that the gateway calls, told apart as AWS's clients address them.
 */
import { createServer, type RequestListener, type Server } from 'node:http';

/** What an AWS SDK sends of services that speak AWS JSON: `AmazonSSM.GetParameter`. */
const TARGET = 'x-amz-target';

/** Those that are told by name or path; Lambda and the connections verify signatures, the others accept any. */
export type AwsServices = {
  readonly ssm: RequestListener;
  readonly dynamodb: RequestListener;
  readonly lambda: RequestListener;
  readonly connections: RequestListener;
  /** Everything else: Bedrock speaks REST, and refuses what it does not know. */
  readonly bedrock: RequestListener;
};

export function createAwsServer(services: AwsServices): Server {
  const find = (target: string, path: string): RequestListener => {
    if (target.startsWith('AmazonSSM.')) return services.ssm;
    if (target.startsWith('DynamoDB_20120810.')) return services.dynamodb;
    if (target !== '') return refuse;
    if (path.startsWith('/2015-03-31/functions/')) return services.lambda;
    if (path.includes('/@connections/')) return services.connections;
    return services.bedrock;
  };
  return createServer((request, response) =>
    find(String(request.headers[TARGET] ?? ''), request.url ?? '')(request, response),
  );
}

const refuse: RequestListener = (_, response) => {
  const refusal = { __type: 'UnknownOperationException', message: 'This service is not here.' };
  response.writeHead(400, { 'content-type': 'application/x-amz-json-1.1', connection: 'close' });
  response.end(JSON.stringify(refusal));
};
