/** Bedrock's event-stream frames, byte for byte as the service sends them. */
import { EventStreamCodec } from '@smithy/eventstream-codec';

const codec = new EventStreamCodec(
  (bytes) => Buffer.from(bytes).toString('utf8'),
  (text) => Buffer.from(text, 'utf8'),
);

const header = (value: string) => ({ type: 'string' as const, value });

export function frame(eventType: string, payload: object): Buffer {
  return Buffer.from(
    codec.encode({
      headers: {
        ':event-type': header(eventType),
        ':content-type': header('application/json'),
        ':message-type': header('event'),
      },
      body: Buffer.from(JSON.stringify(payload)),
    }),
  );
}

export const textFrame = (text: string) =>
  frame('contentBlockDelta', { contentBlockIndex: 0, delta: { text } });

export const stopFrame = (stopReason: string) => frame('messageStop', { stopReason });

export const usageFrame = frame('metadata', {
  usage: { inputTokens: 5, outputTokens: 2, totalTokens: 7 },
  metrics: { latencyMs: 1 },
});

/** A whole, short answer: `A cage.` */
export const shortAnswer: readonly Buffer[] = [
  frame('messageStart', { role: 'assistant' }),
  textFrame('A '),
  textFrame('cage.'),
  frame('contentBlockStop', { contentBlockIndex: 0 }),
  stopFrame('end_turn'),
  usageFrame,
];
