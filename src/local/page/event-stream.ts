/**
 * The events of an answer from the body of a `text/event-stream`.
 */
import { createParser } from 'eventsource-parser';
import { type AnswerEvent, readEvent } from './answer-event.ts';
import { parseJson } from './json.ts';

/** Ends with the body, also where the connection breaks: whether the answer is whole its events have said. */
export async function* readEventStream(body: ReadableStream<Uint8Array>): AsyncGenerator<AnswerEvent> {
  const arrived: AnswerEvent[] = [];
  const parser = createParser({
    onEvent({ event = 'message', data }) {
      const known = readEvent(event, parseJson(data));
      if (known) arrived.push(known);
    },
  });
  const utf8 = new TextDecoder();
  const reader = body.getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      parser.feed(utf8.decode(next.value, { stream: true }));
      yield* arrived.splice(0);
    }
  } catch {
    // Nothing more will come.
  } finally {
    reader.cancel().catch(() => undefined);
  }
}
