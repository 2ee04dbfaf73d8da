/**
 * Where the stack departs from AWS's rules (AwsSolutions, Serverless), and why. A finding without a reason here fails the synthesis.
 */
import { Stack, Validations } from 'aws-cdk-lib';
import type { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { IConstruct } from 'constructs';

/** Of the whole stack. */
const ofTheStack: Readonly<Record<string, string>> = {
  'AwsSolutions-COG4': 'Callers prove themselves by API keys or signatures; there are no users to sign in.',
  'AwsSolutions-APIG2':
    'The function validates: it names the field and its limit, and a JSON Schema of API Gateway could not.',
  'AwsSolutions-APIG3': 'The firewall costs money while idle, so ENABLE_WAF decides.',
  'AwsSolutions-APIG6':
    'Execution logs would hold prompts and answers; access logs and the functions’ own tell enough.',
  'Serverless-LambdaDLQ':
    'Only the worker is invoked asynchronously by the gateway, and its failures go to a function that tells the client.',
  'Serverless-LambdaTracing':
    'Metrics and one line of log for each request tell where its time went; X-Ray would need * permissions.',
  'Serverless-APIGWXrayEnabled': 'As for the functions: metrics and access logs tell where the time went.',
};

const NO_LOGS = 'API_GATEWAY_LOG_ROLE=none says that this account lets API Gateway write no logs.';

/** Without a role for them there are no access logs. */
const withoutLogs: Readonly<Record<string, string>> = {
  'AwsSolutions-APIG1': NO_LOGS,
  'Serverless-APIGWAccessLogging': NO_LOGS,
  'Serverless-APIGWStructuredLogging': NO_LOGS,
};

/** Every resource with a * that a role may name. One that fits none of these is a finding. */
export const wildcards: readonly { readonly of: RegExp; readonly reason: string }[] = [
  {
    of: /:ssm:.*:parameter\/[^*]+\/\*$/,
    reason: 'Settings are read by their path, and all below it are settings.',
  },
  {
    of: /:foundation-model\/.+$/,
    reason: 'An inference profile chooses the region, and ALLOWED_MODELS may hold patterns.',
  },
  { of: /:inference-profile\/.+$/, reason: 'ALLOWED_MODELS may hold patterns.' },
  {
    of: /:guardrail\/\*$/,
    reason: 'A setting says which guardrail of the account it is, while the gateway runs.',
  },
  { of: /:execute-api:.*\/live\/\*\/@connections\/\*$/, reason: 'Connections of the own stage come and go.' },
  {
    of: /:execute-api:.*\/\*\/\*$/,
    reason: 'Callers may use every path of the API; the gateway decides what is theirs.',
  },
  { of: /^\*$/, reason: 'Lambda’s network interfaces in a VPC: EC2 takes no resources for these actions.' },
];

export function acknowledgeOfTheStack(stack: Stack, { hasAccessLogs }: { readonly hasAccessLogs: boolean }) {
  for (const [id, reason] of Object.entries({ ...ofTheStack, ...(hasAccessLogs ? {} : withoutLogs) })) {
    acknowledge(stack, id, reason);
  }
}

/** For what is below `scope` alone. */
export const acknowledge = (scope: IConstruct, id: string, reason: string) =>
  Validations.of(scope).acknowledge({ id, reason });

/** For what a role may do, when it is in the list. */
export function acknowledgeWildcards(role: IConstruct, statements: readonly PolicyStatement[]) {
  const stack = Stack.of(role);
  const resources = new Set(statements.flatMap((statement) => statement.resources));
  for (const resource of resources) {
    const text = flatten(stack.resolve(resource));
    const known = wildcards.find(({ of }) => of.test(text));
    if (text.includes('*') && known) acknowledge(role, `AwsSolutions-IAM5[Resource::${text}]`, known.reason);
  }
}

/** A resolved value as findings write it: `arn:<AWS::Partition>:…`. */
export function flatten(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value !== 'object' || value === null) return '';
  const [[name, argument] = ['', undefined]] = Object.entries(value);
  if (name === 'Fn::Join' && Array.isArray(argument)) {
    const [separator, parts] = argument;
    return Array.isArray(parts) ? parts.map(flatten).join(String(separator)) : '';
  }
  return name === 'Fn::GetAtt' && Array.isArray(argument) ? `<${argument.join('.')}>` : `<${argument}>`;
}
