/**
 * `POST /v1/chat`, in the gateway's own words.
 */
import { collectAnswer, toWireEvent } from './answer.ts';
import { type AnswerWriter, type ChatParts, createAskRoute } from './asking.ts';
import { toEnvelope } from './envelope.ts';
import { parseChat } from './question.ts';

export const createChatRoute = (parts: ChatParts) =>
  createAskRoute(parts, (body, caller, requestId) => {
    const { question, stream } = parseChat(body, caller, requestId);
    return { question, stream, toWriter: () => createChatWriter(question.requestId) };
  });

/** Named events: `event: delta\ndata: {"text":"A Faraday"}\n\n`. */
export const createChatWriter = (requestId: string): AnswerWriter => ({
  collect: collectAnswer,
  encode(event) {
    const wire = toWireEvent(event, requestId);
    return wire ? toSse(wire.name, wire.data) : '';
  },
  encodeFailure: (error) => toSse('error', toEnvelope(error, requestId)),
});

/** JSON holds no line break, so an event is always one `data:` line, whatever the model wrote. */
const toSse = (name: string, data: object) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
