/**
 * What a variable of the deployment may be: how its text is read, and in words, for errors and documentation alike.
 */
import { isIP } from 'node:net';
import { settingsTable } from '../../src/chat/settings.ts';
import { readList } from '../../src/names.ts';
import type { ImageReference, OpenSearch } from '../config.ts';

export type Kind<T> = {
  /** Completes `NAME must be …`. */
  readonly allowed: string;
  /** Nothing for a text that is not allowed. */
  readonly parse: (text: string) => T | undefined;
  /** What to say instead of what is allowed when the mistake is a known one; goes on after the variable's name. */
  readonly explain?: (text: string) => string | undefined;
};

/** Why a text is refused: what goes on after the variable's name. */
export const describe = (kind: Kind<unknown>, text: string): string =>
  kind.explain?.(text) ?? `must be ${kind.allowed}, not ${quote(text)}`;

const quote = (text: string) => JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);

export const oneOf = <const Word extends string>(...words: readonly Word[]): Kind<Word> => ({
  allowed: `one of ${words.join(', ')}`,
  parse: (text) => words.find((word) => word === text),
});

export const trueOrFalse: Kind<boolean> = {
  allowed: 'true or false',
  parse: (text) => (text === 'true' || text === 'false' ? text === 'true' : undefined),
};

export const wholeNumber = (min: number, max: number, remark = ''): Kind<number> => ({
  allowed: `a whole number from ${min} to ${max}${remark}`,
  parse: (text) => (isWhole(text) && Number(text) >= min && Number(text) <= max ? Number(text) : undefined),
});

const isWhole = (text: string) => /^(0|[1-9]\d{0,8})$/.test(text);

export const oneOfNumbers = (numbers: readonly number[]): Kind<number> => ({
  allowed: `one of ${numbers.join(', ')}`,
  parse: (text) => (isWhole(text) ? numbers.find((number) => number === Number(text)) : undefined),
});

export const matching = (pattern: RegExp, allowed: string): Kind<string> => ({
  allowed,
  parse: (text) => (pattern.test(text) ? text : undefined),
});

/** What a setting may be; the text stays as it is, for the setting's first value. */
export function likeSetting(name: string): Kind<string> {
  const setting = settingsTable.find((other) => other.name === name);
  if (!setting) throw new Error(`There is no setting ${name}.`);
  const { allowed, parse } = setting.kind;
  return { allowed, parse: (text) => (parse(text) === undefined ? undefined : text) };
}

const UNLIMITED = Number.POSITIVE_INFINITY;

/** Comma-separated items; what is there twice counts once. `allowed` says what they may be, and how many. */
export const listOf = (
  item: Kind<string>,
  allowed: string,
  { items: maxItems = UNLIMITED, chars: maxChars = UNLIMITED }: { items?: number; chars?: number },
): Kind<readonly string[]> => ({
  allowed,
  parse(text) {
    const items = [...new Set(readList(text))];
    const fits = items.length <= maxItems && items.join().length <= maxChars;
    return fits && items.every((each) => item.parse(each) !== undefined) ? items : undefined;
  },
  explain(text) {
    const items = [...new Set(readList(text))];
    const wrong = items.find((each) => item.parse(each) === undefined);
    if (wrong !== undefined) return describe({ ...item, allowed }, wrong);
    if (items.length > maxItems) return `must be ${allowed}, not ${items.length} of them`;
    return `must be ${allowed}, not ${items.join().length} characters`;
  },
});

/** An origin as a browser sends it: a default port or an upper-case letter would never be equal to it. */
const origin: Kind<string> = {
  allowed: '',
  parse(text) {
    const isPlain = /^https?:\/\/[^*]+$/.test(text) && URL.canParse(text);
    return isPlain && text.length <= 253 && new URL(text).origin === text ? text : undefined;
  },
  explain: (text) => (text === '*' ? 'must be either * alone or origins, not both' : undefined),
};

const manyOrigins = listOf(
  origin,
  'origins as a browser sends them, scheme and host and nothing after it, such as https://app.example.com, with commas between them (at most 100, each of at most 253 characters, together at most 2000), or * alone',
  { items: 100, chars: 2_000 },
);

/** @see https://docs.aws.amazon.com/lambda/latest/api/API_Cors.html for the limits of a Function URL */
export const origins: Kind<readonly string[]> = {
  ...manyOrigins,
  parse: (text) => (text === '*' ? ['*'] : manyOrigins.parse(text)),
};

export const cidr: Kind<string> = {
  allowed: '',
  parse(text) {
    const [address = '', bits = '', ...rest] = text.split('/');
    const version = address.includes('%') || rest.length > 0 || !isWhole(bits) ? 0 : isIP(address);
    const maxBits = { 4: 32, 6: 128 }[version] ?? -1;
    return Number(bits) <= maxBits ? text : undefined;
  },
};

/** What a resource policy takes as a principal. A session of a role is none that lasts. */
export const principal: Kind<string> = {
  ...matching(/^arn:aws(-[a-z]+)*:iam::\d{12}:(root|(user|role)(\/[\w+=.@-]+)+)$/, ''),
  explain(text) {
    const [, partition, account, role] =
      /^arn:(aws[a-z-]*):sts::(\d{12}):assumed-role\/([^/]+)/.exec(text) ?? [];
    if (role) {
      return `must name the role, arn:${partition}:iam::${account}:role/${role} (with its path if it has one), not the session ${quote(text)}`;
    }
    if (/^\d{12}$/.test(text)) return `must be ARNs; the whole account ${text} is arn:aws:iam::${text}:root`;
    return text === '*'
      ? 'must name each caller by ARN, since * would let in every AWS account there is'
      : undefined;
  },
};

/** @see https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html for the names */
const IMAGE =
  /^(?<repository>(?=[^:@]{2,256}([:@]|$))[a-z0-9]+([._/-][a-z0-9]+)*)(:(?<tag>\w[\w.-]{0,127})|@(?<digest>sha256:[0-9a-f]{64}))?$/;
const REGISTRY = /^(https?:\/\/)?([^/]+\.dkr[.-]ecr[^/]*|public\.ecr\.aws|[^/]+:\d+|docker\.io)\//;

export const image: Kind<ImageReference> = {
  allowed: 'the name of an ECR repository in lower case, as name, name:tag or name@sha256:…',
  parse(text) {
    const { repository, tag, digest } = (REGISTRY.test(text) ? undefined : IMAGE.exec(text))?.groups ?? {};
    return repository ? { repository, tagOrDigest: digest ?? tag ?? 'latest' } : undefined;
  },
  explain: (text) =>
    REGISTRY.test(text)
      ? 'must be only the repository, as name, name:tag or name@sha256:…, without the registry’s host before it: the image comes from the deployment’s own account and region'
      : undefined,
};

const DOMAIN = '^(search|vpc)-(?<name>[a-z][a-z0-9-]{2,27})-[a-z0-9]{20,}';
/** An account has 12 digits, an id of a collection is longer. */
const COLLECTION = '^(?!\\d{12}\\.)(?<name>[a-z0-9]{3,40})';
const REGION = '(?<region>[a-z0-9-]+)';

/** Of domains, of those that IPv6 reaches as well, of collections, of collections of the next generation. */
const forms = [
  { service: 'es', host: new RegExp(`${DOMAIN}\\.${REGION}\\.es\\.amazonaws\\.com$`) },
  { service: 'es', host: new RegExp(`${DOMAIN}\\.aos\\.${REGION}\\.on\\.aws$`) },
  { service: 'aoss', host: new RegExp(`${COLLECTION}\\.${REGION}\\.aoss\\.amazonaws\\.com$`) },
  { service: 'aoss', host: new RegExp(`${COLLECTION}\\.aoss\\.${REGION}\\.on\\.aws$`) },
] as const;

/**
 * A host name that AWS gave out, since only that tells what the functions need the right to.
 * @see https://docs.aws.amazon.com/opensearch-service/latest/developerguide/vpc.html#vpc-security for domains
 * @see https://docs.aws.amazon.com/opensearch-service/latest/developerguide/serverless-collection-endpoints.html
 */
export const openSearch: Kind<OpenSearch> = {
  allowed:
    'https://search-NAME-ID.REGION.es.amazonaws.com or https://search-NAME-ID.aos.REGION.on.aws, in a VPC with vpc- in place of search-, or https://ID.REGION.aoss.amazonaws.com or https://ID.aoss.REGION.on.aws',
  parse(text) {
    const url = toUrl(text);
    if (url?.href !== `https://${url?.hostname}/`) return undefined;
    for (const { service, host } of forms) {
      const { name, region } = host.exec(url.hostname)?.groups ?? {};
      if (name && region) return { endpoint: url.origin, service, name, region };
    }
    return undefined;
  },
  explain(text) {
    if (text.startsWith('arn:')) return 'must be the endpoint, which begins with https://, not the ARN';
    if (text.includes('@'))
      return 'must be without a name and a password: the functions sign with their roles';
    const url = toUrl(text);
    return mistakes.find(({ is }) => url && is(url))?.sentence;
  },
};

/** The host alone is how AWS's CLI shows it. */
const toUrl = (text: string) => URL.parse(/^[a-z]+:\/\//i.test(text) ? text : `https://${text}`);

/** The first that it is gets told. */
const mistakes: readonly { readonly is: (url: URL) => boolean; readonly sentence: string }[] = [
  {
    is: ({ hostname }) => !/\.(amazonaws\.com|on\.aws)$/.test(hostname),
    sentence:
      'must be the endpoint that AWS gave the domain or the collection, under amazonaws.com or on.aws: another does not tell which of them the functions need the right to',
  },
  {
    is: ({ hostname }) => /^\d{12}\.aoss\./.test(hostname),
    sentence:
      'must be the endpoint of one collection, https://ID.aoss.REGION.on.aws, not that of the account, which is for all of them',
  },
  {
    is: ({ protocol }) => protocol !== 'https:',
    sentence: 'must begin with https://: what goes there is what people ask',
  },
  { is: ({ port }) => port !== '', sentence: 'must be without a port: AWS listens on that of https://' },
  {
    is: ({ pathname, search, hash }) => pathname !== '/' || search !== '' || hash !== '',
    sentence:
      'must end with the host: OpenSearch Dashboards, indexes and all else behind it are no part of it',
  },
];
