import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { variables } from '../../cdk/config/variables.ts';
import { ConfigError, parseConfig } from '../../cdk/config.ts';
import { serviceOf } from '../../src/aws/opensearch.ts';
import { settingsTable } from '../../src/chat/settings.ts';

type Variables = Record<string, string>;

const sentencesOf = (env: Variables): string[] => {
  try {
    parseConfig(env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    assert.is(error.message, error.problems.map(({ sentence }) => sentence).join('\n'));
    return error.problems.map(({ sentence }) => sentence);
  }
  return [];
};

const numbered = (count: number, toItem: (n: number) => string) =>
  Array.from({ length: count }, (_, n) => toItem(n)).join();

const ROLE = 'arn:aws:iam::123456789012:role/Backend';
const DIGEST = `sha256:${'0a'.repeat(32)}`;
const SEARCH_ID = '1a2a3a4a5a6a7a8a9a0a9a8a7a';
const VPC = {
  VPC_ID: 'vpc-0123456789abcdef0',
  VPC_SUBNETS: 'subnet-01234567,subnet-89abcdef',
  VPC_SECURITY_GROUPS: 'sg-0123456789abcdef0',
};

const CALLERS =
  'at most 20 ARNs of roles, users or account roots, such as arn:aws:iam::123456789012:role/Name, with commas between them, at most 2000 characters';
const ORIGINS =
  'origins as a browser sends them, scheme and host and nothing after it, such as https://app.example.com, with commas between them (at most 100, each of at most 253 characters, together at most 2000), or * alone';
const CIDRS =
  'at most 80 IPv4 or IPv6 blocks, such as 203.0.113.0/24 or 2001:db8::/32, with commas between them';
const IMAGE = 'the name of an ECR repository in lower case, as name, name:tag or name@sha256:…';
const ONLY_REPOSITORY =
  'must be only the repository, as name, name:tag or name@sha256:…, without the registry’s host before it: the image comes from the deployment’s own account and region';
const ENDPOINT =
  'https://search-NAME-ID.REGION.es.amazonaws.com or https://search-NAME-ID.aos.REGION.on.aws, in a VPC with vpc- in place of search-, or https://ID.REGION.aoss.amazonaws.com or https://ID.aoss.REGION.on.aws';
const MODELS =
  'model ids with commas between them, in which * stands for any run of characters, at most 2000 characters';
const STACK =
  'a letter and then letters, digits and hyphens, at most 100 characters with STAGE, without aws or ssm at the beginning';
const RETENTION =
  'one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653';

/** A variable that is wrong by itself: its name, its value, and what its sentence says after `NAME must be`. */
const wrongValues: readonly [name: string, value: string, rest: string][] = [
  ['API_GATEWAY_TYPE', 'REST', 'one of rest, websocket, both, not "REST"'],
  ['API_GATEWAY_USE_API_KEY', 'yes', 'true or false, not "yes"'],
  ['API_GATEWAY_USE_API_KEY', 'toString', 'true or false, not "toString"'],
  ['API_GATEWAY_USE_IAM_AUTH', 'True', 'true or false, not "True"'],
  ['ENABLE_WAF', '1', 'true or false, not "1"'],
  ['RETAIN_DATA', 'FALSE', 'true or false, not "FALSE"'],
  ['API_GATEWAY_LOG_ROLE', 'new', 'one of create, existing, none, not "new"'],
  ['DEFAULT_MODEL', 'a b', 'a model id, not "a b"'],
  ['ALLOWED_MODELS', 'a.b,c d', `${MODELS}, not "c d"`],
  ['ALLOWED_MODELS', numbered(201, (n) => `model.${n + 100}`), `${MODELS}, not 2009 characters`],
  ['DEFAULT_MAX_TOKENS', '0', 'a whole number from 1 to 1000000, not "0"'],
  ['DEFAULT_TEMP', '4096', 'a number from 0 to 1, not "4096"'],
  ['REGION_ID', 'us-east-1a', 'an AWS region such as us-east-1, not "us-east-1a"'],
  ['REGION_ID', 'Frankfurt', 'an AWS region such as us-east-1, not "Frankfurt"'],
  ['STACK_NAME', '1st', `${STACK}, not "1st"`],
  ['STACK_NAME', 'my_stack', `${STACK}, not "my_stack"`],
  ['STACK_NAME', 'AwsGateway', `${STACK}, not "AwsGateway"`],
  ['STACK_NAME', 'ssm-gateway', `${STACK}, not "ssm-gateway"`],
  ['STACK_NAME', 'a'.repeat(101), `${STACK}, not "${'a'.repeat(80)}…"`],
  ['STAGE', 'dev/eu', 'letters, digits and hyphens, at most 64 of them, not "dev/eu"'],
  ['ECR_REST_REPOSITORY', 'Gateway', `${IMAGE}, not "Gateway"`],
  ['ECR_REST_REPOSITORY', 'gateway:', `${IMAGE}, not "gateway:"`],
  ['ECR_REST_REPOSITORY', 'gateway@sha256:abc', `${IMAGE}, not "gateway@sha256:abc"`],
  ['ECR_REST_REPOSITORY', 'team//gateway', `${IMAGE}, not "team//gateway"`],
  ['ECR_REST_REPOSITORY', 'g', `${IMAGE}, not "g"`],
  [
    'OPENSEARCH_DOMAIN_ENDPOINT',
    'https://search-my-own-domain.us-east-1.es.amazonaws.com',
    `${ENDPOINT}, not "https://search-my-own-domain.us-east-1.es.amazonaws.com"`,
  ],
  ['VPC_ID', 'vpc-1', 'a VPC’s id such as vpc-0123456789abcdef0, not "vpc-1"'],
  [
    'VPC_SUBNETS',
    'subnet-01234567,sg-01234567',
    'at most 16 subnet ids, such as subnet-0123456789abcdef0, with commas between them, not "sg-01234567"',
  ],
  [
    'VPC_SECURITY_GROUPS',
    numbered(6, (n) => `sg-0123456${n}`),
    'at most 5 security group ids, such as sg-0123456789abcdef0, with commas between them, not 6 of them',
  ],
  ['IAM_CALLERS', `${ROLE},Backend`, `${CALLERS}, not "Backend"`],
  ['IAM_CALLERS', 'arn:aws:iam::123456789012:role/*', `${CALLERS}, not "arn:aws:iam::123456789012:role/*"`],
  [
    'IAM_CALLERS',
    'arn:aws:iam::123456789012:group/Staff',
    `${CALLERS}, not "arn:aws:iam::123456789012:group/Staff"`,
  ],
  ['IAM_CALLERS', numbered(21, (n) => `${ROLE}${n}`), `${CALLERS}, not 21 of them`],
  ['ALLOWED_ORIGINS', 'https://a.example/', `${ORIGINS}, not "https://a.example/"`],
  ['ALLOWED_ORIGINS', 'https://a.example/chat', `${ORIGINS}, not "https://a.example/chat"`],
  ['ALLOWED_ORIGINS', 'https://a.example:443', `${ORIGINS}, not "https://a.example:443"`],
  ['ALLOWED_ORIGINS', 'https://A.example', `${ORIGINS}, not "https://A.example"`],
  ['ALLOWED_ORIGINS', 'https://*.example', `${ORIGINS}, not "https://*.example"`],
  ['ALLOWED_ORIGINS', 'a.example', `${ORIGINS}, not "a.example"`],
  ['ALLOWED_ORIGINS', 'null', `${ORIGINS}, not "null"`],
  [
    'ALLOWED_ORIGINS',
    `https://${'a'.repeat(60)}.${'b.'.repeat(93)}`,
    `${ORIGINS}, not "https://${'a'.repeat(60)}.${'b.'.repeat(5)}b…"`,
  ],
  ['ALLOWED_ORIGINS', numbered(101, (n) => `http://a${n}`), `${ORIGINS}, not 101 of them`],
  ['ALLOWED_CIDRS', '203.0.113.7', `${CIDRS}, not "203.0.113.7"`],
  ['ALLOWED_CIDRS', '203.0.113.0/33', `${CIDRS}, not "203.0.113.0/33"`],
  ['ALLOWED_CIDRS', '203.0.113.256/24', `${CIDRS}, not "203.0.113.256/24"`],
  ['ALLOWED_CIDRS', '203.0.113.0/24/8', `${CIDRS}, not "203.0.113.0/24/8"`],
  ['ALLOWED_CIDRS', '2001:db8::/129', `${CIDRS}, not "2001:db8::/129"`],
  ['ALLOWED_CIDRS', 'fe80::1%eth0/64', `${CIDRS}, not "fe80::1%eth0/64"`],
  ['ALLOWED_CIDRS', numbered(81, (n) => `203.0.113.${n}/32`), `${CIDRS}, not 81 of them`],
  ['RESERVED_CONCURRENCY', '0', 'a whole number from 1 to 100000 (0 would switch the function off), not "0"'],
  ['PROVISIONED_CONCURRENCY', '-1', 'a whole number from 0 to 100000, not "-1"'],
  ['HISTORY_TTL_DAYS', '0', 'a whole number from 1 to 365, not "0"'],
  ['HISTORY_TTL_DAYS', '366', 'a whole number from 1 to 365, not "366"'],
  ['HISTORY_TTL_DAYS', '030', 'a whole number from 1 to 365, not "030"'],
  ['CACHE_TTL_DAYS', '30d', 'a whole number from 1 to 365, not "30d"'],
  ['LOG_RETENTION_DAYS', '31', `${RETENTION}, not "31"`],
  ['ALARM_EMAIL', 'ops', 'one e-mail address, not "ops"'],
  ['ALARM_EMAIL', 'a@example.com,b@example.com', 'one e-mail address, not "a@example.com,b@example.com"'],
  ['SETTINGS_MAX_AGE_SECONDS', '4', 'a whole number from 5 to 3600, not "4"'],
  ['SETTINGS_MAX_AGE_SECONDS', '1e3', 'a whole number from 5 to 3600, not "1e3"'],
];

/** Known mistakes, variables that contradict each other, and names that are nearly right: the whole sentence. */
const wrongTogether: readonly [env: Variables, sentence: string][] = [
  [
    { ECR_REST_REPOSITORY: '123456789012.dkr.ecr.us-east-1.amazonaws.com/gateway:v1' },
    `ECR_REST_REPOSITORY ${ONLY_REPOSITORY}.`,
  ],
  [
    { API_GATEWAY_TYPE: 'both', ECR_WEBSOCKET_REPOSITORY: 'public.ecr.aws/lambda/nodejs:24' },
    `ECR_WEBSOCKET_REPOSITORY ${ONLY_REPOSITORY}.`,
  ],
  [
    { IAM_CALLERS: 'arn:aws:sts::123456789012:assumed-role/Backend/session' },
    `IAM_CALLERS must name the role, ${ROLE} (with its path if it has one), not the session "arn:aws:sts::123456789012:assumed-role/Backend/session".`,
  ],
  [
    { IAM_CALLERS: '123456789012' },
    'IAM_CALLERS must be ARNs; the whole account 123456789012 is arn:aws:iam::123456789012:root.',
  ],
  [
    { IAM_CALLERS: '*' },
    'IAM_CALLERS must name each caller by ARN, since * would let in every AWS account there is.',
  ],
  [
    { ALLOWED_ORIGINS: 'https://a.example,*' },
    'ALLOWED_ORIGINS must be either * alone or origins, not both.',
  ],
  [
    { API_GATEWAY_USE_API_KEY: 'false' },
    'API_GATEWAY_USE_API_KEY and API_GATEWAY_USE_IAM_AUTH must not both be false: anybody could call.',
  ],
  [
    { STACK_NAME: 'a'.repeat(60), STAGE: 'b'.repeat(40) },
    'STACK_NAME and STAGE must be at most 100 characters together, with the hyphen between them, not 101.',
  ],
  [
    {
      ALLOWED_MODELS: `*,${'m'.repeat(250)},${numbered(124, (n) => `model.${n + 100}`)}`,
      ALLOWED_ORIGINS: numbered(72, (n) => `https://a.example:80${n + 10}`),
    },
    'ALLOWED_MODELS and ALLOWED_ORIGINS must be at most 2500 characters together: a function’s environment holds 4 KB.',
  ],
  [
    { API_GATEWAY_TYPE: 'websocket', ENABLE_WAF: 'true' },
    'ENABLE_WAF must be false when API_GATEWAY_TYPE is websocket: it is for the REST API, which rest and both have.',
  ],
  [
    { API_GATEWAY_TYPE: 'websocket', ALLOWED_CIDRS: '203.0.113.0/24' },
    'ALLOWED_CIDRS must be empty when API_GATEWAY_TYPE is websocket: it is for the REST API, which rest and both have.',
  ],
  [
    { ECR_WEBSOCKET_REPOSITORY: 'gateway:v1' },
    'ECR_WEBSOCKET_REPOSITORY must be empty when API_GATEWAY_TYPE is rest: there is no function for it then; websocket and both have one.',
  ],
  [
    { VPC_ID: VPC.VPC_ID, VPC_SUBNETS: VPC.VPC_SUBNETS },
    'VPC_ID, VPC_SUBNETS and VPC_SECURITY_GROUPS must be set together or not at all, and VPC_SECURITY_GROUPS is empty.',
  ],
  [
    { VPC_SUBNETS: VPC.VPC_SUBNETS },
    'VPC_ID, VPC_SUBNETS and VPC_SECURITY_GROUPS must be set together or not at all, and VPC_ID and VPC_SECURITY_GROUPS are empty.',
  ],
  [
    { ...VPC, VPC_SUBNETS: ' , ' },
    'VPC_ID, VPC_SUBNETS and VPC_SECURITY_GROUPS must be set together or not at all, and VPC_SUBNETS is empty.',
  ],
  [
    { OPENSEARCH_DOMAIN_ENDPOINT: `vpc-faq-${SEARCH_ID}.aos.us-east-1.on.aws` },
    'OPENSEARCH_DOMAIN_ENDPOINT is in a VPC, so VPC_ID, VPC_SUBNETS and VPC_SECURITY_GROUPS must be set too.',
  ],
  [
    { OPENSEARCH_DOMAIN_ENDPOINT: 'https://abc123.eu-west-1.aoss.amazonaws.com' },
    'OPENSEARCH_DOMAIN_ENDPOINT must be in the region REGION_ID, us-east-1, not in eu-west-1.',
  ],
  [
    { RESERVED_CONCURRENCY: '5', PROVISIONED_CONCURRENCY: '6' },
    'PROVISIONED_CONCURRENCY must be at most RESERVED_CONCURRENCY, 5, not 6.',
  ],
  [
    { ALLOWED_MODELS: 'openai.*' },
    'DEFAULT_MODEL must be one of the models that ALLOWED_MODELS lets through, and global.amazon.nova-2-lite-v1:0 is not.',
  ],
  [
    { DEFAULT_MODEL: 'a.b', ALLOWED_MODELS: ',' },
    'DEFAULT_MODEL must be one of the models that ALLOWED_MODELS lets through, and a.b is not.',
  ],
  [
    { API_GATEWAY_USE_COGNITO: 'true' },
    'API_GATEWAY_USE_COGNITO is not a variable of this deployment; there are API_GATEWAY_USE_API_KEY, API_GATEWAY_USE_IAM_AUTH.',
  ],
];

const misspelt: readonly [name: string, meant: string][] = [
  ['API_GATEWAY_USE_APIKEY', 'API_GATEWAY_USE_API_KEY'],
  ['API_GATEWAY_USE_API_KEYS', 'API_GATEWAY_USE_API_KEY'],
  ['APIGATEWAYUSEIAMAUTH', 'API_GATEWAY_USE_IAM_AUTH'],
  ['APIGATEWAY_TYPE', 'API_GATEWAY_TYPE'],
  ['ALLLOWED_MODELS', 'ALLOWED_MODELS'],
  ['ALLOWED_MADELS', 'ALLOWED_MODELS'],
  ['ALOWED_MODELS', 'ALLOWED_MODELS'],
  ['ALLOWED_MDOELS', 'ALLOWED_MODELS'],
  ['ALLOWED_ORIGIN', 'ALLOWED_ORIGINS'],
  ['default_model', 'DEFAULT_MODEL'],
  ['DEFAULT_TEMPERATURE', 'DEFAULT_TEMP'],
  ['DEFAULT_MAX_TOKEN', 'DEFAULT_MAX_TOKENS'],
  ['ENABLE_WAFV2', 'ENABLE_WAF'],
  ['ECR_WEB_SOCKET_REPOSITORY', 'ECR_WEBSOCKET_REPOSITORY'],
  ['HISTROY_TTL_DYAS', 'HISTORY_TTL_DAYS'],
  ['VPC_SUBNET', 'VPC_SUBNETS'],
  ['STUCK_NAME', 'STACK_NAME'],
  ['REGION_IDS', 'REGION_ID'],
];

const refusing = suite('parseConfig, refusing');

refusing(
  'each value that a variable cannot have is refused in a sentence with its name and what it takes',
  () => {
    for (const [name, value, rest] of wrongValues) {
      const both = name === 'ECR_WEBSOCKET_REPOSITORY' ? { API_GATEWAY_TYPE: 'both' } : {};
      assert.equal(sentencesOf({ ...both, [name]: value }), [`${name} must be ${rest}.`], `${name}=${value}`);
    }
  },
);

refusing('variables that cannot be so together are refused in a sentence that says what to change', () => {
  for (const [env, sentence] of wrongTogether) assert.equal(sentencesOf(env), [sentence]);
});

const NOT_OF_AWS =
  'the endpoint that AWS gave the domain or the collection, under amazonaws.com or on.aws: another does not tell which of them the functions need the right to';
const NOT_THE_HOST =
  'end with the host: OpenSearch Dashboards, indexes and all else behind it are no part of it';
const domain = `search-faq-${SEARCH_ID}.us-east-1.es.amazonaws.com`;

/** An endpoint that nobody can use, and what its sentence says after `OPENSEARCH_DOMAIN_ENDPOINT must`. */
const wrongEndpoints: readonly [endpoint: string, rest: string][] = [
  ['http://localhost:9200', `be ${NOT_OF_AWS}`],
  ['search.example.com', `be ${NOT_OF_AWS}`],
  ['https://my-deployment.es.us-east-1.aws.found.io', `be ${NOT_OF_AWS}`],
  [`https://${domain}.example.com`, `be ${NOT_OF_AWS}`],
  [`http://${domain}`, 'begin with https://: what goes there is what people ask'],
  [`https://${domain}:9200`, 'be without a port: AWS listens on that of https://'],
  [`https://${domain}/_dashboards`, NOT_THE_HOST],
  ['https://abc123.us-east-1.aoss.amazonaws.com/_dashboards/', NOT_THE_HOST],
  [`https://${domain}/?pretty`, NOT_THE_HOST],
  [`https://${domain}/#/`, NOT_THE_HOST],
  [
    'https://123456789012.aoss.us-east-1.on.aws',
    'be the endpoint of one collection, https://ID.aoss.REGION.on.aws, not that of the account, which is for all of them',
  ],
  [
    'arn:aws:es:us-east-1:123456789012:domain/faq',
    'be the endpoint, which begins with https://, not the ARN',
  ],
  [`https://admin:secret@${domain}`, 'be without a name and a password: the functions sign with their roles'],
  ['https://admin:secret@a b', 'be without a name and a password: the functions sign with their roles'],
  ['https://a b', `be ${ENDPOINT}, not "https://a b"`],
  ['https://es.us-east-1.amazonaws.com', `be ${ENDPOINT}, not "https://es.us-east-1.amazonaws.com"`],
];

refusing(
  'each endpoint that is none of OpenSearch is refused in a sentence that says what is wrong with it',
  () => {
    for (const [endpoint, rest] of wrongEndpoints) {
      assert.equal(sentencesOf({ OPENSEARCH_DOMAIN_ENDPOINT: endpoint }), [
        `OPENSEARCH_DOMAIN_ENDPOINT must ${rest}.`,
      ]);
    }
  },
);

refusing('a misspelt name is refused with the one that was meant, and without its value', () => {
  for (const [name, meant] of misspelt) {
    assert.equal(sentencesOf({ [name]: 'secret' }), [
      `${name} is not a variable of this deployment; did you mean ${meant}?`,
    ]);
  }
});

refusing('every problem is told at once, each under its variable', () => {
  const env = {
    API_GATEWAY_USE_API_KEY: 'false',
    DEFAULT_TEMP: '4096',
    ALOWED_MODELS: 'x',
    DEFAULT_MODEL: 'a.b',
    RESERVED_CONCURRENCY: '1',
    PROVISIONED_CONCURRENCY: '2',
  };
  assert.equal(sentencesOf(env), [
    'DEFAULT_TEMP must be a number from 0 to 1, not "4096".',
    'ALOWED_MODELS is not a variable of this deployment; did you mean ALLOWED_MODELS?',
    'API_GATEWAY_USE_API_KEY and API_GATEWAY_USE_IAM_AUTH must not both be false: anybody could call.',
    'PROVISIONED_CONCURRENCY must be at most RESERVED_CONCURRENCY, 1, not 2.',
    'DEFAULT_MODEL must be one of the models that ALLOWED_MODELS lets through, and a.b is not.',
  ]);
  assert.throws(
    () => parseConfig(env),
    (error: unknown) =>
      error instanceof ConfigError &&
      error.problems.map(({ name }) => name).join(' ') ===
        'DEFAULT_TEMP ALOWED_MODELS API_GATEWAY_USE_API_KEY PROVISIONED_CONCURRENCY DEFAULT_MODEL',
  );
});

refusing('what would follow from a wrong value is not told beside it', () => {
  const envs: Variables[] = [
    { API_GATEWAY_TYPE: 'websockets', ECR_WEBSOCKET_REPOSITORY: 'gateway:v1' },
    { API_GATEWAY_USE_API_KEY: 'false', API_GATEWAY_USE_IAM_AUTH: 'yes' },
    { DEFAULT_MODEL: 'a b', ALLOWED_MODELS: 'c.d' },
    { DEFAULT_MODEL: 'a.b', ALLOWED_MODELS: 'c d' },
    { ...VPC, VPC_ID: 'mine', OPENSEARCH_DOMAIN_ENDPOINT: `vpc-faq-${SEARCH_ID}.us-east-1.es.amazonaws.com` },
  ];
  for (const env of envs) assert.is(sentencesOf(env).length, 1, JSON.stringify(env));
});

refusing(
  'whatever the texts are, there is a configuration or a ConfigError with a sentence for each name',
  () => {
    const texts = fc.oneof(
      fc.string(),
      fc.constantFrom(
        ...wrongValues.map(([, value]) => value),
        ...variables.map((variable) => variable.defaultText),
      ),
      fc.constantFrom(
        'true',
        'false',
        'both',
        'websocket',
        '*',
        ROLE,
        '1',
        '365',
        `a@${DIGEST}`,
        'constructor',
      ),
    );
    const names = variables.map(({ name }) => name);
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...names), texts), (env) => {
        for (const sentence of sentencesOf(env)) {
          assert.ok(names.some((name) => sentence.startsWith(name)) && sentence.endsWith('.'), sentence);
        }
      }),
    );
  },
);

refusing.run();

// ---

const reading = suite('parseConfig, reading');

reading('no variables at all make the deployment of the contract', () => {
  const { settings, ...config } = parseConfig({});
  assert.equal(config, {
    stackName: 'LlmGatewayStack',
    region: 'us-east-1',
    hasRest: true,
    hasWebSocket: false,
    useApiKey: true,
    useIam: false,
    defaultModel: 'global.amazon.nova-2-lite-v1:0',
    allowedModels: [
      'global.amazon.nova-2-lite-v1:0',
      'global.anthropic.claude-sonnet-4-6',
      'global.anthropic.claude-haiku-4-5-20251001-v1:0',
      'openai.gpt-oss-120b-1:0',
      'amazon.titan-embed-text-v2:0',
    ],
    images: {},
    iamCallers: [],
    allowedOrigins: [],
    allowedCidrs: [],
    hasFirewall: false,
    logRole: 'create',
    provisionedConcurrency: 0,
    logRetentionDays: 30,
    retainData: true,
    settingsMaxAgeSeconds: 60,
    warnings: [],
  });
  const defaults = settingsTable.flatMap(({ name, default: text }) => (text ? [[name, text] as const] : []));
  assert.equal([...settings], defaults);
});

reading('the settings start with what the variables say, in the settings’ units', () => {
  const { settings, allowedModels, defaultModel } = parseConfig({
    DEFAULT_MODEL: 'a.b',
    ALLOWED_MODELS: 'a.*, c.d ,a.*,',
    DEFAULT_MAX_TOKENS: '16',
    DEFAULT_TEMP: '0.25',
    HISTORY_TTL_DAYS: '365',
    CACHE_TTL_DAYS: '1',
  });
  const names = ['default-model', 'allowed-models', 'default-max-tokens', 'default-temperature'];
  const ttls = ['history-ttl-seconds', 'cache-ttl-seconds'];
  assert.equal(
    [...names, ...ttls].map((name) => settings.get(name)),
    ['a.b', 'a.*,c.d', '16', '0.25', '31536000', '86400'],
  );
  assert.equal(settings.size, parseConfig({}).settings.size);
  assert.is(defaultModel, 'a.b');
  assert.equal(allowedModels, ['a.*', 'c.d']);
});

reading(
  'an empty variable, and one of white space, is as good as none; white space around a value does not count',
  () => {
    const empty = Object.fromEntries(variables.map(({ name }) => [name, ' ']));
    assert.equal(parseConfig(empty), parseConfig({}));
    assert.is(parseConfig({ REGION_ID: ' eu-west-1\n' }).region, 'eu-west-1');
  },
);

reading('each type of API goes with each way to prove who one is', () => {
  const types = { rest: [true, false], websocket: [false, true], both: [true, true] };
  for (const [type, [hasRest, hasWebSocket]] of Object.entries(types)) {
    for (const [useApiKey, useIam] of [
      [true, false],
      [false, true],
      [true, true],
    ]) {
      const config = parseConfig({
        API_GATEWAY_TYPE: type,
        API_GATEWAY_USE_API_KEY: String(useApiKey),
        API_GATEWAY_USE_IAM_AUTH: String(useIam),
      });
      const { hasRest: rest, hasWebSocket: webSocket } = config;
      assert.equal([rest, webSocket], [hasRest, hasWebSocket], type);
      assert.equal([config.useApiKey, config.useIam], [useApiKey, useIam]);
    }
  }
});

reading('a stage is a stack of its own', () => {
  assert.is(parseConfig({ STACK_NAME: 'Chat', STAGE: 'dev-2' }).stackName, 'Chat-dev-2');
  assert.is(parseConfig({ STAGE: 'prod' }).stackName, 'LlmGatewayStack-prod');
  assert.is(parseConfig({ STACK_NAME: 'a'.repeat(60), STAGE: 'b'.repeat(39) }).stackName.length, 100);
});

reading('an image is a repository with a tag or a digest', () => {
  const images: Record<string, [repository: string, tagOrDigest: string]> = {
    gateway: ['gateway', 'latest'],
    'team/llm-gateway_2.x:v1.0-RC': ['team/llm-gateway_2.x', 'v1.0-RC'],
    [`ab@${DIGEST}`]: ['ab', DIGEST],
  };
  for (const [text, [repository, tagOrDigest]] of Object.entries(images)) {
    const { images: read } = parseConfig({
      API_GATEWAY_TYPE: 'both',
      ECR_REST_REPOSITORY: text,
      ECR_WEBSOCKET_REPOSITORY: text,
    });
    assert.equal(read, { rest: { repository, tagOrDigest }, websocket: { repository, tagOrDigest } });
  }
  const webSocket = parseConfig({ API_GATEWAY_TYPE: 'websocket', ECR_REST_REPOSITORY: `ab@${DIGEST}` });
  assert.equal(
    webSocket.images,
    { rest: { repository: 'ab', tagOrDigest: DIGEST } },
    'the Function URL has it',
  );
});

reading('OpenSearch is a domain, a domain in a VPC or a collection', () => {
  const endpoints: readonly [text: string, service: string, name: string, env?: Variables][] = [
    [`search-faq-2-${SEARCH_ID}.us-east-1.es.amazonaws.com`, 'es', 'faq-2'],
    [`search-faq-2-${SEARCH_ID}.aos.us-east-1.on.aws`, 'es', 'faq-2'],
    [`vpc-faq-${SEARCH_ID}.us-east-1.es.amazonaws.com`, 'es', 'faq', VPC],
    [`vpc-faq-${SEARCH_ID}.aos.us-east-1.on.aws`, 'es', 'faq', VPC],
    ['abc123def456.us-east-1.aoss.amazonaws.com', 'aoss', 'abc123def456'],
    ['1tg2xudton46knx2a95g.aoss.us-east-1.on.aws', 'aoss', '1tg2xudton46knx2a95g'],
  ];
  for (const [host, service, name, env = {}] of endpoints) {
    const endpoint = `https://${host}`;
    for (const text of [host, endpoint, `${endpoint}/`, endpoint.toUpperCase(), `${endpoint}:443`]) {
      const { openSearch } = parseConfig({ ...env, OPENSEARCH_DOMAIN_ENDPOINT: text });
      assert.equal(openSearch, { endpoint, service, name, region: 'us-east-1' }, text);
    }
    assert.is(serviceOf(endpoint), service, 'the gateway signs for the same');
  }
});

reading('a VPC is its id, its subnets and its security groups', () => {
  assert.equal(parseConfig(VPC).network, {
    vpcId: 'vpc-0123456789abcdef0',
    subnetIds: ['subnet-01234567', 'subnet-89abcdef'],
    securityGroupIds: ['sg-0123456789abcdef0'],
  });
});

reading('callers, origins and addresses are lists in which what is there twice counts once', () => {
  const callers = [
    'arn:aws:iam::123456789012:root',
    'arn:aws:iam::123456789012:user/team/ann@example.com',
    'arn:aws-us-gov:iam::123456789012:role/a/b/C+=.-_d',
  ];
  const origins = ['https://app.example.com', 'http://localhost:5173', 'https://[2001:db8::1]:8443'];
  const cidrs = ['203.0.113.0/24', '0.0.0.0/0', '2001:db8::/32', '::/0'];
  const config = parseConfig({
    API_GATEWAY_TYPE: 'both',
    IAM_CALLERS: [...callers, callers[0]].join(', '),
    ALLOWED_ORIGINS: [...origins, origins[0]].join(),
    ALLOWED_CIDRS: [...cidrs, cidrs[0]].join(' ,'),
  });
  assert.equal(config.iamCallers, callers);
  assert.equal(config.allowedOrigins, origins);
  assert.equal(config.allowedCidrs, cidrs);
  assert.equal(parseConfig({ ALLOWED_ORIGINS: '*' }).allowedOrigins, ['*']);
  assert.is(parseConfig({ IAM_CALLERS: numbered(20, (n) => `${ROLE}${n}`) }).iamCallers.length, 20);
});

reading('loadConfig reads what the process was started with', () => {
  const module = JSON.stringify(new URL('../../cdk/config.ts', import.meta.url));
  const script = `const { loadConfig } = await import(${module}); console.log(loadConfig().region);`;
  const env = { REGION_ID: 'eu-west-1' };
  const args = ['--input-type=module', '-e', script];
  assert.is(execFileSync(process.execPath, args, { env, encoding: 'utf8' }), 'eu-west-1\n');
});

reading('everything else is taken as it is', () => {
  const config = parseConfig({
    API_GATEWAY_TYPE: 'both',
    ENABLE_WAF: 'true',
    API_GATEWAY_LOG_ROLE: 'existing',
    RESERVED_CONCURRENCY: '10',
    PROVISIONED_CONCURRENCY: '10',
    LOG_RETENTION_DAYS: '3653',
    RETAIN_DATA: 'false',
    ALARM_EMAIL: 'ops+llm@mail.example.com',
    SETTINGS_MAX_AGE_SECONDS: '3600',
    REGION_ID: 'us-gov-west-1',
  });
  assert.is(config.hasFirewall, true);
  assert.is(config.logRole, 'existing');
  assert.is(config.reservedConcurrency, 10);
  assert.is(config.provisionedConcurrency, 10);
  assert.is(config.logRetentionDays, 3653);
  assert.is(config.retainData, false);
  assert.is(config.alarmEmail, 'ops+llm@mail.example.com');
  assert.is(config.settingsMaxAgeSeconds, 3600);
  assert.is(config.region, 'us-gov-west-1');
});

reading('variables of other programs are left alone', () => {
  const names =
    'PATH HOME USER SHELL PWD LANG CI REGION STATE STAGES STAGING PORT HOST NODE_ENV NODE_OPTIONS GITHUB_ACTIONS DEFAULT_LOCALE LOG_LEVEL STACK ' +
    'npm_config_cache npm_package_version npm_lifecycle_event CDK_DEFAULT_REGION CDK_DEFAULT_ACCOUNT CDK_OUTDIR CDK_CONTEXT_JSON ' +
    'AWS_REGION AWS_DEFAULT_REGION AWS_PROFILE AWS_ACCESS_KEY_ID AWS_VPC_ID AWS_ENDPOINT_URL AWS_STACK_NAME ADMIN_EMAIL ALLOWED_HOSTS ' +
    'LOCAL_API_KEYS LOCAL_IAM_KEYS FUNCTION_URL_PORT AWS_PORT FUNCTION_URL WEBSOCKET_URL GATEWAY_API_KEY DEFAULT_REGION CACHE_TTL';
  const env = Object.fromEntries(names.split(' ').map((name) => [name, 'x']));
  assert.equal(parseConfig(env), parseConfig({}));
  assert.equal(parseConfig({ ALOWED_MODELS: '' }), parseConfig({}), 'an empty one says nothing');
});

reading.run();

// ---

const warning = suite('parseConfig, warning');

const warningsOf = (env: Variables) => parseConfig(env).warnings;

warning('what is allowed but surprises is said', () => {
  const expected: readonly [env: Variables, warnings: readonly string[]][] = [
    [
      { ECR_REST_REPOSITORY: 'gateway:v1' },
      [
        'ECR_REST_REPOSITORY names the tag v1: a push to it deploys nothing; name a digest, as gateway@sha256:…',
      ],
    ],
    [
      { API_GATEWAY_TYPE: 'both', ECR_WEBSOCKET_REPOSITORY: 'gateway' },
      [
        'ECR_WEBSOCKET_REPOSITORY names the tag latest: a push to it deploys nothing; name a digest, as gateway@sha256:…',
      ],
    ],
    [
      VPC,
      [
        'VPC_ID puts the functions in a VPC: the Function URL may not stream from there, and Bedrock, DynamoDB and Parameter Store are reached only through a NAT gateway or endpoints.',
      ],
    ],
    [{ PROVISIONED_CONCURRENCY: '1' }, ['PROVISIONED_CONCURRENCY costs money while nobody calls.']],
    [
      { ENABLE_WAF: 'true' },
      ['ENABLE_WAF costs money while nobody calls, and stands before the REST API alone.'],
    ],
    [
      { ALLOWED_CIDRS: '203.0.113.0/24,2001:db8::/32' },
      ['ALLOWED_CIDRS limits the REST API alone; the other doors stay open to every address.'],
    ],
    ...['10.1.0.0/16', '172.31.0.0/16', '192.168.1.0/24', 'fd00::/8'].map((cidr): [Variables, string[]] => [
      { ALLOWED_CIDRS: cidr },
      [
        'ALLOWED_CIDRS limits the REST API alone; the other doors stay open to every address.',
        'ALLOWED_CIDRS has private addresses, which the REST API never sees: callers come in with their public ones.',
      ],
    ]),
    [{ RETAIN_DATA: 'false' }, ['RETAIN_DATA=false: destroy deletes the tables and all that is in them.']],
    [{ API_GATEWAY_LOG_ROLE: 'none' }, ['API_GATEWAY_LOG_ROLE=none: API Gateway writes no access logs.']],
    [
      { API_GATEWAY_TYPE: 'both', API_GATEWAY_USE_IAM_AUTH: 'true', IAM_CALLERS: ROLE },
      [
        'IAM_CALLERS of other accounts than the stack’s cannot open a WebSocket: that API has no resource policy to let them in.',
      ],
    ],
    [
      { OPENSEARCH_DOMAIN_ENDPOINT: 'abc123.us-east-1.aoss.amazonaws.com' },
      [
        'OPENSEARCH_DOMAIN_ENDPOINT is a collection: it needs a data access policy, which the output SearchAccessPolicy is.',
      ],
    ],
    [
      { OPENSEARCH_DOMAIN_ENDPOINT: `search-faq-${SEARCH_ID}.us-east-1.es.amazonaws.com` },
      [
        'OPENSEARCH_DOMAIN_ENDPOINT is a domain: where it has fine-grained access control, it has to map the roles of the output SearchRoles to a role of its own.',
      ],
    ],
    [
      { DEFAULT_MAX_TOKENS: '32769' },
      ['DEFAULT_MAX_TOKENS is cut to 32768 until the setting max-tokens-limit is raised.'],
    ],
    [
      { REGION_ID: 'eu-west-1', DEFAULT_MODEL: 'us.amazon.nova-pro-v1:0', ALLOWED_MODELS: '*' },
      ['DEFAULT_MODEL begins with us. and cannot be called from REGION_ID, eu-west-1.'],
    ],
    [
      { ECR_REGISTRY: 'x' },
      [
        'ECR_REGISTRY is not a variable of this deployment and does nothing; there are ECR_REST_REPOSITORY, ECR_WEBSOCKET_REPOSITORY.',
      ],
    ],
  ];
  for (const [env, warnings] of expected) assert.equal(warningsOf(env), warnings, JSON.stringify(env));
});

warning('what functions in a VPC need to reach OpenSearch is said', () => {
  const ways = {
    [`vpc-faq-${SEARCH_ID}.us-east-1.es.amazonaws.com`]:
      'OPENSEARCH_DOMAIN_ENDPOINT is in a VPC: the domain’s security groups have to let in HTTPS from VPC_SECURITY_GROUPS, and these have to let it out.',
    [`search-faq-${SEARCH_ID}.us-east-1.es.amazonaws.com`]:
      'OPENSEARCH_DOMAIN_ENDPOINT is reached from VPC_ID only through a NAT gateway.',
    'abc123.aoss.us-east-1.on.aws':
      'OPENSEARCH_DOMAIN_ENDPOINT is reached from VPC_ID only through a NAT gateway or an endpoint that its network policy lets in.',
  };
  for (const [endpoint, way] of Object.entries(ways)) {
    const found = warningsOf({ ...VPC, OPENSEARCH_DOMAIN_ENDPOINT: endpoint });
    assert.is(found.length, 3);
    assert.is(found[2], way);
  }
});

warning('what does not surprise is passed over in silence', () => {
  const quiet: Variables[] = [
    { ECR_REST_REPOSITORY: `gateway@${DIGEST}` },
    { API_GATEWAY_USE_IAM_AUTH: 'true', IAM_CALLERS: ROLE },
    { API_GATEWAY_TYPE: 'both', IAM_CALLERS: ROLE },
    { API_GATEWAY_TYPE: 'both', API_GATEWAY_USE_IAM_AUTH: 'true' },
    { DEFAULT_MAX_TOKENS: '32768' },
    { REGION_ID: 'ca-central-1', DEFAULT_MODEL: 'us.amazon.nova-pro-v1:0', ALLOWED_MODELS: '*' },
    { REGION_ID: 'us-west-2', DEFAULT_MODEL: 'us.amazon.nova-pro-v1:0', ALLOWED_MODELS: '*' },
    { ECR_REGISTRY: '' },
  ];
  for (const env of quiet) assert.equal(warningsOf(env), [], JSON.stringify(env));
});

warning.run();
