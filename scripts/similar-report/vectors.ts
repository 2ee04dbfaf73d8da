/**
 * Vectors of texts, from Bedrock or from the gateway on this machine.
 */
import { BedrockRuntimeClient } from '@aws-sdk/client-bedrock-runtime';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { createEmbedder } from '../../src/aws/embeddings.ts';
import { createEmbed } from '../../src/chat/embed.ts';
import { GatewayError } from '../../src/chat/errors.ts';
import { embeddingModel } from '../../src/chat/similarity.ts';
import { systemClock as clock } from '../../src/wire.ts';
import { nameOf } from '../doctor/finding.ts';
import { explainCredentials } from '../doctor/sign-in.ts';

/** `endpoint` is undefined for Bedrock's own; what is local takes any key. */
export type Place = {
  readonly region: string;
  readonly endpoint: string | undefined;
  readonly isLocal: boolean;
};

/** Why there are no vectors, in a sentence. */
export class VectorFailure extends Error {}

/** Of one text, in milliseconds, with all its tries. */
const PATIENCE_MS = 60_000;
const LIMIT_MS = 3_600_000;

/** @throws VectorFailure */
export function findPlace(isLocal: boolean, env: NodeJS.ProcessEnv): Place {
  const here = `http://127.0.0.1:${env['AWS_PORT'] || '4566'}`;
  const other = isLocal ? here : env['AWS_ENDPOINT_URL'];
  const endpoint = env['AWS_ENDPOINT_URL_BEDROCK_RUNTIME'] || other || undefined;
  if (endpoint !== undefined && !URL.canParse(endpoint))
    throw new VectorFailure('AWS_PORT must be a port, and AWS_ENDPOINT_URL_BEDROCK_RUNTIME a URL.');
  const region = env['REGION_ID'] || env['AWS_REGION'] || env['AWS_DEFAULT_REGION'] || 'us-east-1';
  return { region, endpoint, isLocal };
}

/** Text → vector. @throws VectorFailure */
export async function embedAll(
  texts: readonly string[],
  place: Place,
): Promise<ReadonlyMap<string, readonly number[]>> {
  const client = createClient(place);
  const embed = createEmbed({ embedder: createEmbedder(client), clock });
  const request = { ...embeddingModel, texts, patienceMs: PATIENCE_MS };
  try {
    const deadline = clock.now() + LIMIT_MS;
    const { vectors } = await embed(request, { signal: new AbortController().signal, deadline });
    return new Map(texts.map((text, at) => [text, vectors[at] ?? []]));
  } catch (error) {
    throw new VectorFailure(explain(error, place), { cause: error });
  } finally {
    client.destroy();
  }
}

/** A new account may send few requests a minute, so those that are turned away come back more slowly. */
function createClient({ region, endpoint, isLocal }: Place): BedrockRuntimeClient {
  return new BedrockRuntimeClient({
    region,
    ...(endpoint && { endpoint }),
    ...(isLocal
      ? { credentials: { accessKeyId: 'local', secretAccessKey: 'local' }, maxAttempts: 1 }
      : { retryMode: 'adaptive', maxAttempts: 8 }),
    // As in wire.ts: HTTP/1.1, over which an unknown host is an error with a code.
    requestHandler: new NodeHttpHandler({ connectionTimeout: 5_000 }),
  });
}

function explain(error: unknown, { region, endpoint, isLocal }: Place): string {
  const cause = error instanceof GatewayError ? error.cause : error;
  const signIn = explainCredentials(nameOf(cause), region);
  if (signIn) return signIn;
  const code = error instanceof GatewayError ? error.code : 'internal_error';
  const where = endpoint ?? region;
  if (code === 'upstream_unreachable')
    return `Bedrock cannot be reached at ${where}${isLocal ? '; start the gateway with npm start' : ''}.`;
  if (code === 'upstream_access_denied')
    return `These AWS credentials may not use ${embeddingModel.model} in ${region}; allow them bedrock:InvokeModel.`;
  return `Bedrock at ${where} made no vectors with ${embeddingModel.model} (${code}).`;
}
