import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bundle } from '../../cdk/bundle.ts';
import { flatten, wildcards } from '../../cdk/findings.ts';
import { modelArns } from '../../cdk/models.ts';
import { settingsTable } from '../../src/chat/settings.ts';
import { environment, TABLE_KEY, TABLE_TTL, type TableShape, tables } from '../../src/names.ts';
import { find, type Json, only, type Properties, plainConfig, synthesize, type Template } from './stacks.ts';

const named = (template: Template, name: string) =>
  [...find(template, 'AWS::Lambda::Function')].find(([id]) => id.startsWith(`Functions${name}`))?.[1] ?? {};
const variables = (fn: Properties) => ((fn['Environment'] as Properties)?.['Variables'] ?? {}) as Properties;
const names = ['Http', 'WebSocket', 'Worker', 'FailedWork', 'Authorizer'];

// ---

const functions = suite('Functions');

functions('run on Node 24 on ARM, log as JSON, and may log what the setting log-level lets through', () => {
  const template = synthesize();
  assert.is(find(template, 'AWS::Lambda::Function').size, names.length);
  for (const name of names) {
    const { Runtime, Architectures, LoggingConfig } = named(template, name);
    assert.equal({ Runtime, Architectures }, { Runtime: 'nodejs24.x', Architectures: ['arm64'] });
    const { LogFormat, ApplicationLogLevel } = LoggingConfig as Properties;
    assert.equal({ LogFormat, ApplicationLogLevel }, { LogFormat: 'JSON', ApplicationLogLevel: 'DEBUG' });
  }
});

functions('keep their logs for as long as the deployment says', () => {
  for (const { RetentionInDays } of find(
    synthesize({ logRetentionDays: 7 }),
    'AWS::Logs::LogGroup',
  ).values()) {
    assert.is(RetentionInDays, 7);
  }
});

functions('have the time that their doors leave them', () => {
  const template = synthesize();
  const timeouts = names.map((name) => named(template, name)['Timeout']);
  assert.equal(timeouts, [900, 29, 900, 60, 10]);
});

functions('run what their bundles export', () => {
  const template = synthesize();
  const entries = {
    Http: 'http',
    WebSocket: 'websocket',
    Worker: 'websocket',
    FailedWork: 'websocket',
    Authorizer: 'authorizer',
  } as const;
  for (const [name, entry] of Object.entries(entries)) {
    const exported = Object.values(bundle(entry).metafile.outputs).flatMap(({ exports }) => exports);
    const [file, handler = ''] = String(named(template, name)['Handler']).split('.');
    assert.is(file, 'index');
    assert.ok(exported.includes(handler), `${name} runs ${handler}, which ${entry} does not export`);
  }
});

functions('find tables, settings and models by the names that the gateway reads', () => {
  const template = synthesize({ allowedOrigins: ['https://a.example'], settingsMaxAgeSeconds: 30 });
  for (const name of ['Http', 'WebSocket', 'Worker', 'FailedWork']) {
    const found = variables(named(template, name));
    for (const [table, { variable }] of Object.entries(tables)) assert.equal(found[variable], { Ref: table });
    assert.is(found[environment.settingsPath], '/LlmGatewayStack');
    assert.is(found[environment.settingsMaxAgeSeconds], '30');
    assert.is(found[environment.defaultModel], plainConfig.defaultModel);
    assert.is(found[environment.allowedModels], plainConfig.allowedModels.join());
    assert.is(found[environment.allowedOrigins], 'https://a.example');
  }
});

functions('of the WebSocket post to the stage of their API', () => {
  const template = synthesize();
  for (const name of ['WebSocket', 'Worker', 'FailedWork']) {
    const url = JSON.stringify(variables(named(template, name))['AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI']);
    assert.match(
      url,
      /^\{"Fn::Join":\["",\["https:\/\/",\{"Ref":"WebSocketDoorApi\w+"\},"\.execute-api\..*"\/live"\]\]\}$/,
    );
  }
});

functions('invoke the worker by its alias, which tries nothing twice and tells of failures', () => {
  const template = synthesize();
  const config = only(template, 'AWS::Lambda::EventInvokeConfig');
  const [aliasId] =
    [...find(template, 'AWS::Lambda::Alias')].find(([id]) => id.startsWith('FunctionsWorkerAlias')) ?? [];
  assert.is(config['MaximumRetryAttempts'], 0);
  assert.is(config['MaximumEventAgeInSeconds'], 60);
  assert.match(JSON.stringify(config['Qualifier']), `"Ref":"${aliasId}"`);
  assert.match(JSON.stringify(config['DestinationConfig']), '"FunctionsFailedWork');
  assert.match(
    JSON.stringify(variables(named(template, 'WebSocket'))[environment.workerFunction]),
    `"Ref":"${aliasId}"`,
  );
});

functions('do not depend on each other in a circle', () => {
  const { Resources } = synthesize();
  const edges = new Map(
    Object.entries(Resources).map(([id, resource]) => {
      const text = JSON.stringify(resource);
      const named = [
        ...text.matchAll(/"Ref":"(\w+)"|"Fn::GetAtt":\["(\w+)"|"DependsOn":(\[[^\]]*\]|"\w+")/g),
      ];
      const targets = named.flatMap(([, ref, attribute, list]) =>
        list ? (list.match(/\w+/g) ?? []) : [ref ?? attribute ?? ''],
      );
      return [id, targets.filter((target) => target in Resources)];
    }),
  );
  const done = new Set<string>();
  const visit = (id: string, path: readonly string[]) => {
    assert.not.ok(path.includes(id), [...path, id].join(' → '));
    if (done.has(id)) return;
    for (const target of edges.get(id) ?? []) visit(target, [...path, id]);
    done.add(id);
  };
  for (const id of edges.keys()) visit(id, []);
  assert.ok([...edges.values()].flat().length > 100);
});

functions('have no reserved and no provisioned concurrency unless it is asked for', () => {
  const texts = (changes: object) => JSON.stringify(synthesize(changes).Resources);
  assert.not.match(texts({}), /ReservedConcurrentExecutions|ProvisionedConcurrent/);
  const asked = synthesize({ reservedConcurrency: 20, provisionedConcurrency: 2 });
  const reserved = names.filter((name) => named(asked, name)['ReservedConcurrentExecutions'] === 20);
  assert.equal(reserved, ['Http', 'Worker']);
  for (const alias of find(asked, 'AWS::Lambda::Alias').values()) {
    assert.equal(alias['ProvisionedConcurrencyConfig'], { ProvisionedConcurrentExecutions: 2 });
  }
});

functions('come from images when these are named', () => {
  const template = synthesize({
    images: {
      rest: { repository: 'llm-gateway-rest', tagOrDigest: 'one' },
      websocket: { repository: 'llm-gateway-ws', tagOrDigest: `sha256:${'0'.repeat(64)}` },
    },
  });
  const commands = names.map((name) => JSON.stringify(named(template, name)['ImageConfig']));
  assert.equal(commands, [
    '{"Command":["index.handler"]}',
    '{"Command":["index.handler"]}',
    '{"Command":["index.worker"]}',
    '{"Command":["index.failedWork"]}',
    undefined,
  ]);
  assert.match(JSON.stringify(named(template, 'Http')['Code']), 'llm-gateway-rest:one');
  assert.match(JSON.stringify(named(template, 'Worker')['Code']), `llm-gateway-ws@sha256:`);
});

functions('that answer are in the VPC, and the rest need not be', () => {
  const network = {
    vpcId: 'vpc-01234567',
    subnetIds: ['subnet-01234567'],
    securityGroupIds: ['sg-01234567'],
  };
  const template = synthesize({ network });
  const inside = names.filter((name) => named(template, name)['VpcConfig']);
  assert.equal(inside, ['Http', 'WebSocket', 'Worker', 'FailedWork']);
  assert.equal(named(template, 'Http')['VpcConfig'], {
    SubnetIds: ['subnet-01234567'],
    SecurityGroupIds: ['sg-01234567'],
  });
});

functions.run();

// ---

const rights = suite('what roles may do');

type Statement = { readonly Action: string | string[]; readonly Resource: Json };

const statementsOf = ({ PolicyDocument }: Properties) =>
  (PolicyDocument as Properties)['Statement'] as unknown as Statement[];

const statements = (template: Template): Statement[] =>
  ['AWS::IAM::Policy', 'AWS::IAM::ManagedPolicy'].flatMap((type) =>
    [...find(template, type).values()].flatMap(statementsOf),
  );

/** Texts of a resource, with `<…>` for what only the deployment knows. */
const texts = (resource: Json): string[] =>
  (Array.isArray(resource) ? resource : [resource]).map((one) =>
    typeof one === 'string' ? one : flatten(one),
  );

const everything = synthesize({
  useApiKey: false,
  useIam: true,
  network: { vpcId: 'vpc-01234567', subnetIds: ['subnet-01234567'], securityGroupIds: ['sg-01234567'] },
  openSearch: {
    endpoint: 'https://search-a-b.us-east-1.es.amazonaws.com',
    service: 'es',
    name: 'a',
    region: 'us-east-1',
  },
});

rights('name no resource with a * that is not in the list', () => {
  const found = statements(everything)
    .flatMap(({ Resource }) => texts(Resource))
    .filter((text) => text.includes('*'));
  assert.ok(found.length > 8);
  assert.equal(
    found.filter((text) => !wildcards.some(({ of }) => of.test(text))),
    [],
  );
});

rights('name everything only for network interfaces, and only in a VPC', () => {
  const open = (template: Template) =>
    statements(template).filter(({ Resource }) => texts(Resource).includes('*'));
  assert.equal(open(synthesize()), []);
  for (const { Action } of open(everything)) {
    assert.ok(
      [Action].flat().every((action) => /^ec2:.*(NetworkInterface|Subnets|IpAddresses)/.test(action)),
    );
  }
});

rights('have no action with a *', () => {
  const actions = statements(everything).flatMap(({ Action }) => Action);
  assert.equal(
    actions.filter((action) => action.includes('*')),
    [],
  );
});

rights('read settings and do not write them', () => {
  const actions = statements(everything)
    .flatMap(({ Action }) => Action)
    .filter((action) => action.startsWith('ssm:'));
  assert.equal([...new Set(actions)], ['ssm:GetParametersByPath']);
});

rights('let only the functions that answer ask models', () => {
  const asking = [...find(everything, 'AWS::IAM::Policy')]
    .filter(([, policy]) => JSON.stringify(policy).includes('bedrock:InvokeModel'))
    .map(([id]) => /^Functions(\w+?)Role/.exec(id)?.[1]);
  assert.equal(asking.sort(), ['Http', 'Worker']);
});

rights('give the authorizer its log and nothing else', () => {
  const policies = [...find(synthesize(), 'AWS::IAM::Policy')].filter(([id]) =>
    id.startsWith('FunctionsAuthorizer'),
  );
  const actions = policies.flatMap(([, policy]) => statementsOf(policy)).flatMap(({ Action }) => Action);
  assert.equal(actions, ['logs:CreateLogStream', 'logs:PutLogEvents']);
});

rights.run();

// ---

const models = suite('modelArns');

const short = (model: string) =>
  modelArns(model, { region: 'eu-west-1' }).map((arn) =>
    arn.replace(/\$\{Token\[[^\]]*AWS\.(\w+)[^\]]*\]\}/g, '<$1>'),
  );

for (const [model, ...expected] of [
  ['openai.gpt-oss-120b-1:0', 'arn:<Partition>:bedrock:eu-west-1::foundation-model/openai.gpt-oss-120b-1:0'],
  [
    'eu.amazon.nova-2-lite-v1:0',
    'arn:<Partition>:bedrock:eu-west-1:<AccountId>:inference-profile/eu.amazon.nova-2-lite-v1:0',
    'arn:<Partition>:bedrock:eu-*::foundation-model/amazon.nova-2-lite-v1:0',
  ],
  [
    'global.amazon.nova-2-lite-v1:0',
    'arn:<Partition>:bedrock:eu-west-1:<AccountId>:inference-profile/global.amazon.nova-2-lite-v1:0',
    'arn:<Partition>:bedrock:eu-west-1::foundation-model/amazon.nova-2-lite-v1:0',
    'arn:<Partition>:bedrock:::foundation-model/amazon.nova-2-lite-v1:0',
  ],
  ['anthropic.*', 'arn:<Partition>:bedrock:eu-west-1::foundation-model/anthropic.*'],
  [
    'us.anthropic.*',
    'arn:<Partition>:bedrock:eu-west-1:<AccountId>:inference-profile/us.anthropic.*',
    'arn:<Partition>:bedrock:us-*::foundation-model/anthropic.*',
  ],
  [
    '*',
    'arn:<Partition>:bedrock:eu-west-1:<AccountId>:inference-profile/*',
    'arn:<Partition>:bedrock:*::foundation-model/*',
    'arn:<Partition>:bedrock:::foundation-model/*',
  ],
  [
    'arn:aws:bedrock:eu-west-1:111122223333:application-inference-profile/abc',
    'arn:aws:bedrock:eu-west-1:111122223333:application-inference-profile/abc',
  ],
] as const) {
  models(`of ${model} are what Bedrock checks`, () => {
    assert.equal(short(model), expected);
  });
}

models('of a profile of the own account let through the models behind it, and no way past it', () => {
  const arn = 'arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/abc';
  const text = JSON.stringify(
    find(synthesize({ allowedModels: [arn] }), 'AWS::IAM::Policy')
      .values()
      .toArray(),
  );
  assert.match(text, `"Condition":{"StringLike":{"bedrock:InferenceProfileArn":["${arn}"]}}`);
});

models('are as many as ALLOWED_MODELS may hold, and no policy is longer than IAM takes', () => {
  const allowedModels = Array.from({ length: 45 }, (_, n) => `global.anthropic.claude-sonnet-4-6-v1:${n}`);
  const template = synthesize({ allowedModels });
  const written = (policy: Properties) =>
    JSON.stringify(policy['PolicyDocument'], (_, value) => (value?.['Fn::Join'] ? flatten(value) : value));
  // What stands for the account’s number is one letter longer than it.
  const lengths = (type: string) =>
    [...find(template, type).values()].map((policy) => written(policy).length);
  assert.ok(lengths('AWS::IAM::ManagedPolicy').length > 1);
  assert.equal(
    lengths('AWS::IAM::ManagedPolicy').filter((length) => length > 6_144),
    [],
  );
  assert.equal(
    lengths('AWS::IAM::Policy').filter((length) => length > 10_240),
    [],
  );
});

models.run();

// ---

const data = suite('Tables');

data('have the keys, the index and the expiry that the gateway works with, and no name of their own', () => {
  const template = synthesize();
  const found = find(template, 'AWS::DynamoDB::GlobalTable');
  assert.equal([...found.keys()].sort(), Object.keys(tables).sort());
  for (const [name, { sortKey, index }] of Object.entries<TableShape>(tables)) {
    const table = found.get(name) ?? {};
    assert.equal(table['KeySchema'], keySchema(TABLE_KEY, sortKey?.name));
    assert.equal(table['TimeToLiveSpecification'], { AttributeName: TABLE_TTL, Enabled: true });
    assert.is(table['BillingMode'], 'PAY_PER_REQUEST');
    assert.is(table['TableName'], undefined);
    const [given] = (table['GlobalSecondaryIndexes'] ?? []) as Properties[];
    assert.equal(given?.['KeySchema'], index && keySchema(index.key, index.sortKey));
    assert.is(given?.['IndexName'], index?.name);
    const types = new Map(
      (table['AttributeDefinitions'] as Properties[]).map((one) => [
        one['AttributeName'],
        one['AttributeType'],
      ]),
    );
    if (sortKey) assert.is(types.get(sortKey.name), sortKey.type);
  }
});

const keySchema = (key: string, sortKey: string | undefined) => [
  { AttributeName: key, KeyType: 'HASH' },
  ...(sortKey === undefined ? [] : [{ AttributeName: sortKey, KeyType: 'RANGE' }]),
];

data('can be restored to any second', () => {
  for (const { Replicas } of find(synthesize(), 'AWS::DynamoDB::GlobalTable').values()) {
    assert.match(JSON.stringify(Replicas), '"PointInTimeRecoveryEnabled":true');
  }
});

data(
  'stay when the stack goes, unless the deployment says otherwise; what is only going on never does',
  () => {
    const kept = (retainData: boolean) =>
      Object.entries(synthesize({ retainData }).Resources)
        .filter(
          ([, { Type, DeletionPolicy }]) =>
            Type === 'AWS::DynamoDB::GlobalTable' && DeletionPolicy === 'Retain',
        )
        .map(([id]) => id);
    assert.equal(kept(true).sort(), ['answers', 'chats', 'usage']);
    assert.equal(kept(false), []);
  },
);

data.run();

// ---

const settings = suite('InitialSettings');

settings('make a parameter for every setting with a first value', () => {
  const parameters = [...find(synthesize(), 'AWS::SSM::Parameter').values()];
  const given = new Map(parameters.map(({ Name, Value }) => [Name, Value]));
  const allowedModels = plainConfig.allowedModels.join();
  const expected = settingsTable
    .map(({ name, default: text }) => [name, name === 'allowed-models' ? allowedModels : text])
    .filter(([, text]) => text)
    .map(([name, text]) => [`/LlmGatewayStack/${name}`, text]);
  assert.equal([...given].sort(), expected.sort());
  for (const { Type } of parameters) assert.is(Type, 'String');
});

settings('change nothing else when one of them changes', () => {
  const values = new Map([...plainConfig.settings, ['default-max-tokens', '512']]);
  const [before, after] = [synthesize(), synthesize({ settings: values })].map(({ Resources }) => Resources);
  const changed = Object.keys(before ?? {}).filter(
    (id) => JSON.stringify(before?.[id]) !== JSON.stringify(after?.[id]),
  );
  assert.is(changed.length, 1);
  assert.is(after?.[changed[0] ?? '']?.Properties?.['Name'], '/LlmGatewayStack/default-max-tokens');
});

settings.run();

// ---

const outputs = suite('outputs');

outputs('say where everything is', () => {
  const { Outputs } = synthesize();
  assert.equal(Object.keys(Outputs).sort(), [
    'AnswersTable',
    'ApiKeyId',
    'CallerPolicyArn',
    'ChatsTable',
    'ConnectionsTable',
    'DashboardUrl',
    'FunctionUrl',
    'NextBulkUpload',
    'NextCall',
    'NextSettings',
    'NextShowApiKey',
    'NextSmoke',
    'OpenAIBaseUrl',
    'RequestsTable',
    'RestUrl',
    'SettingsPath',
    'UsagePlanId',
    'UsageTable',
    'UsesIam',
    'WebSocketUrl',
  ]);
});

outputs('hold no secret', () => {
  assert.not.match(JSON.stringify(synthesize()), /AKIA|SecretAccessKey|SecureString|password/i);
});

outputs.run();
