/**
 * The index that similar questions are searched in, and the model that makes vectors of them: where they are, and what goes wrong with
 * them, in sentences.
 */
import type { BedrockRuntimeClientConfig } from '@aws-sdk/client-bedrock-runtime';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { describe, openSearch } from '../../cdk/config/variable-kinds.ts';
import { OpenSearchError, type OpenSearchParts } from '../../src/aws/opensearch.ts';
import { type ErrorCode, GatewayError } from '../../src/chat/errors.ts';
import { embeddingModel } from '../../src/chat/similarity.ts';
import { environment, questionsIndex, settingsPath, stackName } from '../../src/names.ts';
import { connections, findPlace, isHere, type Place, toFailure, UploadFailure } from './table.ts';

/** Without `credentials` OpenSearch is asked with those of Bedrock. */
export type Search = Omit<OpenSearchParts, 'credentials'> &
  Partial<Pick<OpenSearchParts, 'credentials'>> & { readonly bedrock: BedrockRuntimeClientConfig };

/** On this machine for a table that is, else where the environment says. @throws UploadFailure when that is no place */
export function findSearch(place: Place, env: NodeJS.ProcessEnv): Search {
  const index = questionsIndex(settingsPath(stackName(env)));
  if (isHere(place.endpoint)) return { index, ...findHere(env) };
  const text = env[environment.openSearchEndpoint]?.trim() ?? '';
  const found = openSearch.parse(text);
  if (!found)
    throw new UploadFailure(
      `--similar needs the index: ${environment.openSearchEndpoint} ${describe(openSearch, text)}.`,
    );
  const { endpoint, service, region } = found;
  return { index, endpoint, service, region, bedrock: toBedrock(place) };
}

/** The gateway's, as `npm start` opens it. */
function findHere(env: NodeJS.ProcessEnv): Omit<Search, 'index'> {
  const { endpoint = '' } = findPlace('', { localPort: env['AWS_PORT'] || '4566' }, env);
  const url = env['AWS_ENDPOINT_URL_BEDROCK_RUNTIME'] || endpoint;
  return {
    endpoint: env['AWS_ENDPOINT_URL_OPENSEARCH'] || `${endpoint}/opensearch`,
    region: 'us-east-1',
    credentials: async () => ({ accessKeyId: 'local', secretAccessKey: 'local' }),
    bedrock: { ...toBedrock(findPlace('', { url }, env)), endpoint: url },
  };
}

/** In the table's region and with its credentials. */
function toBedrock({ config: { region, credentials } }: Place): BedrockRuntimeClientConfig {
  return {
    maxAttempts: 1,
    ...(region && { region }),
    ...(credentials && { credentials }),
    // As in wire.ts: HTTP/1.1.
    requestHandler: new NodeHttpHandler(connections),
  };
}

const passing: ReadonlySet<ErrorCode> = new Set([
  'upstream_throttled',
  'upstream_error',
  'upstream_unavailable',
  'upstream_timeout',
  'upstream_unreachable',
]);

/** Who is to be tried again. @throws UploadFailure when no other try would help, and whatever is no failure of theirs */
export function requirePassing(error: unknown, place: Place, search: Search): 'Bedrock' | 'OpenSearch' {
  if (error instanceof GatewayError && passing.has(error.code)) return 'Bedrock';
  if (error instanceof GatewayError) throw new UploadFailure(toBedrockSentence(error));
  if (!(error instanceof OpenSearchError)) {
    // What `fetch` throws where nobody answers, or not in time.
    const isUnreachable = error instanceof TypeError && error.cause !== undefined;
    if (isUnreachable || Object(error).name === 'TimeoutError') return 'OpenSearch';
    throw toFailure(error, place);
  }
  const { status, type } = error;
  // An index of a collection is made some seconds before it can be written to.
  if (status === 429 || status >= 500 || type === 'index_not_found_exception') return 'OpenSearch';
  throw new UploadFailure(toOpenSearchSentence(error, search));
}

function toBedrockSentence({ code }: GatewayError): string {
  const { model } = embeddingModel;
  if (code === 'model_not_found') return `Bedrock does not have ${model} in this region.`;
  return code === 'upstream_access_denied'
    ? `These AWS credentials may not use ${model}; allow them bedrock:InvokeModel on it.`
    : `Bedrock made no vector of a question (${code}); npm run doctor tells whether this account may use ${model}.`;
}

function toOpenSearchSentence({ status, type }: OpenSearchError, { endpoint, index }: Search): string {
  const name = [status, type].filter(Boolean).join(' ');
  switch (status) {
    case 401:
    case 403:
      return `OpenSearch refused these AWS credentials (${name}); the access policy of the domain, or the data access policy of the collection, must let them read and write the index ${index}.`;
    case 400:
      return `OpenSearch refused the questions (${name}); delete the index ${index} if anything but the gateway made it, and it is made anew.`;
    default:
      return `What answers at ${endpoint} is no OpenSearch as the gateway needs it (${name}); check ${environment.openSearchEndpoint}, or AWS_PORT on this machine.`;
  }
}
