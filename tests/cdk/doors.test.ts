import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { edgeRefusals, toTemplate } from '../../cdk/gateway-responses.ts';
import { type ErrorCode, GatewayError } from '../../src/chat/errors.ts';
import { toEnvelope, toErrorResponse } from '../../src/doors/envelope.ts';
import { find, only, type Properties, synthesize, type Template } from './stacks.ts';

const keys = { useApiKey: true, useIam: false };
const signatures = { useApiKey: false, useIam: true };
const both = { useApiKey: true, useIam: true };
const caller = 'arn:aws:iam::111122223333:role/team/Caller';

const methods = (template: Template) => [...find(template, 'AWS::ApiGateway::Method').values()];
const route = (template: Template, key: string) =>
  only(template, 'AWS::ApiGatewayV2::Route', ({ RouteKey }) => RouteKey === key);
const pick = (properties: Properties, ...names: readonly string[]) =>
  Object.fromEntries(names.map((name) => [name, properties[name]]));
const permissions = (template: Template, action: string, principal: string) =>
  [...find(template, 'AWS::Lambda::Permission').values()].filter(
    ({ Action, Principal }) => Action === action && Principal === principal,
  );

// ---

const rest = suite('RestDoor');

for (const [config, expected] of [
  [keys, { AuthorizationType: 'CUSTOM', ApiKeyRequired: true }],
  [signatures, { AuthorizationType: 'AWS_IAM', ApiKeyRequired: false }],
  [both, { AuthorizationType: 'AWS_IAM', ApiKeyRequired: true }],
] as const) {
  rest(`leaves no method open with ${JSON.stringify(config)}`, () => {
    const found = methods(synthesize(config));
    assert.is(found.length, 2);
    for (const method of found) {
      assert.is(method['HttpMethod'], 'ANY');
      assert.equal(pick(method, 'AuthorizationType', 'ApiKeyRequired'), expected);
    }
  });
}

rest('lets preflights through, and nothing else, once there are origins', () => {
  const open = methods(synthesize({ allowedOrigins: ['https://a.example'] })).filter(
    ({ AuthorizationType }) => AuthorizationType === 'NONE',
  );
  assert.equal(
    open.map(({ HttpMethod }) => HttpMethod),
    ['OPTIONS', 'OPTIONS'],
  );
});

rest('finds the key by the authorizer, without an identity source and without a cache', () => {
  const template = synthesize(keys);
  const { IdentitySource, AuthorizerResultTtlInSeconds, Type } = only(
    template,
    'AWS::ApiGateway::Authorizer',
  );
  assert.equal(
    { IdentitySource, AuthorizerResultTtlInSeconds, Type },
    {
      IdentitySource: '',
      AuthorizerResultTtlInSeconds: 0,
      Type: 'REQUEST',
    },
  );
  assert.is(only(template, 'AWS::ApiGateway::RestApi')['ApiKeySourceType'], 'AUTHORIZER');
});

rest('takes the key from x-api-key alone when signatures are wanted too, and has no authorizer then', () => {
  const template = synthesize(both);
  assert.is(only(template, 'AWS::ApiGateway::RestApi')['ApiKeySourceType'], 'HEADER');
  assert.is(find(template, 'AWS::ApiGateway::Authorizer').size, 0);
});

rest('is regional and streams for up to 15 minutes, on every method', () => {
  const template = synthesize({ allowedOrigins: ['https://a.example'] });
  const { EndpointConfiguration } = only(template, 'AWS::ApiGateway::RestApi');
  assert.equal(EndpointConfiguration, { Types: ['REGIONAL'] });
  for (const { Integration } of methods(template)) {
    const text = JSON.stringify(Integration);
    assert.match(text, '"ResponseTransferMode":"STREAM"');
    assert.match(text, '"TimeoutInMillis":900000');
    assert.match(text, '/response-streaming-invocations');
  }
});

rest('needs one permission for all of its paths', () => {
  const found = permissions(
    synthesize(signatures),
    'lambda:InvokeFunction',
    'apigateway.amazonaws.com',
  ).filter(({ SourceArn = '' }) => JSON.stringify(SourceArn).includes('RestDoor'));
  assert.is(found.length, 1);
});

rest('has a stage that is not named like the paths behind it, and logs without the key', () => {
  const stage = only(synthesize(), 'AWS::ApiGateway::Stage');
  assert.is(stage['StageName'], 'live');
  const text = JSON.stringify(stage['AccessLogSetting']);
  assert.match(text, '$context.identity.apiKeyId');
  assert.not.match(text, /\$context\.identity\.apiKey\W|userArn|authorizer/);
});

rest('answers at the edge what the gateway itself would answer', async () => {
  for (const refusal of edgeRefusals) {
    const error = new GatewayError(refusal.code as ErrorCode, refusal.message, {
      ...(refusal.code === 'overloaded' && { retryAfterSeconds: 1 }),
    });
    const own = toEnvelope(error, '$context.requestId');
    assert.equal(JSON.parse(toTemplate(refusal)), own);
    const { headers } = toErrorResponse(error, 'x');
    const response = only(
      synthesize(),
      'AWS::ApiGateway::GatewayResponse',
      ({ ResponseType }) => ResponseType === refusal.type.responseType,
    );
    const quoted = (name: string) => (headers.has(name) ? `'${headers.get(name)}'` : undefined);
    const given = response['ResponseParameters'] as Properties;
    assert.is(given['gatewayresponse.header.retry-after'], quoted('retry-after'));
    assert.is(given['gatewayresponse.header.x-should-retry'], quoted('x-should-retry'));
    assert.is(given['gatewayresponse.header.x-request-id'], 'context.requestId');
    assert.is(response['StatusCode'], String(own.error.status));
  }
});

rest('turns a wrong key into a 401', () => {
  const refusal = edgeRefusals.find(({ type }) => type.responseType === 'INVALID_API_KEY');
  assert.equal([refusal?.status, refusal?.code], [401, 'unauthorized']);
});

rest('repeats the CORS headers of the app on its own refusals', () => {
  const originOf = (...allowedOrigins: readonly string[]) => {
    const found = [...find(synthesize({ allowedOrigins }), 'AWS::ApiGateway::GatewayResponse').values()];
    const origins = found.map(
      ({ ResponseParameters }) =>
        (ResponseParameters as Properties)['gatewayresponse.header.access-control-allow-origin'],
    );
    return [...new Set(origins)];
  };
  assert.equal(originOf(), [undefined]);
  assert.equal(originOf('https://a.example'), ["'https://a.example'"]);
  assert.equal(originOf('https://a.example', 'https://b.example'), ["'*'"]);
});

rest(
  'refuses whoever calls from elsewhere, and lets the callers of other accounts in where they sign',
  () => {
    const policyOf = (template: Template) =>
      only(template, 'AWS::ApiGateway::RestApi')['Policy'] as Properties;
    const allowedCidrs = ['192.0.2.0/24'];
    const [allow, deny] = (policyOf(synthesize({ allowedCidrs }))['Statement'] as Properties[]) ?? [];
    assert.equal(pick(allow ?? {}, 'Effect', 'Principal'), { Effect: 'Allow', Principal: { AWS: '*' } });
    assert.equal(pick(deny ?? {}, 'Effect', 'Condition'), {
      Effect: 'Deny',
      Condition: { NotIpAddress: { 'aws:SourceIp': allowedCidrs } },
    });
    const signed = policyOf(synthesize({ ...signatures, allowedCidrs, iamCallers: [caller] }));
    assert.equal(
      (signed['Statement'] as Properties[]).map((statement) => pick(statement, 'Effect', 'Principal')),
      [
        { Effect: 'Allow', Principal: { AWS: caller } },
        { Effect: 'Deny', Principal: { AWS: '*' } },
      ],
    );
    assert.is(policyOf(synthesize(keys)), undefined);
  },
);

rest.run();

// ---

const webSocket = suite('WebSocketDoor');

for (const [config, type, keyRequired, selection] of [
  [keys, 'CUSTOM', true, '$context.authorizer.usageIdentifierKey'],
  [signatures, 'AWS_IAM', false, undefined],
  [both, 'AWS_IAM', true, '$request.header.x-api-key'],
] as const) {
  webSocket(`asks at $connect who it is, with ${JSON.stringify(config)}`, () => {
    const template = synthesize(config);
    assert.equal(pick(route(template, '$connect'), 'AuthorizationType', 'ApiKeyRequired'), {
      AuthorizationType: type,
      ApiKeyRequired: keyRequired,
    });
    assert.is(only(template, 'AWS::ApiGatewayV2::Api')['ApiKeySelectionExpression'], selection);
  });
}

webSocket('has an authorizer that is asked whatever the client sent', () => {
  assert.equal(only(synthesize(keys), 'AWS::ApiGatewayV2::Authorizer')['IdentitySource'], []);
});

webSocket('sends all else to one function', () => {
  const template = synthesize();
  const targets = ['$connect', '$disconnect', '$default'].map((key) =>
    JSON.stringify(route(template, key)['Target']),
  );
  assert.is(new Set(targets).size, 1);
  assert.is(find(template, 'AWS::ApiGatewayV2::Route').size, 3);
});

webSocket('has a stage with throttles and logs', () => {
  const stage = only(synthesize(), 'AWS::ApiGatewayV2::Stage');
  assert.equal(stage['DefaultRouteSettings'], { ThrottlingBurstLimit: 2000, ThrottlingRateLimit: 1000 });
  assert.is(stage['AutoDeploy'], true);
  assert.match(JSON.stringify(stage['AccessLogSettings']), '$context.connectionId');
});

webSocket.run();

// ---

const functionUrl = suite('FunctionUrlDoor');

functionUrl('takes signatures only, streams, and leads to the alias', () => {
  const url = only(synthesize(), 'AWS::Lambda::Url');
  assert.equal(pick(url, 'AuthType', 'InvokeMode', 'Qualifier'), {
    AuthType: 'AWS_IAM',
    InvokeMode: 'RESPONSE_STREAM',
    Qualifier: 'live',
  });
});

functionUrl('lets each caller in by both permissions, and into the function by its URL alone', () => {
  const template = synthesize({ iamCallers: [caller] });
  const [url, ...moreUrls] = permissions(template, 'lambda:InvokeFunctionUrl', caller);
  const [invoke, ...moreInvokes] = permissions(template, 'lambda:InvokeFunction', caller);
  assert.equal([moreUrls, moreInvokes], [[], []]);
  assert.is(url?.['FunctionUrlAuthType'], 'AWS_IAM');
  assert.is(invoke?.['InvokedViaFunctionUrl'], true);
});

functionUrl('is open to nobody unless somebody is named', () => {
  const principals = [...find(synthesize({ iamCallers: [] }), 'AWS::Lambda::Permission').values()].map(
    ({ Principal }) => Principal,
  );
  assert.equal([...new Set(principals)], ['apigateway.amazonaws.com']);
});

functionUrl('has CORS of its own where there are origins, without OPTIONS, which Lambda would refuse', () => {
  assert.is(only(synthesize(), 'AWS::Lambda::Url')['Cors'], undefined);
  const cors = only(synthesize({ allowedOrigins: ['https://a.example'] }), 'AWS::Lambda::Url')['Cors'];
  assert.equal(pick(cors as Properties, 'AllowOrigins', 'AllowMethods'), {
    AllowOrigins: ['https://a.example'],
    AllowMethods: ['GET', 'POST', 'DELETE'],
  });
});

functionUrl.run();

// ---

const callers = suite('Callers');

const statementsOf = (template: Template) => {
  const { PolicyDocument } = only(template, 'AWS::IAM::ManagedPolicy');
  return (PolicyDocument as Properties)['Statement'] as Properties[];
};

callers('may use the URL, and the function only through it', () => {
  const statements = statementsOf(synthesize(keys));
  assert.equal(
    statements.map((statement) => pick(statement, 'Action', 'Condition')),
    [
      {
        Action: 'lambda:InvokeFunctionUrl',
        Condition: { StringEquals: { 'lambda:FunctionUrlAuthType': 'AWS_IAM' } },
      },
      { Action: 'lambda:InvokeFunction', Condition: { Bool: { 'lambda:InvokedViaFunctionUrl': 'true' } } },
    ],
  );
});

callers('may use the doors of API Gateway where these take signatures', () => {
  const [, , doors] = statementsOf(synthesize(signatures));
  assert.is(doors?.['Action'], 'execute-api:Invoke');
  assert.match(JSON.stringify(doors?.['Resource']), '/live/$connect');
});

callers('of the own account get the policy, those of others do not', () => {
  const iamCallers = [caller, 'arn:aws:iam::444455556666:user/anna', 'arn:aws:iam::777788889999:root'];
  const template = synthesize({ iamCallers });
  const { Roles, Users } = only(template, 'AWS::IAM::ManagedPolicy');
  assert.match(JSON.stringify(Roles), /^\[\{"Fn::If":\["\w+","Caller",\{"Ref":"AWS::NoValue"\}\]\}\]$/);
  assert.match(JSON.stringify(Users), /^\[\{"Fn::If":\["\w+","anna",\{"Ref":"AWS::NoValue"\}\]\}\]$/);
});

callers.run();

// ---

const apiKey = suite('FirstApiKey');

apiKey('is of one plan for both APIs, and its value stands nowhere', () => {
  const template = synthesize(keys);
  const stages = only(template, 'AWS::ApiGateway::UsagePlan')['ApiStages'] as Properties[];
  assert.is(stages.length, 2);
  assert.is(only(template, 'AWS::ApiGateway::ApiKey')['Value'], undefined);
  assert.match(JSON.stringify(template.Outputs['NextShowApiKey']), '--include-value');
});

apiKey('is not made where only signatures count', () => {
  assert.is(find(synthesize(signatures), 'AWS::ApiGateway::ApiKey').size, 0);
});

apiKey.run();

// ---

const firewall = suite('Firewall');

firewall('judges callers and rates, and only counts what it finds in bodies', () => {
  const template = synthesize({ hasFirewall: true });
  const rules = only(template, 'AWS::WAFv2::WebACL')['Rules'] as Properties[];
  assert.equal(
    rules.map(({ Name }) => Name),
    [
      'Rate',
      'AWSManagedRulesAmazonIpReputationList',
      'AWSManagedRulesCommonRuleSet',
      'AWSManagedRulesKnownBadInputsRuleSet',
    ],
  );
  const counted = JSON.stringify(rules).match(/\{"ActionToUse":\{"Count":\{\}\},"Name":"\w+"\}/g) ?? [];
  for (const rule of [
    'SizeRestrictions_BODY',
    'CrossSiteScripting_BODY',
    'GenericRFI_BODY',
    'Log4JRCE_BODY',
  ]) {
    assert.ok(
      counted.some((text) => text.includes(`"${rule}"`)),
      `${rule} blocks`,
    );
  }
  assert.match(JSON.stringify(only(template, 'AWS::WAFv2::WebACLAssociation')), '/stages/');
});

firewall('is not there unless it is asked for', () => {
  assert.is(find(synthesize(), 'AWS::WAFv2::WebACL').size, 0);
});

firewall.run();
