/**
 * Text embeddings of an OpenAI-compatible server in the request and response shapes of Titan v2.
 */
import { z } from 'zod/mini';
import type { Embedding } from '../embeddings.ts';
import { invalid, ServiceException } from '../replies.ts';
import { type ModelServer, post } from './model-server.ts';
import { toServerModel } from './models.ts';

const titanRequest = z.object({ inputText: z.string(), dimensions: z._default(z.number(), 1024) });

const vectorList = z.object({
  data: z.tuple([z.object({ embedding: z.array(z.number()) })]),
  usage: z.nullish(z.object({ prompt_tokens: z.nullish(z.number()) })),
});

/**
 * A vector of as many numbers as the request says. A shorter one is filled up with zeros, which changes no angle and no distance; for one
 * that is longer the server is asked to shorten it, since only few models bear that.
 *
 * @throws ServiceException ValidationException 400 for a request of the wrong shape, and a vector that stays too long
 */
export async function embed(
  server: ModelServer,
  modelId: string,
  body: unknown,
  signal: AbortSignal,
): Promise<Embedding> {
  const request = titanRequest.safeParse(body);
  if (!request.success) throw invalid('The server takes embeddings in the shape of Titan v2 only.');
  const { inputText: input, dimensions } = request.data;
  const question = { model: toServerModel(modelId), input, encoding_format: 'float' };
  const whole = await ask(server, question, signal);
  const { vector, inputTokens } =
    whole.vector.length > dimensions ? await ask(server, { ...question, dimensions }, signal) : whole;
  if (vector.length > dimensions)
    throw invalid(`This model’s vectors have ${vector.length} numbers, which are more than ${dimensions}.`);
  const embedding = [...vector, ...Array<number>(dimensions - vector.length).fill(0)];
  const counted = { inputTextTokenCount: inputTokens };
  return { body: { embedding, embeddingsByType: { float: embedding }, ...counted }, inputTokens };
}

async function ask(server: ModelServer, question: object, signal: AbortSignal) {
  const response = await post(server, '/embeddings', question, signal);
  const answer = vectorList.safeParse(await response.json().catch(() => undefined));
  if (!answer.success)
    throw new ServiceException(
      424,
      'ModelErrorException',
      'The server sent embeddings that nobody can read.',
    );
  const { data, usage } = answer.data;
  return { vector: data[0].embedding, inputTokens: usage?.prompt_tokens ?? 0 };
}
