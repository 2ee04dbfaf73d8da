/** Stacks of configurations, synthesised as `npm run synth` does it. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { addChecks } from '../../cdk/checks.ts';
import { type Config, parseConfig } from '../../cdk/config.ts';
import { GatewayStack } from '../../cdk/gateway-stack.ts';

/** What an empty environment means, but that both APIs are there and a model of each kind. */
export const plainConfig: Config = parseConfig({
  API_GATEWAY_TYPE: 'both',
  ALLOWED_MODELS: 'global.amazon.nova-2-lite-v1:0,us.anthropic.claude-sonnet-4-6,openai.gpt-oss-120b-1:0',
});

export type Properties = { readonly [name: string]: Json };
export type Json = string | number | boolean | null | readonly Json[] | Properties;

export type Resource = {
  readonly Type: string;
  readonly Properties?: Properties;
  readonly DependsOn?: string | readonly string[];
  readonly DeletionPolicy?: string;
};

export type Template = {
  readonly Resources: Readonly<Record<string, Resource>>;
  readonly Outputs: Readonly<Record<string, { readonly Value: Json }>>;
  /** What CloudFormation's schemas and AWS's rules found. Findings of some kinds do not fail a synthesis. */
  readonly findings: readonly Json[];
};

const { context } = JSON.parse(readFileSync(join(import.meta.dirname, '../../cdk.json'), 'utf8'));
const made = new Map<string, Template>();

/** Each configuration is synthesised once in a process. */
export function synthesize(changes: Partial<Config> = {}): Template {
  const key = JSON.stringify(changes);
  const template = made.get(key) ?? readTemplate(changes);
  made.set(key, template);
  return template;
}

function readTemplate(changes: Partial<Config>): Template {
  const outdir = mkdtempSync(join(tmpdir(), 'llm-gateway-'));
  try {
    const app = new App({ outdir, context });
    const stack = new GatewayStack(app, { ...plainConfig, ...changes });
    addChecks(app);
    app.synth();
    const read = (file: string) => JSON.parse(readFileSync(join(outdir, file), 'utf8'));
    return { ...read(stack.templateFile), findings: read('validation-report.json').pluginReports ?? [] };
  } finally {
    rmSync(outdir, { recursive: true });
  }
}

/** Logical id → properties, of all resources of a type. */
export function find(template: Template, type: string): Map<string, Properties> {
  const entries = Object.entries(template.Resources).filter(([, resource]) => resource.Type === type);
  return new Map(entries.map(([id, { Properties = {} }]) => [id, Properties]));
}

/** The only resource of a type whose properties fit. */
export function only(
  template: Template,
  type: string,
  fits: (properties: Properties) => boolean = () => true,
): Properties {
  const found = [...find(template, type).values()].filter(fits);
  if (found.length !== 1 || !found[0]) throw new Error(`There are ${found.length} of ${type}.`);
  return found[0];
}
