/**
 * Where similar questions are searched, and the right to: one domain or one serverless collection, which both also need to let the
 * functions' roles in by policies of their own.
 */
import { Aws } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { environment } from '../src/names.ts';
import type { Config } from './config.ts';

type Access = {
  readonly environment: Readonly<Record<string, string>>;
  readonly statements: readonly PolicyStatement[];
};

export function openSearchAccess({ openSearch }: Config): Access {
  if (!openSearch) return { environment: {}, statements: [] };
  const { endpoint, service, name, region } = openSearch;
  const arn = (resource: string) => `arn:${Aws.PARTITION}:${service}:${region}:${Aws.ACCOUNT_ID}:${resource}`;
  const statement =
    service === 'es'
      ? { actions: ['es:ESHttpGet', 'es:ESHttpPost', 'es:ESHttpPut'], resources: [arn(`domain/${name}/*`)] }
      : { actions: ['aoss:APIAccessAll'], resources: [arn(`collection/${name}`)] };
  return {
    environment: { [environment.openSearchEndpoint]: endpoint },
    statements: [new PolicyStatement(statement)],
  };
}
