/** What a deployment with an endpoint of OpenSearch has for it, held against what the gateway asks there. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { flatten } from '../../cdk/findings.ts';
import { createOpenSearch } from '../../src/aws/opensearch.ts';
import { CURATED, embeddingModel, toCuratedEntry } from '../../src/chat/similarity.ts';
import { environment, questionsIndex, settingsPath } from '../../src/names.ts';
import { searchKeys, startOpenSearch } from '../helpers/opensearch.ts';
import { find, type Json, type Properties, synthesize, type Template } from './stacks.ts';

const domain = {
  endpoint: 'https://search-faq-1a2a3a4a5a6a7a8a9a0a9a8a7a.us-east-1.es.amazonaws.com',
  service: 'es',
  name: 'faq',
  region: 'us-east-1',
} as const;
const collection = {
  endpoint: 'https://1tg2xudton46knx2a95g.aoss.us-east-1.on.aws',
  service: 'aoss',
  name: '1tg2xudton46knx2a95g',
  region: 'us-east-1',
} as const;

const INDEX = 'llmgatewaystack-questions-titan-v2';
const arn = (service: string, resource: string) =>
  `arn:<AWS::Partition>:${service}:us-east-1:<AWS::AccountId>:${resource}`;

type Right = { readonly role: string; readonly action: string; readonly resource: string };

/** Every action on every resource, by the function whose role may do it. */
const rightsOf = (template: Template): Right[] =>
  [...find(template, 'AWS::IAM::Policy')].flatMap(([id, { PolicyDocument }]) => {
    const role = /^Functions(\w+?)Role/.exec(id)?.[1] ?? id;
    const statements = (PolicyDocument as Properties)['Statement'] as Properties[];
    return statements.flatMap(({ Action = [], Resource = [] }) =>
      listOf(Action).flatMap((action) =>
        listOf(Resource).map((resource) => ({ role, action: flatten(action), resource: flatten(resource) })),
      ),
    );
  });

const listOf = (value: Json): readonly Json[] => (Array.isArray(value) ? value : [value]);

const isOfSearch = ({ action }: Right) => /^(es|aoss):/.test(action);

const namesOf = (rights: readonly Right[]) => [...new Set(rights.map(({ role }) => role))].sort();

/** The functions that are told where it is. */
const toldOf = (template: Template): string[] =>
  [...find(template, 'AWS::Lambda::Function')]
    .filter(([, fn]) => JSON.stringify(fn).includes(environment.openSearchEndpoint))
    .map(([id]) => /^Functions(Http|WebSocket|Worker|FailedWork|Authorizer)/.exec(id)?.[1] ?? id)
    .sort();

/** All that the gateway asks of an index, as `POST /<index>/_search`. */
async function callsOfTheGateway(): Promise<readonly string[]> {
  const stand = await startOpenSearch();
  try {
    const signing = { credentials: async () => searchKeys, region: 'us-east-1' };
    const index = createOpenSearch({ endpoint: stand.url, index: INDEX, ...signing });
    const { signal } = new AbortController();
    const vector = Array.from({ length: embeddingModel.dimensions }, (_, at) => Math.cos(at));
    await index.add([toCuratedEntry('hello', vector)], signal);
    const wanted = { tenants: ['*'], audiences: [CURATED], figures: '', vector, now: 0 };
    assert.is((await index.nearest(wanted, signal)).length, 1);
    assert.equal([...(await index.known(['hello'], 0, signal))], ['hello']);
    return stand.calls;
  } finally {
    await stand.close();
  }
}

const access = suite('searchAccess');

access('a domain lets through what the gateway asks of its own index, and nothing else', async () => {
  const asked = (await callsOfTheGateway()).map((call) => {
    const [method = '', path = ''] = call.split(' ');
    const action = `es:ESHttp${method.charAt(0)}${method.slice(1).toLowerCase()}`;
    return `${action} ${arn('es', `domain/faq${path}`)}`;
  });
  const rights = rightsOf(synthesize({ openSearch: domain })).filter(isOfSearch);
  const allowed = rights.map(({ action, resource }) => `${action} ${resource}`);
  assert.equal([...new Set(allowed)].sort(), [...new Set(asked)].sort());
});

access('a collection is allowed as a whole, since its own policy tells the index', () => {
  const rights = rightsOf(synthesize({ openSearch: collection })).filter(isOfSearch);
  assert.equal(
    rights.map(({ action, resource }) => [action, resource]),
    [1, 2].map(() => ['aoss:APIAccessAll', arn('aoss', 'collection/1tg2xudton46knx2a95g')]),
  );
});

access('a stage has an index of its own', () => {
  const stackName = 'LlmGatewayStack-prod';
  const index = questionsIndex(settingsPath(stackName));
  assert.not.equal(index, INDEX);
  const rights = rightsOf(synthesize({ stackName, openSearch: domain })).filter(isOfSearch);
  assert.ok(rights.every(({ resource }) => resource.includes(`domain/faq/${index}`)));
});

access('the functions that ask models have the rights and the endpoint, and no others', () => {
  for (const openSearch of [domain, collection]) {
    const template = synthesize({ openSearch });
    assert.equal(namesOf(rightsOf(template).filter(isOfSearch)), ['Http', 'Worker']);
    assert.equal(toldOf(template), ['Http', 'Worker']);
    const [, http = {}] =
      [...find(template, 'AWS::Lambda::Function')].find(([id]) => id.startsWith('FunctionsHttp')) ?? [];
    const { Variables } = http['Environment'] as { Variables: Properties };
    assert.is(Variables[environment.openSearchEndpoint], openSearch.endpoint);
  }
});

access('questions are embedded by a model that callers need not be offered', () => {
  const model = arn('bedrock', `foundation-model/${embeddingModel.model}`).replace('<AWS::AccountId>', '');
  const ofModel = (changes: object) =>
    rightsOf(synthesize(changes)).filter(({ resource }) => resource === model);
  assert.equal(ofModel({}), []);
  assert.equal(
    ofModel({ openSearch: domain }),
    ['Http', 'Worker'].map((role) => ({ role, action: 'bedrock:InvokeModel', resource: model })),
  );
});

access('without an endpoint there is nothing of it', () => {
  const { Resources, Outputs } = synthesize();
  assert.not.match(
    JSON.stringify({ Resources, Outputs }),
    /ESHttp|aoss|titan-embed|Search(Roles|AccessPolicy)/,
  );
  assert.equal(toldOf(synthesize()), []);
});

access.run();

// ---

const outputs = suite('searchOutputs');

const outputOf = (changes: object, name: string) => flatten(synthesize(changes).Outputs[name]?.Value ?? '');

/** Whose roles a text speaks of, as `<FunctionsHttpRole1A2B3C4D.Arn>`. */
const rolesIn = (text: string) =>
  [...text.matchAll(/<Functions(\w+?)Role\w+\.Arn>/g)].map(([, name]) => name);

outputs('of a domain name the roles that it may have to map', () => {
  assert.equal(rolesIn(outputOf({ openSearch: domain }, 'SearchRoles')), ['Http', 'Worker']);
  assert.match(outputOf({ openSearch: domain }, 'SearchRoles'), /^<\w+\.Arn>,<\w+\.Arn>$/);
  assert.equal(rolesIn(outputOf({ openSearch: domain, hasWebSocket: false }, 'SearchRoles')), ['Http']);
  assert.is(outputOf({ openSearch: domain }, 'SearchAccessPolicy'), '');
});

/**
 * What AWS takes as an index in a data access policy, as its refusals quote it.
 * @see https://docs.aws.amazon.com/opensearch-service/latest/developerguide/serverless-data-access.html
 */
const RESOURCE = /^index\/(?:[a-z][a-z0-9-]{2,31}\*?|\*)\/([a-z;0-9&$%][+.\-_a-z;0-9&$%]*\*?|\*)$/;

outputs('of a collection are the data access policy that it needs', () => {
  const text = outputOf({ openSearch: collection }, 'SearchAccessPolicy');
  const [{ Rules, Principal }, ...others] = JSON.parse(text);
  assert.equal(others, []);
  assert.equal(Rules, [
    {
      ResourceType: 'index',
      Resource: [`index/*/${INDEX}`],
      Permission: ['aoss:CreateIndex', 'aoss:DescribeIndex', 'aoss:ReadDocument', 'aoss:WriteDocument'],
    },
  ]);
  assert.match(Rules[0].Resource[0], RESOURCE);
  assert.equal(rolesIn(Principal.join()), ['Http', 'Worker']);
  assert.is(outputOf({ openSearch: collection }, 'SearchRoles'), '');
});

outputs.run();
