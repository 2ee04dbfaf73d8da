/**
 * The schemas of requests and answers as JSON Schema, under the names that readers and generated clients know them by.
 */
import * as z from 'zod/mini';
import { page } from '../chats.ts';
import { embeddingsBody } from '../embeddings.ts';
import { notes } from '../notes.ts';
import * as openaiMessages from '../openai-messages.ts';
import { completionBody, json, tool } from '../openai-request.ts';
import { block, chatBody, id, message } from '../question.ts';
import * as answers from './answers.ts';

const named = {
  Id: id,
  Limit: page.shape.limit,
  Json: json,
  ChatRequest: chatBody,
  Message: message,
  ContentBlock: block,
  ChatAnswer: answers.answer,
  StartEvent: answers.startEvent,
  DeltaEvent: answers.deltaEvent,
  DoneEvent: answers.doneEvent,
  CancelledEvent: answers.cancelledEvent,
  Frame: answers.frame,
  Usage: answers.usage,
  Error: answers.error,
  ChatCompletionRequest: completionBody,
  ChatCompletionMessage: openaiMessages.message,
  ChatCompletionPart: openaiMessages.part,
  ChatCompletionTool: tool,
  ChatCompletion: answers.completion,
  ChatCompletionChunk: answers.completionChunk,
  EmbeddingsRequest: embeddingsBody,
  Embeddings: answers.embeddings,
  Model: answers.model,
  Models: answers.models,
  Chats: answers.chats,
  Chat: answers.chat,
  Cancelling: answers.cancelling,
  Health: answers.health,
} as const satisfies Record<string, z.ZodMiniType>;

export type SchemaName = keyof typeof named;

const uri = (name: string) => `#/components/schemas/${name}`;
export const refTo = (name: SchemaName) => ({ $ref: uri(name) });

/** Name → schema. What `notes` says wins over what is made of the schema. */
export function toSchemas(): Readonly<Record<string, object>> {
  const names = z.registry<{ id: SchemaName }>();
  for (const [name, schema] of Object.entries(named)) names.add(schema, { id: name as SchemaName });
  const { schemas } = z.toJSONSchema(names, { metadata: notes, io: 'input', uri });
  return Object.fromEntries(
    Object.entries(schemas).map(([name, { $schema, $id, ...schema }]) => [name, schema]),
  );
}
