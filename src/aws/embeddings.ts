/**
 * The embedder port over Amazon Bedrock's InvokeModel: what each family of models is sent, and what it sends back.
 */
import {
  type BedrockRuntimeClient,
  InvokeModelCommand,
  type InvokeModelCommandInput,
} from '@aws-sdk/client-bedrock-runtime';
import type { EmbedCall, Embedder, Embeddings } from '../chat/embed.ts';
import { GatewayError } from '../chat/errors.ts';
import { assertNever } from '../chat/events.ts';
import { toModelError } from './exceptions.ts';

/** The only place where Cohere's tokens are told; the SDK leaves it out. */
const TOKEN_COUNT_HEADER = 'x-amzn-bedrock-input-token-count';

export function createEmbedder(client: Pick<BedrockRuntimeClient, 'send'>): Embedder {
  return async function invoke(call, signal) {
    const command = new InvokeModelCommand(toInvokeInput(call));
    let told: unknown;
    command.middlewareStack.add(
      (next) => async (args) => {
        const result = await next(args);
        told = (result.response as HttpResponse).headers[TOKEN_COUNT_HEADER];
        return result;
      },
      { step: 'deserialize', name: 'readTokenCount' },
    );
    try {
      const { body } = await client.send(command, { abortSignal: signal });
      return readEmbeddings(body.transformToString(), call, told);
    } catch (error) {
      throw toModelError(error, false);
    }
  };
}

type HttpResponse = { readonly headers: Readonly<Record<string, string>> };

/** One call as Bedrock wants it. */
export const toInvokeInput = (call: EmbedCall): InvokeModelCommandInput => ({
  modelId: call.model,
  contentType: 'application/json',
  accept: 'application/json',
  body: JSON.stringify(toBody(call)),
});

/** No `truncate`: it is NONE unless said otherwise, but Cohere v3 takes a NONE that is said for fewer tokens than one that is not. */
function toBody({ family, texts, dimensions, inputType: input_type }: EmbedCall): object {
  switch (family) {
    case 'titan-v2':
      return { inputText: texts[0], dimensions };
    case 'cohere-v3':
      return { texts, input_type };
    case 'cohere-v4':
      return { texts, input_type, output_dimension: dimensions };
    default:
      return assertNever(family);
  }
}

/** What the families send; nothing of it is certain. Cohere's vectors come as a list, or by their type. */
type Answer = {
  readonly embedding?: unknown;
  readonly embeddings?: unknown;
  readonly inputTextTokenCount?: unknown;
};

/** @throws what becomes `upstream_protocol_error`, for anything but a vector of the right length for each text */
function readEmbeddings(text: string, { family, texts, dimensions }: EmbedCall, told: unknown): Embeddings {
  const answer: Answer = JSON.parse(text) ?? {};
  const found = family === 'titan-v2' ? [answer.embedding] : toList(answer.embeddings);
  const vectors = found.filter((vector) => isVector(vector, dimensions));
  if (vectors.length !== found.length || vectors.length !== texts.length) throw malformed();
  return { vectors, inputTokens: toCount(answer.inputTextTokenCount ?? told) };
}

const toList = (embeddings: unknown): readonly unknown[] => {
  const list = Array.isArray(embeddings) ? embeddings : Object(embeddings).float;
  return Array.isArray(list) ? list : [];
};

/** Callers may take their numbers as 32 bits wide, where what is too large would be infinite. */
const isVector = (value: unknown, dimensions: number): value is number[] =>
  Array.isArray(value) &&
  value.length === dimensions &&
  value.every((item) => typeof item === 'number' && Number.isFinite(Math.fround(item)));

const toCount = (told: unknown): number => {
  const count = Number(told);
  return Number.isSafeInteger(count) && count > 0 ? count : 0;
};

const malformed = () =>
  new GatewayError('upstream_protocol_error', 'Bedrock sent embeddings that the gateway cannot read.');
