/**
 * What the functions may do, held against what they do: whoever signed a call to AWS must have the right to it. Models are not compared,
 * since the tests allow all of them, and neither is the name of OpenSearch's index, which follows the path of the settings.
 */
import type { IncomingMessage, RequestListener } from 'node:http';
import {
  DEFAULT_STACK_NAME,
  questionsIndex,
  settingsPath,
  type Table,
  tableName,
  tables,
} from '../../src/names.ts';
import { type DeployedFunctions, type Right, type Role, roles } from './functions.ts';
import { STACK } from './stage.ts';

type Deed = { readonly action: string; readonly resource?: string | undefined };

/** Wraps services so that `refuse` gets a sentence for every call that its caller has no right to. */
export function watchRights(
  functions: DeployedFunctions,
  keyPrefix: string,
  refuse: (sentence: string) => void,
) {
  const judge = (role: Role, deeds: readonly Deed[]) => {
    for (const deed of deeds) {
      if (functions[role].rights.some((right) => allows(right, deed))) continue;
      refuse(`The role of ${role} does not allow ${deed.action} on ${deed.resource ?? 'anything'}.`);
    }
  };
  return (service: RequestListener): RequestListener =>
    (request, response) => {
      const role = roles.find((each) => signerOf(request) === `${keyPrefix}${each}`);
      // Others are the tests themselves. A service that reads later must find its body unread.
      if (role && isTableCall(request)) {
        readBody(request, (body) => judge(role, toTableDeeds(request, JSON.parse(body))));
      } else if (role) judge(role, [toDeed(request)]);
      service(request, response);
    };
}

const signerOf = ({ headers }: IncomingMessage) =>
  /Credential=([^/]+)\//.exec(headers.authorization ?? '')?.[1];

const allows = ({ actions, resources }: Right, { action, resource }: Deed) =>
  actions.includes(action) && (resource === undefined || resources.includes(resource));

const targetOf = ({ headers }: IncomingMessage) => String(headers['x-amz-target'] ?? '').split('.');

const isTableCall = (request: IncomingMessage) => targetOf(request)[0]?.startsWith('DynamoDB') ?? false;

function readBody(request: IncomingMessage, done: (body: string) => void) {
  let body = '';
  request.on('data', (chunk) => (body += chunk));
  request.once('end', () => done(body));
}

function toDeed(request: IncomingMessage): Deed {
  const [service, operation] = targetOf(request);
  const { url = '', method = '' } = request;
  const [, search] = /^\/opensearch\/[^/]+(.*)$/.exec(url) ?? [];
  if (service === 'AmazonSSM') return { action: `ssm:${operation}` };
  if (search !== undefined) return { action: methods[method] ?? '', resource: `${SEARCH_INDEX}${search}` };
  if (url.includes('/@connections/')) return { action: 'execute-api:ManageConnections' };
  if (url.includes('/invocations')) return { action: 'lambda:InvokeFunction' };
  return { action: `bedrock:InvokeModel${url.endsWith('/converse-stream') ? 'WithResponseStream' : ''}` };
}

const methods: Readonly<Record<string, string>> = { POST: 'es:ESHttpPost', PUT: 'es:ESHttpPut' };

/** Of the domain that the functions were synthesised with. */
const SEARCH_INDEX = `arn:<AWS::Partition>:es:us-east-1:<AWS::AccountId>:domain/faq/${questionsIndex(settingsPath(DEFAULT_STACK_NAME))}`;

type TableCall = {
  readonly TableName?: string;
  readonly IndexName?: string;
  readonly RequestItems?: Readonly<Record<string, unknown>>;
};

function toTableDeeds(
  request: IncomingMessage,
  { TableName, IndexName, RequestItems = {} }: TableCall,
): Deed[] {
  const [, operation] = targetOf(request);
  const names = TableName === undefined ? Object.keys(RequestItems) : [TableName];
  return names.map((name) => {
    const table = Object.keys(tables).find((each) => tableName(STACK, each as Table) === name);
    const arn = `<${table}.Arn>`;
    return {
      action: `dynamodb:${operation}`,
      resource: IndexName === undefined ? arn : `${arn}/index/${IndexName}`,
    };
  });
}
