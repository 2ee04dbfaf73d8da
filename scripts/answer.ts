/**
 * The gateway's answer as a command sees it: its events, and the sentence of its refusal.
 */
import { createParser } from 'eventsource-parser';
import { isLoopback } from './credentials.ts';

/** What there is to say to the user before the command ends with this exit code. */
export class Ending extends Error {
  override name = 'Ending' as const;
  readonly exitCode: number;
  constructor(exitCode: number, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** The answer said that it was cancelled, and perhaps what had been used by then. */
export class Cancelled extends Ending {
  readonly isUsageKnown: boolean;
  constructor(usage: unknown) {
    const { input_tokens: read, output_tokens: written } = isRecord(usage) ? usage : {};
    const isUsageKnown = typeof read === 'number' && typeof written === 'number';
    const used = isUsageKnown ? `; about ${read} tokens were read and ${written} written` : '';
    super(1, `The answer was cancelled${used}.`);
    this.isUsageKnown = isUsageKnown;
  }
}

/** Whether the answer that was to be cancelled goes on, and is paid for, nobody knows. */
export class Unconfirmed extends Ending {
  constructor() {
    super(130, 'The gateway did not confirm the cancel; the answer may run to its end.');
  }
}

type Data = Record<string, unknown>;
export type Print = (name: string, data: Data) => void;

/** The same by every door. */
export type AnswerEvent = { readonly name: string; readonly data: Data };

/** What ends an answer. */
export const isTerminal = (name: unknown) => name === 'done' || name === 'error' || name === 'cancelled';

/**
 * Prints each event as it arrives, and reads to the end of the events, so that the gateway does not see a
 * client that leaves early.
 *
 * @throws `Ending` for any answer that is not whole
 */
export async function readAnswer(events: AsyncIterable<AnswerEvent>, print: Print): Promise<void> {
  let ending: Ending | 'done' | undefined;
  for await (const { name, data } of events) {
    if (ending !== undefined) continue;
    print(name, data);
    if (name === 'done') ending = cutShort(data['stop_reason']) ?? 'done';
    if (name === 'cancelled') ending = new Cancelled(data['usage']);
    if (name === 'error') ending = new Ending(1, describeError(data['error']));
  }
  ending ??= new Ending(1, 'The answer broke off before its end.');
  if (ending instanceof Ending) throw ending;
}

/** Half an answer that was sent to its end. One that is as long as the caller allowed is whole. */
function cutShort(stopReason: unknown): Ending | undefined {
  const sentence = isText(stopReason) ? cuts.get(stopReason) : undefined;
  return sentence === undefined ? undefined : new Ending(1, sentence);
}

/** @see https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_MessageStopEvent.html */
const cuts: ReadonlyMap<string, string> = new Map([
  ['content_filtered', 'The provider of the model filtered the answer.'],
  ['guardrail_intervened', 'A guardrail stepped into the answer.'],
  ['model_context_window_exceeded', 'The answer was cut where the context of the model is full.'],
]);

/**
 * The events of an event stream. A connection that breaks is the end of the events; whether of the answer
 * too, they have said themselves.
 */
export async function* readEvents({ body }: Response): AsyncGenerator<AnswerEvent> {
  const arrived: AnswerEvent[] = [];
  const parser = createParser({
    onEvent: ({ event = 'message', data }) => void arrived.push({ name: event, data: parseJson(data) }),
  });
  const utf8 = new TextDecoder();
  try {
    for await (const bytes of body ?? []) {
      parser.feed(utf8.decode(bytes, { stream: true }));
      yield* arrived.splice(0);
    }
  } catch {}
}

/** The gateway's envelope, or what AWS says in front of it, as in `{"Message":"Forbidden"}`. */
export async function describeRefusal(response: Response): Promise<string> {
  const body = parseJson(await response.text().catch(() => ''));
  if (isRecord(body['error'])) return describeError(body['error'], response.headers.get('x-request-id'));
  // One line: after it, AWS may quote the request, and with it the session token.
  const said = [body['Message'], body['message']].find(isText)?.split('\n')[0];
  return `The gateway answered with HTTP ${response.status}${said ? `: ${said}` : ', and no reason.'}`;
}

/** An envelope's error, with its request. */
export function describeError(error: unknown, requestId: string | null = null): string {
  const { code, message, request_id: id = requestId } = isRecord(error) ? error : {};
  const said =
    [code, message].filter(isText).join(': ') || 'The answer failed, for no reason that was given.';
  return id ? `${said}\nrequest id: ${id}` : said;
}

/** Why nothing was sent at all, from what `fetch` threw. */
export function describeUnreachable(url: URL, error: unknown): string {
  const cause = error instanceof Error && isRecord(error.cause) ? error.cause : {};
  const code = typeof cause['code'] === 'string' ? ` (${cause['code']})` : '';
  return isLoopback(url)
    ? `Nothing answers at ${url.origin}${code}; run npm start first.`
    : `${url.origin} cannot be reached${code}; is the URL right?`;
}

/** Without fields where there is no JSON object. */
export function parseJson(text: string): Data {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : {};
  } catch {
    return {};
  }
}

export const isRecord = (value: unknown): value is Data => typeof value === 'object' && value !== null;
export const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
