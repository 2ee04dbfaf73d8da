/**
 * Where similar questions are searched: one domain or one serverless collection, which is not of this stack. What the functions that ask
 * need for it, and what it has to know of them.
 */
import { Aws } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { environment, questionsIndex, settingsPath } from '../src/names.ts';
import type { Config, OpenSearch } from './config.ts';
import type { Functions } from './functions.ts';
import { modelArns } from './models.ts';

/** What makes vectors of questions; whether it is offered to callers as well, ALLOWED_MODELS says. */
const EMBEDDING_MODEL = 'amazon.titan-embed-text-v2:0';

export type SearchAccess = {
  readonly environment: Readonly<Record<string, string>>;
  readonly statements: readonly PolicyStatement[];
};

export function searchAccess(config: Config): SearchAccess {
  const { openSearch } = config;
  if (!openSearch) return { environment: {}, statements: [] };
  const embed = allow('bedrock:InvokeModel', ...modelArns(EMBEDDING_MODEL, config));
  return {
    environment: { [environment.openSearchEndpoint]: openSearch.endpoint },
    statements: [...searchStatements(openSearch, indexOf(config)), embed],
  };
}

/**
 * A domain tells by methods and paths what is allowed, a collection in its own policy.
 * @see https://docs.aws.amazon.com/opensearch-service/latest/developerguide/ac.html#ac-types-resource
 */
function searchStatements({ service, name, region }: OpenSearch, index: string): PolicyStatement[] {
  const own = `arn:${Aws.PARTITION}:${service}:${region}:${Aws.ACCOUNT_ID}`;
  if (service === 'aoss') return [allow('aoss:APIAccessAll', `${own}:collection/${name}`)];
  const path = `${own}:domain/${name}/${index}`;
  return [allow('es:ESHttpPut', path), allow('es:ESHttpPost', `${path}/_search`, `${path}/_bulk`)];
}

const allow = (action: string, ...resources: readonly string[]) =>
  new PolicyStatement({ actions: [action], resources: [...resources] });

const indexOf = ({ stackName }: Config) => questionsIndex(settingsPath(stackName));

/**
 * As outputs of the stack: whom a domain with fine-grained access control has to map to a role of its own, or the data access policy that a
 * collection needs. An endpoint has no collection's name in it, so the policy is for the index of whichever collection; by their own rights the
 * roles reach one.
 * @see https://docs.aws.amazon.com/opensearch-service/latest/developerguide/serverless-data-access.html#serverless-data-access-syntax
 */
export function searchOutputs(config: Config, { byName }: Functions): Readonly<Record<string, string>> {
  const roles = ['Http', 'Worker'].flatMap((name) => byName.get(name)?.role?.roleArn ?? []);
  switch (config.openSearch?.service) {
    case undefined:
      return {};
    case 'es':
      return { SearchRoles: roles.join() };
    case 'aoss':
      return {
        SearchAccessPolicy: JSON.stringify([{ Rules: [indexRule(indexOf(config))], Principal: roles }]),
      };
  }
}

const indexRule = (index: string) => ({
  ResourceType: 'index',
  Resource: [`index/*/${index}`],
  Permission: ['aoss:CreateIndex', 'aoss:DescribeIndex', 'aoss:ReadDocument', 'aoss:WriteDocument'],
});
