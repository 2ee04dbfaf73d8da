/**
 * Tool calls and their results across the turns of a conversation. Bedrock refuses a call without its result in the next message, and a
 * result without its call: what is recalled is made to fit, and what a caller sends must.
 */
import { GatewayError } from './errors.ts';
import type { ChatRequest, ContentBlock, Message } from './request.ts';

/** Of a turn, what is sent before the next question. */
type Said = {
  readonly messages: readonly Message[];
  readonly completion: string;
  readonly reply?: readonly ContentBlock[];
  readonly model: string;
};

/** As much of a turn as was heard. */
type Heard = { readonly question: readonly Message[]; readonly answer: readonly ContentBlock[] };

type Asked = Pick<ChatRequest, 'messages' | 'model'>;

/** Of an id, in a sentence. */
const MAX_ID_CHARS = 64;

/** In place of a question that nobody remembers, where its answer is still needed. */
const forgotten: Message = {
  role: 'user',
  content: [{ type: 'text', text: 'What was said before is not kept any more.' }],
};

/**
 * What was said before, as far as it can stand, and behind it the request's own messages as they are.
 *
 * @throws `invalid_request` when in these a call lacks its result, a result its call, or either is there twice, and when they answer
 * only some of the calls before them
 */
export function joinTurns(turns: readonly Said[], request: Asked): readonly Message[] {
  const messages = [...toMessages(toHeard(turns, request)), ...request.messages];
  requireMatched(messages);
  return messages;
}

/**
 * A turn that came to nothing is passed over; what was heard of a broken one was heard. Calls that nobody answered are left out, and
 * reasoning of another model, whose signature this one would refuse.
 */
function toHeard(turns: readonly Said[], { messages, model }: Asked): readonly Heard[] {
  const heard: Heard[] = [];
  let results = openingResults(messages);
  for (const turn of turns.toReversed()) {
    const reply = (turn.reply ?? []).filter(({ type }) => type !== 'reasoning' || turn.model === model);
    const calls = idsOf('tool-use', reply);
    const answered = calls.filter((id) => results.has(id)).length;
    // What the request answers only in part is refused later, by a sentence that names what is missing.
    const isAnswered = answered > 0 && (answered === calls.length || heard.length === 0);
    if (!isAnswered && turn.completion.trim() === '') continue;
    const answer = isAnswered ? reply : [{ type: 'text' as const, text: turn.completion }];
    heard.unshift({ question: turn.messages, answer });
    results = openingResults(turn.messages);
  }
  return heard;
}

/** Results of which the calls are gone are left out, and answers to nothing else. */
function toMessages(heard: readonly Heard[]): readonly Message[] {
  const messages: Message[] = [];
  let calls: ReadonlySet<string> = new Set();
  for (const { question, answer } of heard) {
    const left = withoutStrays(question, calls);
    const made = new Set(idsOf('tool-use', answer));
    // Results follow these calls. Without them a long row of calls, of which the first is gone, would be refused as a whole.
    const opening = left.length === 0 && made.size > 0 ? [forgotten] : left;
    if (opening.length === 0) continue;
    messages.push(...opening, { role: 'assistant', content: answer });
    calls = made;
  }
  return messages;
}

/** Nothing where it begins with nothing but strays. */
function withoutStrays(question: readonly Message[], calls: ReadonlySet<string>): readonly Message[] {
  const opening = openingOf(question);
  const left = opening.flatMap(({ role, content }) => {
    const blocks = content.filter((block) => block.type !== 'tool-result' || calls.has(block.id));
    return blocks.length === 0 ? [] : [{ role, content: blocks }];
  });
  return left.length === 0 ? [] : [...left, ...question.slice(opening.length)];
}

/** What the user says first. */
function openingOf(messages: readonly Message[]): readonly Message[] {
  const end = messages.findIndex(({ role }) => role === 'assistant');
  return end === -1 ? messages : messages.slice(0, end);
}

const openingResults = (messages: readonly Message[]): ReadonlySet<string> =>
  new Set(openingOf(messages).flatMap(({ content }) => idsOf('tool-result', content)));

const idsOf = (kind: 'tool-use' | 'tool-result', blocks: readonly ContentBlock[]): readonly string[] =>
  blocks.flatMap((block) => (block.type === kind ? block.id : []));

/** An id may come again further on: some models count their calls anew with each answer. */
function requireMatched(messages: readonly Message[]): void {
  let calls: ReadonlySet<string> = new Set();
  for (const blocks of [...joinNeighbours(messages), []]) {
    const made = idsOf('tool-use', blocks);
    const given = idsOf('tool-result', blocks);
    const results = new Set(given);
    refuse(repeated(made), 'was made twice in one message');
    refuse(repeated(given), 'has two results');
    refuse(
      given.find((id) => !calls.has(id)),
      'was not made in the message before its result',
    );
    refuse(
      [...calls].find((id) => !results.has(id)),
      'has no result in the message after it',
    );
    calls = new Set(made);
  }
}

/** Bedrock knows one message where one side says several in a row. */
function joinNeighbours(messages: readonly Message[]): readonly ContentBlock[][] {
  const joined: ContentBlock[][] = [];
  messages.forEach(({ role, content }, index) => {
    if (messages[index - 1]?.role === role) joined.at(-1)?.push(...content);
    else joined.push([...content]);
  });
  return joined;
}

function repeated(ids: readonly string[]): string | undefined {
  const seen = new Set<string>();
  return ids.find((id) => {
    const isRepeated = seen.has(id);
    seen.add(id);
    return isRepeated;
  });
}

function refuse(id: string | undefined, why: string): void {
  if (id === undefined) return;
  const message = `The tool call "${id.slice(0, MAX_ID_CHARS)}" ${why}.`;
  throw new GatewayError('invalid_request', message, { param: 'messages' });
}
