/**
 * What `npm start` was asked for, from its arguments and its environment, all problems at once.
 */
import { parseArgs } from 'node:util';
import { parseSettings } from '../chat/settings.ts';
import type { ModelServer } from './bedrock/compatible/model-server.ts';

export const help = `npm start -- [options]

  --bedrock simulator   answers come from the built-in simulator (the default)
  --bedrock aws         answers come from Amazon Bedrock, with your own credentials and AWS_REGION
  --bedrock URL         answers come from an OpenAI-compatible server, such as Ollama at http://127.0.0.1:11434/v1, and its models
                        are on offer; it gets OPENAI_API_KEY if that is set
  --memory              keep nothing on disk
  --help                this text

Variables: PORT (3000), FUNCTION_URL_PORT (3001), AWS_PORT (4566), LOCAL_API_KEYS (tenant=key,…), LOCAL_IAM_KEYS (access key id=secret,…),
DEFAULT_MODEL, ALLOWED_MODELS, OPENAI_API_KEY, AWS_ENDPOINT_URL_BEDROCK_RUNTIME, AWS_ENDPOINT_URL_SSM, AWS_ENDPOINT_URL_DYNAMODB and
AWS_ENDPOINT_URL_OPENSEARCH (other servers in the place of those built in). OPENSEARCH_DOMAIN_ENDPOINT is the deployment's, and is not asked from here.
`;

/** What `ALLOWED_MODELS` is here unless set: the usual models, and the simulator's faults. */
export const modelsOnThisMachine = [...parseSettings(new Map()).allowedModels, 'simulator.*'].join(',');

export type Options = {
  readonly help: boolean;
  readonly memory: boolean;
  readonly bedrock: 'simulator' | 'aws' | 'endpoint' | 'compatible';
  /** There only if `bedrock` is `compatible`. */
  readonly server?: ModelServer;
  readonly port: number;
  readonly functionUrlPort: number;
  readonly awsPort: number;
};

/** @throws `Error` whose message has one sentence for each problem, a line each */
export function parseOptions(args: readonly string[], env: Readonly<NodeJS.ProcessEnv>): Options {
  const problems: string[] = [];
  const { values } = parseArgs({
    args: [...args],
    options: { bedrock: { type: 'string' }, memory: { type: 'boolean' }, help: { type: 'boolean' } },
  });
  const { bedrock = 'simulator', memory = false, help = false } = values;
  const isNamed = bedrock === 'simulator' || bedrock === 'aws';
  const server = isNamed ? undefined : readServer(bedrock, env['OPENAI_API_KEY'], problems);
  const port = readPort('PORT', env['PORT'], 3000, problems);
  const functionUrlPort = readPort('FUNCTION_URL_PORT', env['FUNCTION_URL_PORT'], 3001, problems);
  const awsPort = readPort('AWS_PORT', env['AWS_PORT'], 4566, problems);
  if (problems.length > 0) throw new Error(problems.join('\n'));
  const ports = { port, functionUrlPort, awsPort };
  if (server) return { help, memory, bedrock: 'compatible', server, ...ports };
  if (bedrock === 'aws') return { help, memory, bedrock, ...ports };
  const isElsewhere = Boolean(env['AWS_ENDPOINT_URL_BEDROCK_RUNTIME']);
  return { help, memory, bedrock: isElsewhere ? 'endpoint' : 'simulator', ...ports };
}

/** What is wrong with a URL is not shown: it may hold a password. */
function readServer(text: string, key: string | undefined, problems: string[]): ModelServer | undefined {
  if (key && !/^[\x21-\x7e]+$/.test(key))
    problems.push('OPENAI_API_KEY must be a key, without spaces and other characters that no key has.');
  const url = URL.parse(text);
  const isPlain = url && !url.username && !url.password && !url.search && !url.hash;
  if (isPlain && ['http:', 'https:'].includes(url.protocol))
    return { url: url.href.replace(/\/+$/, ''), ...(key && { key }) };
  problems.push(
    '--bedrock must be simulator, aws, or the http or https URL of an OpenAI-compatible server without user, password or query.',
  );
  return undefined;
}

function readPort(name: string, value: string | undefined, otherwise: number, problems: string[]): number {
  if (value === undefined || value === '') return otherwise;
  const port = Number(value);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  problems.push(`${name} must be a whole number from 0 to 65535.`);
  return otherwise;
}

/** Where the tables are kept. What was learned of the simulator must not be told in place of a real model. */
export const tablesPath = (options: Pick<Options, 'bedrock'>): string =>
  besideSimulator('.local/dynamodb', options);

/** Where the index of questions is kept: vectors of two models have nothing in common. */
export const indexPath = (options: Pick<Options, 'bedrock'>): string =>
  besideSimulator('.local/opensearch', options);

const besideSimulator = (path: string, { bedrock }: Pick<Options, 'bedrock'>): string =>
  bedrock === 'simulator' ? path : `${path}-${bedrock}`;
