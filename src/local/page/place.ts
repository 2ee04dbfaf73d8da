/**
 * Where the gateway is, and as whom it is called. Keys and credentials live here, in memory, and nowhere else.
 */
export type Credentials = {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly region: string;
  /** What the signature is for: `lambda` for a Function URL, `execute-api` for a REST API. */
  readonly service: string;
};

export type Place = {
  /** Of the API, with its stage: `https://x.execute-api.us-east-1.amazonaws.com/prod`. */
  readonly baseUrl: string;
  /** Without it, or with credentials, there is no WebSocket. */
  readonly webSocketUrl?: string;
  readonly key?: string;
  readonly credentials?: Credentials;
};

/** What was typed into the connection's form; empty where nothing was. */
export type PlaceFields = Readonly<
  Record<
    | 'access'
    | 'url'
    | 'key'
    | 'webSocketUrl'
    | 'accessKeyId'
    | 'secretAccessKey'
    | 'sessionToken'
    | 'region'
    | 'service',
    string
  >
>;

/** @throws `Error` with a sentence for whoever typed */
export function parsePlace(fields: PlaceFields, laptopFunctionUrl: string): Place {
  const baseUrl = parseUrl('The URL of the gateway', fields.url, 'http');
  const key = fields.key.trim();
  if (fields.access !== 'aws') {
    if (key === '') throw new Error('There is no API key; this gateway needs one, or AWS credentials.');
    const webSocketUrl =
      fields.webSocketUrl.trim() && parseUrl('The WebSocket URL', fields.webSocketUrl, 'ws');
    return { baseUrl, key, ...(webSocketUrl && { webSocketUrl }) };
  }
  const [accessKeyId, secretAccessKey, sessionToken] = [
    fields.accessKeyId.trim(),
    fields.secretAccessKey.trim(),
    fields.sessionToken.trim(),
  ];
  if (accessKeyId === '' || secretAccessKey === '')
    throw new Error('A signature takes an access key id and a secret access key.');
  const guess = guessSigning(baseUrl, laptopFunctionUrl);
  const credentials = {
    accessKeyId,
    secretAccessKey,
    ...(sessionToken && { sessionToken }),
    region: fields.region.trim() || guess.region,
    service: fields.service || guess.service,
  };
  return { baseUrl, credentials, ...(key && { key }) };
}

/** What a request to this URL is signed for, from how AWS names its hosts. */
export function guessSigning(
  url: string,
  laptopFunctionUrl: string,
): Pick<Credentials, 'region' | 'service'> {
  const { hostname, origin } = URL.parse(url) ?? { hostname: '', origin: '' };
  const [, functionRegion] = /\.lambda-url\.([\w-]+)\.on\.aws$/.exec(hostname) ?? [];
  const [, apiRegion] = /\.execute-api\.([\w-]+)\.amazonaws\.com(?:\.cn)?$/.exec(hostname) ?? [];
  const isFunction = functionRegion !== undefined || origin === URL.parse(laptopFunctionUrl)?.origin;
  return {
    service: isFunction ? 'lambda' : 'execute-api',
    region: functionRegion ?? apiRegion ?? 'us-east-1',
  };
}

/** `joinUrl('https://x.test/prod/', '/v1/chat')` is `https://x.test/prod/v1/chat`. */
export const joinUrl = (base: string, path: string): string => `${base.replace(/\/+$/, '')}${path}`;

/** Without what a base cannot have. A key must not travel in the clear, but within this machine. */
function parseUrl(what: string, text: string, protocol: 'http' | 'ws'): string {
  const url = URL.parse(text.trim());
  if (!url || ![`${protocol}:`, `${protocol}s:`].includes(url.protocol))
    throw new Error(`${what} must begin with ${protocol}s://.`);
  if (url.protocol === `${protocol}:` && !['127.0.0.1', 'localhost'].includes(url.hostname))
    throw new Error(
      `${what} must begin with ${protocol}s://; without encryption only this machine is called.`,
    );
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '');
}
