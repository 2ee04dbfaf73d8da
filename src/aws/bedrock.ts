/**
 * The model port over Amazon Bedrock's ConverseStream. It knows Bedrock's events and its exceptions; how long to wait for
 * either is decided in `chat/ask.ts`, except for the closing usage, which only Bedrock sends apart from the answer.
 */
import {
  type BedrockRuntimeClient,
  type ContentBlockDeltaEvent,
  ConverseStreamCommand,
  type ConverseStreamOutput,
  type TokenUsage,
} from '@aws-sdk/client-bedrock-runtime';
import type { Model } from '../chat/ask.ts';
import { type Clock, within } from '../chat/clock.ts';
import { GatewayError } from '../chat/errors.ts';
import type { ModelEvent, Usage } from '../chat/events.ts';
import { toConverseInput } from './converse.ts';
import { toModelError } from './exceptions.ts';

/** How long a whole answer is held back for the usage that follows it. */
const USAGE_GRACE_MS = 2_000;

/** How long the connection may take to come free once all has been said; a slower one is closed instead of reused. */
const CLOSING_GRACE_MS = 50;

export function createBedrockModel({
  client,
  clock,
}: {
  readonly client: Pick<BedrockRuntimeClient, 'send'>;
  readonly clock: Clock;
}): Model {
  return async function* converse(request, signal) {
    let hasBegun = false;
    try {
      const command = new ConverseStreamCommand(toConverseInput(request));
      const { stream } = await client.send(command, { abortSignal: signal });
      hasBegun = true;
      if (stream) yield* readAnswer(stream, request.model, clock);
    } catch (error) {
      throw toModelError(error, hasBegun);
    }
  };
}

/**
 * Reads Bedrock's events. Ends without `end` when the stream stops before `messageStop`, whatever made it stop: over some
 * transports a broken connection looks like a finished one.
 */
export async function* readAnswer(
  stream: AsyncIterable<ConverseStreamOutput>,
  model: string,
  clock: Clock,
): AsyncGenerator<ModelEvent, void, undefined> {
  const events = stream[Symbol.asyncIterator]();
  const openTools = new Set<number>();
  let begun = false;
  for (let next = await events.next(); !next.done; next = await events.next()) {
    if (!begun) yield { type: 'begin', model };
    begun = true;
    const { messageStop } = next.value;
    if (messageStop) {
      const stopReason = required(messageStop.stopReason);
      if (stopReason.startsWith('malformed_')) throw garbled();
      yield { type: 'end', stopReason, usage: await readUsage(events, clock) };
      return;
    }
    yield* toModelEvents(next.value, openTools);
  }
}

function* toModelEvents(event: ConverseStreamOutput, openTools: Set<number>): Generator<ModelEvent> {
  if (event.contentBlockStart) {
    const block = required(event.contentBlockStart.contentBlockIndex);
    const tool = event.contentBlockStart.start?.toolUse;
    if (!tool) return;
    openTools.add(block);
    yield { type: 'tool-start', block, id: required(tool.toolUseId), name: required(tool.name) };
  } else if (event.contentBlockDelta) {
    yield* toDeltas(event.contentBlockDelta);
  } else if (event.contentBlockStop) {
    const block = required(event.contentBlockStop.contentBlockIndex);
    if (openTools.delete(block)) yield { type: 'tool-end', block };
  }
}

/** Kinds of content that this gateway does not know are left out; a delta without any content is not Bedrock's. */
function* toDeltas({ contentBlockIndex, delta }: ContentBlockDeltaEvent): Generator<ModelEvent> {
  const block = required(contentBlockIndex);
  if (!delta || Object.values(delta).every((value) => value === undefined)) throw malformed();
  if (delta.text !== undefined) {
    yield { type: 'text-delta', block, text: delta.text };
  } else if (delta.toolUse) {
    yield { type: 'tool-delta', block, json: required(delta.toolUse.input) };
  } else if (delta.reasoningContent) {
    const { text, signature, redactedContent } = delta.reasoningContent;
    if (text !== undefined) yield { type: 'reasoning-delta', block, text };
    if (signature !== undefined) yield { type: 'reasoning-signature', block, signature };
    if (redactedContent) {
      const redacted = Buffer.from(redactedContent).toString('base64');
      yield { type: 'reasoning-signature', block, redacted };
    }
  }
}

/**
 * Reads on after `messageStop`, to the end of the body so that the connection can be used again. The answer is whole by now:
 * nothing that happens here can spoil it.
 */
async function readUsage(events: AsyncIterator<ConverseStreamOutput>, clock: Clock): Promise<Usage | null> {
  const latest = clock.now() + USAGE_GRACE_MS;
  let usage: Usage | null = null;
  try {
    for (;;) {
      const patienceMs = usage ? CLOSING_GRACE_MS : latest - clock.now();
      const next = await within(patienceMs, events.next(), clock);
      if (!next || next.done) return usage;
      if (next.value.metadata?.usage) usage = toUsage(next.value.metadata.usage);
    }
  } catch {
    return usage;
  }
}

const toUsage = (usage: TokenUsage): Usage => ({
  inputTokens: usage.inputTokens ?? 0,
  outputTokens: usage.outputTokens ?? 0,
  cacheReadTokens: usage.cacheReadInputTokens ?? 0,
  cacheWriteTokens: usage.cacheWriteInputTokens ?? 0,
});

const malformed = () =>
  new GatewayError('upstream_protocol_error', 'Bedrock sent an event that the gateway cannot read.');

/** Bedrock could not read what the model wrote, and says so as if it were an end. */
const garbled = () =>
  new GatewayError('upstream_error', 'The model wrote an answer that Bedrock cannot read.');

/** The SDK types what Bedrock must send as if it might be missing; if it ever is, the answer cannot be trusted. */
function required<T>(value: T | undefined | null): T {
  if (value === undefined || value === null) throw malformed();
  return value;
}
