/**
 * AWS on this machine: one server for the services that the gateway calls, told apart as AWS's clients address them.
 */
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { requireLocalHost } from './doors/http-door.ts';

/** What an AWS SDK sends of services that speak AWS JSON: `AmazonSSM.GetParameter`. */
const TARGET = 'x-amz-target';

/** Those that are told by name or path; Lambda, the connections and OpenSearch verify signatures, the others accept any. */
export type AwsServices = {
  readonly ssm: RequestListener;
  readonly dynamodb: RequestListener;
  readonly lambda: RequestListener;
  readonly connections: RequestListener;
  /** Below `/opensearch/`. */
  readonly opensearch: RequestListener;
  /** Everything else: Bedrock speaks REST, and refuses what it does not know. */
  readonly bedrock: RequestListener;
};

export function createAwsServer(services: AwsServices): Server {
  const find = (target: string, path: string): RequestListener => {
    if (target.startsWith('AmazonSSM.')) return services.ssm;
    if (target.startsWith('DynamoDB_20120810.')) return services.dynamodb;
    if (target !== '') return refuse;
    if (path.startsWith('/2015-03-31/functions/')) return services.lambda;
    if (path.startsWith('/opensearch/')) return services.opensearch;
    if (path.includes('/@connections/')) return services.connections;
    return services.bedrock;
  };
  return createServer((request, response) => {
    const service = isFromPage(request)
      ? refusePage
      : find(String(request.headers[TARGET] ?? ''), request.url ?? '');
    service(request, response);
  });
}

const refuseWith =
  (status: number, type: string, message: string): RequestListener =>
  (_, response) => {
    response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1', connection: 'close' });
    response.end(JSON.stringify({ __type: type, message }));
  };

const refuse = refuseWith(400, 'UnknownOperationException', 'This service is not here.');

/**
 * No AWS client sends an origin, and every page in a browser does with what it posts. Signatures are not checked here, so a page from
 * anywhere could read the tables, or spend what Bedrock's stand-in has a key for.
 */
function isFromPage(request: IncomingMessage): boolean {
  if (request.headers.origin !== undefined) return true;
  try {
    requireLocalHost(request);
    return false;
  } catch {
    return true;
  }
}

const refusePage = refuseWith(403, 'AccessDeniedException', 'Pages in a browser are not answered here.');
