/**
 * What the deployment's variables must not say together, and what they may say and an operator should know all the same.
 */
import { BlockList, isIPv6 } from 'node:net';
import { settingsTable } from '../../src/chat/settings.ts';
import { stackName } from '../../src/names.ts';
import type { ImageReference, OpenSearch } from '../config.ts';
import type { Values } from './variables.ts';

type Key = keyof Values;

export type Contradiction = {
  /** The rule holds only where these were read without a problem; the first is the one that it is told of. */
  readonly reads: readonly [Key, ...Key[]];
  /** A sentence, if there is one. */
  readonly find: (values: Values) => string | false;
};

/** Names are made of it, and API Gateway's, the shortest, ends at 128 characters. */
const MAX_STACK_NAME_CHARS = 100;

/** A function's environment holds 4 KB; the names of the tables, the stack and all the rest take up to 1,600 characters of it. */
const MAX_ENVIRONMENT_CHARS = 2_500;

export const contradictions: readonly Contradiction[] = [
  {
    reads: ['useApiKey', 'useIam'],
    find: ({ useApiKey, useIam }) =>
      !useApiKey &&
      !useIam &&
      'API_GATEWAY_USE_API_KEY and API_GATEWAY_USE_IAM_AUTH must not both be false: anybody could call.',
  },
  {
    reads: ['stackName', 'stage'],
    find: ({ stackName: name, stage }) => {
      const { length } = stackName({ STACK_NAME: name, STAGE: stage });
      return (
        length > MAX_STACK_NAME_CHARS &&
        `STACK_NAME and STAGE must be at most ${MAX_STACK_NAME_CHARS} characters together, with the hyphen between them, not ${length}.`
      );
    },
  },
  {
    reads: ['allowedModels', 'allowedOrigins'],
    find: ({ allowedModels, allowedOrigins = [] }) =>
      allowedModels.join().length + allowedOrigins.join().length > MAX_ENVIRONMENT_CHARS &&
      `ALLOWED_MODELS and ALLOWED_ORIGINS must be at most ${MAX_ENVIRONMENT_CHARS} characters together: a function’s environment holds 4 KB.`,
  },
  {
    reads: ['hasFirewall', 'gatewayType'],
    find: ({ hasFirewall, gatewayType }) =>
      hasFirewall && gatewayType === 'websocket' && isForRest('ENABLE_WAF must be false'),
  },
  {
    reads: ['allowedCidrs', 'gatewayType'],
    find: ({ allowedCidrs = [], gatewayType }) =>
      allowedCidrs.length > 0 && gatewayType === 'websocket' && isForRest('ALLOWED_CIDRS must be empty'),
  },
  {
    reads: ['websocketImage', 'gatewayType'],
    find: ({ websocketImage, gatewayType }) =>
      websocketImage !== undefined &&
      gatewayType === 'rest' &&
      'ECR_WEBSOCKET_REPOSITORY must be empty when API_GATEWAY_TYPE is rest: there is no function for it then; websocket and both have one.',
  },
  { reads: ['vpcId', 'subnets', 'securityGroups'], find: findVpcHole },
  {
    reads: ['openSearch', 'vpcId'],
    find: ({ openSearch, vpcId }) =>
      openSearch !== undefined &&
      isInVpc(openSearch) &&
      vpcId === undefined &&
      'OPENSEARCH_DOMAIN_ENDPOINT is in a VPC, so VPC_ID, VPC_SUBNETS and VPC_SECURITY_GROUPS must be set too.',
  },
  {
    reads: ['openSearch', 'region'],
    find: ({ openSearch, region }) =>
      openSearch !== undefined &&
      openSearch.region !== region &&
      `OPENSEARCH_DOMAIN_ENDPOINT must be in the region REGION_ID, ${region}, not in ${openSearch.region}.`,
  },
  {
    reads: ['provisionedConcurrency', 'reservedConcurrency'],
    find: ({ provisionedConcurrency, reservedConcurrency = Number.POSITIVE_INFINITY }) =>
      provisionedConcurrency > reservedConcurrency &&
      `PROVISIONED_CONCURRENCY must be at most RESERVED_CONCURRENCY, ${reservedConcurrency}, not ${provisionedConcurrency}.`,
  },
];

const isForRest = (what: string) =>
  `${what} when API_GATEWAY_TYPE is websocket: it is for the REST API, which rest and both have.`;

function findVpcHole({ vpcId, subnets = [], securityGroups = [] }: Values): string | false {
  const parts = [
    ['VPC_ID', vpcId !== undefined],
    ['VPC_SUBNETS', subnets.length > 0],
    ['VPC_SECURITY_GROUPS', securityGroups.length > 0],
  ] as const;
  const empty = parts.filter(([, isSet]) => !isSet).map(([name]) => name);
  if (empty.length === 0 || empty.length === parts.length) return false;
  const names = `${empty.join(' and ')} ${empty.length > 1 ? 'are' : 'is'}`;
  return `VPC_ID, VPC_SUBNETS and VPC_SECURITY_GROUPS must be set together or not at all, and ${names} empty.`;
}

export const warnings: readonly ((values: Values) => string | false)[] = [
  ({ restImage }) => warnOfTag('ECR_REST_REPOSITORY', restImage),
  ({ websocketImage }) => warnOfTag('ECR_WEBSOCKET_REPOSITORY', websocketImage),
  ({ vpcId }) =>
    vpcId !== undefined &&
    'VPC_ID puts the functions in a VPC: the Function URL may not stream from there, and Bedrock, DynamoDB and Parameter Store are reached only through a NAT gateway or endpoints.',
  ({ provisionedConcurrency }) =>
    provisionedConcurrency > 0 && 'PROVISIONED_CONCURRENCY costs money while nobody calls.',
  ({ hasFirewall }) =>
    hasFirewall && 'ENABLE_WAF costs money while nobody calls, and stands before the REST API alone.',
  ({ allowedCidrs = [] }) =>
    allowedCidrs.length > 0 &&
    'ALLOWED_CIDRS limits the REST API alone; the other doors stay open to every address.',
  ({ allowedCidrs = [] }) =>
    allowedCidrs.some(isPrivate) &&
    'ALLOWED_CIDRS has private addresses, which the REST API never sees: callers come in with their public ones.',
  ({ retainData }) => !retainData && 'RETAIN_DATA=false: destroy deletes the tables and all that is in them.',
  ({ logRole }) => logRole === 'none' && 'API_GATEWAY_LOG_ROLE=none: API Gateway writes no access logs.',
  ({ iamCallers = [], useIam, gatewayType }) =>
    iamCallers.length > 0 &&
    useIam &&
    gatewayType !== 'rest' &&
    'IAM_CALLERS of other accounts than the stack’s cannot open a WebSocket: that API has no resource policy to let them in.',
  ({ openSearch }) => openSearch !== undefined && letIn[openSearch.service],
  ({ openSearch, vpcId }) => openSearch !== undefined && vpcId !== undefined && wayTo(openSearch),
  ({ defaultMaxTokens }) =>
    Number(defaultMaxTokens) > Number(maxTokensLimit) &&
    `DEFAULT_MAX_TOKENS is cut to ${maxTokensLimit} until the setting max-tokens-limit is raised.`,
  warnOfGeography,
];

/** What is not of this stack has to let its functions in. */
const letIn: Readonly<Record<OpenSearch['service'], string>> = {
  es: 'OPENSEARCH_DOMAIN_ENDPOINT is a domain: where it has fine-grained access control, it has to map the roles of the output SearchRoles to a role of its own.',
  aoss: 'OPENSEARCH_DOMAIN_ENDPOINT is a collection: it needs a data access policy, which the output SearchAccessPolicy is.',
};

const isInVpc = ({ endpoint }: OpenSearch) => endpoint.startsWith('https://vpc-');

/** From functions in a VPC. */
function wayTo(openSearch: OpenSearch): string {
  if (isInVpc(openSearch)) {
    return 'OPENSEARCH_DOMAIN_ENDPOINT is in a VPC: the domain’s security groups have to let in HTTPS from VPC_SECURITY_GROUPS, and these have to let it out.';
  }
  const ways = { es: 'a NAT gateway', aoss: 'a NAT gateway or an endpoint that its network policy lets in' };
  return `OPENSEARCH_DOMAIN_ENDPOINT is reached from VPC_ID only through ${ways[openSearch.service]}.`;
}

/** Where the profiles of a geography can be called, by the first word of a region; those that are called from elsewhere too are not here. */
const homes: ReadonlyMap<string, string> = new Map([
  ['us', 'us'],
  ['eu', 'eu'],
  ['apac', 'ap'],
]);

function warnOfGeography({ defaultModel, region }: Values): string | false {
  const [prefix = ''] = defaultModel.split('.');
  const [here = ''] = region.split('-');
  const home = homes.get(prefix);
  const isElsewhere = home !== undefined && home !== here && [...homes.values()].includes(here);
  return (
    isElsewhere && `DEFAULT_MODEL begins with ${prefix}. and cannot be called from REGION_ID, ${region}.`
  );
}

const maxTokensLimit = settingsTable.find(({ name }) => name === 'max-tokens-limit')?.default;

const warnOfTag = (name: string, image: ImageReference | undefined) =>
  image !== undefined &&
  !image.tagOrDigest.startsWith('sha256:') &&
  `${name} names the tag ${image.tagOrDigest}: a push to it deploys nothing; name a digest, as ${image.repository}@sha256:…`;

const privateBlocks = new BlockList();
for (const [address, bits] of [
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
] as const) {
  privateBlocks.addSubnet(address, bits, 'ipv4');
}
privateBlocks.addSubnet('fc00::', 7, 'ipv6');

function isPrivate(cidr: string): boolean {
  const [address = ''] = cidr.split('/');
  return privateBlocks.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}
