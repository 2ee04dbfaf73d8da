/**
 * Which functions run: what the deployment says, taken from copies outside of the repository, where a bundle that left something out
 * finds no node_modules to make up for it.
 */
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { parseConfig } from '../../cdk/config.ts';
import { flatten } from '../../cdk/findings.ts';
import { GatewayStack } from '../../cdk/gateway-stack.ts';

export const roles = ['http', 'websocket', 'worker', 'failedWork', 'authorizer'] as const;
export type Role = (typeof roles)[number];

export type DeployedFunction = {
  readonly folder: string;
  /** `<module>.<export>` */
  readonly handler: string;
  /** What its role allows. */
  readonly rights: readonly Right[];
  /** What the stand-ins for AWS set in the place of the deployment. */
  readonly environment?: Readonly<Record<string, string>>;
};

/** Actions and resources as a policy has them, with `<…>` for what only the deployment knows. */
export type Right = { readonly actions: readonly string[]; readonly resources: readonly string[] };

export type DeployedFunctions = Readonly<Record<Role, DeployedFunction>>;

/** The stack's name of each function. */
const constructs: Readonly<Record<Role, string>> = {
  http: 'Http',
  websocket: 'WebSocket',
  worker: 'Worker',
  failedWork: 'FailedWork',
  authorizer: 'Authorizer',
};

type Statement = { readonly Action: string | string[]; readonly Resource: unknown };

type Resource = {
  readonly Type: string;
  readonly Properties: {
    readonly Handler: string;
    readonly Role: unknown;
    readonly Roles?: readonly unknown[];
    readonly PolicyDocument: { readonly Statement: readonly Statement[] };
  };
  readonly Metadata?: Readonly<Record<string, string>>;
};

const SEARCH_ENDPOINT = 'https://search-faq-1a2a3a4a5a6a7a8a9a0a9a8a7a.us-east-1.es.amazonaws.com';

/** What a synthesis into `outdir` would upload, and the handlers that Lambda would start. */
export function synthesizeFunctions(outdir: string): DeployedFunctions {
  const app = new App({ outdir, context: { 'aws:cdk:enable-asset-metadata': true } });
  const variables = { API_GATEWAY_TYPE: 'both', OPENSEARCH_DOMAIN_ENDPOINT: SEARCH_ENDPOINT };
  const stack = new GatewayStack(app, parseConfig(variables));
  app.synth();
  const template = JSON.parse(readFileSync(join(outdir, stack.templateFile), 'utf8'));
  const resources = Object.entries<Resource>(template.Resources);
  const toDeployed = (role: Role): [Role, DeployedFunction] => {
    const [, found] = resources.find(([id, { Type }]) => isFunction(role, id, Type)) ?? [];
    if (!found) throw new Error(`The stack has no function ${role}.`);
    const folder = join(outdir, found.Metadata?.['aws:asset:path'] ?? '');
    const { Handler: handler, Role: of } = found.Properties;
    return [role, { folder, handler, rights: rightsOf(flatten(of), resources) }];
  };
  return Object.fromEntries(roles.map(toDeployed)) as Record<Role, DeployedFunction>;
}

const isFunction = (role: Role, id: string, type: string) =>
  type === 'AWS::Lambda::Function' && id.startsWith(`Functions${constructs[role]}`);

/** `roleArn` is `<id.Arn>`. */
const rightsOf = (roleArn: string, resources: readonly (readonly [string, Resource])[]): Right[] =>
  resources
    .filter(([, { Type }]) => /^AWS::IAM::(Managed)?Policy$/.test(Type))
    .filter(
      ([
        ,
        {
          Properties: { Roles = [] },
        },
      ]) => Roles.some((of) => roleArn === flatten(of).replace('>', '.Arn>')),
    )
    .flatMap(([, { Properties }]) => Properties.PolicyDocument.Statement)
    .map(({ Action, Resource }) => ({ actions: [Action].flat(), resources: [Resource].flat().map(flatten) }));

/** The variable by which `runtime.ts` tells the test files what it deployed, as JSON. */
export const FUNCTIONS_VARIABLE = 'RUNTIME_FUNCTIONS';

/** The same functions in folders of their own below `target`. */
export function copyFunctions(functions: DeployedFunctions, target: string): DeployedFunctions {
  const copy = (role: Role) => {
    const folder = join(target, role);
    cpSync(functions[role].folder, folder, { recursive: true });
    return [role, { ...functions[role], folder }] as const;
  };
  return Object.fromEntries(roles.map(copy)) as DeployedFunctions;
}

/** @throws `Error` when the test file was not started by `runtime.ts` */
export function givenFunctions(): DeployedFunctions {
  const text = process.env[FUNCTIONS_VARIABLE];
  if (text === undefined) throw new Error('Run this with: npm run test:runtime');
  return JSON.parse(text) as DeployedFunctions;
}
