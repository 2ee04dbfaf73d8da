/**
 * The ways in which a fault can spoil a reply: refuse the request, replace the answer, or disturb its event stream.
 * Each function here makes one row for the table in `faults.ts`.
 */

import { event, type Payload, type Reply, refusal, ServiceException, type Step } from './replies.ts';
import type { ConverseRequest } from './request-shape.ts';

/** What a fault may know about the request. */
export type Occasion = {
  /** Empty when it is not for Converse. */
  readonly request: Partial<ConverseRequest>;
  /** Whether this very request was refused just before; asking is what notes it down. */
  readonly isRetry: () => boolean;
};

/** A row of the table of faults. */
export type Fault = {
  /** The row of the fault matrix. */
  readonly row: `F${number}`;
  /** `request`: instead of the answer, for any operation. `stream`: within the answer of ConverseStream. */
  readonly stage: 'request' | 'stream';
  /** In words, for a list of faults. */
  readonly does: string;
  /** The reply to send; `answer` makes the one that would have been sent without the fault. */
  readonly spoil: (answer: () => Reply, occasion: Occasion) => Reply;
};

type Row = Fault['row'];
type Refused = readonly [status: number, name: string, message: string];

/** An HTTP error. */
export function refuse(row: Row, ...refused: Refused): Fault {
  return refuseWhen(row, 'always', refused, () => true);
}

/** An HTTP error for some requests, the answer for all others. */
export function refuseWhen(
  row: Row,
  when: string,
  refused: Refused,
  applies: (_: Occasion) => boolean,
): Fault {
  const reply = refusal(new ServiceException(...refused));
  return {
    row,
    stage: 'request',
    does: `HTTP ${refused[0]} ${refused[1]}, ${when}`,
    spoil: (answer, occasion) => (applies(occasion) ? reply : answer()),
  };
}

/** Status 200 and these steps instead of the answer. */
export function replace(
  row: Row,
  does: string,
  steps: readonly Step[],
  headers: Reply['headers'] = {},
): Fault {
  return { row, stage: 'request', does, spoil: () => ({ status: 200, headers, steps }) };
}

/** An event stream with other steps. */
export function change(row: Row, does: string, edit: (steps: readonly Step[]) => readonly Step[]): Fault {
  const spoil: Fault['spoil'] = (answer) => {
    const { steps, ...rest } = answer();
    return { ...rest, steps: edit(steps) };
  };
  return { row, stage: 'stream', does, spoil };
}

/** Three text deltas of the answer, then these steps, then nothing. */
export function endMidStream(row: Row, does: string, ...last: Step[]): Fault {
  return change(row, `${does} after three text deltas`, (steps) => [...halves(steps).opening, ...last]);
}

/** Three text deltas of the answer, then these steps, then the rest of the answer. */
export function insertMidStream(row: Row, does: string, ...extra: Step[]): Fault {
  return change(row, `${does} after three text deltas`, (steps) => {
    const { opening, rest } = halves(steps);
    return [...opening, ...extra, ...rest];
  });
}

/** An exception frame after three text deltas. */
export function throwMidStream(row: Row, type: string, message: string, details: Payload = {}): Fault {
  return endMidStream(row, type, { kind: 'exception', type, payload: { message, ...details } });
}

/** The whole answer, but with another stop reason. */
export function stopWith(row: Row, stopReason: string): Fault {
  return change(row, `stop reason ${stopReason}`, (steps) =>
    steps.map((step) => (isEvent(step, 'messageStop') ? event('messageStop', { stopReason }) : step)),
  );
}

/** The answer up to and including `messageStop`, then these steps. */
export function afterMessageStop(row: Row, does: string, ...last: Step[]): Fault {
  return change(row, does, (steps) => [...steps.slice(0, 1 + findMessageStop(steps)), ...last]);
}

/** For answers too short to have three text deltas. */
const SHORT_OPENING: readonly Step[] = [
  event('messageStart', { role: 'assistant' }),
  ...['One', ' moment', ' please'].map((text) =>
    event('contentBlockDelta', { contentBlockIndex: 0, delta: { text } }, 1),
  ),
];

/** An answer up to its third text delta, and what follows. */
function halves(steps: readonly Step[]): { opening: readonly Step[]; rest: readonly Step[] } {
  const third = steps.flatMap((step, index) => (isTextDelta(step) ? index : []))[2];
  if (third !== undefined) return { opening: steps.slice(0, third + 1), rest: steps.slice(third + 1) };
  const rest = [event('contentBlockStop', { contentBlockIndex: 0 }), ...steps.slice(findMessageStop(steps))];
  return { opening: SHORT_OPENING, rest };
}

function findMessageStop(steps: readonly Step[]): number {
  return steps.findIndex((step) => isEvent(step, 'messageStop'));
}

function isTextDelta(step: Step): boolean {
  return isEvent(step, 'contentBlockDelta') && 'text' in Object(step.payload['delta']);
}

function isEvent(step: Step, type: string): step is Extract<Step, { kind: 'event' }> {
  return step.kind === 'event' && step.type === type;
}
