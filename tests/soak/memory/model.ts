/**
 * A model whose answer names the tenant who asked, what he asked and what he had asked before, so that whoever hears another's answer, or
 * one without its context, can tell. It keeps books of its calls. A question that begins with `broken` gets half an answer.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { simulateAnswer } from '../../../src/local/bedrock/model.ts';
import { play, type Step, streamReply } from '../../../src/local/bedrock/replies.ts';
import { parseConverseRequest } from '../../../src/local/bedrock/request.ts';

/** About 250 ms for an answer, in which it can be cancelled. */
const TOKENS_PER_SECOND = 200;

/** How long it thinks. */
const WAIT_MS = 30;

export type Call = {
  readonly tenant: string;
  readonly requestId: string;
  readonly question: string;
  /** The questions before it, oldest first. */
  readonly earlier: readonly string[];
  /** All that it was sent. */
  readonly sent: string;
  readonly openedAt: number;
  closedAt: number;
};

export const toAnswer = (tenant: string, question: string, earlier: readonly string[] = []): string =>
  `To ${tenant}: ${question} After: ${earlier.join(' + ') || 'nothing'}. ${filler} That is all.`;

const filler = Array.from({ length: 14 }, (_, n) => (n % 5 === 4 ? '\u{1F600}' : `wörd-${n}`)).join(' ');

type Sent = {
  readonly messages: readonly {
    readonly role: string;
    readonly content: readonly { readonly text: string }[];
  }[];
  readonly requestMetadata: { readonly tenant: string; readonly request_id: string };
};

export type NamingModel = Awaited<ReturnType<typeof startNamingModel>>;

export async function startNamingModel() {
  const calls: Call[] = [];
  const server = createServer(async (request, response) => {
    const sent = (await json(request)) as Sent;
    const gone = new AbortController();
    const call = toCall(sent);
    calls.push(call);
    response.once('close', () => {
      call.closedAt = performance.now();
      gone.abort();
    });
    const pace = { tokensPerSecond: TOKENS_PER_SECOND, gone: gone.signal };
    play(streamReply(toSteps(sent, call)), response, pace).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  async function close() {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }

  const isOpen = ({ closedAt }: Call) => closedAt === Number.POSITIVE_INFINITY;
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls: calls as readonly Call[],
    countOpen: () => calls.filter(isOpen).length,
    close,
  };
}

function toCall({ messages, requestMetadata }: Sent): Call {
  const questions = messages
    .filter(({ role }) => role === 'user')
    .map(({ content }) => content[0]?.text ?? '');
  return {
    tenant: requestMetadata.tenant,
    requestId: requestMetadata.request_id,
    question: questions.at(-1) ?? '',
    earlier: questions.slice(0, -1),
    sent: JSON.stringify(messages),
    openedAt: performance.now(),
    closedAt: Number.POSITIVE_INFINITY,
  };
}

function toSteps(sent: Sent, { tenant, question, earlier }: Call): readonly Step[] {
  const content = [{ text: `ECHO ${toAnswer(tenant, question, earlier)}` }];
  const request = parseConverseRequest({ ...sent, messages: [{ role: 'user', content }] });
  const steps = simulateAnswer('soak', request);
  const told: readonly Step[] = question.startsWith('broken')
    ? [...steps.slice(0, steps.length / 2), { kind: 'hang-up' }]
    : steps;
  return [{ kind: 'wait', ms: WAIT_MS }, ...told];
}
