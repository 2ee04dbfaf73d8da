/**
 * Where Lambda reports a job that no worker saw to its end: it ran out of time or memory, crashed, or never began. Nobody else could tell
 * the client. What the answer had come to is lost; so is the turn, which is stored with its end.
 * @see https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
 */
import { toFailure } from '../chat/ask.ts';
import { GatewayError } from '../chat/errors.ts';
import { toCancelled } from '../chat/estimate.ts';
import type { ChatEvent } from '../chat/events.ts';
import { noteAnswer, noteError, type RequestRecord, toPrincipalName } from './record.ts';
import type { Job, SocketParts, Waiting } from './socket-parts.ts';
import { tell } from './worker.ts';

/** What the record of an invocation says, as far as it matters here. */
export type InvocationRecord = {
  readonly requestContext: {
    /** Of the invocation, the same however often it is reported. */
    readonly requestId: string;
    /** `RetriesExhausted` when the function was run and failed, `EventAgeExceeded` when its time to begin was over. */
    readonly condition: string;
  };
  readonly requestPayload: Job;
  /** What the function failed with, where it ran. */
  readonly responsePayload?: { readonly errorType?: unknown } | null;
};

/** A request whose worker died. */
type Abandoned = Pick<Waiting, 'slot'> & {
  /** How the request ended through this, and whether a worker had taken it; nothing when it had ended before. */
  readonly ending?: { readonly outcome: 'error' | 'cancelled'; readonly wasTaken: boolean };
};

export type FailedWorkParts = Pick<SocketParts, 'clock' | 'log' | 'connections' | 'sockets'> & {
  readonly random: () => number;
  readonly requests: SocketParts['requests'] & {
    /** Ends the request unless it has ended. Nothing when it is unknown, or runs elsewhere; `wasRun` is whether this invocation began. */
    abandon(job: Job, by: string, wasRun: boolean): Promise<Abandoned | undefined>;
  };
};

/**
 * The `seq` of the last word on an answer whose frames nobody counted: behind all that a worker can have sent in its 15 minutes, so it
 * shows as a gap and never as a repeat; and the greatest that 32 bits hold, as some clients read it.
 */
export const LAST_SEQ = 2 ** 31 - 1;

/** `parts` is called at the first record and not before. Never rejects; a record that comes again tells the same again. */
export function createFailedWork(
  parts: () => FailedWorkParts,
): (invocation: InvocationRecord) => Promise<void> {
  return async function reportFailedWork(invocation) {
    const { clock, log, requests } = parts();
    const began = clock.now();
    const record: RequestRecord = { request_id: 'unknown', method: 'FAILED_WORK', door: 'websocket' };
    try {
      const { requestContext, requestPayload, responsePayload } = invocation;
      const { tenant, requestId, connectionId } = requestPayload;
      record.request_id = requestId;
      record.tenant = toPrincipalName(tenant);
      const { condition } = requestContext;
      const errorType = responsePayload?.errorType;
      record.cause = typeof errorType === 'string' ? [condition, errorType] : [condition];
      const wasRun = condition === 'RetriesExhausted';
      const abandoned = await requests.abandon(requestPayload, requestContext.requestId, wasRun);
      if (abandoned) await settle(parts(), connectionId, abandoned, record);
    } catch (thrown) {
      noteError(thrown, record);
    } finally {
      record.total_ms = clock.now() - began;
      log(record);
    }
  };
}

async function settle(
  parts: FailedWorkParts,
  connectionId: string,
  { slot, ending }: Abandoned,
  record: RequestRecord,
) {
  if (!ending) {
    await parts.connections.release(connectionId, [slot]);
    return;
  }
  await tell(parts, noteAnswer(toEvents(ending), record), {
    connectionId,
    slot,
    record,
    gapMs: 0,
    abort: () => undefined,
    firstSeq: LAST_SEQ,
  });
}

/** What a cancelled answer had cost by then nobody knows any more. */
async function* toEvents({ outcome, wasTaken }: NonNullable<Abandoned['ending']>): AsyncGenerator<ChatEvent> {
  if (outcome === 'cancelled') yield toCancelled(undefined, 0);
  else yield toFailure(wasTaken ? lost() : neverBegun());
}

/** Not to be tried again unasked, nor called Bedrock's fault: the model was paid, and the same question may kill the next worker too. */
const lost = () =>
  new GatewayError(
    'internal_error',
    'The gateway lost this answer before it was whole; ask again under another request_id.',
  );

/** The model was never asked. */
const neverBegun = () =>
  new GatewayError(
    'overloaded',
    'The gateway had no room for this request; ask again under another request_id.',
    {
      retryAfterSeconds: 1,
    },
  );
