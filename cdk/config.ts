/**
 * What the deployment's variables say, checked as a whole. The only file of this program that reads the environment.
 */

/** An image in ECR: `name`, `name:tag` or `name@sha256:…`. */
export type ImageReference = { readonly repository: string; readonly tagOrDigest: string };

export type OpenSearch = {
  readonly endpoint: string;
  /** What requests are signed for: a domain's service or a serverless collection's. */
  readonly service: 'es' | 'aoss';
  /** The name of the domain, the id of the collection. */
  readonly name: string;
  readonly region: string;
};

export type Network = {
  readonly vpcId: string;
  readonly subnetIds: readonly string[];
  readonly securityGroupIds: readonly string[];
};

export type Config = {
  readonly stackName: string;
  readonly region: string;
  readonly hasRest: boolean;
  readonly hasWebSocket: boolean;
  /** How callers of API Gateway prove who they are; at least one. The Function URL takes signatures only. */
  readonly useApiKey: boolean;
  readonly useIam: boolean;
  /** Setting name → first value, of every setting that has one. */
  readonly settings: ReadonlyMap<string, string>;
  readonly defaultModel: string;
  /** Model ids, in which `*` stands for any run of characters. */
  readonly allowedModels: readonly string[];
  readonly images: { readonly rest?: ImageReference; readonly websocket?: ImageReference };
  readonly openSearch?: OpenSearch;
  readonly network?: Network;
  readonly iamCallers: readonly string[];
  readonly allowedOrigins: readonly string[];
  readonly allowedCidrs: readonly string[];
  readonly hasFirewall: boolean;
  readonly logRole: 'create' | 'existing' | 'none';
  readonly reservedConcurrency?: number;
  readonly provisionedConcurrency: number;
  readonly logRetentionDays: number;
  readonly retainData: boolean;
  readonly alarmEmail?: string;
  readonly settingsMaxAgeSeconds: number;
  /** What is allowed and should be known all the same, as sentences. */
  readonly warnings: readonly string[];
};
