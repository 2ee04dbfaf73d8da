/**
 * What is asked: the fields of `POST /v1/chat`, and of them only those that somebody chose.
 */

/** What the user set; an empty text where he left it to the gateway. */
export type Controls = {
  readonly door: 'sse' | 'websocket';
  readonly model: string;
  readonly system: string;
  readonly temperature: string;
  readonly topP: string;
  readonly maxTokens: string;
  readonly cache: string;
  /** `no` keeps nothing. */
  readonly store: string;
};

export type Question = { readonly request_id: string; readonly [field: string]: unknown };

/** A turn that was said before: of one without an answer, nothing is told. */
export type Said = { readonly prompt: string; readonly text: string };

export type Asked = {
  readonly prompt: string;
  readonly requestId: string;
  readonly controls: Controls;
  /** The conversation that the gateway keeps. */
  readonly chatId: string | undefined;
  /** What was said in it; sent along when the gateway does not keep it. */
  readonly said: readonly Said[];
};

export function toQuestion({ prompt, requestId, controls, chatId, said }: Asked): Question {
  const { model, system, cache, store } = controls;
  const parameters = {
    ...toNumber('temperature', controls.temperature),
    ...toNumber('top_p', controls.topP),
    ...toNumber('max_tokens', controls.maxTokens),
  };
  const earlier = chatId === undefined ? said.filter(({ text }) => text.trim() !== '') : [];
  const messages = earlier.flatMap((turn) => [
    { role: 'user', content: turn.prompt },
    { role: 'assistant', content: turn.text },
  ]);
  return {
    request_id: requestId,
    ...(messages.length > 0 ? { messages: [...messages, { role: 'user', content: prompt }] } : { prompt }),
    ...(chatId !== undefined && { chat_id: chatId }),
    ...(model.trim() && { model: model.trim() }),
    ...(system.trim() && { system }),
    ...(Object.keys(parameters).length > 0 && { parameters }),
    ...(cache && { cache }),
    ...(store === 'no' && { store: false }),
  };
}

/** What is no number is sent as it is, and refused by the gateway in its own words. */
const toNumber = (name: string, text: string) =>
  text.trim() === '' ? {} : { [name]: Number.isFinite(Number(text)) ? Number(text) : text };
