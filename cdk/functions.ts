/**
 * The functions and what each of them may do. Whoever is called has an alias, `live`: it is what doors point at, what provisioned
 * concurrency belongs to, and what an asynchronous invocation is set up for.
 */
import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import { Repository } from 'aws-cdk-lib/aws-ecr';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import {
  Alias,
  ApplicationLogLevel,
  Architecture,
  type CfnFunction,
  Code,
  Handler,
  Function as LambdaFunction,
  LoggingFormat,
  Runtime,
} from 'aws-cdk-lib/aws-lambda';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { environment } from '../src/names.ts';
import { bundle, type Entry } from './bundle.ts';
import type { Config, ImageReference, Network } from './config.ts';
import { acknowledgeWildcards } from './findings.ts';
import { modelStatements } from './models.ts';
import { type SearchAccess, searchAccess } from './open-search.ts';
import type { InitialSettings } from './settings.ts';
import type { Tables } from './tables.ts';

/** The longest that Lambda lets a function run. */
const ANSWER = Duration.minutes(15);

/** API Gateway's longest for a route of a WebSocket. */
const ROUTE = Duration.seconds(29);

/** What waits longer for its worker is not answered any more; who asked has been told by then. */
const MAX_EVENT_AGE = Duration.seconds(60);

/** A client may refuse to read for half a minute. */
const LAST_WORD = Duration.seconds(60);

const ALIAS = 'live';

/** An answer is mostly waiting; this is a good half of a processor, and room for a body of 5 MiB in all its forms. */
const ANSWER_MEMORY_MB = 1024;
const ROUTE_MEMORY_MB = 512;
const SMALL_MEMORY_MB = 256;

/** Where frames are posted to, and the right to do so. */
export type Callback = { readonly url: string; readonly statement: PolicyStatement };

export type FunctionsParts = {
  readonly config: Config;
  readonly tables: Tables;
  readonly settings: InitialSettings;
  /** Only with a WebSocket API. */
  readonly callback: Callback | undefined;
};

type Shared = {
  readonly callback: Callback;
  readonly common: Readonly<Record<string, string>>;
  /** Of those that ask models. */
  readonly search: SearchAccess;
  readonly ask: readonly PolicyStatement[];
};

type Shape = {
  readonly entry: Entry;
  /** The name under which `src/<entry>.lambda.ts` exports it. @defaultValue handler */
  readonly exported?: string;
  readonly timeout: Duration;
  readonly memorySize: number;
  readonly image?: ImageReference | undefined;
  readonly isInNetwork?: boolean;
  readonly environment?: Readonly<Record<string, string>>;
  readonly statements?: readonly PolicyStatement[];
  readonly reservedConcurrency?: number | undefined;
};

export class Functions extends Construct {
  readonly http: Alias;
  /** Behind the routes of the WebSocket API; it starts the worker. */
  readonly webSocket: Alias | undefined;
  readonly authorizer: LambdaFunction | undefined;
  /** All of them, by name. */
  readonly byName = new Map<string, LambdaFunction>();
  readonly #config: Config;

  constructor(scope: Construct, id: string, parts: FunctionsParts) {
    super(scope, id);
    const { config, tables, settings, callback } = parts;
    this.#config = config;
    const search = searchAccess(config);
    const common = { ...tables.environment, ...settings.environment };
    const ask = [...modelStatements(config.allowedModels, config), ...search.statements];
    this.http = this.#createAlias('Http', {
      entry: 'http',
      timeout: ANSWER,
      memorySize: ANSWER_MEMORY_MB,
      image: config.images.rest,
      isInNetwork: true,
      environment: { ...common, ...search.environment },
      statements: [settings.statement, ...tables.statements('answers', 'chats', 'requests'), ...ask],
      reservedConcurrency: config.reservedConcurrency,
    });
    if (callback) this.webSocket = this.#createWebSocket(parts, { callback, common, search, ask });
    if (config.useApiKey && !config.useIam) {
      this.authorizer = this.#create('Authorizer', {
        entry: 'authorizer',
        timeout: Duration.seconds(10),
        memorySize: SMALL_MEMORY_MB,
      });
    }
  }

  #createWebSocket({ config, tables, settings }: FunctionsParts, given: Shared): Alias {
    const { callback, common, search, ask } = given;
    const shared = {
      entry: 'websocket',
      image: config.images.websocket,
      isInNetwork: true,
      environment: { ...common, AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI: callback.url },
    } as const;
    const running = tables.statements('requests', 'connections');
    const failed = this.#create('FailedWork', {
      ...shared,
      exported: 'failedWork',
      timeout: LAST_WORD,
      memorySize: SMALL_MEMORY_MB,
      statements: [...running, callback.statement],
    });
    const worker = this.#createAlias('Worker', {
      ...shared,
      exported: 'worker',
      timeout: ANSWER,
      memorySize: ANSWER_MEMORY_MB,
      environment: { ...shared.environment, ...search.environment },
      statements: [
        settings.statement,
        ...tables.statements('answers', 'chats'),
        ...running,
        ...ask,
        callback.statement,
        invoke(failed.functionArn),
      ],
      reservedConcurrency: config.reservedConcurrency,
    });
    worker.configureAsyncInvoke({
      // A second try would pay the model again for an answer that has been told in part.
      retryAttempts: 0,
      maxEventAge: MAX_EVENT_AGE,
      onFailure: { bind: () => ({ destination: failed.functionArn }) },
    });
    return this.#createAlias('WebSocket', {
      ...shared,
      timeout: ROUTE,
      memorySize: ROUTE_MEMORY_MB,
      environment: { ...shared.environment, [environment.workerFunction]: worker.functionName },
      statements: [settings.statement, ...running, callback.statement, invoke(worker.functionArn)],
    });
  }

  #createAlias(name: string, shape: Shape): Alias {
    const { provisionedConcurrency } = this.#config;
    return new Alias(this, `${name}Alias`, {
      aliasName: ALIAS,
      version: this.#create(name, shape).currentVersion,
      ...(provisionedConcurrency > 0 && { provisionedConcurrentExecutions: provisionedConcurrency }),
    });
  }

  #create(name: string, shape: Shape): LambdaFunction {
    const { logRetentionDays } = this.#config;
    const network = shape.isInNetwork ? this.#config.network : undefined;
    const logGroup = new LogGroup(this, `${name}Logs`, {
      retention: logRetentionDays,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const role = new Role(this, `${name}Role`, { assumedBy: new ServicePrincipal('lambda.amazonaws.com') });
    logGroup.grantWrite(role);
    const statements = [...(shape.statements ?? []), ...(network ? [networkStatement()] : [])];
    for (const statement of statements) role.addToPolicy(statement);
    acknowledgeWildcards(role, statements);
    const created = new LambdaFunction(this, name, {
      ...this.#codeOf(name, shape),
      role,
      logGroup,
      architecture: Architecture.ARM_64,
      timeout: shape.timeout,
      memorySize: shape.memorySize,
      environment: { ...shape.environment },
      loggingFormat: LoggingFormat.JSON,
      // The setting log-level decides, and could not go below what is let through here.
      applicationLogLevelV2: ApplicationLogLevel.DEBUG,
      ...(shape.reservedConcurrency !== undefined && {
        reservedConcurrentExecutions: shape.reservedConcurrency,
      }),
    });
    if (network) place(created, network);
    this.byName.set(name, created);
    return created;
  }

  #codeOf(name: string, { entry, exported = 'handler', image }: Shape) {
    const handler = `index.${exported}`;
    if (!image) return { code: Code.fromAsset(bundle(entry).folder), handler, runtime: Runtime.NODEJS_24_X };
    const repository = Repository.fromRepositoryName(this, `${name}Repository`, image.repository);
    return {
      code: Code.fromEcrImage(repository, { tagOrDigest: image.tagOrDigest, cmd: [handler] }),
      handler: Handler.FROM_IMAGE,
      runtime: Runtime.FROM_IMAGE,
    };
  }
}

const invoke = (arn: string) => new PolicyStatement({ actions: ['lambda:InvokeFunction'], resources: [arn] });

/** In a VPC that is there already, by ids alone: nothing is looked up, so a synthesis needs no account. */
function place(fn: LambdaFunction, { subnetIds, securityGroupIds }: Network) {
  const resource = fn.node.defaultChild as CfnFunction;
  resource.vpcConfig = { subnetIds: [...subnetIds], securityGroupIds: [...securityGroupIds] };
}

/**
 * What Lambda does with a function's role when it connects the function to a VPC; none of it can be limited to a resource.
 * @see https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions
 */
const networkStatement = () =>
  new PolicyStatement({
    actions: [
      'ec2:CreateNetworkInterface',
      'ec2:DescribeNetworkInterfaces',
      'ec2:DescribeSubnets',
      'ec2:DeleteNetworkInterface',
      'ec2:AssignPrivateIpAddresses',
      'ec2:UnassignPrivateIpAddresses',
    ],
    resources: ['*'],
  });
