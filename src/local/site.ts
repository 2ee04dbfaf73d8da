/**
 * What the laptop's REST door shows a browser, beside the API: files by their path, to everybody on this machine.
 */
import type { IncomingMessage } from 'node:http';
import type { Invocation } from './doors/exchange.ts';
import { awslambdaStandIn } from './doors/runtime.ts';

export type Asset = {
  /** Its `content-type`. */
  readonly type: string;
  readonly body: string | Uint8Array;
  /** The `content-security-policy` of a document. */
  readonly policy?: string;
};

/** Path → how to come by what is there; asked each time. */
export type Assets = Readonly<Record<string, () => Promise<Asset>>>;

export const toAsset = (type: string, body: string | Uint8Array, policy?: string): Asset => ({
  type: `${type}; charset=utf-8`,
  body,
  ...(policy !== undefined && { policy }),
});

/** What answers the request, or nothing where the API is asked. */
export type Site = (message: IncomingMessage) => Invocation | undefined;

export function createSite(assets: Assets): Site {
  return ({ method, url = '' }) => {
    const path = url.split('?')[0] ?? '';
    const isRead = method === 'GET' || method === 'HEAD';
    const load = isRead && Object.hasOwn(assets, path) ? assets[path] : undefined;
    return load && (async (stream) => send(await load(), stream));
  };
}

function send({ type, body, policy = "default-src 'none'" }: Asset, stream: Parameters<Invocation>[0]) {
  const headers = {
    'content-type': type,
    'content-length': String(Buffer.byteLength(body)),
    'content-security-policy': `${policy}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cross-origin-resource-policy': 'same-origin',
    'cache-control': 'no-store',
  };
  awslambdaStandIn.HttpResponseStream.from(stream, { statusCode: 200, headers }).write(body);
  stream.end();
}
