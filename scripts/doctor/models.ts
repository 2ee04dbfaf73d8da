/**
 * Whether the models answer, by asking each of them something: those that embed for an embedding. In an account that has never used a model of another company, the first
 * question is also what makes Bedrock sign the agreement with AWS Marketplace, when whoever asks may.
 * @see https://docs.aws.amazon.com/bedrock/latest/userguide/model-access.html
 */
import { BedrockRuntimeClient, ConverseCommand, InvokeModelCommand } from '@aws-sdk/client-bedrock-runtime';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import type { Config } from '../../cdk/config.ts';
import { toInvokeInput } from '../../src/aws/embeddings.ts';
import { findFamily, usualDimensions } from '../../src/chat/embed.ts';
import { embeddingModel } from '../../src/chat/similarity.ts';
import { ask, type Finding, ok, type Place } from './finding.ts';
import { explainModelFailure } from './model-failures.ts';

/** A new account may send few requests a minute. */
const AT_ONCE = 4;

/** The fewest that all models take; some refuse 1. */
const MAX_TOKENS = 16;

/** One finding for each model that is named; a pattern stands for models that nobody here knows. */
export async function checkModels(config: Config, place: Place): Promise<Finding[]> {
  const client = new BedrockRuntimeClient({
    region: place.region,
    // As in wire.ts: HTTP/1.1, over which an unknown host is an error with a code.
    requestHandler: new NodeHttpHandler(),
  });
  const searching = config.openSearch ? [embeddingModel.model] : [];
  const named = [...new Set([config.defaultModel, ...config.allowedModels, ...searching])];
  const models = named.filter((model) => !model.includes('*'));
  const findings = new Map<string, Finding>();
  const queue = models.values();
  const work = async () => {
    for (const model of queue) findings.set(model, await checkModel(client, model, place));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  client.destroy();
  return models.flatMap((model) => findings.get(model) ?? []);
}

async function checkModel(client: BedrockRuntimeClient, model: string, place: Place): Promise<Finding> {
  try {
    await ask<unknown>(place, (abortSignal) => sayHi(client, model, { abortSignal }));
    return ok('model', `${model} answers.`);
  } catch (error) {
    return explainModelFailure(error, model, place.region);
  }
}

function sayHi(client: BedrockRuntimeClient, model: string, options: { readonly abortSignal: AbortSignal }) {
  const family = findFamily(model);
  if (family) {
    const dimensions = usualDimensions(family);
    const call = { model, family, dimensions, texts: ['hi'], inputType: 'search_query' } as const;
    return client.send(new InvokeModelCommand(toInvokeInput(call)), options);
  }
  const question = new ConverseCommand({
    modelId: model,
    messages: [{ role: 'user', content: [{ text: 'Hi' }] }],
    inferenceConfig: { maxTokens: MAX_TOKENS }, // and nothing else: several models refuse a temperature
  });
  return client.send(question, options);
}
