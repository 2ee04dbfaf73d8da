/**
 * An embedded OpenSearch for the laptop and for tests, of three requests: make an index, add to it, search in it. It verifies signatures and
 * takes no ids. Unlike the real one it searches exactly, and finds at once what was added.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, RequestListener } from 'node:http';
import type { OpenSearchService } from '../../aws/opensearch.ts';
import {
  AwsRefusal,
  type AwsReply,
  createAwsListener,
  readSigned,
  type SecretOf,
} from '../doors/aws-call.ts';
import { openIndexes } from './indexes.ts';
import { runOperation } from './operations.ts';
import { OpenSearchRefusal } from './refusal.ts';

export type OpenSearchFault =
  /** 403: whoever signed may not do this. */
  | 'refuse'
  /** It is never answered. */
  | 'hang'
  /** The connection ends without an answer. */
  | 'reset'
  | { readonly status: number; readonly body: string };

export type OpenSearchServerOptions = {
  /** The folder that keeps the indexes; in memory without one. */
  readonly path?: string;
  readonly secretOf: SecretOf;
  /** What it is: a domain (the default) or a serverless vector search collection, with what each refuses. */
  readonly service?: OpenSearchService;
  /** What goes wrong with a call, asked before it is looked at. */
  readonly fault?: (method: string, path: string) => OpenSearchFault | undefined;
};

export type OpenSearchServer = {
  /** Takes `/<index>`, `/<index>/_search` and `/<index>/_bulk`, also below `/opensearch`. */
  readonly handle: RequestListener;
  /** What it was asked, oldest first: `POST /name/_search`, without the prefix. The last 1,000. */
  readonly calls: readonly string[];
};

const MAX_CALLS = 1_000;

/** Of the smaller domains, and of collections. */
const MAX_BYTES = 10 * 1024 * 1024;

const refusals = {
  403: ['InvalidSignatureException', ''],
  413: ['RequestEntityTooLarge', `Request size exceeded ${MAX_BYTES} bytes`],
} as const;

/** @throws `Error` with a sentence for whoever starts the gateway when the folder cannot be opened */
export function createOpenSearchServer(options: OpenSearchServerOptions): OpenSearchServer {
  const { path, secretOf, service = 'es', fault = () => undefined } = options;
  const indexes = openIndexes(path);
  const calls: string[] = [];

  async function answer(request: IncomingMessage): Promise<AwsReply | undefined> {
    const { method = '', url = '' } = request;
    const target = url.replace(/^\/opensearch(?=\/)/, '');
    calls.push(`${method} ${target}`);
    if (calls.length > MAX_CALLS) calls.shift();
    const planned = fault(method, target);
    if (planned) return spoil(service, planned);
    try {
      const body = await readSigned(request, { service, secretOf, maxBytes: MAX_BYTES, refusals });
      if (service === 'aoss') requireDigest(request);
      requireJson(request);
      return toReply(200, runOperation(indexes, service, `${method} ${target}`, String(body)));
    } catch (thrown) {
      if (thrown instanceof OpenSearchRefusal) return toReply(thrown.status, thrown.body);
      if (thrown instanceof AwsRefusal && thrown.status === 403) return forbid(service, thrown.message);
      throw thrown;
    }
  }

  return { handle: createAwsListener(answer), calls };
}

function spoil(service: OpenSearchService, fault: OpenSearchFault) {
  switch (fault) {
    case 'refuse':
      return forbid(service, 'User is not authorized to perform this action.');
    case 'hang':
      return new Promise<undefined>(() => {});
    case 'reset':
      return undefined;
    default:
      return fault;
  }
}

const toReply = (status: number, body: object): AwsReply => ({ status, body: JSON.stringify(body) });

/** A collection does not say why. */
const forbid = (service: OpenSearchService, message: string): AwsReply =>
  toReply(
    403,
    service === 'es'
      ? { message }
      : { status: 403, 'request-id': randomUUID(), error: { reason: '403 Forbidden', type: 'Forbidden' } },
  );

/** @throws AwsRefusal 403 */
function requireDigest({ headers }: IncomingMessage) {
  if (headers['x-amz-content-sha256'] === undefined) throw new AwsRefusal(403, 'Forbidden', 'Forbidden');
}

/** @throws OpenSearchRefusal 406 */
function requireJson({ headers: { 'content-type': type = '' } }: IncomingMessage) {
  if (/^application\/(x-nd)?json(;|$)/.test(type)) return;
  const reason = `Content-Type header [${type}] is not supported`;
  throw new OpenSearchRefusal(406, 'media_type_header_exception', reason);
}
