import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Config } from '../../cdk/config.ts';
import { find, synthesize } from './stacks.ts';

const doors: readonly (readonly [string, Partial<Config>])[] = [
  ['rest', { hasRest: true, hasWebSocket: false }],
  ['websocket', { hasRest: false, hasWebSocket: true }],
  ['both', { hasRest: true, hasWebSocket: true }],
];
const auths: readonly (readonly [string, Partial<Config>])[] = [
  ['keys', { useApiKey: true, useIam: false }],
  ['signatures', { useApiKey: false, useIam: true }],
  ['keys and signatures', { useApiKey: true, useIam: true }],
];
const callers = [
  'arn:aws:iam::111122223333:role/team/Caller',
  'arn:aws:iam::444455556666:user/anna',
  'arn:aws:iam::777788889999:root',
];
const extras: readonly (readonly [string, Partial<Config>])[] = [
  [
    'images from ECR',
    {
      images: {
        rest: { repository: 'llm-gateway-rest', tagOrDigest: 'latest' },
        websocket: { repository: 'team/llm-gateway-ws', tagOrDigest: `sha256:${'0'.repeat(64)}` },
      },
    },
  ],
  [
    'a VPC with a search domain in it',
    {
      network: {
        vpcId: 'vpc-0123456789abcdef0',
        subnetIds: ['subnet-0123456789abcdef0', 'subnet-0123456789abcdef1'],
        securityGroupIds: ['sg-0123456789abcdef0'],
      },
      openSearch: {
        endpoint: 'https://vpc-answers-abc.us-east-1.es.amazonaws.com',
        service: 'es',
        name: 'answers',
        region: 'us-east-1',
      },
    },
  ],
  [
    'a serverless search collection',
    {
      openSearch: {
        endpoint: 'https://abcdefghij0123456789.us-east-1.aoss.amazonaws.com',
        service: 'aoss',
        name: 'abcdefghij0123456789',
        region: 'us-east-1',
      },
    },
  ],
  ['a firewall', { hasFirewall: true }],
  ['CIDRs and keys', { allowedCidrs: ['192.0.2.0/24', '2001:db8::/32'] }],
  [
    'CIDRs and signatures',
    { allowedCidrs: ['192.0.2.0/24'], useApiKey: false, useIam: true, iamCallers: callers },
  ],
  ['a stage of its own', { stackName: 'LlmGatewayStack-prod' }],
  [
    'another region and other profiles',
    { region: 'eu-central-1', allowedModels: ['eu.amazon.nova-2-lite-v1:0', 'eu.*', '*'] },
  ],
  ['origins', { allowedOrigins: ['https://a.example', 'https://b.example'] }],
  ['any origin', { allowedOrigins: ['*'] }],
  ['no access logs', { logRole: 'none' }],
  ['the account’s own log role', { logRole: 'existing' }],
  ['concurrency reserved and provisioned', { reservedConcurrency: 20, provisionedConcurrency: 2 }],
  ['alarms by mail', { alarmEmail: 'ops@example.com' }],
  ['data that goes with the stack', { retainData: false }],
];

const synth = suite('synthesis');

for (const [door, doorConfig] of doors) {
  for (const [auth, authConfig] of auths) {
    synth(`with ${door} and ${auth} has no finding without a reason`, () => {
      const { findings, Resources } = synthesize({ ...doorConfig, ...authConfig, iamCallers: callers });
      assert.equal(findings, []);
      assert.ok(Object.keys(Resources).length > 40);
    });
  }
}

for (const [extra, config] of extras) {
  synth(`with ${extra} has no finding without a reason`, () => {
    assert.equal(synthesize(config).findings, []);
  });
}

synth(
  'would fail for a URL that takes whoever comes, and for a role that may do more than the list says',
  () => {
    const wrong = { openSearch: { endpoint: 'https://x', service: 'es', name: '*', region: '*' } } as const;
    assert.throws(() => synthesize(wrong), /ValidationFailed|Validation failed/);
  },
);

synth('gives two stages of one account nothing in common', () => {
  const names = (stackName: string) => {
    const template = synthesize({ stackName });
    const parameters = [...find(template, 'AWS::SSM::Parameter').values()].map(({ Name }) => String(Name));
    const tables = [...find(template, 'AWS::DynamoDB::GlobalTable').values()].flatMap(
      ({ TableName = [] }) => TableName,
    );
    const apis = [...find(template, 'AWS::ApiGateway::RestApi').values()].map(({ Name }) => String(Name));
    return { parameters, tables, apis };
  };
  const [one, other] = [names('LlmGatewayStack-test'), names('LlmGatewayStack-prod')];
  assert.ok(one.parameters.length > 15);
  assert.equal(one.tables, []);
  const shared = [...one.parameters, ...one.apis].filter((name) =>
    [...other.parameters, ...other.apis].includes(name),
  );
  assert.equal(shared, []);
});

synth.run();
