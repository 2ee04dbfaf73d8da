/** Where `npm run bulk-upload -- --similar` finds the index and the model, and which of their failures may pass. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { findSearch, requirePassing } from '../../scripts/bulk-upload/search.ts';
import { findPlace } from '../../scripts/bulk-upload/table.ts';
import { OpenSearchError } from '../../src/aws/opensearch.ts';
import { type ErrorCode, GatewayError } from '../../src/chat/errors.ts';

const keys = { accessKeyId: 'local', secretAccessKey: 'local' };

const place = suite('findSearch');

const search = (env: NodeJS.ProcessEnv, where = {}) => findSearch(findPlace('a', where, env), env);

place('for a table on this machine it is the gateway on this machine, whatever is deployed', async () => {
  const deployed = {
    OPENSEARCH_DOMAIN_ENDPOINT: `https://search-faq-${'a'.repeat(26)}.eu-west-1.es.amazonaws.com`,
  };
  for (const [where, env, endpoint, bedrock] of [
    [{ localPort: '4566' }, {}, 'http://127.0.0.1:4566/opensearch', 'http://127.0.0.1:4566'],
    [{ localPort: '1' }, { AWS_PORT: '1' }, 'http://127.0.0.1:1/opensearch', 'http://127.0.0.1:1'],
    [{ url: 'http://localhost:8000' }, {}, 'http://127.0.0.1:4566/opensearch', 'http://127.0.0.1:4566'],
    [
      { localPort: '4566' },
      {
        AWS_ENDPOINT_URL_BEDROCK_RUNTIME: 'http://127.0.0.1:2',
        AWS_ENDPOINT_URL_OPENSEARCH: 'http://127.0.0.1:3',
      },
      'http://127.0.0.1:3',
      'http://127.0.0.1:2',
    ],
  ] as const) {
    const found = search({ ...deployed, ...env }, where);
    assert.equal([found.endpoint, found.bedrock.endpoint], [endpoint, bedrock]);
    assert.equal([await found.credentials?.(), found.bedrock.credentials], [keys, keys]);
  }
});

place('a Bedrock that is not on this machine is asked with the credentials of AWS', () => {
  const { bedrock } = search(
    {
      AWS_ENDPOINT_URL_BEDROCK_RUNTIME: 'https://bedrock-runtime.eu-west-1.amazonaws.com',
      REGION_ID: 'eu-west-1',
    },
    { localPort: '4566' },
  );
  assert.equal(
    [bedrock.endpoint, bedrock.region, bedrock.credentials],
    ['https://bedrock-runtime.eu-west-1.amazonaws.com', 'eu-west-1', undefined],
  );
});

place('for a table in AWS it is what OPENSEARCH_DOMAIN_ENDPOINT names, in its own region', () => {
  for (const [host, service] of [
    [`vpc-faq-${'a'.repeat(26)}.eu-west-1.es.amazonaws.com`, 'es'],
    ['abc123def456ghi789jk.eu-west-1.aoss.amazonaws.com', 'aoss'],
  ] as const) {
    const found = search({ OPENSEARCH_DOMAIN_ENDPOINT: ` ${host} `, REGION_ID: 'eu-north-1' });
    const { endpoint, region, bedrock } = found;
    assert.equal([endpoint, found.service, region], [`https://${host}`, service, 'eu-west-1']);
    assert.equal(
      [bedrock.region, bedrock.endpoint, bedrock.credentials],
      ['eu-north-1', undefined, undefined],
    );
    assert.is(found.credentials, undefined);
  }
});

place('the index is that of the stack, also for a table that is named', () => {
  const here = { localPort: '4566' };
  assert.is(search({}, here).index, 'llmgatewaystack-questions-titan-v2');
  assert.is(search({ STACK_NAME: 'Faq', STAGE: 'dev' }, here).index, 'faq-dev-questions-titan-v2');
});

place('without an endpoint, or with none that AWS gave out, it is a sentence', () => {
  for (const text of [undefined, '', 'https://search.example.com', 'http://127.0.0.1:4566/opensearch']) {
    assert.throws(
      () => search({ OPENSEARCH_DOMAIN_ENDPOINT: text }),
      /^--similar needs the index: OPENSEARCH_DOMAIN_ENDPOINT must be /,
    );
  }
});

place.run();

// ---

const trouble = suite('requirePassing');

const outcomeOf = (error: unknown) => {
  const table = findPlace('answers', { localPort: '4566' }, {});
  try {
    return requirePassing(error, table, findSearch(table, {}));
  } catch (thrown) {
    return thrown === error ? 'thrown on' : String(thrown);
  }
};

trouble('what may pass is named by whom it is waited for, and what is a mistake of ours is thrown on', () => {
  const timeout = new DOMException('The operation was aborted due to timeout', 'TimeoutError');
  assert.equal(
    [
      timeout,
      new TypeError('fetch failed', { cause: new Error('ECONNREFUSED') }),
      new OpenSearchError(429),
    ].map(outcomeOf),
    ['OpenSearch', 'OpenSearch', 'OpenSearch'],
  );
  const codes: ErrorCode[] = [
    'upstream_throttled',
    'upstream_error',
    'upstream_timeout',
    'upstream_unreachable',
  ];
  assert.equal([...new Set(codes.map((code) => outcomeOf(new GatewayError(code, ''))))], ['Bedrock']);
  assert.match(String(outcomeOf(new OpenSearchError(401))), 'refused these AWS credentials (401);');
  assert.is(outcomeOf(new TypeError('ours')), 'thrown on');
  const expired = Object.assign(new Error('SECRET'), { name: 'CredentialsProviderError' });
  assert.match(String(outcomeOf(expired)), 'There are no AWS credentials; set AWS_PROFILE,');
});

trouble.run();
